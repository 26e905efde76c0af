//! What this node has to know of a shard beside who owns it: whether its last owner has finished
//! with it, and until when that one's writes may still arrive.

use crate::channel::ChannelMessage;
use crate::locks::lock;
use crate::node::STORE_TIMEOUT;
use cluster_config::{LEASE, NodeName, Shard};
use cql::Conversation;
use std::collections::{HashMap, HashSet};
use std::sync::Mutex;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// How long a new owner waits to be told that the old one has finished.
pub const RELEASED_WITHIN: Duration = Duration::from_secs(1);

/// How long this node may take to finish with a shard: a conversation that never says that it has
/// would else be acknowledged for ever.
const FINISHED_WITHIN: Duration = STORE_TIMEOUT.saturating_mul(2);

/// After an owner went without a word, its acknowledged writes are in the store when its lease
/// has ended, and the last that it had begun when the store's time limit is over, too.
const OWED: Duration = LEASE
    .saturating_add(STORE_TIMEOUT)
    .saturating_add(STORE_TIMEOUT);

/// What waits for a shard's last owner.
pub type Held = Vec<(Conversation, ChannelMessage)>;

/// A shard that was finished with, for its next owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Finished {
    /// Which.
    pub shard: Shard,
    /// Who has it now.
    pub to: NodeName,
    /// For how long what was owed is owed still.
    pub owed: Duration,
}

/// Who had a shard before this node, as far as this node knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Last {
    /// It is there to say when it has finished.
    There(NodeName),
    /// It is, but this node has missed views: another may have had the shard since.
    ThereOnce(NodeName),
    /// It went without a word, or there was none.
    Gone,
}

#[derive(Default)]
struct Own {
    owed_until: Option<Instant>,
    waiting: Option<Waiting>,
}

/// What waits until the last owner has finished.
struct Waiting {
    last: NodeName,
    /// Whether others may have had it since.
    once: bool,
    until: Instant,
    held: Held,
}

struct Releasing {
    to: Option<NodeName>,
    until: Instant,
    owed_until: Option<Instant>,
    left: HashSet<Conversation>,
}

/// The shards that this node owns or is about to finish with.
#[derive(Default)]
pub struct Shards {
    own: Mutex<HashMap<Shard, Own>>,
    releasing: Mutex<HashMap<Shard, Releasing>>,
    finished: Notify,
}

impl std::fmt::Debug for Shards {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shards").finish_non_exhaustive()
    }
}

impl Shards {
    /// This node owns a shard from now on. If its last owner is there to say when it has
    /// finished, that is waited for; else that one's writes are owed a second read.
    pub fn gained(&self, shard: Shard, last: Last, now: Instant) {
        let waiting = |last, once| Own {
            owed_until: None,
            waiting: Some(Waiting {
                last,
                once,
                until: now + RELEASED_WITHIN,
                held: Vec::new(),
            }),
        };
        let own = match last {
            Last::There(last) => waiting(last, false),
            Last::ThereOnce(last) => waiting(last, true),
            Last::Gone => Own {
                owed_until: Some(now + OWED),
                waiting: None,
            },
        };
        lock(&self.own).insert(shard, own);
    }

    /// This node owns a shard still, or again: others may have had it in views that it missed.
    pub fn had_by_others(&self, shard: Shard, now: Instant) {
        let mut shards = lock(&self.own);
        let own = shards.entry(shard).or_default();
        own.owed_until = own.owed_until.max(Some(now + OWED));
    }

    /// Gives a message on, or keeps it until the shard's last owner has finished.
    pub fn pass(
        &self,
        shard: Shard,
        conversation: &Conversation,
        message: ChannelMessage,
    ) -> Option<ChannelMessage> {
        if let Some(waiting) = lock(&self.own)
            .get_mut(&shard)
            .and_then(|own| own.waiting.as_mut())
        {
            waiting.held.push((conversation.clone(), message));
            return None;
        }
        Some(message)
    }

