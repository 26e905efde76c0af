//! Forgetting what has outlived its time, a little with each commit so that nobody waits for it.

use super::EmbeddedStore;
use crate::{Ended, KeyClaim, MessageId, Millis, SignIn, StoreError};
use std::time::Duration;

/// Rows that go in one write: a few milliseconds' work.
const AT_ONCE: usize = 500;

const SIGN_INS: &str = "DELETE FROM sign_ins WHERE hash IN
    (SELECT hash FROM sign_ins WHERE used_at <= ?1 LIMIT ?2)";
const KEYS: &str = "DELETE FROM keys WHERE (user, key) IN
    (SELECT user, key FROM keys WHERE bound_at <= ?1 LIMIT ?2)";
const MARKS: &str = "DELETE FROM marks WHERE id IN
    (SELECT id FROM marks WHERE ended_at <= ?1 LIMIT ?2)";
const MESSAGES: &str = "DELETE FROM messages WHERE id IN
    (SELECT id FROM messages WHERE id < ?1 ORDER BY id LIMIT ?2)";
const INBOXES: &str = "DELETE FROM inbox WHERE (user, other) IN
    (SELECT user, other FROM inbox WHERE datetime_sent < ?1 LIMIT ?2)";

impl EmbeddedStore {
    pub(super) async fn forget_outlived(&self, now: Millis) -> Result<(), StoreError> {
        self.forget(SIGN_INS, now.saturating_sub(SignIn::LIFETIME))
            .await?;
        self.forget(KEYS, now.saturating_sub(KeyClaim::LIFETIME))
            .await?;
        self.forget(MARKS, now.saturating_sub(Ended::LIFETIME))
            .await?;
        if let Some(retention) = self.retention {
            let kept_since = now.saturating_sub(millis(retention));
            self.forget(MESSAGES, MessageId::at(kept_since).as_i64())
                .await?;
            self.forget(INBOXES, kept_since).await?;
        }
        Ok(())
    }

    async fn forget(&self, sql: &'static str, bound: i64) -> Result<(), StoreError> {
        loop {
            let gone = self
                .write("sweep", move |connection| {
                    super::rows::change(connection, sql, rusqlite::params![bound, AT_ONCE as i64])
                })
                .await?;
            if gone < AT_ONCE {
                return Ok(());
            }
        }
    }
}

fn millis(duration: Duration) -> Millis {
    Millis::try_from(duration.as_millis()).unwrap_or(Millis::MAX)
}
