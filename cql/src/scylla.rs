//! The store of a cluster: ScyllaDB or Cassandra, over CQL.
//!
//! One file a subject holds its statements, each with its consistency and why, and the order in
//! which they are carried out: [`users`], [`messages`] and their neighbours. How statements run
//! and what their failures mean is in [`link`]; the tables are in `cql/schema`.
//!
//! Rows that must be one person's alone change by compare-and-set; all others by writes that
//! carry a timestamp, which may be repeated. The two never meet in one table.

mod buckets;
mod channels;
mod check;
mod clock;
mod cluster_keys;
mod copies;
mod inbox;
mod keys;
mod link;
mod members;
mod messages;
mod migrations;
mod names;
mod open;
mod settings;
mod sign_ins;
mod slots;
mod users;

pub use check::Checked;
pub use copies::{CopyError, Counted, Progress};
pub use migrations::{Schema, SchemaError};
pub use settings::{ConnectError, CqlSettings};

use crate::metric::{describe, timed};
use crate::{
    Append, ChannelName, ClaimedName, Conversation, Inbox, KeyClaim, MemberRows, Members, Message,
    MessageId, Millis, NewUser, Page, Placed, ProfileChanges, Range, SignIn, SignInHash, Slot,
    Store, StoreError, Swapped, User, UserId, Username,
};
use ::scylla::policies::load_balancing::LoadBalancingPolicy;
use ::scylla::statement::prepared::PreparedStatement;
use async_trait::async_trait;
use channels::Channels;
use clock::Clock;
use cluster_keys::ClusterKeys;
use inbox::Inboxes;
use keys::Keys;
use link::{Link, damaged};
use members::MembersTable;
use messages::Messages;
use migrations::MIGRATIONS;
use names::Names;
use sign_ins::SignIns;
use slots::Slots;
use std::sync::Arc;
use std::time::Duration;
use users::Users;

/// All that Ting keeps, in a database of several nodes.
#[derive(Debug)]
pub struct CqlStore {
    link: Arc<Link>,
    now: PreparedStatement,
    slots: Arc<Slots>,
    cluster_keys: ClusterKeys,
    names: Names,
    users: Users,
    sign_ins: SignIns,
    channels: Channels,
    messages: Arc<Messages>,
    inboxes: Inboxes,
    keys: Keys,
    members: MembersTable,
}

impl CqlStore {
    /// Opens the store. Refuses a schema that this version can't run on, and a copy that is not
    /// whole; changes nothing.
    pub async fn connect(settings: CqlSettings) -> Result<Self, ConnectError> {
        let store = Self::connect_to_copy(settings).await?;
        copies::insist_on_whole(&store.link.session).await?;
        Ok(store)
    }

    /// Opens a store that another one is copied into, to begin with that or to go on.
    pub async fn connect_to_copy(settings: CqlSettings) -> Result<Self, ConnectError> {
        let balancing = open::balancing(&settings);
        Self::connect_with(settings, 0, balancing).await
    }

    /// Brings the schema to this version's, and makes it if there is none. Two that do so at
    /// once take turns.
    pub async fn migrate(settings: &CqlSettings) -> Result<Schema, ConnectError> {
        migrations::migrate(settings, MIGRATIONS).await
    }

    /// Tells what [`CqlStore::connect`] would find; changes nothing.
    pub async fn check(settings: &CqlSettings) -> Result<Checked, ConnectError> {
        check::check(settings).await
    }

    /// `ahead` is by how many milliseconds this store's clock is wrong.
    async fn connect_with(
        settings: CqlSettings,
        ahead: Millis,
        balancing: Arc<dyn LoadBalancingPolicy>,
    ) -> Result<Self, ConnectError> {
        describe();
        let session = open::session(&settings).await?;
        migrations::inspect(&session, &settings.keyspace, MIGRATIONS).await?;
        let now: Option<(Millis,)> = open::ask_once(&session, open::NOW).await?;
        let (now,) = now.ok_or_else(|| {
            ConnectError::Unreachable("the database does not tell the time".to_owned())
        })?;
        let clock = Clock::at(now + ahead);
        let link = Arc::new(Link::new(session, clock, balancing));
        open::in_time(open::OPENING, Self::prepare(link, settings.retention)).await?
    }

