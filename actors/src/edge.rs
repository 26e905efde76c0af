//! What the actors need of the sockets' side, and what they tell it.
//!
//! The actors know people, conversations and connections; how an event looks on the wire is the
//! edge's matter. An event is encoded once ([`Sockets::encode`]) and the packet is shared by all
//! who get it.

use cql::{ChannelName, MessageId, Millis, UserId, Username};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

/// One socket of this node. Numbers are not used again while the process lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ConnectionId(pub u64);

/// A set of sockets that get the same packets.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Room(pub Arc<str>);

/// An event as it goes over the wire, encoded once and shared.
#[derive(Debug, Clone)]
pub struct Packet {
    /// The event's name.
    pub event: &'static str,
    /// Its one argument, as JSON.
    pub body: Arc<serde_json::value::RawValue>,
}

/// Where a message is shown to go: what clients call `type` and `target`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Target {
    /// `channel`
    Channel(ChannelName),
    /// `user`: the person the message is for, never its author.
    User(Username),
}

/// A message as viewers see it: being typed, sent, or erased.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its place.
    pub id: MessageId,
    /// Who types; none when a privileged message names nobody who exists.
    pub author: Option<UserId>,
    /// The author's name.
    pub username: Username,
    /// Where it goes.
    pub target: Target,
    /// The text so far; empty when it was erased.
    pub text: Arc<str>,
    /// False once it is sent.
    pub typing: bool,
    /// When typing began.
    pub datetime_start: Millis,
    /// When it was sent.
    pub datetime_sent: Option<Millis>,
    /// The owner's count of its states.
    pub rev: u64,
}

impl std::fmt::Debug for Entry {
    /// Everything but the text.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Entry")
            .field("id", &self.id)
            .field("author", &self.author)
            .field("typing", &self.typing)
            .field("rev", &self.rev)
            .field("text_bytes", &self.text.len())
            .finish_non_exhaustive()
    }
}

/// What clients are told.
#[derive(Debug, Clone, Copy)]
pub enum Event<'a> {
    /// `login-response` of a login that succeeded.
    LoggedIn {
        /// Who is online, oneself too.
        people: &'a [Username],
    },
    /// `join`
    Join(&'a Username),
    /// `part`
    Part(&'a Username),
    /// `presence`
    Presence {
        /// Who came.
        joined: &'a [Username],
        /// Who went.
        parted: &'a [Username],
    },
    /// `update-typing-messages`: of one conversation, in id order.
    TypingMessages(&'a [Entry]),
    /// `message`: one that was sent.
    Message(&'a Entry),
    /// `cursor`
    Cursor {
        /// The conversation, as the viewer names it.
        target: &'a Target,
        /// No place below can be filled any more.
        low: MessageId,
    },
    /// `drain`
    Drain {
        /// When to reconnect.
        after: Duration,
    },
}

/// Why a socket is ended by this side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kill {
    /// Its sign-in ended.
    SignedOut,
    /// It can't keep up; it reconnects and catches up.
    Stalled,
    /// The actors behind it started anew; it reconnects and catches up.
    Restarted,
    /// The node is going.
    Draining,
}

/// The sockets of this node. None of these wait, and all of them may be called for a connection
/// that is gone already.
pub trait Sockets: Send + Sync + std::fmt::Debug + 'static {
    /// An event as it goes over the wire.
    fn encode(&self, event: Event<'_>) -> Packet;

    /// Puts a connection into a room, if it is there.
    fn join(&self, connection: ConnectionId, room: &Room);

    /// Takes a connection out of a room.
    fn leave(&self, connection: ConnectionId, room: &Room);

    /// Emits to all in a room, back to back. Who has no place left for it is ended
    /// ([`Kill::Stalled`]): a client that misses one update must catch up as a whole.
    fn emit_to_room(&self, room: &Room, packets: &[Packet]);

    /// Emits to one connection, back to back.
    fn emit(&self, connection: ConnectionId, packets: &[Packet]);

    /// Ends the connection at once, without a word that keeps the client from reconnecting.
    fn kill(&self, connection: ConnectionId, why: Kill);
}

/// What a connection wants to hear, as its `login` said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Wants {
    /// `message` events.
    pub messages: bool,
    /// `presence` once a tick, instead of `join` and `part`.
    pub batched_presence: bool,
    /// `cursor` and `drain`.
    pub resume: bool,
}

impl Default for Wants {
    /// What a client that knows the seed alone hears.
    fn default() -> Self {
        Wants {
            messages: true,
            batched_presence: false,
            resume: false,
        }
    }
}
