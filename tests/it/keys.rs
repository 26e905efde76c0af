//! A client's own idempotency key.

use serde_json::{Value, json};
use tests::{Person, Ting, names};

fn with_key(person: &Person, key: &str, text: &str, typing: bool) -> Value {
    let to = person.here();
    json!({ "type": to.kind, "target": to.target, "text": text, "key": key, "typing": typing })
}

#[tokio::test]
async fn a_repeated_send_with_its_key_is_one_message() {
    let ting = Ting::shared().await;
    let room = ting.room().await;
    for ada in [room.person("full").await, room.seed_person("seed").await] {
        let key = names::unique("key");
        let first = ada.posts(with_key(&ada, &key, "once", false)).await;
        let again = ada.posts(with_key(&ada, &key, "once", false)).await;
        assert_eq!(first["status"], 200, "{first}");
        assert_eq!(first["messageid"], again["messageid"]);
        assert_eq!(again["status"], 200);
        let history = ada.reads("").await;
        let found = history
            .iter()
            .filter(|m| m["username"] == *ada.name)
            .count();
        assert_eq!(found, 1, "{history:?}");
    }
}

#[tokio::test]
async fn repeats_at_the_same_time_are_one_message_too() {
    let ting = Ting::shared().await;
    let room = ting.room().await;
    let ada = room.person("ada").await;
    let key = names::unique("key");
    let asked = (0..10).map(|n| {
        let body = with_key(&ada, &key, "once", false);
        let by_http = ting.post("/api/v1/message").bearer(&ada.auth).json(&body);
        let ada = &ada;
        async move {
            if n % 2 == 0 {
                return ada.posts(body).await["messageid"].as_u64();
            }
            Some(by_http.await.is(200).messageid())
        }
    });
    let ids = futures::future::join_all(asked).await;
    assert!(
        ids[0].is_some() && ids.iter().all(|id| id == &ids[0]),
        "{ids:?}"
    );
    assert_eq!(ada.reads("").await.len(), 1);
}

#[tokio::test]
async fn a_key_is_its_users_own() {
    let ting = Ting::shared().await;
    let room = ting.room().await;
    let [ada, bob] = room.people(["ada", "bob"]).await;
    let key = names::unique("key");
    let one = ada.posts(with_key(&ada, &key, "mine", false)).await;
    let other = bob.posts(with_key(&bob, &key, "mine too", false)).await;
    assert_ne!(one["messageid"], other["messageid"]);
    assert_eq!(ada.reads("").await.len(), 2);
}

#[tokio::test]
async fn a_key_holds_while_its_message_is_open() {
    let ting = Ting::shared().await;
    let room = ting.room().await;
    let ada = room.person("ada").await;
    let key = names::unique("key");
    let first = ada.posts(with_key(&ada, &key, "he", true)).await;
    let again = ada.posts(with_key(&ada, &key, "he", true)).await;
    assert_eq!(first["status"], 200, "{first}");
    assert_eq!(first["messageid"], again["messageid"]);
    assert_eq!(ada.reads("").await.len(), 1);
    let ghost = tests::Ghost::of(first["messageid"].as_u64().unwrap(), "", ada.here());
    let erase = json!({
        "type": "channel", "target": room.name(), "messageid": ghost.id, "text": "", "typing": true,
    });
    assert_eq!(ada.patches(erase).await["status"], 204);
    let anew = ada.posts(with_key(&ada, &key, "he", true)).await;
    assert_ne!(first["messageid"], anew["messageid"]);
}

#[tokio::test]
async fn a_key_holds_after_a_restart() {
    let ting = Ting::alone().await;
    let room = ting.room().await;
    let mut ada = room.person("ada").await;
    let key = names::unique("key");
    let first = ada.posts(with_key(&ada, &key, "once", false)).await;
    ting.process().restart();
    ada.reconnects().await;
    let again = ada.posts(with_key(&ada, &key, "once", false)).await;
    assert_eq!(first["messageid"], again["messageid"]);
    assert_eq!(ada.reads("").await.len(), 1);
}

#[tokio::test]
async fn a_key_has_1_to_64_characters() {
    let ting = Ting::shared().await;
    let room = ting.room().await;
    for ada in [room.person("full").await, room.seed_person("seed").await] {
        let right = ada.posts(with_key(&ada, &"λ".repeat(64), "x", false)).await;
        assert_eq!(right["status"], 200, "{right}");
        for wrong in [String::new(), "k".repeat(65)] {
            let refused = ada.posts(with_key(&ada, &wrong, "x", false)).await;
            assert_eq!(refused["status"], 400, "{refused}");
            assert!(refused["error"].is_string());
        }
        let mut number = with_key(&ada, "", "x", false);
        number["key"] = json!(7);
        assert_eq!(ada.posts(number).await["status"], 400);
    }
}
