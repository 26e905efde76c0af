//! Finds the actors of this node by their address: kind and id.
//!
//! An actor is started when it is first spoken to. It leaves the directory before it ends, and
//! from then on hands whatever still reaches it to its successor, so nothing said is lost. So one
//! that is found here and has ended has failed, though its supervisor may not know yet.

use crate::channel::ChannelMessage;
use crate::edge::{ConnectionId, Wants};
use crate::locks::{lock, read, write};
use crate::presence::PresenceMessage;
use crate::relay::RelayMessage;
use crate::session::SessionMessage;
use crate::supervisor::SystemMessage;
use crate::typing_message::TypingMessageMessage;
use cql::{Conversation, MessageId, SignInHash, UserId};
use ractor::{ActorId, ActorRef, ActorStatus, MessagingErr};
use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::sync::{Mutex, OnceLock, RwLock};

/// Actors of one kind, by id.
pub struct Kind<K, M> {
    actors: Mutex<HashMap<K, ActorRef<M>>>,
}

impl<K, M> Default for Kind<K, M> {
    fn default() -> Self {
        Kind {
            actors: Mutex::default(),
        }
    }
}

impl<K: Eq + Hash + Clone, M: ractor::Message> Kind<K, M> {
    /// Says something to the actor of that id, which is started by `start` if there is none, or
    /// none that lives; that is told whether the one before failed, and so is the caller.
    pub fn tell(&self, id: &K, start: impl Fn(bool) -> ActorRef<M>, message: M) -> bool {
        let first = || start(false);
        let actor = self.lock().entry(id.clone()).or_insert_with(first).clone();
        // One that ends between the look and the word gives the word back.
        let Err(MessagingErr::SendErr(message)) = actor.cast(message) else {
            return false;
        };
        let failed = self.replace(id, actor.get_id(), || start(true));
        let successor = self.lock().entry(id.clone()).or_insert_with(first).clone();
        let _ = successor.cast(message);
        failed
    }

    /// Puts another actor in the place of one that failed, unless that was done already.
    pub fn replace(&self, id: &K, failed: ActorId, by: impl Fn() -> ActorRef<M>) -> bool {
        let mut actors = self.lock();
        let known = actors.get_mut(id);
        let known = known.filter(|known| known.get_id() == failed);
        known.map(|known| *known = by()).is_some()
    }

    /// Says something to the actor of that id, if there is one; else gives it back.
    pub fn tell_if_there(&self, id: &K, message: M) -> Result<(), M> {
        let Some(actor) = self.get(id) else {
            return Err(message);
        };
        match actor.cast(message) {
            Err(MessagingErr::SendErr(message)) => Err(message),
            _ => Ok(()),
        }
    }

    /// The actor of that id, if there is one.
    pub fn get(&self, id: &K) -> Option<ActorRef<M>> {
        let actors = self.lock();
        actors.get(id).filter(|actor| lives(actor)).cloned()
    }

    /// Puts an actor under that id.
    pub fn insert(&self, id: K, actor: ActorRef<M>) {
        self.lock().insert(id, actor);
    }

    /// Takes an actor out, if it is still the one under that id; says whether it was.
    pub fn remove(&self, id: &K, actor: ActorId) -> bool {
        let mut actors = self.lock();
        let is_it = actors.get(id).is_some_and(|known| known.get_id() == actor);
        if is_it {
            actors.remove(id);
        }
        is_it
    }

    /// Takes out those that have ended.
    pub fn remove_ended(&self) {
        self.lock().retain(|_, actor| lives(actor));
    }

    /// All of them.
    pub fn all(&self) -> Vec<(K, ActorRef<M>)> {
        let actors = self.lock();
        actors
            .iter()
            .map(|(id, actor)| (id.clone(), actor.clone()))
            .collect()
    }

    /// Under which id an actor is.
    pub fn id_of(&self, actor: ActorId) -> Option<K> {
        let actors = self.lock();
        actors
            .iter()
            .find(|(_, known)| known.get_id() == actor)
            .map(|(id, _)| id.clone())
    }

    /// How many.
    pub fn count(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<K, ActorRef<M>>> {
        lock(&self.actors)
    }
}

fn lives<M>(actor: &ActorRef<M>) -> bool {
    actor.get_status() < ActorStatus::Stopping
}

/// What is known of a connection that logged in.
#[derive(Debug, Clone, Copy)]
pub struct ConnectionOf {
    /// Its sign-in, and so its session.
    pub sign_in: SignInHash,
    /// What it wants to hear.
    pub wants: Wants,
}

/// The actors of this node.
#[derive(Default)]
pub struct Directory {
    pub channels: Kind<Conversation, ChannelMessage>,
    /// These end with their channel, without leaving first.
    pub typing_messages: Kind<MessageId, TypingMessageMessage>,
    pub relays: Kind<Conversation, RelayMessage>,
    pub sessions: Kind<SignInHash, SessionMessage>,
    presence: RwLock<Option<ActorRef<PresenceMessage>>>,
    pub system: OnceLock<ActorRef<SystemMessage>>,
    /// Who is in which conversation on this node, as its relay noted it: outlives the relay, so
    /// that its sockets can be ended if it fails.
    rooms: Mutex<HashMap<Conversation, HashSet<ConnectionId>>>,
    connections: Mutex<HashMap<ConnectionId, ConnectionOf>>,
    /// The privates that this node owns and that are alive, by their people.
    privates: Mutex<HashMap<UserId, HashSet<Conversation>>>,
    /// What this node owns and was typed by HTTP, by whose going ends it.
    typed_by: Mutex<HashMap<SignInHash, HashSet<MessageId>>>,
}

impl std::fmt::Debug for Directory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Directory")
            .field("channels", &self.channels.count())
            .field("relays", &self.relays.count())
            .field("sessions", &self.sessions.count())
            .finish_non_exhaustive()
    }
}

impl Directory {
    /// The noted rooms.
    pub fn rooms(&self) -> std::sync::MutexGuard<'_, HashMap<Conversation, HashSet<ConnectionId>>> {
        lock(&self.rooms)
    }

    /// The connections that are logged in here, or about to be.
    pub fn connections(&self) -> std::sync::MutexGuard<'_, HashMap<ConnectionId, ConnectionOf>> {
        lock(&self.connections)
    }

    /// The privates of each person that this node owns and that are alive.
    pub fn privates(&self) -> std::sync::MutexGuard<'_, HashMap<UserId, HashSet<Conversation>>> {
        lock(&self.privates)
    }

    /// What this node owns and a sign-in typed by HTTP.
    pub fn typed_by(&self) -> std::sync::MutexGuard<'_, HashMap<SignInHash, HashSet<MessageId>>> {
        lock(&self.typed_by)
    }

    /// The presence actor.
    pub fn presence(&self) -> Option<ActorRef<PresenceMessage>> {
        read(&self.presence).clone()
    }

    /// A presence actor started.
    pub fn set_presence(&self, presence: ActorRef<PresenceMessage>) {
        *write(&self.presence) = Some(presence);
    }
}
