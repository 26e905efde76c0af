//! Who is online, as several watchers are told, held against who came and went.
//!
//! People of the run come once and go once, so each watcher is owed one `join` and one `part`
//! for each of them, in this order.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use serde::Serialize;

use crate::latency::Latencies;

/// What all watchers were told.
#[derive(Debug, Default)]
pub struct Roster {
    people: BTreeMap<String, Stay>,
    watchers: HashMap<usize, HashMap<String, Known>>,
    joins: Latencies,
    parts: Latencies,
    disorder: u64,
}

#[derive(Debug, Clone, Copy)]
struct Stay {
    came: Duration,
    went: Option<Duration>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Known {
    joined: bool,
    parted: bool,
}

/// What became of it.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Presence {
    /// People who came and went.
    pub people: usize,
    /// Watchers who were to be told.
    pub watchers: usize,
    /// Comings that a watcher was never told of.
    pub joins_missing: u64,
    /// Goings that a watcher was never told of.
    pub parts_missing: u64,
    /// Told twice, or of a going before the coming.
    pub disorder: u64,
    /// How long a coming took to be told.
    pub join: Latencies,
    /// How long a going took to be told.
    pub part: Latencies,
}

impl Roster {
    /// This person is about to come.
    pub fn comes(&mut self, username: &str, at: Duration) {
        self.people.insert(
            username.to_owned(),
            Stay {
                came: at,
                went: None,
            },
        );
    }

    /// This person could not come after all; what was told of them is owed to nobody.
    pub fn stays_away(&mut self, username: &str) {
        self.people.remove(username);
    }

    /// This person is about to go.
    pub fn goes(&mut self, username: &str, at: Duration) {
        if let Some(stay) = self.people.get_mut(username) {
            stay.went = Some(at);
        }
    }

    /// This watcher is to be told from now on.
    pub fn watches(&mut self, watcher: usize) {
        self.watchers.entry(watcher).or_default();
    }

    /// A watcher was told that someone came.
    pub fn joined(&mut self, watcher: usize, username: &str, at: Duration) {
        let Some(stay) = self.people.get(username) else {
            return;
        };
        let Some(watcher) = self.watchers.get_mut(&watcher) else {
            return;
        };
        let known = watcher.entry(username.to_owned()).or_default();
        if std::mem::replace(&mut known.joined, true) || known.parted {
            self.disorder += 1;
        } else {
            self.joins.record(at.saturating_sub(stay.came));
        }
    }

    /// A watcher was told that someone went.
    pub fn parted(&mut self, watcher: usize, username: &str, at: Duration) {
        let Some(stay) = self.people.get(username) else {
            return;
        };
        let Some(watcher) = self.watchers.get_mut(&watcher) else {
            return;
        };
        let known = watcher.entry(username.to_owned()).or_default();
        let already = std::mem::replace(&mut known.parted, true);
        match stay.went {
            Some(went) if known.joined && !already => self.parts.record(at.saturating_sub(went)),
            _ => self.disorder += 1,
        }
    }

    /// How many tellings are still owed.
    pub fn owed(&self) -> u64 {
        let presence = self.finish();
        presence.joins_missing + presence.parts_missing
    }

    /// Counts what was told and what was not.
    pub fn finish(&self) -> Presence {
        let mut presence = Presence {
            people: self.people.len(),
            watchers: self.watchers.len(),
            disorder: self.disorder,
            join: self.joins.clone(),
            part: self.parts.clone(),
            ..Presence::default()
        };
        for known in self.watchers.values() {
            for (username, stay) in &self.people {
                let known = known.get(username).copied().unwrap_or_default();
                presence.joins_missing += u64::from(!known.joined);
                presence.parts_missing += u64::from(stay.went.is_some() && !known.parted);
            }
        }
        presence
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn roster() -> Roster {
        let mut roster = Roster::default();
        roster.watches(1);
        roster.comes("ada", SECOND);
        roster.goes("ada", SECOND * 2);
        roster
    }

    #[test]
    fn a_coming_and_a_going_are_owed_to_every_watcher() {
        let mut roster = roster();
        assert_eq!(roster.owed(), 2);
        roster.joined(1, "ada", SECOND * 3 / 2);
        roster.parted(1, "ada", SECOND * 4);
        roster.joined(1, "somebody", SECOND);
        let presence = roster.finish();
        assert_eq!((roster.owed(), presence.disorder), (0, 0));
        assert_eq!((presence.join.count(), presence.part.count()), (1, 1));
        assert!(presence.part.max() >= SECOND * 2);
        roster.watches(2);
        assert_eq!(roster.owed(), 2);
    }

    #[test]
    fn doubled_and_swapped_tellings_are_found() {
        let mut roster = roster();
        roster.parted(1, "ada", SECOND);
        roster.joined(1, "ada", SECOND);
        roster.joined(1, "ada", SECOND);
        assert_eq!(roster.finish().disorder, 3);
    }
}