    /// A node has finished, and hands on for how long what it owed is owed. Gives what waited for
    /// that. Who is not the last owner has missed views, and knows nothing of who came after it.
    pub fn released(&self, shard: Shard, by: NodeName, owed: Duration, now: Instant) -> Held {
        let mut shards = lock(&self.own);
        let Some(own) = shards.get_mut(&shard) else {
            return Vec::new();
        };
        // One that comes too late finds that a second read is owed, which is right anyway.
        let Some(waiting) = own.waiting.take_if(|waiting| waiting.last == by) else {
            return Vec::new();
        };
        let owed = if waiting.once { owed.max(OWED) } else { owed };
        own.owed_until = (!owed.is_zero()).then(|| now + owed);
        waiting.held
    }

    /// Waits no longer for last owners that had their time. Gives what waited, and when to look
    /// again.
    pub fn give_up(&self, now: Instant) -> (Held, Option<Instant>) {
        let mut gone = Vec::new();
        let mut next: Option<Instant> = None;
        for own in lock(&self.own).values_mut() {
            if let Some(waiting) = own.waiting.take_if(|waiting| waiting.until <= now) {
                own.owed_until = Some(now + OWED);
                gone.extend(waiting.held);
            } else if let Some(Waiting { until, .. }) = own.waiting {
                next = Some(next.map_or(until, |next| next.min(until)));
            }
        }
        (gone, next)
    }

    /// Until when writes of earlier owners may still arrive; none if all of them are in.
    pub fn owed_until(&self, shard: Shard, now: Instant) -> Option<Instant> {
        let owed = lock(&self.own).get(&shard).and_then(|own| own.owed_until);
        owed.filter(|until| *until > now)
    }

    /// Another node owns a shard from now on; `left` are its conversations that have something
    /// to finish here, for as long as the lease by the old view holds: the new owner reckons with
    /// no acknowledgement after that. Gives what waited, to be said to the new owner.
    pub fn lost(
        &self,
        shard: Shard,
        to: Option<NodeName>,
        left: HashSet<Conversation>,
        lease: Duration,
        now: Instant,
    ) -> Held {
        let own = lock(&self.own).remove(&shard).unwrap_or_default();
        // One that never said that it has finished may still write.
        let waited = own.waiting.as_ref().map(|_| now + OWED);
        let releasing = Releasing {
            to,
            until: now + FINISHED_WITHIN.min(lease),
            owed_until: own.owed_until.max(waited),
            left,
        };
        lock(&self.releasing).insert(shard, releasing);
        own.waiting.map(|waiting| waiting.held).unwrap_or_default()
    }

    /// Whether this node finishes what it began in a shard.
    pub fn is_releasing(&self, shard: Shard, now: Instant) -> bool {
        let releasing = lock(&self.releasing);
        releasing
            .get(&shard)
            .is_some_and(|releasing| releasing.until > now)
    }

    /// A conversation has nothing to finish here any more.
    pub fn finished_with(&self, shard: Shard, conversation: &Conversation) {
        if let Some(releasing) = lock(&self.releasing).get_mut(&shard) {
            releasing.left.remove(conversation);
        }
    }

    /// The shards that were finished with since this was last asked.
    pub fn take_finished(&self, now: Instant) -> Vec<Finished> {
        let mut finished = Vec::new();
        lock(&self.releasing).retain(|shard, releasing| {
            if !releasing.left.is_empty() {
                // Who has it now has waited for less long, and reads once more.
                return releasing.until > now;
            }
            let owed = releasing
                .owed_until
                .map_or(Duration::ZERO, |until| until.saturating_duration_since(now));
            finished.extend(releasing.to.map(|to| Finished {
                shard: *shard,
                to,
                owed,
            }));
            false
        });
        self.finished.notify_waiters();
        finished
    }

    /// Waits until nothing is left to finish.
    pub async fn released_all(&self) {
        loop {
            let finished = self.finished.notified();
            if lock(&self.releasing).is_empty() {
                return;
            }
            finished.await;
        }
    }
}

#[cfg(test)]
#[path = "shards/tests.rs"]
mod tests;
