//! How late what is promised may be, and what excuses that it is later.

use super::AFTER_FAULT;
use crate::log::{Event, Kind, Parting, What};
use std::time::Duration;

/// What all may be late because three nodes, the database and the people share a busy machine.
const MACHINE: Duration = Duration::from_secs(2);

/// How long after the last change or fault lists of who is online may differ.
pub const AGREES: Duration = Duration::from_secs(15);

/// How late something may be.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// After what it follows from.
    healthy: Duration,
    /// Or after a node was killed, or came back.
    crash: Duration,
    /// Or after any other fault began or ended.
    other: Duration,
}

/// What was acknowledged this long before somebody came is no news to them.
pub const NEWS: Duration = Duration::from_secs(120);

/// B: what was acknowledged or typed is on the screens.
pub const SHOWN: Bounds = bounds(1, 20, 20);

/// C: what was erased, or whose author has left, is off the screens.
const CLEAN: Bounds = bounds(1, 8, 15);

/// C: whose author's connection ended with its node.
const LOST: Bounds = bounds(8, 8, 15);

/// F: whose connection ended has another one. Without a fault none ends.
pub const BACK: Bounds = bounds(3, 5, 20);

const fn bounds(healthy: u64, crash: u64, other: u64) -> Bounds {
    Bounds {
        healthy: Duration::from_secs(healthy),
        crash: Duration::from_secs(crash),
        other: Duration::from_secs(other),
    }
}

/// How long what is over so may be shown.
pub fn over(how: Parting) -> Bounds {
    match how {
        Parting::Clean => CLEAN,
        Parting::Lost => LOST,
    }
}

/// What excuses that something is late.
#[derive(Debug, Default)]
pub struct Calm {
    active: Vec<(String, Kind)>,
    /// When a node was last killed, or came back.
    crash: Option<Duration>,
    /// When any other fault last began or ended.
    other: Option<Duration>,
}

impl Calm {
    /// This happens.
    pub fn passes(&mut self, event: &Event) {
        let kind = match &event.what {
            What::Begins(name, kind) => {
                self.active.push((name.clone(), *kind));
                *kind
            }
            What::Ends(name) => {
                let begun = self.active.iter().position(|(active, _)| active == name);
                begun.map_or(Kind::Other, |begun| self.active.swap_remove(begun).1)
            }
            _ => return,
        };
        match kind {
            Kind::Crash => self.crash = Some(event.at),
            Kind::Other => self.other = Some(event.at),
        }
    }

    /// Whether this is later than it may be. One fault is to be got over while it lasts; of two,
    /// what one took the other may need.
    pub fn is_late(&self, bounds: Bounds, since: Duration, at: Duration) -> bool {
        let recent = |edge: Option<Duration>, bound: Duration| {
            let bound = (bound + MACHINE).min(AFTER_FAULT);
            edge.is_some_and(|edge| at <= edge + bound)
        };
        at > since + bounds.healthy + MACHINE
            && self.active.len() < 2
            && !recent(self.crash, bounds.crash)
            && !recent(self.other, bounds.other)
    }

    /// Whether there is no fault, and was none for as long as lists of who is online may differ.
    pub fn is_long_since(&self, at: Duration) -> bool {
        let last = self.crash.max(self.other);
        self.active.is_empty() && last.is_none_or(|edge| at > edge + AGREES)
    }
}
