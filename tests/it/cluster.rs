//! Several nodes over one database: what is typed, sent and seen crosses them, and losing one
//! costs a moment.
//!
//! These need a database (`TING_TEST_CQL`), and leave themselves out, in words, without one.

mod crossing;
mod example;
mod losses;
mod operated;
mod restarts;
mod thousands;

use serde_json::Value;
use std::time::{Duration, Instant};
use tests::{Cluster, Login, Person, Room, Ting, size};

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
