//! People: one row each, changed by compare-and-set alone.
//!
//! The row *is* the person: it is written last when somebody comes and deleted first when
//! somebody goes. What else belongs to a person ([`names`](super::names),
//! [`sign_ins`](super::sign_ins)) counts only while the row is there, so nothing that a crash
//! leaves behind comes to life.

use super::link::{Compared, Link, damaged};
use crate::{
    Birthday, Email, Gender, Millis, NewUser, Profile, ProfileChanges, StoreError, User, UserId,
    Username,
};
use scylla::errors::PrepareError;
use scylla::statement::prepared::PreparedStatement;
use std::sync::Arc;

/// Compare-and-set: the moment from which somebody exists, unless [`BAR`] came first.
const ADD: &str =
    "INSERT INTO users (id, username, gender, last_seen) VALUES (?, ?, ?, ?) IF NOT EXISTS";
/// Compare-and-set: an id that is not yet anybody never will be. The row holds nothing and goes
/// by itself, long after whoever claimed the id has given up.
const BAR: &str = "INSERT INTO users (id) VALUES (?) IF NOT EXISTS USING TTL 3600";
/// Compare-and-set: only over somebody who is still there.
const SET_PASSWORD: &str = "UPDATE users SET password_hash = ? WHERE id = ? IF username = ?";
const SET_PROFILE: &str =
    "UPDATE users SET email = ?, birthday = ?, gender = ? WHERE id = ? IF username = ?";
const SET_BOTH: &str = "UPDATE users SET password_hash = ?, email = ?, birthday = ?, gender = ? \
     WHERE id = ? IF username = ?";
/// Compare-and-set: never backwards, and never over somebody who is gone.
const TOUCH: &str = "UPDATE users SET last_seen = ? WHERE id = ? IF last_seen = ?";
/// Compare-and-set: a password set meanwhile keeps the person.
const DELETE: &str = "DELETE FROM users WHERE id = ? IF username = ? AND password_hash = null";
/// Compare-and-set: so does a use of the name meanwhile.
const RELEASE: &str = "DELETE FROM users WHERE id = ? IF last_seen = ? AND password_hash = null";
/// LOCAL_QUORUM: a change that was answered is at a quorum.
const READ: &str = "SELECT username, password_hash, email, birthday, gender, last_seen \
     FROM users WHERE id = ?";

#[derive(Debug)]
pub(super) struct Users {
    link: Arc<Link>,
    add: PreparedStatement,
    bar: PreparedStatement,
    set_password: PreparedStatement,
    set_profile: PreparedStatement,
    set_both: PreparedStatement,
    touch: PreparedStatement,
    delete: PreparedStatement,
    release: PreparedStatement,
    read: PreparedStatement,
    read_serial: PreparedStatement,
}

type Columns = (
    Option<String>,
    Option<String>,
    Option<String>,
    Option<String>,
    Option<String>,
    Option<Millis>,
);

impl Users {
    pub(super) async fn prepare(link: &Arc<Link>) -> Result<Self, PrepareError> {
        Ok(Users {
            add: link.prepare_compare(ADD).await?,
            bar: link.prepare_compare(BAR).await?,
            set_password: link.prepare_compare(SET_PASSWORD).await?,
            set_profile: link.prepare_compare(SET_PROFILE).await?,
            set_both: link.prepare_compare(SET_BOTH).await?,
            touch: link.prepare_compare(TOUCH).await?,
            delete: link.prepare_compare(DELETE).await?,
            release: link.prepare_compare(RELEASE).await?,
            read: link.prepare_read(READ).await?,
            read_serial: link.prepare_serial_read(READ).await?,
            link: link.clone(),
        })
    }

    pub(super) async fn get(&self, id: UserId) -> Result<Option<User>, StoreError> {
        let row = self.link.row(&self.read, (id.as_i64(),)).await?;
        parse(id, row)
    }

    /// Sees changes that are under way, too: what a compare-and-set is decided by.
    pub(super) async fn get_serial(&self, id: UserId) -> Result<Option<User>, StoreError> {
        let row = self.link.row(&self.read_serial, (id.as_i64(),)).await?;
        parse(id, row)
    }

    /// Makes the person exist. False: the id was barred.
    pub(super) async fn add(&self, new: &NewUser) -> Result<bool, StoreError> {
        let values = (
            new.id.as_i64(),
            new.username.as_str(),
            Gender::NotGiven.as_str(),
            new.now,
        );
        let compared = self.link.compare(&self.add, values).await?;
        self.settled(compared, new.id, |user| user.is_some()).await
    }

    /// Sees to it that an id that is nobody yet never will be. False: it is somebody.
    pub(super) async fn bar(&self, id: UserId) -> Result<bool, StoreError> {
        let compared = self.link.compare(&self.bar, (id.as_i64(),)).await?;
        match compared {
            Compared::Applied => Ok(true),
            // Refused by the person, or by another bar, which is as good.
            Compared::Refused => Ok(self.get_serial(id).await?.is_none()),
            Compared::Unknown(why) => Err(StoreError::Unknown(why)),
        }
    }

