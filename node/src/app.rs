//! What every handler may reach, built once.

use crate::client_address::Proxies;
use crate::config::{HttpLimits, Secret};
use crate::http::limits::PerAddress;
use crate::origin::Origins;
use crate::passwords::Passwords;
use actors::System;
use cql::{Store, UserId};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Deref;
use std::sync::Arc;
use tokio::sync::{Mutex, MutexGuard};

/// How many profiles can change at the same time; two people rarely share one of these.
const PROFILE_LOCKS: usize = 64;

/// The state shared by all handlers; cheap to clone.
#[derive(Debug, Clone)]
pub struct App(Arc<Parts>);

/// What is in it.
#[derive(Debug)]
pub struct Parts {
    /// The actors.
    pub system: System,
    /// What is durable.
    pub store: Arc<dyn Store>,
    /// Where passwords are looked at.
    pub passwords: Passwords,
    /// What privileged callers show.
    pub secret: Option<Secret>,
    /// Which pages may write.
    pub origins: Origins,
    /// Which proxies are believed.
    pub proxies: Proxies,
    /// Sign-ins and changes of password.
    pub sign_ins: PerAddress,
    /// Channels made.
    pub channels: PerAddress,
    profiles: Vec<Mutex<()>>,
}

impl App {
    /// Joins the parts.
    pub fn new(
        system: System,
        store: Arc<dyn Store>,
        secret: Option<Secret>,
        origins: Origins,
        proxies: Proxies,
        limits: &HttpLimits,
    ) -> anyhow::Result<Self> {
        Ok(App(Arc::new(Parts {
            system,
            store,
            passwords: Passwords::new(limits.password_workers, limits.password_queue)?,
            secret,
            origins,
            proxies,
            sign_ins: PerAddress::new(limits.sign_ins_per_minute),
            channels: PerAddress::new(limits.channels_per_minute),
            profiles: (0..PROFILE_LOCKS).map(|_| Mutex::new(())).collect(),
        })))
    }
}

impl Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl Parts {
    /// Held while a profile is read, changed and written as a whole.
    pub async fn profile(&self, user: UserId) -> MutexGuard<'_, ()> {
        self.profiles[place_of(user)].lock().await
    }
}

/// Which of the locks is that person's. Not their id's last bits: those say which node gave it.
fn place_of(user: UserId) -> usize {
    let mut hasher = DefaultHasher::new();
    user.hash(&mut hasher);
    // Below PROFILE_LOCKS, which is a usize.
    (hasher.finish() % PROFILE_LOCKS as u64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn people_of_one_node_have_locks_of_their_own() {
        // Of one slot, each the first of a millisecond.
        let ids = (0..256).map(|at| UserId((1_795_305_600_000 + at * 7) << 12));
        let places: HashSet<usize> = ids.map(place_of).collect();
        assert!(places.len() > PROFILE_LOCKS / 2, "{places:?}");
    }
}
