//! A store that does what it is asked, of one operation never says so, and has a time of its own.

use async_trait::async_trait;
use cql::embedded::EmbeddedStore;
use cql::{
    Append, ChannelName, ClaimedName, Conversation, Inbox, KeyClaim, Message, MessageId, Millis,
    NewUser, Page, Placed, ProfileChanges, Range, SignIn, SignInHash, Slot, Store, StoreError,
    User, UserId, Username,
};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

/// The file, behind something that loses answers.
#[derive(Debug)]
pub struct Double {
    pub store: Arc<EmbeddedStore>,
    pub silent: Mutex<Option<&'static str>>,
    /// So much later it is here.
    pub ahead: AtomicI64,
}

impl Double {
    fn answer<T>(&self, name: &str, done: Result<T, StoreError>) -> Result<T, StoreError> {
        if *self.silent.lock().unwrap() == Some(name) {
            return Err(StoreError::Unknown("the answer was lost".into()));
        }
        done
    }
}

macro_rules! behind {
    ($($name:ident($($argument:ident: $type:ty),*) -> $answer:ty;)*) => {
        #[async_trait]
        impl Store for Double {
            async fn now(&self) -> Result<Millis, StoreError> {
                let now = self.store.now().await?;
                Ok(now + self.ahead.load(Ordering::Relaxed))
            }

            $(async fn $name(&self, $($argument: $type),*) -> Result<$answer, StoreError> {
                let done = self.store.$name($($argument),*).await;
                self.answer(stringify!($name), done)
            })*
        }
    };
}

behind! {
    sweep(now: Millis) -> ();
    slots() -> Vec<Slot>;
    reserve_slot(number: u8, seen: Option<Millis>, high_water: Millis) -> bool;
    cluster_key(name: &str, fresh: [u8; 32]) -> [u8; 32];
    claim_name(new: &NewUser) -> ClaimedName;
    user_named(username: &Username) -> Option<User>;
    user(id: UserId) -> Option<User>;
    change_user(id: UserId, changes: &ProfileChanges) -> bool;
    touch_user(id: UserId, now: Millis) -> ();
    delete_user_without_password(id: UserId) -> bool;
    add_sign_in(sign_in: &SignIn) -> bool;
    sign_in(hash: SignInHash, now: Millis) -> Option<SignIn>;
    touch_sign_in(hash: SignInHash, now: Millis) -> ();
    end_sign_in(hash: SignInHash) -> bool;
    sign_ins_of(user: UserId) -> Vec<SignInHash>;
    create_channel(name: &ChannelName, now: Millis) -> bool;
    channel_exists(name: &ChannelName) -> bool;
    append(message: &Message, recipient: Option<&Username>) -> Append;
    placed(id: MessageId) -> Placed;
    end_message(conversation: &Conversation, id: MessageId, now: Millis) -> bool;
    history(conversation: &Conversation, range: Range) -> Page;
    inbox(user: UserId, limit: usize) -> Vec<Inbox>;
    mark_read(user: UserId, other: UserId, up_to: Millis) -> ();
    claim_key(user: UserId, key: &str, claim: &KeyClaim, now: Millis) -> KeyClaim;
    key(user: UserId, key: &str, now: Millis) -> Option<KeyClaim>;
    rebind_key(user: UserId, key: &str, old: MessageId, claim: &KeyClaim, now: Millis) -> KeyClaim;
}
