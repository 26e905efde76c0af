//! Sign-ins.

use super::people;
use super::rows::{self, all, change, first};
use crate::{Millis, SignIn, SignInHash, StoreError, UserId};
use rusqlite::{Connection, params};

pub(super) fn add(connection: &Connection, sign_in: &SignIn) -> Result<bool, StoreError> {
    if people::user(connection, sign_in.user)?.is_none() {
        return Ok(false);
    }
    change(
        connection,
        "INSERT INTO sign_ins (hash, user, username, used_at) VALUES (?1, ?2, ?3, ?4)
            ON CONFLICT DO NOTHING",
        params![
            sign_in.hash.0,
            sign_in.user.as_i64(),
            sign_in.username.as_str(),
            sign_in.used_at
        ],
    )?;
    Ok(true)
}

pub(super) fn find(
    connection: &Connection,
    hash: SignInHash,
    now: Millis,
) -> Result<Option<SignIn>, StoreError> {
    let sql = "SELECT hash, user, username, used_at FROM sign_ins WHERE hash = ?1 AND used_at > ?2";
    let lived = now.saturating_sub(SignIn::LIFETIME);
    first(connection, sql, params![hash.0, lived], rows::sign_in)
}

pub(super) fn touch(
    connection: &Connection,
    hash: SignInHash,
    now: Millis,
) -> Result<(), StoreError> {
    let sql = "UPDATE sign_ins SET used_at = ?2 WHERE hash = ?1 AND used_at < ?2";
    change(connection, sql, params![hash.0, now])?;
    Ok(())
}

pub(super) fn end(connection: &Connection, hash: SignInHash) -> Result<bool, StoreError> {
    let sql = "DELETE FROM sign_ins WHERE hash = ?1";
    Ok(change(connection, sql, [hash.0])? > 0)
}

pub(super) fn of(connection: &Connection, user: UserId) -> Result<Vec<SignInHash>, StoreError> {
    let sql = "SELECT hash FROM sign_ins WHERE user = ?1";
    all(connection, sql, [user.as_i64()], |row| {
        Ok(SignInHash(row.get(0)?))
    })
}
