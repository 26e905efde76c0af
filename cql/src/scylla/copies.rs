//! A whole embedded store, copied into an empty keyspace.
//!
//! Nobody serves either of the two meanwhile. How far it came stands in `copies`, under what the
//! file says of its own state: a copy that was killed goes on there, and of a file that was used
//! since another one has to be made. While a copy is not whole nobody is served out of it:
//! [`CqlStore::connect`] refuses. How rows are written is in [`rows`].

mod count;
mod rows;

use super::link::Link;
use super::{ConnectError, CqlStore};
use crate::copy::{Lifetimes, Row, Table};
use crate::embedded::Source;
use crate::{Millis, StoreError};
use futures::{StreamExt, TryStreamExt, stream};
use rows::Writer;
use scylla::client::session::Session;
use scylla::errors::PrepareError;
use scylla::statement::Consistency;
use scylla::statement::prepared::PreparedStatement;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Rows that are on their way at once.
const AT_ONCE: usize = 64;
/// How long a database that does not answer is asked again.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long to wait before that.
const PAUSE: Duration = Duration::from_millis(500);

/// How long the count of one table may take, in milliseconds: what ends within is left out of both.
const COUNTING: Millis = 600_000;

/// LOCAL_QUORUM, after the rows it counts.
const CAME_TO: &str =
    "INSERT INTO copies (part, source, subject, done) VALUES (0, ?, ?, ?) USING TIMESTAMP ?";
/// LOCAL_QUORUM: what was noted is there.
const SO_FAR: &str = "SELECT source, subject, done FROM copies WHERE part = 0";
/// What is noted first of a copy, with 1, and last, with 0.
const UNFINISHED: &str = "unfinished";

/// LOCAL_QUORUM: whether anything stands there.
const ANY: [&str; 5] = [
    "SELECT number FROM slots LIMIT 1",
    "SELECT name FROM cluster_keys LIMIT 1",
    "SELECT id FROM users LIMIT 1",
    "SELECT name FROM channels LIMIT 1",
    "SELECT message_id FROM message_index LIMIT 1",
];

/// Why a store is not copied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CopyError {
    /// Something is there that is not of this copy.
    #[error("the keyspace is not empty: a copy is made into one that no ting has used")]
    NotEmpty,
    /// A copy was begun that is not this one.
    #[error(
        "the keyspace holds the copy of another file, or of this one before a ting used it again: \
         make the copy into an empty keyspace"
    )]
    Other,
    /// One of the stores failed; to begin again goes on.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The database does not know a statement.
    #[error("the database refuses a statement: {0}")]
    Refused(String),
}

impl From<PrepareError> for CopyError {
    fn from(error: PrepareError) -> Self {
        CopyError::Refused(error.to_string())
    }
}

/// How far a table has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Which.
    pub table: Table,
    /// Rows that were looked at.
    pub done: u64,
    /// Rows there are.
    pub of: u64,
}

/// A table of both stores, counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counted {
    /// Which.
    pub table: Table,
    /// Rows of the file that have not outlived their time.
    pub there: u64,
    /// Such rows of the keyspace.
    pub here: u64,
}

/// Refuses a keyspace into which a copy was begun and not finished.
pub(super) async fn insist_on_whole(session: &Session) -> Result<(), ConnectError> {
    let mut so_far = session.prepare(SO_FAR).await?;
    so_far.set_consistency(Consistency::LocalQuorum);
    so_far.set_is_idempotent(true);
    let rows = session.execute_unpaged(&so_far, ()).await?;
    let unreadable = |error: &dyn std::fmt::Display| ConnectError::Unreachable(error.to_string());
    let rows = rows.into_rows_result().map_err(|e| unreadable(&e))?;
    for row in rows.rows::<Note>().map_err(|e| unreadable(&e))? {
        let (_, subject, done) = row.map_err(|e| unreadable(&e))?;
        if subject == UNFINISHED && done > 0 {
            return Err(ConnectError::HalfCopied);
        }
    }
    Ok(())
}

impl CqlStore {
    /// Copies an embedded store, or goes on with a copy of it; tells how far it is, and counts
    /// both in the end. Rows that have outlived their time stay behind.
    pub async fn copy_from(
        &self,
        source: &Source,
        told: impl FnMut(Progress) + Send,
    ) -> Result<Vec<Counted>, CopyError> {
        let copy = Copy::prepare(self, source).await?;
        copy.run(told).await?;
        let mut counted = Vec::new();
        for table in Table::ALL {
            // The database drops rows while they are counted, the file does not.
            let mut life = self.lifetimes().await?;
            life.now += COUNTING;
            counted.push(Counted {
                table,
                there: copy.count_there(table, life).await?,
                here: count::count(&self.link, table, life).await?,
            });
        }
        Ok(counted)
    }

