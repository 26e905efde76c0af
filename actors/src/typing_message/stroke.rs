//! A change of a message: what it is, by whom, and how it is answered.

use crate::edge::Target;
use crate::frame::Belongs;
use crate::requests::{Patched, TypingError};
use cql::{Conversation, MessageText, Millis, UserId, Username};
use ractor::RpcReplyPort;
use serde::{Deserialize, Serialize};

/// A reply to whoever changed a message.
pub type PatchReply = RpcReplyPort<Result<Patched, TypingError>>;

/// Who changes a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum By {
    /// Its author, it is hoped.
    Person(Typist),
    /// A privileged caller.
    Privileged {
        /// When it is said to have been sent.
        datetime_sent: Option<Millis>,
    },
}

/// A person at the keyboard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Typist {
    /// Who.
    pub user: UserId,
    /// The name.
    pub username: Username,
    /// As the conversation was named.
    pub target: Target,
    /// Whose the ghost is from now on.
    pub belongs: Belongs,
    /// Whether this person's session saw the message begin.
    pub began: bool,
}

/// One change of a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stroke {
    /// Who changes it.
    pub by: By,
    /// Where it is thought to be; none if that was not said.
    pub conversation: Option<Conversation>,
    /// The whole text; none erases.
    pub text: Option<MessageText>,
    /// False sends.
    pub typing: bool,
    /// The author's count.
    pub rev: Option<u64>,
}

/// Where a message is being typed, and by whom.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Whereabouts {
    /// Where.
    pub conversation: Conversation,
    /// By whom.
    pub author: Option<UserId>,
}
