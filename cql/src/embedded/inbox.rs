//! Privates in a person's list, and what is unread in them.

use super::rows::{self, all, change};
use crate::{Inbox, Message, Millis, StoreError, UserId, Username};
use rusqlite::{Connection, params};

/// Unread counts to here; more is no news to a person.
const UNREAD_MAX: u32 = 99;

/// Notes in the list of `user` that something was said in the private with `other`. What was
/// sent before the last message there changes nothing.
pub(super) fn note(
    connection: &Connection,
    user: UserId,
    other: UserId,
    username: &Username,
    message: &Message,
) -> Result<(), StoreError> {
    change(
        connection,
        "INSERT INTO inbox (user, other, username, datetime_sent, last_id, read_up_to)
            VALUES (?1, ?2, ?3, ?4, ?5, 0)
            ON CONFLICT DO UPDATE SET username = excluded.username,
                datetime_sent = excluded.datetime_sent, last_id = excluded.last_id
            WHERE (excluded.datetime_sent, excluded.last_id) > (datetime_sent, last_id)",
        params![
            user.as_i64(),
            other.as_i64(),
            username.as_str(),
            message.datetime_sent,
            message.id.as_i64(),
        ],
    )?;
    Ok(())
}

pub(super) fn list(
    connection: &Connection,
    user: UserId,
    limit: usize,
) -> Result<Vec<Inbox>, StoreError> {
    // Who writes to oneself has read it.
    let sql = "SELECT other, username, datetime_sent, (SELECT count(*) FROM (
            SELECT 1 FROM messages WHERE recipient = inbox.user AND author = inbox.other
                AND author <> recipient AND messages.datetime_sent > inbox.read_up_to LIMIT ?3))
        FROM inbox WHERE user = ?1 ORDER BY datetime_sent DESC, last_id DESC LIMIT ?2";
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let values = params![user.as_i64(), limit, UNREAD_MAX];
    all(connection, sql, values, |row| {
        Ok(Inbox {
            other: UserId::from_i64(row.get(0)?),
            username: rows::username(&row.get::<_, String>(1)?)?,
            datetime_sent: row.get(2)?,
            unread: row.get(3)?,
        })
    })
}

pub(super) fn mark_read(
    connection: &Connection,
    user: UserId,
    other: UserId,
    up_to: Millis,
) -> Result<(), StoreError> {
    let sql = "UPDATE inbox SET read_up_to = ?3
        WHERE user = ?1 AND other = ?2 AND read_up_to < ?3";
    change(
        connection,
        sql,
        params![user.as_i64(), other.as_i64(), up_to],
    )?;
    Ok(())
}
