//! What must hold after every step, and what is to be seen from outside.

use super::{Process, World};
use crate::membership::*;
use crate::{Placement, Shard};
use std::collections::HashMap;

impl World {
    pub(super) fn check(&mut self) {
        let mut holders = Vec::new();
        for host in &self.hosts {
            let Some(member) = host.process.as_ref().map(|process| &process.member) else {
                continue;
            };
            let (name, view) = (member.name(), member.view());
            // All who know a version name the same owners by it.
            let mut members: Vec<_> = view.members.iter().map(|m| (m.name, m.state)).collect();
            members.sort_by_key(|(name, _)| *name);
            let first = self
                .versions
                .entry(view.version)
                .or_insert_with(|| members.clone());
            assert_eq!(*first, members, "version {} as {name} has it", view.version);
            if !member.lease_holds(self.now) {
                continue;
            }
            // What one may act by as settled, everybody's `now` has passed who holds a lease.
            for other in self.hosts.iter().flat_map(|host| &host.process) {
                let other = &other.member;
                let counted = self.store.rows.contains_key(&other.name());
                // When the last one leaves its rows take their `now` with them.
                let known = other.view().version > self.store.emptied;
                let acts = counted || known && other.lease_holds(self.now);
                if let Some(settled) = other.settled_now().filter(|_| acts) {
                    assert!(settled <= member.highest_now(), "{name}: {settled} {self}");
                }
            }
            // Who holds a lease acts by the newest version, or by one that was replaced less
            // than a lease ago, which is what a new owner waits for.
            match self.store.replaced.get(&view.version) {
                Some(replaced) => assert!(
                    self.now < *replaced + LEASE,
                    "{name} holds a lease by version {}, replaced {:?} ago",
                    view.version,
                    self.now - *replaced
                ),
                None => holders.push((name, view)),
            }
        }
        // One owner at a time by the newest version; seen once, it holds for these holders.
        let names: Vec<NodeName> = holders.iter().map(|(name, _)| *name).collect();
        if self.holders.insert((self.store.version, names)) {
            let mut owned = HashMap::new();
            for (name, view) in holders {
                let placement = Placement::of(view);
                for shard in Shard::all().filter(|shard| placement.owner(*shard) == Some(name)) {
                    let other = owned.insert(shard, name);
                    assert_eq!(other, None, "{name} owns {shard:?} too");
                }
            }
        }
    }

    /// Whether the cluster has settled: the members that are up run, act by the newest version,
    /// hold their leases and all reach each other, and there is one.
    pub fn settled(&self) -> bool {
        let up: Vec<usize> = self.up();
        let rows = self.store.rows.values();
        let counted = rows.filter(|row| row.state != MemberState::Joining).count();
        !up.is_empty()
            && up.len() == counted
            && up.iter().all(|&one| {
                let member = &self.process(one).member;
                member.view().version == self.store.version && member.lease_holds(self.now)
            })
            && up.iter().all(|&one| {
                let both = |other: usize| {
                    other == one || self.links[one][other].reaches && self.connected(one, other)
                };
                up.iter().all(|&other| both(other))
            })
    }

    /// Whether every process acts by the newest version.
    pub fn current(&self) -> bool {
        let views = self.hosts.iter().flat_map(|host| &host.process);
        views
            .map(|p| p.member.view().version)
            .all(|version| version == self.store.version)
    }

    /// The hosts whose process is up.
    pub fn up(&self) -> Vec<usize> {
        let is_up = |host: &usize| {
            let process = self.hosts[*host].process.as_ref();
            process.is_some_and(|process| {
                let row = self.store.rows.get(&process.member.name());
                process.member.standing() == Standing::Up
                    && row.is_some_and(|row| row.state == MemberState::Up)
            })
        };
        (0..self.hosts.len()).filter(is_up).collect()
    }

    /// Whether all hosts are up and settled.
    pub fn whole(&self) -> bool {
        self.up().len() == self.hosts.len() && self.settled()
    }

    pub fn version(&self) -> u64 {
        self.store.version
    }

    fn process(&self, host: usize) -> &Process {
        self.hosts[host].process.as_ref().unwrap()
    }

    pub fn name(&self, host: usize) -> NodeName {
        self.process(host).member.name()
    }

    pub fn standing(&self, host: usize) -> Option<Standing> {
        let process = self.hosts[host].process.as_ref();
        process.map(|process| process.member.standing())
    }

    /// Who was taken out of the view by another one.
    pub fn taken(&self) -> &[NodeName] {
        &self.store.put_out
    }
}

impl std::fmt::Display for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(
            f,
            "at {:?}, version {}, {:?}",
            self.now, self.store.version, self.faults
        )?;
        for row in self.store.rows.values() {
            let reaches: Vec<String> = row.reaches.iter().map(NodeName::to_string).collect();
            writeln!(
                f,
                "  row {} {:?} {} {reaches:?}",
                row.name, row.state, row.renewals
            )?;
        }
        for (number, host) in self.hosts.iter().enumerate() {
            let process = host.process.as_ref().map(|p| {
                let lease = p.member.lease_holds(self.now);
                (
                    p.member.name().to_string(),
                    p.member.standing(),
                    p.member.view().version,
                    lease,
                )
            });
            writeln!(f, "  host {number} paused {} {process:?}", host.paused)?;
        }
        Ok(())
    }
}
