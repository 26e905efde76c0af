//! Who is online: connections counted per person and per sign-in.
//!
//! `join` is a person's first connection, `part` the last one's end, whatever device it is.
//! Pure: the presence actor adds the sockets and the pace.

use crate::cluster::Online;
use crate::edge::ConnectionId;
use cluster_config::NodeName;
use cql::{SignInHash, UserId, Username};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// Somebody who is online.
#[derive(Debug)]
struct Person {
    username: Username,
    connections: HashSet<ConnectionId>,
    elsewhere: HashSet<(NodeName, SignInHash)>,
}

impl Person {
    fn is_gone(&self) -> bool {
        self.connections.is_empty() && self.elsewhere.is_empty()
    }
}

/// The people of one node, or of all.
#[derive(Debug, Default)]
pub struct Roster {
    people: BTreeMap<UserId, Person>,
    sign_ins: HashMap<SignInHash, usize>,
    connections: HashMap<ConnectionId, (UserId, SignInHash)>,
    /// The sign-ins that are connected to other nodes.
    elsewhere: HashMap<NodeName, HashMap<SignInHash, UserId>>,
    /// Who is on other nodes already, while nobody here is told of it yet, each as often as they
    /// wait for their turn.
    expected: HashMap<UserId, BTreeMap<NodeName, usize>>,
}

/// What the end of a connection meant.
#[derive(Debug, PartialEq, Eq)]
pub struct Left {
    /// Whose it was.
    pub user: UserId,
    /// That person's name.
    pub username: Username,
    /// Whether it was the person's last.
    pub parted: bool,
}

impl Roster {
    /// A connection comes. True if it is the person's first.
    pub fn add(
        &mut self,
        connection: ConnectionId,
        user: UserId,
        username: &Username,
        sign_in: SignInHash,
    ) -> bool {
        if self
            .connections
            .insert(connection, (user, sign_in))
            .is_some()
        {
            return false;
        }
        *self.sign_ins.entry(sign_in).or_default() += 1;
        let person = self.person(user, username);
        let first = person.is_gone();
        person.connections.insert(connection);
        first
    }

    fn person(&mut self, user: UserId, username: &Username) -> &mut Person {
        self.people.entry(user).or_insert_with(|| Person {
            username: username.clone(),
            connections: HashSet::new(),
            elsewhere: HashSet::new(),
        })
    }

    /// Somebody is on another node, of which people here are told later: what is said to them
    /// goes there from now on.
    pub fn expect(&mut self, node: NodeName, user: UserId) {
        let expected = self.expected.entry(user).or_default();
        *expected.entry(node).or_default() += 1;
    }

    /// Whoever was expected, once, has come, or will not.
    pub fn expect_no_more(&mut self, node: NodeName, user: UserId) {
        let Some(expected) = self.expected.get_mut(&user) else {
            return;
        };
        if let Some(times) = expected.get_mut(&node) {
            *times -= 1;
        }
        expected.retain(|_, times| *times > 0);
        if expected.is_empty() {
            self.expected.remove(&user);
        }
    }

    /// A sign-in is connected to another node. True if the person was nowhere before.
    pub fn join_elsewhere(&mut self, node: NodeName, online: &Online) -> bool {
        let there = self.elsewhere.entry(node).or_default();
        if there.insert(online.sign_in, online.user).is_some() {
            return false;
        }
        *self.sign_ins.entry(online.sign_in).or_default() += 1;
        let person = self.person(online.user, &online.username);
        let first = person.is_gone();
        person.elsewhere.insert((node, online.sign_in));
        first
    }

    /// A sign-in is connected to another node no more; none if it was not.
    pub fn part_elsewhere(&mut self, node: NodeName, sign_in: SignInHash) -> Option<Left> {
        let there = self.elsewhere.get_mut(&node)?;
        let user = there.remove(&sign_in)?;
        if there.is_empty() {
            self.elsewhere.remove(&node);
        }
        self.sign_in_left(sign_in);
        let person = self.people.get_mut(&user)?;
        person.elsewhere.remove(&(node, sign_in));
        self.left(user)
    }

