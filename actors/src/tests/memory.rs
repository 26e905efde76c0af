//! A store in memory, so that actors can be tested with paused time: it answers at once, or
//! not at all, or fails, as a test says. It passes the contract that every store must.

use async_trait::async_trait;
use cql::contract::MemoryMembers;
use cql::{
    Append, ChannelName, ClaimedName, Conversation, Ended, Inbox, KeyClaim, MemberRows, Members,
    Message, MessageId, Millis, NewUser, Page, Placed, Profile, ProfileChanges, Range, SignIn,
    SignInHash, Slot, Store, StoreError, Swapped, User, UserId, Username,
};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex};

/// How the store behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    Answers,
    /// Refuses everything, having changed nothing.
    Refuses,
    /// Does what it is asked and never says so.
    Silent,
    /// Says how a history was [`LATE`] ago.
    ReadsLate,
}

/// How late a history is that is late.
const LATE: std::time::Duration = std::time::Duration::from_millis(250);

/// What is in the way of one operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Obstacle {
    /// It is not begun until there is no obstacle any more.
    Held,
    /// It is carried out, and answered when there is no obstacle any more.
    Late,
    /// It is refused, having changed nothing.
    Refused,
}

#[derive(Debug)]
pub struct MemoryStore {
    state: Arc<Mutex<State>>,
    mood: tokio::sync::watch::Sender<Mood>,
    obstacle: tokio::sync::watch::Sender<Option<(&'static str, Obstacle)>>,
    members: Option<Way>,
}

/// One node's way to the view.
#[derive(Debug)]
struct Way {
    members: Arc<MemoryMembers>,
    mood: tokio::sync::watch::Receiver<Mood>,
}

impl Way {
    fn open(&self) -> Result<&MemoryMembers, StoreError> {
        match *self.mood.borrow() {
            Mood::Refuses => Err(StoreError::Unavailable("away".into())),
            _ => Ok(&self.members),
        }
    }
}

#[async_trait]
impl Members for Way {
    async fn members(&self) -> Result<MemberRows, StoreError> {
        self.open()?.members().await
    }

    async fn renew(&self, version: u64, name: &str, row: &str) -> Result<Swapped, StoreError> {
        self.open()?.renew(version, name, row).await
    }

    async fn change(
        &self,
        version: u64,
        put: Option<(&str, &str)>,
        take: &[String],
    ) -> Result<Swapped, StoreError> {
        self.open()?.change(version, put, take).await
    }
}

#[derive(Debug, Default)]
struct State {
    started: Option<tokio::time::Instant>,
    slots: BTreeMap<u8, Millis>,
    keys_of_cluster: HashMap<String, [u8; 32]>,
    users: HashMap<UserId, User>,
    sign_ins: HashMap<SignInHash, SignIn>,
    channels: HashSet<ChannelName>,
    messages: BTreeMap<MessageId, Message>,
    ended: HashMap<MessageId, (Conversation, Millis)>,
    reads: HashMap<(UserId, UserId), Millis>,
    names: HashMap<(UserId, UserId), (Username, Millis)>,
    keys: HashMap<(UserId, String), (KeyClaim, Millis)>,
}

impl State {
    /// A person who is gone leaves neither sign-ins nor lists behind.
    fn forget(&mut self, user: UserId) {
        self.users.remove(&user);
        self.sign_ins.retain(|_, sign_in| sign_in.user != user);
        self.names.retain(|(owner, _), _| *owner != user);
        self.reads.retain(|(owner, _), _| *owner != user);
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        let mood = tokio::sync::watch::Sender::new(Mood::Answers);
        MemoryStore {
            state: Arc::default(),
            mood,
            obstacle: tokio::sync::watch::Sender::new(None),
            members: None,
        }
    }
}

impl MemoryStore {
    /// One that several nodes use.
    pub fn shared() -> Self {
        MemoryStore::default().with_members(Arc::default())
    }

    /// Another node's way to the same store, which may be away for it alone.
    pub fn beside(&self) -> Self {
        let beside = MemoryStore {
            state: self.state.clone(),
            ..MemoryStore::default()
        };
        let members = self
            .members
            .as_ref()
            .expect("a shared store")
            .members
            .clone();
        beside.with_members(members)
    }

    fn with_members(mut self, members: Arc<MemoryMembers>) -> Self {
        let mood = self.mood.subscribe();
        self.members = Some(Way { members, mood });
        self
    }

