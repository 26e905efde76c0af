//! In which bucket of a conversation a message lies.
//!
//! A conversation begins with bucket 0, which has no row. When the newest bucket is full, whoever
//! writes there opens the next one, named by the first id that lies in it: two minutes above
//! every id given. So a copy of the list that is at most a minute old puts every id where a fresh
//! copy would: an id that could lie in a bucket opened since is not given yet.

use super::link::{Compared, Link};
use super::slots::Slots;
use crate::{Conversation, MessageId, Millis, StoreError};
use moka::future::Cache;
use scylla::errors::PrepareError;
use scylla::statement::prepared::PreparedStatement;
use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;

/// Rows after which the next bucket is opened: some 10 MB, well below what a partition may weigh.
pub(super) const ROWS: u64 = 50_000;
/// How far above every id given a new bucket begins, in milliseconds.
const LEAD: Millis = 120_000;
/// How old a copy may be: half of [`LEAD`], the rest is for the read that made it.
const COPY_LIFETIME: Duration = Duration::from_secs(60);
/// How old what is known of the ids given may be when a bucket is opened by it: with a copy as old,
/// it makes up [`LEAD`].
const HIGH_WATER_LIFETIME: Duration = Duration::from_secs(60);
/// How long a count is trusted, while other nodes may have written there too.
const COUNT_LIFETIME: Duration = Duration::from_secs(3_600);
/// Buckets that are counted at a time: each count reads a whole one, and after a start all are due.
const COUNTS_AT_ONCE: usize = 4;
/// Conversations whose buckets are known at a time; 100 bytes each.
const KNOWN_MAX: u64 = 50_000;

/// Compare-and-set: an open bucket is never moved.
const OPEN: &str =
    "INSERT INTO buckets (conversation, first_id, opened_by) VALUES (?, ?, ?) IF NOT EXISTS";
/// Serial: a bucket being opened counts, for who opened it may write there next.
const LIST: &str = "SELECT first_id FROM buckets WHERE conversation = ?";
/// LOCAL_QUORUM, patiently; a few rows more or less do not matter.
const COUNT: &str = "SELECT COUNT(*) FROM messages WHERE conversation = ? AND bucket = ?";

/// The buckets of one conversation, newest first; the last is always 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Plan(Vec<i64>);

impl Plan {
    /// The bucket in which that id lies.
    pub(super) fn of(&self, id: MessageId) -> i64 {
        let id = id.as_i64();
        let found = self.0.iter().copied().find(|first| *first <= id);
        found.unwrap_or(0)
    }

    /// Those that can hold ids above `after` and below `before`, newest first.
    pub(super) fn between(
        &self,
        after: Option<MessageId>,
        before: Option<MessageId>,
    ) -> impl Iterator<Item = i64> {
        let lowest = after.map_or(0, |after| self.of(MessageId(after.0 + 1)));
        let above = before.map_or(i64::MAX, MessageId::as_i64);
        self.0
            .iter()
            .copied()
            .filter(move |first| *first < above && *first >= lowest)
    }
}

/// How full the newest bucket is.
#[derive(Debug, Default)]
struct Count {
    /// Rows found, and rows added since.
    rows: AtomicU64,
    /// Set once `rows` was found in the database.
    counted: AtomicBool,
}

/// What is done beside the messages, once at a time for each conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Work {
    Count,
    Open,
}

#[derive(Debug)]
pub(super) struct Buckets {
    link: Arc<Link>,
    slots: Arc<Slots>,
    open: PreparedStatement,
    list: PreparedStatement,
    count: PreparedStatement,
    plans: Cache<Conversation, Arc<Plan>>,
    counts: Cache<(Conversation, i64), Arc<Count>>,
    counting: Semaphore,
    under_way: Mutex<HashSet<(Conversation, Work)>>,
    rows: AtomicU64,
}

/// Work that is under way until this is dropped.
struct UnderWay {
    buckets: Arc<Buckets>,
    work: (Conversation, Work),
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.buckets.under_way().remove(&self.work);
    }
}

impl Buckets {
    pub(super) async fn prepare(
        link: &Arc<Link>,
        slots: &Arc<Slots>,
    ) -> Result<Self, PrepareError> {
        Ok(Buckets {
            open: link.prepare_compare(OPEN).await?,
            list: link.prepare_serial_read(LIST).await?,
            count: link.prepare_patient_read(COUNT).await?,
            plans: Cache::builder()
                .max_capacity(KNOWN_MAX)
                .time_to_live(COPY_LIFETIME)
                .build(),
            counts: Cache::builder()
                .max_capacity(KNOWN_MAX)
                .time_to_live(COUNT_LIFETIME)
                .build(),
            counting: Semaphore::new(COUNTS_AT_ONCE),
            under_way: Mutex::default(),
            rows: AtomicU64::new(ROWS),
            slots: slots.clone(),
            link: link.clone(),
        })
    }

    /// The buckets, from a copy that is young enough.
    pub(super) async fn plan(&self, conversation: &Conversation) -> Result<Arc<Plan>, StoreError> {
        self.plans
            .try_get_with_by_ref(conversation, self.read(conversation))
            .await
            .map_err(|error: Arc<StoreError>| (*error).clone())
    }

    pub(super) async fn read(&self, conversation: &Conversation) -> Result<Arc<Plan>, StoreError> {
        let rows: Vec<(i64,)> = self.link.rows(&self.list, (conversation.key(),)).await?;
        let opened = rows.into_iter().map(|(first,)| first);
        Ok(Arc::new(Plan(opened.chain([0]).collect())))
    }

