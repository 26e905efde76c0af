//! The node's time and its ids.
//!
//! *Now* is the store's time at start plus monotonic time, corrected at each renewal of the slot
//! and never backwards; the wall clock is not read. Ids come out of a slot that is reserved ahead
//! of time in the store, so they are unique whatever clocks say, and typing goes on while the
//! store is away.

use crate::locks::lock;
use cluster_config::NodeName;
use cql::{MessageId, Millis, Places, SLOTS, Slot, Store, StoreError};
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use tokio::time::Instant;
use tracing::{debug, warn};

/// How far ahead a slot is reserved, in milliseconds: an outage of the store shorter than this
/// costs typing nothing.
const RESERVED_AHEAD: Millis = 120_000;

/// How often the reservation is renewed.
pub const RENEWED_EVERY: Duration = Duration::from_secs(10);

/// No id can be given: every slot is taken, or this one's reservation has run out because the
/// store is away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no ids are left until the store answers")]
pub struct NoIds;

/// The node's time and its ids.
#[derive(Debug)]
pub struct Clock {
    started: Instant,
    offset: AtomicI64,
    floor: AtomicI64,
    name: NodeName,
    places: Mutex<Reserved>,
}

#[derive(Debug)]
struct Reserved {
    places: Places,
    until: Millis,
    /// What was asked for since, of which it is not known whether it was granted.
    asked: Vec<Millis>,
}

impl Clock {
    /// Takes a slot of the store. `Ok(None)` if all of them are taken.
    pub async fn start(store: &dyn Store) -> Result<Option<Clock>, StoreError> {
        let now = store.now().await?;
        let started = Instant::now();
        let taken = store.slots().await?;
        // From a random one on, so that nodes that start together seldom meet.
        let first = rand::random_range(0..SLOTS);
        for number in (0..SLOTS).map(|step| (first + step) % SLOTS) {
            let seen = taken
                .iter()
                .find(|slot| slot.number == number)
                .map(|slot| slot.high_water);
            let is_free = seen.is_none_or(|high_water| high_water <= now);
            let until = now + RESERVED_AHEAD;
            if is_free && store.reserve_slot(number, seen, until).await? {
                debug!(slot = number, "slot taken");
                return Ok(Some(Clock {
                    started,
                    offset: AtomicI64::new(now),
                    floor: AtomicI64::new(now),
                    name: NodeName {
                        slot: number,
                        since: now,
                    },
                    places: Mutex::new(Reserved {
                        places: Places::new(number, now),
                        until,
                        asked: Vec::new(),
                    }),
                }));
            }
        }
        Ok(None)
    }

    /// This node's name: new at every start.
    pub fn name(&self) -> NodeName {
        self.name
    }

    /// The cluster's time.
    pub fn now(&self) -> Millis {
        let now = self.offset.load(Ordering::Relaxed);
        let now = now.saturating_add(self.passed());
        self.floor.fetch_max(now, Ordering::Relaxed).max(now)
    }

    /// No time below is told any more: another member has been there.
    pub fn not_before(&self, time: Millis) {
        self.floor.fetch_max(time, Ordering::Relaxed);
    }

    /// The next id, above now and above `above`.
    pub fn next_id(&self, above: MessageId) -> Result<MessageId, NoIds> {
        let now = self.now();
        let mut reserved = lock(&self.places);
        let until = reserved.until;
        reserved.places.next(now, above, until).ok_or(NoIds)
    }

