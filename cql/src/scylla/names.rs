//! Who has a name.
//!
//! A name has two skeletons, and no two names may share either; so it is two rows, which no
//! store of this kind can take at once. They are taken in one order by all, and mean something
//! only while the row in [`users`](super::users) that they point to is there:
//!
//! 1. the row of the first skeleton, then that of the second, each by compare-and-set;
//! 2. the row of the person: from then on the name is taken;
//! 3. and back: the row of the person goes first, then the two others.
//!
//! Who finds a skeleton taken by nobody who exists has met a claim under way or what a crash
//! left: it waits a moment ([`PATIENCE`]), then bars the id, so that it can never be somebody,
//! and takes the row over. A claim that was barred has failed; its id is not used again.

use super::link::{Compared, Link};
use super::users::Users;
use crate::{ClaimedName, NewUser, StoreError, User, UserId, Username};
use scylla::errors::PrepareError;
use scylla::statement::prepared::PreparedStatement;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// How long a claim that is under way is left alone; one takes some 20 ms.
const PATIENCE: Duration = Duration::from_millis(1_000);
/// How often it is looked at meanwhile.
const LOOK: Duration = Duration::from_millis(50);
/// How often a skeleton that changes hands under one's eyes is looked at anew.
const ATTEMPTS: usize = 5;

/// Compare-and-set: of two who take it, one has it.
const TAKE: &str = "INSERT INTO names (skeleton, user) VALUES (?, ?) IF NOT EXISTS";
/// Compare-and-set: from the one it was found with.
const TAKE_OVER: &str = "UPDATE names SET user = ? WHERE skeleton = ? IF user = ?";
/// Compare-and-set: never another's.
const FREE: &str = "DELETE FROM names WHERE skeleton = ? IF user = ?";
/// LOCAL_QUORUM: a claim that was answered is at a quorum.
const READ: &str = "SELECT user FROM names WHERE skeleton = ?";

#[derive(Debug)]
pub(super) struct Names {
    link: Arc<Link>,
    take: PreparedStatement,
    take_over: PreparedStatement,
    free: PreparedStatement,
    read: PreparedStatement,
    read_serial: PreparedStatement,
}

/// What became of one skeleton.
enum Skeleton {
    Mine,
    /// Somebody who exists has it.
    Of(Box<User>),
}

impl Names {
    pub(super) async fn prepare(link: &Arc<Link>) -> Result<Self, PrepareError> {
        Ok(Names {
            take: link.prepare_compare(TAKE).await?,
            take_over: link.prepare_compare(TAKE_OVER).await?,
            free: link.prepare_compare(FREE).await?,
            read: link.prepare_read(READ).await?,
            read_serial: link.prepare_serial_read(READ).await?,
            link: link.clone(),
        })
    }

    pub(super) async fn user(
        &self,
        users: &Users,
        username: &Username,
    ) -> Result<Option<User>, StoreError> {
        let [first, _] = username.skeletons();
        let row: Option<(i64,)> = self.link.row(&self.read, (first,)).await?;
        let Some((id,)) = row else { return Ok(None) };
        let user = users.get(UserId::from_i64(id)).await?;
        Ok(user.filter(|user| user.username == *username))
    }

    /// Takes the name. `gone` is told of each user whose released name made place.
    pub(super) async fn claim(
        &self,
        users: &Users,
        new: &NewUser,
        gone: &mut Vec<User>,
    ) -> Result<ClaimedName, StoreError> {
        let [first, second] = new.username.skeletons();
        if let Some(refused) = self
            .take_or_refuse(users, &first, Some(&second), new, gone)
            .await?
        {
            return Ok(refused);
        }
        if let Some(refused) = self.take_or_refuse(users, &second, None, new, gone).await? {
            self.free_one(&first, new.id).await;
            return Ok(refused);
        }
        if users.add(new).await? {
            for user in gone.iter() {
                // What of that name is not in this one.
                self.free(user).await;
            }
            let released = gone.iter().map(|user| user.id).collect();
            return Ok(ClaimedName::Claimed { released });
        }
        for skeleton in [&first, &second] {
            self.free_one(skeleton, new.id).await;
        }
        Err(crowded())
    }

    /// Frees the rows of somebody who is gone.
    pub(super) async fn free(&self, user: &User) {
        for skeleton in user.username.skeletons() {
            self.free_one(&skeleton, user.id).await;
        }
    }

