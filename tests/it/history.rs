//! Reading what was said, and what is being said.

use serde_json::json;
use std::time::{SystemTime, UNIX_EPOCH};
use tests::{Ghost, Person, Ting, names};

fn ids(history: &[serde_json::Value]) -> Vec<u64> {
    history
        .iter()
        .map(|message| message["id"].as_u64().unwrap())
        .collect()
}

async fn says_many(person: &Person, count: usize) -> Vec<Ghost> {
    let mut said = Vec::new();
    for n in 0..count {
        said.push(person.says(&format!("number {n}")).await);
    }
    said
}

#[tokio::test]
async fn a_message_has_the_six_keys_of_the_seed() {
    let ting = Ting::shared().await;
    let ada = ting.room().await.person("ada").await;
    let ghost = ada.types("he").await;
    let typed = ada.finds(&ghost).await;
    let start = typed["datetime_start"].as_u64().unwrap();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let late = u128::from(start).abs_diff(now.as_millis());
    assert!(late < 60_000, "{start} is not now in milliseconds");
    let expected = json!({
        "id": ghost.id, "text": "he", "username": ada.name, "datetime_start": start,
        "datetime_sent": null, "typing": true,
    });
    assert_eq!(typed, expected);
    ada.sends(&ghost, "hello").await;
    let sent = ada.finds(&ghost).await;
    let at = sent["datetime_sent"].as_u64().unwrap();
    assert!(at >= start, "{sent}");
    let expected = json!({
        "id": ghost.id, "text": "hello", "username": ada.name, "datetime_start": start,
        "datetime_sent": at, "typing": false,
    });
    assert_eq!(sent, expected);
}

#[tokio::test]
async fn the_newest_are_first_and_a_place_is_where_typing_began() {
    let ting = Ting::shared().await;
    let room = ting.room().await;
    let [ada, bob] = room.people(["ada", "bob"]).await;
    let first = ada.types("I began first").await;
    let second = bob.says("I sent first").await;
    ada.sends(&first, "I began first").await;
    assert_eq!(ids(&bob.reads("").await), [second.id, first.id]);
}

#[tokio::test]
async fn ids_are_integers_that_javascript_reads() {
    let ting = Ting::shared().await;
    let ada = ting.room().await.person("ada").await;
    let said = says_many(&ada, 3).await;
    assert!(said.iter().all(|ghost| ghost.id > 0 && ghost.id < 1 << 53));
    assert!(said.is_sorted_by_key(|ghost| ghost.id));
}

#[tokio::test]
async fn lim_bounds_a_page() {
    let ting = Ting::shared().await;
    let ada = ting.room().await.person("ada").await;
    let said = says_many(&ada, 5).await;
    let newest = |count: usize| {
        said.iter()
            .rev()
            .take(count)
            .map(|g| g.id)
            .collect::<Vec<_>>()
    };
    assert_eq!(ids(&ada.reads("?lim=2").await), newest(2));
    assert_eq!(ids(&ada.reads("?lim=0").await), newest(0));
    assert_eq!(ids(&ada.reads("?lim=5000").await), newest(5));
    assert_eq!(ids(&ada.reads("").await), newest(5));
    for wrong in ["abc", "-1", "1.5", "", "99999999999999999999999"] {
        let path = format!("{}?lim={wrong}", ada.here().history_path());
        let answer = ting.get(&path).await;
        // A number above the limit is the limit, however large.
        if wrong.starts_with('9') {
            assert!(matches!(answer.status, 200 | 400), "{}", answer.text);
        } else {
            answer.refused(400, "invalid");
        }
    }
}

#[tokio::test]
async fn a_hundred_by_default_and_a_thousand_at_most() {
    let ting = Ting::shared().await;
    let room = ting.room().await;
    let (name, auth) = ting.signs_in("ada").await;
    let path = room.target().history_path().replace("/api/", "/restapi/");
    let brought = (0..1_050).map(|n| {
        let body = json!({ "text": format!("{n}"), "username": name, "datetime_start": 1, "typing": false });
        let ask = ting.post(&path).privileged().json(&body);
        async move { ask.await.is(200) }
    });
    use futures::StreamExt;
    futures::stream::iter(brought)
        .buffer_unordered(16)
        .count()
        .await;
    assert_eq!(ting.history(&auth, &room.target(), "").await.len(), 100);
    assert_eq!(
        ting.history(&auth, &room.target(), "?lim=1000").await.len(),
        1_000
    );
    let most = ting.history(&auth, &room.target(), "?lim=4000").await;
    assert_eq!(most.len(), 1_000);
    assert!(most.is_sorted_by_key(|m| std::cmp::Reverse(m["id"].as_u64())));
}

#[tokio::test]
async fn pages_follow_one_another_by_before() {
    let ting = Ting::shared().await;
    let ada = ting.room().await.person("ada").await;
    let said: Vec<u64> = says_many(&ada, 7)
        .await
        .iter()
        .map(|ghost| ghost.id)
        .collect();
    let (mut read, mut query) = (Vec::new(), "?lim=3".to_owned());
    for more in [true, true, false] {
        let path = format!("{}{query}", ada.here().history_path());
        let answer = ting.get(&path).await.is(200);
        assert_eq!(
            answer.header("ting-more"),
            Some(if more { "true" } else { "false" })
        );
        let page = answer.json();
        read.extend(ids(page.as_array().unwrap()));
        query = format!("?lim=3&before={}", read.last().unwrap());
    }
    assert_eq!(read, said.into_iter().rev().collect::<Vec<_>>());
}

