//! What a member makes of what it hears, from the store and from its peers.

use super::{Answer, Ask, Flight, LEASE, Membership, Phase, RETRY, Standing, Wish};
use crate::{Member, NodeName, View};
use std::collections::BTreeSet;
use std::time::Duration;

impl Membership {
    /// The answer to what was asked last.
    pub fn answered(&mut self, at: Duration, answer: Answer) {
        let Some(flight) = self.flight.take() else {
            return;
        };
        let asked = flight.asked;
        match (flight.ask.clone(), answer) {
            (Ask::Read, Answer::Rows(view)) => self.read(&flight, at, view),
            (Ask::Renew { row, .. }, Answer::Done) => {
                self.lease_until = self.lease_until.max(asked + LEASE);
                self.look = true;
                self.doubts.wrote(at, true);
                self.nows.stands(row.now, asked, at);
                self.wrote(row);
            }
            // A peer has shown what came of it, and perhaps of more.
            (Ask::Change { version, .. }, Answer::Done) if version < self.view.version => {
                self.unsure = true;
            }
            (Ask::Change { version, put, take }, Answer::Done) => {
                self.view.version = version + 1;
                self.view.members.retain(|m| !take.contains(&m.name));
                if take.contains(&self.me.name) {
                    return self.out();
                }
                if let Some(row) = put {
                    self.enter(at);
                    self.wrote(row);
                }
                self.doubt();
            }
            (ask, answer) => {
                if matches!(ask, Ask::Renew { .. }) {
                    self.renewed = None;
                    self.doubts.wrote(at, false);
                }
                if ask != Ask::Read && answer == Answer::Failed {
                    self.nows.unheard(at);
                    self.silence.forget();
                }
                // A change that may have been done, or a version that may be newer: read first.
                self.unsure |= !matches!(ask, Ask::Renew { .. }) || answer != Answer::Failed;
                if !matches!(answer, Answer::Newer(_)) {
                    self.retry = at + RETRY;
                }
            }
        }
    }

    fn read(&mut self, flight: &Flight, at: Duration, view: View) {
        let counted = view.member(self.me.name).is_some();
        if (flight.known..self.view.version).contains(&view.version) {
            // A peer has shown a newer view in the meantime.
            self.unsure = true;
            return;
        }
        self.unsure = false;
        match self.phase {
            Phase::Entering if counted => self.enter(at),
            // A change that would have put its row there may not have been done.
            Phase::Entering if self.wish > Wish::Stay => return self.over(Standing::Left),
            // A version never falls; where it does the store is not the one it was.
            Phase::In if !counted || view.version < self.view.version => return self.out(),
            _ => {}
        }
        self.see(&view);
        if let Some(mine) = view.member(self.me.name) {
            self.nows.stands(mine.now, flight.asked, at);
        }
        self.seen = flight.asked;
        self.view = view;
        self.look = false;
        self.silence.look(&self.view, flight.asked, at);
        self.doubt();
        self.doubts.watch(&self.view, flight.asked, at);
        self.fresh = Some((flight.asked, at));
    }

    /// A peer says that there is a version; a newer one is read at once.
    pub fn told(&mut self, version: u64) {
        self.told = self.told.max(version);
    }

    /// A peer shows its view; a newer one is acted by at once. This is also how a member that
    /// doesn't reach the store learns that it was put out.
    pub fn shown(&mut self, mut view: View) {
        if view.version <= self.view.version {
            return;
        }
        if self.phase != Phase::In {
            return self.told(view.version);
        }
        if view.member(self.me.name).is_none() {
            return self.out();
        }
        self.see(&view);
        for member in &mut view.members {
            // Rows are written without counting the version up, so its own may be newer here.
            if let Some(known) = self.view.member(member.name)
                && known.renewals > member.renewals
            {
                let (state, weight) = (member.state, member.weight);
                *member = Member {
                    state,
                    weight,
                    ..known.clone()
                };
            }
        }
        self.view = view;
        self.fresh = None;
        self.doubt();
    }

    /// Whom this member's links reach, from now on. A change is written at once.
    pub fn links(&mut self, mut reached: BTreeSet<NodeName>) {
        reached.remove(&self.me.name);
        self.reached = reached;
        self.doubt();
    }

    /// The cluster's time, for the next renewal.
    pub fn now(&mut self, now: i64) {
        self.me.now = now;
    }

    /// It hands over its share; one that is not up yet leaves at once.
    pub fn drain(&mut self) {
        self.wish = self.wish.max(Wish::Drain);
    }

    /// It takes its row out.
    pub fn leave(&mut self) {
        self.wish = self.wish.max(Wish::Leave);
    }

    /// Its row is there; the first renewal is due at once.
    fn enter(&mut self, at: Duration) {
        if self.phase == Phase::Entering {
            self.phase = Phase::In;
            self.entered = at;
            self.renewed = None;
        }
    }

    /// Its row is there no more.
    fn out(&mut self) {
        let left = self.wish > Wish::Stay;
        self.over(if left {
            Standing::Left
        } else {
            Standing::PutOut
        });
    }

    pub(super) fn over(&mut self, standing: Standing) {
        self.phase = Phase::Over(standing);
    }

    fn doubt(&mut self) {
        self.doubts.update(&self.view, &self.reached, self.me.name);
    }

    /// Its row was written: the view has it without reading.
    fn wrote(&mut self, row: Member) {
        self.nows.saw(row.now);
        self.view.members.retain(|member| member.name != row.name);
        self.view.members.push(row);
        self.doubt();
    }

    fn see(&mut self, view: &View) {
        for member in &view.members {
            self.nows.saw(member.now);
        }
    }
}
