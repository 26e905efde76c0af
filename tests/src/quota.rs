//! A bound on what a process may take of the machine, by control groups.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Where a controller is, in version 1 or 2: its directory, and the file that bounds.
type Places = [(&'static str, &'static str); 2];

const CPU: Places = [
    ("/sys/fs/cgroup/cpu", "cpu.cfs_quota_us"),
    ("/sys/fs/cgroup", "cpu.max"),
];

const MEMORY: Places = [
    ("/sys/fs/cgroup/memory", "memory.limit_in_bytes"),
    ("/sys/fs/cgroup", "memory.max"),
];

/// Groups of one run have names of their own.
static NEXT: AtomicUsize = AtomicUsize::new(0);

/// A process that gets a share of the machine, until this is dropped.
#[derive(Debug)]
pub struct Quota {
    group: PathBuf,
    root: &'static Path,
}

/// Whether this machine can bound processor time and memory; says so if not.
pub fn is_there() -> bool {
    let is = Quota::made(CPU).is_some() && Quota::made(MEMORY).is_some();
    if !is {
        println!("skipped: no control groups of processor time and memory can be made here");
    }
    is
}

impl Quota {
    /// A tenth of a core for this process.
    pub fn of_a_tenth(pid: u32) -> Quota {
        let (quota, file) = Quota::made(CPU).expect("control groups of processor time");
        // Of a period of a tenth of a second, which version 2 wants to be named.
        let share = match file.ends_with("cpu.max") {
            true => "10000 100000",
            false => "10000",
        };
        quota.holds(&file, share, pid)
    }

    /// So many bytes for what this process takes from now on.
    pub fn of_memory(pid: u32, bytes: usize) -> Quota {
        let (quota, file) = Quota::made(MEMORY).expect("control groups of memory");
        quota.holds(&file, &bytes.to_string(), pid)
    }

    /// A group that holds nothing yet, and the file that bounds it.
    fn made(places: Places) -> Option<(Quota, PathBuf)> {
        places.iter().find_map(|(root, file)| {
            let root = Path::new(*root);
            let count = NEXT.fetch_add(1, Ordering::Relaxed);
            let group = root.join(format!("ting-test-{}-{count}", std::process::id()));
            std::fs::create_dir(&group).ok()?;
            let quota = Quota { group, root };
            let file = quota.group.join(file);
            file.exists().then_some((quota, file))
        })
    }

    /// How often the process had to wait for its share so far.
    pub fn throttled(&self) -> usize {
        let stat = std::fs::read_to_string(self.group.join("cpu.stat")).unwrap_or_default();
        let line = stat
            .lines()
            .find_map(|line| line.strip_prefix("nr_throttled "));
        line.and_then(|count| count.parse().ok()).unwrap_or(0)
    }

    fn holds(self, file: &Path, bound: &str, pid: u32) -> Quota {
        write(file, bound);
        write(&self.group.join("cgroup.procs"), &pid.to_string());
        self
    }
}

impl Drop for Quota {
    fn drop(&mut self) {
        let members = std::fs::read_to_string(self.group.join("cgroup.procs"));
        for pid in members.unwrap_or_default().lines() {
            // It may have ended meanwhile.
            let _ = std::fs::write(self.root.join("cgroup.procs"), pid);
        }
        let _ = std::fs::remove_dir(&self.group);
    }
}

fn write(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}
