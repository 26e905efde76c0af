//! Nodes stop for a while, for good, or live at another time.

use super::{Places, suffers};
use crate::crowd::Crowd;
use crate::faults::Fault;
use crate::story::Story;
use std::time::Duration;
use tests::{Lab, lab};

/// Where Debian has it.
const FAKETIME: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1";

#[tokio::test(flavor = "multi_thread")]
async fn the_owner_is_paused_for_half_a_minute() {
    if !lab::is_there() {
        return;
    }
    let story = Story::begins(Lab::of(3).await).await;
    let owner = story.owner;
    let paused = story.fault("the pause");
    story.lab.cluster().process(owner).signal("STOP");
    let up = story.lab.settles(2).await;
    assert!(!up.contains(&owner), "{up:?} are up");
    println!("{up:?} are up {:.1?} after the pause", paused.elapsed());
    story.all_are_served_since(paused).await;
    println!(
        "everybody is served {:.1?} after the pause",
        paused.elapsed()
    );
    tokio::time::sleep_until(paused + Duration::from_secs(30)).await;
    let end = story.end_of("the pause");
    story.lab.cluster().process(owner).signal("CONT");
    story.lab.settles(3).await;
    println!("all are up {:.1?} after its end", end.elapsed());
    story.ends("owner paused 30 s").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_with_sockets_is_paused_for_a_quarter_of_a_minute() {
    let chosen = |(_, [one, _]): Places| vec![Fault::Paused(one)];
    suffers(
        "another paused",
        Crowd::Few,
        chosen,
        Duration::from_secs(15),
    )
    .await;
}

/// How long what was killed is away.
const AWAY: Duration = Duration::from_secs(8);

#[tokio::test(flavor = "multi_thread")]
async fn the_owner_is_killed() {
    suffers(
        "owner killed",
        Crowd::Few,
        |(owner, _)| vec![Fault::Killed(owner)],
        AWAY,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "the owner's and both are in the selection"]
async fn a_node_with_sockets_is_killed() {
    suffers(
        "another killed",
        Crowd::Few,
        |(_, [one, _])| vec![Fault::Killed(one)],
        AWAY,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_owner_and_a_node_with_sockets_are_killed() {
    let both = |(owner, [one, _]): Places| vec![Fault::Killed(owner), Fault::Killed(one)];
    suffers("two killed", Crowd::Few, both, AWAY).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_nodes_are_killed() {
    if !lab::is_there() {
        return;
    }
    let story = Story::begins(Lab::of(3).await).await;
    story.fault("the kill");
    for place in 0..3 {
        story.lab.cluster().process(place).kill();
    }
    let end = story.end_of("the kill");
    std::thread::scope(|scope| {
        for place in 0..3 {
            let process = story.lab.cluster().process(place);
            scope.spawn(move || process.start_again());
        }
    });
    story.lab.settles(3).await;
    println!("all are up {:.1?} after the start", end.elapsed());
    story.all_are_served_since(end).await;
    story.ends("all killed").await;
}

/// One node's wall clock jumps by this, and a fault comes while it is wrong.
async fn jumps(by: &str) {
    let clock = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(clock.path(), "+0").unwrap();
    let file = clock.path().to_str().unwrap();
    let lab = Lab::with(3, |place, settings| match place {
        0 => settings
            .env("LD_PRELOAD", FAKETIME)
            .env("FAKETIME_TIMESTAMP_FILE", file)
            .env("FAKETIME_NO_CACHE", "1")
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
        _ => settings,
    });
    let story = Story::of(lab.await, Crowd::At(0)).await;
    let jumped = story.fault("the jump");
    story.end_of("the jump");
    std::fs::write(clock.path(), by).unwrap();
    story.all_are_served_since(jumped).await;
    println!(
        "everybody is served {:.1?} after the jump",
        jumped.elapsed()
    );
    // What it owned goes to others, and its time with it.
    let killed = story.crash("the kill");
    story.lab.cluster().process(0).kill();
    story.lab.settles(2).await;
    story.all_are_served_since(killed).await;
    println!(
        "everybody is served {:.1?} after the kill",
        killed.elapsed()
    );
    let end = story.end_of("the kill");
    story.lab.cluster().process(0).start_again();
    story.lab.settles(3).await;
    println!("all are up {:.1?} after the start", end.elapsed());
    story.ends(&format!("clock {by} s")).await;
}

fn has_faketime() -> bool {
    let has = std::path::Path::new(FAKETIME).exists();
    if !has {
        println!("skipped: there is no {FAKETIME}");
    }
    has
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_jumps_two_minutes_ahead() {
    if lab::is_there() && has_faketime() {
        jumps("+120").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "the other direction is in the selection"]
async fn a_clock_jumps_two_minutes_back() {
    if lab::is_there() && has_faketime() {
        jumps("-120").await;
    }
}
