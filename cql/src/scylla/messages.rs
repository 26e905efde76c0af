//! Messages: one row each, in the bucket of its conversation, behind one row in the index.
//!
//! The index row is durable before the message, and it is what every write of that id reads
//! first and writes again, with its own timestamp. So the index knows the highest timestamp with
//! which the message may have been written, by an attempt whose end nobody saw too, and
//!
//! - a send that follows another of the same id covers it, whenever that one arrives;
//! - an end covers them all: it also goes above the high water of every slot, which no member's
//!   clock passes, so not even an owner that is still under way with a fast clock brings back
//!   what the next one has ended.
//!
//! A send takes its timestamp before it waits for anything: an owner that is paused anywhere on
//! its way, and wakes when another has the conversation, covers nothing that was done meanwhile.
//! An end, which covers all, is given up if it was paused between what it read and its writes.

use super::buckets::Buckets;
use super::inbox::Inboxes;
use super::link::{Link, damaged};
use super::slots::Slots;
use crate::{
    Append, Conversation, Ended, Message, MessageId, MessageText, Millis, Page, Placed, Range,
    StoreError, UserId, Username,
};
use scylla::errors::PrepareError;
use scylla::statement::prepared::PreparedStatement;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long an end is remembered: an hour. Nobody writes an id that is older than 15 minutes.
const ENDED_SECONDS: i32 = 3_600;

/// How old that may be by which an id is ended: longer than the statements take, shorter than it
/// takes until another owner may have sent it.
const STANDING_LIFETIME: Duration = Duration::from_secs(2);

/// LOCAL_QUORUM: sees every attempt that may have gone on to the message.
const INDEX: &str = "SELECT conversation, ended, WRITETIME(conversation) \
     FROM message_index WHERE message_id = ?";
/// LOCAL_QUORUM, before the message.
const INDEX_WRITE: &str = "INSERT INTO message_index (message_id, conversation) VALUES (?, ?) \
     USING TTL ? AND TIMESTAMP ?";
/// LOCAL_QUORUM, before the message's row is deleted. The hour is that of the whole row, so
/// nothing is left of it afterwards.
const INDEX_END: &str = "INSERT INTO message_index (message_id, conversation, ended) \
     VALUES (?, ?, true) USING TTL ? AND TIMESTAMP ?";

/// LOCAL_QUORUM: what was answered is at a quorum.
const READ: &str = "SELECT author, username, text, datetime_start, datetime_sent, WRITETIME(text) \
     FROM messages WHERE conversation = ? AND bucket = ? AND message_id = ?";
/// LOCAL_QUORUM, before the answer.
const WRITE: &str = "INSERT INTO messages (conversation, bucket, message_id, author, username, \
     text, datetime_start, datetime_sent) VALUES (?, ?, ?, ?, ?, ?, ?, ?) \
     USING TTL ? AND TIMESTAMP ?";
/// LOCAL_QUORUM, before the answer.
const DELETE: &str = "DELETE FROM messages USING TIMESTAMP ? \
     WHERE conversation = ? AND bucket = ? AND message_id = ?";
/// LOCAL_QUORUM: an acknowledged message is seen by every read that begins later.
const HISTORY: &str = "SELECT message_id, author, username, text, datetime_start, datetime_sent \
     FROM messages WHERE conversation = ? AND bucket = ? AND message_id > ? AND message_id < ? \
     LIMIT ?";
/// LOCAL_QUORUM; without the texts, which nobody looks at.
const SENT: &str = "SELECT author, datetime_sent \
     FROM messages WHERE conversation = ? AND bucket = ? AND message_id > ? LIMIT ?";

#[derive(Debug)]
pub(super) struct Messages {
    link: Arc<Link>,
    slots: Arc<Slots>,
    buckets: Arc<Buckets>,
    index: PreparedStatement,
    index_write: PreparedStatement,
    index_end: PreparedStatement,
    read: PreparedStatement,
    write: PreparedStatement,
    delete: PreparedStatement,
    history: PreparedStatement,
    sent: PreparedStatement,
    retention: Option<Duration>,
    ttl_seconds: i32,
}

