//! How much one person may do.

use serde_json::json;
use tests::{Settings, Ting};

#[tokio::test]
async fn three_messages_are_typed_at_most_by_one_person_in_one_conversation() {
    let ting = Ting::shared().await;
    let room = ting.room().await;
    let other_room = ting.room().await;
    for ada in [room.person("full").await, room.seed_person("seed").await] {
        let first = ada.types("one").await;
        ada.types("two").await;
        ada.types("three").await;
        let body = json!({ "type": "channel", "target": room.name(), "text": "four" });
        let answer = ada.posts(body).await;
        assert_eq!(
            (&answer["status"], &answer["error"]),
            (&json!(429), &json!("too_many"))
        );
        // Elsewhere there is room, and here once one has ended.
        ada.types_to(&other_room.target(), "elsewhere").await;
        ada.sends(&first, "one").await;
        let fourth = ada.types("four").await;
        ada.erases(&fourth).await;
        ada.types("five").await;
    }
}

#[tokio::test]
async fn the_three_are_counted_over_all_connections() {
    let ting = Ting::shared().await;
    let room = ting.room().await;
    let ada = room.person("ada").await;
    let tab = ada
        .again(&tests::Login::full().channels(&[room.name()]))
        .await;
    ada.types("one").await;
    tab.types("two").await;
    let post = json!({ "type": "channel", "target": room.name(), "text": "three" });
    ting.post("/api/v1/message")
        .bearer(&ada.auth)
        .json(&post)
        .await
        .is(200);
    ting.post("/api/v1/message")
        .bearer(&ada.auth)
        .json(&post)
        .await
        .refused(429, "too_many");
}

#[tokio::test]
async fn who_sends_too_fast_is_told_when_to_try_again() {
    let settings = Settings::default()
        .set("limits.sends_per_second", "1")
        .set("limits.sends_burst", "5");
    let ting = Ting::with(settings).await;
    let room = ting.room().await;
    let [ada, bob] = room.people(["ada", "bob"]).await;
    let post =
        json!({ "type": "channel", "target": room.name(), "text": "again", "typing": false });
    let asked = (0..60).map(|_| {
        let ask = ting.post("/api/v1/message").bearer(&ada.auth).json(&post);
        async move { ask.await }
    });
    let answers = futures::future::join_all(asked).await;
    let sent = answers.iter().filter(|answer| answer.status == 200).count();
    assert!(sent >= 5, "{sent} were sent");
    let refused: Vec<_> = answers
        .into_iter()
        .filter(|answer| answer.status != 200)
        .collect();
    assert!(!refused.is_empty(), "60 sends at once are too many");
    for answer in refused {
        let answer = answer.refused(429, "too_many");
        let seconds: u64 = answer.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=60).contains(&seconds));
    }
    let history = ting.history(&bob.auth, &room.target(), "").await;
    assert_eq!(history.len(), sent, "what was refused is not there");
    // Others are not concerned.
    bob.says("quietly").await;
}

#[tokio::test]
async fn the_send_limit_holds_on_the_socket_and_for_patches() {
    let settings = Settings::default()
        .set("limits.sends_per_second", "1")
        .set("limits.sends_burst", "3");
    let ting = Ting::with(settings).await;
    let room = ting.room().await;
    let [ada, bob] = room.people(["ada", "bob"]).await;
    let ghost = ada.types("kept").await;
    let body = json!({
        "type": "channel", "target": room.name(), "messageid": ghost.id, "text": "kept",
        "typing": false,
    });
    let mut refused = None;
    for n in 0..30 {
        let post = json!({ "type": "channel", "target": room.name(), "text": format!("{n}"), "typing": false });
        let answers = futures::future::join_all((0..4).map(|_| ada.posts(post.clone()))).await;
        if answers.iter().any(|answer| answer["status"] == 429) {
            refused = Some(ada.patches(body.clone()).await);
            break;
        }
    }
    let refused = refused.expect("120 sends are too many");
    if refused["status"] == 429 {
        assert_eq!(refused["error"], "too_many");
        // The ghost stays, and the same send may be repeated.
        bob.sees(&ghost, "kept").await;
        tests::within_limit("a send after a pause", async {
            while ada.patches(body.clone()).await["status"] != 204 {
                tokio::time::sleep(std::time::Duration::from_millis(300)).await;
            }
        })
        .await;
    }
    bob.sees_sent(&ghost, "kept").await;
}