    async fn lifetimes(&self) -> Result<Lifetimes, StoreError> {
        Ok(Lifetimes {
            now: crate::Store::now(self).await?,
            retention: self.messages.retention(),
        })
    }
}

/// Of what copy, of what in it, and how many rows are done.
type Note = (String, String, i64);

/// One copy under way.
struct Copy<'a> {
    link: Arc<Link>,
    source: &'a Source,
    state: String,
    /// How many rows of each table are copied.
    done: HashMap<String, u64>,
    writer: Writer<'a>,
    came_to: PreparedStatement,
}

impl<'a> Copy<'a> {
    async fn prepare(store: &'a CqlStore, source: &'a Source) -> Result<Self, CopyError> {
        let link = &store.link;
        let state = source.state()?;
        let so_far = link.prepare_read(SO_FAR).await?;
        let so_far: Vec<Note> = link.rows(&so_far, ()).await?;
        if so_far.iter().any(|(source, ..)| *source != state) {
            return Err(CopyError::Other);
        }
        let copy = Copy {
            writer: Writer::prepare(store, source, store.lifetimes().await?).await?,
            came_to: link.prepare_write(CAME_TO).await?,
            done: so_far
                .into_iter()
                .map(|(_, subject, done)| (subject, u64::try_from(done).unwrap_or(0)))
                .collect(),
            link: Arc::clone(link),
            source,
            state,
        };
        if copy.done.is_empty() {
            copy.insist_on_empty().await?;
        }
        if copy.done.get(UNFINISHED) != Some(&0) {
            // From here on what is in the keyspace is this copy's, and not whole.
            copy.note(UNFINISHED, 1).await?;
        }
        Ok(copy)
    }

    async fn insist_on_empty(&self) -> Result<(), CopyError> {
        for cql in ANY {
            let any = self.link.prepare_read(cql).await?;
            let rows: Vec<scylla::value::Row> = self.link.rows(&any, ()).await?;
            if !rows.is_empty() {
                return Err(CopyError::NotEmpty);
            }
        }
        Ok(())
    }

    async fn run(&self, mut told: impl FnMut(Progress) + Send) -> Result<(), CopyError> {
        for table in Table::ALL {
            if table == Table::Messages {
                self.writer.open_buckets().await?;
            }
            let of = self.source.count(table)?;
            let mut done = self.done.get(table.as_str()).copied().unwrap_or(0);
            let mut chunks = self.source.rows(table, done);
            while let Some(chunk) = chunks.recv().await {
                let chunk = chunk?;
                let rows = chunk.len() as u64;
                stream::iter(chunk)
                    .map(Ok)
                    .try_for_each_concurrent(AT_ONCE, |row| self.patiently(row))
                    .await?;
                done += rows;
                self.note(table.as_str(), done).await?;
                told(Progress { table, done, of });
            }
        }
        Ok(self.note(UNFINISHED, 0).await?)
    }

    async fn note(&self, subject: &str, done: u64) -> Result<(), StoreError> {
        let done = i64::try_from(done).unwrap_or(i64::MAX);
        let values = (&self.state, subject, done, self.link.clock.above(0));
        self.link.write(&self.came_to, values).await
    }

    /// Writes a row, again if it must be: once more is the same.
    async fn patiently(&self, row: Row) -> Result<(), StoreError> {
        let until = Instant::now() + PATIENCE;
        loop {
            match self.writer.write(&row).await {
                Err(StoreError::Unavailable(_) | StoreError::Unknown(_))
                    if Instant::now() < until =>
                {
                    tokio::time::sleep(PAUSE).await;
                }
                done => return done,
            }
        }
    }

    async fn count_there(&self, table: Table, life: Lifetimes) -> Result<u64, StoreError> {
        let mut count = 0;
        let mut chunks = self.source.rows(table, 0);
        while let Some(chunk) = chunks.recv().await {
            let kept = chunk?.iter().filter(|row| !life.has_gone(row)).count();
            count += kept as u64;
        }
        Ok(count)
    }
}
