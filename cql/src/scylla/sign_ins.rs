//! Sign-ins: a row each under the hash of its token, and a list by person to find them.
//!
//! The row is the sign-in; it is changed by compare-and-set alone, so a use noted late can't
//! bring back one that was ended. The list is written before the row and cleared after it: an
//! entry may lead nowhere, but no sign-in is missing from it. And a sign-in counts only while
//! its person exists, so deleting somebody ends them all at once.

use super::link::{Compared, Link, damaged};
use super::users::Users;
use crate::{Millis, SignIn, SignInHash, StoreError, UserId, Username};
use futures::{StreamExt, TryStreamExt, stream};
use scylla::errors::PrepareError;
use scylla::statement::prepared::PreparedStatement;
use std::sync::Arc;

/// The database drops a row a day after its lifetime: the row itself says when it ends.
const TTL_SECONDS: i32 = (SignIn::LIFETIME / 1_000) as i32 + 24 * 3_600;
/// How many of one person's are looked at or ended at once.
const AT_ONCE: usize = 8;

/// Compare-and-set, as all changes of this table are.
const ADD: &str = "INSERT INTO sign_ins (hash, user, username, used_at) VALUES (?, ?, ?, ?) \
     IF NOT EXISTS USING TTL ?";
/// Compare-and-set: never backwards, and not after its end. Sets every cell, so that all of them
/// get the new time to live.
const TOUCH: &str = "UPDATE sign_ins USING TTL ? SET user = ?, username = ?, used_at = ? \
     WHERE hash = ? IF used_at = ?";
/// Compare-and-set: of two who end it, one is told that it was there.
const END: &str = "DELETE FROM sign_ins WHERE hash = ? IF EXISTS";
/// LOCAL_QUORUM: a change that was answered is at a quorum.
const READ: &str = "SELECT user, username, used_at FROM sign_ins WHERE hash = ?";

/// LOCAL_QUORUM, before the row.
const LIST_ADD: &str =
    "INSERT INTO sign_ins_by_user (user, hash) VALUES (?, ?) USING TTL ? AND TIMESTAMP ?";
/// LOCAL_QUORUM, after the row.
const LIST_REMOVE: &str =
    "DELETE FROM sign_ins_by_user USING TIMESTAMP ? WHERE user = ? AND hash = ?";
/// LOCAL_QUORUM: an entry is there before its sign-in was answered.
const LIST: &str = "SELECT hash FROM sign_ins_by_user WHERE user = ?";

#[derive(Debug)]
pub(super) struct SignIns {
    link: Arc<Link>,
    add: PreparedStatement,
    touch: PreparedStatement,
    end: PreparedStatement,
    read: PreparedStatement,
    read_serial: PreparedStatement,
    list_add: PreparedStatement,
    list_remove: PreparedStatement,
    list: PreparedStatement,
}

impl SignIns {
    pub(super) async fn prepare(link: &Arc<Link>) -> Result<Self, PrepareError> {
        Ok(SignIns {
            add: link.prepare_compare(ADD).await?,
            touch: link.prepare_compare(TOUCH).await?,
            end: link.prepare_compare(END).await?,
            read: link.prepare_read(READ).await?,
            read_serial: link.prepare_serial_read(READ).await?,
            list_add: link.prepare_write(LIST_ADD).await?,
            list_remove: link.prepare_write(LIST_REMOVE).await?,
            list: link.prepare_read(LIST).await?,
            link: link.clone(),
        })
    }

    pub(super) async fn add(&self, users: &Users, sign_in: &SignIn) -> Result<bool, StoreError> {
        if users.get(sign_in.user).await?.is_none() {
            return Ok(false);
        }
        self.list(sign_in).await?;
        let values = (
            sign_in.hash.0.as_slice(),
            sign_in.user.as_i64(),
            sign_in.username.as_str(),
            sign_in.used_at,
            TTL_SECONDS,
        );
        let compared = self.link.compare(&self.add, values).await?;
        if compared != Compared::Applied {
            let row = self.read_with(&self.read_serial, sign_in.hash).await;
            let row = row.map_err(|error| compared.clone().unread(error))?;
            // 256 random bits: what is there under them is ours.
            if row.is_none() {
                compared.or_unknown()?;
                return Err(damaged("a sign-in was refused and is not there"));
            }
        }
        Ok(true)
    }

