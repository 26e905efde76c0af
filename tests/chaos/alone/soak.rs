//! Pairs of faults, one after the other, as long as one likes; which and when follows from a
//! seed.

use crate::crowd::Crowd;
use crate::figures::Recoveries;
use crate::judge::{self, Invariant::*};
use crate::plan::{Entry, NODES, Pair, Plan};
use crate::story::Story;
use std::time::Duration;
use tests::{Lab, lab, quota, size};
use tokio::time::{Instant, sleep};

/// How long a soak is that nobody asked to be longer.
const SHORT: usize = 120;

/// How often what was shown so far is judged: so that a run which has failed is not gone on with.
const JUDGED: Duration = Duration::from_secs(300);

/// How long all nodes may take to be members again: who was put out often in a row stays away
/// for half a minute.
const WHOLE: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
#[ignore = "as long as it is asked to be; two minutes"]
async fn random_pairs() {
    if !lab::is_there() || !quota::is_there() {
        return;
    }
    let lasts = Duration::from_secs(size("CHAOS_SOAK", SHORT) as u64);
    let seed = size("CHAOS_SEED", 1) as u64;
    let from = size("CHAOS_FROM", 1);
    let again = format!("tests/chaos/run --soak {}s --seed {seed}", lasts.as_secs());
    println!("seed {seed}; again: {again}");
    let mut story = Story::of(Lab::of(NODES).await, Crowd::Many(seed)).await;
    story.again.clone_from(&again);
    tokio::task::block_in_place(|| story.lab.readies_database());
    let began = Instant::now();
    let mut judged = began;
    let mut recoveries = Recoveries::default();
    let mut whole = Recoveries::default();
    let mut slowest = Recoveries::default();
    for (number, pair) in (1..).zip(Plan::of(seed)).skip(from.saturating_sub(1)) {
        if began.elapsed() >= lasts {
            let count = number - from;
            println!("{count} pairs of faults in {:.0?}", began.elapsed());
            break;
        }
        println!(
            "{:>6.0?} {number}: {}",
            began.elapsed(),
            pair.entries.map(|entry| told(&entry)).join(" and ")
        );
        let begin = Instant::now();
        comes(&story, &pair).await;
        let end = Instant::now();
        story.all_are_served_since(end).await;
        let served = end.elapsed();
        let settled = tokio::time::timeout(WHOLE, story.lab.settled(NODES)).await;
        if settled.is_err() {
            let views = story.lab.views().await;
            panic!("not all are members within {WHOLE:?}; each node says who is up: {views:?}");
        }
        let slow = slowest_send(&story, begin);
        for entry in &pair.entries {
            slowest.add(entry.fault.name(), slow);
            recoveries.add(entry.fault.name(), served);
            whole.add(entry.fault.name(), end.elapsed());
        }
        println!(
            "       served {served:.1?} after the last end, whole {:.1?}, slowest send {slow:.1?}",
            end.elapsed()
        );
        sleep(pair.calm).await;
        if judged.elapsed() > JUDGED {
            judged = Instant::now();
            is_right_so_far(&story);
        }
    }
    let (figures, found) = story.judged(&format!("soak of seed {seed}")).await;
    println!("{figures}");
    println!("served again, since the last end of each pair with that fault:\n{recoveries}");
    println!("all three nodes members again:\n{whole}");
    println!("the slowest send of each such pair:\n{slowest}");
    if let Some(found) = found {
        panic!("seed {seed}: {found}\nagain: {again}");
    }
    println!(
        "of {} acknowledged, {} of them private: lost 0, doubled 0, misplaced 0, unshown 0, shown \
         twice 0, private leaks 0; of {} ghosts erased or left behind: resurrected 0",
        figures.acknowledged, figures.private, figures.abandoned
    );
}

/// The longest wait of what was asked for since then.
fn slowest_send(story: &Story, since: Instant) -> Duration {
    let since = story.since(since);
    let log = story.log.open();
    let sends = log.sends.iter().rev();
    let sends = sends.take_while(|send| send.asked >= since);
    let waits = sends.filter_map(|send| Some(send.acknowledged?.0 - send.asked));
    waits.max().unwrap_or_default()
}

fn told(entry: &Entry) -> String {
    let Entry {
        fault,
        after,
        lasts,
    } = entry;
    format!("{fault:?} after {after:.1?} for {lasts:.1?}")
}

/// Both faults begin and end in their time.
pub async fn comes(story: &Story, pair: &Pair) {
    let one = |entry: Entry| async move {
        sleep(entry.after).await;
        let name = format!("{:?}", entry.fault);
        story.log.begins(&name, entry.fault.kind());
        let lasting = tokio::task::block_in_place(|| entry.fault.begins(&story.lab));
        sleep(entry.lasts).await;
        tokio::task::block_in_place(|| lasting.ends(&story.lab));
        story.end_of(&name);
    };
    // Each in a task of its own would need the story to be shared; a fault that blocks for a
    // moment delays the other one by that much.
    tokio::join!(one(pair.entries[0]), one(pair.entries[1]));
}

/// What was shown so far contradicts nothing but what is on its way.
fn is_right_so_far(story: &Story) {
    let (log, mut found) = story.so_far();
    let coming = [Unshown, Outlived, Disagreed, Away];
    found.retain(|found| !coming.contains(&found.invariant));
    if !found.is_empty() {
        let kept = log.keep("soak");
        panic!("{}the log is kept: {kept:?}", judge::told(&log, &found));
    }
}
