//! The database is out of reach of one node.

use crate::client::PATIENCE;
use crate::crowd::Crowd;
use crate::story::Story;
use std::time::Duration;
use tests::{Lab, lab};
use tokio::time::Instant;

/// How long a lease holds at most.
const LEASE: Duration = Duration::from_secs(6);

#[tokio::test(flavor = "multi_thread")]
async fn a_node_is_cut_off_from_the_database_alone() {
    if !lab::is_there() {
        return;
    }
    let story = Story::of(Lab::of(3).await, Crowd::Stubborn(0)).await;
    let named = |status: Option<serde_json::Value>| status.unwrap()["node"].clone();
    let before = named(story.lab.cluster().status(0, "ting").await);
    let cut = story.fault("the cut");
    story.lab.cuts_database(0);
    let up = story.lab.settles(2).await;
    assert_eq!(up, [1, 2]);
    println!(
        "the others are up alone {:.1?} after the cut",
        cut.elapsed()
    );
    story.all_are_served_since(cut).await;
    println!("everybody is served {:.1?} after the cut", cut.elapsed());
    let others_go_on = cut + LEASE + PATIENCE;
    tokio::time::sleep_until(cut + Duration::from_secs(25)).await;
    let end = story.end_of("the cut");
    let meanwhile = |from: Instant| {
        let (from, to) = (story.since(from), story.since(end));
        let log = story.log.open();
        let sends = log.sends.iter().filter(|send| send.reserved.is_none());
        let acknowledged = sends.filter_map(|send| send.acknowledged);
        let meanwhile = acknowledged.filter(|(at, _, _)| *at > from && *at < to);
        meanwhile.map(|(_, _, place)| place).collect::<Vec<_>>()
    };
    let by_the_cut_one = meanwhile(cut + LEASE);
    assert!(!by_the_cut_one.contains(&0), "acknowledged without a lease");
    let others = meanwhile(others_go_on).len();
    assert!(others > 10, "the others acknowledged {others}");
    println!("meanwhile the cut one acknowledged none, the others {others}");
    story.lab.heals();
    story.lab.settles(3).await;
    println!("all are up {:.1?} after its end", end.elapsed());
    let after = named(story.lab.cluster().status(0, "ting").await);
    assert_ne!(before, after, "it came back under its old name");
    story.ends("cut off from the database").await;
}
