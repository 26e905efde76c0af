//! What a relay has shown, and what its sockets must still be told.
//!
//! Frames are counted by the owner; after a gap, or in a new life of the owner, the relay asks
//! for everything from `low` on and tells only the differences. So a viewer is shown every sent
//! message exactly once, whatever happened to the owner. Pure: the relay actor adds the sockets.

use crate::edge::Entry;
use crate::frame::{Change, End, Epoch, Frame, Ghost, Snapshot};
use cql::{MessageId, Millis};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What was sent this long before a relay began is in the history that its sockets read, and no
/// news to them: an owner that had no store, or that gave what it knew at first, may tell it later.
/// As long as a write may be under way, or a link away, in milliseconds.
const NEWS: Millis = 60_000;

/// What a frame means to a relay.
#[derive(Debug, PartialEq, Eq)]
pub enum Applied {
    /// Tell this, in id order; nothing if empty.
    Tell(Vec<Entry>),
    /// Frames are missing: ask for a snapshot from [`Fanout::from`].
    Gap,
    /// It was applied before.
    Old,
}

/// What a relay has shown of one conversation.
#[derive(Debug)]
pub struct Fanout {
    began: Millis,
    at: Option<(Epoch, u64)>,
    low: MessageId,
    shown: BTreeMap<MessageId, Ghost>,
    ended: BTreeMap<MessageId, End>,
}

impl Fanout {
    /// Of a relay that begins now.
    pub fn new(now: Millis) -> Self {
        Fanout {
            began: now,
            at: None,
            low: MessageId::default(),
            shown: BTreeMap::new(),
            ended: BTreeMap::new(),
        }
    }

    /// Whether it ever had a snapshot.
    pub fn is_synced(&self) -> bool {
        self.at.is_some()
    }

    /// Whether it has taken in that frame of that life, or a later one.
    pub fn has(&self, epoch: Epoch, n: u64) -> bool {
        self.at >= Some((epoch, n))
    }

    /// Whether that frame of that life is the next one.
    pub fn awaits(&self, epoch: Epoch, n: u64) -> bool {
        let next = self.at.map(|(epoch, n)| (epoch, n + 1));
        next == Some((epoch, n))
    }

    /// From where a snapshot must reach, so that nothing is missed.
    pub fn from(&self) -> MessageId {
        self.low
    }

    /// No place below can be filled any more.
    pub fn low(&self) -> MessageId {
        self.low
    }

    /// The ghosts that are shown, in id order.
    pub fn ghosts(&self) -> impl Iterator<Item = &Ghost> {
        self.shown.values()
    }

    /// Whether nothing is being typed.
    pub fn is_quiet(&self) -> bool {
        self.shown.is_empty()
    }

    /// Takes in a frame.
    pub fn apply(&mut self, frame: Frame) -> Applied {
        match self.at {
            Some((epoch, n)) if epoch == frame.epoch && frame.n <= n => return Applied::Old,
            _ if self.awaits(frame.epoch, frame.n) => {}
            Some((epoch, _)) if epoch > frame.epoch => return Applied::Old,
            _ => return Applied::Gap,
        }
        self.at = Some((frame.epoch, frame.n));
        let told = frame
            .changes
            .into_iter()
            .filter_map(|change| self.take(change))
            .collect();
        self.rise(frame.low);
        Applied::Tell(told)
    }

    /// Takes in a snapshot that reaches from [`Fanout::from`] on: what differs from what was
    /// shown is told. The first one is told to nobody, since nobody has been shown anything.
    pub fn catch_up(&mut self, snapshot: Snapshot) -> Vec<Entry> {
        if let Some((epoch, n)) = self.at
            && (epoch, n) > (snapshot.epoch, snapshot.n)
        {
            return Vec::new();
        }
        let first = self.at.is_none();
        self.at = Some((snapshot.epoch, snapshot.n));
        let gone = self.gone(&snapshot);
        let mut told: BTreeMap<MessageId, Entry> =
            gone.into_iter().map(|entry| (entry.id, entry)).collect();
        let sent = snapshot
            .sent
            .into_iter()
            .map(|entry| Change::Ended(entry, End::Sent));
        let deleted = snapshot.deleted.into_iter();
        let deleted = deleted.map(|entry| Change::Ended(entry, End::Deleted));
        let ghosts = snapshot.ghosts.into_iter().map(Change::Typing);
        for change in sent.chain(deleted).chain(ghosts) {
            if let Some(entry) = self.take(change) {
                told.insert(entry.id, entry);
            }
        }
        self.rise(snapshot.low);
        if first {
            Vec::new()
        } else {
            told.into_values().collect()
        }
    }

    /// What an owner that knows nothing needs to go on: the ghosts, and how the other ids ended.
    pub fn announcement(&self) -> (Vec<Ghost>, Vec<(MessageId, End)>) {
        let ended = self.ended.iter().map(|(id, end)| (*id, *end)).collect();
        (self.shown.values().cloned().collect(), ended)
    }

    /// One change, as viewers must be told of it; none if they know.
    fn take(&mut self, change: Change) -> Option<Entry> {
        let id = change.id();
        match change {
            Change::Typing(ghost) => {
                let known = self
                    .shown
                    .get(&id)
                    .is_some_and(|shown| shown.entry.rev >= ghost.entry.rev);
                // What was sent or deleted never becomes a ghost again.
                let over = matches!(self.ended.get(&id), Some(End::Sent | End::Deleted));
                if known || over {
                    return None;
                }
                self.ended.remove(&id);
                let entry = ghost.entry.clone();
                self.shown.insert(id, ghost);
                Some(entry)
            }
            Change::Ended(entry, end) => {
                let was_shown = self.shown.remove(&id).is_some();
                let before = self.ended.insert(id, end);
                let told = match end {
                    End::Sent => before != Some(End::Sent) && (was_shown || self.is_news(&entry)),
                    End::Deleted => before != Some(End::Deleted),
                    End::Erased | End::Expired | End::Absent => was_shown,
                };
                told.then_some(entry)
            }
        }
    }

    /// Whether a sent message that is not among what was shown may be one that nobody here knows:
    /// typed or sent lately, since one is typed for long and another says it was sent long ago.
    /// Below `low` everything was told.
    fn is_news(&self, entry: &Entry) -> bool {
        let at = entry
            .id
            .time()
            .max(entry.datetime_sent.unwrap_or(Millis::MAX));
        entry.id >= self.low && at >= self.began - NEWS
    }

    /// The erasing entries for what was shown and is neither typed nor sent by the snapshot.
    fn gone(&mut self, snapshot: &Snapshot) -> Vec<Entry> {
        let stays = |id: &MessageId| {
            snapshot.ghosts.iter().any(|ghost| ghost.entry.id == *id)
                || snapshot.sent.iter().any(|entry| entry.id == *id)
        };
        let gone: Vec<MessageId> = self.shown.keys().filter(|id| !stays(id)).copied().collect();
        gone.into_iter()
            .filter_map(|id| {
                let ghost = self.shown.remove(&id)?;
                self.ended.insert(id, End::Absent);
                let mut entry = ghost.entry;
                entry.rev += 1;
                entry.text = Arc::from("");
                Some(entry)
            })
            .collect()
    }

    fn rise(&mut self, low: MessageId) {
        self.low = self.low.max(low);
        self.ended = self.ended.split_off(&self.low);
    }
}

#[cfg(test)]
#[path = "fanout/tests.rs"]
mod tests;
