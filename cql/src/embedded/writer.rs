//! The one thread that writes, and commits what has gathered.
//!
//! Each write runs in a savepoint of its own, so one that fails undoes nothing of its company.
//! All are answered after the commit, which returns when the disk has it.

use super::failure;
use super::lock::Lock;
use super::metric::{COMMITS, QUEUED};
use crate::StoreError;
use rusqlite::Connection;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use tokio::sync::{mpsc, oneshot};

/// How many writes may wait for the next commit. A disk that is so far behind will not have
/// caught up within a request's time.
const QUEUE_MAX: usize = 4_096;

/// How many writes share one commit at most, so that the first of them does not wait for long.
const GROUP_MAX: usize = 512;

#[derive(Debug)]
pub(super) struct Writer {
    running: Mutex<Option<Running>>,
    commits: Arc<AtomicU64>,
}

#[derive(Debug)]
struct Running {
    queue: mpsc::Sender<Box<dyn Job>>,
    thread: JoinHandle<()>,
}

impl Writer {
    /// Starts the thread, which holds the lock until the file is closed.
    pub(super) fn start(connection: Connection, lock: Lock) -> std::io::Result<Self> {
        let (queue, jobs) = mpsc::channel(QUEUE_MAX);
        let commits = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&commits);
        let thread = std::thread::Builder::new()
            .name("ting-store-writer".to_owned())
            .spawn(move || run(connection, lock, jobs, &counted))?;
        Ok(Writer {
            running: Mutex::new(Some(Running { queue, thread })),
            commits,
        })
    }

    /// Makes a change durable, all of it or nothing, and answers what it gave.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        change: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        let job = Box::new(Change {
            change: Some(change),
            answer: None,
            reply,
        });
        self.queue()?.try_send(job).map_err(|error| {
            StoreError::Unavailable(match error {
                mpsc::error::TrySendError::Full(_) => "too many writes wait".to_owned(),
                mpsc::error::TrySendError::Closed(_) => "the writer has ended".to_owned(),
            })
        })?;
        metrics::gauge!(QUEUED).increment(1);
        answer
            .await
            .unwrap_or_else(|_| Err(StoreError::Unknown("the writer has ended".to_owned())))
    }

    /// How many commits there were.
    pub(super) fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }

    /// Ends the thread after what is queued, and waits for it.
    pub(super) fn stop(&self) {
        let Some(running) = self.take() else { return };
        drop(running.queue);
        self.tell_end(running.thread.join().is_ok());
    }

    /// The same, for those who may not wait where they are.
    pub(super) async fn close(&self) {
        let Some(running) = self.take() else { return };
        drop(running.queue);
        let ended = tokio::task::spawn_blocking(|| running.thread.join()).await;
        self.tell_end(matches!(ended, Ok(Ok(()))));
    }

    fn tell_end(&self, clean: bool) {
        if clean {
            tracing::debug!(store.commits = self.commits(), "store closed");
        } else {
            tracing::error!("the store's writer broke down");
        }
    }

    fn queue(&self) -> Result<mpsc::Sender<Box<dyn Job>>, StoreError> {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        match &*running {
            Some(running) => Ok(running.queue.clone()),
            None => Err(StoreError::Unavailable("it is closed".to_owned())),
        }
    }

    fn take(&self) -> Option<Running> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.take()
    }
}

/// A write in the queue.
trait Job: Send {
    /// Whether anybody still waits for it.
    fn is_wanted(&self) -> bool;
    /// Carries it out; after a failure all it did must be undone.
    fn run(&mut self, connection: &Connection) -> Result<(), StoreError>;
    /// Answers, after the commit or its failure.
    fn answer(self: Box<Self>, committed: Result<(), StoreError>);
}

struct Change<T, F> {
    change: Option<F>,
    answer: Option<Result<T, StoreError>>,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

impl<T, F> Job for Change<T, F>
where
    T: Send,
    F: FnOnce(&Connection) -> Result<T, StoreError> + Send,
{
    fn is_wanted(&self) -> bool {
        !self.reply.is_closed()
    }

    fn run(&mut self, connection: &Connection) -> Result<(), StoreError> {
        let Some(change) = self.change.take() else {
            return Ok(());
        };
        let answer = change(connection);
        let outcome = answer.as_ref().map(drop).map_err(Clone::clone);
        self.answer = Some(answer);
        outcome
    }

    fn answer(self: Box<Self>, committed: Result<(), StoreError>) {
        let answer = match (self.answer, committed) {
            // It failed by itself, and says so better than the commit could.
            (Some(Err(error)), _) | (_, Err(error)) => Err(error),
            (Some(answer), Ok(())) => answer,
            (None, Ok(())) => Err(StoreError::Unavailable("it was not begun".to_owned())),
        };
        // Who has given up meanwhile doesn't want it.
        let _ = self.reply.send(answer);
    }
}

fn run(
    connection: Connection,
    lock: Lock,
    mut jobs: mpsc::Receiver<Box<dyn Job>>,
    commits: &AtomicU64,
) {
    while let Some(first) = jobs.blocking_recv() {
        let mut group = vec![first];
        while group.len() < GROUP_MAX
            && let Ok(job) = jobs.try_recv()
        {
            group.push(job);
        }
        metrics::gauge!(QUEUED).decrement(group.len() as f64);
        group.retain(|job| job.is_wanted());
        if group.is_empty() {
            continue;
        }
        let committed = commit(&connection, &mut group);
        if committed.is_ok() {
            commits.fetch_add(1, Ordering::Relaxed);
            metrics::counter!(COMMITS).increment(1);
        }
        for job in group {
            job.answer(committed.clone());
        }
    }
    if let Err((_, error)) = connection.close() {
        tracing::warn!(error = %error, "closing the store failed");
    }
    drop(lock);
}

fn commit(connection: &Connection, group: &mut [Box<dyn Job>]) -> Result<(), StoreError> {
    let outcome = carry_out(connection, group);
    if !connection.is_autocommit()
        && let Err(error) = execute(connection, "ROLLBACK")
    {
        tracing::error!(error = %error, "undoing a group of writes failed");
    }
    outcome
}

fn carry_out(connection: &Connection, group: &mut [Box<dyn Job>]) -> Result<(), StoreError> {
    execute(connection, "BEGIN IMMEDIATE")?;
    for job in group {
        execute(connection, "SAVEPOINT one")?;
        if let Err(error) = job.run(connection) {
            if connection.is_autocommit() {
                // A full or broken disk: SQLite has undone the company as well.
                return Err(error);
            }
            execute(connection, "ROLLBACK TO one")?;
        }
        execute(connection, "RELEASE one")?;
    }
    execute(connection, "COMMIT").map_err(failure::of_commit)
}

fn execute(connection: &Connection, sql: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(sql)?.execute([])?;
    Ok(())
}
