//! The members this one has no link with, on their way to a judgement.
//!
//! A judgement needs rows that both sides had time to write: this member writes whom it reaches,
//! notes how often the other has renewed, waits, and reads again.

use super::judge::serves;
use crate::{NodeName, View};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How long the other side has to write its row too. Pings are a second apart, so it notices a
/// cut up to a second later.
const WAIT: Duration = Duration::from_millis(1_500);

/// How often a member that is doubted can write in the time it takes the store to answer so many
/// asks; with a slow store the wait grows to that.
const ANSWERS: u32 = 4;

/// Whom this member doubts, and how far it is with each.
#[derive(Debug, Clone, Default)]
pub struct Doubts(BTreeMap<NodeName, Doubt>);

/// How far a doubt has come.
#[derive(Debug, Clone, Copy)]
enum Doubt {
    /// This member's row doesn't say it yet.
    Unwritten,
    /// A row that says it is on its way.
    Writing,
    /// The row said it at this time.
    Written(Duration),
    /// The other's renewals were these after it; rows asked for later than `ripe` decide.
    Watched { renewals: u64, ripe: Duration },
}

impl Doubts {
    /// Begins and ends doubts, by whom the links reach and what the others' rows say of this
    /// member. Only those that serve have any, and of those that serve.
    pub fn update(&mut self, view: &View, reached: &BTreeSet<NodeName>, me: NodeName) {
        let before = std::mem::take(&mut self.0);
        if !view.member(me).is_some_and(serves) {
            return;
        }
        for other in view.members.iter().filter(|other| other.name != me) {
            let linked = reached.contains(&other.name) && other.reaches.contains(&me);
            if serves(other) && !linked {
                let doubt = before.get(&other.name).copied();
                self.0.insert(other.name, doubt.unwrap_or(Doubt::Unwritten));
            }
        }
    }

    /// Whether there are any.
    pub fn any(&self) -> bool {
        !self.0.is_empty()
    }

    /// This member's row is being written, with whom it reaches at this moment.
    pub fn writing(&mut self) {
        for doubt in self.0.values_mut() {
            if matches!(doubt, Doubt::Unwritten) {
                *doubt = Doubt::Writing;
            }
        }
    }

    /// It was written, or it is not known whether.
    pub fn wrote(&mut self, at: Duration, done: bool) {
        for doubt in self.0.values_mut() {
            if matches!(doubt, Doubt::Writing) {
                *doubt = if done {
                    Doubt::Written(at)
                } else {
                    Doubt::Unwritten
                };
            }
        }
    }

    /// Notes the others' renewals in rows that were asked for and answered then.
    pub fn watch(&mut self, view: &View, asked: Duration, answered: Duration) {
        for (name, doubt) in &mut self.0 {
            if let (Doubt::Written(at), Some(member)) = (*doubt, view.member(*name)) {
                let slow = asked + answered.saturating_sub(asked) * ANSWERS;
                *doubt = Doubt::Watched {
                    renewals: member.renewals,
                    ripe: slow.max(at + WAIT),
                };
            }
        }
    }

    /// When the next of them is to be judged.
    pub fn ripe(&self) -> Option<Duration> {
        let ripe = |doubt: &Doubt| match doubt {
            Doubt::Watched { ripe, .. } => Some(*ripe),
            _ => None,
        };
        self.0.values().filter_map(ripe).min()
    }

    /// Those that rows asked for then can judge, and whether each has written since.
    pub fn ready<'a>(
        &'a self,
        view: &'a View,
        asked: Duration,
    ) -> impl Iterator<Item = (NodeName, bool)> + 'a {
        self.0.iter().filter_map(move |(name, doubt)| {
            let member = view.member(*name)?;
            match *doubt {
                Doubt::Watched { renewals, ripe } if asked >= ripe => {
                    Some((*name, member.renewals != renewals))
                }
                _ => None,
            }
        })
    }
}
