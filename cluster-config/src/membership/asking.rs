//! What a member asks next: everything it decides, it decides here.

use super::entry::{Entry, entry};
use super::{
    Ask, FRESH, Flight, Membership, Phase, RENEW, RENEW_OPEN, Standing, Wish, comes_up, who_goes,
};
use crate::{Member, MemberState, NodeName};
use std::time::Duration;

impl Membership {
    /// When [`Membership::step`] has something to ask next, unless something happens before.
    pub fn wake(&self) -> Duration {
        if self.flight.is_some() || matches!(self.phase, Phase::Over(_)) {
            return Duration::MAX;
        }
        if self.must_read()
            || self.look
            || self.fresh.is_some()
            || self.wishes()
            || self.unwritten()
        {
            return self.retry;
        }
        let renew = self
            .renewed
            .map_or(Duration::ZERO, |renewed| renewed + self.every());
        let look = self.looks().unwrap_or(Duration::MAX);
        self.retry.max(renew.min(look))
    }

    /// The next question to the store, if one is due and none is under way. `at` must not be
    /// later than when it is sent, and what [`Membership::view`] says must be acted by before.
    pub fn step(&mut self, at: Duration) -> Option<Ask> {
        if at < self.wake() {
            return None;
        }
        let ask = self.next(at);
        if let Some(ask) = &ask {
            if *ask == Ask::Read {
                self.told = 0;
            }
            // Who has no row yet reads as often as it would renew it.
            if matches!(ask, Ask::Renew { .. }) || self.phase == Phase::Entering {
                self.renewed = Some(at);
            }
            let ask = ask.clone();
            let known = self.view.version;
            self.flight = Some(Flight {
                ask,
                asked: at,
                known,
            });
        }
        ask
    }

    fn next(&mut self, at: Duration) -> Option<Ask> {
        if self.must_read() {
            return Some(Ask::Read);
        }
        if let Some((asked, answered)) = self.fresh.take() {
            if at.saturating_sub(answered) > FRESH {
                return Some(Ask::Read);
            }
            if let Some(ask) = self.decide(asked) {
                return Some(ask);
            }
        }
        if self.phase != Phase::In {
            return (at >= self.wake()).then_some(Ask::Read);
        }
        if self.wishes() {
            return Some(match (self.wish, self.state()) {
                (Wish::Drain, Some(MemberState::Up)) => self.put(MemberState::Draining, Vec::new()),
                _ => self.take(vec![self.me.name]),
            });
        }
        if self.look {
            return Some(Ask::Read);
        }
        let due = self
            .renewed
            .is_none_or(|renewed| at >= renewed + self.every());
        if due || self.unwritten() {
            self.doubts.writing();
            let row = self.compose(self.state()?);
            let version = self.view.version;
            return Some(Ask::Renew { version, row });
        }
        let look = self.looks().is_some_and(|look| at >= look);
        look.then_some(Ask::Read)
    }

    /// When rows are needed to judge somebody.
    fn looks(&self) -> Option<Duration> {
        let silent = self.silence.due();
        self.doubts.ripe().into_iter().chain(silent).min()
    }

    /// What follows from rows that were just read, asked for at this time.
    fn decide(&mut self, asked: Duration) -> Option<Ask> {
        let me = self.me.name;
        if self.phase == Phase::Entering {
            return self.knock();
        }
        if self.wishes() {
            return None;
        }
        let silent: Vec<NodeName> = (self.view.members.iter())
            .map(|member| member.name)
            .filter(|name| *name != me && self.silence.is_silent(*name))
            .collect();
        if !silent.is_empty() {
            return Some(self.take(silent));
        }
        // Its own row has to say what is so before anything follows from it.
        if self.unwritten() {
            return None;
        }
        if comes_up(&self.view, me) {
            return Some(self.put(MemberState::Up, Vec::new()));
        }
        who_goes(&self.view, self.doubts.ready(&self.view, asked), me)
            .map(|name| self.take(vec![name]))
    }

    fn knock(&mut self) -> Option<Ask> {
        match entry(&self.view, &self.me, &self.envelopes, &self.silence) {
            Entry::Wait => None,
            Entry::Closed(why) => {
                self.over(Standing::Refused(why));
                None
            }
            Entry::Open(dead) => {
                let alone = self.view.members.iter().all(|m| dead.contains(&m.name));
                let state = if alone {
                    MemberState::Up
                } else {
                    MemberState::Joining
                };
                Some(self.put(state, dead))
            }
        }
    }

    /// How often its row is written.
    fn every(&self) -> Duration {
        let serves = self
            .state()
            .is_some_and(|state| state != MemberState::Joining);
        if !serves || self.doubts.any() {
            RENEW_OPEN
        } else {
            RENEW
        }
    }

    /// Whether its row says something else of whom it reaches.
    fn unwritten(&self) -> bool {
        let row = self.view.member(self.me.name);
        self.phase == Phase::In && row.is_some_and(|row| row.reaches != self.reached)
    }

    /// Whether nothing can be decided by what it knows.
    fn must_read(&self) -> bool {
        self.unsure || self.told > self.view.version
    }

    /// Whether a wish is open.
    fn wishes(&self) -> bool {
        let drained = self.state() == Some(MemberState::Draining);
        match self.wish {
            Wish::Stay => false,
            Wish::Drain => self.phase == Phase::In && !drained,
            Wish::Leave => self.phase == Phase::In,
        }
    }

    fn compose(&mut self, state: MemberState) -> Member {
        self.me.state = state;
        self.me.renewals += 1;
        self.me.reaches = self.reached.clone();
        self.me.now = self.me.now.max(self.nows.highest());
        self.me.clone()
    }

    fn put(&mut self, state: MemberState, take: Vec<NodeName>) -> Ask {
        Ask::Change {
            version: self.view.version,
            put: Some(self.compose(state)),
            take,
        }
    }

    /// Takes members out. Its own row is written with it, so that the highest `now` stays in a row
    /// when the one who wrote it goes.
    fn take(&mut self, take: Vec<NodeName>) -> Ask {
        let stays = self.state().filter(|_| !take.contains(&self.me.name));
        Ask::Change {
            version: self.view.version,
            put: stays.map(|state| self.compose(state)),
            take,
        }
    }
}