    pub fn set_mood(&self, mood: Mood) {
        self.mood.send_replace(mood);
    }

    /// Puts an obstacle in the way of an operation, or takes it away.
    pub fn obstruct(&self, obstacle: Option<(&'static str, Obstacle)>) {
        self.obstacle.send_replace(obstacle);
    }

    /// An operation that may be obstructed.
    async fn named<T>(
        &self,
        operation: &'static str,
        act: impl FnOnce(&mut State) -> T + Send,
    ) -> Result<T, StoreError> {
        let mut obstacle = self.obstacle.subscribe();
        let met = obstacle.borrow().filter(|(name, _)| *name == operation);
        match met.map(|(_, obstacle)| obstacle) {
            None => self.with(act).await,
            Some(Obstacle::Refused) => Err(StoreError::Unavailable("obstructed".into())),
            Some(Obstacle::Held) => {
                let _ = obstacle.wait_for(Option::is_none).await;
                self.with(act).await
            }
            Some(Obstacle::Late) => {
                let done = self.with(act).await;
                let _ = obstacle.wait_for(Option::is_none).await;
                done
            }
        }
    }

    async fn with<T>(&self, act: impl FnOnce(&mut State) -> T + Send) -> Result<T, StoreError> {
        let mood = *self.mood.borrow();
        if mood == Mood::Refuses {
            return Err(StoreError::Unavailable("away".into()));
        }
        let done = act(&mut self.state.lock().unwrap());
        if mood == Mood::Silent {
            let _ = self
                .mood
                .subscribe()
                .wait_for(|mood| *mood != Mood::Silent)
                .await;
        }
        Ok(done)
    }
}

#[async_trait]
impl Store for MemoryStore {
    fn members(&self) -> Option<&dyn Members> {
        self.members.as_ref().map(|members| members as &dyn Members)
    }

    async fn now(&self) -> Result<Millis, StoreError> {
        self.with(|state| {
            let started = *state.started.get_or_insert_with(tokio::time::Instant::now);
            cql::EPOCH + 86_400_000 + started.elapsed().as_millis() as Millis
        })
        .await
    }

    async fn sweep(&self, now: Millis) -> Result<(), StoreError> {
        self.with(|state| {
            state.ended.retain(|_, (_, at)| now - *at < Ended::LIFETIME);
            state
                .keys
                .retain(|_, (_, at)| now - *at < KeyClaim::LIFETIME);
            state
                .sign_ins
                .retain(|_, sign_in| now - sign_in.used_at < SignIn::LIFETIME);
        })
        .await
    }

    async fn slots(&self) -> Result<Vec<Slot>, StoreError> {
        let slot = |(number, high_water): (&u8, &Millis)| Slot {
            number: *number,
            high_water: *high_water,
        };
        self.with(|state| state.slots.iter().map(slot).collect())
            .await
    }

    async fn reserve_slot(
        &self,
        number: u8,
        seen: Option<Millis>,
        high_water: Millis,
    ) -> Result<bool, StoreError> {
        self.with(|state| {
            let fits = state.slots.get(&number).copied() == seen;
            if fits {
                state.slots.insert(number, high_water);
            }
            fits
        })
        .await
    }

    async fn cluster_key(&self, name: &str, fresh: [u8; 32]) -> Result<[u8; 32], StoreError> {
        self.with(|state| {
            *state
                .keys_of_cluster
                .entry(name.to_owned())
                .or_insert(fresh)
        })
        .await
    }

    async fn claim_name(&self, new: &NewUser) -> Result<ClaimedName, StoreError> {
        self.with(|state| {
            let skeletons = new.username.skeletons();
            let alike: Vec<User> = state
                .users
                .values()
                .filter(|user| {
                    user.username
                        .skeletons()
                        .iter()
                        .any(|one| skeletons.contains(one))
                })
                .cloned()
                .collect();
            if let Some(user) = alike
                .iter()
                .find(|user| user.username == new.username && !user.is_released(new.now))
            {
                return ClaimedName::Exists(Box::new(user.clone()));
            }
            if alike.iter().any(|user| !user.is_released(new.now)) {
                return ClaimedName::Alike;
            }
            for user in &alike {
                state.forget(user.id);
            }
            let user = User {
                id: new.id,
                username: new.username.clone(),
                password_hash: None,
                profile: Profile::default(),
                last_seen: new.now,
            };
            state.users.insert(new.id, user);
            ClaimedName::Claimed {
                released: alike.iter().map(|user| user.id).collect(),
            }
        })
        .await
    }

