//! [`Store`] over the file: what reads goes to a reader, what changes goes to the writer.

use super::{EmbeddedStore, channels, inbox, keys, messages, people, sign_ins, slots};
use crate::{
    Append, ChannelName, ClaimedName, Conversation, Inbox, KeyClaim, Message, MessageId, Millis,
    NewUser, Page, Placed, ProfileChanges, Range, SignIn, SignInHash, Slot, Store, StoreError,
    User, UserId, Username,
};
use async_trait::async_trait;
use std::time::{SystemTime, UNIX_EPOCH};

#[async_trait]
impl Store for EmbeddedStore {
    async fn now(&self) -> Result<Millis, StoreError> {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        since
            .ok()
            .and_then(|since| Millis::try_from(since.as_millis()).ok())
            .ok_or_else(|| StoreError::Unavailable("the clock stands before 1970".to_owned()))
    }

    async fn sweep(&self, now: Millis) -> Result<(), StoreError> {
        self.forget_outlived(now).await
    }

    async fn slots(&self) -> Result<Vec<Slot>, StoreError> {
        self.read("slots", slots::all_slots).await
    }

    async fn reserve_slot(
        &self,
        number: u8,
        seen: Option<Millis>,
        high_water: Millis,
    ) -> Result<bool, StoreError> {
        self.write("reserve_slot", move |db| {
            slots::reserve(db, number, seen, high_water)
        })
        .await
    }

    async fn cluster_key(&self, name: &str, fresh: [u8; 32]) -> Result<[u8; 32], StoreError> {
        let name = name.to_owned();
        self.write("cluster_key", move |db| {
            slots::cluster_key(db, &name, fresh)
        })
        .await
    }

    async fn claim_name(&self, new: &NewUser) -> Result<ClaimedName, StoreError> {
        let new = new.clone();
        self.write("claim_name", move |db| people::claim_name(db, &new))
            .await
    }

    async fn user_named(&self, username: &Username) -> Result<Option<User>, StoreError> {
        let username = username.clone();
        self.read("user_named", move |db| people::named(db, &username))
            .await
    }

    async fn user(&self, id: UserId) -> Result<Option<User>, StoreError> {
        self.read("user", move |db| people::user(db, id)).await
    }

    async fn change_user(&self, id: UserId, changes: &ProfileChanges) -> Result<bool, StoreError> {
        let changes = changes.clone();
        self.write("change_user", move |db| {
            people::change_user(db, id, &changes)
        })
        .await
    }

    async fn touch_user(&self, id: UserId, now: Millis) -> Result<(), StoreError> {
        self.write("touch_user", move |db| people::touch(db, id, now))
            .await
    }

    async fn delete_user_without_password(&self, id: UserId) -> Result<bool, StoreError> {
        self.write("delete_user_without_password", move |db| {
            people::delete_without_password(db, id)
        })
        .await
    }

    async fn add_sign_in(&self, sign_in: &SignIn) -> Result<bool, StoreError> {
        let sign_in = sign_in.clone();
        self.write("add_sign_in", move |db| sign_ins::add(db, &sign_in))
            .await
    }

    async fn sign_in(&self, hash: SignInHash, now: Millis) -> Result<Option<SignIn>, StoreError> {
        self.read("sign_in", move |db| sign_ins::find(db, hash, now))
            .await
    }

    async fn touch_sign_in(&self, hash: SignInHash, now: Millis) -> Result<(), StoreError> {
        self.write("touch_sign_in", move |db| sign_ins::touch(db, hash, now))
            .await
    }

    async fn end_sign_in(&self, hash: SignInHash) -> Result<bool, StoreError> {
        self.write("end_sign_in", move |db| sign_ins::end(db, hash))
            .await
    }

    async fn sign_ins_of(&self, user: UserId) -> Result<Vec<SignInHash>, StoreError> {
        self.read("sign_ins_of", move |db| sign_ins::of(db, user))
            .await
    }

    async fn create_channel(&self, name: &ChannelName, now: Millis) -> Result<bool, StoreError> {
        let name = name.clone();
        self.write("create_channel", move |db| channels::create(db, &name, now))
            .await
    }

    async fn channel_exists(&self, name: &ChannelName) -> Result<bool, StoreError> {
        let name = name.clone();
        self.read("channel_exists", move |db| channels::exists(db, &name))
            .await
    }

    async fn append(
        &self,
        message: &Message,
        recipient: Option<&Username>,
    ) -> Result<Append, StoreError> {
        let (message, recipient) = (message.clone(), recipient.cloned());
        self.write("append", move |db| {
            messages::append(db, &message, recipient.as_ref())
        })
        .await
    }

    async fn placed(&self, id: MessageId) -> Result<Placed, StoreError> {
        self.read("placed", move |db| messages::placed(db, id))
            .await
    }

    async fn end_message(
        &self,
        conversation: &Conversation,
        id: MessageId,
        now: Millis,
    ) -> Result<bool, StoreError> {
        let conversation = conversation.clone();
        self.write("end_message", move |db| {
            messages::end(db, &conversation, id, now)
        })
        .await
    }

    async fn history(&self, conversation: &Conversation, range: Range) -> Result<Page, StoreError> {
        let conversation = conversation.clone();
        self.read("history", move |db| {
            messages::history(db, &conversation, range)
        })
        .await
    }

    async fn inbox(&self, user: UserId, limit: usize) -> Result<Vec<Inbox>, StoreError> {
        self.read("inbox", move |db| inbox::list(db, user, limit))
            .await
    }

    async fn mark_read(
        &self,
        user: UserId,
        other: UserId,
        up_to: Millis,
    ) -> Result<(), StoreError> {
        self.write("mark_read", move |db| {
            inbox::mark_read(db, user, other, up_to)
        })
        .await
    }

    async fn claim_key(
        &self,
        user: UserId,
        key: &str,
        claim: &KeyClaim,
        now: Millis,
    ) -> Result<KeyClaim, StoreError> {
        let (key, claim) = (key.to_owned(), claim.clone());
        self.write("claim_key", move |db| {
            keys::claim(db, user, &key, &claim, now)
        })
        .await
    }

    async fn key(
        &self,
        user: UserId,
        key: &str,
        now: Millis,
    ) -> Result<Option<KeyClaim>, StoreError> {
        let key = key.to_owned();
        self.read("key", move |db| keys::find(db, user, &key, now))
            .await
    }

    async fn rebind_key(
        &self,
        user: UserId,
        key: &str,
        old: MessageId,
        claim: &KeyClaim,
        now: Millis,
    ) -> Result<KeyClaim, StoreError> {
        let (key, claim) = (key.to_owned(), claim.clone());
        self.write("rebind_key", move |db| {
            keys::rebind(db, user, &key, old, &claim, now)
        })
        .await
    }
}
