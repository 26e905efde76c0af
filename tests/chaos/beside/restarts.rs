//! Nodes that are told to end, and started again.

use crate::crowd::Crowd;
use crate::figures::connected_again;
use crate::log::What;
use crate::story::Story;
use std::time::Duration;
use tests::{Lab, lab};
use tokio::time::Instant;

/// How long a step may take.
const STEP: Duration = Duration::from_secs(90);

#[tokio::test(flavor = "multi_thread")]
async fn nodes_restart_one_after_the_other_behind_a_balancer() {
    if !lab::is_there() {
        return;
    }
    let story = Story::of(Lab::of(3).await, Crowd::Balanced).await;
    for place in 0..3 {
        let begun = story.crash("a restart");
        let from = story.log.open().events.len();
        let process = story.lab.cluster().process(place);
        process.signal("TERM");
        let ended = tokio::task::block_in_place(|| process.ended());
        assert_eq!(ended.code(), Some(0), "{ended}");
        tokio::task::block_in_place(|| process.start_again());
        story.lab.settles(3).await;
        story.all_are_served_since(begun).await;
        assert!(begun.elapsed() < STEP, "{:?}", begun.elapsed());
        println!("a step took {:.1?}", begun.elapsed());
        story.end_of("a restart");
        let log = story.log.open();
        let again = connected_again(&log, from..log.events.len());
        assert!(again.is_empty(), "{again:?}");
    }
    let log = story.log.clone();
    let figures = story.ends("rolling restart").await;
    let log = log.open();
    let failed = log.events.iter().filter(|event| match event.what {
        // Who types has to connect anew, and may have sent just before that.
        What::Fails { send, .. } => log.sends[send].reserved.is_none(),
        _ => false,
    });
    assert_eq!(failed.count(), 0, "sends that failed: {figures}");
}

/// Less than a node with people takes to say good-bye to them.
const GRACE: Duration = Duration::from_secs(1);

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_takes_longer_than_its_grace() {
    if !lab::is_there() {
        return;
    }
    let story = Story::begins(Lab::of(3).await).await;
    let process = story.lab.cluster().process(story.owner);
    let begun = story.crash("the drain");
    process.signal("TERM");
    tokio::time::sleep_until(begun + GRACE).await;
    assert!(process.is_running(), "it was faster");
    process.kill();
    story.lab.settles(2).await;
    story.all_are_served_since(begun).await;
    println!("everybody is served {:.1?} after it", begun.elapsed());
    let end: Instant = story.end_of("the drain");
    tokio::task::block_in_place(|| process.start_again());
    story.lab.settles(3).await;
    println!("all are up {:.1?} after its end", end.elapsed());
    story.ends("drain cut short").await;
}
