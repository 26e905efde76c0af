//! `post-message` and `patch-message`: the same two operations on the socket.

use serde_json::json;
use tests::Ting;

#[tokio::test]
async fn they_are_acknowledged_with_the_answers_body_and_its_status() {
    let ting = Ting::shared().await;
    let room = ting.room().await;
    let ada = room.person("ada").await;
    let post = json!({ "type": "channel", "target": room.name(), "text": "he" });
    let posted = ada.asks("post-message", post).await;
    let mut keys: Vec<_> = posted.as_object().unwrap().keys().collect();
    keys.sort();
    assert_eq!(keys, ["claim", "messageid", "status"]);
    assert_eq!(posted["status"], 200);
    let patch = json!({
        "type": "channel", "target": room.name(), "text": "hel", "typing": true,
        "messageid": posted["messageid"],
    });
    assert_eq!(
        ada.asks("patch-message", patch).await,
        json!({ "status": 204 })
    );
    let wrong = json!({ "type": "channel", "target": room.name(), "text": "" });
    let refused = ada.asks("post-message", wrong).await;
    assert_eq!(refused, json!({ "status": 400, "error": "empty" }));
}

#[tokio::test]
async fn what_is_malformed_is_acknowledged_with_an_error() {
    let ting = Ting::shared().await;
    let room = ting.room().await;
    let ada = room.person("ada").await;
    for event in ["post-message", "patch-message", "enter", "leave"] {
        for argument in [
            json!(null),
            json!(7),
            json!("x"),
            json!([]),
            json!({}),
            json!({ "type": 1 }),
        ] {
            let answer = ada.asks(event, argument.clone()).await;
            assert!(answer["error"].is_string(), "{event} {argument}: {answer}");
        }
    }
    // Nobody is thrown out for it.
    let ghost = ada.types("still here").await;
    ada.sees(&ghost, "still here").await;
}

#[tokio::test]
async fn what_is_malformed_and_asks_for_nothing_is_ignored_and_counted() {
    let ting = Ting::alone().await;
    let room = ting.room().await;
    let ada = room.person("ada").await;
    let before = ting.metrics().await.sum("ting_events_refused_total");
    let events = [
        "post-message",
        "patch-message",
        "enter",
        "leave",
        "unheard-of",
    ];
    let arguments = [
        json!(null),
        json!(7),
        json!([]),
        json!({}),
        json!({ "type": [] }),
    ];
    for argument in &arguments {
        for event in events {
            ada.emit(event, argument.clone()).await;
        }
    }
    let ghost = ada.types("still here").await;
    ada.sees(&ghost, "still here").await;
    let refused = ting.metrics().await.sum("ting_events_refused_total") - before;
    assert_eq!(refused, (events.len() * arguments.len()) as f64);
}

#[tokio::test]
async fn one_sockets_operations_are_carried_out_in_the_order_sent() {
    let ting = Ting::shared().await;
    let room = ting.room().await;
    let [ada, bob] = room.people(["ada", "bob"]).await;
    for _ in 0..5 {
        let ghost = ada.types("0").await;
        // None is waited for, and none has a count.
        for n in 1..=40 {
            let patch = json!({
                "type": "channel", "target": room.name(), "messageid": ghost.id,
                "text": n.to_string(), "typing": n < 40,
            });
            ada.emit("patch-message", patch).await;
        }
        bob.sees_sent(&ghost, "40").await;
        let shown = bob.entries(ghost.id);
        let numbers: Vec<u32> = shown
            .iter()
            .map(|entry| entry["text"].as_str().unwrap().parse().unwrap())
            .collect();
        assert!(numbers.is_sorted(), "{numbers:?}");
    }
}

#[tokio::test]
async fn they_need_a_login() {
    let ting = Ting::shared().await;
    let connection = ting.connection().await;
    let post = json!({ "type": "channel", "target": "ting", "text": "he" });
    let answer = connection.asks("post-message", post).await;
    assert!(answer["error"].is_string(), "{answer}");
    assert_eq!(answer.get("messageid"), None);
}

#[tokio::test]
async fn a_message_may_change_between_socket_and_http() {
    let ting = Ting::shared().await;
    let room = ting.room().await;
    let [ada, bob] = room.people(["ada", "bob"]).await;
    let ghost = ada.types("on the socket").await;
    let patch = json!({
        "type": "channel", "target": room.name(), "messageid": ghost.id, "text": "by HTTP",
        "typing": true,
    });
    ting.patch("/api/v1/message")
        .bearer(&ada.auth)
        .json(&patch)
        .await
        .is(204);
    bob.sees(&ghost, "by HTTP").await;
    ada.goes_on(&ghost, "on the socket again").await;
    bob.sees(&ghost, "on the socket again").await;
    ada.sends(&ghost, "done").await;
    bob.sees_sent(&ghost, "done").await;
}
