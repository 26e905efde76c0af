//! Who has stopped renewing.
//!
//! Only time counts in which this member was able to see and to write: while the store is away
//! nobody can renew, and whoever is the first to reach it again must not find all others silent.

use super::{LEASE, RENEW};
use crate::{NodeName, View};
use std::collections::BTreeMap;
use std::time::Duration;

/// After a longer time without a look all silence is forgotten: the store was away, or this
/// member was. It allows for one renewal that failed.
const GAP: Duration = Duration::from_secs(4);

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
        let gap = match self.looked.replace(answered) {
            // A gap is counted as one renewal missed at most: those who renew again after an
            // outage need the time to do so.
            Some(last) if asked.saturating_sub(last) <= GAP => {
                Some(asked.saturating_sub(last).min(RENEW))
            }
            _ => None,
        };
        let before = std::mem::take(&mut self.heard);
        for member in &view.members {
            let renewals = member.renewals;
            let heard = match (before.get(&member.name), gap) {
                (Some(heard), _) if heard.renewals != renewals => Heard {
                    renewals,
                    silent: Duration::ZERO,
                    spoke: true,
                },
                (Some(heard), Some(gap)) => Heard {
                    silent: heard.silent + gap,
                    ..*heard
                },
                (heard, _) => Heard {
                    renewals,
                    silent: Duration::ZERO,
                    spoke: heard.is_some_and(|heard| heard.spoke),
                },
            };
            self.heard.insert(member.name, heard);
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