    async fn prepare(link: Arc<Link>, retention: Option<Duration>) -> Result<Self, ConnectError> {
        let slots = Arc::new(Slots::prepare(&link).await?);
        Ok(CqlStore {
            now: link.prepare_read(open::NOW).await?,
            cluster_keys: ClusterKeys::prepare(&link).await?,
            names: Names::prepare(&link).await?,
            users: Users::prepare(&link).await?,
            sign_ins: SignIns::prepare(&link).await?,
            channels: Channels::prepare(&link).await?,
            messages: Arc::new(Messages::prepare(&link, &slots, retention).await?),
            inboxes: Inboxes::prepare(&link, retention).await?,
            keys: Keys::prepare(&link).await?,
            members: MembersTable::prepare(&link).await?,
            slots,
            link,
        })
    }

    /// Clears up after somebody who is gone. Nothing depends on it: what is left counts for
    /// nothing without the person. Keys are not found by their person, and end within a day.
    async fn forget(&self, user: &User) {
        if let Err(error) = self.sign_ins.end_all_of(user.id).await {
            tracing::info!(store.operation = "forget_user", error = %error, "sign-ins stay listed");
        }
        if let Err(error) = self.inboxes.forget(user.id).await {
            tracing::info!(store.operation = "forget_user", error = %error, "a list of privates stays");
        }
    }
}

#[async_trait]
impl Store for CqlStore {
    async fn now(&self) -> Result<Millis, StoreError> {
        timed("now", async {
            let row: Option<(Millis,)> = self.link.row(&self.now, ()).await?;
            row.map(|(now,)| now)
                .ok_or_else(|| damaged("the database does not tell the time"))
        })
        .await
    }

    async fn sweep(&self, _now: Millis) -> Result<(), StoreError> {
        // Everything that ends is written with a time to live, so the database drops it.
        Ok(())
    }

    async fn slots(&self) -> Result<Vec<Slot>, StoreError> {
        timed("slots", self.slots.all()).await
    }

    async fn reserve_slot(
        &self,
        number: u8,
        seen: Option<Millis>,
        high_water: Millis,
    ) -> Result<bool, StoreError> {
        let reserve = self.slots.reserve(number, seen, high_water);
        timed("reserve_slot", reserve).await
    }

    async fn cluster_key(&self, name: &str, fresh: [u8; 32]) -> Result<[u8; 32], StoreError> {
        timed("cluster_key", self.cluster_keys.get(name, fresh)).await
    }

    fn members(&self) -> Option<&dyn Members> {
        Some(self)
    }

    async fn claim_name(&self, new: &NewUser) -> Result<ClaimedName, StoreError> {
        timed("claim_name", async {
            let mut gone = Vec::new();
            let claimed = self.names.claim(&self.users, new, &mut gone).await;
            for user in &gone {
                self.forget(user).await;
            }
            claimed
        })
        .await
    }

    async fn user_named(&self, username: &Username) -> Result<Option<User>, StoreError> {
        timed("user_named", self.names.user(&self.users, username)).await
    }

    async fn user(&self, id: UserId) -> Result<Option<User>, StoreError> {
        timed("user", self.users.get(id)).await
    }

    async fn change_user(&self, id: UserId, changes: &ProfileChanges) -> Result<bool, StoreError> {
        timed("change_user", self.users.change(id, changes)).await
    }

    async fn touch_user(&self, id: UserId, now: Millis) -> Result<(), StoreError> {
        timed("touch_user", self.users.touch(id, now)).await
    }

    async fn delete_user_without_password(&self, id: UserId) -> Result<bool, StoreError> {
        timed("delete_user_without_password", async {
            let Some(user) = self.users.delete(id).await? else {
                return Ok(false);
            };
            self.forget(&user).await;
            self.names.free(&user).await;
            Ok(true)
        })
        .await
    }