/// What the index holds of an id.
struct Indexed {
    conversation: Conversation,
    ended: bool,
    written: i64,
}

/// A message's row and when it was written.
struct Stored {
    message: Message,
    written: i64,
}

/// What stands at an id that is to be ended.
pub(super) struct Standing {
    pub(super) asked: Instant,
    bucket: i64,
    indexed: Option<Indexed>,
    stored: Option<Stored>,
    high_water: Millis,
}

type Columns = (Option<i64>, String, String, Millis, Millis);

impl Messages {
    pub(super) async fn prepare(
        link: &Arc<Link>,
        slots: &Arc<Slots>,
        retention: Option<Duration>,
    ) -> Result<Self, PrepareError> {
        Ok(Messages {
            index: link.prepare_read(INDEX).await?,
            index_write: link.prepare_write(INDEX_WRITE).await?,
            index_end: link.prepare_write(INDEX_END).await?,
            read: link.prepare_read(READ).await?,
            write: link.prepare_write(WRITE).await?,
            delete: link.prepare_write(DELETE).await?,
            history: link.prepare_read(HISTORY).await?,
            sent: link.prepare_read(SENT).await?,
            retention,
            ttl_seconds: ttl_seconds(retention),
            buckets: Arc::new(Buckets::prepare(link, slots).await?),
            slots: slots.clone(),
            link: link.clone(),
        })
    }

    pub(super) async fn append(
        &self,
        message: &Message,
        recipient: Option<&Username>,
        inboxes: &Inboxes,
    ) -> Result<Append, StoreError> {
        let begun = self.link.clock.above(0);
        let (id, conversation) = (message.id, &message.conversation);
        let _alone = self.link.alone(&id).await;
        let plan = self.buckets.plan(conversation).await?;
        let bucket = plan.of(id);
        let mut timestamp = begun;
        // Without an index row there is no message, so a first send reads no more than this.
        if let Some(indexed) = self.indexed(id).await? {
            if indexed.ended {
                return Ok(Append::Ended);
            }
            if let Some(stored) = self.stored(&indexed.conversation, id).await? {
                if stored.message.text != message.text || indexed.conversation != *conversation {
                    return Ok(Append::Taken(Box::new(stored.message)));
                }
                // Whoever wrote it may not have come as far as the inboxes. It is there, whatever
                // becomes of them.
                let noted = inboxes.note(&stored.message, recipient).await;
                noted.map_err(|error| StoreError::Unknown(error.to_string()))?;
                return Ok(Append::Kept);
            }
            timestamp = begun.max(indexed.written.saturating_add(1));
        }
        let values = (id.as_i64(), conversation.key(), self.ttl_seconds, timestamp);
        self.link.write(&self.index_write, values).await?;
        self.write_row(message, bucket, self.ttl_seconds, timestamp)
            .await?;
        self.buckets.added(conversation, bucket).await;
        // The message is there: whatever fails now leaves it so.
        let noted = inboxes.note(message, recipient).await;
        noted.map_err(|error| StoreError::Unknown(error.to_string()))?;
        Ok(Append::Kept)
    }

    /// Writes a message as it stands elsewhere.
    pub(super) async fn put(
        &self,
        message: &Message,
        bucket: i64,
        ttl: i32,
        timestamp: i64,
    ) -> Result<(), StoreError> {
        let key = message.conversation.key();
        let values = (message.id.as_i64(), key, ttl, timestamp);
        self.link.write(&self.index_write, values).await?;
        self.write_row(message, bucket, ttl, timestamp).await
    }

    /// Writes a mark as it stands elsewhere.
    pub(super) async fn put_mark(
        &self,
        id: MessageId,
        conversation: &Conversation,
        ttl: i32,
        timestamp: i64,
    ) -> Result<(), StoreError> {
        let values = (id.as_i64(), conversation.key(), ttl, timestamp);
        self.link.write(&self.index_end, values).await
    }

    /// How long messages are kept.
    pub(super) fn retention(&self) -> Option<Duration> {
        self.retention
    }

