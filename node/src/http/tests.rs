use super::*;
use crate::client_address::Proxies;
use crate::config::{HttpLimits, Secret};
use crate::origin::Origins;
use actors::edge::{ConnectionId, Event, Kill, Packet, Room, Sockets};
use actors::{Limits, Start, System};
use axum::body::{Body, to_bytes};
use axum::http::{Method, Response, StatusCode, header};
use cql::Store;
use cql::embedded::EmbeddedStore;
use double::Double;
use serde_json::{Value, json};
use std::sync::atomic::Ordering;
use tempfile::TempDir;

mod double;
mod people;
mod typing;

#[test]
fn a_trailing_slash_makes_no_difference_to_an_api() {
    let trimmed = |uri: &str| {
        let uri: Uri = uri.parse().unwrap();
        without_trailing_slash(&uri).map(|uri| uri.to_string())
    };
    assert_eq!(trimmed("/api/v1/message/"), Some("/api/v1/message".into()));
    assert_eq!(
        trimmed("/restapi/v1/messages/channel/ting//?lim=3"),
        Some("/restapi/v1/messages/channel/ting?lim=3".into())
    );
    assert_eq!(
        trimmed("http://ting.example/api/v1/channels/"),
        Some("http://ting.example/api/v1/channels".into())
    );
    for same in [
        "/",
        "/api/v1/message",
        "/channel/ting/",
        "/apis/",
        "/api/v1/x%2F",
    ] {
        assert_eq!(trimmed(same), None, "{same}");
    }
}

#[tokio::test]
async fn before_all_is_there_a_client_is_told_to_come_again() {
    let request = Request::builder().uri("/").body(Body::empty());
    let response = Gateway::default()
        .router()
        .oneshot(request.unwrap())
        .await
        .unwrap();
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(response.headers().contains_key(header::RETRY_AFTER));
}

/// Sockets that nobody is connected to.
#[derive(Debug)]
struct Nobody;

impl Sockets for Nobody {
    fn encode(&self, _: Event<'_>) -> Packet {
        let body = serde_json::value::to_raw_value(&()).unwrap();
        Packet {
            event: "none",
            body: body.into(),
        }
    }

    fn join(&self, _: ConnectionId, _: &Room) {}
    fn leave(&self, _: ConnectionId, _: &Room) {}
    fn emit_to_room(&self, _: &Room, _: &[Packet]) {}
    fn emit(&self, _: ConnectionId, _: &[Packet]) {}
    fn kill(&self, _: ConnectionId, _: Kill) {}
}

/// A node without ports.
struct Node {
    router: Router,
    system: System,
    store: Arc<Double>,
    directory: TempDir,
}

impl Node {
    async fn start() -> Node {
        Node::with(&HttpLimits::default()).await
    }

    async fn with(limits: &HttpLimits) -> Node {
        let directory = tempfile::tempdir().unwrap();
        let store = EmbeddedStore::open(&directory.path().join("ting.db"), None).unwrap();
        let store = Arc::new(Double {
            store: Arc::new(store),
            silent: Default::default(),
            ahead: Default::default(),
        });
        Node::on(store, directory, limits).await
    }

    /// The next one on the same store, so many milliseconds later.
    async fn restarted_after(self, pause: i64) -> Node {
        self.system.stop().await;
        self.store.ahead.fetch_add(pause, Ordering::Relaxed);
        Node::on(self.store, self.directory, &HttpLimits::default()).await
    }

    async fn on(store: Arc<Double>, directory: TempDir, limits: &HttpLimits) -> Node {
        let start = Start {
            store: store.clone(),
            sockets: Arc::new(Nobody),
            limits: Limits::default(),
            links: None,
        };
        let secret: Secret = serde_json::from_value(json!("s3cret")).unwrap();
        let system = System::start(start).await.unwrap();
        let app = App::new(
            system.clone(),
            store.clone(),
            Some(secret),
            Origins::default(),
            Proxies::default(),
            limits,
        );
        let gateway = Gateway::default();
        gateway.open(router(app.unwrap()));
        Node {
            router: gateway.router(),
            system,
            store,
            directory,
        }
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        headers: &[(header::HeaderName, &str)],
        body: Option<Value>,
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(name, *value);
        }
        let body = match body {
            None => Body::empty(),
            Some(body) => {
                request = request.header(header::CONTENT_TYPE, "application/json");
                Body::from(body.to_string())
            }
        };
        let request = request.body(body).unwrap();
        Answer::of(self.router.clone().oneshot(request).await.unwrap()).await
    }

    async fn get(&self, path: &str) -> Answer {
        self.ask(Method::GET, path, &[], None).await
    }

    /// The cookie of somebody new.
    async fn signs_in(&self, username: &str) -> String {
        let body = json!({"username": username});
        let answer = self
            .ask(Method::POST, "/restapi/v1/sessions", &[], Some(body))
            .await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        format!("ting_auth={}", answer.body["ting_auth"].as_str().unwrap())
    }
}

#[derive(Debug)]
struct Answer {
    status: StatusCode,
    headers: axum::http::HeaderMap,
    body: Value,
}

impl Answer {
    async fn of(response: Response<Body>) -> Answer {
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap();
        Answer {
            status: parts.status,
            headers: parts.headers,
            body: serde_json::from_slice(&body).unwrap_or(Value::Null),
        }
    }

    fn is(&self, status: u16, code: &str) {
        assert_eq!(self.status.as_u16(), status, "{self:?}");
        assert_eq!(self.body, json!({"error": code}));
    }
}

