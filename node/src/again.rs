//! Coming back after the other nodes have gone on without this one.
//!
//! The process replaces itself: every socket is closed with it, nothing of the old member is
//! left, and the new one has the same ports, the same process id and a new name. Who is put out
//! again and again pauses for longer and longer.

use anyhow::Context;
use cluster_config::Backoff;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

/// How many times in a row this process was put out before, in its environment.
const TIMES: &str = "TING_PUT_OUT";

/// What this process knows of its earlier lives.
#[derive(Debug, Clone, Copy)]
pub struct Again {
    times: u32,
    backoff: Backoff,
    pause: Duration,
}

impl Again {
    /// Reads it.
    pub fn of_environment() -> Self {
        let times = std::env::var(TIMES).ok();
        Again::after(times.and_then(|times| times.parse().ok()).unwrap_or(0))
    }

    fn after(times: u32) -> Self {
        let mut backoff = Backoff::default();
        let mut pause = Duration::ZERO;
        for _ in 0..times.min(16) {
            pause = backoff.pause(Duration::ZERO);
        }
        Again {
            times,
            backoff,
            pause,
        }
    }

    /// How long to stay away before joining.
    pub fn pause(&self) -> Duration {
        self.pause
    }

    /// The count for the next life, after having been up for so long.
    fn times_after(mut self, up: Duration) -> u32 {
        let first = Backoff::default().pause(Duration::ZERO);
        if self.backoff.pause(up) == first {
            1
        } else {
            self.times + 1
        }
    }

    /// Starts this program anew in this process; returns only if that fails.
    pub fn start(
        self,
        listening: &[(&'static str, SocketAddr)],
        up: Duration,
    ) -> anyhow::Result<()> {
        let mut command = Command::new(program()?);
        command.args(std::env::args_os().skip(1));
        command.env(TIMES, self.times_after(up).to_string());
        for (key, address) in listening {
            let name = format!("TING_{}", key.to_uppercase().replace('.', "__"));
            command.env(name, address.to_string());
        }
        let failed: Result<Infallible, _> = Err(command.exec());
        failed
            .map(|_| ())
            .context("this program can't be started again")
    }
}

/// This program, also after another one was put in its place: that one is started by who did so.
fn program() -> anyhow::Result<PathBuf> {
    let path = std::env::current_exe().context("this program is not found any more")?;
    if cfg!(target_os = "linux") && !path.exists() {
        return Ok(PathBuf::from("/proc/self/exe"));
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_over_lives_and_begin_anew_after_a_long_one() {
        let short = Duration::from_secs(5);
        let (mut times, mut pauses) = (0, Vec::new());
        for _ in 0..4 {
            let again = Again::after(times);
            pauses.push(again.pause().as_secs());
            times = again.times_after(short);
        }
        assert_eq!(pauses, [0, 1, 2, 4]);
        let times = Again::after(times).times_after(Duration::from_secs(600));
        assert_eq!(Again::after(times).pause().as_secs(), 1);
    }
}