    pub(super) async fn placed(&self, id: MessageId) -> Result<Placed, StoreError> {
        let Some(indexed) = self.indexed(id).await? else {
            return Ok(Placed::Nothing);
        };
        let conversation = indexed.conversation;
        if indexed.ended {
            return Ok(Placed::Ended(Ended { conversation }));
        }
        // As in the history: what was written with a longer time to live is not shown either.
        if self.below_kept(None).is_some_and(|ended| id <= ended) {
            return Ok(Placed::Nothing);
        }
        let stored = self.stored(&conversation, id).await?;
        Ok(stored.map_or(Placed::Nothing, |stored| {
            Placed::Message(Box::new(stored.message))
        }))
    }

    /// Ends an id, to the end: whoever asked may stop waiting between the mark and the row, and
    /// then nobody would delete the row. To ask again deletes what an end that failed has left.
    pub(super) async fn end(
        self: &Arc<Self>,
        conversation: &Conversation,
        id: MessageId,
    ) -> Result<bool, StoreError> {
        let (messages, conversation) = (Arc::clone(self), conversation.clone());
        let ended = tokio::spawn(async move {
            let _alone = messages.link.alone(&id).await;
            let standing = messages.standing(&conversation, id).await?;
            messages.carry_out_end(&conversation, id, standing).await
        });
        ended
            .await
            .unwrap_or_else(|error| Err(StoreError::Unknown(error.to_string())))
    }

    pub(super) async fn standing(
        &self,
        conversation: &Conversation,
        id: MessageId,
    ) -> Result<Standing, StoreError> {
        let asked = Instant::now();
        let bucket = self.buckets.plan(conversation).await?.of(id);
        let (indexed, stored, high_water) = tokio::try_join!(
            self.indexed(id),
            self.stored(conversation, id),
            self.slots.high_water(),
        )?;
        Ok(Standing {
            asked,
            bucket,
            indexed,
            stored,
            high_water,
        })
    }

    /// Ends it by what was read; not if this process was paused since. What a later owner has
    /// sent meanwhile under that id would be deleted, as an end goes above every id given.
    pub(super) async fn carry_out_end(
        &self,
        conversation: &Conversation,
        id: MessageId,
        standing: Standing,
    ) -> Result<bool, StoreError> {
        if standing.asked.elapsed() > STANDING_LIFETIME {
            let why = "what stands there was asked too long ago to end it";
            return Err(StoreError::Unavailable(why.to_owned()));
        }
        let elsewhere = |indexed: &Indexed| indexed.conversation != *conversation;
        if standing.stored.is_none() && standing.indexed.as_ref().is_some_and(elsewhere) {
            // Nothing of this conversation's stands there, and the other's stays.
            return Ok(false);
        }
        let is_marked = standing
            .indexed
            .as_ref()
            .is_some_and(|indexed| indexed.ended);
        let written = standing
            .indexed
            .map_or(0, |indexed| indexed.written)
            .max(standing.stored.as_ref().map_or(0, |stored| stored.written))
            .max(standing.high_water.saturating_mul(1_000));
        let timestamp = self.link.clock.above(written);
        if !is_marked {
            let values = (id.as_i64(), conversation.key(), ENDED_SECONDS, timestamp);
            self.link.write(&self.index_end, values).await?;
        }
        // Though none was read: a send whose outcome nobody knows may have left one on a replica
        // that was not asked.
        let values = (timestamp, conversation.key(), standing.bucket, id.as_i64());
        let deleted = self.link.write(&self.delete, values).await;
        // The mark is there already, so nobody can say that nothing was changed.
        deleted.map_err(|error| StoreError::Unknown(error.to_string()))?;
        Ok(standing.stored.is_some())
    }

