//! The rule of a conversation: who is typing what, in which order, and how it ended.
//!
//! A place is reserved when typing begins and kept when the message is sent, so everyone reads
//! the same order. Pure: the channel actor around it adds time, the store and company.

use crate::edge::Entry;
use crate::frame::{Belongs, Change, End, Ghost};
use cql::{MessageId, Millis, UserId};
use std::collections::BTreeMap;
use std::sync::Arc;

/// How long a message may be typed, in milliseconds.
pub const TYPED_AT_MOST: Millis = 15 * 60_000;

/// How long the end of an id is remembered, and how far back places may still be filled, in
/// milliseconds: a message is typed for 15 minutes at most, and a minute more covers what is
/// under way.
pub const REMEMBERED: Millis = 16 * 60_000;

/// What is known of an id.
#[derive(Debug, PartialEq, Eq)]
pub enum Known<'a> {
    /// It is being typed.
    Typing(&'a Ghost),
    /// It ended.
    Ended {
        /// How.
        end: End,
        /// Whose it was.
        author: Option<UserId>,
        /// Whether every attempt to send it is known to have failed.
        clean: bool,
        /// The author's last count.
        author_rev: u64,
    },
    /// Nothing.
    Nothing,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Past {
    end: End,
    author: Option<UserId>,
    clean: bool,
    rev: u64,
    author_rev: u64,
    /// Whether only a relay has said so: others may not know.
    heard: bool,
}

/// The state of one conversation at its owner.
#[derive(Debug, Default)]
pub struct Timeline {
    typing: BTreeMap<MessageId, Ghost>,
    past: BTreeMap<MessageId, Past>,
    /// What was sent and then deleted, as viewers are told.
    deleted: BTreeMap<MessageId, Entry>,
    changed: BTreeMap<MessageId, Change>,
    last: MessageId,
    low: MessageId,
}

impl Timeline {
    /// The highest place known; the next one lies above.
    pub fn last(&self) -> MessageId {
        self.last
    }

    /// A place that is taken, by history or by an announcement.
    pub fn saw(&mut self, id: MessageId) {
        self.last = self.last.max(id);
    }

    /// No place below can be filled any more.
    pub fn low(&self) -> MessageId {
        self.low
    }

    /// Lets `low` rise with the time, and forgets the ends below it.
    pub fn pass(&mut self, now: Millis) {
        self.low = self.low.max(MessageId::at(now - REMEMBERED));
        self.past = self.past.split_off(&self.low);
        self.deleted = self.deleted.split_off(&self.low);
    }

    /// How many messages this person is typing here.
    pub fn typed_by(&self, author: UserId) -> usize {
        self.typing
            .values()
            .filter(|ghost| ghost.entry.author == Some(author))
            .count()
    }

    /// The open message that this person began with this key.
    pub fn with_key(&self, author: UserId, key: &str) -> Option<MessageId> {
        self.typing
            .values()
            .find(|ghost| ghost.entry.author == Some(author) && ghost.key.as_deref() == Some(key))
            .map(|ghost| ghost.entry.id)
    }

    /// What is known of an id.
    pub fn known(&self, id: MessageId) -> Known<'_> {
        if let Some(ghost) = self.typing.get(&id) {
            return Known::Typing(ghost);
        }
        match self.past.get(&id) {
            Some(past) => Known::Ended {
                end: past.end,
                author: past.author,
                clean: past.clean,
                author_rev: past.author_rev,
            },
            None => Known::Nothing,
        }
    }

    /// A message begins, or an absent one is back. Its revision goes on from what it was.
    pub fn begin(&mut self, mut ghost: Ghost) {
        let id = ghost.entry.id;
        let before = self.past.remove(&id).map_or(0, |past| past.rev);
        ghost.entry.rev = ghost.entry.rev.max(before) + 1;
        self.saw(id);
        self.changed.insert(id, Change::Typing(ghost.clone()));
        self.typing.insert(id, ghost);
    }

    /// Another text, or another to whom it belongs. Nothing happens if it is not being typed.
    pub fn change(&mut self, id: MessageId, text: Arc<str>, belongs: Belongs, author_rev: u64) {
        let Some(ghost) = self.typing.get_mut(&id) else {
            return;
        };
        ghost.author_rev = author_rev;
        ghost.belongs = belongs;
        ghost.entry.text = text;
        ghost.entry.rev += 1;
        self.changed.insert(id, Change::Typing(ghost.clone()));
    }

    /// A message is in the history, whether it was being typed here or not, by its author's count.
    /// False if that was known.
    pub fn sent(&mut self, mut entry: Entry, author_rev: u64) -> bool {
        let id = entry.id;
        if matches!(self.past.get(&id), Some(past) if past.end == End::Sent && !past.heard) {
            return false;
        }
        let rev = self.rev(id);
        let typed = self.typing.remove(&id);
        let author_rev = typed.map_or(author_rev, |ghost| ghost.author_rev.max(author_rev));
        entry.rev = rev + 1;
        entry.typing = false;
        self.saw(id);
        self.end_as(entry, End::Sent, true, author_rev);
        true
    }

    /// A message ends without being sent, or a sent one is deleted: viewers see it go.
    pub fn end(&mut self, id: MessageId, end: End, clean: bool, author_rev: u64) {
        let Some(ghost) = self.typing.remove(&id) else {
            return;
        };
        let mut entry = ghost.entry;
        entry.rev += 1;
        entry.text = Arc::from("");
        self.end_as(entry, end, clean, ghost.author_rev.max(author_rev));
    }

    /// A message that was sent is deleted; the entry is what stood there.
    pub fn delete_sent(&mut self, mut entry: Entry) {
        entry.rev = self.rev(entry.id) + 1;
        entry.text = Arc::from("");
        entry.typing = true;
        entry.datetime_sent = None;
        if entry.id >= self.low {
            self.deleted.insert(entry.id, entry.clone());
        }
        self.end_as(entry, End::Deleted, true, 0);
    }

    /// What was sent and then deleted, from a place on, as viewers are told.
    pub fn deleted_since(&self, from: MessageId) -> impl Iterator<Item = &Entry> {
        self.deleted.range(from..).map(|(_, entry)| entry)
    }

    /// Whether an id was deleted or erased, as far as that is remembered.
    pub fn was_deleted(&self, id: MessageId) -> bool {
        let past = self.past.get(&id);
        past.is_some_and(|past| matches!(past.end, End::Deleted | End::Erased))
    }

    /// What changed since this was last asked, in id order.
    pub fn take_changes(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.changed).into_values().collect()
    }

    /// Whether something changed.
    pub fn has_changes(&self) -> bool {
        !self.changed.is_empty()
    }

    /// What is being typed, in id order.
    pub fn ghosts(&self) -> impl DoubleEndedIterator<Item = &Ghost> {
        self.typing.values()
    }

    /// How ids ended that are not being typed any more, as far as that is remembered.
    pub fn ended(&self) -> impl Iterator<Item = (MessageId, End)> {
        self.past.iter().map(|(id, past)| (*id, past.end))
    }

    /// Whether nothing is remembered that a claim could ask for.
    pub fn is_idle(&self) -> bool {
        self.typing.is_empty() && self.past.is_empty() && self.changed.is_empty()
    }

    /// Takes in what a relay kept: ended beats open, then the higher revision.
    pub fn announced(&mut self, ghosts: Vec<Ghost>, ended: Vec<(MessageId, End)>) {
        for (id, end) in ended {
            self.saw(id);
            let author = self.typing.remove(&id).and_then(|ghost| ghost.entry.author);
            self.changed.remove(&id);
            // A relay that missed how it ended knows only that it is gone.
            let known = self.past.get(&id);
            let vague = |past: &Past| past.heard && !past.end.is_for_good() && end.is_for_good();
            if id >= self.low && known.is_none_or(vague) {
                let past = Past {
                    end,
                    author: author.or(known.and_then(|past| past.author)),
                    clean: false,
                    rev: 0,
                    author_rev: 0,
                    heard: true,
                };
                self.past.insert(id, past);
            }
        }
        for ghost in ghosts {
            let id = ghost.entry.id;
            let newer = self
                .typing
                .get(&id)
                .is_none_or(|known| known.entry.rev < ghost.entry.rev);
            if newer && !self.past.contains_key(&id) {
                self.saw(id);
                self.changed.insert(id, Change::Typing(ghost.clone()));
                self.typing.insert(id, ghost);
            }
        }
    }

    fn rev(&self, id: MessageId) -> u64 {
        let typing = self.typing.get(&id).map(|ghost| ghost.entry.rev);
        typing
            .or_else(|| self.past.get(&id).map(|past| past.rev))
            .unwrap_or(0)
    }

    fn end_as(&mut self, entry: Entry, end: End, clean: bool, author_rev: u64) {
        let past = Past {
            end,
            author: entry.author,
            clean,
            rev: entry.rev,
            author_rev,
            heard: false,
        };
        self.past.insert(entry.id, past);
        self.changed.insert(entry.id, Change::Ended(entry, end));
    }
}

#[cfg(test)]
#[path = "timeline/tests.rs"]
mod tests;
