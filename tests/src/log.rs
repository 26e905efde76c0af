//! What processes write, line by line, waited for and kept.

use crate::LIMIT;
use serde_json::Value;
use std::{
    fs::File,
    io::{BufRead, BufReader, Read, Write},
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex, MutexGuard},
    time::{Duration, Instant},
};

/// The lines a process has written, from all its lives.
#[derive(Debug, Default)]
pub struct Log {
    lines: Mutex<Vec<String>>,
    more: Condvar,
}

impl Log {
    /// All lines so far.
    pub fn lines(&self) -> Vec<String> {
        lock(&self.lines).clone()
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        lock(&self.lines).len()
    }

    fn push(&self, line: String) {
        lock(&self.lines).push(line);
        self.more.notify_all();
    }

    /// Waits for a line from the `from`th on, until `ended` says why there will be none.
    pub fn wait(
        &self,
        mut from: usize,
        mut is_it: impl FnMut(&Value) -> bool,
        mut ended: impl FnMut() -> Option<String>,
    ) -> Result<Value, String> {
        let until = Instant::now() + LIMIT;
        let mut lines = lock(&self.lines);
        loop {
            for line in lines.get(from..).unwrap_or_default() {
                from += 1;
                let line = serde_json::from_str(line).unwrap_or_default();
                if is_it(&line) {
                    return Ok(line);
                }
            }
            if Instant::now() > until {
                return Err(format!("not within {LIMIT:?}"));
            }
            // The end of a process is no line, so it is looked for now and then.
            let pause = Duration::from_millis(200);
            let (again, waited) = self
                .more
                .wait_timeout(lines, pause)
                .unwrap_or_else(|poisoned| poisoned.into_inner());
            lines = again;
            if waited.timed_out() && lines.len() <= from {
                drop(lines);
                if let Some(why) = ended() {
                    return Err(why);
                }
                lines = lock(&self.lines);
            }
        }
    }
}

/// Reads lines into the log until the stream ends.
pub fn follow(
    stream: Option<impl Read + Send + 'static>,
    log: &Arc<Log>,
) -> std::thread::JoinHandle<()> {
    let log = log.clone();
    std::thread::spawn(move || {
        let Some(stream) = stream else { return };
        let mut reader = BufReader::new(stream);
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
            log.push(String::from_utf8_lossy(&line).trim_end().to_owned());
            line.clear();
        }
    })
}

/// Keeps a log where people look after a failed run.
pub fn keep(name: &str, lines: &[String]) -> std::io::Result<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join(".logs");
    std::fs::create_dir_all(&directory)?;
    let path = directory.join(format!("{name}.log"));
    let mut file = File::create(&path)?;
    for line in lines {
        writeln!(file, "{line}")?;
    }
    Ok(path)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A test that failed while holding it has said so itself.
    mutex
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner())
}
