//! One frame per viewer and tick for all typists of a conversation, encoded once.

use serde_json::json;
use std::time::Duration;
use tests::{Login, Person, Ting, size};

const TYPISTS: usize = 20;
const TICK: Duration = Duration::from_millis(100);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_typists_share_one_frame_per_viewer_and_tick() {
    let viewers = size("TING_TEST_VIEWERS", 200);
    let ting = Ting::alone().await;
    let room = ting.room().await;
    let login = Login::seed()
        .channels(&[room.name()])
        .with("presence", "batched")
        .with("messages", false);
    let watching =
        futures::future::join_all((0..viewers).map(|_| Person::arrives(&room, "viewer", &login)))
            .await;
    let typists =
        futures::future::join_all((0..TYPISTS).map(|_| Person::arrives(&room, "typist", &login)))
            .await;
    let mut ghosts = Vec::new();
    for typist in &typists {
        ghosts.push(typist.types("0").await);
    }
    for viewer in &watching {
        for ghost in &ghosts {
            viewer.sees(ghost, "0").await;
        }
    }
    let frames = |person: &Person| {
        let events = person.events();
        events
            .iter()
            .filter(|event| event.name == "update-typing-messages")
            .count()
    };
    let before: Vec<usize> = watching.iter().map(frames).collect();
    let metrics = ting.metrics().await;
    let began = tokio::time::Instant::now();
    let updates = 30;
    let mut pace = tokio::time::interval(Duration::from_millis(70));
    for n in 1..=updates {
        pace.tick().await;
        for (typist, ghost) in typists.iter().zip(&ghosts) {
            let patch = json!({
                "type": "channel", "target": room.name(), "messageid": ghost.id, "typing": true,
                "text": n.to_string(), "rev": n,
            });
            typist.emit("patch-message", patch).await;
        }
    }
    for viewer in &watching {
        for ghost in &ghosts {
            viewer.sees(ghost, &updates.to_string()).await;
        }
    }
    let ticks = began.elapsed().as_nanos().div_ceil(TICK.as_nanos()) as usize + 2;
    for (viewer, before) in watching.iter().zip(before) {
        let shown = frames(viewer) - before;
        assert!(
            shown <= ticks,
            "{shown} frames in {ticks} ticks, of {} updates",
            updates * TYPISTS
        );
    }
    let after = ting.metrics().await;
    let encoded = after.sum(ENCODED) - metrics.sum(ENCODED);
    assert!(
        after.has(ENCODED),
        "no {ENCODED} among {:?}",
        after.names().collect::<Vec<_>>()
    );
    assert!(encoded > 0.0, "what is shown was encoded");
    assert!(
        encoded <= (ticks * 2) as f64,
        "{encoded} packets were encoded in {ticks} ticks for {viewers} viewers"
    );
    println!("{ticks} ticks, {encoded} packets encoded, {viewers} viewers");
}

/// How many packets were encoded, whoever got them.
const ENCODED: &str = "ting_packets_encoded_total";
