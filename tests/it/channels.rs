//! Channels: made by anybody, found by name.

use serde_json::json;
use tests::{Ting, names};

#[tokio::test]
async fn ting_always_exists() {
    let ting = Ting::shared().await;
    let answer = ting.get("/restapi/v1/channels/ting").await.is(200);
    assert_eq!(answer.json(), json!({ "name": "ting" }));
    let again = ting
        .post("/restapi/v1/channels")
        .json(&json!({ "name": "ting" }))
        .await;
    again.refused(409, "exists");
}

#[tokio::test]
async fn a_channel_is_made_without_privilege_and_found() {
    let ting = Ting::shared().await;
    let name = names::unique("room");
    for path in [
        format!("/restapi/v1/channels/{name}"),
        format!("/restapi/v1/channels?name={name}"),
    ] {
        ting.get(&path).await.refused(404, "not_found");
    }
    let made = ting
        .post("/restapi/v1/channels")
        .json(&json!({ "name": name }))
        .await
        .is(204);
    assert_eq!(made.text, "");
    for path in [
        format!("/restapi/v1/channels/{name}"),
        format!("/restapi/v1/channels?name={name}"),
        format!("/restapi/v1/channels/{name}/"),
        format!("/api/v1/channels/{name}"),
        format!("/api/v1/channels?name={name}"),
    ] {
        assert_eq!(
            ting.get(&path).await.is(200).json(),
            json!({ "name": name }),
            "{path}"
        );
    }
    let again = ting
        .post("/restapi/v1/channels")
        .json(&json!({ "name": name }))
        .await;
    again.refused(409, "exists");
}

#[tokio::test]
async fn a_channel_is_made_through_the_real_time_api_too() {
    let ting = Ting::shared().await;
    let name = names::unique("room");
    ting.post("/api/v1/channels")
        .json(&json!({ "name": name }))
        .await
        .is(204);
    ting.get(&format!("/restapi/v1/channels/{name}"))
        .await
        .is(200);
}

#[tokio::test]
async fn the_names_of_channels_have_their_own_letters() {
    let ting = Ting::shared().await;
    let unique = names::unique("");
    for name in [format!("Az_.{unique}"), "a".to_owned() + &unique] {
        ting.post("/restapi/v1/channels")
            .json(&json!({ "name": name }))
            .await
            .is(204);
        ting.get(&format!("/restapi/v1/channels/{name}"))
            .await
            .is(200);
    }
    for (name, code) in [
        ("", "empty"),
        ("aaaaaaaaaaaaaaaaaaaaa", "length"),
        ("a b", "chars"),
        ("a/b", "chars"),
        ("λ", "chars"),
        (".", "chars"),
        ("..", "chars"),
        ("....", "chars"),
        ("a#b", "chars"),
    ] {
        let asked = ting
            .post("/restapi/v1/channels")
            .json(&json!({ "name": name }));
        asked.await.refused(400, code);
    }
}

#[tokio::test]
async fn two_channels_may_differ_by_case() {
    let ting = Ting::shared().await;
    let name = names::unique("room");
    for name in [name.clone(), name.to_uppercase()] {
        ting.post("/restapi/v1/channels")
            .json(&json!({ "name": name }))
            .await
            .is(204);
    }
}

#[tokio::test]
async fn of_many_who_make_a_channel_at_once_one_does() {
    let ting = Ting::shared().await;
    let name = names::unique("race");
    let body = json!({ "name": name });
    let asked =
        (0..8).map(|_| async { ting.post("/restapi/v1/channels").json(&body).await.status });
    let mut statuses = futures::future::join_all(asked).await;
    statuses.sort_unstable();
    assert_eq!(statuses, [204, 409, 409, 409, 409, 409, 409, 409]);
}