    /// The sign-ins that are connected to another node.
    pub fn on_node(&self, node: NodeName) -> Vec<SignInHash> {
        let there = self.elsewhere.get(&node);
        there
            .into_iter()
            .flat_map(|there| there.keys().copied())
            .collect()
    }

    /// The nodes where any of these people is; `me` is this one.
    pub fn nodes_of(&self, users: &[UserId], me: NodeName) -> BTreeSet<NodeName> {
        let expected = users.iter().filter_map(|user| self.expected.get(user));
        let mut nodes: BTreeSet<NodeName> =
            expected.flat_map(|there| there.keys().copied()).collect();
        for person in users.iter().filter_map(|user| self.people.get(user)) {
            nodes.extend(person.elsewhere.iter().map(|(node, _)| *node));
            if !person.connections.is_empty() {
                nodes.insert(me);
            }
        }
        nodes
    }

    /// The other nodes that a sign-in is connected to.
    pub fn nodes_of_sign_in(&self, sign_in: SignInHash) -> Vec<NodeName> {
        let there = self.elsewhere.iter();
        let there = there.filter(|(_, there)| there.contains_key(&sign_in));
        there.map(|(node, _)| *node).collect()
    }

    fn sign_in_left(&mut self, sign_in: SignInHash) {
        if let Some(count) = self.sign_ins.get_mut(&sign_in) {
            *count -= 1;
            if *count == 0 {
                self.sign_ins.remove(&sign_in);
            }
        }
    }

    fn left(&mut self, user: UserId) -> Option<Left> {
        let person = self.people.get(&user)?;
        let parted = person.is_gone();
        let username = person.username.clone();
        if parted {
            self.people.remove(&user);
        }
        Some(Left {
            user,
            username,
            parted,
        })
    }

    /// A connection goes; none if it was not here.
    pub fn remove(&mut self, connection: ConnectionId) -> Option<Left> {
        let (user, sign_in) = self.connections.remove(&connection)?;
        self.sign_in_left(sign_in);
        self.people.get_mut(&user)?.connections.remove(&connection);
        self.left(user)
    }

    /// Everybody, each once.
    pub fn names(&self) -> Vec<Username> {
        self.people
            .values()
            .map(|person| person.username.clone())
            .collect()
    }

    /// Whether a person has a connection.
    pub fn is_online(&self, user: UserId) -> bool {
        self.people.contains_key(&user)
    }

    /// Whether a sign-in has a connection.
    pub fn is_connected(&self, sign_in: SignInHash) -> bool {
        self.sign_ins.contains_key(&sign_in)
    }

    /// A person's connections.
    pub fn connections_of(&self, user: UserId) -> impl Iterator<Item = ConnectionId> {
        self.people
            .get(&user)
            .into_iter()
            .flat_map(|person| person.connections.iter().copied())
    }

    /// How many people and how many connections.
    pub fn counts(&self) -> (usize, usize) {
        (self.people.len(), self.connections.len())
    }
}

/// What a tick has to tell of comings and goings: of each the last. Who came and went at once is
/// told too, as somebody who came between has seen one of the two alone.
#[derive(Debug, Default)]
pub struct PresenceBatch {
    joined: Vec<Username>,
    parted: Vec<Username>,
}

impl PresenceBatch {
    /// Somebody came online.
    pub fn join(&mut self, username: &Username) {
        last_in(&mut self.joined, &mut self.parted, username);
    }

    /// Somebody went offline.
    pub fn part(&mut self, username: &Username) {
        last_in(&mut self.parted, &mut self.joined, username);
    }

    /// Who joined and who parted since this was last asked; none if nobody.
    pub fn take(&mut self) -> Option<(Vec<Username>, Vec<Username>)> {
        let batch = std::mem::take(self);
        (!batch.joined.is_empty() || !batch.parted.is_empty())
            .then_some((batch.joined, batch.parted))
    }
}

fn last_in(these: &mut Vec<Username>, others: &mut Vec<Username>, name: &Username) {
    others.retain(|known| known != name);
    if !these.contains(name) {
        these.push(name.clone());
    }
}

#[cfg(test)]
#[path = "roster/tests.rs"]
mod tests;
