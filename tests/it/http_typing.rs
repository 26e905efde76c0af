//! `POST` and `PATCH /api/v1/message`: statuses and bodies as written.

use serde_json::json;
use tests::{Ting, names};

#[tokio::test]
async fn both_need_a_session() {
    let ting = Ting::shared().await;
    let room = ting.room().await;
    let post = json!({ "type": "channel", "target": room.name(), "text": "hello" });
    ting.post("/api/v1/message")
        .json(&post)
        .await
        .refused(403, "forbidden");
    ting.post("/api/v1/message")
        .cookie("wrong")
        .json(&post)
        .await
        .refused(403, "forbidden");
    let patch = json!({
        "type": "channel", "target": room.name(), "text": "hello", "messageid": 1, "typing": true,
    });
    ting.patch("/api/v1/message")
        .json(&patch)
        .await
        .refused(403, "forbidden");
    // Never a username in a body, and the shared secret signs nobody in.
    let (name, _) = ting.signs_in("ada").await;
    let mut named = post.clone();
    named["username"] = name.into();
    let answer = ting.post("/api/v1/message").privileged().json(&named).await;
    assert_eq!(answer.status, 403, "{}", answer.text);
}

#[tokio::test]
async fn a_post_answers_the_id_and_a_patch_answers_nothing() {
    let ting = Ting::shared().await;
    let room = ting.room().await;
    let (_, auth) = ting.signs_in("ada").await;
    let post = json!({ "type": "channel", "target": room.name(), "text": "he" });
    let answer = ting
        .post("/api/v1/message")
        .cookie(&auth)
        .json(&post)
        .await
        .is(200);
    let body = answer.json();
    let mut keys: Vec<_> = body.as_object().unwrap().keys().collect();
    keys.sort();
    assert_eq!(keys, ["claim", "messageid"]);
    assert!(body["claim"].is_string());
    let patch = json!({
        "type": "channel", "target": room.name(), "text": "hel", "typing": true,
        "messageid": answer.messageid(),
    });
    let patched = ting
        .patch("/api/v1/message")
        .cookie(&auth)
        .json(&patch)
        .await
        .is(204);
    assert_eq!(patched.text, "");
}

#[tokio::test]
async fn typing_false_types_and_sends_in_one_request() {
    let ting = Ting::shared().await;
    let room = ting.room().await;
    let bob = room.person("bob").await;
    let (_, auth) = ting.signs_in("ada").await;
    let post =
        json!({ "type": "channel", "target": room.name(), "text": "at once", "typing": false });
    let answer = ting
        .post("/api/v1/message")
        .bearer(&auth)
        .json(&post)
        .await
        .is(200);
    let ghost = tests::Ghost::of(answer.messageid(), "", &room.target());
    bob.sees_sent(&ghost, "at once").await;
    bob.is_told(&ghost).await;
    assert_eq!(bob.finds(&ghost).await["typing"], false);
}

#[tokio::test]
async fn a_form_types_as_well_as_json() {
    let ting = Ting::shared().await;
    let room = ting.room().await;
    let bob = room.person("bob").await;
    let (_, auth) = ting.signs_in("ada").await;
    let post = [
        ("type", "channel"),
        ("target", room.name()),
        ("text", "hello & λ"),
    ];
    let answer = ting
        .post("/api/v1/message")
        .cookie(&auth)
        .form(&post)
        .await
        .is(200);
    let ghost = tests::Ghost::of(answer.messageid(), "", &room.target());
    bob.sees(&ghost, "hello & λ").await;
    let id = ghost.id.to_string();
    let patch = |typing| {
        [
            ("type", "channel"),
            ("target", room.name()),
            ("text", "+1 = 100%"),
            ("messageid", &id),
            ("typing", typing),
        ]
    };
    ting.patch("/api/v1/message")
        .cookie(&auth)
        .form(&patch("true"))
        .await
        .is(204);
    bob.sees(&ghost, "+1 = 100%").await;
    ting.patch("/api/v1/message")
        .cookie(&auth)
        .form(&patch("false"))
        .await
        .is(204);
    bob.sees_sent(&ghost, "+1 = 100%").await;
}

#[tokio::test]
async fn the_operations_are_where_the_seed_puts_them() {
    let ting = Ting::shared().await;
    let (_, auth) = ting.signs_in("ada").await;
    let body = json!({ "type": "channel", "target": "ting", "text": "x" });
    let elsewhere = ting
        .post("/restapi/v1/message")
        .cookie(&auth)
        .json(&body)
        .await;
    assert!(
        matches!(elsewhere.status, 404 | 405),
        "{}",
        elsewhere.status
    );
    let trailing = ting
        .post("/api/v1/message/")
        .cookie(&auth)
        .json(&body)
        .await
        .is(200);
    let id = trailing.messageid();
    let erase =
        json!({ "type": "channel", "target": "ting", "text": "", "typing": true, "messageid": id });
    ting.patch("/api/v1/message/")
        .cookie(&auth)
        .json(&erase)
        .await
        .is(204);
}

#[tokio::test]
async fn a_message_of_somebody_who_signed_out_is_forbidden() {
    let ting = Ting::shared().await;
    let room = ting.room().await;
    let (_, auth) = ting.signs_in("ada").await;
    let post = json!({ "type": "channel", "target": room.name(), "text": "he" });
    let id = ting
        .post("/api/v1/message")
        .cookie(&auth)
        .json(&post)
        .await
        .is(200)
        .messageid();
    ting.delete("/restapi/v1/sessions")
        .cookie(&auth)
        .await
        .is(204);
    let patch = json!({
        "type": "channel", "target": room.name(), "text": "hello", "typing": false, "messageid": id,
    });
    ting.patch("/api/v1/message")
        .cookie(&auth)
        .json(&patch)
        .await
        .refused(403, "forbidden");
}

#[tokio::test]
async fn a_channel_is_spelt_as_it_is() {
    let ting = Ting::shared().await;
    let room = ting.room().await;
    let (_, auth) = ting.signs_in("ada").await;
    let other_case = names::unique("x").to_uppercase();
    for target in [room.name().to_uppercase(), other_case] {
        let post = json!({ "type": "channel", "target": target, "text": "he" });
        ting.post("/api/v1/message")
            .cookie(&auth)
            .json(&post)
            .await
            .refused(404, "not_found");
    }
}
