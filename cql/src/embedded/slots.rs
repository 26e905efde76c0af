//! Slots of the id space, and the keys that all nodes share.

use super::rows::{all, change, first};
use crate::{Millis, Slot, StoreError};
use rusqlite::{Connection, params};

pub(super) fn all_slots(connection: &Connection) -> Result<Vec<Slot>, StoreError> {
    let sql = "SELECT number, high_water FROM slots ORDER BY number";
    all(connection, sql, [], |row| {
        Ok(Slot {
            number: row.get(0)?,
            high_water: row.get(1)?,
        })
    })
}

pub(super) fn reserve(
    connection: &Connection,
    number: u8,
    seen: Option<Millis>,
    high_water: Millis,
) -> Result<bool, StoreError> {
    let moved = match seen {
        Some(seen) => change(
            connection,
            "UPDATE slots SET high_water = ?3 WHERE number = ?1 AND high_water = ?2",
            params![number, seen, high_water],
        )?,
        None => change(
            connection,
            "INSERT INTO slots (number, high_water) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
            params![number, high_water],
        )?,
    };
    Ok(moved > 0)
}

pub(super) fn cluster_key(
    connection: &Connection,
    name: &str,
    fresh: [u8; 32],
) -> Result<[u8; 32], StoreError> {
    change(
        connection,
        "INSERT INTO cluster_keys (name, key) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
        params![name, fresh],
    )?;
    let sql = "SELECT key FROM cluster_keys WHERE name = ?1";
    let kept = first(connection, sql, [name], |row| Ok(row.get(0)?))?;
    Ok(kept.unwrap_or(fresh))
}
