//! What is still to come, kept as events come: looking for it again and again costs nothing.

use super::{Log, What, Who};
use std::collections::{HashMap, HashSet};
use std::time::Duration;

/// What is still to come for some screens.
#[derive(Debug, Clone, Default)]
pub struct Progress {
    /// What each person was last acknowledged for: when it was asked for.
    served: HashMap<Who, Duration>,
    /// Messages that were acknowledged, or shown to some, and not both to all: their viewers'
    /// bits.
    coming: HashMap<u64, (Option<Duration>, u64)>,
    /// What is being typed: where, since when.
    open: HashMap<u64, (usize, Duration)>,
    /// What each screen shows as being typed.
    ghosts: HashMap<Who, HashSet<u64>>,
}

impl Log {
    pub(super) fn progresses(&mut self, at: Duration, who: Who, what: &What) {
        let Progress {
            served,
            coming,
            open,
            ghosts,
        } = &mut self.progress;
        let watches = |conversation: usize| self.people[who].watches.contains(&conversation) as u64;
        let (id, seen) = match *what {
            What::Acknowledged { send, id, .. } => {
                served.insert(who, self.sends[send].asked);
                open.remove(&id);
                coming.entry(id).or_default().0 = Some(at);
                (id, 0)
            }
            What::Sent {
                id, conversation, ..
            } => {
                ghosts.entry(who).or_default().remove(&id);
                (id, watches(conversation) << who)
            }
            What::Types { id, conversation } => {
                served.insert(who, at);
                open.entry(id).or_insert((conversation, at));
                return;
            }
            What::Abandons { id, .. } => {
                open.remove(&id);
                return;
            }
            What::Ghost { id, .. } => {
                ghosts.entry(who).or_default().insert(id);
                return;
            }
            What::Gone { id } => {
                ghosts.entry(who).or_default().remove(&id);
                return;
            }
            What::Closes | What::Leaves => {
                ghosts.remove(&who);
                return;
            }
            _ => return,
        };
        let entry = coming.entry(id).or_default();
        entry.1 |= seen;
        let conversation = match *what {
            What::Acknowledged { send, .. } => self.sends[send].conversation,
            What::Sent { conversation, .. } => conversation,
            _ => return,
        };
        let mut viewers = 0;
        for (viewer, person) in self.people.iter().enumerate() {
            viewers |= (person.watches.contains(&conversation) as u64) << viewer;
        }
        if entry.0.is_some() && entry.1 & viewers == viewers {
            coming.remove(&id);
        }
    }

    /// What is still to come before all is well: who waits since then, and which messages or
    /// ghosts that are older than `settled` are not on every screen.
    pub fn waits(&self, since: Duration, settled: Duration) -> Vec<String> {
        let Progress {
            served,
            coming,
            open,
            ghosts,
        } = &self.progress;
        let old = |at: Duration| at + settled < self.now();
        let mut waits = Vec::new();
        for (who, person) in self.people.iter().enumerate() {
            if person.acts && served.get(&who).is_none_or(|at| *at <= since) {
                waits.push(format!("{} waits to be acknowledged", person.role));
            }
            for (id, (conversation, begun)) in open {
                let shown = ghosts.get(&who).is_some_and(|ghosts| ghosts.contains(id));
                if person.watches.contains(conversation) && old(*begun) && !shown {
                    waits.push(format!("{} waits to see {id} typed", person.role));
                }
            }
        }
        let late = coming.iter().filter(|(_, (at, _))| at.is_some_and(old));
        waits.extend(late.map(|(id, (_, seen))| format!("{id} is shown to {seen:b} alone")));
        waits
    }
}
