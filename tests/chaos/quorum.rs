//! Faults of a database that has three nodes.

use crate::story::Story;
use std::time::Duration;
use tests::{Lab, lab};

/// How long the node is away, at least.
const AWAY: Duration = Duration::from_secs(15);

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs three databases, which start in a minute"]
async fn one_of_three_databases_is_killed() {
    if !lab::is_there() || !std::env::var("TING_TEST_CQL").is_ok_and(|it| it.contains(',')) {
        println!("skipped: one database");
        return;
    }
    let story = Story::begins(Lab::of(3).await).await;
    let killed = story.fault("the kill");
    let gone = story.lab.kills_database(2);
    story.all_are_served_since(killed).await;
    println!("everybody is served {:.1?} after it", killed.elapsed());
    tokio::time::sleep_until(killed + AWAY).await;
    assert_eq!(story.lab.settles(3).await, [0, 1, 2], "members meanwhile");
    tokio::task::block_in_place(|| drop(gone));
    let end = story.end_of("the kill");
    story.all_are_served_since(end).await;
    let figures = story.ends("one of three databases killed").await;
    assert_eq!(figures.acknowledged, figures.sends, "{figures}");
    assert!(figures.slowest_send < Duration::from_secs(8), "{figures}");
}
