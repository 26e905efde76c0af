//! Rows back to values. What can't be read back was not written by Ting: the file is damaged.

use crate::{
    Conversation, KeyClaim, Message, MessageId, MessageText, SignIn, SignInHash, StoreError, User,
    UserId, Username,
};
use rusqlite::{Connection, Params, Row};

/// The columns that [`message`] reads.
pub(super) const MESSAGE: &str =
    "id, conversation, author, username, text, datetime_start, datetime_sent";

/// The columns that [`user`] reads.
pub(super) const USER: &str = "id, username, password_hash, profile, last_seen";

pub(super) fn message(row: &Row<'_>) -> Result<Message, StoreError> {
    let text: String = row.get(4)?;
    Ok(Message {
        id: MessageId::from_i64(row.get(0)?),
        conversation: conversation(&row.get::<_, String>(1)?)?,
        author: row.get::<_, Option<i64>>(2)?.map(UserId::from_i64),
        username: username(&row.get::<_, String>(3)?)?,
        text: MessageText::parse(text).map_err(|_| damaged("a message's text"))?,
        datetime_start: row.get(5)?,
        datetime_sent: row.get(6)?,
    })
}

pub(super) fn user(row: &Row<'_>) -> Result<User, StoreError> {
    let profile: String = row.get(3)?;
    Ok(User {
        id: UserId::from_i64(row.get(0)?),
        username: username(&row.get::<_, String>(1)?)?,
        password_hash: row.get(2)?,
        profile: serde_json::from_str(&profile).map_err(|_| damaged("a profile"))?,
        last_seen: row.get(4)?,
    })
}

pub(super) fn sign_in(row: &Row<'_>) -> Result<SignIn, StoreError> {
    Ok(SignIn {
        hash: SignInHash(row.get(0)?),
        user: UserId::from_i64(row.get(1)?),
        username: username(&row.get::<_, String>(2)?)?,
        used_at: row.get(3)?,
    })
}

pub(super) fn key_claim(row: &Row<'_>) -> Result<KeyClaim, StoreError> {
    Ok(KeyClaim {
        id: MessageId::from_i64(row.get(0)?),
        conversation: conversation(&row.get::<_, String>(1)?)?,
    })
}

pub(super) fn username(stored: &str) -> Result<Username, StoreError> {
    Username::parse(stored).map_err(|_| damaged("a username"))
}

pub(super) fn conversation(stored: &str) -> Result<Conversation, StoreError> {
    Conversation::from_key(stored).ok_or_else(|| damaged("a conversation"))
}

pub(super) fn damaged(what: &str) -> StoreError {
    StoreError::Damaged(format!("{what} can't be read"))
}

/// The first row of an answer, if there is one.
pub(super) fn first<T>(
    connection: &Connection,
    sql: &str,
    values: impl Params,
    read: impl FnOnce(&Row<'_>) -> Result<T, StoreError>,
) -> Result<Option<T>, StoreError> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(values)?;
    rows.next()?.map(read).transpose()
}

/// All rows of an answer.
pub(super) fn all<T>(
    connection: &Connection,
    sql: &str,
    values: impl Params,
    read: impl Fn(&Row<'_>) -> Result<T, StoreError>,
) -> Result<Vec<T>, StoreError> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(values)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(read(row)?);
    }
    Ok(found)
}

/// Carries out a change; says how many rows it touched.
pub(super) fn change(
    connection: &Connection,
    sql: &str,
    values: impl Params,
) -> Result<usize, StoreError> {
    Ok(connection.prepare_cached(sql)?.execute(values)?)
}
