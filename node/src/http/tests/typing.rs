//! Messages that are typed by HTTP.

use super::*;

/// A message is typed for so long at most, in milliseconds.
const TYPED_MAX: i64 = 15 * 60_000;

const PATH: &str = "/api/v1/message";

#[tokio::test]
async fn what_is_gone_on_with_after_fifteen_minutes_begins_anew() {
    let node = Node::start().await;
    let cookie = node.signs_in("ada").await;
    let by = [(header::COOKIE, cookie.as_str())];
    let mut body = json!({"type": "channel", "target": "ting", "text": "h"});
    let old = node.ask(Method::POST, PATH, &by, Some(body.clone())).await;
    assert_eq!(old.status, StatusCode::OK, "{}", old.body);
    let old = &old.body;

    let node = node.restarted_after(TYPED_MAX + 1_000).await;
    body["messageid"] = old["messageid"].clone();
    body["claim"] = old["claim"].clone();
    body["typing"] = json!(true);
    let anew = node.ask(Method::PATCH, PATH, &by, Some(body.clone())).await;
    assert_eq!(anew.status, StatusCode::OK, "{}", anew.body);
    let (id, claim) = (&anew.body["messageid"], &anew.body["claim"]);
    assert!(id.as_u64() > old["messageid"].as_u64(), "{id}");
    assert!(claim.is_string() && *claim != old["claim"], "{claim}");
    assert_eq!(anew.body, json!({"messageid": id, "claim": claim}));

    // The old id stands for the new one, and the new one for itself.
    body["typing"] = json!(false);
    body["text"] = json!("hello");
    let sent = node.ask(Method::PATCH, PATH, &by, Some(body.clone())).await;
    assert_eq!((sent.status, &sent.body["messageid"]), (StatusCode::OK, id));
    body["messageid"] = id.clone();
    body["claim"] = claim.clone();
    let again = node.ask(Method::PATCH, PATH, &by, Some(body)).await;
    assert_eq!(again.status, StatusCode::NO_CONTENT, "{}", again.body);
    let history = node.get("/api/v1/messages/channel/ting").await.body;
    assert_eq!(history.as_array().unwrap().len(), 1, "{history}");
    assert_eq!(
        (&history[0]["id"], &history[0]["text"]),
        (id, &json!("hello"))
    );
    let secret = [(header::AUTHORIZATION, "s3cret")];
    let path = format!("/restapi/v1/messages/{}", old["messageid"]);
    let change = json!({"text": "x", "typing": true});
    let privileged = node.ask(Method::PATCH, &path, &secret, Some(change)).await;
    privileged.is(404, "not_found");
}

#[tokio::test]
async fn what_is_gone_on_with_in_time_goes_on_after_a_restart_too() {
    let node = Node::start().await;
    let cookie = node.signs_in("ada").await;
    let by = [(header::COOKIE, cookie.as_str())];
    let mut body = json!({"type": "channel", "target": "ting", "text": "h"});
    let begun = node.ask(Method::POST, PATH, &by, Some(body.clone())).await;
    let node = node.restarted_after(TYPED_MAX - 60_000).await;
    body["messageid"] = begun.body["messageid"].clone();
    body["claim"] = begun.body["claim"].clone();
    body["typing"] = json!(true);
    let same = node.ask(Method::PATCH, PATH, &by, Some(body)).await;
    assert_eq!(same.status, StatusCode::NO_CONTENT, "{}", same.body);
}
