//! What everybody did and saw, with times of one clock.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::time::Instant;

/// A message that somebody wanted in the history.
#[derive(Debug, Clone)]
pub struct Send {
    /// Its text, which no other has.
    pub text: String,
    /// When it was asked for first.
    pub asked: Instant,
    /// When, with which place, and by which node it was acknowledged.
    pub acknowledged: Option<(Instant, u64, usize)>,
    /// The place it had reserved, if somebody typed it.
    pub reserved: Option<u64>,
}

/// What one viewer was shown, by all connections of theirs.
#[derive(Debug, Clone, Default)]
pub struct Screen {
    /// Who, where.
    pub who: String,
    /// What was shown as sent, when first, by its place.
    pub sent: BTreeMap<u64, (Instant, String)>,
    /// What is shown as being typed now.
    pub ghosts: BTreeMap<u64, String>,
    /// What no viewer should be shown, as it happened.
    pub wrong: Vec<String>,
    /// What this connection was shown as sent, as it happened.
    pub live: BTreeSet<u64>,
    /// How often a connection ended.
    pub closed: usize,
}

impl Screen {
    /// A message is shown as sent, by the history or live. The history may be ahead of what is
    /// shown live, so clients drop what they know; but live it is shown once.
    pub fn shows_sent(&mut self, at: Instant, id: u64, text: &str, live: bool) {
        self.ghosts.remove(&id);
        match self.sent.get(&id) {
            None => {
                self.sent.insert(id, (at, text.to_owned()));
            }
            Some((_, before)) if before != text => {
                self.wrong
                    .push(format!("{id} was {before:?} and then {text:?}"));
            }
            Some(_) if live && self.live.contains(&id) => {
                self.wrong.push(format!("{id} {text:?} was shown twice"))
            }
            Some(_) => {}
        }
        if live {
            self.live.insert(id);
        }
    }

    /// A message is shown as being typed.
    pub fn shows_ghost(&mut self, id: u64, text: &str) {
        if self.sent.contains_key(&id) {
            self.wrong
                .push(format!("{id} was sent and is typed again: {text:?}"));
        }
        self.ghosts.insert(id, text.to_owned());
    }

    /// A message is not there any more.
    pub fn erases(&mut self, id: u64) {
        self.ghosts.remove(&id);
        if let Some((_, text)) = self.sent.remove(&id) {
            self.wrong
                .push(format!("{id} {text:?} was sent and is erased"));
        }
    }

    /// The connection has ended: what was typed is known no longer.
    pub fn closes(&mut self) {
        self.ghosts.clear();
        self.live.clear();
        self.closed += 1;
    }
}

/// The log of one story.
#[derive(Debug, Default)]
pub struct Log {
    /// What was to be sent.
    pub sends: Vec<Send>,
    /// What viewers were shown.
    pub screens: Vec<Screen>,
    /// What changed and when: faults begin and end.
    pub edges: Vec<(String, Instant)>,
    /// When typing was acknowledged, by who types.
    pub typed: Vec<Vec<Instant>>,
    /// Answers that the protocol doesn't allow for.
    pub wrong: Vec<String>,
}

/// A log that everybody writes.
#[derive(Debug, Clone, Default)]
pub struct Shared(Arc<Mutex<Log>>);

impl Shared {
    /// To write or read.
    pub fn open(&self) -> MutexGuard<'_, Log> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