    /// Notes a row that was added, and opens the next bucket when that one is full. Nobody waits
    /// for it: until then the rows go on to the full one.
    pub(super) async fn added(self: &Arc<Self>, conversation: &Conversation, bucket: i64) {
        let key = (conversation.clone(), bucket);
        let count = self
            .counts
            .get_with(key, async { Arc::new(Count::default()) })
            .await;
        let rows = count.rows.fetch_add(1, Ordering::Relaxed) + 1;
        // Where nobody could count yet, there are at least those that were added here.
        let work = if rows >= self.rows.load(Ordering::Relaxed) {
            Work::Open
        } else if count.counted.load(Ordering::Acquire) {
            return;
        } else {
            Work::Count
        };
        let Some(under_way) = self.begin(conversation, work) else {
            return;
        };
        let (buckets, conversation) = (self.clone(), conversation.clone());
        tokio::spawn(async move {
            let outcome = match work {
                Work::Count => buckets.count(&conversation, bucket, &count).await,
                Work::Open => {
                    let opened = buckets.open_next(&conversation, bucket).await;
                    // What still comes for the full one does not open another.
                    opened.map(|()| count.rows.store(0, Ordering::Relaxed))
                }
            };
            if let Err(error) = outcome {
                tracing::warn!(
                    store.operation = "open_bucket", error = %error,
                    "will be tried again with the next message"
                );
            }
            drop(under_way);
        });
    }

    /// Notes that this is done now, unless it is under way already.
    fn begin(self: &Arc<Self>, conversation: &Conversation, work: Work) -> Option<UnderWay> {
        let work = (conversation.clone(), work);
        let begins = self.under_way().insert(work.clone());
        begins.then(|| UnderWay {
            buckets: self.clone(),
            work,
        })
    }

    fn under_way(&self) -> MutexGuard<'_, HashSet<(Conversation, Work)>> {
        // Nothing can panic between two states of a set.
        self.under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    async fn count(
        &self,
        conversation: &Conversation,
        bucket: i64,
        count: &Count,
    ) -> Result<(), StoreError> {
        // Never closed.
        let _turn = self.counting.acquire().await;
        let values = (conversation.key(), bucket);
        let row: Option<(i64,)> = self.link.row(&self.count, values).await?;
        let rows = row.map_or(0, |(rows,)| u64::try_from(rows).unwrap_or(0));
        count.rows.fetch_max(rows, Ordering::Relaxed);
        count.counted.store(true, Ordering::Release);
        Ok(())
    }

    /// Opens the next bucket if `bucket` is the newest one.
    pub(super) async fn open_next(
        &self,
        conversation: &Conversation,
        bucket: i64,
    ) -> Result<(), StoreError> {
        let plan = self.read(conversation).await?;
        if plan.0.first() == Some(&bucket) {
            let asked = Instant::now();
            let now = self.link.clock.above(0) / 1_000;
            let given = self.slots.high_water().await?.max(now);
            self.open_above(conversation, given, asked).await?;
        }
        self.plans.invalidate(conversation).await;
        Ok(())
    }

    /// Opens a bucket above the ids that were given when that was asked; not if this process was
    /// paused since.
    pub(super) async fn open_above(
        &self,
        conversation: &Conversation,
        given: Millis,
        asked: Instant,
    ) -> Result<(), StoreError> {
        if asked.elapsed() > HIGH_WATER_LIFETIME {
            let why = "which ids are given was asked too long ago to open a bucket above them";
            return Err(StoreError::Unavailable(why.to_owned()));
        }
        self.open(conversation, MessageId::at(given + LEAD)).await
    }
}

impl Buckets {
    /// Opens the bucket that begins with that id. Only where it lies above every id given, or
    /// where nobody else writes, is nothing lost out of sight by it.
    pub(super) async fn open(
        &self,
        conversation: &Conversation,
        first: MessageId,
    ) -> Result<(), StoreError> {
        let values = (conversation.key(), first.as_i64(), rand::random::<i64>());
        match self.link.compare(&self.open, values).await? {
            // Refused: another opened the same one.
            Compared::Applied | Compared::Refused => {
                tracing::info!(bucket.first_id = %first, "bucket opened");
            }
            Compared::Unknown(why) => return Err(StoreError::Unknown(why)),
        }
        self.plans.invalidate(conversation).await;
        Ok(())
    }
}

#[cfg(test)]
impl Plan {
    /// Of buckets besides the one that a conversation begins with; newest first.
    pub(super) fn of_buckets(opened: impl IntoIterator<Item = i64>) -> Self {
        Plan(opened.into_iter().chain([0]).collect())
    }
}

#[cfg(test)]
impl Buckets {
    /// Smaller ones, so that a test fills them.
    pub(super) fn of_rows(&self, rows: u64) {
        self.rows.store(rows, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_lies_in_the_bucket_that_begins_last_before_it() {
        let plan = Plan(vec![900, 500, 0]);
        let of = |id| plan.of(MessageId(id));
        assert_eq!(
            [0, 0, 500, 500, 900],
            [of(1), of(499), of(500), of(899), of(900)]
        );
        let between = |after: Option<u64>, before: Option<u64>| {
            let bound = |id: u64| MessageId(id);
            plan.between(after.map(bound), before.map(bound))
                .collect::<Vec<_>>()
        };
        assert_eq!(between(None, None), [900, 500, 0]);
        assert_eq!(between(None, Some(900)), [500, 0]);
        assert_eq!(between(Some(499), None), [900, 500]);
        assert_eq!(between(Some(498), Some(500)), [0]);
    }
}
