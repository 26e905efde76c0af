//! What only a caller with the shared secret may do.

use serde_json::{Value, json};
use tests::{Ghost, Room, Settings, Target, Ting, names};

const MESSAGES: &str = "/restapi/v1/messages";

async fn brings(room: &Room, body: Value) -> Ghost {
    let path = format!("{MESSAGES}/channel/{}", room.name());
    let answer = room
        .ting()
        .post(&path)
        .privileged()
        .json(&body)
        .await
        .is(200);
    Ghost::of(id_in(&answer.json()), "", &room.target())
}

/// The id, as the answer tells it.
fn id_in(answer: &Value) -> u64 {
    let id = answer
        .as_u64()
        .or_else(|| answer["messageid"].as_u64())
        .or_else(|| answer["id"].as_u64());
    id.unwrap_or_else(|| panic!("{answer} has no id"))
}

fn message(text: &str, typing: bool) -> Value {
    json!({ "text": text, "username": "bridge", "datetime_start": 1_000_000_000_000_u64, "typing": typing })
}

#[tokio::test]
async fn without_the_secret_nothing_is_looked_up() {
    let ting = Ting::shared().await;
    let (_, auth) = ting.signs_in("ada").await;
    let none = names::unique("none");
    for secret in [None, Some("guess"), Some(""), Some("Bearer guess")] {
        for ask in [
            ting.post(&format!("{MESSAGES}/channel/ting"))
                .json(&message("x", false)),
            ting.post(&format!("{MESSAGES}/channel/{none}"))
                .json(&message("x", false)),
            ting.post(&format!("{MESSAGES}/channel/ting"))
                .body("application/json", "{"),
            ting.patch(&format!("{MESSAGES}/1"))
                .json(&json!({ "text": "x", "typing": true })),
            ting.delete(&format!("{MESSAGES}/1")),
            ting.get(&format!("/restapi/v1/sessions/{none}")),
        ] {
            let ask = match secret {
                Some(secret) => ask.header("authorization", secret),
                None => ask.cookie(&auth),
            };
            ask.await.refused(401, "unauthorized");
        }
    }
}

#[tokio::test]
async fn with_no_secret_configured_all_are_refused() {
    let ting = Ting::with(Settings::default().without("api.secret")).await;
    let post = || {
        ting.post(&format!("{MESSAGES}/channel/ting"))
            .json(&message("x", false))
    };
    post().privileged().await.refused(401, "unauthorized");
    post()
        .header("authorization", "")
        .await
        .refused(401, "unauthorized");
    post().await.refused(401, "unauthorized");
}

#[tokio::test]
async fn a_message_is_brought_in_and_its_place_is_now() {
    let ting = Ting::shared().await;
    let room = ting.room().await;
    let bob = room.person("bob").await;
    let before = bob.says("before").await;
    let brought = brings(&room, message("from elsewhere", false)).await;
    bob.sees_sent(&brought, "from elsewhere").await;
    bob.is_told(&brought).await;
    assert!(brought.id > before.id, "whatever it says of its start");
    let kept = bob.finds(&brought).await;
    let expected = json!({
        "id": brought.id, "text": "from elsewhere", "username": "bridge",
        "datetime_start": 1_000_000_000_000_u64, "datetime_sent": 1_000_000_000_000_u64,
        "typing": false,
    });
    assert_eq!(kept, expected);
}

#[tokio::test]
async fn a_start_in_the_future_becomes_now() {
    let ting = Ting::shared().await;
    let room = ting.room().await;
    let bob = room.person("bob").await;
    let said = bob.says("now").await;
    let now = bob.finds(&said).await["datetime_sent"].as_u64().unwrap();
    let mut body = message("from tomorrow", false);
    body["datetime_start"] = json!(now + 86_400_000);
    let brought = brings(&room, body).await;
    let start = bob.finds(&brought).await["datetime_start"]
        .as_u64()
        .unwrap();
    assert!(start.abs_diff(now) < 60_000, "{start} is not now, {now}");
}

#[tokio::test]
async fn the_author_is_a_valid_name_and_in_a_private_somebody() {
    let ting = Ting::shared().await;
    let room = ting.room().await;
    let path = format!("{MESSAGES}/channel/{}", room.name());
    for (name, code) in [
        ("", "empty"),
        ("a b", "chars"),
        ("aaaaaaaaaaaaaaaaaaaaa", "length"),
    ] {
        let mut body = message("x", false);
        body["username"] = json!(name);
        let answer = ting.post(&path).privileged().json(&body).await.is(400);
        assert!(["invalid", code].contains(&answer.field("error").as_str().unwrap()));
    }
    let (ada, auth) = ting.signs_in("ada").await;
    let private = format!("{MESSAGES}/user/{ada}");
    let nobody = ting
        .post(&private)
        .privileged()
        .json(&message("x", false))
        .await;
    assert!(
        matches!(nobody.status, 400 | 404),
        "{} {}",
        nobody.status,
        nobody.text
    );
    let (bob, _) = ting.signs_in("bob").await;
    let mut body = message("in private", false);
    body["username"] = json!(bob);
    let to_nobody = format!("{MESSAGES}/user/{}", names::unique("nobody"));
    ting.post(&to_nobody)
        .privileged()
        .json(&body)
        .await
        .refused(404, "not_found");
    ting.post(&private).privileged().json(&body).await.is(200);
    let history = ting.history(&auth, &Target::user(&bob), "").await;
    assert_eq!(history.len(), 1);
    assert_eq!(
        (&history[0]["username"], &history[0]["text"]),
        (&json!(bob), &json!("in private"))
    );
}

