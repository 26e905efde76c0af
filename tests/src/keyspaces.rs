//! Keyspaces of the database that a run of the suite is about, each for one server at a time.
//!
//! To make one takes seconds, and a database carries a few dozen of them on a small machine; so
//! what a test has left is used by another. Names are such that yesterday's are in nobody's way.

use crate::names;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long one is left alone after its server was killed: such a server is thought to be there
/// for six seconds.
const REST: Duration = Duration::from_secs(8);

static IDLE: Mutex<Vec<(Instant, String)>> = Mutex::new(Vec::new());

/// A keyspace that is one server's until this is dropped.
#[derive(Debug)]
pub struct Keyspace {
    name: String,
    is_new: bool,
}

impl Keyspace {
    /// One that nobody uses.
    pub fn take() -> Self {
        let mut idle = idle();
        let rested = idle.iter().position(|(since, _)| since.elapsed() >= REST);
        match rested.map(|position| idle.remove(position)) {
            Some((_, name)) => Keyspace {
                name,
                is_new: false,
            },
            None => Keyspace::fresh(),
        }
    }

    /// One in which nothing ever was. It is given back as it is left.
    pub fn fresh() -> Self {
        Keyspace {
            name: names::unique("ting").replace('-', "_"),
            is_new: true,
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it has to be made.
    pub fn is_new(&self) -> bool {
        self.is_new
    }

    /// It was made.
    pub fn made(&mut self) {
        self.is_new = false;
    }
}

impl Drop for Keyspace {
    fn drop(&mut self) {
        let name = std::mem::take(&mut self.name);
        // What came to nothing is nothing for another test.
        if !self.is_new {
            idle().push((Instant::now(), name));
        }
    }
}

fn idle() -> MutexGuard<'static, Vec<(Instant, String)>> {
    IDLE.lock().unwrap_or_else(PoisonError::into_inner)
}
