//! What is asked of the actors, and what they answer.

use crate::edge::{ConnectionId, Entry, Target, Wants};
use cql::{ChannelName, Conversation, MessageId, MessageText, Millis, SignIn, UserId, Username};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What was asked was not answered: the outcome of a change is unknown, and it may be repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[error("not answered in time")]
pub struct Unanswered;

/// A conversation, and how a client named it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Destination {
    /// Where messages live.
    pub conversation: Conversation,
    /// As the client named it.
    pub target: Target,
}

/// How a request came in; a message typed on a socket belongs to that socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Via {
    /// By HTTP: belongs to the sign-in.
    Http,
    /// On this socket.
    Connection(ConnectionId),
}

/// A connection's wish to be heard and to hear.
#[derive(Debug, Clone)]
pub struct Login {
    /// The socket.
    pub connection: ConnectionId,
    /// Whose it is.
    pub sign_in: SignIn,
    /// What it wants to hear.
    pub wants: Wants,
    /// The channels it names; none: `ting`, and implicit ones later. All of them exist.
    pub channels: Option<Vec<ChannelName>>,
}

/// Why a conversation could not be entered or left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EnterError {
    /// The connection is not logged in, or gone.
    #[error("not logged in")]
    NotLoggedIn,
    /// It is in as many as one may be.
    #[error("a connection is in {0} conversations at most")]
    TooMany(usize),
    /// A private can't be left.
    #[error("a private can't be left")]
    Private,
    /// No answer.
    #[error(transparent)]
    Unanswered(#[from] Unanswered),
}

/// Somebody begins to type, or says all at once.
#[derive(Debug, Clone)]
pub struct Post {
    /// Who.
    pub by: SignIn,
    /// How it came in.
    pub via: Via,
    /// Where to.
    pub to: Destination,
    /// What is typed so far.
    pub text: MessageText,
    /// False: sent in the same request.
    pub typing: bool,
    /// The client's idempotency key, 1 to 64 characters.
    pub key: Option<String>,
}

/// A message has begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Posted {
    /// Its place.
    pub id: MessageId,
    /// With this, any node takes it up again.
    pub claim: String,
}

/// Somebody goes on typing, sends or erases.
#[derive(Debug, Clone)]
pub struct Patch {
    /// Who.
    pub by: SignIn,
    /// How it came in.
    pub via: Via,
    /// Where to; must be where it began.
    pub to: Destination,
    /// Which message.
    pub id: MessageId,
    /// The whole text so far; none erases.
    pub text: Option<MessageText>,
    /// False sends.
    pub typing: bool,
    /// The client's own count of its changes.
    pub rev: Option<u64>,
    /// What its `POST` answered.
    pub claim: Option<String>,
}

/// What became of a [`Patch`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Patched {
    /// As wished.
    Done,
    /// The message had expired and begins anew.
    Anew(Posted),
}

/// Why typing was refused. It travels in the reply: an `Err` out of a handler ends the actor.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum TypingError {
    /// The author is typing as many messages here as one may.
    #[error("{0} messages are being typed here already")]
    TooMany(usize),
    /// More sends than one may.
    #[error("sent too fast, try again in {0:?}")]
    TooFast(Duration),
    /// Nothing is known of it, or it has ended.
    #[error("no such message")]
    NotFound,
    /// Somebody else's.
    #[error("another author's message")]
    Forbidden,
    /// It was sent, with another text.
    #[error("sent already")]
    Sent,
    /// It belongs to another conversation.
    #[error("the message is in another conversation")]
    Conversation,
    /// The store or the owner did not answer; the message is as it was, or as wished.
    #[error(transparent)]
    Unanswered(#[from] Unanswered),
}

/// A message brought in by a privileged caller.
#[derive(Debug, Clone)]
pub struct PrivilegedPost {
    /// Where to.
    pub to: Destination,
    /// Who is named as its author; in a channel it may be nobody who exists.
    pub author: Option<UserId>,
    /// The name.
    pub username: Username,
    /// What is said.
    pub text: MessageText,
    /// When it is said to have begun; one in the future becomes now.
    pub datetime_start: Millis,
    /// False: sent at once.
    pub typing: bool,
}

/// A message changed by a privileged caller.
#[derive(Debug, Clone)]
pub struct PrivilegedPatch {
    /// Which.
    pub id: MessageId,
    /// The whole text; none erases.
    pub text: Option<MessageText>,
    /// When it is said to have been sent; before its start becomes its start.
    pub datetime_sent: Option<Millis>,
    /// False sends.
    pub typing: bool,
}

/// A part of a conversation, with what is being typed there.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct History {
    /// Newest first.
    pub entries: Vec<Entry>,
    /// Whether older ones match too.
    pub more: bool,
}
