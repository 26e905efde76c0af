//! Channels.

use super::rows::{change, first};
use crate::{ChannelName, Millis, StoreError};
use rusqlite::{Connection, params};

pub(super) fn create(
    connection: &Connection,
    name: &ChannelName,
    now: Millis,
) -> Result<bool, StoreError> {
    let sql = "INSERT INTO channels (name, created_at) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
    Ok(change(connection, sql, params![name.as_str(), now])? > 0)
}

pub(super) fn exists(connection: &Connection, name: &ChannelName) -> Result<bool, StoreError> {
    let sql = "SELECT 1 FROM channels WHERE name = ?1";
    Ok(first(connection, sql, [name.as_str()], |_| Ok(()))?.is_some())
}
