//! Nodes that are restarted while people type.

use super::{channel, full};
use serde_json::json;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tests::{Cluster, Person, Room, Ting, cluster::has_database, names, within_limit};

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
    let sends = Arc::new(AtomicUsize::new(0));
    let mut typists = Vec::new();
    for n in 0..6 {
        let typist = Typist {
            nodes: nodes.clone(),
            serving: serving.clone(),
            channel: channel.clone(),
            over: over.clone(),
            sends: sends.clone(),
        };
        typists.push(tokio::spawn(typist.types_on(n)));
    }
    let more = async |count: usize| {
        let enough = sends.load(Ordering::Relaxed) + count;
        let waiting = async {
            while sends.load(Ordering::Relaxed) < enough {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        within_limit("people go on sending", waiting).await;
    };
    for place in 0..3 {
        more(12).await;
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
    more(12).await;
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
    assert!(sent.len() >= 48, "{}", sent.len());
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
    /// How many were acknowledged, of everybody's.
    sends: Arc<AtomicUsize>,
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
            self.sends.fetch_add(1, Ordering::Relaxed);
        }
        sent
    }
}
