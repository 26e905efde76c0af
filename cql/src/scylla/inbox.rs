//! The list of a person's privates: last send, last read.
//!
//! No row is read before it is written: each cell's timestamp is the very time that the cell
//! tells, so of two sends, or two reads, the later one stays, in whatever order they arrive and
//! however often. With a retention each cell lives as long as the messages that it tells of.

use super::link::{Link, damaged};
use super::messages::{self, Messages};
use crate::copy::InboxRow;
use crate::{Conversation, Inbox, Message, MessageId, Millis, StoreError, UserId, Username};
use futures::{StreamExt, TryStreamExt, stream};
use scylla::errors::PrepareError;
use scylla::statement::prepared::PreparedStatement;
use std::cmp::Reverse;
use std::sync::Arc;
use std::time::Duration;

/// Unread messages are counted so far.
const UNREAD_MAX: usize = 99;
/// Privates whose unread messages are counted at once.
const AT_ONCE: usize = 8;

/// LOCAL_QUORUM, after the message and before the answer.
const SENT: &str = "UPDATE inbox USING TTL ? AND TIMESTAMP ? \
     SET username = ?, last_sent = ?, last_id = ? WHERE user = ? AND other = ?";
const RECEIVED: &str = "UPDATE inbox USING TTL ? AND TIMESTAMP ? \
     SET username = ?, last_sent = ?, last_id = ?, received = ? WHERE user = ? AND other = ?";
/// LOCAL_QUORUM, before the answer.
const READ_UP_TO: &str =
    "UPDATE inbox USING TTL ? AND TIMESTAMP ? SET read_up_to = ? WHERE user = ? AND other = ?";
/// LOCAL_QUORUM: what was answered is at a quorum. A person's privates are some hundred at most,
/// so they are sorted here.
const LIST: &str =
    "SELECT other, username, last_sent, last_id, received, read_up_to FROM inbox WHERE user = ?";
/// LOCAL_QUORUM, for a list that comes from elsewhere.
const RECEIVED_ONLY: &str =
    "UPDATE inbox USING TTL ? AND TIMESTAMP ? SET received = ? WHERE user = ? AND other = ?";
/// LOCAL_QUORUM: what was answered is covered. Every cell of a row was written at one of the two,
/// or before.
const WRITTEN: &str =
    "SELECT WRITETIME(last_sent), WRITETIME(read_up_to) FROM inbox WHERE user = ?";
/// LOCAL_QUORUM, after the person is gone.
const FORGET: &str = "DELETE FROM inbox USING TIMESTAMP ? WHERE user = ?";
const ONE: &str = "SELECT last_sent FROM inbox WHERE user = ? AND other = ?";

#[derive(Debug)]
pub(super) struct Inboxes {
    link: Arc<Link>,
    sent: PreparedStatement,
    received: PreparedStatement,
    received_only: PreparedStatement,
    read_up_to: PreparedStatement,
    list: PreparedStatement,
    one: PreparedStatement,
    written: PreparedStatement,
    forget: PreparedStatement,
    ttl_seconds: i32,
}

type Columns = (
    i64,
    Option<String>,
    Option<Millis>,
    Option<i64>,
    Option<Millis>,
    Option<Millis>,
);

impl Inboxes {
    pub(super) async fn prepare(
        link: &Arc<Link>,
        retention: Option<Duration>,
    ) -> Result<Self, PrepareError> {
        Ok(Inboxes {
            ttl_seconds: messages::ttl_seconds(retention),
            sent: link.prepare_write(SENT).await?,
            received: link.prepare_write(RECEIVED).await?,
            received_only: link.prepare_write(RECEIVED_ONLY).await?,
            read_up_to: link.prepare_write(READ_UP_TO).await?,
            list: link.prepare_read(LIST).await?,
            one: link.prepare_read(ONE).await?,
            written: link.prepare_read(WRITTEN).await?,
            forget: link.prepare_write(FORGET).await?,
            link: link.clone(),
        })
    }

