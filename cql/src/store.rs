//! The one door to what is durable.
//!
//! Every operation touches one partition, or says in which order it touches several; nothing
//! here needs a join, a scan or a transaction over two subjects. What an operation answers is
//! durable. `now` is the caller's: a store never looks at a clock of its own but in
//! [`Store::now`].

use crate::{
    ChannelName, Conversation, Members, Message, MessageId, Millis, Profile, SignIn, SignInHash,
    User, UserId, Username,
};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};

/// Why a store did not answer with what it was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// It can't be reached, or it refused: nothing was changed.
    #[error("the store is not available: {0}")]
    Unavailable(String),
    /// It did not answer in time: a change may have been made or not.
    #[error("the store did not answer, outcome unknown: {0}")]
    Unknown(String),
    /// What it holds can't be read; a person has to look.
    #[error("the store is damaged: {0}")]
    Damaged(String),
}

/// What became of a message that was to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Append {
    /// It is in the history now, or was already, with the same text.
    Kept,
    /// Its place holds another text, which stays.
    Taken(Box<Message>),
    /// It was deleted or erased, and does not come back.
    Ended,
}

/// Marks that an id is used up without a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// Where it was.
    pub conversation: Conversation,
}

impl Ended {
    /// A mark is kept at least this long, in milliseconds: an hour, four times as long as a
    /// message may be typed.
    pub const LIFETIME: Millis = 3_600_000;
}

/// What stands at an id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Placed {
    /// A message.
    Message(Box<Message>),
    /// It was deleted or erased within the last hour.
    Ended(Ended),
    /// Nothing is known of it.
    Nothing,
}

/// Which part of a history: the newest `limit` of what lies between.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Range {
    /// Only ids below.
    pub before: Option<MessageId>,
    /// Only ids above.
    pub after: Option<MessageId>,
    /// At most so many.
    pub limit: usize,
}

/// A part of a history.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    /// Newest first.
    pub messages: Vec<Message>,
    /// Whether older ones match too.
    pub more: bool,
}

/// One private in a person's list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inbox {
    /// Whom it is with.
    pub other: UserId,
    /// That person's name as the last message had it.
    pub username: Username,
    /// When the last message was sent.
    pub datetime_sent: Millis,
    /// How many of the other's messages were sent since it was read; counts to 99.
    pub unread: u32,
}

/// Somebody who is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewUser {
    /// A fresh id.
    pub id: UserId,
    /// The wanted name.
    pub username: Username,
    /// The time of the wish.
    pub now: Millis,
}

/// What became of a wish for a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClaimedName {
    /// The person exists now. Whoever had released this name, or one alike, is gone, and is told
    /// here so that what is alive of them can be ended.
    Claimed {
        /// Whose the names were: nobody's, one's, or two people's, for a name can look like two
        /// that don't look like each other.
        released: Vec<UserId>,
    },
    /// This user has exactly this name.
    Exists(Box<User>),
    /// Somebody has a name too much like it.
    Alike,
}

/// What to change in a user; `None` leaves it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProfileChanges {
    /// Argon2's string.
    pub password_hash: Option<String>,
    /// The whole profile, with what stays in it.
    pub profile: Option<Profile>,
}

/// Who came first with an idempotency key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyClaim {
    /// The id that the key stands for.
    pub id: MessageId,
    /// Where that message belongs.
    pub conversation: Conversation,
}

impl KeyClaim {
    /// A key is bound for this long, in milliseconds: a day.
    pub const LIFETIME: Millis = 24 * 3_600_000;
}

/// A slot of the id space and the time up to which its ids may have been given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot {
    /// 0 to 127.
    pub number: u8,
    /// No id at or past this time has been given out of it.
    pub high_water: Millis,
}

