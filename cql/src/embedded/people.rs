//! People and their names.

use super::rows::{self, USER, all, change, first};
use crate::{
    ClaimedName, Millis, NewUser, Profile, ProfileChanges, StoreError, User, UserId, Username,
};
use rusqlite::{Connection, params};

pub(super) fn claim_name(
    connection: &Connection,
    new: &NewUser,
) -> Result<ClaimedName, StoreError> {
    if let Some(user) = named(connection, &new.username)?
        && !user.is_released(new.now)
    {
        return Ok(ClaimedName::Exists(Box::new(user)));
    }
    let alike = alike(connection, &new.username)?;
    if alike.iter().any(|user| !user.is_released(new.now)) {
        return Ok(ClaimedName::Alike);
    }
    for user in &alike {
        delete(connection, user.id)?;
    }
    insert(connection, new)?;
    let released = alike.iter().map(|user| user.id).collect();
    Ok(ClaimedName::Claimed { released })
}

pub(super) fn named(
    connection: &Connection,
    username: &Username,
) -> Result<Option<User>, StoreError> {
    let sql = format!("SELECT {USER} FROM users WHERE username = ?1");
    first(connection, &sql, [username.as_str()], rows::user)
}

pub(super) fn user(connection: &Connection, id: UserId) -> Result<Option<User>, StoreError> {
    let sql = format!("SELECT {USER} FROM users WHERE id = ?1");
    first(connection, &sql, [id.as_i64()], rows::user)
}

pub(super) fn change_user(
    connection: &Connection,
    id: UserId,
    changes: &ProfileChanges,
) -> Result<bool, StoreError> {
    let profile = changes.profile.as_ref().map(written).transpose()?;
    let sql = "UPDATE users SET password_hash = coalesce(?2, password_hash),
        profile = coalesce(?3, profile) WHERE id = ?1";
    let values = params![id.as_i64(), changes.password_hash, profile];
    Ok(change(connection, sql, values)? > 0)
}

pub(super) fn touch(connection: &Connection, id: UserId, now: Millis) -> Result<(), StoreError> {
    let sql = "UPDATE users SET last_seen = ?2 WHERE id = ?1 AND last_seen < ?2";
    change(connection, sql, params![id.as_i64(), now])?;
    Ok(())
}

pub(super) fn delete_without_password(
    connection: &Connection,
    id: UserId,
) -> Result<bool, StoreError> {
    let deletable = user(connection, id)?.is_some_and(|user| user.password_hash.is_none());
    if deletable {
        delete(connection, id)?;
    }
    Ok(deletable)
}

/// Users whose names look like this one, the very same included.
fn alike(connection: &Connection, username: &Username) -> Result<Vec<User>, StoreError> {
    let sql = format!(
        "SELECT {USER} FROM users WHERE id IN (SELECT user FROM skeletons WHERE skeleton IN (?1, ?2))"
    );
    let [capitals, small] = username.skeletons();
    all(connection, &sql, [capitals, small], rows::user)
}

fn insert(connection: &Connection, new: &NewUser) -> Result<(), StoreError> {
    let sql = "INSERT INTO users (id, username, profile, last_seen) VALUES (?1, ?2, ?3, ?4)";
    let profile = written(&Profile::default())?;
    let values = params![new.id.as_i64(), new.username.as_str(), profile, new.now];
    change(connection, sql, values)?;
    for skeleton in new.username.skeletons() {
        let sql = "INSERT INTO skeletons (skeleton, user) VALUES (?1, ?2)";
        change(connection, sql, params![skeleton, new.id.as_i64()])?;
    }
    Ok(())
}

/// Deletes all that is the user's own; messages stay, for they are the others' history too.
fn delete(connection: &Connection, id: UserId) -> Result<(), StoreError> {
    for sql in [
        "DELETE FROM users WHERE id = ?1",
        "DELETE FROM skeletons WHERE user = ?1",
        "DELETE FROM sign_ins WHERE user = ?1",
        "DELETE FROM inbox WHERE user = ?1",
        "DELETE FROM keys WHERE user = ?1",
    ] {
        change(connection, sql, [id.as_i64()])?;
    }
    Ok(())
}

fn written(profile: &Profile) -> Result<String, StoreError> {
    serde_json::to_string(profile)
        .map_err(|error| StoreError::Unavailable(format!("a profile can't be written: {error}")))
}
