use super::*;
use crate::listener::{self, Limits};
use actors::edge::{Event, Kill};
use axum::Router;
use axum::routing::get;
use client::{Client, Heard, request, within};
use fake::{EXPIRED, Fake, Told, everybody};
use futures::StreamExt;
use serde_json::json;
use std::net::SocketAddr;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

mod client;
mod events;
mod fake;
mod hazards;
mod past;
mod rooms;
mod whole;

struct Node {
    address: SocketAddr,
    edge: Edge,
    actors: Arc<Fake>,
    told: mpsc::UnboundedReceiver<Told>,
}

impl Node {
    async fn start() -> Self {
        Self::with(SocketSettings::default()).await
    }

    async fn with(settings: SocketSettings) -> Self {
        let edge = Edge::new(&settings);
        let (actors, told) = Fake::new(edge.sockets());
        edge.attach_to(actors.clone(), Origins::default(), Proxies::default());
        let router = Router::new().route("/", get(|| async { "hello" }));
        let router = edge.layer().before(router);
        let bound = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = bound.local_addr().unwrap();
        let never = std::future::pending();
        tokio::spawn(listener::serve(
            bound,
            None,
            router,
            never,
            Limits::default(),
        ));
        Node {
            address,
            edge,
            actors,
            told,
        }
    }

    async fn told(&mut self) -> Told {
        within(self.told.recv()).await.unwrap()
    }

    async fn logged_in(&mut self, username: &str) -> (Client, actors::edge::ConnectionId) {
        let token = self.actors.sign_in(username);
        let mut client = Client::connect(self.address).await;
        client.log_in(username, &token).await;
        let Told::LoggedIn(connection, _) = self.told().await else {
            panic!("told of something else");
        };
        (client, connection)
    }
}

/// Where the answer was lost, it was once in a thousand times.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_logs_in_the_moment_it_is_connected_is_answered() {
    let node = Node::start().await;
    let logins = futures::stream::iter(0..2_000).map(|n| {
        let (address, username) = (node.address, format!("user{n}"));
        let token = node.actors.sign_in(&username);
        tokio::spawn(async move {
            // Clients 2.x are in the namespace unasked.
            let version = if n % 2 == 0 { 3 } else { 4 };
            let mut client = Client::open(address, version, &[]).await.unwrap();
            if version == 4 {
                client.send("40").await;
            }
            client.connected().await;
            client.log_in(&username, &token).await;
        })
    });
    let mut answered = logins.buffer_unordered(100);
    while let Some(login) = answered.next().await {
        login.unwrap();
    }
}

#[tokio::test]
async fn an_event_reaches_the_room_as_it_was_encoded() {
    let mut node = Node::start().await;
    let (mut ada, _) = node.logged_in("ada").await;
    assert_eq!(ada.event().await, ("join".to_owned(), json!("ada")));
    let (mut bob, bobs) = node.logged_in("bob").await;
    for client in [&mut ada, &mut bob] {
        assert_eq!(client.event().await, ("join".to_owned(), json!("bob")));
    }
    let sockets = node.edge.sockets();
    let name = encoding::tests::name("ada");
    let packets = [
        sockets.encode(Event::TypingMessages(&[encoding::tests::entry(
            7, "h\"é", true,
        )])),
        sockets.encode(Event::Part(&name)),
    ];
    sockets.emit_to_room(&everybody(), &packets);
    for client in [&mut ada, &mut bob] {
        let (event, update) = client.event().await;
        assert_eq!(
            (event.as_str(), &update["7"]["text"]),
            ("update-typing-messages", &json!("h\"é"))
        );
        assert_eq!(client.event().await, ("part".to_owned(), json!("ada")));
    }
    sockets.leave(bobs, &everybody());
    sockets.emit_to_room(&everybody(), &packets[1..]);
    sockets.emit(bobs, &packets[..1]);
    assert_eq!(ada.event().await.0, "part");
    assert_eq!(bob.event().await.0, "update-typing-messages");
}

#[tokio::test]
async fn the_cookie_counts_where_no_token_is_given() {
    let node = Node::start().await;
    let token = node.actors.sign_in("ada");
    // Of several that are called so, the first that may be one.
    let cookie = format!("other=1; ting_auth=old; ting_auth={token}");
    let mut client = Client::open(node.address, 4, &[("cookie", &cookie)])
        .await
        .unwrap();
    client.send("40").await;
    client.connected().await;
    client.emit("login", &json!({"username": "ada"})).await;
    let (event, response) = client.event().await;
    assert_eq!(
        (event.as_str(), &response["people"]),
        ("login-response", &json!(["ada"]))
    );
}

