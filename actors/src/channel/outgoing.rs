//! What is on its way from a conversation to the store.

use cql::Millis;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use tokio::sync::watch;

/// What leaves a conversation for the store: the latest time something was sent, so that each is
/// later than the last and what is unread can be counted in the order of sending; and how much
/// is on its way, so that a next owner starts when it has arrived.
#[derive(Debug)]
pub struct Outgoing {
    last: AtomicI64,
    under_way: watch::Sender<usize>,
}

impl Default for Outgoing {
    fn default() -> Self {
        Outgoing {
            last: AtomicI64::new(0),
            under_way: watch::Sender::new(0),
        }
    }
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
    pub fn begin(self: &Arc<Self>) -> UnderWay {
        self.under_way.send_modify(|count| *count += 1);
        UnderWay(self.clone())
    }

    /// Whether nothing is on its way.
    pub fn is_idle(&self) -> bool {
        *self.under_way.borrow() == 0
    }

    /// Waits until nothing is on its way.
    pub async fn arrived(&self) {
        // The sender lives in this value.
        let mut under_way = self.under_way.subscribe();
        let _ = under_way.wait_for(|count| *count == 0).await;
    }
}

/// Something that is on its way to the store.
#[derive(Debug)]
pub struct UnderWay(Arc<Outgoing>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.under_way.send_modify(|count| *count -= 1);
    }
}