    /// Notes a message in the lists of a private's two people; in a channel there are none.
    pub(super) async fn note(
        &self,
        message: &Message,
        recipient: Option<&Username>,
    ) -> Result<(), StoreError> {
        let Some(author) = message.author else {
            return Ok(());
        };
        let Some(other) = message.conversation.other(author) else {
            return Ok(());
        };
        let (sent, id) = (message.datetime_sent, message.id.as_i64());
        let (ttl, timestamp) = (self.ttl_seconds, timestamp(sent, message.id));
        let mine = async {
            let Some(name) = recipient else { return Ok(()) };
            let key = (author.as_i64(), other.as_i64());
            let values = (ttl, timestamp, name.as_str(), sent, id, key.0, key.1);
            self.link.write(&self.sent, values).await
        };
        let theirs = async {
            // Who writes to oneself has read it.
            if author == other {
                return Ok(());
            }
            let key = (other.as_i64(), author.as_i64());
            let name = message.username.as_str();
            let values = (ttl, timestamp, name, sent, id, sent, key.0, key.1);
            self.link.write(&self.received, values).await
        };
        tokio::try_join!(mine, theirs).map(|_| ())
    }

    /// Writes an entry as it stands elsewhere.
    pub(super) async fn put(&self, inbox: &InboxRow, ttl: i32) -> Result<(), StoreError> {
        let (user, other) = (inbox.user.as_i64(), inbox.other.as_i64());
        let (sent, id) = inbox.last;
        let name = inbox.username.as_str();
        let at = timestamp(sent, id);
        let values = (ttl, at, name, sent, id.as_i64(), user, other);
        self.link.write(&self.sent, values).await?;
        if let Some((sent, id)) = inbox.received {
            let values = (ttl, timestamp(sent, id), sent, user, other);
            self.link.write(&self.received_only, values).await?;
        }
        if inbox.read_up_to > 0 {
            let up_to = inbox.read_up_to;
            let values = (ttl, up_to.saturating_mul(1_000), up_to, user, other);
            self.link.write(&self.read_up_to, values).await?;
        }
        Ok(())
    }

    pub(super) async fn list(
        &self,
        messages: &Messages,
        user: UserId,
        limit: usize,
    ) -> Result<Vec<Inbox>, StoreError> {
        let mut rows: Vec<Columns> = self.link.rows(&self.list, (user.as_i64(),)).await?;
        rows.sort_by_key(|(other, _, sent, id, ..)| (Reverse((*sent, *id)), *other));
        rows.truncate(limit);
        stream::iter(rows)
            .map(|row| self.with_unread(messages, user, row))
            .buffered(AT_ONCE)
            .try_filter_map(|entry| async move { Ok(entry) })
            .try_collect()
            .await
    }

    async fn with_unread(
        &self,
        messages: &Messages,
        user: UserId,
        (other, username, sent, _, received, read): Columns,
    ) -> Result<Option<Inbox>, StoreError> {
        let (Some(username), Some(datetime_sent)) = (username, sent) else {
            return Ok(None);
        };
        let other = UserId::from_i64(other);
        let read = read.unwrap_or(0);
        let unread = match received {
            Some(received) if received > read => {
                let private = Conversation::private(user, other);
                messages
                    .sent_since(&private, other, read, UNREAD_MAX)
                    .await?
            }
            _ => 0,
        };
        Ok(Some(Inbox {
            other,
            username: Username::parse(&username).map_err(|_| damaged("a private's name"))?,
            datetime_sent,
            // At most UNREAD_MAX.
            unread: u32::try_from(unread).unwrap_or(u32::MAX),
        }))
    }

    pub(super) async fn mark_read(
        &self,
        user: UserId,
        other: UserId,
        up_to: Millis,
    ) -> Result<(), StoreError> {
        let key = (user.as_i64(), other.as_i64());
        let row: Option<(Option<Millis>,)> = self.link.row(&self.one, key).await?;
        if row.is_none() {
            return Ok(());
        }
        let at = up_to.saturating_mul(1_000);
        let values = (self.ttl_seconds, at, up_to, key.0, key.1);
        self.link.write(&self.read_up_to, values).await
    }

    /// Deletes the list of somebody who is gone. What others write to that person later stands in
    /// it again, and nobody reads it.
    pub(super) async fn forget(&self, user: UserId) -> Result<(), StoreError> {
        let user = (user.as_i64(),);
        let rows: Vec<(Option<i64>, Option<i64>)> = self.link.rows(&self.written, user).await?;
        let written = rows.into_iter().flat_map(|(sent, read)| [sent, read]);
        let Some(written) = written.flatten().max() else {
            return Ok(());
        };
        let values = (self.link.clock.above(written), user.0);
        self.link.write(&self.forget, values).await
    }
}

/// The timestamp of what a message says. Of two in one millisecond, the microseconds make one
/// the later.
fn timestamp(sent: Millis, id: MessageId) -> i64 {
    let part = i64::try_from(id.0 % 1_000).unwrap_or(0);
    sent.saturating_mul(1_000).saturating_add(part)
}