#[tokio::test]
async fn after_and_before_bound_both_ends_and_the_newest_win() {
    let ting = Ting::shared().await;
    let ada = ting.room().await.person("ada").await;
    let said: Vec<u64> = says_many(&ada, 6)
        .await
        .iter()
        .map(|ghost| ghost.id)
        .collect();
    let after = ada.reads(&format!("?after={}", said[3])).await;
    assert_eq!(ids(&after), [said[5], said[4]]);
    let both = ada
        .reads(&format!("?after={}&before={}&lim=2", said[0], said[5]))
        .await;
    assert_eq!(ids(&both), [said[4], said[3]]);
    for wrong in ["after=x", "before=-1", "after="] {
        let path = format!("{}?{wrong}", ada.here().history_path());
        ting.get(&path).await.refused(400, "invalid");
    }
}

#[tokio::test]
async fn what_is_being_typed_is_on_the_page_where_its_place_is() {
    let ting = Ting::shared().await;
    let room = ting.room().await;
    let [ada, bob] = room.people(["ada", "bob"]).await;
    let first = ada.says("first").await.id;
    let open = bob.types("between").await.id;
    let last = ada.says("last").await.id;
    for (query, expected, more) in [
        ("".to_owned(), vec![last, open, first], "false"),
        ("?lim=2".to_owned(), vec![last, open], "true"),
        ("?lim=1".to_owned(), vec![last], "true"),
        (format!("?before={last}"), vec![open, first], "false"),
        (format!("?before={last}&lim=1"), vec![open], "true"),
        (format!("?before={open}"), vec![first], "false"),
        (format!("?after={first}"), vec![last, open], "false"),
        // Only what is being typed is more.
        (format!("?after={first}&lim=1"), vec![last], "true"),
        (format!("?after={open}"), vec![last], "false"),
        (format!("?after={open}&lim=1"), vec![last], "false"),
        (format!("?after={open}&before={last}"), vec![], "false"),
        (format!("?after={first}&before={last}"), vec![open], "false"),
    ] {
        let path = format!("{}{query}", ada.here().history_path());
        let answer = ting.get(&path).await.is(200);
        assert_eq!(
            ids(answer.json().as_array().unwrap()),
            expected,
            "{query}: {}",
            answer.text
        );
        assert_eq!(answer.header("ting-more"), Some(more), "{query}");
    }
}

#[tokio::test]
async fn erased_messages_leave_no_trace() {
    let ting = Ting::shared().await;
    let ada = ting.room().await.person("ada").await;
    let ghost = ada.types("never mind").await;
    ada.erases(&ghost).await;
    assert_eq!(ada.reads("").await, Vec::<serde_json::Value>::new());
}

#[tokio::test]
async fn a_channel_is_read_without_a_session_and_one_that_is_not_there_is_404() {
    let ting = Ting::shared().await;
    let room = ting.room().await;
    let path = room.target().history_path();
    assert_eq!(ting.get(&path).await.is(200).json(), json!([]));
    let unknown = format!("/restapi/v1/messages/channel/{}", names::unique("none"));
    ting.get(&unknown).await.refused(404, "not_found");
}

#[tokio::test]
async fn both_apis_answer_alike() {
    let ting = Ting::shared().await;
    let ada = ting.room().await.person("ada").await;
    ada.says("once").await;
    ada.says("twice").await;
    let path = format!("{}?lim=1", ada.here().history_path());
    let real_time = ting.get(&path).cookie(&ada.auth).await.is(200);
    let restful = ting
        .get(&path.replace("/api/", "/restapi/"))
        .cookie(&ada.auth)
        .await
        .is(200);
    assert_eq!(real_time.json(), restful.json());
    assert_eq!(real_time.header("ting-more"), restful.header("ting-more"));
    assert_eq!(real_time.header("ting-more"), Some("true"));
    // Privileged ones too: nothing is elevated on the way.
    let body = json!({ "text": "x", "username": "ada", "datetime_start": 1, "typing": false });
    ting.post(&ada.here().history_path())
        .json(&body)
        .await
        .refused(401, "unauthorized");
    ting.post(&ada.here().history_path())
        .privileged()
        .json(&body)
        .await
        .is(200);
}

#[tokio::test]
async fn an_unknown_type_is_no_path() {
    let ting = Ting::shared().await;
    let answer = ting.get("/restapi/v1/messages/group/ting").await;
    assert!(
        matches!(answer.status, 400 | 404),
        "{} {}",
        answer.status,
        answer.text
    );
    answer.json();
}

#[tokio::test]
async fn what_is_sent_is_there_after_a_restart() {
    let ting = Ting::alone().await;
    let room = ting.room().await;
    let ada = room.person("ada").await;
    let said = says_many(&ada, 3).await;
    let before = ada.reads("").await;
    ting.process().restart();
    assert_eq!(ada.reads("").await, before);
    assert_eq!(before.len(), said.len());
    // The sign-in is still one, too.
    let me = ting
        .get("/restapi/v1/sessions")
        .cookie(&ada.auth)
        .await
        .is(200);
    assert_eq!(me.field("username"), ada.name);
}
