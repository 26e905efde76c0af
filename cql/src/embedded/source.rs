//! An embedded store as the source of a copy: nobody else has it meanwhile, and it stays as it is.

use super::file::{self, Checked, OpenError};
use super::lock::Lock;
use super::rows;
use crate::copy::{InboxRow, Row, Table};
use crate::{ChannelName, Conversation, MessageId, Slot, StoreError, UserId};
use rusqlite::Connection;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::mpsc;

/// Rows that are read at a time; a part of a second's writes.
const CHUNK: usize = 500;
/// Chunks that are read ahead.
const AHEAD: usize = 2;

/// The file of an embedded store, held for a copy.
#[derive(Debug)]
pub struct Source {
    connection: Arc<Mutex<Connection>>,
    _lock: Lock,
}

impl Source {
    /// Takes the file, which must be there, and brings it to this version's schema.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        if file::check(path)? == Checked::Absent {
            return Err(OpenError::Unusable {
                path: path.to_owned(),
                why: "there is no store".to_owned(),
            });
        }
        let (lock, connection) = file::open(path)?;
        Ok(Source {
            connection: Arc::new(Mutex::new(connection)),
            _lock: lock,
        })
    }

    /// Which store it is, and that it was not used since: its keys, and up to when its ids may
    /// have been given, which moves as long as a ting has it.
    pub fn state(&self) -> Result<String, StoreError> {
        let connection = self.hold();
        let mut digest = Sha256::new();
        for sql in [
            "SELECT name, hex(key) FROM cluster_keys ORDER BY name",
            "SELECT CAST(number AS TEXT), CAST(high_water AS TEXT) FROM slots ORDER BY number",
        ] {
            let pairs = rows::all(&connection, sql, [], |row| {
                Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))
            })?;
            for (name, value) in pairs {
                digest.update(format!("{name}={value}\n"));
            }
        }
        let bytes = digest.finalize();
        Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// How many rows a table has.
    pub fn count(&self, table: Table) -> Result<u64, StoreError> {
        let sql = format!("SELECT count(*) FROM ({})", sql_of(table));
        let count = rows::first(&self.hold(), &sql, [], |row| Ok(row.get::<_, i64>(0)?))?;
        Ok(count
            .and_then(|count| u64::try_from(count).ok())
            .unwrap_or(0))
    }

    /// The ids at which each conversation is parted, so that no part has more than `rows`.
    pub fn parts(&self, rows: u64) -> Result<HashMap<Conversation, Vec<MessageId>>, StoreError> {
        let sql = "SELECT conversation, id FROM (SELECT conversation, id, row_number()
                OVER (PARTITION BY conversation ORDER BY id) AS place FROM messages)
            WHERE place > 1 AND place % ?1 = 1 ORDER BY id";
        let rows = i64::try_from(rows).unwrap_or(i64::MAX);
        let found = rows::all(&self.hold(), sql, [rows], |row| {
            let conversation = rows::conversation(&row.get::<_, String>(0)?)?;
            Ok((conversation, MessageId::from_i64(row.get(1)?)))
        })?;
        let mut parts: HashMap<_, Vec<_>> = HashMap::new();
        for (conversation, id) in found {
            parts.entry(conversation).or_default().push(id);
        }
        Ok(parts)
    }

    /// The rows of a table, a chunk at a time, always in one order; without the first `skip`.
    pub fn rows(&self, table: Table, skip: u64) -> mpsc::Receiver<Result<Vec<Row>, StoreError>> {
        let (to, chunks) = mpsc::channel(AHEAD);
        let connection = Arc::clone(&self.connection);
        tokio::task::spawn_blocking(move || {
            let connection = hold(&connection);
            if let Err(error) = send_rows(&connection, table, skip, &to) {
                // Nobody waits for it any more, or is told.
                drop(to.blocking_send(Err(error)));
            }
        });
        chunks
    }

    fn hold(&self) -> MutexGuard<'_, Connection> {
        hold(&self.connection)
    }
}

fn hold(connection: &Mutex<Connection>) -> MutexGuard<'_, Connection> {
    // It is only read.
    connection.lock().unwrap_or_else(PoisonError::into_inner)
}

