//! What has been typed so far, and what the server has said to it.
//!
//! Typists write here and judges read. Scripts are made when first asked for, whoever asks: a
//! frame may reach a viewer before the typist has read the answer to the request behind it.

use std::{
    collections::HashMap,
    sync::{
        Arc, OnceLock, RwLock,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use crate::script::{Ending, MessageKey, Rhythm, Script};

/// One who types, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Author {
    /// Their name.
    pub username: String,
    /// The number of the conversation.
    pub conversation: usize,
}

/// Everything that is typed in a run.
#[derive(Debug)]
pub struct Ledger {
    seed: u32,
    rhythm: Rhythm,
    typing: Duration,
    foreseen: bool,
    authors: Vec<Author>,
    arrivals: Vec<OnceLock<Duration>>,
    scripts: Vec<RwLock<Vec<Arc<Written>>>>,
    ids: RwLock<HashMap<u64, MessageKey>>,
}

/// A message with what became of it.
#[derive(Debug)]
pub struct Written {
    /// What was to be typed.
    pub script: Script,
    /// Where.
    pub conversation: usize,
    /// By whom.
    pub username: String,
    /// How many steps, from the first, the server has confirmed, the end included.
    confirmed: AtomicU32,
    /// How many steps were given to the server, confirmed or not.
    offered: AtomicU32,
    id: AtomicU64,
    fan: Vec<Fan>,
}

/// How far one step has come on its way to all viewers.
#[derive(Debug, Default)]
struct Fan {
    viewers: AtomicU32,
    last_micros: AtomicU64,
}

impl Ledger {
    /// A ledger for typists who type for this long; no script that would end later is begun.
    pub fn new(seed: u32, rhythm: Rhythm, typing: Duration, authors: Vec<Author>) -> Self {
        let scripts = authors.iter().map(|_| RwLock::default()).collect();
        let arrivals = authors.iter().map(|_| OnceLock::new()).collect();
        Ledger {
            seed,
            rhythm,
            foreseen: false,
            arrivals,
            typing,
            authors,
            scripts,
            ids: RwLock::default(),
        }
    }

    /// The same, where typing is another process's: whatever is shown may have been typed.
    pub fn foreseen(self) -> Self {
        Ledger {
            foreseen: true,
            ..self
        }
    }

    /// The run that texts carry.
    pub fn seed(&self) -> u32 {
        self.seed
    }

    /// Those who type.
    pub fn authors(&self) -> &[Author] {
        &self.authors
    }

    /// This typist begins at this time; only the first arrival counts.
    pub fn arrives(&self, typist: usize, at: Duration) {
        self.arrivals[typist].get_or_init(|| at);
    }

    /// The message of this key, if it is one of the run.
    pub fn written(&self, key: MessageKey) -> Option<Arc<Written>> {
        let author = self.authors.get(key.typist as usize)?;
        let scripts = &self.scripts[key.typist as usize];
        let known = read(scripts).get(key.number as usize).cloned();
        if known.is_some() {
            return known;
        }
        // A text that names a message far ahead is a forgery: only the next ones are made.
        let mut scripts = scripts
            .write()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        while scripts.len() <= key.number as usize {
            let number = scripts.len() as u32;
            let arrival = self.arrivals[key.typist as usize]
                .get()
                .copied()
                .unwrap_or_default();
            let after = scripts.last().map(|written| written.script.ends);
            let key = MessageKey {
                typist: key.typist,
                number,
            };
            let script = Script::next(self.seed, &self.rhythm, key, arrival, after);
            if script.ends > self.typing {
                return None;
            }
            let written = Written::new(script, author);
            if self.foreseen {
                written.offer(written.script.steps());
            }
            scripts.push(Arc::new(written));
        }
        scripts.get(key.number as usize).cloned()
    }

    /// Remembers the id that the server gave a message.
    pub fn identify(&self, id: u64, written: &Written) {
        written.id.store(id, Ordering::Release);
        let mut ids = self
            .ids
            .write()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        ids.insert(id, written.script.key);
    }

    /// The message that has this id.
    pub fn of_id(&self, id: u64) -> Option<MessageKey> {
        read(&self.ids).get(&id).copied()
    }

    /// All messages that were begun.
    pub fn all(&self) -> Vec<Arc<Written>> {
        let begun = |written: &&Arc<Written>| written.offered() > 0;
        self.scripts
            .iter()
            .flat_map(|scripts| {
                read(scripts)
                    .iter()
                    .filter(begun)
                    .cloned()
                    .collect::<Vec<_>>()
            })
            .collect()
    }
}

fn read<T>(lock: &RwLock<T>) -> std::sync::RwLockReadGuard<'_, T> {
    // A panic elsewhere left the list whole: it is only ever pushed to.
    lock.read()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

impl Written {
    fn new(script: Script, author: &Author) -> Self {
        let fan = (0..script.steps()).map(|_| Fan::default()).collect();
        Written {
            script,
            conversation: author.conversation,
            username: author.username.clone(),
            confirmed: AtomicU32::new(0),
            offered: AtomicU32::new(0),
            id: AtomicU64::new(0),
            fan,
        }
    }

    /// The server was given the steps below this one.
    pub fn offer(&self, steps: u32) {
        self.offered.fetch_max(steps, Ordering::AcqRel);
    }

    /// The server has confirmed the steps below this one.
    pub fn confirm(&self, steps: u32) {
        self.confirmed.fetch_max(steps, Ordering::AcqRel);
    }

    /// How many steps were given to the server.
    pub fn offered(&self) -> u32 {
        self.offered.load(Ordering::Acquire)
    }

    /// How many steps the server has confirmed.
    pub fn confirmed(&self) -> u32 {
        self.confirmed.load(Ordering::Acquire)
    }

    /// The server's id, once it is known.
    pub fn id(&self) -> Option<u64> {
        Some(self.id.load(Ordering::Acquire)).filter(|id| *id != 0)
    }

    /// Whether it was to be sent and the server has said that it is.
    pub fn acknowledged(&self) -> bool {
        self.script.ending == Ending::Sent && self.confirmed() == self.script.steps()
    }

    /// Whether its end was asked for, so that it may have happened.
    pub fn end_offered(&self) -> bool {
        self.offered() == self.script.steps()
    }

    /// Viewers elsewhere have been shown this step, the last of them at this time.
    pub fn reached_by(&self, step: u32, viewers: u32, last: Duration) {
        if let Some(fan) = self.fan.get(step as usize) {
            fan.last_micros
                .fetch_max(last.as_micros() as u64, Ordering::AcqRel);
            fan.viewers.fetch_add(viewers, Ordering::AcqRel);
        }
    }

    /// One more viewer has been shown this step or a later one.
    pub fn reached(&self, step: u32, at: Duration) {
        if let Some(fan) = self.fan.get(step as usize) {
            fan.last_micros
                .fetch_max(at.as_micros() as u64, Ordering::AcqRel);
            fan.viewers.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// How many viewers have been shown this step, and when the last was.
    pub fn fan(&self, step: u32) -> (u32, Duration) {
        self.fan
            .get(step as usize)
            .map_or((0, Duration::ZERO), |fan| {
                let last = Duration::from_micros(fan.last_micros.load(Ordering::Acquire));
                (fan.viewers.load(Ordering::Acquire), last)
            })
    }
}
