//! How a row of another store is written.
//!
//! Each bears a timestamp that is its own and lies in the past: to write it again changes
//! nothing, and whatever Ting changes there later stands above it. So tables that otherwise
//! change by compare-and-set alone are filled by plain writes, before the first of those.

use super::super::link::Link;
use super::super::{CqlStore, buckets};
use super::CopyError;
use crate::copy::{Lifetimes, Row};
use crate::embedded::Source;
use crate::{Conversation, Gender, Message, MessageId, Millis, SignIn, StoreError, User};
use scylla::statement::prepared::PreparedStatement;
use std::collections::HashMap;
use std::sync::Arc;

/// How much longer than its row means to last a row is kept, in seconds: clocks differ.
const SLACK_SECONDS: i64 = 60;
/// The timestamp of rows that tell no time of their own: before any that Ting binds.
const FIRST: i64 = 1;

/// LOCAL_QUORUM, all of these: idempotent, for the values and the timestamps are always the same.
const SLOT: &str = "INSERT INTO slots (part, number, high_water, holder) VALUES (0, ?, ?, 0) \
     USING TIMESTAMP ?";
const CLUSTER_KEY: &str = "INSERT INTO cluster_keys (name, value) VALUES (?, ?) USING TIMESTAMP ?";
const NAME: &str = "INSERT INTO names (skeleton, user) VALUES (?, ?) USING TIMESTAMP ?";
const USER: &str = "INSERT INTO users (id, username, password_hash, email, birthday, gender, \
     last_seen) VALUES (?, ?, ?, ?, ?, ?, ?) USING TIMESTAMP ?";
const SIGN_IN: &str = "INSERT INTO sign_ins (hash, user, username, used_at) VALUES (?, ?, ?, ?) \
     USING TTL ? AND TIMESTAMP ?";
const SIGN_IN_OF: &str =
    "INSERT INTO sign_ins_by_user (user, hash) VALUES (?, ?) USING TTL ? AND TIMESTAMP ?";
const CHANNEL: &str =
    "INSERT INTO channels (name, created_at, created_by) VALUES (?, ?, 0) USING TIMESTAMP ?";
const BUCKET: &str =
    "INSERT INTO buckets (conversation, first_id, opened_by) VALUES (?, ?, 0) USING TIMESTAMP ?";
const KEY: &str = "INSERT INTO keys (user, key, message_id, conversation, bound_at) \
     VALUES (?, ?, ?, ?, ?) USING TTL ? AND TIMESTAMP ?";

/// Writes rows of any table.
pub(super) struct Writer<'a> {
    link: Arc<Link>,
    store: &'a CqlStore,
    life: Lifetimes,
    /// At which ids each conversation's buckets begin.
    parts: HashMap<Conversation, Vec<MessageId>>,
    slot: PreparedStatement,
    cluster_key: PreparedStatement,
    name: PreparedStatement,
    user: PreparedStatement,
    sign_in: PreparedStatement,
    sign_in_of: PreparedStatement,
    channel: PreparedStatement,
    bucket: PreparedStatement,
    key: PreparedStatement,
}

impl<'a> Writer<'a> {
    pub(super) async fn prepare(
        store: &'a CqlStore,
        source: &Source,
        life: Lifetimes,
    ) -> Result<Self, CopyError> {
        let link = &store.link;
        Ok(Writer {
            parts: source.parts(buckets::ROWS)?,
            slot: link.prepare_write(SLOT).await?,
            cluster_key: link.prepare_write(CLUSTER_KEY).await?,
            name: link.prepare_write(NAME).await?,
            user: link.prepare_write(USER).await?,
            sign_in: link.prepare_write(SIGN_IN).await?,
            sign_in_of: link.prepare_write(SIGN_IN_OF).await?,
            channel: link.prepare_write(CHANNEL).await?,
            bucket: link.prepare_write(BUCKET).await?,
            key: link.prepare_write(KEY).await?,
            link: Arc::clone(link),
            store,
            life,
        })
    }

