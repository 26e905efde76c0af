//! A node that goes says so, and loses nothing.

use loadtest::socket::Closed;
use reqwest::Method;
use serde_json::Value;
use tests::{Connection, Ting};

async fn is_told_to_go(connection: &Connection) -> u64 {
    connection
        .until("drain", |events| {
            let drain = events.iter().find(|event| event.name == "drain")?;
            drain.args[0]["after_ms"].as_u64()
        })
        .await
}

#[tokio::test]
async fn a_terminated_node_tells_its_clients_and_ends_cleanly() {
    let ting = Ting::alone().await;
    let room = ting.room().await;
    let [mut ada, bob] = room.people(["ada", "bob"]).await;
    let seed = room.seed_person("seed").await;
    let open = ada.types("open").await;
    bob.sees(&open, "open").await;
    let said = ada.says("said").await;
    ting.process().signal("TERM");
    for person in [&ada, &bob] {
        let after = is_told_to_go(person).await;
        assert!(after <= 90_000, "{after} ms are long");
    }
    for connection in [&*ada, &*bob, &*seed] {
        let closed = connection.is_closed().await;
        // A server's `disconnect` would keep a client from reconnecting.
        assert_ne!(closed, Closed::Disconnected);
    }
    let process = ting.clone();
    let ended = tokio::task::spawn_blocking(move || process.process().ended())
        .await
        .unwrap();
    assert_eq!(ended.code(), Some(0));
    ting.process().start_again();
    ada.reconnects().await;
    assert_eq!(ada.finds(&said).await["text"], "said");
    ada.goes_on(&open, "open again").await;
    assert_eq!(ada.finds(&open).await["text"], "open again");
}

#[tokio::test]
async fn a_second_signal_ends_at_once() {
    let ting = Ting::alone().await;
    let room = ting.room().await;
    let ada = room.person("ada").await;
    ting.process().signal("TERM");
    is_told_to_go(&ada).await;
    // It may have ended between the two.
    if ting.process().resident_bytes() > 0 {
        ting.process().signal("TERM");
    }
    let process = ting.clone();
    tokio::task::spawn_blocking(move || process.process().ended())
        .await
        .unwrap();
}

#[tokio::test]
async fn draining_is_asked_for_on_the_operators_port_only() {
    let ting = Ting::alone().await;
    let room = ting.room().await;
    let ada = room.person("ada").await;
    let public = ting.post("/drain").await;
    assert!(matches!(public.status, 404 | 405), "{}", public.status);
    ting.admin(Method::GET, "/livez").await.is(200);
    ting.admin(Method::GET, "/readyz").await.is(200);
    ting.admin(Method::GET, "/drain").await.is(405);
    let drained = ting.admin(Method::POST, "/drain").try_send();
    let told = is_told_to_go(&ada);
    let (drained, _) = tokio::join!(drained, told);
    if let Ok(answer) = drained {
        assert!(
            matches!(answer.status, 200 | 202 | 204),
            "{}",
            answer.status
        );
    }
    // Nobody is sent to it any more, until it ends.
    if let Ok(ready) = ting.admin(Method::GET, "/readyz").try_send().await {
        assert_eq!(ready.status, 503, "{}", ready.text);
    }
    ada.is_closed().await;
}

#[tokio::test]
async fn clients_of_the_seed_are_not_told_what_they_cannot_know() {
    let ting = Ting::alone().await;
    let seed = ting.seed_person("seed").await;
    ting.process().signal("TERM");
    // The shapes know of no `drain` for it.
    seed.is_closed().await;
    assert!(seed.events().iter().all(|event| event.name != "drain"));
}

#[tokio::test]
async fn the_operators_port_tells_of_the_store_and_the_cluster() {
    let ting = Ting::shared().await;
    let ready = ting.admin(Method::GET, "/readyz").await.is(200);
    assert!(ready.text.contains("store"), "{}", ready.text);
    let cluster: Value = ting.admin(Method::GET, "/cluster").await.is(200).json();
    assert!(cluster.is_object(), "{cluster}");
    // None of it is public.
    for path in ["/metrics", "/livez", "/readyz", "/cluster"] {
        let public = ting.get(path).await;
        assert!(!public.text.contains("ting_sockets"), "{path} is public");
        assert!(public.status == 404 || public.header("content-type").unwrap().contains("html"));
    }
}
