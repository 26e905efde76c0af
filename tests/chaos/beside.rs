//! Faults of one lab, which tests of other labs don't notice: they run beside each other.

mod crowded;
mod cuts;
mod database;
mod halts;
mod restarts;
mod starved;

use crate::crowd::Crowd;
use crate::faults::{Fault, Lasting};
use crate::figures::Figures;
use crate::story::Story;
use std::time::Duration;
use tests::{Lab, lab};

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
    let begun = story.fault(name);
    let lasting: Vec<Lasting> = faults.iter().map(|fault| fault.begins(lab)).collect();
    story.all_are_served_since(begun).await;
    let served = begun.elapsed();
    tokio::time::sleep_until(begun + lasts).await;
    let end = story.end_of(name);
    tokio::task::block_in_place(|| lasting.into_iter().for_each(|it| it.ends(lab)));
    story.lab.settles(3).await;
    println!(
        "{name}: everybody is served {served:.1?} after it, all are up {:.1?} after its end",
        end.elapsed()
    );
    Some(story.ends(name).await)
}
