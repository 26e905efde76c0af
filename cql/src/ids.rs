//! Ids: a message's id *is* its place, so ids are given in the order people begin to type.
//!
//! Below 2^53, because JavaScript reads them: 41 bits of milliseconds since 2026-01-01,
//! 7 bits of slot and 5 bits of sequence. A node holds one slot at a time, so two nodes never
//! give the same id, whatever their clocks say.

use serde::{Deserialize, Serialize};

/// Milliseconds since 1970 in UTC.
pub type Millis = i64;

/// 2026-01-01T00:00:00Z, where ids begin to count.
pub const EPOCH: Millis = 1_767_225_600_000;

/// How many nodes can give ids at the same time.
pub const SLOTS: u8 = 128;

const SLOT_BITS: u32 = 7;
const SEQUENCE_BITS: u32 = 5;
const SEQUENCE_MAX: u64 = (1 << SEQUENCE_BITS) - 1;
const MILLIS_MAX: u64 = (1 << 41) - 1;

/// A message's place in the order of a conversation, and its name.
#[derive(
    Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct MessageId(pub u64);

impl MessageId {
    /// The lowest id of that instant; `low` and other bounds are made with it.
    pub fn at(time: Millis) -> Self {
        let millis = u64::try_from(time - EPOCH).unwrap_or(0).min(MILLIS_MAX);
        MessageId(millis << (SLOT_BITS + SEQUENCE_BITS))
    }

    /// When its place was taken.
    pub fn time(self) -> Millis {
        let millis = self.0 >> (SLOT_BITS + SEQUENCE_BITS);
        EPOCH + i64::try_from(millis).unwrap_or(Millis::MAX - EPOCH)
    }

    /// Which slot gave it.
    pub fn slot(self) -> u8 {
        // Masked to 7 bits, so it always fits.
        ((self.0 >> SEQUENCE_BITS) & u64::from(SLOTS - 1)) as u8
    }

    /// As the stores keep it. Below 2^53, so it always fits.
    pub fn as_i64(self) -> i64 {
        self.0 as i64
    }

    /// Out of a store. Negative numbers never were ids.
    pub fn from_i64(stored: i64) -> Self {
        MessageId(u64::try_from(stored).unwrap_or(0))
    }
}

impl std::fmt::Display for MessageId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// A person, inside Ting. Names can be released and taken by another; this cannot.
///
/// Drawn from the same numbers as message ids, so they are unique across nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UserId(pub u64);

impl UserId {
    /// As the stores keep it.
    pub fn as_i64(self) -> i64 {
        self.0 as i64
    }

    /// Out of a store.
    pub fn from_i64(stored: i64) -> Self {
        UserId(u64::try_from(stored).unwrap_or(0))
    }
}

impl std::fmt::Display for UserId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// Gives ids out of one slot, each above all before.
#[derive(Debug, Clone)]
pub struct Places {
    slot: u8,
    last_millis: u64,
    sequence: u64,
}

impl Places {
    /// Gives ids of `slot`, all after `from`.
    pub fn new(slot: u8, from: Millis) -> Self {
        let from = u64::try_from(from - EPOCH).unwrap_or(0);
        Places {
            slot: slot % SLOTS,
            last_millis: from,
            sequence: SEQUENCE_MAX,
        }
    }

    /// The next id: above `now`'s beginning, above the last one, and above `above`.
    ///
    /// `None` when it would lie at or past `until`, the time up to which the slot is reserved.
    pub fn next(&mut self, now: Millis, above: MessageId, until: Millis) -> Option<MessageId> {
        let now = u64::try_from(now - EPOCH).unwrap_or(0);
        let above_millis = above.0 >> (SLOT_BITS + SEQUENCE_BITS);
        let (mut millis, mut sequence) = if self.sequence < SEQUENCE_MAX && now <= self.last_millis
        {
            (self.last_millis, self.sequence + 1)
        } else {
            (now.max(self.last_millis + 1), 0)
        };
        if self.id(millis, sequence) <= above {
            (millis, sequence) = (above_millis + 1, 0);
        }
        let until = u64::try_from(until - EPOCH).unwrap_or(0);
        if millis >= until || millis > MILLIS_MAX {
            return None;
        }
        (self.last_millis, self.sequence) = (millis, sequence);
        Some(self.id(millis, sequence))
    }

    fn id(&self, millis: u64, sequence: u64) -> MessageId {
        MessageId(
            (millis << (SLOT_BITS + SEQUENCE_BITS))
                | (u64::from(self.slot) << SEQUENCE_BITS)
                | sequence,
        )
    }
}

#[cfg(test)]
#[path = "ids/tests.rs"]
mod tests;
