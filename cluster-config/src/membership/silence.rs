//! Who has stopped renewing.
//!
//! While the store is away nobody can renew, and whoever is the first to reach it again must not
//! find all others silent. So only time counts in which this member itself was able to see and
//! to write.

use super::{LEASE, RENEW};
use crate::{NodeName, View};
use std::collections::BTreeMap;
use std::time::Duration;

/// For how long each member's renewals have been seen unchanged.
#[derive(Debug, Clone, Default)]
pub struct Silence {
    looked: Option<Duration>,
    heard: BTreeMap<NodeName, Heard>,
}

#[derive(Debug, Clone, Copy)]
struct Heard {
    renewals: u64,
    silent: Duration,
    spoke: bool,
}

impl Silence {
    /// Looks at rows which were asked for and answered then.
    pub fn look(&mut self, view: &View, asked: Duration, answered: Duration) {
        // However long ago the last look was, it counts as one renewal missed at most: those who
        // renew again after an outage need the time to do so.
        let last = self.looked.replace(answered).unwrap_or(asked);
        let gap = asked.saturating_sub(last).min(RENEW);
        let before = std::mem::take(&mut self.heard);
        for member in &view.members {
            let renewals = member.renewals;
            let mut heard = Heard {
                renewals,
                silent: Duration::ZERO,
                spoke: false,
            };
            if let Some(before) = before.get(&member.name) {
                heard.spoke = before.spoke || before.renewals != renewals;
                if before.renewals == renewals {
                    heard.silent = before.silent + gap;
                }
            }
            self.heard.insert(member.name, heard);
        }
    }

    /// This member could not write: nobody else may have been able to, and all have to be heard
    /// for a lease's time again.
    pub fn forget(&mut self) {
        self.looked = None;
        for heard in self.heard.values_mut() {
            heard.silent = Duration::ZERO;
        }
    }

    /// When the next look may find somebody silent.
    pub fn due(&self) -> Option<Duration> {
        let silent = self.heard.values().map(|heard| heard.silent).max()?;
        Some(self.looked? + LEASE.saturating_sub(silent))
    }

    /// Whether it has been silent for longer than any lease lasts.
    pub fn is_silent(&self, name: NodeName) -> bool {
        self.heard
            .get(&name)
            .is_some_and(|heard| heard.silent >= LEASE)
    }

    /// Whether it was seen to renew.
    pub fn spoke(&self, name: NodeName) -> bool {
        self.heard.get(&name).is_some_and(|heard| heard.spoke)
    }
}
