//! The timestamps that decide which of two writes is the later one.
//!
//! The database keeps of each cell the value with the highest timestamp, so a logical write
//! takes one here, once, and every attempt of it carries the same. This machine's wall clock is
//! not asked: the database's own time is read when the store is opened and goes on by the
//! monotonic clock, so two nodes of Ting differ by no more than two nodes of the database do.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Instant;

/// Gives timestamps in microseconds, each above all before.
#[derive(Debug)]
pub(super) struct Clock {
    base: i64,
    started: Instant,
    last: AtomicI64,
}

impl Clock {
    /// Begins at the database's time, in milliseconds since 1970.
    pub(super) fn at(millis: i64) -> Self {
        Clock {
            base: millis.saturating_mul(1_000),
            started: Instant::now(),
            last: AtomicI64::new(0),
        }
    }

    /// A timestamp above `written`, the highest that is known of what is written over; 0 where
    /// nothing is there.
    pub(super) fn above(&self, written: i64) -> i64 {
        let elapsed = i64::try_from(self.started.elapsed().as_micros()).unwrap_or(i64::MAX);
        let now = self.base.saturating_add(elapsed);
        let later = |last: i64| now.max(last + 1);
        let before = self
            .last
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| {
                Some(later(last))
            })
            // The closure never refuses, so this is never taken; both arms carry the same.
            .unwrap_or_else(|last| last);
        // What is there may be a fast clock's: it is passed, but not followed.
        later(before).max(written.saturating_add(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_write_has_a_higher_timestamp_than_what_it_covers() {
        let clock = Clock::at(1_000);
        let first = clock.above(0);
        let second = clock.above(0);
        assert!(1_000_000 <= first && first < second);
        assert_eq!(clock.above(9_000_000_000), 9_000_000_001);
        assert!(clock.above(0) < 9_000_000_000, "a fast clock was followed");
    }
}
