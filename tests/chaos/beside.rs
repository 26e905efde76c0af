//! Faults of one lab, which tests of other labs don't notice: they run beside each other.

mod crowded;
mod cuts;
mod database;
mod distance;
mod halts;
mod restarts;
mod starved;

use crate::crowd::Crowd;
use crate::faults::{Fault, Lasting};
use crate::figures::Figures;
use crate::log::Kind;
use crate::story::Story;
use std::time::Duration;
use tests::{Lab, lab};

/// In each of these a process gets its share once.
const PERIOD: Duration = Duration::from_millis(100);

/// The owner of the channel, and the two others.
pub type Places = (usize, [usize; 2]);

/// Faults come at once, last so long, and at least until everybody is served while they last;
/// then they end.
pub async fn suffers(
    name: &str,
    crowd: Crowd,
    chosen: impl FnOnce(Places) -> Vec<Fault>,
    lasts: Duration,
) -> Option<Figures> {
    if !lab::is_there() {
        return None;
    }
    let story = Story::of(Lab::of(3).await, crowd).await;
    let owner = story.owner;
    let faults = chosen((owner, [(owner + 1) % 3, (owner + 2) % 3]));
    let lab = &story.lab;
    let crashes = faults.iter().all(|fault| fault.kind() == Kind::Crash);
    let begun = match crashes {
        true => story.crash(name),
        false => story.fault(name),
    };
    let lasting: Vec<Lasting> = faults.iter().map(|fault| fault.begins(lab)).collect();
    story.all_are_served_since(begun).await;
    let served = begun.elapsed();
    tokio::time::sleep_until(begun + lasts).await;
    if let Some(waits) = lasting.iter().find_map(Lasting::waits) {
        let periods = begun.elapsed().as_millis() / PERIOD.as_millis();
        println!("{name}: it had to wait in {waits} of {periods} periods");
        assert!(waits as u128 > periods / 4, "it had all it needed");
    }
    let end = story.end_of(name);
    tokio::task::block_in_place(|| lasting.into_iter().for_each(|it| it.ends(lab)));
    story.lab.settles(3).await;
    println!(
        "{name}: everybody is served {served:.1?} after it, all are up {:.1?} after its end",
        end.elapsed()
    );
    Some(story.ends(name).await)
}
