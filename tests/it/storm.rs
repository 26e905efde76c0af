//! Many who log in the instant they are connected.

use futures::StreamExt;
use loadtest::socket::{Connect, packet};
use serde_json::json;
use tests::{Ting, size};

/// Connects and logs in without a pause; the answer, or why there is none.
async fn logs_in_at_once(ting: &Ting, name: &str, auth: &str) -> Result<(), String> {
    let connect = Connect::to(&ting.url()).map_err(|error| error.to_string())?;
    let mut connection = connect
        .limit(tests::LIMIT)
        .open()
        .await
        .map_err(|error| format!("{error:#}"))?;
    let login =
        json!({ "username": name, "ting_auth": auth, "presence": "batched", "channels": [] });
    connection
        .emit("login", &login)
        .await
        .map_err(|error| error.to_string())?;
    loop {
        let received = connection
            .next()
            .await
            .map_err(|closed| closed.to_string())?;
        if let Some(packet::Packet::Event(_, payload)) = received.packet()
            && packet::event_name(payload) == Some("login-response")
        {
            let answer: serde_json::Value = serde_json::from_str(payload).unwrap();
            let welcome = answer[1]["success"] == true;
            return welcome.then_some(()).ok_or_else(|| answer.to_string());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everyone_who_logs_in_the_instant_it_is_connected_is_answered() {
    // Each login reads the store, which as a database shares this machine.
    let clients = if tests::settings::is_cql() { 100 } else { 300 };
    let clients = size("TING_TEST_STORM", clients);
    let ting = Ting::alone().await;
    // A few at a time: it is the sockets that are stormed, and not the store.
    let signed_in: Vec<_> = futures::stream::iter(0..clients)
        .map(|_| ting.signs_in("storm"))
        .buffer_unordered(8)
        .collect()
        .await;
    let storm = signed_in.iter().map(|(name, auth)| async {
        let login = logs_in_at_once(&ting, name, auth);
        let answered = tokio::time::timeout(tests::LIMIT * 3, login).await;
        answered.unwrap_or_else(|_| Err("no login-response".to_owned()))
    });
    let answers = futures::future::join_all(storm).await;
    let missing: Vec<_> = answers.into_iter().filter_map(Result::err).collect();
    assert!(
        missing.is_empty(),
        "{} of {clients}: {:?}",
        missing.len(),
        missing.first()
    );
}
