//! What is refused, in which words.

use reqwest::Method;
use serde_json::json;
use tests::{Ting, names, raw};

#[tokio::test]
async fn an_unknown_path_of_the_apis_is_404_in_json() {
    let ting = Ting::shared().await;
    for path in [
        "/api/v1",
        "/api/v1/",
        "/api/v1/nothing",
        "/api/v2/message",
        "/restapi/v1",
        "/restapi/v1/nothing/at/all",
        "/restapi/v1/messages",
        "/restapi/v1/messages/channel/ting/more",
        "/api/v1/sessions",
        "/api/v1/users/ada",
        "/restapi/v1/conversations",
    ] {
        ting.get(path).await.refused(404, "not_found");
    }
}

#[tokio::test]
async fn a_wrong_method_is_405_in_json() {
    let ting = Ting::shared().await;
    for (method, path) in [
        (Method::PUT, "/restapi/v1/sessions"),
        (Method::GET, "/api/v1/message"),
        (Method::DELETE, "/api/v1/message"),
        (Method::DELETE, "/restapi/v1/channels/ting"),
        (Method::PUT, "/restapi/v1/channels"),
        (Method::DELETE, "/restapi/v1/users/ada"),
        (Method::DELETE, "/restapi/v1/messages/channel/ting"),
        (Method::POST, "/api/v1/conversations"),
        (Method::GET, "/api/v1/conversations/read"),
        (Method::POST, "/restapi/v1/sessions/ada"),
    ] {
        ting.ask(method, path)
            .await
            .refused(405, "method_not_allowed");
    }
}

#[tokio::test]
async fn a_trailing_slash_makes_no_difference_and_no_redirect() {
    let ting = Ting::shared().await;
    let room = ting.room().await;
    let (name, auth) = ting.signs_in("ada").await;
    for path in [
        format!("/restapi/v1/channels/{}", room.name()),
        format!("/restapi/v1/messages/channel/{}", room.name()),
        format!("/api/v1/messages/channel/{}", room.name()),
        format!("/restapi/v1/users/{name}"),
        "/restapi/v1/sessions".to_owned(),
        "/api/v1/conversations".to_owned(),
        "/restapi/v1/nothing".to_owned(),
    ] {
        let without = ting.get(&path).cookie(&auth).await;
        let with = ting.get(&format!("{path}/")).cookie(&auth).await;
        assert_eq!(
            (with.status, &with.text),
            (without.status, &without.text),
            "{path}"
        );
    }
    let query = format!("/restapi/v1/messages/channel/{}/?lim=0", room.name());
    ting.get(&query).await.is(200);
    let post = json!({ "username": names::unique("bob") });
    ting.post("/restapi/v1/sessions/").json(&post).await.is(200);
}

#[tokio::test]
async fn a_body_that_is_too_large_is_413() {
    let ting = Ting::shared().await;
    let (_, auth) = ting.signs_in("ada").await;
    let text = "x".repeat(4 << 20);
    let body = json!({ "type": "channel", "target": "ting", "text": text });
    let asked = ting
        .post("/api/v1/message")
        .cookie(&auth)
        .json(&body)
        .try_send()
        .await;
    // It may close while it is still being told; who is told is told this.
    if let Ok(answer) = asked {
        answer.refused(413, "too_large");
    }
    // Said by the head alone, it is refused before anything is sent.
    for path in [
        "/api/v1/message",
        "/restapi/v1/sessions",
        "/restapi/v1/channels",
    ] {
        let head = format!(
            "POST {path} HTTP/1.1\nHost: {}\nCookie: ting_auth={auth}\n\
             Content-Type: application/json\nContent-Length: 999999999",
            ting.address()
        );
        let (status, said) = raw::request(&ting.address(), &head, b"{").await;
        assert_eq!(status, 413, "{path}: {said}");
        assert!(said.contains("too_large"), "{said}");
    }
}