    async fn user_named(&self, username: &Username) -> Result<Option<User>, StoreError> {
        self.named("user_named", |state| {
            state
                .users
                .values()
                .find(|user| user.username == *username)
                .cloned()
        })
        .await
    }

    async fn user(&self, id: UserId) -> Result<Option<User>, StoreError> {
        self.with(|state| state.users.get(&id).cloned()).await
    }

    async fn change_user(&self, id: UserId, changes: &ProfileChanges) -> Result<bool, StoreError> {
        self.with(|state| {
            let Some(user) = state.users.get_mut(&id) else {
                return false;
            };
            if let Some(password_hash) = &changes.password_hash {
                user.password_hash = Some(password_hash.clone());
            }
            if let Some(profile) = &changes.profile {
                user.profile = profile.clone();
            }
            true
        })
        .await
    }

    async fn touch_user(&self, id: UserId, now: Millis) -> Result<(), StoreError> {
        self.with(|state| {
            if let Some(user) = state.users.get_mut(&id) {
                user.last_seen = user.last_seen.max(now);
            }
        })
        .await
    }

    async fn delete_user_without_password(&self, id: UserId) -> Result<bool, StoreError> {
        self.named("delete_user_without_password", |state| {
            if state
                .users
                .get(&id)
                .is_none_or(|user| user.password_hash.is_some())
            {
                return false;
            }
            state.forget(id);
            true
        })
        .await
    }

    async fn add_sign_in(&self, sign_in: &SignIn) -> Result<bool, StoreError> {
        self.with(|state| {
            let there = state.users.contains_key(&sign_in.user);
            if there {
                state.sign_ins.insert(sign_in.hash, sign_in.clone());
            }
            there
        })
        .await
    }

    async fn sign_in(&self, hash: SignInHash, now: Millis) -> Result<Option<SignIn>, StoreError> {
        let good = |sign_in: &&SignIn| now - sign_in.used_at < SignIn::LIFETIME;
        self.with(|state| state.sign_ins.get(&hash).filter(good).cloned())
            .await
    }

    async fn touch_sign_in(&self, hash: SignInHash, now: Millis) -> Result<(), StoreError> {
        self.with(|state| {
            if let Some(sign_in) = state.sign_ins.get_mut(&hash) {
                sign_in.used_at = sign_in.used_at.max(now);
            }
        })
        .await
    }

    async fn end_sign_in(&self, hash: SignInHash) -> Result<bool, StoreError> {
        self.with(|state| state.sign_ins.remove(&hash).is_some())
            .await
    }

    async fn sign_ins_of(&self, user: UserId) -> Result<Vec<SignInHash>, StoreError> {
        self.named("sign_ins_of", |state| {
            let theirs = state
                .sign_ins
                .values()
                .filter(|sign_in| sign_in.user == user);
            theirs.map(|sign_in| sign_in.hash).collect()
        })
        .await
    }

    async fn create_channel(&self, name: &ChannelName, _: Millis) -> Result<bool, StoreError> {
        self.with(|state| *name != ChannelName::ting() && state.channels.insert(name.clone()))
            .await
    }

    async fn channel_exists(&self, name: &ChannelName) -> Result<bool, StoreError> {
        self.with(|state| *name == ChannelName::ting() || state.channels.contains(name))
            .await
    }

    async fn append(
        &self,
        message: &Message,
        recipient: Option<&Username>,
    ) -> Result<Append, StoreError> {
        self.named("append", |state| {
            if state.ended.contains_key(&message.id) {
                return Append::Ended;
            }
            if let Some(stands) = state.messages.get(&message.id) {
                return if stands.text == message.text {
                    Append::Kept
                } else {
                    Append::Taken(Box::new(stands.clone()))
                };
            }
            state.messages.insert(message.id, message.clone());
            if let (Conversation::Private(..), Some(author)) =
                (&message.conversation, message.author)
            {
                let other = message.conversation.other(author).unwrap_or(author);
                let sent = message.datetime_sent;
                let mut note = |owner, other, name: &Username| {
                    let row = state.names.entry((owner, other));
                    let row = row.or_insert_with(|| (name.clone(), Millis::MIN));
                    if row.1 < sent {
                        *row = (name.clone(), sent);
                    }
                };
                note(author, other, recipient.unwrap_or(&message.username));
                note(other, author, &message.username);
            }
            Append::Kept
        })
        .await
    }

