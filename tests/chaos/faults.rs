//! Faults: each begins, lasts, and ends.

use crate::log::Kind;
use std::process::Command;
use tests::Lab;
use tests::lab::{Broken, KilledDatabase, PausedDatabase};
use tests::quota::Quota;

/// Descriptors that a node opens first and keeps: if it may have no others, it can open none.
const TAKEN: usize = 16;

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// A node is killed, and started at its end.
    Killed(usize),
    /// A node is told to end, and started at its end.
    Restarted(usize),
    /// A node hangs.
    Paused(usize),
    /// A node gets a tenth of a core.
    Slow(usize),
    /// A node can open no file and take no connection.
    NoDescriptors(usize),
    /// A node gets no more memory, which kills it; it is started at its end.
    NoMemory(usize),
    /// A node is cut off from both others.
    Isolated(usize),
    /// Two nodes don't reach each other.
    Cut(usize, usize),
    /// What the first one says doesn't reach the second one.
    OneWay(usize, usize),
    /// Three of ten packets to a node are lost.
    Lossy(usize),
    /// A node doesn't reach the database.
    NoDatabase(usize),
    /// The database hangs.
    DatabasePaused,
    /// The database is killed, and started at its end.
    DatabaseKilled,
}

/// A fault that lasts.
#[derive(Debug)]
pub enum Lasting {
    /// Processes to be started.
    Gone(Vec<usize>),
    /// One to go on.
    Stopped(usize),
    /// Ways to be mended.
    Broken(Vec<Broken>),
    /// One to have its number of descriptors again.
    Limited(usize, usize),
    /// One that had to wait, until this is dropped.
    Quota(Quota),
    /// Until it is dropped.
    Paused(#[allow(dead_code, reason = "dropped")] PausedDatabase),
    /// Until it is dropped.
    Killed(#[allow(dead_code, reason = "dropped")] KilledDatabase),
}

impl Fault {
    /// Its name, without which node.
    pub fn name(self) -> &'static str {
        match self {
            Fault::Killed(_) => "killed",
            Fault::Restarted(_) => "restarted",
            Fault::Paused(_) => "paused",
            Fault::Slow(_) => "a tenth of a core",
            Fault::NoDescriptors(_) => "no descriptors",
            Fault::NoMemory(_) => "no memory",
            Fault::Isolated(_) => "isolated",
            Fault::Cut(..) => "cut in two",
            Fault::OneWay(..) => "one way",
            Fault::Lossy(_) => "30 % loss",
            Fault::NoDatabase(_) => "without database",
            Fault::DatabasePaused => "database paused",
            Fault::DatabaseKilled => "database killed",
        }
    }

    /// The node that is stopped, or as good as, if one is.
    pub fn stops(self) -> Option<usize> {
        match self {
            Fault::Killed(node) | Fault::Restarted(node) | Fault::Paused(node) => Some(node),
            Fault::Slow(node) | Fault::NoMemory(node) => Some(node),
            _ => None,
        }
    }

    /// What it does to those who are connected.
    pub fn kind(self) -> Kind {
        match self {
            Fault::Killed(_) | Fault::Restarted(_) | Fault::NoMemory(_) => Kind::Crash,
            _ => Kind::Other,
        }
    }

    /// Whether it is the database that fails.
    pub fn is_of_database(self) -> bool {
        matches!(self, Fault::DatabasePaused | Fault::DatabaseKilled)
    }

    /// It begins.
    pub fn begins(self, lab: &Lab) -> Lasting {
        let process = |place: usize| lab.cluster().process(place);
        let others = |place: usize| (0..lab.size()).filter(move |other| *other != place);
        match self {
            Fault::Killed(place) => {
                process(place).kill();
                Lasting::Gone(vec![place])
            }
            Fault::Restarted(place) => {
                process(place).signal("TERM");
                process(place).ended();
                Lasting::Gone(vec![place])
            }
            Fault::Paused(place) => {
                process(place).signal("STOP");
                Lasting::Stopped(place)
            }
            Fault::Slow(place) => Lasting::Quota(Quota::of_a_tenth(process(place).pid())),
            Fault::NoDescriptors(place) => {
                let before = descriptors(process(place).pid(), TAKEN);
                Lasting::Limited(place, before)
            }
            Fault::NoMemory(place) => {
                let quota = Quota::of_memory(process(place).pid(), 64 << 10);
                process(place).ended();
                drop(quota);
                Lasting::Gone(vec![place])
            }
            Fault::Isolated(place) => {
                let cuts = others(place).flat_map(|other| lab.cuts(place, other));
                Lasting::Broken(cuts.collect())
            }
            Fault::Cut(one, other) => Lasting::Broken(lab.cuts(one, other)),
            Fault::OneWay(from, to) => Lasting::Broken(lab.drops(from, to)),
            Fault::Lossy(place) => Lasting::Broken(lab.loses(place, 30)),
            Fault::NoDatabase(place) => Lasting::Broken(lab.cuts_database(place)),
            Fault::DatabasePaused => Lasting::Paused(lab.pauses_database()),
            Fault::DatabaseKilled => Lasting::Killed(lab.kills_database(1)),
        }
    }
}

impl Lasting {
    /// How often a process had to wait so far.
    pub fn waits(&self) -> Option<usize> {
        match self {
            Lasting::Quota(quota) => Some(quota.throttled()),
            _ => None,
        }
    }

    /// It ends: what was stopped goes on or is started; whether it serves is not waited for.
    pub fn ends(self, lab: &Lab) {
        match self {
            Lasting::Gone(places) => {
                for place in places {
                    lab.cluster().process(place).begin_again();
                }
            }
            Lasting::Stopped(place) => lab.cluster().process(place).signal("CONT"),
            Lasting::Broken(broken) => lab.mends(&broken),
            Lasting::Limited(place, before) => {
                descriptors(lab.cluster().process(place).pid(), before);
            }
            Lasting::Quota(_) | Lasting::Paused(_) | Lasting::Killed(_) => {}
        }
    }
}

/// Lets a process have so many descriptors; how many it could have before.
fn descriptors(pid: u32, count: usize) -> usize {
    let pid = format!("--pid={pid}");
    let prlimit = |rest: &[&str]| {
        let done = Command::new("prlimit").arg(&pid).args(rest).output();
        let done = done.expect("util-linux has prlimit");
        assert!(done.status.success(), "prlimit {rest:?}: {done:?}");
        String::from_utf8_lossy(&done.stdout).trim().to_owned()
    };
    let before = prlimit(&["--nofile", "--raw", "--noheadings", "--output=SOFT"]);
    prlimit(&[&format!("--nofile={count}:")]);
    before.parse().expect("a number of descriptors")
}
