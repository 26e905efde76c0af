//! The edge with the actors behind it, on a store of its own.

use super::*;
use actors::Start;
use cql::embedded::EmbeddedStore;
use cql::{NewUser, SessionToken, SignIn, Store, Username};
use serde_json::Value;
use tempfile::TempDir;

struct Ting {
    address: SocketAddr,
    system: System,
    store: Arc<EmbeddedStore>,
    _folder: TempDir,
}

impl Ting {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ting.db");
        let opened = tokio::task::spawn_blocking(move || EmbeddedStore::open(&path, None));
        let store = Arc::new(opened.await.unwrap().unwrap());
        let edge = Edge::new(&SocketSettings::default());
        let start = Start {
            store: store.clone(),
            sockets: edge.sockets(),
            limits: actors::Limits::default(),
            links: None,
        };
        let system = System::start(start).await.unwrap();
        edge.attach(system.clone(), Origins::default(), Proxies::default());
        let bound = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = bound.local_addr().unwrap();
        let router = edge.layer().before(Router::new());
        let never = std::future::pending();
        tokio::spawn(listener::serve(
            bound,
            None,
            router,
            never,
            Limits::default(),
        ));
        Ting {
            address,
            system,
            store,
            _folder: folder,
        }
    }

    async fn person(&self, name: &str) -> (Client, SignIn) {
        let username = Username::parse(name).unwrap();
        let new = NewUser {
            id: self.system.new_user_id().unwrap(),
            username: username.clone(),
            now: self.system.now(),
        };
        self.store.claim_name(&new).await.unwrap();
        let token = SessionToken::random();
        let sign_in = SignIn {
            hash: token.hash(),
            user: new.id,
            username,
            used_at: new.now,
        };
        assert!(self.store.add_sign_in(&sign_in).await.unwrap());
        let mut client = Client::connect(self.address).await;
        client.log_in(name, &token.reveal()).await;
        (client, sign_in)
    }
}

/// Waits for an update of that message and gives its entry.
async fn update(client: &mut Client, id: &str) -> Value {
    loop {
        let (event, mut body) = client.event().await;
        if event == "update-typing-messages" && body[id].is_object() {
            return body[id].take();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everybody_reads_what_is_typed_until_its_author_goes() {
    let ting = Ting::start().await;
    let (mut ada, ada_signed_in) = ting.person("ada").await;
    let (mut bob, _) = ting.person("bob").await;

    let post = json!({"type": "channel", "target": "ting", "text": "h"});
    let asked = ada.ask("post-message", &post).await;
    let posted = ada.answer(asked).await;
    assert_eq!(posted["status"], 200, "{posted}");
    let id = posted["messageid"].to_string();
    let seen = update(&mut bob, &id).await;
    assert_eq!(
        (&seen["text"], &seen["typing"]),
        (&json!("h"), &json!(true))
    );

    let mut patch = json!({
        "type": "channel", "target": "ting", "text": "hello", "typing": false,
        "messageid": posted["messageid"],
    });
    let asked = ada.ask("patch-message", &patch).await;
    assert_eq!(ada.answer(asked).await, json!({"status": 204}));
    assert_eq!(update(&mut bob, &id).await["typing"], json!(false));
    let (event, message) = bob.event().await;
    assert_eq!(
        (event.as_str(), &message["text"]),
        ("message", &json!("hello"))
    );

    patch["text"] = json!("something else");
    let asked = ada.ask("patch-message", &patch).await;
    assert_eq!(
        ada.answer(asked).await,
        json!({"status": 400, "error": "sent"})
    );

    let asked = ada.ask("post-message", &post).await;
    let ghost = ada.answer(asked).await["messageid"].to_string();
    assert_eq!(update(&mut bob, &ghost).await["text"], json!("h"));
    assert!(ting.system.end_sign_in(ada_signed_in.hash).await.unwrap());
    ada.closed().await;
    assert_eq!(update(&mut bob, &ghost).await["text"], json!(""));
    while bob.event().await != ("part".to_owned(), json!("ada")) {}
    ting.system.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_private_reaches_its_two_people() {
    let ting = Ting::start().await;
    let (mut ada, _) = ting.person("ada").await;
    let (mut bob, _) = ting.person("bob").await;
    let (mut eve, _) = ting.person("eve").await;
    let post = json!({"type": "user", "target": "bob", "text": "psst", "typing": false});
    let asked = ada.ask("post-message", &post).await;
    let posted = ada.answer(asked).await;
    assert_eq!(posted["status"], 200, "{posted}");
    let id = posted["messageid"].to_string();
    assert_eq!(update(&mut bob, &id).await["target"], json!("bob"));
    let (event, message) = bob.event().await;
    assert_eq!(
        (event.as_str(), &message["username"]),
        ("message", &json!("ada"))
    );

    // What came to eve before this is all that came to her.
    let asked = eve
        .ask("enter", &json!({"type": "channel", "target": "ting"}))
        .await;
    loop {
        match eve.hear().await {
            Heard::Ack(ack, body) if ack == asked => {
                assert_eq!(body, json!({"status": 204}));
                break;
            }
            Heard::Event(event, body) => assert!(!body.to_string().contains("psst"), "{event}"),
            other => panic!("{other:?}"),
        }
    }
    let asked = ada
        .ask("enter", &json!({"type": "user", "target": "nobody"}))
        .await;
    assert_eq!(
        ada.answer(asked).await,
        json!({"status": 404, "error": "not_found"})
    );
    ting.system.stop().await;
}
