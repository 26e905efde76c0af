//! Who shows a token, who has a name, which channels there are: asked of the store once a minute
//! at most, and remembered while the store is away.

use crate::node::Node;
use cql::{ChannelName, SessionToken, SignIn, SignInHash, StoreError, User, UserId, Username};
use moka::sync::Cache;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// How long an answer of the store is good for.
const FRESH: Duration = Duration::from_secs(60);

/// How long what was ended is remembered, so that a look that was under way can't bring it back.
const ENDED: Duration = Duration::from_secs(120);

/// Entries of each kind; beyond that the least used are asked for again.
const REMEMBERED_MAX: u64 = 100_000;

/// What was asked of the store lately.
#[derive(Debug)]
pub struct People {
    sign_ins: Cache<SignInHash, (SignIn, Instant)>,
    ended: Cache<SignInHash, ()>,
    names: Cache<Username, (UserId, Instant)>,
    forgotten: Cache<Username, Instant>,
    channels: Cache<ChannelName, ()>,
}

impl Default for People {
    fn default() -> Self {
        People {
            sign_ins: Cache::new(REMEMBERED_MAX),
            ended: Cache::builder()
                .max_capacity(REMEMBERED_MAX)
                .time_to_live(ENDED)
                .build(),
            names: Cache::new(REMEMBERED_MAX),
            forgotten: Cache::builder()
                .max_capacity(REMEMBERED_MAX)
                .time_to_live(ENDED)
                .build(),
            channels: Cache::new(REMEMBERED_MAX),
        }
    }
}

impl Node {
    /// Who shows this token. Its use is noted, now and then.
    pub async fn who(self: &Arc<Self>, token: &SessionToken) -> Result<Option<SignIn>, StoreError> {
        let hash = token.hash();
        let people = &self.people;
        if self.has_ended(hash) {
            return Ok(None);
        }
        let known = people.sign_ins.get(&hash);
        if let Some((sign_in, at)) = &known
            && at.elapsed() < FRESH
        {
            return Ok(Some(sign_in.clone()));
        }
        let now = self.clock.now();
        let found = match (self.ask_store(self.store.sign_in(hash, now)).await, known) {
            (Ok(found), _) => found,
            // Who was signed in stays so while the store can't say otherwise.
            (Err(_), Some((sign_in, _))) => return Ok(Some(sign_in)),
            (Err(error), None) => return Err(error),
        };
        // It may have been ended while the store was looked at.
        let Some(found) = found.filter(|_| !self.has_ended(hash)) else {
            people.sign_ins.invalidate(&hash);
            return Ok(None);
        };
        people
            .sign_ins
            .insert(hash, (found.clone(), Instant::now()));
        if now - found.used_at >= SignIn::USE_GRAIN {
            let (node, user) = (self.clone(), found.user);
            tokio::spawn(async move {
                let noted = node.store.touch_sign_in(hash, now).await;
                let seen = node.store.touch_user(user, now).await;
                if let Err(error) = noted.and(seen) {
                    tracing::debug!(error = %error, "a use was not noted");
                }
            });
        }
        Ok(Some(found))
    }

    /// Whether a sign-in was ended a moment ago.
    pub fn has_ended(&self, hash: SignInHash) -> bool {
        self.people.ended.contains_key(&hash)
    }

    /// Forgets a sign-in that was ended.
    pub fn forget_sign_in(&self, hash: SignInHash) {
        self.people.ended.insert(hash, ());
        self.people.sign_ins.invalidate(&hash);
    }

    /// Forgets who had a name.
    pub fn forget_name(&self, username: &Username) {
        let forgotten = &self.people.forgotten;
        forgotten.insert(username.clone(), Instant::now());
        self.people.names.invalidate(username);
    }

    /// Who has exactly that name; of a name that is released, nobody.
    pub async fn user_named(&self, username: &Username) -> Result<Option<UserId>, StoreError> {
        let known = self.people.names.get(username);
        if let Some((user, at)) = known
            && at.elapsed() < FRESH
        {
            return Ok(Some(user));
        }
        let asked = Instant::now();
        let found = self.ask_store(self.store.user_named(username)).await;
        let now = self.clock.now();
        let found = found.map(|found| found.filter(|user| !user.is_released(now)));
        match (found, known) {
            (Ok(Some(User { id, .. })), _) => {
                let names = &self.people.names;
                names.insert(username.clone(), (id, Instant::now()));
                // Who had it may have been deleted while the store was looked at.
                let forgotten = self.people.forgotten.get(username);
                if forgotten.is_some_and(|at| at >= asked) {
                    names.invalidate(username);
                }
                Ok(Some(id))
            }
            (Ok(None), _) => {
                self.people.names.invalidate(username);
                Ok(None)
            }
            (Err(_), Some((user, _))) => Ok(Some(user)),
            (Err(error), None) => Err(error),
        }
    }

    /// Whether there is such a channel. Channels are never deleted, so a yes holds.
    pub async fn channel_exists(&self, name: &ChannelName) -> Result<bool, StoreError> {
        if *name == ChannelName::ting() || self.people.channels.contains_key(name) {
            return Ok(true);
        }
        let exists = self.ask_store(self.store.channel_exists(name)).await?;
        if exists {
            self.people.channels.insert(name.clone(), ());
        }
        Ok(exists)
    }
}