    async fn placed(&self, id: MessageId) -> Result<Placed, StoreError> {
        self.named("placed", |state| {
            if let Some((conversation, _)) = state.ended.get(&id) {
                return Placed::Ended(Ended {
                    conversation: conversation.clone(),
                });
            }
            let message = state.messages.get(&id).cloned();
            message.map_or(Placed::Nothing, |message| {
                Placed::Message(Box::new(message))
            })
        })
        .await
    }

    async fn end_message(
        &self,
        conversation: &Conversation,
        id: MessageId,
        now: Millis,
    ) -> Result<bool, StoreError> {
        self.named("end_message", |state| {
            let elsewhere = |message: &Message| message.conversation != *conversation;
            if state.messages.get(&id).is_some_and(elsewhere) {
                return false;
            }
            state.ended.insert(id, (conversation.clone(), now));
            state.messages.remove(&id).is_some()
        })
        .await
    }

    async fn history(&self, conversation: &Conversation, range: Range) -> Result<Page, StoreError> {
        let page = self.named("history", |state| {
            let mut messages: Vec<Message> = state
                .messages
                .values()
                .rev()
                .filter(|message| message.conversation == *conversation)
                .filter(|message| range.before.is_none_or(|before| message.id < before))
                .filter(|message| range.after.is_none_or(|after| message.id > after))
                .take(range.limit + 1)
                .cloned()
                .collect();
            let more = messages.len() > range.limit;
            messages.truncate(range.limit);
            Page { messages, more }
        });
        let page = page.await;
        if *self.mood.borrow() == Mood::ReadsLate {
            tokio::time::sleep(LATE).await;
        }
        page
    }

    async fn inbox(&self, user: UserId, limit: usize) -> Result<Vec<Inbox>, StoreError> {
        self.with(|state| {
            let mut inbox: Vec<Inbox> = state
                .names
                .iter()
                .filter(|((owner, _), _)| *owner == user)
                .map(|((_, other), (username, datetime_sent))| {
                    let conversation = Conversation::private(user, *other);
                    let read = state
                        .reads
                        .get(&(user, *other))
                        .copied()
                        .unwrap_or(Millis::MIN);
                    let unread = state
                        .messages
                        .values()
                        .filter(|message| message.conversation == conversation)
                        .filter(|message| message.author != Some(user))
                        .filter(|message| message.datetime_sent > read)
                        .take(99)
                        .count() as u32;
                    Inbox {
                        other: *other,
                        username: username.clone(),
                        datetime_sent: *datetime_sent,
                        unread,
                    }
                })
                .collect();
            inbox.sort_by_key(|row| std::cmp::Reverse((row.datetime_sent, row.other)));
            inbox.truncate(limit);
            inbox
        })
        .await
    }

    async fn mark_read(
        &self,
        user: UserId,
        other: UserId,
        up_to: Millis,
    ) -> Result<(), StoreError> {
        self.with(|state| {
            if state.names.contains_key(&(user, other)) {
                let read = state.reads.entry((user, other)).or_insert(up_to);
                *read = (*read).max(up_to);
            }
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
        self.with(|state| {
            let row = state.keys.entry((user, key.to_owned()));
            let row = row.or_insert_with(|| (claim.clone(), now));
            if now - row.1 >= KeyClaim::LIFETIME {
                *row = (claim.clone(), now);
            }
            row.0.clone()
        })
        .await
    }

    async fn key(
        &self,
        user: UserId,
        key: &str,
        now: Millis,
    ) -> Result<Option<KeyClaim>, StoreError> {
        self.with(|state| {
            let row = state.keys.get(&(user, key.to_owned()));
            row.filter(|row| now - row.1 < KeyClaim::LIFETIME)
                .map(|row| row.0.clone())
        })
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
        self.named("rebind_key", |state| {
            let row = state.keys.entry((user, key.to_owned()));
            let row = row.or_insert_with(|| (claim.clone(), now));
            if row.0.id == old || now - row.1 >= KeyClaim::LIFETIME {
                *row = (claim.clone(), now);
            }
            row.0.clone()
        })
        .await
    }
}

#[tokio::test]
async fn the_store_in_memory_keeps_the_contract() {
    let scale = cql::contract::Scale {
        competitors: 20,
        messages: 60,
    };
    cql::contract::store_contract(&MemoryStore::default(), scale)
        .await
        .unwrap();
}