/// All that Ting keeps.
#[async_trait]
pub trait Store: Send + Sync + std::fmt::Debug + 'static {
    // --- the store itself

    /// The store's time, which every node of a cluster reads alike.
    async fn now(&self) -> Result<Millis, StoreError>;

    /// Forgets what has outlived its time and is not dropped by the store itself: sign-ins,
    /// keys, marks, and messages older than the retention the store was opened with.
    async fn sweep(&self, now: Millis) -> Result<(), StoreError>;

    /// The slots that were ever taken.
    async fn slots(&self) -> Result<Vec<Slot>, StoreError>;

    /// Moves a slot's high water from `seen` (none: never taken) to `high_water`, if nobody else
    /// has moved it meanwhile. Says whether it did.
    async fn reserve_slot(
        &self,
        number: u8,
        seen: Option<Millis>,
        high_water: Millis,
    ) -> Result<bool, StoreError>;

    /// The cluster's key of that name; the first who asks makes it of `fresh`.
    async fn cluster_key(&self, name: &str, fresh: [u8; 32]) -> Result<[u8; 32], StoreError>;

    /// Where the members of a cluster keep their view; none if only one process can use this
    /// store.
    fn members(&self) -> Option<&dyn Members> {
        None
    }

    // --- people

    /// Takes a name for a new user, atomically: of two who wish, one gets it. A name that is
    /// released ([`User::is_released`]) goes to the new one, and the old user is deleted.
    async fn claim_name(&self, new: &NewUser) -> Result<ClaimedName, StoreError>;

    /// Who has exactly this name.
    async fn user_named(&self, username: &Username) -> Result<Option<User>, StoreError>;

    /// Who that is.
    async fn user(&self, id: UserId) -> Result<Option<User>, StoreError>;

    /// Changes a user, all or nothing. Says whether the user was there.
    async fn change_user(&self, id: UserId, changes: &ProfileChanges) -> Result<bool, StoreError>;

    /// Notes that the name was used, never backwards.
    async fn touch_user(&self, id: UserId, now: Millis) -> Result<(), StoreError>;

    /// Deletes a user who has no password, with all sign-ins and the list of privates, and frees
    /// the name; the messages stay. Says whether it did.
    async fn delete_user_without_password(&self, id: UserId) -> Result<bool, StoreError>;

    // --- sign-ins

    /// Keeps a sign-in of a user who exists. Says whether the user was there.
    async fn add_sign_in(&self, sign_in: &SignIn) -> Result<bool, StoreError>;

    /// The sign-in, if it was not ended and its last use was less than
    /// [`SignIn::LIFETIME`] before `now`.
    async fn sign_in(&self, hash: SignInHash, now: Millis) -> Result<Option<SignIn>, StoreError>;

    /// Notes a use, never backwards.
    async fn touch_sign_in(&self, hash: SignInHash, now: Millis) -> Result<(), StoreError>;

    /// Ends it. Says whether it was there.
    async fn end_sign_in(&self, hash: SignInHash) -> Result<bool, StoreError>;

    /// The sign-ins of one person that have not ended.
    async fn sign_ins_of(&self, user: UserId) -> Result<Vec<SignInHash>, StoreError>;

    // --- channels

    /// Creates a channel. Says whether it is new. `ting` always exists.
    async fn create_channel(&self, name: &ChannelName, now: Millis) -> Result<bool, StoreError>;

    /// Whether there is such a channel.
    async fn channel_exists(&self, name: &ChannelName) -> Result<bool, StoreError>;

    // --- messages

    /// Keeps a message at its place: the index first, then the message, and in a private the two
    /// inboxes. Repeating it changes nothing. `recipient` is the other person's name, for the
    /// author's inbox; none in a channel.
    async fn append(
        &self,
        message: &Message,
        recipient: Option<&Username>,
    ) -> Result<Append, StoreError>;

    /// What stands at an id, wherever it is.
    async fn placed(&self, id: MessageId) -> Result<Placed, StoreError>;

    /// Takes a message out of the history, or uses up its id before it got there, and leaves a
    /// mark for an hour. Says whether there was a message.
    async fn end_message(
        &self,
        conversation: &Conversation,
        id: MessageId,
        now: Millis,
    ) -> Result<bool, StoreError>;

    /// A part of a history.
    async fn history(&self, conversation: &Conversation, range: Range) -> Result<Page, StoreError>;

    /// A person's privates, latest activity first.
    async fn inbox(&self, user: UserId, limit: usize) -> Result<Vec<Inbox>, StoreError>;

    /// Notes that a person has read a private up to what was sent at `up_to`, never backwards.
    /// Nothing to note where the two never talked.
    async fn mark_read(&self, user: UserId, other: UserId, up_to: Millis)
    -> Result<(), StoreError>;

    // --- idempotency keys

    /// Binds a user's key to an id, if it is not bound yet, for 24 hours; answers what it stands
    /// for now.
    async fn claim_key(
        &self,
        user: UserId,
        key: &str,
        claim: &KeyClaim,
        now: Millis,
    ) -> Result<KeyClaim, StoreError>;

    /// What a user's key stands for.
    async fn key(
        &self,
        user: UserId,
        key: &str,
        now: Millis,
    ) -> Result<Option<KeyClaim>, StoreError>;

    /// Binds a key anew where it still stands for `old`; answers what it stands for now.
    async fn rebind_key(
        &self,
        user: UserId,
        key: &str,
        old: MessageId,
        claim: &KeyClaim,
        now: Millis,
    ) -> Result<KeyClaim, StoreError>;
}