    /// Takes one skeleton, from a user whose name is released too; else says why not. `next` is
    /// the one that is to be taken after it.
    async fn take_or_refuse(
        &self,
        users: &Users,
        skeleton: &str,
        next: Option<&str>,
        new: &NewUser,
        gone: &mut Vec<User>,
    ) -> Result<Option<ClaimedName>, StoreError> {
        // Whose end may still come: looked for before the skeleton is looked at again.
        let mut ending: Option<User> = None;
        for _ in 0..ATTEMPTS {
            if let Some(user) = ending.take()
                && users.get_serial(user.id).await?.is_none()
            {
                gone.push(user);
            }
            match self.take(users, skeleton, new.id, gone).await? {
                Skeleton::Mine => return Ok(None),
                Skeleton::Of(holder) if holder.is_released(new.now) => {
                    // Nobody is ended for a name that is refused all the same.
                    if let Some(next) = next
                        && let Some(user) = self.somebody(users, next).await?
                        && !user.is_released(new.now)
                    {
                        return Ok(Some(refusal(user, new)));
                    }
                    // If not: the name was used just now, and what that made of it is read again.
                    // If so: its rows are taken over, so that who takes the name is who can tell
                    // whose it was.
                    match users.release(&holder).await {
                        Ok(true) => gone.push(*holder),
                        Ok(false) => {}
                        // To ask for it again is the same: it ends this person, as last seen then.
                        Err(StoreError::Unknown(_)) => ending = Some(*holder),
                        Err(error) => return Err(error),
                    }
                }
                Skeleton::Of(holder) => return Ok(Some(refusal(*holder, new))),
            }
        }
        Err(crowded())
    }

    /// Takes one skeleton, or tells who has it. Those in `gone` have it no more.
    async fn take(
        &self,
        users: &Users,
        skeleton: &str,
        id: UserId,
        gone: &[User],
    ) -> Result<Skeleton, StoreError> {
        let began = Instant::now();
        // Whose claim is waited for, and until when.
        let mut pending: Option<(UserId, Instant)> = None;
        while began.elapsed() < 2 * PATIENCE {
            let Some(holder) = self.holder(skeleton).await? else {
                let values = (skeleton, id.as_i64());
                match self.link.compare(&self.take, values).await? {
                    Compared::Applied => return Ok(Skeleton::Mine),
                    // Somebody was faster, or it was we and nobody said so.
                    Compared::Refused | Compared::Unknown(_) => continue,
                }
            };
            if holder == id {
                return Ok(Skeleton::Mine);
            }
            if gone.iter().any(|user| user.id == holder) {
                if self.take_over(skeleton, id, holder).await? {
                    return Ok(Skeleton::Mine);
                }
                continue;
            }
            if let Some(user) = users.get_serial(holder).await? {
                return Ok(Skeleton::Of(Box::new(user)));
            }
            match pending {
                Some((who, until)) if who == holder && until <= Instant::now() => {
                    if users.bar(holder).await? && self.take_over(skeleton, id, holder).await? {
                        return Ok(Skeleton::Mine);
                    }
                    pending = None;
                }
                Some((who, _)) if who == holder => tokio::time::sleep(LOOK).await,
                _ => pending = Some((holder, Instant::now() + PATIENCE)),
            }
        }
        Err(crowded())
    }

    async fn take_over(
        &self,
        skeleton: &str,
        id: UserId,
        from: UserId,
    ) -> Result<bool, StoreError> {
        let values = (id.as_i64(), skeleton, from.as_i64());
        let compared = self.link.compare(&self.take_over, values).await?;
        if compared == Compared::Applied {
            return Ok(true);
        }
        let holder = self.holder(skeleton).await;
        let holder = holder.map_err(|error| compared.clone().unread(error))?;
        Ok(holder == Some(id))
    }

    /// Whatever becomes of it, what was decided before stands: a row that stays points to nobody,
    /// and is taken over by whoever wants it next.
    async fn free_one(&self, skeleton: &str, of: UserId) {
        let freed = self.link.compare(&self.free, (skeleton, of.as_i64())).await;
        let why = match freed {
            Ok(Compared::Applied | Compared::Refused) => return,
            Ok(Compared::Unknown(why)) => StoreError::Unknown(why),
            Err(error) => error,
        };
        tracing::info!(store.operation = "free_name", error = %why, "a name may stay taken");
    }

    /// Who has a skeleton, if that is somebody who exists.
    async fn somebody(&self, users: &Users, skeleton: &str) -> Result<Option<User>, StoreError> {
        match self.holder(skeleton).await? {
            Some(holder) => users.get_serial(holder).await,
            None => Ok(None),
        }
    }

    async fn holder(&self, skeleton: &str) -> Result<Option<UserId>, StoreError> {
        let row: Option<(i64,)> = self.link.row(&self.read_serial, (skeleton,)).await?;
        Ok(row.map(|(id,)| UserId::from_i64(id)))
    }
}

/// Who has the name, or one like it, keeps it.
fn refusal(holder: User, new: &NewUser) -> ClaimedName {
    if holder.username == new.username {
        ClaimedName::Exists(Box::new(holder))
    } else {
        ClaimedName::Alike
    }
}

/// Nothing of the claim is left, and another one may have more luck.
fn crowded() -> StoreError {
    StoreError::Unavailable("others claim the same name at the same time".to_owned())
}

#[cfg(test)]
impl Names {
    /// As far as a claim comes that dies after its first step.
    pub(super) async fn take_for_test(&self, skeleton: &str, id: UserId) {
        let taken = self.link.compare(&self.take, (skeleton, id.as_i64())).await;
        assert_eq!(taken, Ok(Compared::Applied));
    }
}
