//! Bodies: JSON or form-encoded, by `Content-Type`.

use serde_json::{Value, json};
use tests::{Ghost, Ting, names};

#[tokio::test]
async fn everything_may_be_form_encoded() {
    let ting = Ting::shared().await;
    let name = names::unique("ada");
    let signed_in = ting
        .post("/restapi/v1/sessions")
        .form(&[("username", &name)])
        .await
        .is(200);
    let auth = signed_in.field("ting_auth").as_str().unwrap().to_owned();
    let user = format!("/restapi/v1/users/{name}");
    let profile = [
        ("gender", "female"),
        ("birthday", "1990-01-01"),
        ("password", "a b&c=d"),
    ];
    ting.patch(&user).cookie(&auth).form(&profile).await.is(204);
    assert_eq!(ting.get(&user).await.is(200).field("gender"), "female");
    let again = [("username", name.as_str()), ("password", "a b&c=d")];
    ting.post("/restapi/v1/sessions").form(&again).await.is(200);
    let channel = names::unique("room");
    ting.post("/restapi/v1/channels")
        .form(&[("name", &channel)])
        .await
        .is(204);
    let path = format!("/restapi/v1/messages/channel/{channel}");
    let message = [
        ("text", "by form"),
        ("username", &name),
        ("datetime_start", "1000000000000"),
        ("typing", "true"),
    ];
    ting.post(&path).privileged().form(&message).await.is(200);
    let id = ting.get(&path).await.is(200).json()[0]["id"].clone();
    let send = [
        ("text", "by form!"),
        ("typing", "false"),
        ("datetime_sent", "1000000000001"),
    ];
    ting.patch(&format!("/restapi/v1/messages/{id}"))
        .privileged()
        .form(&send)
        .await
        .is(204);
    let kept = ting.get(&path).await.is(200).json()[0].clone();
    assert_eq!(
        (&kept["text"], &kept["typing"]),
        (&json!("by form!"), &json!(false))
    );
    assert_eq!(kept["datetime_sent"], 1_000_000_000_001_u64);
    let unknown = [("gender", "male"), ("nickname", "a")];
    let refused = ting
        .patch(&user)
        .cookie(&auth)
        .form(&unknown)
        .await
        .refused(422, "invalid");
    assert_eq!(refused.field("fields"), json!({ "nickname": "unknown" }));
}

#[tokio::test]
async fn what_is_no_json_is_malformed() {
    let ting = Ting::shared().await;
    let (_, auth) = ting.signs_in("ada").await;
    let deep = "[".repeat(100_000);
    for path in [
        "/restapi/v1/sessions",
        "/restapi/v1/channels",
        "/api/v1/message",
    ] {
        for body in [
            "",
            "{",
            "{\"username\":",
            "nonsense",
            "{\"a\":1}}",
            "\u{feff}{}",
            "{'a':1}",
        ] {
            let asked = ting.post(path).cookie(&auth).body("application/json", body);
            asked.await.refused(400, "malformed");
        }
        let invalid_utf8 = ting.post(path).cookie(&auth);
        let invalid_utf8 =
            invalid_utf8.body("application/json", b"{\"text\":\"\xff\xfe\"}".to_vec());
        invalid_utf8.await.refused(400, "malformed");
        let nested = ting
            .post(path)
            .cookie(&auth)
            .body("application/json", deep.as_str())
            .await;
        assert!(matches!(nested.status, 400 | 413), "{}", nested.text);
    }
}

#[tokio::test]
async fn a_wrong_type_is_invalid() {
    let ting = Ting::shared().await;
    let (_, auth) = ting.signs_in("ada").await;
    let wrong = |path: &str, body: Value| ting.post(path).cookie(&auth).json(&body);
    for body in [json!([]), json!(7), json!(null), json!("ada"), json!(true)] {
        for path in [
            "/restapi/v1/sessions",
            "/restapi/v1/channels",
            "/api/v1/message",
        ] {
            wrong(path, body.clone()).await.refused(400, "invalid");
        }
    }
    for body in [json!({ "username": 7 }), json!({ "username": ["a"] })] {
        wrong("/restapi/v1/sessions", body)
            .await
            .refused(400, "invalid");
    }
    let named = json!({ "username": names::unique("ada"), "password": 7 });
    wrong("/restapi/v1/sessions", named)
        .await
        .refused(400, "invalid");
    wrong("/restapi/v1/channels", json!({ "name": {} }))
        .await
        .refused(400, "invalid");
    for (key, value) in [
        ("type", json!(7)),
        ("target", json!(null)),
        ("text", json!(["x"])),
        ("typing", json!("perhaps")),
        ("typing", json!(1)),
        ("key", json!({})),
    ] {
        let mut body = json!({ "type": "channel", "target": "ting", "text": "x" });
        body[key] = value;
        wrong("/api/v1/message", body).await.refused(400, "invalid");
    }
    for (key, value) in [
        ("messageid", json!("one")),
        ("messageid", json!(-1)),
        ("messageid", json!(1.5)),
        ("messageid", json!(null)),
        ("messageid", json!(1_u64 << 53)),
        ("messageid", json!(u64::MAX)),
        ("rev", json!(-1)),
        ("rev", json!(1_u64 << 53)),
        ("rev", json!("x")),
        ("claim", json!(7)),
    ] {
        let mut body = json!({
            "type": "channel", "target": "ting", "text": "x", "typing": true, "messageid": 1,
        });
        body[key] = value;
        let asked = ting.patch("/api/v1/message").cookie(&auth).json(&body);
        asked.await.refused(400, "invalid");
    }
}

