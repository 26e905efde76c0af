//! The network between nodes is cut.

use crate::judge::AFTER_FAULT;
use crate::log::What;
use crate::story::Story;
use std::time::Duration;
use tests::{Lab, lab};
use tokio::time::Instant;

/// How long sends may take while a cut lasts, once nodes have noticed it.
const SLOW: Duration = Duration::from_secs(5);

/// Long enough for tens of them.
const A_WHILE: Duration = Duration::from_secs(12);

/// The two other nodes.
fn others(place: usize) -> [usize; 2] {
    [(place + 1) % 3, (place + 2) % 3]
}

/// Waits for so many members; how long that took since then.
async fn settles(story: &Story, count: usize, since: Instant) -> Vec<usize> {
    let up = story.lab.settles(count).await;
    let took = since.elapsed();
    println!("{up:?} are up {took:.1?} after it");
    assert!(took < AFTER_FAULT, "{took:?}");
    up
}

#[tokio::test(flavor = "multi_thread")]
async fn the_owner_is_cut_off_from_both_others() {
    if !lab::is_there() {
        return;
    }
    let story = Story::begins(Lab::of(3).await).await;
    let [one, other] = others(story.owner);
    let cut = story.fault("the cut");
    story.lab.cuts(story.owner, one);
    story.lab.cuts(story.owner, other);
    let mut rest = [one, other];
    rest.sort_unstable();
    assert_eq!(settles(&story, 2, cut).await, rest);
    story.all_are_served_since(cut).await;
    println!("everybody is served {:.1?} after the cut", cut.elapsed());
    let end = story.end_of("the cut");
    story.lab.heals();
    settles(&story, 3, end).await;
    story.ends("owner cut off").await;
}

/// Between two, so that the third reaches both; which way, and for how long once all are served
/// again.
async fn between_two(name: &str, ways: &[(usize, usize)], lasts: Duration) {
    let story = Story::begins(Lab::of(3).await).await;
    let [one, _] = others(story.owner);
    let nodes = [story.owner, one];
    let cut = story.fault("the cut");
    for (from, to) in ways {
        story.lab.drops(nodes[*from], nodes[*to]);
    }
    let up = settles(&story, 2, cut).await;
    // The third is always among those that reach each other.
    assert!(up.contains(&others(story.owner)[1]), "{up:?} are up");
    story.all_are_served_since(cut).await;
    let served = Instant::now();
    println!("everybody is served {:.1?} after the cut", cut.elapsed());
    while served.elapsed() < lasts {
        assert_eq!(
            story.lab.settles(2).await,
            up,
            "others are up, and nothing had changed"
        );
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    is_acknowledged_meanwhile(&story, served, &up);
    let end = story.end_of("the cut");
    story.lab.heals();
    settles(&story, 3, end).await;
    story.ends(name).await;
}

/// What was asked for since then on these nodes was acknowledged in time, but for what has just
/// been asked for.
fn is_acknowledged_meanwhile(story: &Story, since: Instant, up: &[usize]) {
    let (from, to) = (story.since(since), story.since(Instant::now()) - SLOW);
    let log = story.log.open();
    let roles: Vec<String> = (up.iter().map(|place| format!("sender of node {place}"))).collect();
    let asked = log.events.iter().filter_map(|event| match event.what {
        What::Asks(send) if roles.contains(&log.people[event.who?].role) => Some(&log.sends[send]),
        _ => None,
    });
    let asked = asked.filter(|send| send.asked > from && send.asked < to);
    let waits = asked.map(|send| send.acknowledged.map(|(at, _, _)| at - send.asked));
    let waits: Vec<Option<Duration>> = waits.collect();
    assert!(waits.len() > 10, "{} were asked for", waits.len());
    let slow = waits
        .iter()
        .filter(|wait| wait.is_none_or(|wait| wait > SLOW));
    assert_eq!(slow.count(), 0, "of {} sends while it lasted", waits.len());
    println!(
        "{} sends while it lasted, the slowest took {:.1?}",
        waits.len(),
        waits.iter().flatten().max()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_owner_says_is_lost_on_the_way_to_another() {
    if lab::is_there() {
        between_two("one way, from the owner", &[(0, 1)], A_WHILE).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_says_is_lost_on_the_way_to_the_owner() {
    if lab::is_there() {
        between_two("one way, to the owner", &[(1, 0)], A_WHILE).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes a minute and a half"]
async fn two_do_not_reach_each_other_for_a_minute_and_the_third_reaches_both() {
    if lab::is_there() {
        let lasts = Duration::from_secs(60);
        between_two("partial cut", &[(0, 1), (1, 0)], lasts).await;
    }
}