    async fn add_sign_in(&self, sign_in: &SignIn) -> Result<bool, StoreError> {
        timed("add_sign_in", self.sign_ins.add(&self.users, sign_in)).await
    }

    async fn sign_in(&self, hash: SignInHash, now: Millis) -> Result<Option<SignIn>, StoreError> {
        timed("sign_in", self.sign_ins.get(&self.users, hash, now)).await
    }

    async fn touch_sign_in(&self, hash: SignInHash, now: Millis) -> Result<(), StoreError> {
        timed("touch_sign_in", self.sign_ins.touch(hash, now)).await
    }

    async fn end_sign_in(&self, hash: SignInHash) -> Result<bool, StoreError> {
        timed("end_sign_in", self.sign_ins.end(hash)).await
    }

    async fn sign_ins_of(&self, user: UserId) -> Result<Vec<SignInHash>, StoreError> {
        timed("sign_ins_of", self.sign_ins.of(user)).await
    }

    async fn create_channel(&self, name: &ChannelName, now: Millis) -> Result<bool, StoreError> {
        timed("create_channel", self.channels.create(name, now)).await
    }

    async fn channel_exists(&self, name: &ChannelName) -> Result<bool, StoreError> {
        timed("channel_exists", self.channels.exists(name)).await
    }

    async fn append(
        &self,
        message: &Message,
        recipient: Option<&Username>,
    ) -> Result<Append, StoreError> {
        let append = self.messages.append(message, recipient, &self.inboxes);
        timed("append", append).await
    }

    async fn placed(&self, id: MessageId) -> Result<Placed, StoreError> {
        timed("placed", self.messages.placed(id)).await
    }

    async fn end_message(
        &self,
        conversation: &Conversation,
        id: MessageId,
        _now: Millis,
    ) -> Result<bool, StoreError> {
        timed("end_message", self.messages.end(conversation, id)).await
    }

    async fn history(&self, conversation: &Conversation, range: Range) -> Result<Page, StoreError> {
        timed("history", self.messages.history(conversation, range)).await
    }

    async fn inbox(&self, user: UserId, limit: usize) -> Result<Vec<Inbox>, StoreError> {
        timed("inbox", self.inboxes.list(&self.messages, user, limit)).await
    }

    async fn mark_read(
        &self,
        user: UserId,
        other: UserId,
        up_to: Millis,
    ) -> Result<(), StoreError> {
        timed("mark_read", self.inboxes.mark_read(user, other, up_to)).await
    }

    async fn claim_key(
        &self,
        user: UserId,
        key: &str,
        claim: &KeyClaim,
        now: Millis,
    ) -> Result<KeyClaim, StoreError> {
        timed("claim_key", self.keys.claim(user, key, claim, now)).await
    }

    async fn key(
        &self,
        user: UserId,
        key: &str,
        now: Millis,
    ) -> Result<Option<KeyClaim>, StoreError> {
        timed("key", self.keys.get(user, key, now)).await
    }

    async fn rebind_key(
        &self,
        user: UserId,
        key: &str,
        old: MessageId,
        claim: &KeyClaim,
        now: Millis,
    ) -> Result<KeyClaim, StoreError> {
        timed("rebind_key", self.keys.rebind(user, key, old, claim, now)).await
    }
}

#[async_trait]
impl Members for CqlStore {
    async fn members(&self) -> Result<MemberRows, StoreError> {
        timed("members", self.members.members()).await
    }

    async fn renew(&self, version: u64, name: &str, row: &str) -> Result<Swapped, StoreError> {
        let renew = self.members.renew(version, name, row);
        timed("renew_member", renew).await
    }

    async fn change(
        &self,
        version: u64,
        put: Option<(&str, &str)>,
        take: &[String],
    ) -> Result<Swapped, StoreError> {
        let change = self.members.change(version, put, take);
        timed("change_members", change).await
    }
}

#[cfg(test)]
mod tests;
