//! What strangers get of a cluster, and what operators see of it.

use super::{channel, channel_of, full, on};
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::HashSet;
use std::time::{Duration, Instant};
use tests::collector::{Collector, Span};
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
    let collector = Collector::start().await;
    let settings = Settings::default().text("otel.endpoint", &collector.url());
    let cluster = Cluster::with(3, settings).await;
    let channel = channel_of(&cluster, 0).await;
    let bob = on(&cluster, 2, &channel, "bob", &full(&channel)).await;
    let (_, auth) = cluster.node(1).signs_in("ada").await;
    let trace: u128 = 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736;
    let body = json!({ "type": "channel", "target": channel, "text": "x" });
    let ask = cluster.node(1).post("/api/v1/message").bearer(&auth);
    let ask = ask.json(&body).header(
        "traceparent",
        &format!("00-{trace:032x}-00f067aa0ba902b7-01"),
    );
    let id = ask.await.is(200).messageid();
    bob.until("it shown", |events| {
        tests::connection::last_entry(events, id).cloned()
    })
    .await;
    // The request and its post on one node, what the owner heard of it and its frame on another,
    // what the viewer's relay heard of that on the third.
    let steps = ["POST /api/v1/message", "post", "heard", "frame", "heard"];
    let path = collector.until_spans("a path to the relay", trace, |spans| {
        let frame_to = |relay: &&Span| relay.name == "heard" && path(spans, relay).len() == 5;
        spans.iter().find(frame_to).map(|relay| path(spans, relay))
    });
    let path = path.await;
    let names: Vec<&str> = path.iter().map(|span| &*span.name).collect();
    assert_eq!(names, steps);
    let of: Vec<&str> = path.iter().map(|span| &*span.of).collect();
    assert_eq!((of[0], of[2]), (of[1], of[3]));
    let nodes: HashSet<&str> = of.into_iter().collect();
    assert_eq!(nodes.len(), 3, "{path:#?}");
}

/// The spans from the first of a trace to this one.
fn path(spans: &[Span], to: &Span) -> Vec<Span> {
    let parent = spans.iter().find(|span| span.id == to.parent);
    let mut path = parent.map_or_else(Vec::new, |parent| path(spans, parent));
    path.push(to.clone());
    path
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
    for word in [
        "NODE",
        "LEASE",
        "VIEW",
        "SHARDS",
        "WINDOW",
        "up",
        "(this node)",
        "holds its lease for",
    ] {
        assert!(shown.said.contains(word), "{word}: {}", shown.said);
    }
    // What the other one says of itself comes with its pings.
    let status = tests::within_limit("both tell of their leases", async {
        loop {
            let status = cluster.status(0, "ting").await.unwrap();
            let mut members = members(&status).into_iter();
            if members.all(|member| member["lease"] == true) {
                return status;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    let status = status.await;
    for member in members(&status) {
        let name: &str = member["name"].as_str().unwrap();
        assert_eq!(member["state"], "up", "{name}");
        assert_eq!(member["version"], status["version"], "{name}");
    }
    let [here, there] = [0, 1].map(|place| cluster.node(place));
    let own: Value = there.admin(Method::GET, "/cluster").await.json();
    assert_ne!(own["node"], status["node"]);
    let [link] = &status["links"].as_array().unwrap()[..] else {
        panic!("one link: {status}");
    };
    assert_eq!(link["peer"], own["node"]);
    assert!(link["round_trip_us"].as_u64() > Some(0), "{link}");
    assert_eq!(link["frames_dropped"], 0);
    let used = link["unacknowledged_bytes"].as_u64().unwrap();
    assert!(used <= link["window_bytes"].as_u64().unwrap(), "{link}");
    let left = status["lease_left_ms"].as_u64().unwrap();
    assert!(
        (1..=6_000).contains(&left),
        "{left} ms are left of its lease"
    );
    let shards = members(&status)
        .iter()
        .map(|member| member["shards"].as_u64())
        .sum::<Option<u64>>();
    assert_eq!(shards, Some(1_024));
    // Metrics say the same.
    let metrics = here.metrics().await;
    let own = members(&status)
        .into_iter()
        .find(|m| m["name"] == status["node"]);
    let own = own.unwrap()["shards"].as_f64().unwrap();
    assert_eq!(metrics.sum("ting_shards_owned"), own);
    assert_eq!(metrics.sum("ting_members{state=\"up\"}"), 2.0);
    assert_eq!(metrics.sum("ting_members"), 2.0);
    let left = metrics.sum("ting_lease_left_seconds");
    assert!(left > 0.0 && left <= 6.0, "{left}");
    assert!(metrics.has("ting_link_unacknowledged_bytes"));
    // The second one took its share of what the first one had.
    let taken = there.metrics().await.sum("ting_takeovers_total");
    assert_eq!(taken, 1_024.0 - own);
    let epochs = |status: &Value| status["epochs"].as_u64().unwrap();
    let before = epochs(&status);
    channel_in_use(&cluster, 0).await;
    assert!(epochs(&cluster.status(0, "ting").await.unwrap()) > before);
}

fn members(status: &Value) -> Vec<Value> {
    status["members"].as_array().unwrap().clone()
}

/// A channel of this node in which something was said.
async fn channel_in_use(cluster: &Cluster, owner: usize) {
    let channel = channel_of(cluster, owner).await;
    let ada = on(cluster, owner, &channel, "ada", &full(&channel)).await;
    ada.says("hello").await;
}

#[tokio::test]
async fn the_log_tells_each_step_of_going_and_how_long_it_took() {
    if !has_database() {
        return;
    }
    let cluster = Cluster::of(2).await;
    channel_in_use(&cluster, 1).await;
    let channel = channel(&cluster).await;
    let bob = on(&cluster, 1, &channel, "bob", &full(&channel)).await;
    let from = cluster.process(1).log().len();
    let began = Instant::now();
    cluster.process(1).signal("TERM");
    bob.is_closed().await;
    assert_eq!(cluster.process(1).ended().code(), Some(0));
    let took = began.elapsed().as_millis() as u64;
    let lines = cluster.process(1).log().split_off(from);
    let lines: Vec<Value> = lines
        .iter()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect();
    let step = |message: &str| lines.iter().position(|line| line["message"] == message);
    let steps = [
        "going by the view",
        "handed over",
        "connections ended",
        "drained",
        "writes ended",
        "left the view",
    ];
    let at = steps.map(|message| step(message).unwrap_or_else(|| panic!("no {message:?}")));
    assert!(at.is_sorted(), "{at:?}");
    let times = at.map(|at| lines[at]["took_ms"].as_u64().expect("a time"));
    println!("{steps:?} took {times:?} ms");
    let [by_view, handed_over, ended, drained, written, left] = times;
    assert!(by_view + handed_over + ended <= drained, "{times:?}");
    assert!(drained + written + left <= took, "{times:?} of {took} ms");
    let [by_view, handed_over, ended, _, written, left] = at.map(|at| &lines[at]);
    assert_eq!(by_view["in_view"], true);
    assert_eq!(handed_over["finished"], true);
    assert_eq!((&ended["told"], &ended["left"]), (&json!(1), &json!(0)));
    assert_eq!(written["finished"], true);
    assert_eq!(left["left"], true);
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
