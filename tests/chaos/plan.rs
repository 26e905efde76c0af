//! Which faults come in a soak, and when: a value that follows from the seed alone.

use crate::dice::Dice;
use crate::faults::Fault;
use std::time::Duration;

/// How many nodes there are.
pub const NODES: usize = 3;

/// A fault, when it begins and how long it lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// What.
    pub fault: Fault,
    /// After the beginning of its pair.
    pub after: Duration,
    /// From then on.
    pub lasts: Duration,
}

/// Two faults that overlap, or nearly, and how long all is left alone after them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// The two.
    pub entries: [Entry; 2],
    /// From when all is well again.
    pub calm: Duration,
}

/// Pairs without end.
#[derive(Debug, Clone)]
pub struct Plan(Dice);

impl Plan {
    /// Of a seed.
    pub fn of(seed: u64) -> Plan {
        Plan(Dice::of(seed, 0))
    }

    fn fault(&mut self) -> Fault {
        let node = self.0.draws(NODES as u64) as usize;
        let other = (node + 1 + self.0.draws(NODES as u64 - 1) as usize) % NODES;
        match self.0.draws(11) {
            0 => Fault::Killed(node),
            1 => Fault::Restarted(node),
            2 => Fault::Paused(node),
            3 => Fault::Slow(node),
            4 => Fault::Isolated(node),
            5 => Fault::Cut(node, other),
            6 => Fault::OneWay(node, other),
            7 => Fault::Lossy(node),
            8 => Fault::NoDatabase(node),
            9 => Fault::DatabasePaused,
            _ => Fault::DatabaseKilled,
        }
    }

    fn seconds(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_millis(1_000 * from + self.0.draws(1_000 * (to - from)))
    }
}

/// Whether both can happen at once: a process or the database is stopped once.
fn go_together(one: Fault, other: Fault) -> bool {
    let same = one.stops().is_some() && one.stops() == other.stops();
    one.name() != other.name() && !same && !(one.is_of_database() && other.is_of_database())
}

impl Iterator for Plan {
    type Item = Pair;

    fn next(&mut self) -> Option<Pair> {
        let first = self.fault();
        let second = loop {
            let second = self.fault();
            if go_together(first, second) {
                break second;
            }
        };
        let entry = |fault: Fault, after: Duration, lasts: Duration| Entry {
            fault,
            after,
            // It takes a quarter of a minute and more to start again.
            lasts: match fault {
                Fault::DatabaseKilled => lasts / 4,
                _ => lasts,
            },
        };
        let entries = [
            entry(first, Duration::ZERO, self.seconds(3, 20)),
            entry(second, self.seconds(0, 12), self.seconds(3, 20)),
        ];
        // Long enough now and then for lists of who is online to be judged.
        let calm = match self.0.draws(4) {
            0 => Duration::from_secs(18),
            _ => self.seconds(1, 6),
        };
        Some(Pair { entries, calm })
    }
}

#[test]
fn the_same_seed_gives_the_same_faults() {
    let pairs = |seed| Plan::of(seed).take(500).collect::<Vec<Pair>>();
    assert_eq!(pairs(7), pairs(7));
    assert_ne!(pairs(7), pairs(8));
    // By these figures a run of yesterday can be repeated tomorrow.
    let first = &pairs(7)[0];
    let entry = |fault, after, lasts| Entry {
        fault,
        after: Duration::from_millis(after),
        lasts: Duration::from_millis(lasts),
    };
    let entries = [
        entry(Fault::Killed(0), 0, 8_798),
        entry(Fault::Lossy(0), 1_182, 17_985),
    ];
    assert_eq!(first.entries, entries);
}

#[test]
fn every_fault_comes_and_none_twice_at_once() {
    let pairs: Vec<Pair> = Plan::of(1).take(500).collect();
    let entries = pairs.iter().flat_map(|pair| &pair.entries);
    let names: std::collections::BTreeSet<_> = entries.map(|entry| entry.fault.name()).collect();
    assert_eq!(names.len(), 11, "{names:?}");
    for Pair { entries, .. } in &pairs {
        let [one, other] = entries.map(|entry| entry.fault);
        assert!(go_together(one, other), "{one:?} and {other:?}");
    }
}
