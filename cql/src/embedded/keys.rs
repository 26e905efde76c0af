//! Idempotency keys.

use super::rows::{self, change, first};
use crate::{KeyClaim, MessageId, Millis, StoreError, UserId};
use rusqlite::{Connection, params};

pub(super) fn claim(
    connection: &Connection,
    user: UserId,
    key: &str,
    claim: &KeyClaim,
    now: Millis,
) -> Result<KeyClaim, StoreError> {
    if let Some(bound) = find(connection, user, key, now)? {
        return Ok(bound);
    }
    bind(connection, user, key, claim, now)
}

pub(super) fn find(
    connection: &Connection,
    user: UserId,
    key: &str,
    now: Millis,
) -> Result<Option<KeyClaim>, StoreError> {
    let sql = "SELECT id, conversation FROM keys WHERE user = ?1 AND key = ?2 AND bound_at > ?3";
    let lived = now.saturating_sub(KeyClaim::LIFETIME);
    let values = params![user.as_i64(), key, lived];
    first(connection, sql, values, rows::key_claim)
}

pub(super) fn rebind(
    connection: &Connection,
    user: UserId,
    key: &str,
    old: MessageId,
    claim: &KeyClaim,
    now: Millis,
) -> Result<KeyClaim, StoreError> {
    match find(connection, user, key, now)? {
        Some(bound) if bound.id != old => Ok(bound),
        // Its day may have ended since the caller read it: then it stands for nothing, and is
        // bound as a new one.
        _ => bind(connection, user, key, claim, now),
    }
}

fn bind(
    connection: &Connection,
    user: UserId,
    key: &str,
    claim: &KeyClaim,
    now: Millis,
) -> Result<KeyClaim, StoreError> {
    change(
        connection,
        "INSERT INTO keys (user, key, id, conversation, bound_at) VALUES (?1, ?2, ?3, ?4, ?5)
            ON CONFLICT DO UPDATE SET id = excluded.id, conversation = excluded.conversation,
                bound_at = excluded.bound_at",
        params![
            user.as_i64(),
            key,
            claim.id.as_i64(),
            claim.conversation.key(),
            now
        ],
    )?;
    Ok(claim.clone())
}
