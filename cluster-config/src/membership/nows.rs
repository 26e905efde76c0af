//! What the rows say of the cluster's time.
//!
//! Each member writes its `now` with each renewal, and raises it to the highest it reads. Who
//! holds a lease has read the rows less than a [`LEASE`] ago; so a `now` that has stood in a row
//! for that long is below nobody's who may act. That one is *settled*.

use super::LEASE;
use std::collections::VecDeque;
use std::time::Duration;

/// The highest `now` of all rows, and what of it is settled.
#[derive(Debug, Clone)]
pub struct Nows {
    highest: i64,
    settled: Option<i64>,
    /// What is known to stand in this member's row, and since when it is known.
    written: VecDeque<(Duration, i64)>,
    /// Until then its row may still be written over by what was asked before.
    unsteady: Duration,
}

impl Nows {
    /// Before anything was read.
    pub fn new(now: i64) -> Self {
        Nows {
            highest: now,
            settled: None,
            written: VecDeque::new(),
            unsteady: Duration::ZERO,
        }
    }

    /// A row says so.
    pub fn saw(&mut self, now: i64) {
        self.highest = self.highest.max(now);
    }

    /// This member's row says so, by an ask that was made and answered then.
    pub fn stands(&mut self, now: i64, asked: Duration, answered: Duration) {
        self.saw(now);
        if asked < self.unsteady {
            return;
        }
        while let Some((since, then)) = self.written.front().copied()
            && since + LEASE <= asked
        {
            self.written.pop_front();
            self.settled = self.settled.max(Some(then));
        }
        self.written.push_back((answered, now));
    }

    /// What became of writing the row is not known. If the store does it late, an earlier `now`
    /// stands there for a while; what it hasn't done in a [`LEASE`]'s time it does no more.
    pub fn unheard(&mut self, at: Duration) {
        self.written.clear();
        self.unsteady = at + LEASE;
    }

    /// No row says more.
    pub fn highest(&self) -> i64 {
        self.highest
    }

    /// All who may act know of it.
    pub fn settled(&self) -> Option<i64> {
        self.settled
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_now_is_settled_when_it_has_stood_in_the_row_for_a_lease() {
        let at = Duration::from_secs;
        let mut nows = Nows::new(5);
        nows.stands(10, at(0), at(1));
        nows.stands(12, at(2), at(2));
        assert_eq!(nows.settled(), None);
        nows.stands(14, at(6), at(7));
        assert_eq!(nows.settled(), None, "it was known to stand only at 1");
        nows.stands(15, at(7), at(7));
        assert_eq!((nows.settled(), nows.highest()), (Some(10), 15));
        nows.unheard(at(8));
        nows.stands(20, at(13), at(13));
        nows.stands(21, at(14), at(14));
        nows.stands(22, at(19), at(19));
        assert_eq!(
            nows.settled(),
            Some(10),
            "14, 15 and 20 may have been written over"
        );
        nows.stands(23, at(20), at(20));
        assert_eq!(nows.settled(), Some(21));
    }
}