    pub(super) async fn get(
        &self,
        users: &Users,
        hash: SignInHash,
        now: Millis,
    ) -> Result<Option<SignIn>, StoreError> {
        let Some(sign_in) = self.read_with(&self.read, hash).await? else {
            return Ok(None);
        };
        if now - sign_in.used_at >= SignIn::LIFETIME {
            return Ok(None);
        }
        let user = users.get(sign_in.user).await?;
        Ok(user.map(|_| sign_in))
    }

    pub(super) async fn touch(&self, hash: SignInHash, now: Millis) -> Result<(), StoreError> {
        let Some(mut sign_in) = self.read_with(&self.read, hash).await? else {
            return Ok(());
        };
        let seen = sign_in.used_at;
        if now <= seen {
            return Ok(());
        }
        sign_in.used_at = now;
        self.list(&sign_in).await?;
        let values = (
            TTL_SECONDS,
            sign_in.user.as_i64(),
            sign_in.username.as_str(),
            now,
            hash.0.as_slice(),
            seen,
        );
        // Refused: it was ended, or another use of the same hour is noted, which is as good.
        match self.link.compare(&self.touch, values).await? {
            Compared::Applied | Compared::Refused => Ok(()),
            Compared::Unknown(why) => Err(StoreError::Unknown(why)),
        }
    }

    pub(super) async fn end(&self, hash: SignInHash) -> Result<bool, StoreError> {
        let Some(sign_in) = self.read_with(&self.read_serial, hash).await? else {
            return Ok(false);
        };
        let compared = self.link.compare(&self.end, (hash.0.as_slice(),)).await?;
        if compared != Compared::Applied {
            let row = self.read_with(&self.read_serial, hash).await;
            let row = row.map_err(|error| compared.clone().unread(error))?;
            if row.is_some() {
                compared.or_unknown()?;
                return Err(damaged("a sign-in can't be ended"));
            }
        }
        let written = self.link.clock.above(0);
        let values = (written, sign_in.user.as_i64(), hash.0.as_slice());
        if let Err(error) = self.link.write(&self.list_remove, values).await {
            // It has ended all the same; its entry leads nowhere and goes by itself.
            tracing::info!(store.operation = "end_sign_in", error = %error, "an entry stays");
        }
        Ok(compared == Compared::Applied)
    }

    pub(super) async fn of(&self, user: UserId) -> Result<Vec<SignInHash>, StoreError> {
        let rows: Vec<(Vec<u8>,)> = self.link.rows(&self.list, (user.as_i64(),)).await?;
        let listed = rows.into_iter().map(|(hash,)| {
            let hash = hash.try_into().map_err(|_| damaged("a sign-in's hash"))?;
            Ok(SignInHash(hash))
        });
        stream::iter(listed.collect::<Result<Vec<_>, StoreError>>()?)
            .map(|hash| async move {
                let sign_in = self.read_with(&self.read, hash).await?;
                Ok(sign_in.map(|sign_in| sign_in.hash))
            })
            .buffer_unordered(AT_ONCE)
            .try_filter_map(|hash| async move { Ok(hash) })
            .try_collect()
            .await
    }

    pub(super) async fn end_all_of(&self, user: UserId) -> Result<(), StoreError> {
        stream::iter(self.of(user).await?)
            .map(|hash| self.end(hash))
            .buffer_unordered(AT_ONCE)
            .try_for_each(|_| async { Ok(()) })
            .await
    }

    async fn list(&self, sign_in: &SignIn) -> Result<(), StoreError> {
        let values = (
            sign_in.user.as_i64(),
            sign_in.hash.0.as_slice(),
            TTL_SECONDS,
            self.link.clock.above(0),
        );
        self.link.write(&self.list_add, values).await
    }

    async fn read_with(
        &self,
        statement: &PreparedStatement,
        hash: SignInHash,
    ) -> Result<Option<SignIn>, StoreError> {
        let row: Option<(i64, String, Millis)> =
            self.link.row(statement, (hash.0.as_slice(),)).await?;
        row.map(|(user, username, used_at)| {
            Ok(SignIn {
                hash,
                user: UserId::from_i64(user),
                username: Username::parse(&username).map_err(|_| damaged("a sign-in's name"))?,
                used_at,
            })
        })
        .transpose()
    }
}
