//! What clients do that would hurt others.

use super::*;
use actors::edge::ConnectionId;
use std::time::Instant;

#[tokio::test]
async fn a_socket_is_ended_by_its_switch_and_told_of_once() {
    let mut node = Node::start().await;
    let (mut ada, adas) = node.logged_in("ada").await;
    let (mut bob, bobs) = node.logged_in("bob").await;
    let sockets = node.edge.sockets();
    sockets.kill(adas, Kill::SignedOut);
    sockets.kill(adas, Kill::SignedOut);
    ada.closed().await;
    assert_eq!(node.told().await, Told::Disconnected(adas));
    let join = sockets.encode(Event::Join(&encoding::tests::name("eve")));
    // Nobody of that name is there any more; the others hear it.
    sockets.emit(adas, std::slice::from_ref(&join));
    sockets.join(adas, &everybody());
    sockets.emit_to_room(&everybody(), &[join]);
    while bob.event().await.1 != json!("eve") {}
    drop(bob);
    assert_eq!(node.told().await, Told::Disconnected(bobs));
    assert!(node.edge.0.registry.all().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_stops_reading_is_ended_and_others_hear_everything() {
    let mut node = Node::start().await;
    let (_deaf, deaf) = node.logged_in("deaf").await;
    let (mut ada, _) = node.logged_in("ada").await;
    let sockets = node.edge.sockets();
    let entries = [encoding::tests::entry(1, &"x".repeat(50_000), true)];
    let packet = [sockets.encode(Event::TypingMessages(&entries))];
    let mut emitted = 0;
    while node.edge.0.registry.get(deaf).is_some() {
        sockets.emit_to_room(&everybody(), &packet);
        emitted += 1;
        while ada.event().await.0 != "update-typing-messages" {}
        assert!(emitted < 10_000, "never ended");
    }
    assert_eq!(node.told().await, Told::Disconnected(deaf));
    let (_, connection) = node.logged_in("deaf").await;
    assert_ne!(connection, deaf);
}

#[tokio::test]
async fn who_never_logs_in_is_not_kept() {
    let settings = SocketSettings {
        sign_in: Duration::from_millis(200),
        ..SocketSettings::default()
    };
    let mut node = Node::with(settings).await;
    let (mut ada, _) = node.logged_in("ada").await;
    let mut silent = Client::connect(node.address).await;
    silent.closed().await;
    // Who has logged in stays.
    let asked = ada
        .ask("enter", &json!({"type": "channel", "target": "ting"}))
        .await;
    assert_eq!(ada.answer(asked).await, json!({"status": 204}));
}

#[tokio::test]
async fn who_sends_too_fast_is_told_and_then_not_listened_to() {
    let settings = SocketSettings {
        events_per_second: 1,
        events_burst: 3,
        ..SocketSettings::default()
    };
    let mut node = Node::with(settings).await;
    let (mut ada, adas) = node.logged_in("ada").await;
    let ting = json!({"type": "channel", "target": "ting"});
    let mut refused = None;
    while refused.is_none() {
        let asked = ada.ask("enter", &ting).await;
        let answer = ada.answer(asked).await;
        refused = (answer["status"] == 429).then_some(answer);
    }
    let expected = json!({"status": 429, "error": "too_many", "retry_after": 1});
    assert_eq!(refused, Some(expected));
    for _ in 0..200 {
        ada.emit("enter", &ting).await;
    }
    ada.closed().await;
    while node.told().await != Told::Disconnected(adas) {}
}

#[tokio::test]
async fn an_address_has_a_limit_of_sockets_that_wait() {
    let settings = SocketSettings {
        sockets_waiting_per_address: 1,
        ..SocketSettings::default()
    };
    let node = Node::with(settings).await;
    // Somebody behind a proxy that nobody told of: limited, though it is this machine.
    let forwarded = [("x-forwarded-for", "203.0.113.7")];
    let open = || Client::open(node.address, 4, &forwarded);
    let token = node.actors.sign_in("ada");
    let mut first = open().await.unwrap();
    assert!(open().await.is_err());
    let (status, _) = request(
        node.address,
        "GET",
        "EIO=4&transport=polling",
        &forwarded,
        "",
    )
    .await;
    assert_eq!(status, 429);
    // Without a proxy this machine has no limit.
    Client::connect(node.address).await;
    first.send("40").await;
    first.connected().await;
    first.log_in("ada", &token).await;
    assert!(open().await.is_ok());
}

#[tokio::test]
async fn a_frame_too_large_ends_its_socket_alone() {
    let mut node = Node::start().await;
    let (mut ada, _) = node.logged_in("ada").await;
    let (mut eve, eves) = node.logged_in("eve").await;
    let too_large = json!(["enter", "x".repeat(PACKET_MAX)]);
    eve.tries(&format!("42{too_large}")).await;
    eve.closed().await;
    assert_eq!(node.told().await, Told::Disconnected(eves));
    let asked = ada
        .ask("enter", &json!({"type": "channel", "target": "ting"}))
        .await;
    assert_eq!(ada.answer(asked).await, json!({"status": 204}));
}

#[tokio::test]
async fn who_leaves_the_namespace_is_hung_up_on() {
    let mut node = Node::start().await;
    let (mut ada, adas) = node.logged_in("ada").await;
    ada.send("41").await;
    assert_eq!(node.told().await, Told::Disconnected(adas));
    ada.closed().await;
}

/// A polling client that has logged in: its socket's name and number.
async fn polling(node: &mut Node) -> (String, ConnectionId) {
    let token = node.actors.sign_in("ada");
    let (status, open) = request(node.address, "GET", "EIO=4&transport=polling", &[], "").await;
    assert_eq!(status, 200);
    let open: serde_json::Value = serde_json::from_str(&open[1..]).unwrap();
    let query = format!(
        "EIO=4&transport=polling&sid={}",
        open["sid"].as_str().unwrap()
    );
    let login = json!(["login", {"username": "ada", "ting_auth": token}]);
    for packet in ["40".to_owned(), format!("42{login}")] {
        let posted = request(node.address, "POST", &query, &[], &packet).await;
        assert_eq!(posted, (200, "ok".to_owned()));
    }
    let Told::LoggedIn(connection, _) = node.told().await else {
        panic!("told of something else");
    };
    let mut heard = String::new();
    while !heard.contains("login-response") {
        let (status, packets) = request(node.address, "GET", &query, &[], "").await;
        assert_eq!(status, 200);
        heard.push_str(&packets);
    }
    (query, connection)
}

#[tokio::test]
async fn a_polling_socket_is_ended_by_its_switch_too() {
    let mut node = Node::start().await;
    let (query, connection) = polling(&mut node).await;
    let address = node.address;
    // Answered with what is left, then waiting for more.
    let waiting = tokio::spawn({
        let query = query.clone();
        async move {
            loop {
                let (status, body) = request(address, "GET", &query, &[], "").await;
                if status != 200 {
                    return (status, body);
                }
            }
        }
    });
    node.edge.sockets().kill(connection, Kill::Restarted);
    assert_eq!(node.told().await, Told::Disconnected(connection));
    let (status, body) = within(waiting).await.unwrap();
    assert!(
        status == 400 && body.contains("Session ID unknown"),
        "{body}"
    );
    let (status, _) = request(address, "POST", &query, &[], "3").await;
    assert_eq!(status, 400);

    let sid = query.rsplit('=').next().unwrap().parse().unwrap();
    let registry = &node.edge.0.registry;
    assert!(registry.line(sid).is_some());
    let later = Instant::now() + Duration::from_secs(60);
    reaper::sweep(registry, &node.edge.0.io, later);
    assert!(registry.line(sid).is_none());
}

#[tokio::test]
async fn what_waits_for_a_polling_client_has_a_limit_in_bytes() {
    let mut node = Node::start().await;
    let (query, connection) = polling(&mut node).await;
    let (sockets, registry) = (node.edge.sockets(), node.edge.0.registry.clone());
    let entries = [encoding::tests::entry(1, &"x".repeat(50_000), true)];
    let packet = [sockets.encode(Event::TypingMessages(&entries))];
    // More in all than may wait, but it is polled.
    for _ in 0..180 {
        sockets.emit(connection, &packet);
        let (status, _) = request(node.address, "GET", &query, &[], "").await;
        assert_eq!(status, 200);
    }
    assert!(registry.get(connection).is_some());
    let mut waiting = 0;
    while registry.get(connection).is_some() {
        sockets.emit(connection, &packet);
        waiting += 1;
        assert!(waiting < 300, "only the library's limit of packets holds");
    }
    assert!(waiting > 100, "{waiting}");
    assert_eq!(node.told().await, Told::Disconnected(connection));
}

#[tokio::test]
async fn a_polling_client_that_asks_for_nothing_is_ended() {
    let mut node = Node::start().await;
    let (silent_query, silent) = polling(&mut node).await;
    let (query, asking) = polling(&mut node).await;
    let address = node.address;
    tokio::spawn(async move { while request(address, "GET", &query, &[], "").await.0 == 200 {} });
    let (registry, io) = (node.edge.0.registry.clone(), node.edge.0.io.clone());
    let later = |seconds| Instant::now() + Duration::from_secs(seconds);
    let asks = registry.get(asking).unwrap();
    within(async {
        while asks.unpolled_for(later(60)) > Duration::ZERO {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
    // From here on nothing is awaited, so it goes on asking.
    reaper::sweep(&registry, &io, later(5));
    assert!(registry.get(silent).is_some());
    reaper::sweep(&registry, &io, later(60));
    assert!(registry.get(silent).is_none());
    assert!(registry.get(asking).is_some());
    assert_eq!(node.told().await, Told::Disconnected(silent));
    // It answers pings, as if it had heard one.
    let (status, _) = request(address, "POST", &silent_query, &[], "3").await;
    assert_eq!(status, 400);
}

/// Posts as clients 2.x do when they poll: first what is to be refused, then a login.
async fn posts_of_version_3(to_be_refused: &[&str]) -> Vec<u16> {
    let mut node = Node::start().await;
    let (_, open) = request(node.address, "GET", "EIO=3&transport=polling", &[], "").await;
    let (_, open) = open.split_once(":0").unwrap();
    let open: serde_json::Value = serde_json::from_str(open).unwrap();
    let query = format!(
        "EIO=3&transport=polling&sid={}",
        open["sid"].as_str().unwrap()
    );
    let (_, connected) = request(node.address, "GET", &query, &[], "").await;
    assert!(connected.contains(":40"), "{connected}");
    let text = [("content-type", "text/plain;charset=UTF-8")];
    let mut answers = Vec::new();
    for body in to_be_refused {
        let (status, _) = request(node.address, "POST", &query, &text, body).await;
        answers.push(status);
    }
    let token = node.actors.sign_in("ada");
    let login = json!(["login", {"username": "ada", "ting_auth": token, "other": "𝕊"}]);
    let login = format!("42{login}");
    let body = format!("1:2{}:{login}", login.encode_utf16().count());
    let posted = request(node.address, "POST", &query, &text, &body).await;
    assert_eq!(posted, (200, "ok".to_owned()));
    assert!(matches!(node.told().await, Told::LoggedIn(..)));
    answers
}

#[test]
fn a_length_that_ends_inside_a_character_is_refused_and_holds_up_nobody() {
    let (says, said) = std::sync::mpsc::channel();
    // The node has one thread, and this one goes on where that does not.
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let bodies = ["2:4𝕊x", "2:4𝕊", "1:2x", "9:4ab", "none"];
        says.send(runtime.block_on(posts_of_version_3(&bodies)))
    });
    let answers = said.recv_timeout(Duration::from_secs(30));
    assert_eq!(answers, Ok(vec![400; 5]));
}

#[tokio::test]
async fn what_only_the_library_or_only_the_registry_knows_is_ended() {
    let mut node = Node::start().await;
    let (mut ada, adas) = node.logged_in("ada").await;
    let (mut bob, bobs) = node.logged_in("bob").await;
    let (registry, io) = (&node.edge.0.registry, &node.edge.0.io);
    reaper::sweep(registry, io, Instant::now() + Duration::from_secs(60));
    let line = registry.get(adas).unwrap().line.clone();
    registry.forget_lines(|one| std::ptr::eq(one, &*line));
    reaper::sweep(registry, io, Instant::now());
    while ada.hear().await != Heard::Dismissed {}
    // The registry was not told, as when the library loses a socket without a word.
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    let sweep = |later| {
        let later = Instant::now() + Duration::from_secs(later);
        metrics::with_local_recorder(&recorder, || reaper::sweep(registry, io, later));
        recorder.handle().render()
    };
    assert!(!sweep(5).contains("orphaned"), "it may be about to be told");
    assert!(registry.get(adas).is_some());
    let counted = "ting_sockets_killed_total{why=\"orphaned\"} 1\n";
    assert!(sweep(60).contains(counted));
    assert!(sweep(60).contains(counted), "once");
    assert!(registry.get(adas).is_none() && line.is_cut());
    ada.closed().await;
    assert_eq!(node.told().await, Told::Disconnected(adas));
    // Whom both know stays.
    let asked = bob
        .ask("enter", &json!({"type": "channel", "target": "ting"}))
        .await;
    assert_eq!(bob.answer(asked).await, json!({"status": 204}));
    assert!(node.edge.0.registry.get(bobs).is_some());
}

#[tokio::test]
async fn a_socket_that_changes_its_transport_is_ended_by_its_switch() {
    let mut node = Node::start().await;
    let (query, connection) = polling(&mut node).await;
    let query = query.replace("polling", "websocket");
    let mut client = Client::open_with(node.address, &query, &[]).await.unwrap();
    client.send("2probe").await;
    client.send("5").await;
    let asked = client
        .ask("enter", &json!({"type": "channel", "target": "ting"}))
        .await;
    assert_eq!(client.answer(asked).await, json!({"status": 204}));
    assert_eq!(node.told().await, Told::Entered("c:ting".to_owned()));
    node.edge.sockets().kill(connection, Kill::Draining);
    client.closed().await;
    assert_eq!(node.told().await, Told::Disconnected(connection));
}
