//! The database is out of reach of one node.

use crate::client::PATIENCE;
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
    let story = Story::with_stubborn(Lab::of(3).await, 0).await;
    let named = |status: Option<serde_json::Value>| status.unwrap()["node"].clone();
    let before = named(story.lab.cluster().status(0, "ting").await);
    let cut = story.now("the cut");
    story.lab.cuts_database(0);
    let up = story.lab.settles(2).await;
    assert_eq!(up, [1, 2]);
    println!(
        "the others are up alone {:.1?} after the cut",
        cut.elapsed()
    );
    story.all_are_served(cut).await;
    println!("everybody is served {:.1?} after the cut", cut.elapsed());
    let others_go_on = cut + LEASE + PATIENCE;
    tokio::time::sleep_until(cut + Duration::from_secs(25)).await;
    let end = story.now("its end");
    let by_the_cut_one = {
        let log = story.log.open();
        let by = |at: Instant, place: usize| place == 0 && at > cut + LEASE && at < end;
        let acknowledged = log.sends.iter().filter(|send| send.reserved.is_none());
        let acknowledged = acknowledged.filter_map(|send| send.acknowledged);
        acknowledged
            .filter(|(at, _, place)| by(*at, *place))
            .count()
    };
    assert_eq!(by_the_cut_one, 0, "acknowledged without a lease");
    let others = {
        let log = story.log.open();
        let acknowledged = log.sends.iter().filter_map(|send| send.acknowledged);
        acknowledged
            .filter(|(at, _, _)| *at > others_go_on && *at < end)
            .count()
    };
    assert!(others > 10, "the others acknowledged {others}");
    println!("meanwhile the cut one acknowledged none, the others {others}");
    story.lab.heals();
    story.lab.settles(3).await;
    println!("all are up {:.1?} after its end", end.elapsed());
    let after = named(story.lab.cluster().status(0, "ting").await);
    assert_ne!(before, after, "it came back under its old name");
    story.ends("cut off from the database").await;
}