    /// Moves the reservation ahead and corrects the time. False if the slot is another's by now,
    /// since the reservation had run out.
    pub async fn renew(&self, store: &dyn Store) -> Result<bool, StoreError> {
        let asked = self.passed();
        let stored = store.now().await?;
        self.correct(asked, stored, self.passed());
        let seen = self.until();
        let until = (self.now() + RESERVED_AHEAD).max(seen);
        lock(&self.places).asked.push(until);
        if store
            .reserve_slot(self.name.slot, Some(seen), until)
            .await?
        {
            self.reserve(until);
            return Ok(true);
        }
        // The answer of an earlier attempt may have been lost: then the row is what that asked for.
        let slots: Vec<Slot> = store.slots().await?;
        let row = slots
            .iter()
            .find(|slot| slot.number == self.name.slot)
            .map(|slot| slot.high_water);
        let Some(row) = row.filter(|row| *row == seen || lock(&self.places).asked.contains(row))
        else {
            warn!(slot = self.name.slot, "the slot is somebody else's");
            return Ok(false);
        };
        self.reserve(row);
        Ok(true)
    }

    /// Gives back what is reserved beyond the last id.
    pub async fn give_back(&self, store: &dyn Store) -> Result<(), StoreError> {
        let seen = self.until();
        let last = self
            .next_id(MessageId::default())
            .map_or(seen, MessageId::time);
        // Nobody is given an id after this.
        self.reserve(0);
        store
            .reserve_slot(self.name.slot, Some(seen), (last + 1).min(seen))
            .await
            .map(drop)
    }

    /// Takes the store's time, told between two moments, for right.
    ///
    /// When in between it was told is unknown, so only what can't be is corrected, and by no more:
    /// an answer that took a second would otherwise move the time by one, and the next one back.
    fn correct(&self, asked: Millis, stored: Millis, answered: Millis) {
        let offset = self.offset.load(Ordering::Relaxed);
        let possible = corrected(offset, asked, stored, answered);
        self.offset.store(possible, Ordering::Relaxed);
    }

    fn passed(&self) -> Millis {
        Millis::try_from(self.started.elapsed().as_millis()).unwrap_or(Millis::MAX)
    }

    fn until(&self) -> Millis {
        lock(&self.places).until
    }

    fn reserve(&self, until: Millis) {
        let mut reserved = lock(&self.places);
        reserved.until = until;
        reserved.asked.clear();
    }
}

/// The offset that is nearest to `offset` of those that are possible.
fn corrected(offset: Millis, asked: Millis, stored: Millis, answered: Millis) -> Millis {
    offset.clamp(stored - answered.max(asked), stored - asked)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::MemoryStore;

    #[tokio::test(start_paused = true)]
    async fn a_slot_that_another_has_taken_is_not_taken_back() {
        let store = MemoryStore::default();
        let clock = Clock::start(&store).await.unwrap().unwrap();
        let until = clock.until();
        assert!(clock.renew(&store).await.unwrap());
        // The store was away for longer than the reservation, and another was first.
        let reserved = store
            .reserve_slot(clock.name().slot, Some(clock.until()), until + 1)
            .await;
        assert!(reserved.unwrap());
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert!(!clock.renew(&store).await.unwrap());
    }

    #[tokio::test(start_paused = true)]
    async fn a_renewal_whose_answer_was_lost_counts() {
        let store = MemoryStore::default();
        let clock = Clock::start(&store).await.unwrap().unwrap();
        // What is granted and never said is what is found the next time.
        let asked = clock.until() + 10;
        lock(&clock.places).asked.push(asked);
        let granted = store.reserve_slot(clock.name().slot, Some(clock.until()), asked);
        assert!(granted.await.unwrap());
        assert!(clock.renew(&store).await.unwrap());
        assert_eq!(clock.until(), asked);
    }

    #[test]
    fn the_time_is_corrected_by_no_more_than_must_be() {
        // Asked 50 ms after the start, answered at 60 ms.
        let after = |offset, stored| corrected(offset, 50, stored, 60);
        assert_eq!(after(1_000, 1_055), 1_000, "it may be right");
        assert_eq!(after(1_000, 1_070), 1_010, "it is behind");
        assert_eq!(after(1_000, 1_000), 950, "it is ahead");
        // An answer that took long tells little.
        assert_eq!(corrected(1_000, 50, 1_060, 1_250), 1_000);
        assert_eq!(corrected(1_000, 50, 2_200, 1_250), 1_000);
    }
}
