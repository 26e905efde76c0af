//! Idempotency keys: which id a user's key stands for, for a day.
//!
//! The row is bound before the message's row is written, so whoever comes second, on whatever
//! node, goes on with the id of the first.

use super::link::{Compared, Link, damaged};
use crate::{Conversation, KeyClaim, MessageId, Millis, StoreError, UserId};
use scylla::errors::PrepareError;
use scylla::statement::prepared::PreparedStatement;
use std::sync::Arc;

/// The database drops the row an hour after its lifetime: the row itself says when it ends.
const TTL_SECONDS: i32 = (KeyClaim::LIFETIME / 1_000) as i32 + 3_600;

/// Compare-and-set: of two who bind a key, both go on with one id.
const BIND: &str = "INSERT INTO keys (user, key, message_id, conversation, bound_at) \
     VALUES (?, ?, ?, ?, ?) IF NOT EXISTS USING TTL ?";
/// Compare-and-set: it still stands for what was seen.
const REBIND: &str = "UPDATE keys USING TTL ? SET message_id = ?, conversation = ?, bound_at = ? \
     WHERE user = ? AND key = ? IF message_id = ? AND bound_at = ?";
/// Serial: a key must not be taken for free while somebody binds it.
const READ: &str = "SELECT message_id, conversation, bound_at FROM keys WHERE user = ? AND key = ?";

#[derive(Debug)]
pub(super) struct Keys {
    link: Arc<Link>,
    bind: PreparedStatement,
    rebind: PreparedStatement,
    read: PreparedStatement,
}

/// What a row holds.
struct Bound {
    claim: KeyClaim,
    at: Millis,
}

impl Bound {
    fn holds(&self, now: Millis) -> bool {
        now - self.at < KeyClaim::LIFETIME
    }
}

impl Keys {
    pub(super) async fn prepare(link: &Arc<Link>) -> Result<Self, PrepareError> {
        Ok(Keys {
            bind: link.prepare_compare(BIND).await?,
            rebind: link.prepare_compare(REBIND).await?,
            read: link.prepare_serial_read(READ).await?,
            link: link.clone(),
        })
    }

    pub(super) async fn claim(
        &self,
        user: UserId,
        key: &str,
        claim: &KeyClaim,
        now: Millis,
    ) -> Result<KeyClaim, StoreError> {
        let bound = self.bind(user, key, claim, now).await?;
        if bound.holds(now) {
            return Ok(bound.claim);
        }
        // Its day is over, though the database has not dropped it yet.
        let bound = self.replace(user, key, &bound, claim, now).await?;
        Ok(bound.claim)
    }

    pub(super) async fn get(
        &self,
        user: UserId,
        key: &str,
        now: Millis,
    ) -> Result<Option<KeyClaim>, StoreError> {
        let bound = self.read(user, key).await?;
        Ok(bound.filter(|bound| bound.holds(now)).map(|b| b.claim))
    }

    pub(super) async fn rebind(
        &self,
        user: UserId,
        key: &str,
        old: MessageId,
        claim: &KeyClaim,
        now: Millis,
    ) -> Result<KeyClaim, StoreError> {
        let bound = match self.read(user, key).await? {
            Some(bound) if bound.holds(now) && bound.claim.id != old => return Ok(bound.claim),
            Some(bound) => self.replace(user, key, &bound, claim, now).await?,
            // Nothing stands for the key any more; the new binding is as good as a first one.
            None => self.bind(user, key, claim, now).await?,
        };
        Ok(bound.claim)
    }

    async fn bind(
        &self,
        user: UserId,
        key: &str,
        claim: &KeyClaim,
        now: Millis,
    ) -> Result<Bound, StoreError> {
        let values = (
            user.as_i64(),
            key,
            claim.id.as_i64(),
            claim.conversation.key(),
            now,
            TTL_SECONDS,
        );
        let compared = self.link.compare(&self.bind, values).await?;
        self.settled(user, key, claim, now, compared).await
    }

    async fn replace(
        &self,
        user: UserId,
        key: &str,
        old: &Bound,
        claim: &KeyClaim,
        now: Millis,
    ) -> Result<Bound, StoreError> {
        let values = (
            TTL_SECONDS,
            claim.id.as_i64(),
            claim.conversation.key(),
            now,
            user.as_i64(),
            key,
            old.claim.id.as_i64(),
            old.at,
        );
        let compared = self.link.compare(&self.rebind, values).await?;
        if let Compared::Unknown(why) = &compared {
            // The old binding, read once more, would not show whether the new one still comes.
            let unknown = || StoreError::Unknown(why.clone());
            let now_bound = self.read(user, key).await.map_err(|_| unknown())?;
            return now_bound
                .filter(|bound| bound.claim.id != old.claim.id || bound.at != old.at)
                .ok_or_else(unknown);
        }
        self.settled(user, key, claim, now, compared).await
    }

    /// What the key stands for after a compare-and-set.
    async fn settled(
        &self,
        user: UserId,
        key: &str,
        claim: &KeyClaim,
        now: Millis,
        compared: Compared,
    ) -> Result<Bound, StoreError> {
        if compared == Compared::Applied {
            let claim = claim.clone();
            return Ok(Bound { claim, at: now });
        }
        let bound = self.read(user, key).await;
        match bound.map_err(|error| compared.clone().unread(error))? {
            Some(bound) => Ok(bound),
            None => {
                compared.or_unknown()?;
                // Refused by a row that ended since.
                Err(StoreError::Unavailable("the key ended just now".to_owned()))
            }
        }
    }

    async fn read(&self, user: UserId, key: &str) -> Result<Option<Bound>, StoreError> {
        let row: Option<(i64, String, Millis)> =
            self.link.row(&self.read, (user.as_i64(), key)).await?;
        row.map(|(id, conversation, at)| {
            let conversation = Conversation::from_key(&conversation)
                .ok_or_else(|| damaged("a key's conversation"))?;
            let id = MessageId::from_i64(id);
            let claim = KeyClaim { id, conversation };
            Ok(Bound { claim, at })
        })
        .transpose()
    }
}