#[tokio::test]
async fn privileged_callers_are_known_before_anything_is_looked_at() {
    let node = Node::start().await;
    let path = "/restapi/v1/messages/channel/nowhere";
    for shown in [None, Some("guess"), Some("s3cre"), Some("Bearer s3cret")] {
        let headers: Vec<_> = shown
            .map(|shown| (header::AUTHORIZATION, shown))
            .into_iter()
            .collect();
        let answer = node
            .ask(Method::POST, path, &headers, Some(json!([])))
            .await;
        answer.is(401, "unauthorized");
    }
    let secret = [(header::AUTHORIZATION, "s3cret")];
    let body = json!({"text": "x", "username": "bridge", "datetime_start": 1, "typing": false});
    let answer = node.ask(Method::POST, path, &secret, Some(body)).await;
    answer.is(404, "not_found");
}

#[tokio::test]
async fn a_wrong_method_says_which_are_right() {
    let node = Node::start().await;
    let answer = node
        .ask(Method::PUT, "/restapi/v1/sessions", &[], None)
        .await;
    answer.is(405, "method_not_allowed");
    let allowed = answer.headers[header::ALLOW].to_str().unwrap();
    for method in ["GET", "POST", "DELETE"] {
        assert!(allowed.contains(method), "{allowed}");
    }
}

#[tokio::test]
async fn what_is_not_the_apis_is_the_clients_and_nothing_else() {
    let node = Node::start().await;
    for path in [
        "/api",
        "/api/v1/nothing",
        "/restapi/",
        "/api/v1/sessions",
        "/restapi/v1/messages/channel",
    ] {
        node.get(path).await.is(404, "not_found");
    }
    let page = node.get("/channel/ting").await;
    assert_eq!(page.status, StatusCode::OK);
    for name in [
        "content-security-policy",
        "x-content-type-options",
        "referrer-policy",
        "cross-origin-opener-policy",
    ] {
        assert!(page.headers.contains_key(name), "{name}");
    }
    let described = node.get("/api/openapi.json").await;
    assert_eq!(described.body["info"]["title"], "Ting");
}

#[tokio::test]
async fn a_page_from_elsewhere_writes_nothing() {
    let node = Node::start().await;
    let cookie = node.signs_in("ada").await;
    let with = |origin| {
        [
            (header::COOKIE, cookie.as_str()),
            (header::ORIGIN, origin),
            (header::HOST, "ting.example"),
        ]
    };
    let path = "/restapi/v1/sessions";
    for origin in ["https://evil.example", "null", "https://ting.example"] {
        let answer = node.ask(Method::DELETE, path, &with(origin), None).await;
        answer.is(403, "forbidden");
    }
    let answer = node
        .ask(Method::DELETE, path, &with("http://ting.example"), None)
        .await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT);
    let cleared = answer.headers[header::SET_COOKIE].to_str().unwrap();
    assert!(cleared.contains("Max-Age=0"), "{cleared}");
    // The name is free.
    node.signs_in("ada").await;
}

#[tokio::test]
async fn what_was_typed_by_http_is_in_the_history() {
    let node = Node::start().await;
    let cookie = node.signs_in("ada").await;
    let by = [(header::COOKIE, cookie.as_str())];
    let body = json!({"type": "channel", "target": "ting", "text": "hello", "typing": false});
    let sent = node
        .ask(Method::POST, "/api/v1/message", &by, Some(body))
        .await;
    assert_eq!(sent.status, StatusCode::OK, "{}", sent.body);
    let history = node.get("/api/v1/messages/channel/ting?lim=1").await;
    assert_eq!(history.headers["ting-more"], "false");
    assert_eq!(history.body[0]["id"], sent.body["messageid"]);
    assert_eq!(history.body[0]["text"], "hello");
    let none = node.get("/restapi/v1/messages/channel/ting/?lim=0").await;
    assert_eq!(none.headers["ting-more"], "true");
    assert_eq!(none.body, json!([]));
    node.get("/api/v1/messages/user/ada")
        .await
        .is(403, "forbidden");
    node.get("/api/v1/messages/channel/none")
        .await
        .is(404, "not_found");
    node.get("/api/v1/messages/channel/ting?lim=x")
        .await
        .is(400, "invalid");
}

#[tokio::test]
async fn a_password_keeps_a_name() {
    let node = Node::start().await;
    let cookie = node.signs_in("ada").await;
    let by = [(header::COOKIE, cookie.as_str())];
    let path = "/restapi/v1/users/ada";
    let set = node
        .ask(Method::PATCH, path, &by, Some(json!({"password": "λ"})))
        .await;
    assert_eq!(set.status, StatusCode::NO_CONTENT, "{}", set.body);
    let sign_in = async |body: Value| {
        node.ask(Method::POST, "/restapi/v1/sessions", &[], Some(body))
            .await
    };
    let username = |name: &str| json!({"username": name});
    sign_in(username("ada")).await.is(403, "password_required");
    sign_in(username("ADA")).await.is(403, "username_reserved");
    sign_in(username("")).await.is(400, "empty");
    let wrong = json!({"username": "ada", "password": "l"});
    sign_in(wrong).await.is(403, "wrong_password");
    let nobody = json!({"username": "bob", "password": "l"});
    sign_in(nobody).await.is(404, "not_found");
    let right = sign_in(json!({"username": "ada", "password": "λ"})).await;
    assert_eq!(right.status, StatusCode::OK);
    let other = node
        .ask(Method::PATCH, "/restapi/v1/users/bob", &by, Some(json!({})))
        .await;
    other.is(403, "forbidden");
}
