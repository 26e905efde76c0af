//! A cluster in a box: hosts with links, pauses and kills, around a linearizable store that can
//! be away, lose answers, or do late what it was asked. Time goes in steps of [`TICK`], and the
//! promises are checked after every one.

mod faults;
mod promises;
mod store;

use crate::Backoff;
use crate::membership::*;
pub use faults::{Fault, StoreFault};
use std::collections::{BTreeSet, HashMap, HashSet};
use store::{Op, Store};

pub const TICK: Duration = Duration::from_millis(50);

/// After this time an ask has failed.
const TIMEOUT: Duration = Duration::from_millis(1_200);

pub fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

struct Process {
    member: Membership,
    born: Duration,
    flight: Option<(u64, Duration)>,
    drained: Option<Duration>,
    ahead: i64,
}

#[derive(Default)]
struct Host {
    process: Option<Process>,
    backoff: Backoff,
    starts: Option<Duration>,
    paused: bool,
    held: bool,
    names: i64,
}

/// What one host believes of its link to another one.
#[derive(Default, Clone, Copy)]
struct Link {
    reaches: bool,
    turns: Option<Duration>,
    name: Option<NodeName>,
}

pub struct World {
    pub now: Duration,
    random: u64,
    hosts: Vec<Host>,
    links: Vec<Vec<Link>>,
    pub faults: Vec<Fault>,
    store: Store,
    asks: u64,
    pub addresses: Vec<String>,
    pub put_outs: usize,
    pub refusals: Vec<String>,
    versions: HashMap<u64, Vec<(NodeName, MemberState)>>,
    holders: HashSet<(u64, Vec<NodeName>)>,
}

impl World {
    /// That many hosts, all of them started at once.
    pub fn new(hosts: usize, seed: u64) -> Self {
        World {
            // As a time of the monotonic clock, which is not 0 when a process starts.
            now: ms(100_000),
            random: seed | 1,
            hosts: (0..hosts)
                .map(|_| Host {
                    starts: Some(Duration::ZERO),
                    ..Host::default()
                })
                .collect(),
            links: vec![vec![Link::default(); hosts]; hosts],
            faults: Vec::new(),
            store: Store::default(),
            asks: 0,
            addresses: (0..hosts)
                .map(|host| format!("198.18.0.{host}:7000"))
                .collect(),
            put_outs: 0,
            refusals: Vec::new(),
            versions: HashMap::new(),
            holders: HashSet::new(),
        }
    }