#[tokio::test]
async fn a_number_that_javascript_does_not_read_exactly_is_invalid_on_the_socket_too() {
    let ting = Ting::shared().await;
    let room = ting.room().await;
    let ada = room.person("ada").await;
    let ghost = ada.types("x").await;
    let last = (1_u64 << 53) - 1;
    for (id, rev) in [(last + 1, 1), (u64::MAX, 1), (ghost.id, last + 1)] {
        let body = json!({
            "type": "channel", "target": room.name(), "messageid": id, "text": "y",
            "typing": true, "rev": rev,
        });
        let answer = ada.patches(body).await;
        assert_eq!(answer, json!({ "status": 400, "error": "invalid" }));
    }
    let body = json!({
        "type": "channel", "target": room.name(), "messageid": ghost.id, "text": "y",
        "typing": true, "rev": last,
    });
    assert_eq!(ada.patches(body).await, json!({ "status": 204 }));
}

#[tokio::test]
async fn typing_that_is_null_is_typing() {
    let ting = Ting::shared().await;
    let room = ting.room().await;
    for ada in [room.seed_person("seed").await, room.person("full").await] {
        let body = json!({
            "type": "channel", "target": room.name(), "text": "x", "typing": null,
        });
        let posted = ada.posts(body).await;
        assert_eq!(posted["status"], 200, "{posted}");
        let ghost = Ghost::of(posted["messageid"].as_u64().unwrap(), "", ada.here());
        assert_eq!(ada.finds(&ghost).await["typing"], true);
    }
}

#[tokio::test]
async fn what_is_missing_is_invalid() {
    let ting = Ting::shared().await;
    let (_, auth) = ting.signs_in("ada").await;
    let whole =
        json!({ "type": "channel", "target": "ting", "text": "x", "typing": true, "messageid": 1 });
    for missing in ["type", "target", "text", "messageid"] {
        let mut body = whole.clone();
        body.as_object_mut().unwrap().remove(missing);
        let asked = ting
            .patch("/api/v1/message")
            .cookie(&auth)
            .json(&body)
            .await;
        asked.refused(400, "invalid");
    }
    ting.post("/restapi/v1/channels")
        .json(&json!({}))
        .await
        .is(400);
    ting.post("/restapi/v1/sessions")
        .json(&json!({}))
        .await
        .is(400);
}

#[tokio::test]
async fn another_content_type_is_malformed() {
    let ting = Ting::shared().await;
    let body = "{\"username\":\"ada\"}";
    for kind in [
        "text/plain",
        "application/xml",
        "multipart/form-data; boundary=x",
        "nonsense",
    ] {
        let asked = ting.post("/restapi/v1/sessions").body(kind, body);
        asked.await.refused(400, "malformed");
    }
}

#[tokio::test]
async fn a_content_type_may_have_parameters_and_any_case() {
    let ting = Ting::shared().await;
    for kind in ["application/json; charset=utf-8", "Application/JSON"] {
        let body = json!({ "username": names::unique("ada") }).to_string();
        ting.post("/restapi/v1/sessions")
            .body(kind, body)
            .await
            .is(200);
    }
    let kind = "application/x-www-form-urlencoded; charset=UTF-8";
    let body = format!("username={}", names::unique("ada"));
    ting.post("/restapi/v1/sessions")
        .body(kind, body)
        .await
        .is(200);
}

#[tokio::test]
async fn a_broken_form_is_no_500() {
    let ting = Ting::shared().await;
    for body in [
        "username=%ff",
        "username=%",
        "=",
        "&&&",
        "username",
        "username=a&username=b",
        "",
    ] {
        let kind = "application/x-www-form-urlencoded";
        let answer = ting.post("/restapi/v1/sessions").body(kind, body).await;
        assert!(
            answer.status == 200 || (400..430).contains(&answer.status),
            "{body}: {answer:?}"
        );
        answer.json();
    }
}
