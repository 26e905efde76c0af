//! The embedded store: one SQLite file, for a Ting of one process.
//!
//! One thread writes and a few connections read beside it. What gathers while one commit is on
//! its way to the disk goes with the next, so many senders share one sync; a write is answered
//! when the disk has it. What is asked in SQL stands in one file a subject: `people`,
//! `sign_ins`, `messages` and their neighbours.

mod channels;
mod door;
mod failure;
mod file;
mod inbox;
mod keys;
mod lock;
mod messages;
mod migrations;
mod people;
mod place;
mod readers;
mod rows;
mod sign_ins;
mod slots;
mod source;
mod sweep;
mod writer;

pub use file::{Checked, OpenError};
pub use source::Source;

use crate::{StoreError, metric};
use readers::Readers;
use rusqlite::Connection;
use std::path::Path;
use std::time::Duration;
use writer::Writer;

/// All that Ting keeps, in one file.
#[derive(Debug)]
pub struct EmbeddedStore {
    writer: Writer,
    readers: Readers,
    retention: Option<Duration>,
}

impl EmbeddedStore {
    /// Opens the store in that file, which is made if it is not there, and brings it to this
    /// version's schema. [`Store::sweep`](crate::Store::sweep) forgets messages older than
    /// `retention`; none keeps them for ever.
    ///
    /// A file that this version can't serve is refused and stays as it is.
    pub fn open(path: &Path, retention: Option<Duration>) -> Result<Self, OpenError> {
        metric::describe();
        let (lock, connection) = file::open(path)?;
        let readers = Readers::open(path).map_err(|error| file::refused(path, error))?;
        let writer = Writer::start(connection, lock).map_err(|error| OpenError::Unusable {
            path: path.to_owned(),
            why: format!("its writer can't be started: {error}"),
        })?;
        Ok(EmbeddedStore {
            writer,
            readers,
            retention,
        })
    }

    /// Tells what [`EmbeddedStore::open`] would find, the whole file read through, and changes
    /// nothing.
    pub fn check(path: &Path) -> Result<Checked, OpenError> {
        file::check(path)
    }

    /// Brings the file to this version's schema, makes it if it is not there, and closes it.
    pub fn migrate(path: &Path) -> Result<(), OpenError> {
        let (_lock, connection) = file::open(path)?;
        connection
            .close()
            .map_err(|(_, error)| file::refused(path, error))
    }

    /// Ends what is under way, folds the write-ahead log into the file and lets go of it.
    /// Whatever is asked afterwards is refused. Dropping the store does the same.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }

    async fn write<T: Send + 'static>(
        &self,
        operation: &'static str,
        change: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        metric::timed(operation, self.writer.write(change)).await
    }

    async fn read<T: Send + 'static>(
        &self,
        operation: &'static str,
        look: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        metric::timed(operation, self.readers.read(look)).await
    }
}

impl Drop for EmbeddedStore {
    fn drop(&mut self) {
        // Readers first: who closes last folds the log into the file, and only the writer can.
        self.readers.forget();
        self.writer.stop();
    }
}

#[cfg(test)]
mod tests;
