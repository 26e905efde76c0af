//! Who is online: connections counted per person and per sign-in.
//!
//! `join` is a person's first connection, `part` the last one's end, whatever device it is.
//! Pure: the presence actor adds the sockets and the pace.

use crate::edge::ConnectionId;
use cql::{SignInHash, UserId, Username};
use std::collections::{BTreeMap, HashMap, HashSet};

/// Somebody who is online.
#[derive(Debug)]
struct Person {
    username: Username,
    connections: HashSet<ConnectionId>,
}

/// The people of one node, or of all.
#[derive(Debug, Default)]
pub struct Roster {
    people: BTreeMap<UserId, Person>,
    sign_ins: HashMap<SignInHash, usize>,
    connections: HashMap<ConnectionId, (UserId, SignInHash)>,
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
        let person = self.people.entry(user).or_insert_with(|| Person {
            username: username.clone(),
            connections: HashSet::new(),
        });
        person.connections.insert(connection);
        person.connections.len() == 1
    }

    /// A connection goes; none if it was not here.
    pub fn remove(&mut self, connection: ConnectionId) -> Option<Left> {
        let (user, sign_in) = self.connections.remove(&connection)?;
        if let Some(count) = self.sign_ins.get_mut(&sign_in) {
            *count -= 1;
            if *count == 0 {
                self.sign_ins.remove(&sign_in);
            }
        }
        let person = self.people.get_mut(&user)?;
        person.connections.remove(&connection);
        let parted = person.connections.is_empty();
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

/// What a tick has to tell of comings and goings: who came and went at once is not told at all.
#[derive(Debug, Default)]
pub struct PresenceBatch {
    joined: Vec<Username>,
    parted: Vec<Username>,
}

impl PresenceBatch {
    /// Somebody came online.
    pub fn join(&mut self, username: &Username) {
        if !remove(&mut self.parted, username) {
            self.joined.push(username.clone());
        }
    }

    /// Somebody went offline.
    pub fn part(&mut self, username: &Username) {
        if !remove(&mut self.joined, username) {
            self.parted.push(username.clone());
        }
    }

    /// Who joined and who parted since this was last asked; none if nobody.
    pub fn take(&mut self) -> Option<(Vec<Username>, Vec<Username>)> {
        let batch = std::mem::take(self);
        (!batch.joined.is_empty() || !batch.parted.is_empty())
            .then_some((batch.joined, batch.parted))
    }
}

fn remove(names: &mut Vec<Username>, name: &Username) -> bool {
    let place = names.iter().position(|known| known == name);
    place.map(|place| names.swap_remove(place)).is_some()
}

#[cfg(test)]
#[path = "roster/tests.rs"]
mod tests;