#[tokio::test]
async fn a_wrong_name_may_be_corrected() {
    let node = Node::start().await;
    let token = node.actors.sign_in("ada");
    let mut client = Client::connect(node.address).await;
    for (name, error) in [
        ("", "empty"),
        ("a b", "chars"),
        ("abcdefghijklmnopqrstu", "length"),
    ] {
        let asked = client.ask("login", &json!({"username": name})).await;
        let expected = json!({"success": false, "error": error});
        assert_eq!(
            client.event().await,
            ("login-response".to_owned(), expected)
        );
        assert_eq!(
            client.answer(asked).await,
            json!({"status": 400, "error": error})
        );
    }
    client.log_in("ada", &token).await;
}

#[tokio::test]
async fn who_is_somebody_else_is_told_and_goes() {
    let node = Node::start().await;
    let token = node.actors.sign_in("ada");
    for who in [
        json!({"username": "bob", "ting_auth": token}),
        json!({"username": "ada", "ting_auth": "forged"}),
        json!({"username": "ada"}),
    ] {
        let mut client = Client::connect(node.address).await;
        client.emit("login", &who).await;
        let expected = json!({"success": false, "error": "taken"});
        assert_eq!(
            client.event().await,
            ("login-response".to_owned(), expected)
        );
        assert_eq!(client.hear().await, Heard::Dismissed);
        client.closed().await;
    }
}

