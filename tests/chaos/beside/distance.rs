//! Nodes are far from each other.

use crate::story::Story;
use std::time::Duration;
use tests::{Lab, lab};

/// How long they are.
const LASTS: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread")]
async fn nodes_are_fifty_milliseconds_apart_more_or_less() {
    if !lab::is_there() {
        return;
    }
    let (lab, wires) = Lab::wired(3).await;
    let story = Story::begins(lab).await;
    // One of each two dials the other.
    let dials: usize = wires.iter().map(|wire| wire.dials()).sum();
    assert!(dials >= 3, "{dials} of the links lead through wires");
    let begun = story.fault("the distance");
    for wire in &wires {
        wire.wavers(Duration::from_millis(50), Duration::from_millis(30));
    }
    story.all_are_served_since(begun).await;
    println!("everybody is served {:.1?} after it", begun.elapsed());
    tokio::time::sleep_until(begun + LASTS).await;
    assert_eq!(story.lab.settles(3).await, [0, 1, 2], "members meanwhile");
    story.end_of("the distance");
    let figures = story.ends("50 ms ± 30 ms between nodes").await;
    assert_eq!(figures.attempts, (0, 0), "sends that failed");
    assert_eq!(figures.closed, 0, "connections that ended");
}
