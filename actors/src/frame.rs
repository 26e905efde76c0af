//! What travels between a conversation's owner and the relays that show it.

use crate::edge::{ConnectionId, Entry};
use cluster_config::NodeName;
use cql::{Conversation, MessageId, Millis, SignInHash};
use serde::{Deserialize, Serialize};

/// Which life of an owner numbers the frames. A new owner, and one started anew, has a new one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Epoch {
    /// The view it owns by.
    pub version: u64,
    /// Drawn from the message ids, so it is new and rises.
    pub id: MessageId,
}

/// Whose going ends a ghost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Belongs {
    /// The socket that typed it last, on the node where it is.
    Connection(NodeName, ConnectionId),
    /// The sign-in that typed it by HTTP: its last socket.
    SignIn(SignInHash),
    /// Nobody's: it is erased after a minute without a change.
    Nobody,
}

/// How an id ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum End {
    /// It is in the history.
    Sent,
    /// By its author.
    Erased,
    /// By a privileged caller.
    Deleted,
    /// It was typed for too long; its author may begin anew.
    Expired,
    /// Its author's connection went; the author may claim it again.
    Absent,
}

impl End {
    /// Whether its author can't type it again.
    pub fn is_for_good(self) -> bool {
        matches!(self, End::Sent | End::Erased | End::Deleted)
    }
}

/// A message being typed, with all that another owner needs to go on with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ghost {
    /// As it is shown.
    pub entry: Entry,
    /// Whose going ends it.
    pub belongs: Belongs,
    /// The author's idempotency key.
    pub key: Option<String>,
    /// The author's last count.
    pub author_rev: u64,
}

/// One message that changed since the last frame.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    /// It is being typed.
    Typing(Ghost),
    /// It ended; the entry is what viewers are told.
    Ended(Entry, End),
}

impl Change {
    /// Which message.
    pub fn id(&self) -> MessageId {
        match self {
            Change::Typing(ghost) => ghost.entry.id,
            Change::Ended(entry, _) => entry.id,
        }
    }
}

/// What one relay receives from one conversation in one tick.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Frame {
    /// Whose frame it is.
    pub conversation: Conversation,
    /// In which life of the owner.
    pub epoch: Epoch,
    /// Counts the frames of that life.
    pub n: u64,
    /// No place below can be filled any more.
    pub low: MessageId,
    /// When the oldest change in it reached Ting.
    pub since: Millis,
    /// Whether somebody waits for the relays to have it.
    pub acknowledge: bool,
    /// In id order.
    pub changes: Vec<Change>,
}

/// Everything a relay needs to show a conversation, from some place on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// In which life of the owner.
    pub epoch: Epoch,
    /// The last frame it contains.
    pub n: u64,
    /// No place below can be filled any more.
    pub low: MessageId,
    /// What is being typed, in id order.
    pub ghosts: Vec<Ghost>,
    /// What was sent at the asked place or above, in id order.
    pub sent: Vec<Entry>,
    /// What was sent there and deleted since, as viewers are told, in id order.
    #[serde(default)]
    pub deleted: Vec<Entry>,
}
