//! Faults that all tests would notice: each runs alone.

use crate::client::PATIENCE;
use crate::story::Story;
use std::time::Duration;
use tests::{Lab, lab};

#[tokio::test(flavor = "multi_thread")]
async fn the_database_hangs_for_a_quarter_of_a_minute() {
    if !lab::is_there() {
        return;
    }
    let story = Story::begins(Lab::of(3).await).await;
    let paused = story.now("the pause");
    let hangs = story.lab.pauses_database();
    tokio::time::sleep_until(paused + Duration::from_secs(15)).await;
    {
        let log = story.log.open();
        let begun = paused + PATIENCE;
        let sent = log.sends.iter().filter_map(|send| send.acknowledged);
        assert_eq!(
            sent.filter(|(at, _, _)| *at > begun).count(),
            0,
            "acknowledged by nobody"
        );
        for (place, times) in log.typed.iter().enumerate() {
            let meanwhile = times.iter().filter(|at| **at > begun).count();
            assert!(
                meanwhile > 10,
                "the typist of node {place} typed {meanwhile} times"
            );
        }
    }
    let end = story.now("its end");
    drop(hangs);
    story.lab.settles(3).await;
    let figures = story.ends("database paused 15 s").await;
    println!("all was well again within {:.1?}", end.elapsed());
    assert!(figures.typing_gap < Duration::from_secs(5), "{figures}");
}
