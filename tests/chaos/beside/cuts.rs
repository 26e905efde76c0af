//! The network between nodes is cut.

use crate::judge::AFTER_FAULT;
use crate::story::Story;
use std::time::Duration;
use tests::{Lab, lab};
use tokio::time::Instant;

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

/// Between two, so that the third reaches both; which way, and for how long.
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
    let served = cut.elapsed();
    println!("everybody is served {served:.1?} after the cut");
    while cut.elapsed() < lasts {
        assert_eq!(
            story.lab.settles(2).await,
            up,
            "others are up, and nothing had changed"
        );
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let slow = {
        let settled = story.since(cut + AFTER_FAULT);
        let log = story.log.open();
        let late = log.sends.iter().filter(|send| send.asked > settled);
        let waits = late.filter_map(|send| Some(send.acknowledged?.0 - send.asked));
        waits.max()
    };
    if let Some(slow) = slow {
        println!("the slowest send while it lasted took {slow:.1?}");
        assert!(slow < Duration::from_secs(5), "{slow:?}");
    }
    let end = story.end_of("the cut");
    story.lab.heals();
    settles(&story, 3, end).await;
    story.ends(name).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_owner_says_is_lost_on_the_way_to_another() {
    if lab::is_there() {
        between_two("one way, from the owner", &[(0, 1)], Duration::ZERO).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_says_is_lost_on_the_way_to_the_owner() {
    if lab::is_there() {
        between_two("one way, to the owner", &[(1, 0)], Duration::ZERO).await;
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
