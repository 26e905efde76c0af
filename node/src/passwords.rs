//! Passwords, as argon2id strings, made and looked at by a few workers.
//!
//! One takes 19 MiB and a core for some hundredths of a second, so only so many are looked at
//! at once and only so many wait; who comes later is told to come again. A name that does not
//! exist takes as long as one that does.

use crate::refusal::Refusal;
use anyhow::Context;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use metrics::{counter, describe_counter, describe_gauge, gauge};
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// OWASP's first choice for argon2id where memory is shared by many: 19 MiB, two passes.
const MEMORY_KIB: u32 = 19 * 1_024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// The workers and who waits for them.
#[derive(Debug, Clone)]
pub struct Passwords {
    places: Arc<Semaphore>,
    workers: Arc<Semaphore>,
    /// What a name without a password is compared with.
    nobody: Arc<str>,
}

/// More wait than may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many passwords are being looked at")]
pub struct Busy;

impl From<Busy> for Refusal {
    fn from(_: Busy) -> Self {
        Refusal::UNAVAILABLE
    }
}

/// Passwords that too many waited before.
const REFUSED: &str = "ting_passwords_refused_total";
/// Passwords that are being looked at.
const WORKING: &str = "ting_passwords_working";

impl Passwords {
    /// So many at once, and so many who wait.
    pub fn new(workers: usize, queue: usize) -> anyhow::Result<Self> {
        describe_counter!(REFUSED, "Passwords not looked at because too many waited");
        describe_gauge!(WORKING, "Passwords that are being looked at");
        let nobody =
            make(&cql::SessionToken::random().reveal()).context("can't make a password")?;
        Ok(Passwords {
            places: Arc::new(Semaphore::new(workers + queue)),
            workers: Arc::new(Semaphore::new(workers)),
            nobody: nobody.into(),
        })
    }

    /// What is stored of a password.
    pub async fn hash(&self, password: String) -> Result<String, Busy> {
        // The parameters are constants that argon2 takes, so only a lack of memory is left.
        self.work(move || make(&password)).await?.map_err(|_| Busy)
    }

    /// Whether it is the one that was hashed; without a hash it never is, and takes as long.
    pub async fn is(&self, password: String, hash: Option<&str>) -> Result<bool, Busy> {
        let known = hash.is_some();
        let hash = hash.unwrap_or(&self.nobody).to_owned();
        let same = self.work(move || matches(&password, &hash)).await?;
        Ok(same && known)
    }

    async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Busy> {
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| {
            counter!(REFUSED).increment(1);
            Busy
        })?;
        // Neither is ever closed.
        let worker = Arc::clone(&self.workers)
            .acquire_owned()
            .await
            .map_err(|_| Busy)?;
        // The permits go where the work is, which goes on when nobody waits for it any more.
        let permits: [OwnedSemaphorePermit; 2] = [place, worker];
        let working = tokio::task::spawn_blocking(move || {
            gauge!(WORKING).increment(1.0);
            let done = work();
            gauge!(WORKING).decrement(1.0);
            drop(permits);
            done
        });
        working.await.map_err(|_| Busy)
    }
}

fn argon2() -> Result<Argon2<'static>, argon2::Error> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None)?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

fn make(password: &str) -> anyhow::Result<String> {
    let argon2 = argon2().map_err(|error| anyhow::anyhow!("{error}"))?;
    let hash = argon2
        .hash_password(password.as_bytes())
        .map_err(|error| anyhow::anyhow!("{error}"))?;
    Ok(hash.to_string())
}

fn matches(password: &str, hash: &str) -> bool {
    let (Ok(argon2), Ok(hash)) = (argon2(), PasswordHash::new(hash)) else {
        return false;
    };
    argon2.verify_password(password.as_bytes(), &hash).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_same_password_is_right() {
        let passwords = Passwords::new(2, 8).unwrap();
        let hash = passwords.hash("λόγος".to_owned()).await.unwrap();
        assert!(
            hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{hash}"
        );
        assert_eq!(
            passwords.is("λόγος".to_owned(), Some(&hash)).await,
            Ok(true)
        );
        assert_eq!(
            passwords.is("logos".to_owned(), Some(&hash)).await,
            Ok(false)
        );
        assert_eq!(passwords.is("logos".to_owned(), Some("x")).await, Ok(false));
        assert_eq!(passwords.is(String::new(), None).await, Ok(false));
    }

    #[tokio::test]
    async fn who_finds_no_place_to_wait_is_told_at_once() {
        let passwords = Passwords::new(1, 2).unwrap();
        let asked = (0..8).map(|_| passwords.is("a".to_owned(), None));
        let answers = futures::future::join_all(asked).await;
        let refused = answers.iter().filter(|answer| answer.is_err()).count();
        assert_eq!(refused, 5);
    }
}