    pub fn below(&mut self, limit: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random >> 11) % limit
    }

    pub fn begin(&mut self, fault: Fault) {
        match fault {
            Fault::Pause(host) => self.hosts[host].paused = true,
            Fault::Jump(host, by) => {
                if let Some(process) = &mut self.hosts[host].process {
                    process.ahead += by;
                }
            }
            Fault::Kill(host) => {
                self.hosts[host].process = None;
                self.hosts[host].starts = None;
                self.hosts[host].held = true;
            }
            Fault::Drain(host) => {
                self.hosts[host].held = true;
                self.hosts[host].starts = None;
                if let Some(process) = &mut self.hosts[host].process {
                    process.member.drain();
                }
            }
            _ => {}
        }
        self.faults.push(fault);
    }

    pub fn end(&mut self, fault: &Fault) {
        if let Some(at) = self.faults.iter().position(|other| other == fault) {
            self.faults.remove(at);
        }
        if self.faults.contains(fault) {
            return;
        }
        match *fault {
            Fault::Pause(host) => self.hosts[host].paused = false,
            Fault::Kill(host) | Fault::Drain(host) => {
                let others = [Fault::Kill(host), Fault::Drain(host)];
                if !others.iter().any(|other| self.faults.contains(other)) {
                    self.hosts[host].held = false;
                    if self.hosts[host].process.is_none() {
                        self.hosts[host].starts = Some(self.now);
                    }
                }
            }
            _ => {}
        }
    }

    /// Whether packets get through between them, both ways.
    pub fn connected(&self, one: usize, other: usize) -> bool {
        !self.faults.iter().any(|fault| match *fault {
            Fault::Cut(from, to) | Fault::CutBoth(from, to) => {
                (from, to) == (one, other) || (to, from) == (one, other)
            }
            _ => false,
        })
    }

    /// Lets time go by.
    pub fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.tick();
        }
    }

    /// Lets time go by until it is so; fails when it takes too long.
    pub fn until(&mut self, limit: Duration, what: &str, so: impl Fn(&World) -> bool) -> Duration {
        let begin = self.now;
        while !so(self) {
            assert!(self.now - begin < limit, "not {what} in {limit:?}: {self}");
            self.tick();
        }
        self.now - begin
    }

    fn tick(&mut self) {
        self.now += TICK;
        self.store.run(self.now);
        for host in 0..self.hosts.len() {
            if !self.hosts[host].paused {
                self.start(host);
                self.answer(host);
                self.link(host);
                self.act(host);
            }
        }
        self.check();
    }

    fn start(&mut self, number: usize) {
        let (now, ahead) = (self.now, self.below(300_000) as i64);
        let host = &mut self.hosts[number];
        if host.process.is_some() || host.starts.is_none_or(|at| at > now) {
            return;
        }
        host.starts = None;
        host.names += 1;
        let name = NodeName {
            slot: number as u8,
            since: now.as_millis() as i64 * 10 + host.names % 10,
        };
        let me = Member {
            address: self.addresses[number].clone(),
            envelope: *ENVELOPES.end(),
            ..Member::new(name, MemberState::Joining)
        };
        host.process = Some(Process {
            member: Membership::new(me, ENVELOPES),
            born: now,
            flight: None,
            drained: None,
            ahead,
        });
    }

    fn answer(&mut self, host: usize) {
        let now = self.now;
        let Some(process) = &mut self.hosts[host].process else {
            return;
        };
        let Some((id, gives_up)) = process.flight else {
            return;
        };
        let answer = match self.store.answers.remove(&id) {
            Some(answer) => answer,
            None if now >= gives_up => Answer::Failed,
            None => return,
        };
        process.flight = None;
        process.member.answered(now, answer);
    }

    fn link(&mut self, host: usize) {
        let now = self.now;
        let Some(process) = &self.hosts[host].process else {
            return;
        };
        let (mine, version) = (process.member.name(), process.member.view().version);
        let (mut reached, mut newest) = (BTreeSet::new(), None::<View>);
        for other in 0..self.hosts.len() {
            let theirs = self.hosts[other].process.as_ref();
            let name = theirs.map(|process| process.member.name());
            let known = theirs.is_some_and(|theirs| theirs.member.view().member(mine).is_some());
            let alive = known && !self.hosts[other].paused && self.connected(host, other);
            let can = alive && !self.faults.contains(&Fault::Deaf(host, other));
            let dies = ms(50 + self.below(100));
            let misses = ms(3_000 + self.below(1_000));
            let dials = ms(100 + self.below(200));
            let link = &mut self.links[host][other];
            if link.name != name && link.name.is_some() && link.reaches && name.is_some() {
                *link = Link::default();
            }
            if link.reaches == can {
                link.turns = None;
            } else {
                let wait = match (can, name.is_some() && known) {
                    (true, _) => dials,
                    (false, true) => misses,
                    (false, false) => dies,
                };
                let turns = *link.turns.get_or_insert(now + wait);
                if now >= turns {
                    *link = Link {
                        reaches: can,
                        turns: None,
                        name,
                    };
                }
            }
            let link = self.links[host][other];
            if let (true, Some(name)) = (link.reaches, link.name) {
                reached.insert(name);
                // Who puts a member out shows it so before the link ends.
                let hears = self.connected(host, other) && !self.hosts[other].paused;
                if let (true, Some(theirs)) = (hears, self.hosts[other].process.as_ref()) {
                    let view = theirs.member.view();
                    let newer = view.version > version;
                    if newer
                        && newest
                            .as_ref()
                            .is_none_or(|newest| newest.version < view.version)
                    {
                        newest = Some(view.clone());
                    }
                }
            }
        }
        let shows = self.below(2) == 0;
        if let Some(process) = &mut self.hosts[host].process {
            reached.retain(|name| process.member.view().member(*name).is_some());
            process.member.links(reached);
            match newest {
                Some(view) if shows || view.member(mine).is_none() => process.member.shown(view),
                Some(view) => process.member.told(view.version),
                None => {}
            }
        }
    }

    fn act(&mut self, number: usize) {
        let now = self.now;
        let host = &mut self.hosts[number];
        let Some(process) = &mut host.process else {
            return;
        };
        // A clock that is apart, or jumps, is at least never below what it has seen.
        let clock = now.as_millis() as i64 + process.ahead;
        process.member.now(clock.max(process.member.highest_now()));
        match process.member.standing() {
            Standing::Draining => {
                let since = *process.drained.get_or_insert(now);
                if now - since > ms(2_000) {
                    process.member.leave();
                }
            }
            standing @ (Standing::PutOut | Standing::Left | Standing::Refused(_)) => {
                let lived = now - process.born;
                host.process = None;
                if !host.held {
                    host.starts = Some(now + host.backoff.pause(lived));
                }
                self.put_outs += usize::from(standing == Standing::PutOut);
                if let Standing::Refused(why) = standing {
                    self.refusals.push(why);
                }
                return;
            }
            _ => {}
        }
        if now < process.member.wake() {
            return;
        }
        let (name, asked) = (process.member.name(), process.member.step(now));
        match asked {
            Some(ask) => {
                assert_eq!(process.flight, None, "one ask at a time");
                self.asks += 1;
                process.flight = Some((self.asks, now + TIMEOUT));
                self.send(number, name, ask);
            }
            None => assert!(process.member.wake() > now, "{number} is not busy: {self}"),
        }
    }

    fn send(&mut self, host: usize, name: NodeName, ask: Ask) {
        let fault = self.faults.iter().find_map(|fault| match *fault {
            Fault::Store(None, fault) => Some(fault),
            Fault::Store(Some(one), fault) if one == host => Some(fault),
            _ => None,
        });
        let fault = match fault {
            Some(StoreFault::Any) => {
                let fates = [
                    StoreFault::Away,
                    StoreFault::Unheard,
                    StoreFault::Late,
                    StoreFault::Slow,
                ];
                fates.get(self.below(6) as usize).copied()
            }
            fault => fault,
        };
        let (wait, heard) = match fault {
            Some(StoreFault::Away) => return,
            Some(StoreFault::ReadOnly) if ask != Ask::Read => return,
            Some(StoreFault::Unheard) => (10 + self.below(1_000), false),
            Some(StoreFault::Late) => (self.below(5_000), false),
            Some(StoreFault::Slow) => (10 + self.below(890), true),
            Some(StoreFault::ReadOnly | StoreFault::Any) | None => (5 + self.below(60), true),
        };
        self.store.queue.push(Op {
            id: self.asks,
            ask,
            name,
            at: self.now + ms(wait),
            heard,
        });
    }
}
