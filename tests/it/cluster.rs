//! Several nodes over one database: what is typed, sent and seen crosses them, and losing one
//! costs a moment.
//!
//! These need a database (`TING_TEST_CQL`), and leave themselves out, in words, without one.

use reqwest::Method;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tests::{Cluster, Login, Person, Room, Settings, Ting, cluster::has_database, names, size};

/// How often each fault is tried.
fn rounds() -> usize {
    size("TING_TEST_ROUNDS", 1)
}

/// A person on one node of a cluster, in a channel.
async fn on(cluster: &Cluster, place: usize, channel: &str, start: &str, login: &Login) -> Person {
    let room = Room::of(&cluster.node(place), channel);
    Person::arrives(&room, start, login).await
}

async fn channel(cluster: &Cluster) -> String {
    let room = cluster.node(0).room().await;
    room.name().to_owned()
}

fn full(channel: &str) -> Login {
    Login::full().channels(&[channel])
}

/// A channel whose owner is this node.
async fn channel_of(cluster: &Cluster, owner: usize) -> String {
    loop {
        let name = channel(cluster).await;
        if cluster.owner(&name).await == owner {
            return name;
        }
    }
}

/// Sends until it is acknowledged, as clients do; how long that took.
async fn insists(ting: &Ting, auth: &str, body: &Value) -> Duration {
    let began = Instant::now();
    loop {
        let ask = ting.patch("/api/v1/message").bearer(auth).json(body);
        match ask.try_send().await {
            Ok(answer) if answer.status == 204 => return began.elapsed(),
            Ok(answer) => assert_eq!(answer.status, 503, "{}", answer.text),
            // A node that is gone.
            Err(_) => {}
        }
        assert!(began.elapsed() < tests::LIMIT, "never acknowledged");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn the_owner_dies_and_what_was_typed_stays_in_its_place() {
    if !has_database() {
        return;
    }
    let cluster = Cluster::of(3).await;
    for round in 0..rounds() {
        let channel = channel_of(&cluster, 0).await;
        let ada = on(&cluster, 1, &channel, "ada", &full(&channel)).await;
        let seed = on(&cluster, 2, &channel, "seed", &Login::seed()).await;
        seed.types("where the seed is").await;
        let bob = on(&cluster, 2, &channel, "bob", &full(&channel)).await;
        let sent = ada.says("sent before").await;
        let ghost = ada.types("hal").await;
        let after = bob.says("sent after it began").await;
        for viewer in [&bob, &seed] {
            viewer.sees(&ghost, "hal").await;
            viewer.sees_sent(&after, "sent after it began").await;
        }
        cluster.process(0).kill();
        let others = cluster.nodes(&[1, 2]);
        let body = json!({
            "type": "channel", "target": channel, "messageid": ghost.id, "text": "half and whole",
            "typing": false, "claim": ghost.claim, "rev": 100,
        });
        let took = insists(&others, &ada.auth, &body).await;
        for viewer in [&ada, &bob, &seed] {
            viewer.sees_sent(&ghost, "half and whole").await;
            for message in [&sent, &ghost, &after] {
                let sents = viewer.entries(message.id);
                let sents = sents.iter().filter(|entry| entry["typing"] == false);
                assert!(sents.count() <= 1, "shown as sent more than once");
            }
        }
        for place in [1, 2] {
            let read = cluster.node(place);
            let history = read.history(&ada.auth, ada.here(), "").await;
            let sent_ones = history.iter().filter(|m| m["typing"] == false);
            let ids: Vec<u64> = sent_ones.map(|m| m["id"].as_u64().unwrap()).collect();
            assert_eq!(
                ids,
                [after.id, ghost.id, sent.id],
                "each once, in its place"
            );
        }
        println!("round {round}: acknowledged again {took:?} after the owner died");
        cluster.process(0).start_again();
        cluster.agrees(&[0, 1, 2]).await;
    }
}

#[tokio::test]
async fn a_node_with_sockets_dies_and_its_people_come_back_elsewhere() {
    if !has_database() {
        return;
    }
    let cluster = Cluster::of(3).await;
    for round in 0..rounds() {
        // Once apart from the owner, once with it.
        for owner in [1, 0] {
            let channel = channel_of(&cluster, owner).await;
            let ada = on(&cluster, 0, &channel, "ada", &full(&channel)).await;
            let gone = on(&cluster, 0, &channel, "gone", &full(&channel)).await;
            let bob = on(&cluster, 2, &channel, "bob", &full(&channel)).await;
            let ghost = ada.types("unse").await;
            let lost = gone.types("never sent").await;
            bob.sees(&ghost, "unse").await;
            bob.sees(&lost, "never sent").await;
            let from = bob.count();
            cluster.process(0).kill();
            let killed = Instant::now();
            // Back on another node with the same sign-in, the text intact, in the old place.
            let room = Room::of(&cluster.node(1), &channel);
            let ada =
                Person::with(&room, ada.name.clone(), ada.auth.clone(), &full(&channel)).await;
            ada.goes_on(&ghost, "unsent").await;
            let back = killed.elapsed();
            bob.sees(&ghost, "unsent").await;
            bob.no_longer_sees(&lost).await;
            bob.hears("part", &gone.name, from).await;
            let agreed = killed.elapsed();
            assert!(agreed < Duration::from_secs(8), "{agreed:?}");
            ada.sends(&ghost, "unsent").await;
            bob.sees_sent(&ghost, "unsent").await;
            println!("round {round}: typing again after {back:?}, the dead gone after {agreed:?}");
            cluster.process(0).start_again();
            cluster.agrees(&[0, 1, 2]).await;
        }
    }
}

#[tokio::test]
async fn an_owner_that_was_paused_acknowledges_nothing_and_comes_back() {
    if !has_database() {
        return;
    }
    let cluster = Cluster::of(3).await;
    for round in 0..rounds() {
        let channel = channel_of(&cluster, 0).await;
        let ada = on(&cluster, 1, &channel, "ada", &full(&channel)).await;
        let bob = on(&cluster, 2, &channel, "bob", &full(&channel)).await;
        let eve = on(&cluster, 0, &channel, "eve", &full(&channel)).await;
        let ghost = ada.types("still").await;
        bob.sees(&ghost, "still").await;
        let before = cluster.status(0, "ting").await.unwrap()["node"].clone();
        cluster.process(0).signal("STOP");
        let paused = Instant::now();
        // Asked while it sleeps: it may do what it was told late, or not at all, but never twice.
        let late = json!({
            "type": "channel", "target": channel, "text": "late", "typing": false, "key": "late",
        });
        let asked = cluster.node(0);
        let (auth, body) = (eve.auth.clone(), late.clone());
        let asked = tokio::spawn(async move {
            let ask = asked.post("/api/v1/message").bearer(&auth).json(&body);
            ask.try_send()
                .await
                .is_ok_and(|answer| answer.status == 200)
        });
        cluster.agrees(&[1, 2]).await;
        let body = json!({
            "type": "channel", "target": channel, "messageid": ghost.id, "text": "still here",
            "typing": false, "claim": ghost.claim, "rev": 100,
        });
        insists(&cluster.nodes(&[1, 2]), &ada.auth, &body).await;
        let took = paused.elapsed();
        bob.sees_sent(&ghost, "still here").await;
        assert!(took < Duration::from_secs(20), "{took:?}");
        cluster.process(0).signal("CONT");
        cluster.agrees(&[0, 1, 2]).await;
        let after = cluster.status(0, "ting").await.unwrap()["node"].clone();
        assert_ne!(before, after, "it came back under its old name");
        let acknowledged = asked.await.unwrap();
        let history = cluster.node(1).history(&ada.auth, ada.here(), "").await;
        let there = history.iter().filter(|m| m["text"] == "late").count();
        assert!(there <= 1);
        assert!(!acknowledged || there == 1, "acknowledged and lost");
        println!("round {round}: acknowledged by others {took:?} after the owner was paused");
        // Who is put out again and again stays away for longer each time.
        cluster.process(0).restart();
        cluster.agrees(&[0, 1, 2]).await;
    }
}

#[tokio::test]
async fn all_nodes_die_and_nothing_acknowledged_is_lost() {
    if !has_database() {
        return;
    }
    let cluster = Cluster::of(2).await;
    let channel = channel(&cluster).await;
    let ada = on(&cluster, 0, &channel, "ada", &full(&channel)).await;
    let bob = on(&cluster, 1, &channel, "bob", &full(&channel)).await;
    let ghost = ada.types("begun before").await;
    let mut sent = Vec::new();
    for n in 0..10 {
        sent.push(ada.says(&format!("ada {n}")).await.id);
        sent.push(bob.says(&format!("bob {n}")).await.id);
    }
    for place in [0, 1] {
        cluster.process(place).kill();
    }
    let began = Instant::now();
    for place in [0, 1] {
        cluster.process(place).start_again();
    }
    cluster.agrees(&[0, 1]).await;
    println!("both are back after {:?}", began.elapsed());
    let room = Room::of(&cluster.node(1), &channel);
    let ada = Person::with(&room, ada.name.clone(), ada.auth.clone(), &full(&channel)).await;
    ada.sends(&ghost, "sent after").await;
    let history = cluster.node(0).history(&ada.auth, ada.here(), "").await;
    let ids: Vec<u64> = history
        .iter()
        .rev()
        .map(|m| m["id"].as_u64().unwrap())
        .collect();
    let mut expected = vec![ghost.id];
    expected.extend(sent);
    assert_eq!(ids, expected, "each once, in its place");
}

#[tokio::test]
async fn a_private_crosses_three_nodes_and_nobody_else_sees_it() {
    if !has_database() {
        return;
    }
    let cluster = Cluster::of(3).await;
    let channel = channel(&cluster).await;
    let mut ada = on(&cluster, 0, &channel, "ada", &full(&channel)).await;
    let bob = on(&cluster, 1, &channel, "bob", &full(&channel)).await;
    let seed = on(&cluster, 1, &channel, "seed", &Login::seed()).await;
    let eve = on(&cluster, 2, &channel, "eve", &full(&channel)).await;
    for to in [&bob, &seed] {
        ada.turns_to(to);
        let said = ada.says("psst").await;
        to.sees_sent(&said, "psst").await;
        to.is_told(&said).await;
        let ghost = ada.types("and").await;
        to.sees(&ghost, "and").await;
        // A third device signs in elsewhere in the moment it is being typed.
        let room = Room::of(&cluster.node(2), &channel);
        let device = Person::with(&room, to.name.clone(), to.auth.clone(), &full(&channel)).await;
        device.sees(&ghost, "and").await;
        ada.sends(&ghost, "and so on").await;
        device.sees_sent(&ghost, "and so on").await;
        to.sees_sent(&ghost, "and so on").await;
        for hidden in [&said, &ghost] {
            eve.never_saw(hidden);
        }
    }
}

#[tokio::test]
async fn ending_a_sign_in_reaches_its_devices_on_all_nodes() {
    if !has_database() {
        return;
    }
    let cluster = Cluster::of(3).await;
    let channel = channel(&cluster).await;
    let ada = on(&cluster, 0, &channel, "ada", &full(&channel)).await;
    let bob = on(&cluster, 2, &channel, "bob", &full(&channel)).await;
    let room = Room::of(&cluster.node(1), &channel);
    let device = Person::with(&room, ada.name.clone(), ada.auth.clone(), &full(&channel)).await;
    let ghost = device.types("going").await;
    bob.sees(&ghost, "going").await;
    let there = cluster.node(2);
    let ended = there.ask(Method::DELETE, "/restapi/v1/sessions");
    ended.bearer(&ada.auth).await.is(204);
    ada.is_closed().await;
    device.is_closed().await;
    bob.no_longer_sees(&ghost).await;
    bob.hears("part", &ada.name, 0).await;
    for place in 0..3 {
        let who = cluster
            .node(place)
            .get("/restapi/v1/sessions")
            .bearer(&ada.auth);
        who.await.is(403);
    }
}

#[tokio::test]
async fn a_key_is_used_once_whatever_nodes_are_asked() {
    if !has_database() {
        return;
    }
    let cluster = Cluster::of(3).await;
    let channel = channel(&cluster).await;
    let (_, auth) = cluster.node(0).signs_in("ada").await;
    for n in 0..20 {
        let body = json!({
            "type": "channel", "target": channel, "text": format!("said {n}"), "typing": false,
            "key": names::unique("key"),
        });
        let nodes: Vec<Ting> = (0..3).map(|place| cluster.node(place)).collect();
        let asked = nodes.iter().map(|node| {
            let ask = node.post("/api/v1/message").bearer(&auth).json(&body);
            async move { ask.await.is(200).messageid() }
        });
        let ids = futures::future::join_all(asked).await;
        assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    }
    let target = tests::Target::channel(&channel);
    let history = cluster.node(1).history(&auth, &target, "").await;
    assert_eq!(history.len(), 20);
}

#[tokio::test]
async fn nodes_restart_one_after_the_other_and_no_send_fails() {
    if !has_database() {
        return;
    }
    let cluster = Cluster::of(3).await;
    let channel = channel(&cluster).await;
    let serving: Serving = Arc::new(Mutex::new(vec![0, 1, 2]));
    // Made once: a client takes longer to make than to use.
    let nodes: Vec<Ting> = (0..3).map(|place| cluster.node(place)).collect();
    let (mut viewers, mut moved) = (Vec::new(), Vec::new());
    for n in 0..24 {
        let viewer = Viewer {
            nodes: nodes.clone(),
            serving: serving.clone(),
            channel: channel.clone(),
        };
        let moves = Arc::new(AtomicUsize::new(0));
        moved.push(moves.clone());
        viewers.push(tokio::spawn(viewer.watches(n, moves)));
    }
    let over = Arc::new(AtomicBool::new(false));
    let mut typists = Vec::new();
    for n in 0..6 {
        let typist = Typist {
            nodes: nodes.clone(),
            serving: serving.clone(),
            channel: channel.clone(),
            over: over.clone(),
        };
        typists.push(tokio::spawn(typist.types_on(n)));
    }
    for place in 0..3 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let before: Vec<usize> = moved
            .iter()
            .map(|moves| moves.load(Ordering::Relaxed))
            .collect();
        // As a balancer does before a node goes.
        serving.lock().unwrap().retain(|node| *node != place);
        cluster.process(place).signal("TERM");
        assert_eq!(cluster.process(place).ended().code(), Some(0));
        cluster.process(place).start_again();
        cluster.agrees(&[0, 1, 2]).await;
        serving.lock().unwrap().push(place);
        for (moves, before) in moved.iter().zip(before) {
            let times = moves.load(Ordering::Relaxed) - before;
            assert!(
                times <= 1,
                "somebody had to connect {times} times in one step"
            );
        }
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    over.store(true, Ordering::Relaxed);
    let mut sent = Vec::new();
    for typist in typists {
        sent.extend(typist.await.unwrap());
    }
    let (_, auth) = cluster.node(0).signs_in("reader").await;
    let target = tests::Target::channel(&channel);
    let history = cluster.node(1).history(&auth, &target, "?lim=1000").await;
    let there: Vec<u64> = history.iter().map(|m| m["id"].as_u64().unwrap()).collect();
    for id in &sent {
        let times = there.iter().filter(|there| *there == id).count();
        assert_eq!(times, 1, "{id} is there {times} times");
    }
    assert!(sent.len() > 50, "{}", sent.len());
    for viewer in viewers {
        viewer.abort();
    }
    println!("{} sends over three restarts, none failed", sent.len());
}

/// The nodes that a balancer sends people to.
type Serving = Arc<Mutex<Vec<usize>>>;

/// Somebody who watches, and goes to another node when told to.
struct Viewer {
    nodes: Vec<Ting>,
    serving: Serving,
    channel: String,
}

impl Viewer {
    async fn watches(self, n: usize, moves: Arc<AtomicUsize>) {
        let (name, auth) = self.nodes[n % 3].signs_in("viewer").await;
        loop {
            let place = {
                let serving = self.serving.lock().unwrap();
                serving[n % serving.len()]
            };
            let room = Room::of(&self.nodes[place], &self.channel);
            let login = full(&self.channel);
            let here = Person::with(&room, name.clone(), auth.clone(), &login).await;
            here.is_closed().await;
            moves.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Somebody who types and sends by HTTP to nodes that serve.
struct Typist {
    nodes: Vec<Ting>,
    serving: Serving,
    channel: String,
    over: Arc<AtomicBool>,
}

impl Typist {
    fn next(&self, turn: usize) -> &Ting {
        let serving = self.serving.lock().unwrap();
        &self.nodes[serving[turn % serving.len()]]
    }

    /// What was acknowledged; any other answer fails.
    async fn types_on(self, n: usize) -> Vec<u64> {
        let (_, auth) = self.nodes[n % 3].signs_in("typist").await;
        let (mut sent, mut turn) = (Vec::new(), n);
        while !self.over.load(Ordering::Relaxed) {
            let body = json!({
                "type": "channel", "target": self.channel, "text": "h", "key": names::unique("key"),
            });
            let begun = self.next(turn).post("/api/v1/message").bearer(&auth);
            let begun = begun.json(&body).await.is(200);
            let (id, claim) = (begun.messageid(), begun.field("claim"));
            for (step, text) in ["he", "hey", "hey you"].into_iter().enumerate() {
                turn += 1;
                tokio::time::sleep(Duration::from_millis(60)).await;
                let body = json!({
                    "type": "channel", "target": self.channel, "messageid": id, "text": text,
                    "typing": step < 2, "claim": claim, "rev": step + 1,
                });
                let change = self.next(turn).patch("/api/v1/message").bearer(&auth);
                change.json(&body).await.is(204);
            }
            sent.push(id);
        }
        sent
    }
}

#[tokio::test]
async fn a_polling_session_is_known_to_one_node_and_begins_anew_on_another() {
    if !has_database() {
        return;
    }
    let cluster = Cluster::of(2).await;
    let polls = "/socket.io/?EIO=4&transport=polling";
    let opened = cluster.node(0).get(polls).await.is(200);
    let opened: Value = serde_json::from_str(&opened.text[1..]).unwrap();
    let with_session = format!("{polls}&sid={}", opened["sid"].as_str().unwrap());
    let elsewhere = cluster.node(1).get(&with_session).await.is(400);
    // What every client of socket.io understands as: connect anew.
    assert_eq!(
        elsewhere.json()["message"],
        "Session ID unknown",
        "{}",
        elsewhere.text
    );
    let here = cluster.node(0).post(&with_session);
    here.body("text/plain", "40").await.is(200);
    cluster.node(1).get(polls).await.is(200);
}

#[tokio::test]
async fn nothing_grows_while_a_peer_is_stopped() {
    if !has_database() {
        return;
    }
    let cluster = Cluster::of(3).await;
    let channel = channel_of(&cluster, 0).await;
    let ada = on(&cluster, 1, &channel, "ada", &full(&channel)).await;
    let bob = on(&cluster, 2, &channel, "bob", &full(&channel)).await;
    let eve = on(&cluster, 0, &channel, "eve", &full(&channel)).await;
    let ghost = ada.types("0").await;
    bob.sees(&ghost, "0").await;
    let before: Vec<u64> = [0, 1]
        .map(|place| cluster.process(place).resident_bytes())
        .into();
    cluster.process(2).signal("STOP");
    let until = Instant::now() + Duration::from_secs(size("TING_TEST_STOPPED", 8) as u64);
    let long = "x".repeat(1_900);
    let mut n = 0;
    while Instant::now() < until {
        n += 1;
        // As fast as they are answered, and what is not answered is not waited for.
        let text = format!("{n} {long}");
        let body = json!({
            "type": "channel", "target": channel, "messageid": ghost.id, "text": text,
            "typing": true, "claim": ghost.claim, "rev": n + 10,
        });
        ada.emit("patch-message", body).await;
        tokio::time::sleep(Duration::from_micros(250)).await;
    }
    for (place, before) in [0, 1].into_iter().zip(before) {
        let after = cluster.process(place).resident_bytes();
        assert!(
            after < before + (64 << 20),
            "node {place}: {before} and then {after}"
        );
    }
    let body = json!({
        "type": "channel", "target": channel, "messageid": ghost.id, "text": "the end",
        "typing": false, "claim": ghost.claim, "rev": n + 100,
    });
    insists(&cluster.nodes(&[0, 1]), &ada.auth, &body).await;
    eve.sees_sent(&ghost, "the end").await;
    cluster.process(2).signal("CONT");
    cluster.agrees(&[0, 1, 2]).await;
    println!("{n} updates while a peer was stopped");
}

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
