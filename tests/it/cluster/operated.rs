//! What strangers get of a cluster, and what operators see of it.

use super::{channel, channel_of, full, on};
use serde_json::json;
use tests::{Cluster, Settings, cluster::has_database, size};

#[tokio::test]
async fn a_stranger_gets_nothing_from_the_nodes_port() {
    if !has_database() {
        return;
    }
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let cluster = Cluster::of(2).await;
    let before = cluster.process(0).resident_bytes();
    let address = cluster.process(0).listening().cluster;
    let mut idle = Vec::new();
    for n in 0..size("TING_TEST_STRANGERS", 300) {
        let mut stream = tokio::net::TcpStream::connect(&address).await.unwrap();
        match n % 3 {
            0 => {}
            1 => drop(stream.write_all(&[0xff; 4_096]).await),
            // Half of a handshake's first record.
            _ => drop(stream.write_all(&[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc]).await),
        }
        idle.push(stream);
    }
    let channel = channel(&cluster).await;
    let ada = on(&cluster, 0, &channel, "ada", &full(&channel)).await;
    let bob = on(&cluster, 1, &channel, "bob", &full(&channel)).await;
    let ghost = ada.types("hello").await;
    bob.sees(&ghost, "hello").await;
    ada.sends(&ghost, "hello").await;
    bob.sees_sent(&ghost, "hello").await;
    // All of them are shown out.
    for stream in &mut idle {
        let mut said = Vec::new();
        let ended = tokio::time::timeout(tests::LIMIT, stream.read_to_end(&mut said)).await;
        assert!(ended.is_ok(), "a stranger was kept");
        assert!(said.len() < 100, "a stranger was told {} bytes", said.len());
    }
    let after = cluster.process(0).resident_bytes();
    assert!(after < before + (64 << 20), "{before} and then {after}");
    cluster.agrees(&[0, 1]).await;
}

#[tokio::test]
async fn one_trace_goes_from_the_request_over_the_owner_to_the_relays() {
    if !has_database() {
        return;
    }
    let collector = tests::collector::Collector::start().await;
    let settings = Settings::default().text("otel.endpoint", &collector.url());
    let cluster = Cluster::with(3, settings).await;
    let channel = channel_of(&cluster, 0).await;
    let bob = on(&cluster, 2, &channel, "bob", &full(&channel)).await;
    let (_, auth) = cluster.node(1).signs_in("ada").await;
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let body = json!({ "type": "channel", "target": channel, "text": "x" });
    let ask = cluster.node(1).post("/api/v1/message").bearer(&auth);
    let ask = ask
        .json(&body)
        .header("traceparent", &format!("00-{trace}-00f067aa0ba902b7-01"));
    let id = ask.await.is(200).messageid();
    bob.until("it shown", |events| {
        tests::connection::last_entry(events, id).cloned()
    })
    .await;
    let trace: Vec<u8> = (0..16)
        .map(|n| u8::from_str_radix(&trace[2 * n..2 * n + 2], 16).unwrap())
        .collect();
    // The request and the post on one node, what the owner heard and its frame on another, what
    // the viewer's relay heard on the third.
    let spans = |bytes: &[u8]| {
        let holds = bytes.windows(16).filter(|window| **window == trace[..]);
        holds.count() >= 5
    };
    collector.until("the spans of three nodes", spans).await;
}

#[tokio::test]
async fn an_operator_sees_the_cluster() {
    if !has_database() {
        return;
    }
    let cluster = Cluster::of(2).await;
    let admin = cluster.process(0).listening().admin;
    let directory = cluster.process(0).directory();
    let variables = [("TING_ADMIN__LISTEN".to_owned(), admin)];
    let variables = variables.iter().map(|(name, value)| (name, value));
    let mut command = tests::process::command(directory, variables);
    let shown = tests::process::run_to_end(command.args(["cluster", "status"]));
    assert_eq!(shown.code, Some(0), "{}", shown.said);
    for word in ["NODE", "SHARDS", "up", "(this node)", "holds its lease"] {
        assert!(shown.said.contains(word), "{word}: {}", shown.said);
    }
    let status = cluster.status(0, "ting").await.unwrap();
    let shards = status["members"].as_array().unwrap().iter();
    let shards: u64 = shards
        .map(|member| member["shards"].as_u64().unwrap())
        .sum();
    assert_eq!(shards, 1_024);
}

#[test]
fn a_store_that_can_not_be_shared_refuses_a_cluster() {
    let directory = tempfile::tempdir().unwrap();
    let variables = [("TING_CLUSTER__LISTEN".to_owned(), "127.0.0.1:0".to_owned())];
    let variables = variables.iter().map(|(name, value)| (name, value));
    let mut command = tests::process::command(directory.path(), variables);
    let refused = tests::process::run_to_end(&mut command);
    assert_eq!(refused.code, Some(2), "{}", refused.said);
    assert!(refused.said.contains("cluster.listen"), "{}", refused.said);
    assert!(refused.said.contains("store.kind"), "{}", refused.said);
}
