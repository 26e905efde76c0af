//! A linearizable store in a box.

use crate::membership::*;
use std::collections::{BTreeMap, HashMap};

/// What was asked and waits for its time.
pub(super) struct Op {
    pub(super) id: u64,
    pub(super) ask: Ask,
    pub(super) name: NodeName,
    pub(super) at: Duration,
    pub(super) heard: bool,
}

/// A linearizable store.
#[derive(Default)]
pub(super) struct Store {
    pub(super) version: u64,
    pub(super) rows: BTreeMap<NodeName, Member>,
    /// When each version was replaced by the next.
    pub(super) replaced: HashMap<u64, Duration>,
    pub(super) queue: Vec<Op>,
    pub(super) answers: HashMap<u64, Answer>,
    /// The last version without members.
    pub(super) emptied: u64,
    /// Who was taken out by another one.
    pub(super) put_out: Vec<NodeName>,
}

impl Store {
    fn view(&self) -> View {
        View {
            version: self.version,
            members: self.rows.values().cloned().collect(),
        }
    }

    pub(super) fn run(&mut self, now: Duration) {
        self.queue.sort_by_key(|op| op.at);
        while self.queue.first().is_some_and(|op| op.at <= now) {
            let op = self.queue.remove(0);
            let answer = self.apply(op.ask, op.name, now);
            if op.heard {
                self.answers.insert(op.id, answer);
            }
        }
    }

    fn apply(&mut self, ask: Ask, name: NodeName, now: Duration) -> Answer {
        match ask {
            Ask::Read => Answer::Rows(self.view()),
            Ask::Renew { version, row } => {
                if version != self.version || !self.rows.contains_key(&row.name) {
                    return Answer::Newer(self.version);
                }
                assert_eq!(
                    row.state, self.rows[&row.name].state,
                    "a renewal changes no state"
                );
                self.rows.insert(row.name, row);
                Answer::Done
            }
            Ask::Change { version, put, take } => {
                if version != self.version {
                    return Answer::Newer(self.version);
                }
                self.replaced.insert(version, now);
                self.version += 1;
                for gone in take {
                    assert!(self.rows.remove(&gone).is_some(), "{gone} was no member");
                    if gone != name {
                        self.put_out.push(gone);
                    }
                }
                if let Some(row) = put {
                    assert_eq!(row.name, name, "a member writes its own row");
                    self.rows.insert(row.name, row);
                }
                if self.rows.is_empty() {
                    self.emptied = self.version;
                }
                Answer::Done
            }
        }
    }
}
