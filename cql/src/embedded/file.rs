//! The file: looked at first, changed only when it is ours and whole.

use super::lock::Lock;
use super::migrations::{self, CURRENT, Seen};
use super::place::{
    first_bytes, make_directory, make_file, no_lock, place_for, unusable, writable,
};
use super::{failure, readers};
use rusqlite::{Connection, OpenFlags};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long SQLite waits for another of our connections, which never hold it up for long.
pub(super) const BUSY: Duration = Duration::from_secs(5);

/// The log may keep this many bytes after a burst; a larger one is cut.
const LOG_BYTES_MAX: i64 = 64 << 20;

/// Files up to this size are read through when the store is opened, which takes a second at
/// most. [`check`] reads through any file.
const READ_THROUGH_BYTES_MAX: u64 = 256 << 20;

/// SQLite's mark of whose file it is: "Ting".
const APPLICATION: i32 = 0x5469_6e67;

/// What every SQLite file begins with.
const HEADER: &[u8; 16] = b"SQLite format 3\0";

/// Why a file is not opened. It stays as it was.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it, or this one has opened it already.
    #[error("{} is in use by another ting", path.display())]
    InUse {
        /// Where the file is.
        path: PathBuf,
    },
    /// It can't be made, read or written there.
    #[error("{} can't be used: {why}", path.display())]
    Unusable {
        /// The file or its directory.
        path: PathBuf,
        /// What the system says.
        why: String,
    },
    /// A newer version has written it.
    #[error(
        "{} was written by a newer ting: its schema is version {found}, this one knows {CURRENT}",
        path.display()
    )]
    Newer {
        /// Where the file is.
        path: PathBuf,
        /// Its schema's version.
        found: u32,
    },
    /// It is no store of Ting's.
    #[error("{} is not a store of ting's: {why}", path.display())]
    Foreign {
        /// Where the file is.
        path: PathBuf,
        /// What shows it.
        why: String,
    },
    /// It was one, and can't be read any more.
    #[error("{} is damaged: {why}", path.display())]
    Damaged {
        /// Where the file is.
        path: PathBuf,
        /// What SQLite says.
        why: String,
    },
}

/// What stands at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checked {
    /// Nothing yet; a store will be made there.
    Absent,
    /// A store that is whole.
    Store {
        /// Its schema's version.
        version: u32,
        /// The version this build brings it to.
        current: u32,
    },
}

/// Tells what stands at the path, and changes nothing.
pub(super) fn check(path: &Path) -> Result<Checked, OpenError> {
    let _lock = Lock::take_existing(path).map_err(|no| no_lock(path, no))?;
    match look(path, u64::MAX)? {
        Some(version) => {
            writable(path)?;
            let current = CURRENT;
            Ok(Checked::Store { version, current })
        }
        None => {
            place_for(path)?;
            Ok(Checked::Absent)
        }
    }
}

/// Opens the file for writing, made and brought to this version where it has to be.
pub(super) fn open(path: &Path) -> Result<(Lock, Connection), OpenError> {
    // What can be refused without making anything is refused first.
    look_at_kind(path)?;
    make_directory(path)?;
    let lock = Lock::take(path).map_err(|no| no_lock(path, no))?;
    let seen = look(path, READ_THROUGH_BYTES_MAX)?;
    if seen.is_some() {
        writable(path)?;
    } else {
        make_file(path)?;
    }
    let connection = set_up(path, seen.unwrap_or(0)).map_err(|error| refused(path, error))?;
    Ok((lock, connection))
}

/// What a failure says of the file.
pub(super) fn refused(path: &Path, error: rusqlite::Error) -> OpenError {
    let (path, why) = (path.to_owned(), error.to_string());
    if failure::means_damage(&error) {
        OpenError::Damaged { path, why }
    } else {
        OpenError::Unusable { path, why }
    }
}

fn set_up(path: &Path, seen: u32) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY)?;
    connection.set_prepared_statement_cache_capacity(readers::STATEMENTS);
    if seen == 0 {
        connection.pragma_update(None, "application_id", APPLICATION)?;
    }
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "journal_size_limit", LOG_BYTES_MAX)?;
    migrations::apply(&mut connection, seen)?;
    Ok(connection)
}

/// The version of the schema that stands there; none if nothing does.
fn look(path: &Path, read_through_max: u64) -> Result<Option<u32>, OpenError> {
    let Some(length) = look_at_kind(path)? else {
        return Ok(None);
    };
    // Before SQLite has it: closing a file ends the locks that this process has on it.
    if first_bytes(path)? != *HEADER {
        return Err(OpenError::Damaged {
            path: path.to_owned(),
            why: "it does not begin as a database does".to_owned(),
        });
    }
    let connection = read_only(path).map_err(|error| refused(path, error))?;
    look_inside(&connection, path, length <= read_through_max).map(Some)
}

/// The file's length, if there is one that isn't empty. An empty one is what a first start leaves
/// that was interrupted.
fn look_at_kind(path: &Path) -> Result<Option<u64>, OpenError> {
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unusable(path, &error)),
    };
    let foreign = |why: &str| OpenError::Foreign {
        path: path.to_owned(),
        why: why.to_owned(),
    };
    if metadata.is_dir() {
        return Err(foreign("it is a directory"));
    }
    if !metadata.is_file() {
        return Err(foreign("it is not a file"));
    }
    if metadata.len() == 0 {
        return Ok(None);
    }
    Ok(Some(metadata.len()))
}

fn look_inside(connection: &Connection, path: &Path, through: bool) -> Result<u32, OpenError> {
    let damaged = |why: &str| OpenError::Damaged {
        path: path.to_owned(),
        why: why.to_owned(),
    };
    let failed = |error| refused(path, error);
    let whose: i32 = connection
        .pragma_query_value(None, "application_id", |row| row.get(0))
        .map_err(failed)?;
    let tables: u32 = connection
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .map_err(failed)?;
    if whose != APPLICATION && (whose != 0 || tables > 0) {
        return Err(OpenError::Foreign {
            path: path.to_owned(),
            why: "another program has written it".to_owned(),
        });
    }
    let version = match migrations::seen(connection).map_err(failed)? {
        Seen::Ours(0) if tables > 0 => return Err(damaged("its schema has no version")),
        Seen::Ours(version) => version,
        Seen::Newer(found) => {
            let path = path.to_owned();
            return Err(OpenError::Newer { path, found });
        }
        Seen::Other(version) => {
            return Err(OpenError::Foreign {
                path: path.to_owned(),
                why: format!("its schema's version {version} is not the one of this ting"),
            });
        }
    };
    if through {
        let found: String = connection
            .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
            .map_err(failed)?;
        if found != "ok" {
            return Err(damaged(&found));
        }
    }
    Ok(version)
}

/// A connection that leaves no trace. Where a crash left a log, what the log holds counts too.
fn read_only(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_URI;
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    if fs::metadata(&log).is_ok_and(|log| log.len() > 0) {
        return Connection::open_with_flags(path, flags);
    }
    let Some(name) = path.to_str() else {
        return Connection::open_with_flags(path, flags);
    };
    // Without a log SQLite would make one, if it were not told that nobody writes.
    let escaped = name
        .replace('%', "%25")
        .replace('?', "%3f")
        .replace('#', "%23");
    Connection::open_with_flags(format!("file:{escaped}?immutable=1"), flags)
}