#[tokio::test]
async fn what_is_wrong_is_refused_in_words() {
    let ting = Ting::shared().await;
    let room = ting.room().await;
    let unknown = format!("{MESSAGES}/channel/{}", names::unique("none"));
    ting.post(&unknown)
        .privileged()
        .json(&message("x", false))
        .await
        .refused(404, "not_found");
    let path = format!("{MESSAGES}/channel/{}", room.name());
    let post = |body: Value| ting.post(&path).privileged().json(&body);
    post(message(" ", false)).await.refused(400, "empty");
    post(message(&"x".repeat(2_001), false))
        .await
        .refused(400, "length");
    for (key, value) in [
        ("text", json!(7)),
        ("typing", json!("perhaps")),
        ("datetime_start", json!("yesterday")),
        ("username", json!(null)),
    ] {
        let mut body = message("x", false);
        body[key] = value;
        post(body).await.refused(400, "invalid");
    }
}

#[tokio::test]
async fn a_ghost_brought_in_is_typed_on_and_sent_by_patch() {
    let ting = Ting::shared().await;
    let room = ting.room().await;
    let bob = room.person("bob").await;
    let ghost = brings(&room, message("fr", true)).await;
    let shown = bob.sees(&ghost, "fr").await;
    assert_eq!(shown["username"], "bridge");
    let path = format!("{MESSAGES}/{}", ghost.id);
    let on = ting
        .patch(&path)
        .privileged()
        .json(&json!({ "text": "from", "typing": true }));
    assert_eq!(on.await.is(204).text, "");
    bob.sees(&ghost, "from").await;
    // Sent before it began: the start.
    let send = json!({ "text": "from afar", "typing": false, "datetime_sent": 1 });
    ting.patch(&path).privileged().json(&send).await.is(204);
    bob.sees_sent(&ghost, "from afar").await;
    let kept = bob.finds(&ghost).await;
    assert_eq!(kept["datetime_sent"], kept["datetime_start"]);
    let again = json!({ "text": "changed", "typing": false });
    ting.patch(&path)
        .privileged()
        .json(&again)
        .await
        .refused(400, "sent");
    assert_eq!(bob.finds(&ghost).await["text"], "from afar");
}

#[tokio::test]
async fn a_persons_message_may_be_changed_and_sent_too() {
    let ting = Ting::shared().await;
    let room = ting.room().await;
    let [ada, bob] = room.people(["ada", "bob"]).await;
    let ghost = ada.types("he").await;
    let path = format!("{MESSAGES}/{}", ghost.id);
    let body = json!({ "text": "hello", "typing": false });
    ting.patch(&path).privileged().json(&body).await.is(204);
    bob.sees_sent(&ghost, "hello").await;
    assert_eq!(bob.finds(&ghost).await["username"], ada.name);
}

#[tokio::test]
async fn deleting_is_shown_to_viewers_whether_sent_or_not() {
    let ting = Ting::shared().await;
    let room = ting.room().await;
    let [ada, bob] = room.people(["ada", "bob"]).await;
    let sent = ada.says("sent").await;
    let typed = ada.types("typed").await;
    bob.sees_sent(&sent, "sent").await;
    bob.sees(&typed, "typed").await;
    for ghost in [&sent, &typed] {
        let path = format!("{MESSAGES}/{}", ghost.id);
        assert_eq!(ting.delete(&path).privileged().await.is(204).text, "");
        bob.no_longer_sees(ghost).await;
        ting.delete(&path)
            .privileged()
            .await
            .refused(404, "not_found");
        let patch = json!({ "text": "back", "typing": true });
        ting.patch(&path)
            .privileged()
            .json(&patch)
            .await
            .refused(404, "not_found");
    }
    assert!(bob.reads("").await.is_empty());
}

#[tokio::test]
async fn unknown_messages_are_404_and_no_ids_are_no_paths() {
    let ting = Ting::shared().await;
    let patch = json!({ "text": "x", "typing": true });
    for id in ["1", "9007199254740991"] {
        let path = format!("{MESSAGES}/{id}");
        ting.patch(&path)
            .privileged()
            .json(&patch)
            .await
            .refused(404, "not_found");
        ting.delete(&path)
            .privileged()
            .await
            .refused(404, "not_found");
    }
    for id in ["abc", "-1", "9007199254740993000"] {
        let path = format!("{MESSAGES}/{id}");
        let patched = ting.patch(&path).privileged().json(&patch).await;
        let deleted = ting.delete(&path).privileged().await;
        for answer in [patched, deleted] {
            assert!(
                matches!(answer.status, 400 | 404),
                "{} {}",
                answer.what,
                answer.status
            );
            answer.json();
        }
    }
}

/// Takes a minute, so it is part of the long run.
#[tokio::test]
#[ignore = "waits a minute for a message to expire"]
async fn a_ghost_brought_in_is_erased_after_a_minute_without_a_patch() {
    let ting = Ting::shared().await;
    let room = ting.room().await;
    let bob = room.person("bob").await;
    let ghost = brings(&room, message("left alone", true)).await;
    bob.sees(&ghost, "left alone").await;
    let erased = async {
        while bob
            .entries(ghost.id)
            .iter()
            .all(|entry| entry["text"] != "")
        {
            tokio::time::sleep(std::time::Duration::from_millis(250)).await;
        }
    };
    let limit = std::time::Duration::from_secs(60) + tests::LIMIT;
    tokio::time::timeout(limit, erased)
        .await
        .expect("it is erased after a minute");
}
