//! One member's side of the view: what it asks of the store, and what it makes of the answers.
//!
//! A member's lease is a renewal of its row that was conditional on the version it acts by. So
//! [`LEASE`] after a version is replaced nobody holds a lease and acts by it, whatever became of
//! messages, clocks or processes. Who is put out, and why, is in [`who_goes`].
//!
//! This is a plain value: an actor gives it the time, does what [`Membership::step`] asks, one
//! ask at a time, and brings the answer back. An ask that is not answered in the store's
//! time-out is [`Answer::Failed`], and its answer is thrown away when it comes later.

mod asking;
mod doubts;
mod entry;
mod hearing;
mod judge;
mod nows;
mod silence;

pub use judge::{comes_up, live, who_goes};

use crate::{Member, MemberState, NodeName, View};
use doubts::Doubts;
use nows::Nows;
use silence::Silence;
use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::time::Duration;

/// How long a renewal is good for, from when it was asked for.
pub const LEASE: Duration = Duration::from_secs(6);

/// How often a lease is renewed: two renewals may fail.
pub const RENEW: Duration = Duration::from_secs(2);

/// How often a row is written while something is open: this member is joining, or has no link
/// with another one. Who is alive then writes more than once while the other waits.
const RENEW_OPEN: Duration = Duration::from_millis(500);

/// How long after a failure the store is asked again.
const RETRY: Duration = Duration::from_millis(500);

/// How old rows may be for something to follow from them: a member may have slept since.
const FRESH: Duration = Duration::from_millis(500);

/// The versions of the envelope this release understands.
pub const ENVELOPES: RangeInclusive<u16> = 1..=1;

/// A question to the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    /// The version and all rows, as of now.
    Read,
    /// Writes this member's own row, if the version is still that and the row is there.
    Renew {
        /// The version this member acts by.
        version: u64,
        /// What it says of itself.
        row: Member,
    },
    /// Changes who is a member, if the version is still that, and counts it up by one.
    Change {
        /// The version that led to it.
        version: u64,
        /// This member's own row, where it is to be written.
        put: Option<Member>,
        /// Whose rows are taken out.
        take: Vec<NodeName>,
    },
}

/// What the store said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// To a read: version and rows.
    Rows(View),
    /// It was done.
    Done,
    /// Refused, nothing changed: the version is this one by now.
    Newer(u64),
    /// The store is away, or doesn't say what became of it.
    Failed,
}

/// Where a member stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// Not up yet, and owns nothing.
    Joining,
    /// Owns its share.
    Up,
    /// Hands over its share.
    Draining,
    /// The others go on without it: its sockets have to be closed, and its name is spent.
    PutOut,
    /// It has taken itself out, as it was told to.
    Left,
    /// It can't be a member of this cluster, for this reason.
    Refused(String),
}

/// What was asked, and when.
#[derive(Debug, Clone)]
struct Flight {
    ask: Ask,
    asked: Duration,
    /// The version this member acted by then.
    known: u64,
}

/// How far the member is with the view.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Phase {
    /// Has no row yet, as far as it knows.
    Entering,
    /// Has one.
    In,
    /// Will never have one again.
    Over(Standing),
}

/// What the owner of this member wishes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Wish {
    Stay,
    Drain,
    Leave,
}

/// One member's side of the view.
#[derive(Debug, Clone)]
pub struct Membership {
    envelopes: RangeInclusive<u16>,
    /// What it says of itself, as it was written last; its state is the view's to say.
    me: Member,
    phase: Phase,
    wish: Wish,
    view: View,
    reached: BTreeSet<NodeName>,
    silence: Silence,
    doubts: Doubts,
    flight: Option<Flight>,
    /// When its row was there; the start before that.
    entered: Duration,
    /// What its last renewal is good for.
    lease_until: Duration,
    /// The rows it knows were asked for at this time.
    seen: Duration,
    nows: Nows,
    /// The last renewal was asked for at this time; none if it came to nothing.
    renewed: Option<Duration>,
    /// A renewal was done that no rows were read after.
    look: bool,
    /// Nothing may be decided before rows are read.
    unsure: bool,
    /// The highest version that peers spoke of since rows were asked for.
    told: u64,
    /// Rows asked for and answered at these times, of which nothing was made yet.
    fresh: Option<(Duration, Duration)>,
    /// The store is left alone until then.
    retry: Duration,
}

impl Membership {
    /// A member that is about to enter the view, and understands these envelopes.
    pub fn new(me: Member, envelopes: RangeInclusive<u16>) -> Self {
        Membership {
            envelopes,
            nows: Nows::new(me.now),
            me,
            phase: Phase::Entering,
            wish: Wish::Stay,
            view: View {
                version: 0,
                members: Vec::new(),
            },
            reached: BTreeSet::new(),
            silence: Silence::default(),
            doubts: Doubts::default(),
            flight: None,
            entered: Duration::ZERO,
            lease_until: Duration::ZERO,
            seen: Duration::ZERO,
            renewed: None,
            look: false,
            unsure: true,
            told: 0,
            fresh: None,
            retry: Duration::ZERO,
        }
    }

    // --- read

    /// The view this member acts by.
    pub fn view(&self) -> &View {
        &self.view
    }

    /// Its own name.
    pub fn name(&self) -> NodeName {
        self.me.name
    }

    /// Where it stands.
    pub fn standing(&self) -> Standing {
        match &self.phase {
            Phase::Entering => Standing::Joining,
            Phase::Over(standing) => standing.clone(),
            Phase::In => match self.state() {
                Some(MemberState::Up) => Standing::Up,
                Some(MemberState::Draining) => Standing::Draining,
                Some(MemberState::Joining) | None => Standing::Joining,
            },
        }
    }

    /// Until when its lease holds; in the past if it has none. It needs a renewal and a look at
    /// the others' rows, both asked for less than [`LEASE`] ago.
    pub fn lease_until(&self) -> Duration {
        match self.phase {
            Phase::Over(_) => Duration::ZERO,
            _ => self.lease_until.min(self.seen + LEASE),
        }
    }

    /// Whether it holds its lease.
    pub fn lease_holds(&self, at: Duration) -> bool {
        at < self.lease_until()
    }

    /// Whether it is cut off, as far as it can tell: it doesn't reach the store, reaches none of
    /// the others that serve though there are some, and its lease ended, or it entered without one,
    /// so long ago that they have put it out if they can. Its people are better served elsewhere.
    pub fn stranded(&self, at: Duration) -> bool {
        let others = || {
            let serving = self
                .view
                .members
                .iter()
                .filter(|other| judge::serves(other));
            serving.filter(|other| other.name != self.me.name)
        };
        self.phase == Phase::In
            && at >= self.lease_until.max(self.entered) + LEASE
            && others().next().is_some()
            && !others().any(|other| self.reached.contains(&other.name))
    }

    /// The highest `now` of all rows. This member's own has to be raised to it after each answer
    /// and before anything else: nobody who holds a lease has one below what is settled.
    pub fn highest_now(&self) -> i64 {
        self.nows.highest()
    }

    /// A `now` that everybody's who holds a lease has passed; none before this member has had
    /// its row for a lease's time. No message is sent by it, and `low` follows from it alone.
    pub fn settled_now(&self) -> Option<i64> {
        self.nows.settled()
    }

    fn state(&self) -> Option<MemberState> {
        self.view.member(self.me.name).map(|member| member.state)
    }
}

#[cfg(test)]
mod tests;