#[tokio::test]
async fn before_a_login_there_is_only_login_and_after_it_none() {
    let mut node = Node::start().await;
    let mut stranger = Client::connect(node.address).await;
    let ting = json!({"type": "channel", "target": "ting"});
    let forbidden = json!({"status": 403, "error": "forbidden"});
    let asked = stranger.ask("enter", &ting).await;
    assert_eq!(stranger.answer(asked).await, forbidden);
    let (mut ada, _) = node.logged_in("ada").await;
    let again = json!({"username": "ada", "ting_auth": node.actors.sign_in("ada")});
    let asked = ada.ask("login", &again).await;
    assert_eq!(ada.answer(asked).await, forbidden);
    let asked = ada.ask("enter", &ting).await;
    assert_eq!(ada.answer(asked).await, json!({"status": 204}));
    assert_eq!(node.told().await, Told::Entered("c:ting".to_owned()));
    let asked = ada.ask("leave", &ting).await;
    assert_eq!(
        ada.answer(asked).await,
        json!({"status": 400, "error": "invalid"})
    );
    let asked = ada
        .ask("enter", &json!({"type": "channel", "target": "nowhere"}))
        .await;
    assert_eq!(
        ada.answer(asked).await,
        json!({"status": 404, "error": "not_found"})
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_socket_sends_is_carried_out_in_order() {
    let mut node = Node::start().await;
    let token = node.actors.sign_in("ada");
    let mut ada = Client::connect(node.address).await;
    // All at once, the login too.
    ada.emit("login", &json!({"username": "ada", "ting_auth": token}))
        .await;
    let mut asked = Vec::new();
    for n in 0..100 {
        let post = json!({"type": "channel", "target": "ting", "text": n.to_string()});
        asked.push(ada.ask("post-message", &post).await);
    }
    assert!(matches!(node.told().await, Told::LoggedIn(..)));
    for n in 0..100 {
        assert_eq!(node.told().await, Told::Posted(n.to_string()));
    }
    let mut answered = Vec::new();
    while answered.len() < asked.len() {
        if let Heard::Ack(ack, body) = ada.hear().await {
            assert_eq!(
                (&body["status"], &body["claim"]),
                (&json!(200), &json!("claim"))
            );
            answered.push(ack);
        }
    }
    answered.sort_unstable();
    assert_eq!(answered, asked);
}

#[tokio::test]
async fn blank_text_erases_and_long_text_is_refused() {
    let mut node = Node::start().await;
    let (mut ada, _) = node.logged_in("ada").await;
    let patch = |text: &str| json!({"type": "channel", "target": "ting", "text": text, "typing": true, "messageid": 5});
    let asked = ada.ask("patch-message", &patch(" ")).await;
    assert_eq!(ada.answer(asked).await, json!({"status": 204}));
    assert_eq!(node.told().await, Told::Patched(5, None));
    let asked = ada.ask("patch-message", &patch(&"x".repeat(2_001))).await;
    assert_eq!(
        ada.answer(asked).await,
        json!({"status": 400, "error": "length"})
    );
    let blank = json!({"type": "channel", "target": "ting", "text": ""});
    let asked = ada.ask("post-message", &blank).await;
    assert_eq!(
        ada.answer(asked).await,
        json!({"status": 400, "error": "empty"})
    );
}

#[tokio::test]
async fn an_update_of_what_had_expired_is_answered_as_a_beginning() {
    let mut node = Node::start().await;
    let (mut ada, _) = node.logged_in("ada").await;
    for typing in [true, false] {
        let patch = json!({
            "type": "channel", "target": "ting", "text": "h", "typing": typing,
            "messageid": EXPIRED, "claim": "of the old one",
        });
        let asked = ada.ask("patch-message", &patch).await;
        let answer = ada.answer(asked).await;
        let anew = &answer["messageid"];
        assert!(anew.is_u64() && *anew != json!(EXPIRED), "{answer}");
        let expected = json!({"status": 200, "messageid": anew, "claim": "claim"});
        assert_eq!(answer, expected);
        let heard = Told::Patched(EXPIRED.0, Some("h".to_owned()));
        assert_eq!(node.told().await, heard);
    }
}

#[tokio::test]
async fn what_is_malformed_is_told_and_disturbs_nobody() {
    let mut node = Node::start().await;
    let (mut ada, _) = node.logged_in("ada").await;
    let mut told = Vec::new();
    for packet in [
        "420[\"unheard-of\",{}]",
        "421[\"login\"]",
        "422[\"enter\",{\"type\":1}]",
        "42[\"x\"]",
    ] {
        ada.send(packet).await;
    }
    while told.len() < 3 {
        if let Heard::Ack(ack, body) = ada.hear().await {
            told.push((ack, body["error"].clone()));
        }
    }
    let expected = ["malformed", "malformed", "invalid"];
    assert_eq!(
        told,
        (0..)
            .zip(expected.map(|code| json!(code)))
            .collect::<Vec<_>>()
    );
    let asked = ada
        .ask("enter", &json!({"type": "channel", "target": "ting"}))
        .await;
    assert_eq!(asked, 0);
    assert_eq!(ada.answer(asked).await, json!({"status": 204}));
}

#[tokio::test]
async fn only_pages_from_here_may_connect() {
    let node = Node::start().await;
    let own = format!("http://{}", node.address);
    for (origin, status) in [
        (own.as_str(), 200),
        ("http://evil.example", 403),
        ("null", 403),
    ] {
        let headers = [("origin", origin)];
        let query = "EIO=4&transport=polling";
        let (answered, _) = request(node.address, "GET", query, &headers, "").await;
        assert_eq!(answered, status, "{origin}");
        let opened = Client::open(node.address, 4, &[("origin", origin)]).await;
        assert_eq!(opened.is_ok(), status == 200, "{origin}");
    }
}

#[tokio::test]
async fn the_rest_is_the_routers() {
    let node = Node::start().await;
    let edge = Edge::new(&SocketSettings::default());
    let early = edge.layer().before(Router::new());
    let bound = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = bound.local_addr().unwrap();
    let never = std::future::pending();
    tokio::spawn(listener::serve(
        bound,
        None,
        early,
        never,
        Limits::default(),
    ));
    let query = "EIO=4&transport=polling";
    assert_eq!(request(address, "GET", query, &[], "").await.0, 503);
    assert_eq!(request(node.address, "GET", query, &[], "").await.0, 200);
    let mut plain = tokio::net::TcpStream::connect(node.address).await.unwrap();
    let asked = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    tokio::io::AsyncWriteExt::write_all(&mut plain, asked)
        .await
        .unwrap();
    let mut answer = String::new();
    within(tokio::io::AsyncReadExt::read_to_string(
        &mut plain,
        &mut answer,
    ))
    .await
    .unwrap();
    assert!(answer.ends_with("hello"), "{answer}");
}

#[test]
fn settings_leave_the_rest_as_it_is() {
    let settings: SocketSettings = toml::from_str("events_burst = 7").unwrap();
    let expected = SocketSettings {
        events_burst: 7,
        ..SocketSettings::default()
    };
    assert_eq!(settings, expected);
    assert!(toml::from_str::<SocketSettings>("sign_in = 3").is_err());
}