    pub(super) async fn change(
        &self,
        id: UserId,
        changes: &ProfileChanges,
    ) -> Result<bool, StoreError> {
        let Some(user) = self.get(id).await? else {
            return Ok(false);
        };
        let name = user.username.as_str();
        let id_key = id.as_i64();
        let password = changes.password_hash.as_deref();
        let compared = match &changes.profile {
            None if password.is_none() => return Ok(true),
            None => {
                let values = (password, id_key, name);
                self.link.compare(&self.set_password, values).await?
            }
            Some(profile) => {
                let email = profile.email.as_ref().map(Email::as_str);
                let birthday = profile.birthday.map(|day| day.to_string());
                let gender = profile.gender.as_str();
                if password.is_none() {
                    let values = (email, birthday, gender, id_key, name);
                    self.link.compare(&self.set_profile, values).await?
                } else {
                    let values = (password, email, birthday, gender, id_key, name);
                    self.link.compare(&self.set_both, values).await?
                }
            }
        };
        self.settled(compared, id, |user| {
            user.is_some_and(|user| {
                let same = |hash: &String| user.password_hash.as_ref() == Some(hash);
                changes.password_hash.as_ref().is_none_or(same)
                    && changes.profile.as_ref().is_none_or(|p| *p == user.profile)
            })
        })
        .await
    }

    pub(super) async fn touch(&self, id: UserId, now: Millis) -> Result<(), StoreError> {
        // Two who touch at once: the second one reads again what the first has written.
        for _ in 0..3 {
            let Some(user) = self.get(id).await? else {
                return Ok(());
            };
            if now <= user.last_seen {
                return Ok(());
            }
            let values = (now, id.as_i64(), user.last_seen);
            match self.link.compare(&self.touch, values).await? {
                Compared::Applied => return Ok(()),
                Compared::Refused => {}
                Compared::Unknown(why) => {
                    let unknown = |_| StoreError::Unknown(why.clone());
                    let user = self.get_serial(id).await.map_err(unknown)?;
                    return match user {
                        Some(user) if user.last_seen < now => Err(StoreError::Unknown(why)),
                        _ => Ok(()),
                    };
                }
            }
        }
        // Refused thrice: somebody else notes uses of that name all the time.
        Ok(())
    }

    /// Deletes somebody who has no password, and tells who that was.
    pub(super) async fn delete(&self, id: UserId) -> Result<Option<User>, StoreError> {
        let Some(user) = self.get_serial(id).await? else {
            return Ok(None);
        };
        if user.password_hash.is_some() {
            return Ok(None);
        }
        let values = (id.as_i64(), user.username.as_str());
        let compared = self.link.compare(&self.delete, values).await?;
        let gone = self.settled(compared, id, |user| user.is_none()).await?;
        Ok(gone.then_some(user))
    }

    /// Deletes somebody whose name is released. False: the person was there again meanwhile.
    pub(super) async fn release(&self, user: &User) -> Result<bool, StoreError> {
        let values = (user.id.as_i64(), user.last_seen);
        let compared = self.link.compare(&self.release, values).await?;
        self.settled(compared, user.id, |user| user.is_none()).await
    }

    /// Whether it came through: by its answer or, failing that, by what is there now.
    async fn settled(
        &self,
        compared: Compared,
        id: UserId,
        as_wanted: impl FnOnce(Option<&User>) -> bool,
    ) -> Result<bool, StoreError> {
        if compared == Compared::Applied {
            return Ok(true);
        }
        let user = self.get_serial(id).await;
        let user = user.map_err(|error| compared.clone().unread(error))?;
        if as_wanted(user.as_ref()) {
            return Ok(true);
        }
        compared.or_unknown().map(|()| false)
    }
}

fn parse(id: UserId, row: Option<Columns>) -> Result<Option<User>, StoreError> {
    let Some((Some(username), password_hash, email, birthday, gender, last_seen)) = row else {
        return Ok(None);
    };
    let wrong = |what: &str| damaged(format!("user {id}: {what}"));
    let email = email.map(|email| Email::parse(&email)).transpose();
    // It was in the past when it was set.
    let birthday = birthday.map(|day| Birthday::parse(&day, Millis::MAX));
    let gender = gender
        .as_deref()
        .map_or(Ok(Gender::NotGiven), Gender::parse);
    Ok(Some(User {
        id,
        username: Username::parse(&username).map_err(|_| wrong("username"))?,
        password_hash,
        profile: Profile {
            email: email.map_err(|_| wrong("email"))?,
            birthday: birthday.transpose().map_err(|_| wrong("birthday"))?,
            gender: gender.map_err(|_| wrong("gender"))?,
        },
        last_seen: last_seen.ok_or_else(|| wrong("last_seen"))?,
    }))
}
