//! Thousands of conversations: how even the shares are, and what losing a node costs then.

use super::insists;
use futures::StreamExt;
use loadtest::socket::{self, Sender};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tests::cluster::has_database;
use tests::{Cluster, Login, Ting, size};

/// Everything a member has is a share of these.
const SHARDS: u64 = 1_024;

/// Requests on their way at once.
const AT_ONCE: usize = 64;

/// Somebody who is online.
#[derive(Clone)]
struct Somebody {
    name: String,
    auth: String,
    _socket: Sender,
}

/// What somebody began, and is to be sent.
struct Begun {
    auth: String,
    to: String,
    id: u64,
    claim: Value,
}

/// Each member's shards, as this node says.
async fn shares(cluster: &Cluster, place: usize) -> Vec<(String, u64)> {
    let status = cluster.status(place, "ting").await.unwrap();
    let members = status["members"].as_array().unwrap().iter();
    let share = |member: &Value| {
        let name = member["name"].as_str().unwrap().to_owned();
        (name, member["shards"].as_u64().unwrap())
    };
    members.map(share).collect()
}

/// Does these, some at once.
async fn all<T>(work: impl Iterator<Item = impl Future<Output = T>>) -> Vec<T> {
    let work = futures::stream::iter(work);
    work.buffer_unordered(AT_ONCE).collect().await
}

/// Somebody whose socket is read, and what it says is passed over.
async fn comes(ting: Ting) -> Somebody {
    let (name, auth) = ting.signs_in("some").await;
    let login = Login::full().body(&name, &auth);
    let (sender, mut events) = loop {
        let (sender, mut events) = socket::connect(&ting.url(), &[]).await.unwrap();
        sender.emit("login", login.clone()).await.unwrap();
        // A node whose store is late says so by ending the socket.
        let is_in = async {
            loop {
                match events.next().await {
                    Some(event) if event.name == "login-response" => return true,
                    Some(_) => {}
                    None => return false,
                }
            }
        };
        if is_in.await {
            break (sender, events);
        }
    };
    tokio::spawn(async move { while events.next().await.is_some() {} });
    Somebody {
        name,
        auth,
        _socket: sender,
    }
}

async fn begins(ting: Ting, author: Somebody, to: String) -> Begun {
    let body = json!({ "type": "user", "target": to, "text": "h", "key": "first" });
    loop {
        let begun = ting.post("/api/v1/message").bearer(&author.auth);
        let begun = begun.json(&body).await;
        if begun.is_unavailable().await {
            continue;
        }
        let begun = begun.is(200);
        return Begun {
            auth: author.auth,
            to,
            id: begun.messageid(),
            claim: begun.field("claim"),
        };
    }
}

/// Sends it, however often that has to be said; how long it took.
async fn sends(ting: Ting, begun: &Begun) -> Duration {
    let body = json!({
        "type": "user", "target": begun.to, "messageid": begun.id, "text": "hello",
        "typing": false, "claim": begun.claim, "rev": 1,
    });
    insists(&ting, &begun.auth, &body).await
}

#[tokio::test]
async fn thousands_of_conversations_are_shared_evenly_and_outlive_their_owner() {
    if !has_database() {
        return;
    }
    let people = size("TING_TEST_PEOPLE", 60);
    let each = size("TING_TEST_CONVERSATIONS", 300) / people;
    let mut cluster = Cluster::of(3).await;
    for (name, shards) in shares(&cluster, 0).await {
        assert!(shards * 3 * 10 <= SHARDS * 13, "{name} has {shards}");
    }
    let began = Instant::now();
    let arriving = (0..people).map(|n| comes(cluster.node(n % 3)));
    let people = all(arriving).await;
    println!(
        "{} people online after {:.1?}",
        people.len(),
        began.elapsed()
    );
    let began = Instant::now();
    let beginning = (0..people.len()).flat_map(|n| (1..=each).map(move |away| (n, away)));
    let beginning = beginning.map(|(n, away)| {
        let to = people[(n + away) % people.len()].name.clone();
        begins(cluster.node((n + away) % 3), people[n].clone(), to)
    });
    let begun = all(beginning).await;
    println!(
        "{} conversations begun in {:.1?}",
        begun.len(),
        began.elapsed()
    );
    let memory = |cluster: &Cluster, places: &[usize]| {
        let bytes = places.iter();
        let bytes = bytes.map(|place| cluster.process(*place).resident_bytes() >> 20);
        bytes.collect::<Vec<u64>>()
    };
    println!("resident, MiB: {:?}", memory(&cluster, &[0, 1, 2]));

    // One more takes its share, and nothing else moves.
    let before = shares(&cluster, 0).await;
    let began = Instant::now();
    let joined = cluster.joins().await;
    println!("a fourth is a member after {:.1?}", began.elapsed());
    let after = shares(&cluster, 0).await;
    let share = |of: &[(String, u64)], name: &str| {
        let of = of.iter().find(|(member, _)| member == name);
        of.map_or(0, |(_, shards)| *shards)
    };
    let mut moved = 0;
    for (name, had) in &before {
        let has = share(&after, name);
        assert!(has <= *had, "{name} had {had} and has {has}");
        moved += had - has;
    }
    println!("{moved} of {SHARDS} shards moved to it");
    assert!(moved * 40 <= SHARDS * 12, "{moved} moved");
    for (name, shards) in &after {
        assert!(shards * 4 * 10 <= SHARDS * 13, "{name} has {shards}");
    }

    // One goes without a word, and what was typed on it is sent in its place.
    let left = [0, 1, joined];
    cluster.process(2).kill();
    let began = Instant::now();
    let sending = begun.iter().enumerate();
    let sending = sending.map(|(n, begun)| sends(cluster.node(left[n % left.len()]), begun));
    let mut took = all(sending).await;
    println!("all sent {:.1?} after a node died", began.elapsed());
    took.sort();
    let (middle, last) = (took[took.len() / 2], took[took.len() - 1]);
    println!("each within p50 {middle:.1?}, max {last:.1?}");
    println!("resident, MiB: {:?}", memory(&cluster, &left));
    cluster.agrees(&left).await;
    let reading = begun.iter().map(async |begun| {
        let to = tests::Target::user(&begun.to);
        let history = cluster.node(0).history(&begun.auth, &to, "").await;
        let times = history.iter().filter(|m| m["id"] == begun.id).count();
        assert_eq!(times, 1, "{} is there {times} times", begun.id);
    });
    all(reading).await;
}
