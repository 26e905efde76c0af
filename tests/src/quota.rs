//! A bound on what a process may take of the machine, by control groups.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Where the controllers of processor time are: version 1 or 2.
const ROOTS: [(&str, &str, &str); 2] = [
    ("/sys/fs/cgroup/cpu", "cpu.cfs_quota_us", "10000"),
    ("/sys/fs/cgroup", "cpu.max", "10000 100000"),
];

/// Groups of one run have names of their own.
static NEXT: AtomicUsize = AtomicUsize::new(0);

/// A process that gets a share of a core, until this is dropped.
#[derive(Debug)]
pub struct Quota {
    group: PathBuf,
    root: &'static Path,
}

/// Whether this machine can bound processor time; says so if not.
pub fn is_there() -> bool {
    let is = root().is_some();
    if !is {
        println!("skipped: no control group of processor time can be made here");
    }
    is
}

fn root() -> Option<(&'static Path, &'static str, &'static str)> {
    let there = |(root, file, share): &(&'static str, &'static str, &'static str)| {
        let root = Path::new(*root);
        // A file of the root group says that the controller is there; making a group, that we may.
        let group = root.join(format!("ting-test-{}-probe", std::process::id()));
        let made = std::fs::create_dir(&group).is_ok();
        let has = group.join(file).exists();
        if made {
            std::fs::remove_dir(&group).ok()?;
        }
        has.then_some((root, *file, *share))
    };
    ROOTS.iter().find_map(there)
}

impl Quota {
    /// A tenth of a core for this process.
    pub fn of_a_tenth(pid: u32) -> Quota {
        let (root, file, share) = root().expect("control groups of processor time");
        let count = NEXT.fetch_add(1, Ordering::Relaxed);
        let group = root.join(format!("ting-test-{}-{count}", std::process::id()));
        std::fs::create_dir(&group).expect("a control group");
        let quota = Quota { group, root };
        write(&quota.group.join(file), share);
        write(&quota.group.join("cgroup.procs"), &pid.to_string());
        quota
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
