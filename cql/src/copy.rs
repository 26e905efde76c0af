//! A whole store on its way to another: table by table, row by row.
//!
//! What is copied is what stands there and not what was done, so a row carries all that the other
//! store makes its own rows of.

use crate::{
    ChannelName, Conversation, Ended, KeyClaim, Message, MessageId, Millis, SignIn, Slot, User,
    UserId, Username,
};
use std::time::Duration;

/// What is copied, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Table {
    /// Up to when ids may have been given.
    Slots,
    /// Keys that all nodes share.
    ClusterKeys,
    /// People and their names.
    Users,
    /// Sign-ins.
    SignIns,
    /// Channels.
    Channels,
    /// Messages, conversation by conversation.
    Messages,
    /// Marks of ids that were ended.
    Marks,
    /// Lists of privates.
    Inbox,
    /// Idempotency keys.
    Keys,
}

impl Table {
    /// All of them.
    pub const ALL: [Table; 9] = [
        Table::Slots,
        Table::ClusterKeys,
        Table::Users,
        Table::SignIns,
        Table::Channels,
        Table::Messages,
        Table::Marks,
        Table::Inbox,
        Table::Keys,
    ];

    /// Its name, for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Table::Slots => "slots",
            Table::ClusterKeys => "cluster keys",
            Table::Users => "people",
            Table::SignIns => "sign-ins",
            Table::Channels => "channels",
            Table::Messages => "messages",
            Table::Marks => "marks",
            Table::Inbox => "privates",
            Table::Keys => "keys",
        }
    }
}

/// A row of any of the tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Row {
    /// A slot that was ever taken.
    Slot(Slot),
    /// A key of the cluster.
    ClusterKey(String, Vec<u8>),
    /// Somebody.
    User(Box<User>),
    /// A sign-in.
    SignIn(SignIn),
    /// A channel, and when it was made.
    Channel(ChannelName, Millis),
    /// A message.
    Message(Box<Message>),
    /// An id that was ended.
    Mark {
        /// Which.
        id: MessageId,
        /// Where it was.
        conversation: Conversation,
        /// When it ended.
        ended_at: Millis,
    },
    /// A private in a person's list.
    Inbox(Box<InboxRow>),
    /// An idempotency key.
    Key {
        /// Whose.
        user: UserId,
        /// The key.
        key: String,
        /// What it stands for.
        claim: KeyClaim,
        /// Since when.
        bound_at: Millis,
    },
}

/// A private in a person's list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InboxRow {
    /// Whose list.
    pub user: UserId,
    /// Whom it is with.
    pub other: UserId,
    /// That person's name as the last message had it.
    pub username: Username,
    /// When the last message was sent, and its id.
    pub last: (Millis, MessageId),
    /// When the last one by the other was sent, and its id.
    pub received: Option<(Millis, MessageId)>,
    /// Up to which sending it is read.
    pub read_up_to: Millis,
}

/// When rows have outlived their time.
#[derive(Debug, Clone, Copy)]
pub struct Lifetimes {
    /// The time.
    pub now: Millis,
    /// How long messages are kept; none keeps them for ever.
    pub retention: Option<Duration>,
}

impl Lifetimes {
    /// How much longer a row is kept, in milliseconds: none is for ever, and what is not above 0
    /// has gone.
    pub fn left(&self, row: &Row) -> Option<Millis> {
        let ends = match row {
            Row::SignIn(sign_in) => sign_in.used_at + SignIn::LIFETIME,
            Row::Mark { ended_at, .. } => ended_at + Ended::LIFETIME,
            Row::Key { bound_at, .. } => bound_at + KeyClaim::LIFETIME,
            Row::Inbox(inbox) => inbox.last.0 + self.retention()?,
            Row::Message(message) => message.id.time() + self.retention()?,
            _ => return None,
        };
        Some(ends - self.now)
    }

    /// Whether a row has outlived its time.
    pub fn has_gone(&self, row: &Row) -> bool {
        self.left(row).is_some_and(|left| left <= 0)
    }

    pub(crate) fn retention(&self) -> Option<Millis> {
        let retention = self.retention?;
        Some(Millis::try_from(retention.as_millis()).unwrap_or(Millis::MAX / 2))
    }
}
