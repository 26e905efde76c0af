//! A relay's sockets, in parts that get the same packets.
//!
//! A part holds about a thousand sockets, so that no room's lock is held for long. In a private
//! a part has one person's sockets, because the two are told different things.

use super::Viewer;
use crate::edge::{ConnectionId, Entry, Packet, Room, Target, Wants};
use cql::{Conversation, UserId};
use std::collections::HashMap;
use std::sync::Arc;

/// Sockets in one room; larger ones hold their lock for milliseconds.
const PART_SIZE: usize = 1_000;

/// Sockets that get the same packets.
#[derive(Debug)]
pub struct Part {
    /// Their room.
    pub room: Room,
    /// What they want to hear.
    pub wants: Wants,
    /// In a private, whose they are.
    pub person: Option<UserId>,
    size: usize,
}

/// All sockets of a relay.
#[derive(Debug)]
pub struct Parts {
    conversation: Conversation,
    parts: Vec<Part>,
    members: HashMap<ConnectionId, usize>,
}

impl Parts {
    /// None yet.
    pub fn new(conversation: &Conversation) -> Self {
        Parts {
            conversation: conversation.clone(),
            parts: Vec::new(),
            members: HashMap::new(),
        }
    }

    /// Whether it has no sockets.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Whether a connection is here.
    pub fn contains(&self, connection: ConnectionId) -> bool {
        self.members.contains_key(&connection)
    }

    /// All connections.
    pub fn connections(&self) -> Vec<ConnectionId> {
        self.members.keys().copied().collect()
    }

    /// The parts that have sockets.
    pub fn iter(&self) -> impl Iterator<Item = &Part> {
        self.parts.iter().filter(|part| part.size > 0)
    }

    /// Whether anybody wants `message` events.
    pub fn want_messages(&self) -> bool {
        self.iter().any(|part| part.wants.messages)
    }

    /// In a private, whose a connection is.
    pub fn person(&self, viewer: &Viewer) -> Option<UserId> {
        matches!(self.conversation, Conversation::Private(..)).then_some(viewer.user)
    }

    /// Takes a connection in; the room it belongs to.
    pub fn add(&mut self, viewer: &Viewer) -> Room {
        let person = self.person(viewer);
        let fits = |part: &Part| {
            part.wants == viewer.wants && part.person == person && part.size < PART_SIZE
        };
        let place = self.parts.iter().position(fits).unwrap_or_else(|| {
            let room = format!("{}#{}", self.conversation.key(), self.parts.len());
            let room = Room(Arc::from(room));
            self.parts.push(Part {
                room,
                wants: viewer.wants,
                person,
                size: 0,
            });
            self.parts.len() - 1
        });
        self.parts[place].size += 1;
        self.members.insert(viewer.connection, place);
        self.parts[place].room.clone()
    }

    /// Lets a connection go; the room it was in.
    pub fn remove(&mut self, connection: ConnectionId) -> Option<Room> {
        let place = self.members.remove(&connection)?;
        self.parts[place].size -= 1;
        Some(self.parts[place].room.clone())
    }

    /// The cursor of each kind of viewer, where anybody wants one: in a private each of the two
    /// names the other.
    pub fn cursors(
        &self,
        entries: &[Entry],
        encode: impl Fn(&Target) -> Packet,
    ) -> HashMap<Option<UserId>, Packet> {
        let mut cursors = HashMap::new();
        for part in self.iter().filter(|part| part.wants.resume) {
            if cursors.contains_key(&part.person) {
                continue;
            }
            let Some(entry) = entries.first() else {
                continue;
            };
            let target = match part.person {
                Some(person) => named_by(person, entry),
                None => entry.target.clone(),
            };
            cursors.insert(part.person, encode(&target));
        }
        cursors
    }
}

/// As a person names the conversation of an entry: a private by the other's name.
pub fn named_by(person: UserId, entry: &Entry) -> Target {
    match &entry.target {
        Target::User(_) if entry.author != Some(person) => Target::User(entry.username.clone()),
        target => target.clone(),
    }
}