#[tokio::test]
async fn updates_faster_than_20_a_second_collapse_to_the_newest() {
    let ting = Ting::shared().await;
    let room = ting.room().await;
    let [ada, bob] = room.people(["ada", "bob"]).await;
    let ghost = ada.types("0").await;
    let began = tokio::time::Instant::now();
    let count = 150;
    let mut pace = tokio::time::interval(std::time::Duration::from_millis(20));
    for n in 1..=count {
        pace.tick().await;
        let patch = json!({
            "type": "channel", "target": room.name(), "messageid": ghost.id, "rev": n,
            "text": n.to_string(), "typing": true,
        });
        ada.emit("patch-message", patch).await;
    }
    bob.sees(&ghost, &count.to_string()).await;
    let took = began.elapsed().as_millis();
    let shown = bob.entries(ghost.id);
    // Frames leave at ticks of 100 ms, and the first at once.
    let ticks = took / 100 + 3;
    assert!(
        shown.len() as u128 <= ticks,
        "{} states of {count} were shown in {ticks} ticks",
        shown.len()
    );
    // Its owner counts what has come to it.
    let came = shown.last().unwrap()["rev"].as_u64().unwrap();
    let spacings = took / 50 + 3;
    assert!(
        u128::from(came) <= spacings,
        "{came} updates of {count} came to the owner in {took} ms"
    );
}

#[tokio::test]
async fn of_too_many_updates_each_is_taken_or_refused_in_words() {
    let ting = Ting::shared().await;
    let room = ting.room().await;
    let [ada, bob] = room.people(["ada", "bob"]).await;
    let ghost = ada.types("0").await;
    let patch = |n: usize| {
        json!({
            "type": "channel", "target": room.name(), "messageid": ghost.id, "rev": n,
            "text": n.to_string(), "typing": true,
        })
    };
    let asked = (1..=300).map(|n| ada.patches(patch(n)));
    let answers = futures::future::join_all(asked).await;
    let taken = answers.iter().rposition(|answer| answer["status"] == 204);
    for answer in answers.iter().filter(|answer| answer["status"] != 204) {
        assert_eq!(answer["status"], 429, "{answer}");
        assert_eq!(answer["error"], "too_many");
    }
    let newest = taken.expect("some are taken") + 1;
    bob.sees(&ghost, &newest.to_string()).await;
}

#[tokio::test]
async fn one_address_signs_in_so_often_and_others_are_not_concerned() {
    let settings = Settings::default()
        .set("http.trusted_proxies", r#"["127.0.0.0/8"]"#)
        .set("limits.sign_ins_per_minute", "5");
    let ting = Ting::with(settings).await;
    let signs_in = async |address: Option<&str>| {
        let post = json!({ "username": tests::names::unique("ada") });
        let ask = ting.post("/restapi/v1/sessions").json(&post);
        match address {
            Some(address) => ask.header("x-forwarded-for", address).await,
            None => ask.await,
        }
    };
    let mut refused = None;
    for _ in 0..30 {
        let answer = signs_in(Some("203.0.113.7")).await;
        if answer.status != 200 {
            refused = Some(answer);
            break;
        }
    }
    let refused = refused.expect("30 at once are more than 5 a minute");
    assert!(
        refused.header("retry-after").is_some(),
        "it says when to try again"
    );
    refused.refused(429, "too_many");
    signs_in(Some("203.0.113.8")).await.is(200);
    // Without a proxy in between, this machine's own are not counted.
    for _ in 0..10 {
        signs_in(None).await.is(200);
    }
}
