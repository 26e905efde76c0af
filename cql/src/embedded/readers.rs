//! The connections that read beside the writer, each seeing all that was acknowledged.

use crate::StoreError;
use rusqlite::{Connection, OpenFlags};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Semaphore;

/// How many read at the same time; reads come out of memory, so more would wait for a core.
const CONNECTIONS: usize = 4;

/// How many may wait for a connection: a second's worth. Past it, an answer would come too late.
const WAITING_MAX: usize = 4_096;

/// Statements that stay prepared; more than there are.
pub(super) const STATEMENTS: usize = 64;

#[derive(Debug)]
pub(super) struct Readers {
    free: Arc<Semaphore>,
    connections: Arc<Mutex<Vec<Connection>>>,
    waiting: AtomicUsize,
}

impl Readers {
    pub(super) fn open(path: &Path) -> rusqlite::Result<Self> {
        let connections = (0..CONNECTIONS)
            .map(|_| {
                let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
                let connection = Connection::open_with_flags(path, flags)?;
                connection.busy_timeout(super::file::BUSY)?;
                connection.set_prepared_statement_cache_capacity(STATEMENTS);
                Ok(connection)
            })
            .collect::<rusqlite::Result<Vec<_>>>()?;
        Ok(Readers {
            free: Arc::new(Semaphore::new(CONNECTIONS)),
            connections: Arc::new(Mutex::new(connections)),
            waiting: AtomicUsize::new(0),
        })
    }

    /// Looks something up, on a thread where waiting for the disk holds up nobody.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let permit = {
            let _waiting = Waiting::begin(&self.waiting)?;
            let free = Arc::clone(&self.free);
            free.acquire_owned().await.map_err(|_| closed())?
        };
        let connections = Arc::clone(&self.connections);
        let read = tokio::task::spawn_blocking(move || {
            let connection = hold(&connections).pop().ok_or_else(closed)?;
            let answer = look(&connection);
            hold(&connections).push(connection);
            drop(permit);
            answer
        });
        read.await
            .unwrap_or_else(|error| Err(StoreError::Unavailable(format!("a read ended: {error}"))))
    }

    /// Waits for the reads under way, then closes every connection.
    pub(super) async fn close(&self) {
        // Refused only when it was closed before, and then there is nothing to wait for.
        let _all = self.free.acquire_many(CONNECTIONS as u32).await;
        self.forget();
    }

    /// Closes every connection that isn't reading.
    pub(super) fn forget(&self) {
        self.free.close();
        hold(&self.connections).clear();
    }
}

fn closed() -> StoreError {
    StoreError::Unavailable("it is closed".to_owned())
}

fn hold(connections: &Mutex<Vec<Connection>>) -> std::sync::MutexGuard<'_, Vec<Connection>> {
    // A list of connections is whole even if a thread ended while it had the lock.
    connections.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One who waits for a connection, counted out also when giving up.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn begin(count: &'a AtomicUsize) -> Result<Self, StoreError> {
        let waiting = Waiting(count);
        if count.fetch_add(1, Ordering::Relaxed) < WAITING_MAX {
            Ok(waiting)
        } else {
            Err(StoreError::Unavailable("too many reads wait".to_owned()))
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
