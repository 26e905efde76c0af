//! The schema's history: what made it, in order, each with its checksum.
//!
//! A file tells which of these it has seen. One that has seen more is newer than this build; one
//! that has seen something else under the same number was made by a stranger. Neither is touched.

use rusqlite::{Connection, OptionalExtension, params};
use sha2::{Digest, Sha256};

struct Migration {
    version: u32,
    name: &'static str,
    sql: &'static str,
}

/// Never changed once released: a change is a new one at the end.
const MIGRATIONS: &[Migration] = &[Migration {
    version: 1,
    name: "first",
    sql: include_str!("migrations/0001_first.sql"),
}];

/// This build's version of the schema.
pub(super) const CURRENT: u32 = MIGRATIONS.len() as u32;

/// What a file has seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Seen {
    /// The first so many of ours.
    Ours(u32),
    /// All of ours, and more.
    Newer(u32),
    /// Another one under this number.
    Other(u32),
}

/// Reads what the file has seen.
pub(super) fn seen(connection: &Connection) -> rusqlite::Result<Seen> {
    let table = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'migrations'";
    let known = connection
        .query_row(table, [], |_| Ok(()))
        .optional()?
        .is_some();
    if !known {
        return Ok(Seen::Ours(0));
    }
    let mut rows =
        connection.prepare("SELECT version, checksum FROM migrations ORDER BY version")?;
    let rows = rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let mut last = 0;
    for row in rows {
        let (version, checksum): (u32, String) = row?;
        match MIGRATIONS.get(last as usize) {
            Some(ours) if ours.version == version && ours.checksum() == checksum => last = version,
            Some(_) => return Ok(Seen::Other(version)),
            None => return Ok(Seen::Newer(version)),
        }
    }
    Ok(Seen::Ours(last))
}

/// Carries out what the file has not seen, each as a whole or not at all.
pub(super) fn apply(connection: &mut Connection, seen: u32) -> rusqlite::Result<()> {
    for migration in &MIGRATIONS[seen as usize..] {
        let change = connection.transaction()?;
        change.execute_batch(
            "CREATE TABLE IF NOT EXISTS migrations (
                version INTEGER PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL
            ) STRICT",
        )?;
        change.execute_batch(migration.sql)?;
        change.execute(
            "INSERT INTO migrations (version, name, checksum) VALUES (?1, ?2, ?3)",
            params![migration.version, migration.name, migration.checksum()],
        )?;
        change.commit()?;
        tracing::info!(
            store.version = migration.version,
            migration = migration.name,
            "store migrated"
        );
    }
    Ok(())
}

impl Migration {
    fn checksum(&self) -> String {
        let sum = Sha256::digest(self.sql.as_bytes());
        sum.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn migrations_are_numbered_from_one_without_gaps() {
        for (migration, version) in MIGRATIONS.iter().zip(1..) {
            assert_eq!(migration.version, version, "{}", migration.name);
        }
    }

    #[test]
    fn what_was_released_has_not_changed() {
        let released = ["345a300b15c78f2fca3479d9e81e0c0e3ab339744741a11de0a9247ba42eed3b"];
        let ours: Vec<_> = MIGRATIONS.iter().map(Migration::checksum).collect();
        assert_eq!(ours, released);
    }
}