    pub(super) async fn history(
        &self,
        conversation: &Conversation,
        range: Range,
    ) -> Result<Page, StoreError> {
        let lowest = self.below_kept(range.after);
        let after = lowest.map_or(-1, MessageId::as_i64);
        let before = range.before.map_or(i64::MAX, MessageId::as_i64);
        // One more than wanted tells whether there are more.
        let wanted = range.limit.saturating_add(1);
        let plan = self.buckets.plan(conversation).await?;
        let mut messages = Vec::new();
        for bucket in plan.between(lowest, range.before) {
            let missing = i32::try_from(wanted - messages.len()).unwrap_or(i32::MAX);
            let values = (conversation.key(), bucket, after, before, missing);
            let rows: Vec<(i64, Option<i64>, String, String, Millis, Millis)> =
                self.link.rows(&self.history, values).await?;
            for (id, author, username, text, start, sent) in rows {
                let columns = (author, username, text, start, sent);
                messages.push(parse(conversation, MessageId::from_i64(id), columns)?);
            }
            if messages.len() == wanted {
                break;
            }
        }
        let more = messages.len() > range.limit;
        messages.truncate(range.limit);
        Ok(Page { messages, more })
    }

    /// How many of `author`'s messages were sent after `since`, counted to `limit`.
    ///
    /// A message is typed for 15 minutes at most, so none that was sent later lies lower than
    /// that: the newest rows are looked at, and not the whole history.
    pub(super) async fn sent_since(
        &self,
        conversation: &Conversation,
        author: UserId,
        since: Millis,
        limit: usize,
    ) -> Result<usize, StoreError> {
        /// Rows looked at in one bucket; more of one's own between the other's are not counted.
        const ROWS_MAX: i32 = 2_000;
        const TYPED_MAX: Millis = 16 * 60_000;
        let low = MessageId::at(since.saturating_sub(TYPED_MAX));
        let low = self.below_kept(Some(low)).unwrap_or(low);
        let plan = self.buckets.plan(conversation).await?;
        let mut count = 0;
        for bucket in plan.between(Some(low), None) {
            let values = (conversation.key(), bucket, low.as_i64(), ROWS_MAX);
            let rows: Vec<(Option<i64>, Millis)> = self.link.rows(&self.sent, values).await?;
            let theirs = |row: &&(Option<i64>, Millis)| row.0 == Some(author.as_i64());
            let unread = rows.iter().filter(theirs).filter(|row| row.1 > since);
            count += unread.count();
            if count >= limit {
                return Ok(limit);
            }
        }
        Ok(count)
    }

    /// The higher of a bound and the highest id that the retention has ended: nothing above the
    /// latter is missed, and what lies below are buckets full of what was dropped.
    fn below_kept(&self, after: Option<MessageId>) -> Option<MessageId> {
        let Some(retention) = self.retention else {
            return after;
        };
        let now = self.link.clock.above(0) / 1_000;
        after.max(Some(highest_ended(now, retention)))
    }

    async fn write_row(
        &self,
        message: &Message,
        bucket: i64,
        ttl: i32,
        timestamp: i64,
    ) -> Result<(), StoreError> {
        let values = (
            message.conversation.key(),
            bucket,
            message.id.as_i64(),
            message.author.map(UserId::as_i64),
            message.username.as_str(),
            message.text.as_str(),
            message.datetime_start,
            message.datetime_sent,
            ttl,
            timestamp,
        );
        self.link.write(&self.write, values).await
    }

    async fn indexed(&self, id: MessageId) -> Result<Option<Indexed>, StoreError> {
        let row: Option<(String, Option<bool>, i64)> =
            self.link.row(&self.index, (id.as_i64(),)).await?;
        row.map(|(conversation, ended, written)| {
            Ok(Indexed {
                conversation: Conversation::from_key(&conversation)
                    .ok_or_else(|| damaged(format!("message {id}: conversation")))?,
                ended: ended.unwrap_or(false),
                written,
            })
        })
        .transpose()
    }

    async fn stored(
        &self,
        conversation: &Conversation,
        id: MessageId,
    ) -> Result<Option<Stored>, StoreError> {
        let bucket = self.buckets.plan(conversation).await?.of(id);
        let values = (conversation.key(), bucket, id.as_i64());
        let row: Option<(Option<i64>, String, String, Millis, Millis, i64)> =
            self.link.row(&self.read, values).await?;
        row.map(|(author, username, text, start, sent, written)| {
            let columns = (author, username, text, start, sent);
            let message = parse(conversation, id, columns)?;
            Ok(Stored { message, written })
        })
        .transpose()
    }
}

