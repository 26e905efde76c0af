//! Faults that all tests would notice: each runs alone.

mod soak;

use crate::client::PATIENCE;
use crate::log::What;
use crate::story::Story;
use std::time::Duration;
use tests::wire::{Flow, Wire};
use tests::{Lab, lab};

/// How long everything is away after a power cut.
const DARK: Duration = Duration::from_secs(3);

#[tokio::test(flavor = "multi_thread")]
async fn the_database_hangs_for_a_quarter_of_a_minute() {
    if !lab::is_there() {
        return;
    }
    let story = Story::begins(Lab::of(3).await).await;
    let paused = story.fault("the pause");
    let hangs = story.lab.pauses_database();
    tokio::time::sleep_until(paused + Duration::from_secs(15)).await;
    {
        let begun = story.since(paused + PATIENCE);
        let log = story.log.open();
        let sent = log.sends.iter().filter_map(|send| send.acknowledged);
        assert_eq!(
            sent.filter(|(at, _, _)| *at > begun).count(),
            0,
            "acknowledged by nobody"
        );
        for (who, person) in log.people.iter().enumerate() {
            let typed = log.events.iter().filter(|event| {
                let types = matches!(event.what, What::Types { .. });
                types && event.who == Some(who) && event.at > begun
            });
            let count = typed.count();
            let types = person.role.starts_with("typist");
            assert!(!types || count > 10, "{} typed {count} times", person.role);
        }
    }
    let end = story.end_of("the pause");
    drop(hangs);
    story.lab.settles(3).await;
    let figures = story.ends("database paused 15 s").await;
    println!("all was well again within {:.1?}", end.elapsed());
    assert!(figures.typing_gap < Duration::from_secs(5), "{figures}");
}

/// Alone, as a send has ten times as much to wait for here: beside other labs some take the two
/// seconds after which they are refused.
#[tokio::test(flavor = "multi_thread")]
async fn the_database_is_a_fifth_of_a_second_away() {
    if !lab::is_there() {
        return;
    }
    let wire = Wire::to_database(Flow::Open).await;
    let nodes = format!("[{:?}]", wire.address());
    let lab = Lab::with(3, |_, settings| settings.set("store.nodes", &nodes));
    let story = Story::begins(lab.await).await;
    let begun = story.fault("the distance");
    // There and back.
    wire.takes(Duration::from_millis(100));
    story.all_are_served_since(begun).await;
    println!("everybody is served {:.1?} after it", begun.elapsed());
    tokio::time::sleep_until(begun + Duration::from_secs(20)).await;
    assert_eq!(story.lab.settles(3).await, [0, 1, 2], "members meanwhile");
    story.end_of("the distance");
    wire.takes(Duration::ZERO);
    let figures = story.ends("database 200 ms away").await;
    assert_eq!(figures.attempts, (0, 0), "sends that failed");
    assert_eq!(figures.closed, 0, "connections that ended");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_database_is_killed_and_comes_back() {
    if !lab::is_there() {
        return;
    }
    let story = Story::begins(Lab::of(3).await).await;
    tokio::task::block_in_place(|| story.lab.readies_database());
    let killed = story.fault("the kill");
    let gone = story.lab.kills_database(1);
    tokio::time::sleep_until(killed + Duration::from_secs(5)).await;
    tokio::task::block_in_place(|| drop(gone));
    println!(
        "the database answers {:.1?} after its kill",
        killed.elapsed()
    );
    let end = story.end_of("the kill");
    story.lab.settles(3).await;
    story.all_are_served_since(end).await;
    println!("all was well again within {:.1?}", end.elapsed());
    let figures = story.ends("database killed").await;
    assert!(figures.typing_gap < Duration::from_secs(5), "{figures}");
}

#[tokio::test(flavor = "multi_thread")]
async fn all_nodes_and_the_database_are_killed_at_once() {
    if !lab::is_there() {
        return;
    }
    let story = Story::begins(Lab::of(3).await).await;
    tokio::task::block_in_place(|| story.lab.readies_database());
    let killed = story.fault("the power cut");
    let lab = &story.lab;
    let process = |place: usize| lab.cluster().process(place);
    let gone = tokio::task::block_in_place(|| {
        std::thread::scope(|scope| {
            for place in 0..lab.size() {
                scope.spawn(move || lab.cluster().process(place).kill());
            }
            lab.kills_database(1)
        })
    });
    tokio::time::sleep_until(killed + DARK).await;
    // Nodes are faster, and find no database.
    tokio::task::block_in_place(|| {
        (0..lab.size()).for_each(|place| process(place).begin_again());
        drop(gone);
    });
    println!(
        "the database answers {:.1?} after the cut",
        killed.elapsed()
    );
    let end = story.end_of("the power cut");
    lab.settles(3).await;
    println!("all are up {:.1?} after that", end.elapsed());
    story.all_are_served_since(end).await;
    println!("everybody is served {:.1?} after that", end.elapsed());
    story.ends("everything killed").await;
}
