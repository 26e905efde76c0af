//! Which pages may act for a person.

use serde_json::json;
use tests::{Answer, Connection, Settings, Ting, names};

/// A write with a cookie, from a page of this origin.
async fn writes(ting: &Ting, auth: &str, origin: Option<&str>) -> Answer {
    let post = json!({ "name": names::unique("room") });
    let ask = ting.post("/restapi/v1/channels").cookie(auth).json(&post);
    match origin {
        Some(origin) => ask.header("origin", origin).await,
        None => ask.await,
    }
}

#[tokio::test]
async fn writes_with_a_cookie_come_from_the_same_origin_or_no_browser() {
    // Each node has an origin of its own.
    let ting = Ting::shared().await.one();
    let (_, auth) = ting.signs_in("ada").await;
    writes(&ting, &auth, None).await.is(204);
    writes(&ting, &auth, Some(&ting.url())).await.is(204);
    let port = ting.address().rsplit(':').next().unwrap().to_owned();
    for origin in [
        "null",
        "",
        "https://evil.example",
        &format!("{}.evil.example", ting.url()),
        &ting.url().replace("http:", "https:"),
        &ting.url().replace(&port, "1"),
        &ting.url().replace(&format!(":{port}"), ""),
    ] {
        writes(&ting, &auth, Some(origin))
            .await
            .refused(403, "forbidden");
    }
}

#[tokio::test]
async fn every_write_with_a_cookie_is_held_against_the_origin() {
    let ting = Ting::shared().await;
    let (name, auth) = ting.signs_in("ada").await;
    let evil = "https://evil.example";
    let message = json!({ "type": "channel", "target": "ting", "text": "x" });
    for ask in [
        ting.post("/api/v1/message").json(&message),
        ting.patch("/api/v1/message").json(&message),
        ting.patch(&format!("/restapi/v1/users/{name}"))
            .json(&json!({ "gender": "male" })),
        ting.post("/api/v1/conversations/read")
            .json(&json!({ "type": "user", "target": name })),
        ting.delete("/restapi/v1/sessions"),
    ] {
        ask.cookie(&auth)
            .header("origin", evil)
            .await
            .refused(403, "forbidden");
    }
    // The sign-in is still one.
    ting.get("/restapi/v1/sessions").cookie(&auth).await.is(200);
}

#[tokio::test]
async fn only_what_a_browser_sends_by_itself_is_held_against_the_origin() {
    let ting = Ting::shared().await;
    let room = ting.room().await;
    let (name, auth) = ting.signs_in("ada").await;
    let evil = "https://evil.example";
    let message = json!({ "type": "channel", "target": room.name(), "text": "x", "typing": false });
    let says = || {
        let ask = ting.post("/api/v1/message").json(&message);
        ask.bearer(&auth).header("origin", evil)
    };
    says().await.is(200);
    says().cookie(&auth).await.refused(403, "forbidden");
    let user = format!("/restapi/v1/users/{name}");
    let profile = || ting.patch(&user).json(&json!({ "gender": "male" }));
    profile().bearer(&auth).header("origin", evil).await.is(204);
    // Signing in has no cookie and gives one: a page could make somebody be another.
    let bob = json!({ "username": names::unique("bob") });
    let signs_in = ting.post("/restapi/v1/sessions").json(&bob);
    signs_in
        .header("origin", evil)
        .await
        .refused(403, "forbidden");
}

#[tokio::test]
async fn reading_is_not_held_against_the_origin() {
    let ting = Ting::shared().await;
    let answer = ting
        .get("/restapi/v1/channels/ting")
        .header("origin", "https://evil.example");
    let answer = answer.await.is(200);
    // The browser keeps it from the page.
    assert_eq!(answer.header("access-control-allow-origin"), None);
}

#[tokio::test]
async fn a_socket_is_held_against_the_origin() {
    let ting = Ting::shared().await;
    let same = ting.url();
    Connection::open(&ting.url(), &[("origin", &same)]).await;
    for origin in ["https://evil.example", "null"] {
        let opened = loadtest::socket::connect(&ting.url(), &[("origin", origin)]).await;
        assert!(opened.is_err(), "{origin} was let in");
    }
}

#[tokio::test]
async fn configured_origins_are_let_in_and_no_others() {
    let origins = r#"["https://chat.example", "http://localhost:3000"]"#;
    let ting = Ting::with(Settings::default().set("http.origins", origins)).await;
    let (_, auth) = ting.signs_in("ada").await;
    for origin in ["https://chat.example", "http://localhost:3000"] {
        writes(&ting, &auth, Some(origin)).await.is(204);
        Connection::open(&ting.url(), &[("origin", origin)]).await;
    }
    for origin in [
        "https://other.example",
        "http://chat.example",
        "http://localhost:3001",
        "null",
    ] {
        writes(&ting, &auth, Some(origin))
            .await
            .refused(403, "forbidden");
        let opened = loadtest::socket::connect(&ting.url(), &[("origin", origin)]).await;
        assert!(opened.is_err(), "{origin} was let in");
    }
    writes(&ting, &auth, None).await.is(204);
}

#[tokio::test]
async fn behind_a_trusted_proxy_with_tls_the_cookie_is_secure() {
    let settings = Settings::default().set("http.trusted_proxies", r#"["127.0.0.0/8"]"#);
    let ting = Ting::with(settings).await;
    let post = json!({ "username": names::unique("ada") });
    let answer = ting
        .post("/restapi/v1/sessions")
        .header("x-forwarded-proto", "https")
        .json(&post);
    assert!(
        answer
            .await
            .is(200)
            .set_cookie()
            .to_lowercase()
            .contains("; secure")
    );
    let post = json!({ "username": names::unique("ada") });
    let plain = ting.post("/restapi/v1/sessions").json(&post).await.is(200);
    assert!(!plain.set_cookie().to_lowercase().contains("secure"));
}

#[tokio::test]
async fn an_untrusted_forwarding_header_counts_for_nothing() {
    let ting = Ting::shared().await;
    let post = json!({ "username": names::unique("ada") });
    let answer = ting
        .post("/restapi/v1/sessions")
        .header("x-forwarded-proto", "https")
        .json(&post);
    assert!(
        !answer
            .await
            .is(200)
            .set_cookie()
            .to_lowercase()
            .contains("secure")
    );
}