#[cfg(test)]
impl Messages {
    pub(super) fn buckets(&self) -> &Arc<Buckets> {
        &self.buckets
    }
}

#[cfg(test)]
impl Messages {
    /// The first half of an append, with a timestamp taken earlier.
    pub(super) async fn index_for_test(&self, message: &Message, timestamp: i64) {
        let key = message.conversation.key();
        let values = (message.id.as_i64(), key, self.ttl_seconds, timestamp);
        self.link.write(&self.index_write, values).await.unwrap();
    }

    /// An append whose decision is long made and whose writes arrive only now.
    pub(super) async fn arrive_late(&self, message: &Message, timestamp: i64) {
        self.index_for_test(message, timestamp).await;
        let plan = self.buckets.plan(&message.conversation).await.unwrap();
        self.write_row(message, plan.of(message.id), self.ttl_seconds, timestamp)
            .await
            .unwrap();
    }
}

/// The time to live of what is kept as long as messages are.
pub(super) fn ttl_seconds(retention: Option<Duration>) -> i32 {
    // The database takes at most 20 years, and 0 for ever.
    let years_20 = 20 * 365 * 24 * 3_600;
    let seconds = retention.map_or(0, |retention| retention.as_secs().clamp(1, years_20));
    // Below 2^31, see above.
    i32::try_from(seconds).unwrap_or(i32::MAX)
}

/// The highest id that is kept no longer: as in [`Lifetimes`](crate::copy::Lifetimes), a message
/// lasts from when its place was taken.
fn highest_ended(now: Millis, retention: Duration) -> MessageId {
    let retention = Millis::try_from(retention.as_millis()).unwrap_or(Millis::MAX);
    let lowest_kept = MessageId::at(now.saturating_sub(retention));
    MessageId(lowest_kept.0.saturating_sub(1))
}

fn parse(
    conversation: &Conversation,
    id: MessageId,
    (author, username, text, datetime_start, datetime_sent): Columns,
) -> Result<Message, StoreError> {
    let wrong = |what: &str| damaged(format!("message {id}: {what}"));
    Ok(Message {
        id,
        conversation: conversation.clone(),
        author: author.map(UserId::from_i64),
        username: Username::parse(&username).map_err(|_| wrong("username"))?,
        text: MessageText::parse(text).map_err(|_| wrong("text"))?,
        datetime_start,
        datetime_sent,
    })
}

#[cfg(test)]
mod tests {
    use super::super::buckets::Plan;
    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);
    const MILLIS: Millis = 3_600_000;

    #[test]
    fn buckets_whose_messages_have_all_ended_are_not_walked() {
        let now = crate::EPOCH + 10 * MILLIS;
        let at = |hours: Millis| MessageId::at(crate::EPOCH + hours * MILLIS);
        let plan = Plan::of_buckets([at(9), at(8), at(5), at(2)].map(MessageId::as_i64));
        let walked = |hours| {
            let ended = highest_ended(now, HOUR * hours);
            plan.between(Some(ended), None).collect::<Vec<_>>()
        };
        let from = |hours: &[Millis]| {
            let ids = hours.iter().map(|hours| at(*hours).as_i64());
            ids.collect::<Vec<_>>()
        };
        assert_eq!(walked(1), from(&[9]));
        assert_eq!(walked(2), from(&[9, 8]));
        // Begun at hour 5, it holds what was said at hour 7.
        assert_eq!(walked(3), from(&[9, 8, 5]));
        assert_eq!(walked(100).len(), 5);
    }

    #[test]
    fn what_is_kept_to_the_millisecond_is_shown() {
        let now = crate::EPOCH + 10 * MILLIS;
        let ended = highest_ended(now, HOUR);
        assert!(MessageId::at(now - MILLIS) > ended);
        assert!(MessageId::at(now - MILLIS - 1) <= ended);
        // Nothing has ended before time began.
        assert_eq!(highest_ended(now, HOUR * 1_000_000), MessageId(0));
    }
}