    /// Parts the conversations as the source's lengths ask for. Done before the first message.
    pub(super) async fn open_buckets(&self) -> Result<(), StoreError> {
        for (conversation, parts) in &self.parts {
            for first in parts {
                let values = (conversation.key(), first.as_i64(), FIRST);
                self.link.write(&self.bucket, values).await?;
            }
        }
        Ok(())
    }

    /// Writes a row, unless it has outlived its time.
    pub(super) async fn write(&self, row: &Row) -> Result<(), StoreError> {
        let ttl = match self.life.left(row) {
            None => 0,
            Some(left) if left <= 0 => return Ok(()),
            Some(left) => ttl_seconds(left),
        };
        let link = &self.link;
        match row {
            Row::Slot(slot) => {
                let values = (i32::from(slot.number), slot.high_water, FIRST);
                link.write(&self.slot, values).await
            }
            Row::ClusterKey(name, key) => link.write(&self.cluster_key, (name, key, FIRST)).await,
            Row::User(user) => self.write_user(user).await,
            Row::SignIn(sign_in) => self.write_sign_in(sign_in, ttl).await,
            Row::Channel(name, made) => {
                link.write(&self.channel, (name.as_str(), made, FIRST))
                    .await
            }
            Row::Message(message) => self.write_message(message, ttl).await,
            Row::Mark {
                id,
                conversation,
                ended_at,
            } => {
                let messages = &self.store.messages;
                let at = micros(*ended_at);
                messages.put_mark(*id, conversation, ttl, at).await
            }
            Row::Inbox(inbox) => self.store.inboxes.put(inbox, ttl).await,
            Row::Key {
                user,
                key,
                claim,
                bound_at,
            } => {
                let id = claim.id.as_i64();
                let place = claim.conversation.key();
                let values = (user.as_i64(), key, id, place, bound_at, ttl, FIRST);
                link.write(&self.key, values).await
            }
        }
    }

    /// The names first: they count for nothing without the person.
    async fn write_user(&self, user: &User) -> Result<(), StoreError> {
        for skeleton in user.username.skeletons() {
            let values = (skeleton, user.id.as_i64(), FIRST);
            self.link.write(&self.name, values).await?;
        }
        let profile = &user.profile;
        let values = (
            user.id.as_i64(),
            user.username.as_str(),
            user.password_hash.as_deref(),
            profile.email.as_ref().map(crate::Email::as_str),
            profile.birthday.map(|day| day.to_string()),
            Gender::as_str(profile.gender),
            user.last_seen,
            FIRST,
        );
        self.link.write(&self.user, values).await
    }

    async fn write_sign_in(&self, sign_in: &SignIn, ttl: i32) -> Result<(), StoreError> {
        let (user, hash) = (sign_in.user.as_i64(), sign_in.hash.0.as_slice());
        let values = (user, hash, ttl, micros(sign_in.used_at));
        self.link.write(&self.sign_in_of, values).await?;
        let name = sign_in.username.as_str();
        let values = (hash, user, name, sign_in.used_at, ttl, FIRST);
        self.link.write(&self.sign_in, values).await
    }

    async fn write_message(&self, message: &Message, ttl: i32) -> Result<(), StoreError> {
        let parts = self.parts.get(&message.conversation);
        let parts = parts.map_or(&[][..], Vec::as_slice);
        let before = parts.partition_point(|first| *first <= message.id);
        let bucket = before.checked_sub(1).map_or(0, |last| parts[last].as_i64());
        let at = micros(message.id.time());
        let messages = &self.store.messages;
        messages.put(message, bucket, ttl, at).await
    }
}

fn ttl_seconds(left: Millis) -> i32 {
    // The database takes at most 20 years.
    let seconds = (left / 1_000 + SLACK_SECONDS).min(20 * 365 * 24 * 3_600);
    i32::try_from(seconds).unwrap_or(i32::MAX)
}

fn micros(time: Millis) -> i64 {
    time.saturating_mul(1_000).max(FIRST)
}
