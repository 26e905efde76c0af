//! What is on its way from a conversation to the store.

use crate::under_way::{Count, UnderWay};
use cql::Millis;
use std::sync::atomic::{AtomicI64, Ordering};

/// What leaves a conversation for the store: the latest time something was sent, so that each is
/// later than the last and what is unread can be counted in the order of sending; and how much
/// is on its way, so that a next owner starts when it has arrived.
#[derive(Debug, Default)]
pub struct Outgoing {
    last: AtomicI64,
    under_way: Count,
}

impl Outgoing {
    /// The time of the next one.
    pub fn next(&self, now: Millis) -> Millis {
        if self.last.fetch_max(now, Ordering::Relaxed) < now {
            return now;
        }
        self.last.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Something is on its way as long as what this gives lives.
    pub fn begin(&self) -> UnderWay {
        self.under_way.begin()
    }

    /// Whether nothing is on its way.
    pub fn is_idle(&self) -> bool {
        self.under_way.is_idle()
    }

    /// Waits until nothing is on its way.
    pub async fn arrived(&self) {
        self.under_way.ended().await;
    }
}
