//! What the machine says: processor time, memory, and waiting for a processor.

use std::time::Duration;

use anyhow::Context;
use procfs::process::Process;
use serde::Serialize;

use crate::http::Http;

/// Where the servers' use of the machine can be read.
#[derive(Debug)]
pub struct Servers {
    pids: Vec<i32>,
    admins: Vec<Http>,
}

/// Use of the machine up to a moment, over all processes asked about.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Usage {
    /// Processor time.
    pub cpu: Duration,
    /// Resident memory.
    pub resident_bytes: u64,
    /// Time spent ready to run, waiting for a processor.
    pub waited: Duration,
}

impl Servers {
    /// Processes of this machine, and admin addresses with Prometheus metrics.
    pub fn new(pids: &[i32], admins: &[String]) -> anyhow::Result<Self> {
        let admins = admins
            .iter()
            .map(|url| Http::new(url))
            .collect::<anyhow::Result<_>>()?;
        Ok(Servers {
            pids: pids.to_vec(),
            admins,
        })
    }

    /// Whether there is anything to ask.
    pub fn is_empty(&self) -> bool {
        self.pids.is_empty() && self.admins.is_empty()
    }

    /// The sum over all that still answer; a process may have been killed on purpose.
    pub async fn usage(&self) -> Usage {
        let mut sum = Usage::default();
        for pid in &self.pids {
            if let Ok(usage) = of_process(*pid) {
                sum.add(usage);
            }
        }
        for admin in &self.admins {
            if let Ok(metrics) = admin.text("/metrics").await {
                sum.add(of_metrics(&metrics));
            }
        }
        sum
    }

    /// Refuses what can't be measured, before the run rather than after it.
    pub async fn check(&self) -> anyhow::Result<()> {
        for pid in &self.pids {
            of_process(*pid).with_context(|| format!("process {pid} can't be measured"))?;
        }
        for admin in &self.admins {
            admin
                .text("/metrics")
                .await
                .with_context(|| format!("metrics of {}", admin.base()))?;
        }
        Ok(())
    }
}

impl Usage {
    fn add(&mut self, other: Usage) {
        self.cpu += other.cpu;
        self.resident_bytes += other.resident_bytes;
        self.waited += other.waited;
    }

    /// What was used since an earlier moment.
    pub fn since(&self, earlier: &Usage) -> Usage {
        Usage {
            cpu: self.cpu.saturating_sub(earlier.cpu),
            resident_bytes: self.resident_bytes,
            waited: self.waited.saturating_sub(earlier.waited),
        }
    }

    /// The share of the wish to run that was spent waiting; none if, over this time, that was
    /// too little to matter.
    pub fn wait_share(&self, over: Duration) -> f64 {
        if self.waited < over / 10 {
            return 0.0;
        }
        self.waited.as_secs_f64() / (self.cpu + self.waited).as_secs_f64().max(1e-9)
    }
}

/// What this process used so far.
pub fn ours() -> anyhow::Result<Usage> {
    of_process(i32::try_from(std::process::id())?)
}

/// Resident memory of one of our processes' threads is that of all, so it is read once.
fn of_process(pid: i32) -> anyhow::Result<Usage> {
    let process = Process::new(pid)?;
    let stat = process.stat()?;
    let ticks = (stat.utime + stat.stime) as f64;
    let waited = process
        .tasks()?
        .flatten()
        .filter_map(|task| task.schedstat().ok())
        .map(|stat| Duration::from_nanos(stat.run_delay))
        .sum();
    Ok(Usage {
        cpu: Duration::from_secs_f64(ticks / procfs::ticks_per_second() as f64),
        resident_bytes: stat.rss * procfs::page_size(),
        waited,
    })
}

/// Reads the two lines that Prometheus clients agree upon.
fn of_metrics(metrics: &str) -> Usage {
    let value = |name: &str| {
        metrics
            .lines()
            .filter_map(|line| line.strip_prefix(name)?.trim().parse::<f64>().ok())
            .find(|value| value.is_finite() && *value >= 0.0)
            .unwrap_or(0.0)
    };
    Usage {
        cpu: Duration::from_secs_f64(value("process_cpu_seconds_total ")),
        resident_bytes: value("process_resident_memory_bytes ") as u64,
        waited: Duration::ZERO,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_use_is_readable() {
        let before = ours().unwrap();
        assert!(before.resident_bytes > 1_000_000);
        let begun = std::time::Instant::now();
        while ours().unwrap().since(&before).cpu.is_zero() {
            assert!(
                begun.elapsed() < Duration::from_secs(30),
                "processor time stands still"
            );
        }
    }

    #[test]
    fn metrics_are_read_by_name() {
        let usage = of_metrics(
            "# HELP process_cpu_seconds_total x\nprocess_cpu_seconds_total 1.5\n\
             process_resident_memory_bytes 2048\n",
        );
        assert_eq!(
            (usage.cpu, usage.resident_bytes),
            (Duration::from_millis(1_500), 2_048)
        );
        assert_eq!(of_metrics("nothing"), Usage::default());
    }

    #[test]
    fn waiting_is_a_share_of_the_wish_to_run() {
        let second = Duration::from_secs(1);
        let usage = Usage {
            cpu: second,
            waited: second * 3,
            resident_bytes: 0,
        };
        assert!((usage.wait_share(second) - 0.75).abs() < 1e-9);
        assert_eq!(usage.wait_share(second * 31), 0.0);
        assert_eq!(Usage::default().wait_share(second), 0.0);
    }

    #[tokio::test]
    async fn a_process_that_is_not_there_is_refused() {
        let servers = Servers::new(&[i32::MAX], &[]).unwrap();
        assert!(servers.check().await.is_err());
        assert_eq!(servers.usage().await, Usage::default());
    }
}