#[tokio::test]
async fn who_may_not_ask_is_told_so_however_large_the_body_is() {
    let ting = Ting::shared().await;
    let name = names::unique("ada");
    for (method, path, refused) in [
        ("POST", "/restapi/v1/messages/channel/ting", 401),
        ("PATCH", "/restapi/v1/messages/1", 401),
        ("POST", "/api/v1/message", 403),
        ("PATCH", &format!("/restapi/v1/users/{name}"), 403),
    ] {
        let head = format!(
            "{method} {path} HTTP/1.1\nHost: {}\nContent-Type: application/json\n\
             Content-Length: 999999999",
            ting.address()
        );
        let (status, said) = raw::request(&ting.address(), &head, b"{").await;
        assert_eq!(status, refused, "{method} {path}: {said}");
    }
}

#[tokio::test]
async fn a_body_as_long_as_the_longest_text_is_not_too_large() {
    let ting = Ting::shared().await;
    let room = ting.room().await;
    let (_, auth) = ting.signs_in("ada").await;
    // Each of the 2,000 takes twelve bytes as JSON and as a form.
    let text = "🙂".repeat(2_000);
    let escaped = "\\ud83d\\ude42".repeat(2_000);
    let body = format!(
        "{{\"type\":\"channel\",\"target\":\"{}\",\"text\":\"{escaped}\"}}",
        room.name()
    );
    let asked = ting
        .post("/api/v1/message")
        .cookie(&auth)
        .body("application/json", body);
    asked.await.is(200);
    let form = [
        ("type", "channel"),
        ("target", room.name()),
        ("text", text.as_str()),
    ];
    let answer = ting
        .post("/api/v1/message")
        .cookie(&auth)
        .form(&form)
        .await
        .is(200);
    let history = ting.history(&auth, &room.target(), "?lim=1").await;
    assert_eq!(history[0]["id"], answer.messageid());
    assert_eq!(history[0]["text"], text);
}

#[tokio::test]
async fn requests_that_are_none_are_refused_and_nobody_is_disturbed() {
    let ting = Ting::shared().await;
    let room = ting.room().await;
    let [ada, bob] = room.people(["ada", "bob"]).await;
    let ghost = ada.types("meanwhile").await;
    bob.sees(&ghost, "meanwhile").await;
    for head in [
        "GET /restapi/v1/channels/%ff%fe HTTP/1.1\nHost: x",
        "GET /restapi/v1/users/%00 HTTP/1.1\nHost: x",
        "GET /restapi/v1/messages/channel/..%2f..%2fetc HTTP/1.1\nHost: x",
        "GET /restapi/v1/channels/%zz HTTP/1.1\nHost: x",
        "GET /restapi/v1/messages/channel/ting?lim=%ff HTTP/1.1\nHost: x",
        "GET /restapi/v1/messages/channel/ting?&&&==&lim HTTP/1.1\nHost: x",
        "GET /../../etc/passwd HTTP/1.1\nHost: x",
        "GET //restapi//v1//channels//ting HTTP/1.1\nHost: x",
        "BREW /restapi/v1/sessions HTTP/1.1\nHost: x",
        "GET /restapi/v1/sessions HTTP/1.1\nHost: x\nCookie: ting_auth=\u{7f}",
        "GET /restapi/v1/sessions HTTP/1.1\nHost: x\nCookie: ;;;=;ting_auth;ting_auth==",
        "GET /restapi/v1/sessions HTTP/1.1\nHost: x\nAuthorization: Bearer",
        "POST /restapi/v1/sessions HTTP/1.1\nHost: x\nContent-Length: -5",
        "POST /restapi/v1/sessions HTTP/1.1\nHost: x\nTransfer-Encoding: nonsense",
    ] {
        let (status, said) = raw::request(&ting.address(), head, b"").await;
        // A connection may be ended without an answer; never with a 500.
        assert!(status < 500, "{head}: {said}");
    }
    ada.goes_on(&ghost, "as before").await;
    bob.sees(&ghost, "as before").await;
}

#[tokio::test]
async fn answers_are_json_that_nobody_guesses_about() {
    let ting = Ting::shared().await;
    let answer = ting.get("/restapi/v1/channels/ting").await.is(200);
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    answer.json();
}