fn send_rows(
    connection: &Connection,
    table: Table,
    skip: u64,
    to: &mpsc::Sender<Result<Vec<Row>, StoreError>>,
) -> Result<(), StoreError> {
    let sql = format!("{} LIMIT -1 OFFSET ?1", sql_of(table));
    let mut statement = connection.prepare(&sql)?;
    let mut rows = statement.query([i64::try_from(skip).unwrap_or(i64::MAX)])?;
    let mut chunk = Vec::with_capacity(CHUNK);
    while let Some(row) = rows.next()? {
        chunk.push(read(table, row)?);
        if chunk.len() == CHUNK {
            let full = std::mem::replace(&mut chunk, Vec::with_capacity(CHUNK));
            if to.blocking_send(Ok(full)).is_err() {
                return Ok(());
            }
        }
    }
    // Who does not take it has gone.
    drop(to.blocking_send(Ok(chunk)));
    Ok(())
}

/// All rows of a table, in an order that its indexes have.
fn sql_of(table: Table) -> &'static str {
    match table {
        Table::Slots => "SELECT number, high_water FROM slots ORDER BY number",
        Table::ClusterKeys => "SELECT name, key FROM cluster_keys ORDER BY name",
        Table::Users => {
            "SELECT id, username, password_hash, profile, last_seen FROM users ORDER BY id"
        }
        Table::SignIns => "SELECT hash, user, username, used_at FROM sign_ins ORDER BY hash",
        // It is everywhere, whether it was made or not.
        Table::Channels => {
            "SELECT name, created_at FROM channels WHERE name <> 'ting' ORDER BY name"
        }
        Table::Messages => {
            "SELECT id, conversation, author, username, text, datetime_start, datetime_sent
                FROM messages ORDER BY conversation, id"
        }
        Table::Marks => "SELECT id, conversation, ended_at FROM marks ORDER BY id",
        Table::Inbox => {
            "SELECT inbox.user, inbox.other, inbox.username, inbox.datetime_sent, last_id,
                read_up_to, got.datetime_sent, got.id
                FROM inbox LEFT JOIN messages AS got ON got.id =
                    (SELECT id FROM messages WHERE recipient = inbox.user
                        AND author = inbox.other AND author <> recipient
                        ORDER BY datetime_sent DESC, id DESC LIMIT 1)
                ORDER BY inbox.user, inbox.other"
        }
        Table::Keys => "SELECT id, conversation, user, key, bound_at FROM keys ORDER BY user, key",
    }
}

fn read(table: Table, row: &rusqlite::Row<'_>) -> Result<Row, StoreError> {
    Ok(match table {
        Table::Slots => Row::Slot(Slot {
            number: row.get(0)?,
            high_water: row.get(1)?,
        }),
        Table::ClusterKeys => Row::ClusterKey(row.get(0)?, row.get(1)?),
        Table::Users => Row::User(Box::new(rows::user(row)?)),
        Table::SignIns => Row::SignIn(rows::sign_in(row)?),
        Table::Channels => {
            let name = ChannelName::parse(&row.get::<_, String>(0)?);
            let name = name.map_err(|_| rows::damaged("a channel's name"))?;
            Row::Channel(name, row.get(1)?)
        }
        Table::Messages => Row::Message(Box::new(rows::message(row)?)),
        Table::Marks => Row::Mark {
            id: MessageId::from_i64(row.get(0)?),
            conversation: rows::conversation(&row.get::<_, String>(1)?)?,
            ended_at: row.get(2)?,
        },
        Table::Inbox => Row::Inbox(Box::new(InboxRow {
            user: UserId::from_i64(row.get(0)?),
            other: UserId::from_i64(row.get(1)?),
            username: rows::username(&row.get::<_, String>(2)?)?,
            last: (row.get(3)?, MessageId::from_i64(row.get(4)?)),
            read_up_to: row.get(5)?,
            received: row
                .get::<_, Option<i64>>(6)?
                .zip(row.get::<_, Option<i64>>(7)?)
                .map(|(sent, id)| (sent, MessageId::from_i64(id))),
        })),
        Table::Keys => Row::Key {
            claim: rows::key_claim(row)?,
            user: UserId::from_i64(row.get(2)?),
            key: row.get(3)?,
            bound_at: row.get(4)?,
        },
    })
}
