//! What the cases work with: a store, fresh ids, random names, and people made of both.

use super::{Broken, Scale, same};
use crate::{
    ChannelName, ClaimedName, Conversation, KeyClaim, Message, MessageId, MessageText, Millis,
    NewUser, Places, SessionToken, SignIn, Store, StoreError, User, UserId, Username,
};
use futures::future::join_all;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{LazyLock, Mutex, PoisonError};

/// A store on the bench, and what one case needs to try it.
#[derive(Debug)]
pub struct Bench<'a> {
    pub(super) store: &'a dyn Store,
    pub(super) scale: Scale,
    /// The store's time when the case began.
    pub(super) now: Millis,
    places: Mutex<Places>,
}

/// A slot that no case close to this one has: cases of a quick store begin in the same
/// millisecond, and give ids ahead of it.
fn slot() -> u8 {
    static FIRST: LazyLock<u8> = LazyLock::new(|| rand::random_range(0..crate::SLOTS));
    static CASES: AtomicU8 = AtomicU8::new(0);
    // Wraps at 256, which 128 divides.
    FIRST.wrapping_add(CASES.fetch_add(1, Ordering::Relaxed)) % crate::SLOTS
}

/// Who exists for one case.
#[derive(Debug, Clone)]
pub(super) struct Person {
    pub(super) id: UserId,
    pub(super) name: Username,
}

impl<'a> Bench<'a> {
    /// Makes ready for one case.
    pub async fn new(store: &'a dyn Store, scale: Scale) -> Result<Self, Broken> {
        let now = store.now().await?;
        Ok(Bench {
            store,
            scale,
            now,
            places: Mutex::new(Places::new(slot(), now)),
        })
    }

    /// An id that nothing bears yet; each above the one before.
    pub(super) fn id(&self) -> MessageId {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        places
            .next(self.now, MessageId(0), Millis::MAX)
            // Only at the end of the id space, in 2095.
            .unwrap_or(MessageId(0))
    }

    /// An id for somebody who is to be.
    pub(super) fn user_id(&self) -> UserId {
        UserId(self.id().0)
    }

    /// A name that nobody has, and that looks like nobody's.
    pub(super) fn username(&self, beginning: &str) -> Username {
        parsed(Username::parse(&format!("{beginning}{}", digits())))
    }

    /// A channel's name that is not taken.
    pub(super) fn channel_name(&self, beginning: &str) -> ChannelName {
        parsed(ChannelName::parse(&format!("{beginning}{}", digits())))
    }

    /// A wish for that name.
    pub(super) fn wish(&self, username: &Username) -> NewUser {
        self.wish_at(username, self.now)
    }

    /// A wish that was made at that time.
    pub(super) fn wish_at(&self, username: &Username, now: Millis) -> NewUser {
        NewUser {
            id: self.user_id(),
            username: username.clone(),
            now,
        }
    }

    /// Somebody who exists.
    pub(super) async fn person(&self, beginning: &str) -> Result<Person, Broken> {
        self.person_seen_at(beginning, self.now).await
    }

    /// Somebody whose name was used last at that time.
    pub(super) async fn person_seen_at(
        &self,
        beginning: &str,
        seen: Millis,
    ) -> Result<Person, Broken> {
        let new = self.wish_at(&self.username(beginning), seen);
        let claimed = self.store.claim_name(&new).await?;
        same("a fresh name is claimed", claimed, CLAIMED)?;
        Ok(Person {
            id: new.id,
            name: new.username,
        })
    }

    /// A channel that exists.
    pub(super) async fn channel(&self) -> Result<Conversation, Broken> {
        let name = self.channel_name("c");
        let new = self.store.create_channel(&name, self.now).await?;
        same("a fresh channel is new", new, true)?;
        Ok(Conversation::Channel(name))
    }

    /// What a person says there now, with the next id as its place.
    pub(super) fn message(&self, author: &Person, where_: &Conversation, text: &str) -> Message {
        let id = self.id();
        Message {
            id,
            conversation: where_.clone(),
            author: Some(author.id),
            username: author.name.clone(),
            text: words(text),
            datetime_start: id.time(),
            datetime_sent: id.time(),
        }
    }

    /// A sign-in of that person, used last at that time.
    pub(super) fn sign_in(&self, person: &Person, used_at: Millis) -> SignIn {
        SignIn {
            hash: SessionToken::random().hash(),
            user: person.id,
            username: person.name.clone(),
            used_at,
        }
    }

    /// A fresh id that a key may stand for.
    pub(super) fn key_claim(&self, conversation: &Conversation) -> KeyClaim {
        KeyClaim {
            id: self.id(),
            conversation: conversation.clone(),
        }
    }
}

/// What a wish for a name that nobody has is answered with.
pub(super) const CLAIMED: ClaimedName = ClaimedName::Claimed {
    released: Vec::new(),
};

impl Person {
    /// The user as a store has it right after the claim.
    pub(super) fn fresh(&self, last_seen: Millis) -> User {
        User {
            id: self.id,
            username: self.name.clone(),
            password_hash: None,
            profile: crate::Profile::default(),
            last_seen,
        }
    }
}

/// Twelve digits at random. They have no case and no look-alikes.
pub(super) fn digits() -> String {
    format!("{:012}", rand::random_range(0..1_000_000_000_000u64))
}

/// A text that may be sent.
pub(super) fn words(text: &str) -> MessageText {
    parsed(MessageText::parse(text))
}

/// Asks all at once and waits for every answer.
pub(super) async fn together<T>(
    asked: impl IntoIterator<Item = impl Future<Output = Result<T, StoreError>>>,
) -> Result<Vec<T>, StoreError> {
    join_all(asked).await.into_iter().collect()
}

fn parsed<T, E: std::fmt::Debug>(value: Result<T, E>) -> T {
    // Cases write their own names and texts, so this is a mistake in a case, not in a store.
    value.expect("cases use values that are right")
}
