//! Messages, and the marks that ended ones leave.

use super::inbox;
use super::rows::{self, MESSAGE, all, change, first};
use crate::{
    Append, Conversation, Ended, Message, MessageId, Millis, Page, Placed, Range, StoreError,
    UserId, Username,
};
use rusqlite::{Connection, params};

pub(super) fn append(
    connection: &Connection,
    message: &Message,
    recipient: Option<&Username>,
) -> Result<Append, StoreError> {
    match placed(connection, message.id)? {
        Placed::Ended(_) => return Ok(Append::Ended),
        Placed::Message(there) => {
            let same = there.conversation == message.conversation && there.text == message.text;
            return Ok(if same {
                Append::Kept
            } else {
                Append::Taken(there)
            });
        }
        Placed::Nothing => {}
    }
    let said_to = message
        .author
        .and_then(|author| message.conversation.other(author));
    change(
        connection,
        "INSERT INTO messages (id, conversation, author, recipient, username, text,
            datetime_start, datetime_sent) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        params![
            message.id.as_i64(),
            message.conversation.key(),
            message.author.map(UserId::as_i64),
            said_to.map(UserId::as_i64),
            message.username.as_str(),
            message.text.as_str(),
            message.datetime_start,
            message.datetime_sent,
        ],
    )?;
    if let (Some(author), Some(other)) = (message.author, said_to) {
        inbox::note(connection, other, author, &message.username, message)?;
        if let Some(recipient) = recipient {
            inbox::note(connection, author, other, recipient, message)?;
        }
    }
    Ok(Append::Kept)
}

pub(super) fn placed(connection: &Connection, id: MessageId) -> Result<Placed, StoreError> {
    let sql = format!("SELECT {MESSAGE} FROM messages WHERE id = ?1");
    if let Some(message) = first(connection, &sql, [id.as_i64()], rows::message)? {
        return Ok(Placed::Message(Box::new(message)));
    }
    let sql = "SELECT conversation FROM marks WHERE id = ?1";
    let mark = first(connection, sql, [id.as_i64()], |row| {
        rows::conversation(&row.get::<_, String>(0)?)
    })?;
    Ok(match mark {
        Some(conversation) => Placed::Ended(Ended { conversation }),
        None => Placed::Nothing,
    })
}

pub(super) fn end(
    connection: &Connection,
    conversation: &Conversation,
    id: MessageId,
    now: Millis,
) -> Result<bool, StoreError> {
    if let Placed::Message(there) = placed(connection, id)?
        && there.conversation != *conversation
    {
        // Nothing of this conversation's stands there, and the other's stays.
        return Ok(false);
    }
    let sql = "DELETE FROM messages WHERE id = ?1";
    let was_there = change(connection, sql, [id.as_i64()])? > 0;
    change(
        connection,
        "INSERT INTO marks (id, conversation, ended_at) VALUES (?1, ?2, ?3)
            ON CONFLICT DO UPDATE SET ended_at = max(ended_at, excluded.ended_at)",
        params![id.as_i64(), conversation.key(), now],
    )?;
    Ok(was_there)
}

pub(super) fn history(
    connection: &Connection,
    conversation: &Conversation,
    range: Range,
) -> Result<Page, StoreError> {
    let sql = format!(
        "SELECT {MESSAGE} FROM messages WHERE conversation = ?1 AND id < ?2 AND id > ?3
            ORDER BY id DESC LIMIT ?4"
    );
    let before = range.before.map_or(i64::MAX, MessageId::as_i64);
    let after = range.after.map_or(-1, MessageId::as_i64);
    // One more than asked for tells whether there is more.
    let limit = i64::try_from(range.limit)
        .unwrap_or(i64::MAX)
        .saturating_add(1);
    let values = params![conversation.key(), before, after, limit];
    let mut messages = all(connection, &sql, values, rows::message)?;
    let more = messages.len() > range.limit;
    messages.truncate(range.limit);
    Ok(Page { messages, more })
}
