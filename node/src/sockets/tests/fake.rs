//! Actors that only note what they are told, and log people in.

use super::super::backend::{Answer, Backend};
use crate::refusal::Refusal;
use actors::edge::{ConnectionId, Event, Room, Sockets, Target};
use actors::{
    Destination, EnterError, Login, Patch, Patched, Post, Posted, TypingError, Unanswered,
};
use async_trait::async_trait;
use cql::{
    ChannelName, Conversation, MessageId, SessionToken, SignIn, SignInHash, StoreError, UserId,
    Username,
};
use futures::FutureExt;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use tokio::sync::mpsc;

/// What the actors were told.
#[derive(Debug, PartialEq)]
pub enum Told {
    LoggedIn(ConnectionId, String),
    Disconnected(ConnectionId),
    Posted(String),
    Patched(u64, Option<String>),
    Entered(String),
}

pub struct Fake {
    sockets: Arc<dyn Sockets>,
    people: Mutex<HashMap<SignInHash, SignIn>>,
    ids: AtomicU64,
    told: mpsc::UnboundedSender<Told>,
}

/// A message that was typed for too long, whoever asks.
pub const EXPIRED: MessageId = MessageId(1 << 40);

/// All who are logged in.
pub fn everybody() -> Room {
    Room("everybody".into())
}

impl Fake {
    pub fn new(sockets: Arc<dyn Sockets>) -> (Arc<Self>, mpsc::UnboundedReceiver<Told>) {
        let (told, heard) = mpsc::unbounded_channel();
        let fake = Fake {
            sockets,
            people: Mutex::default(),
            ids: AtomicU64::new(0),
            told,
        };
        (Arc::new(fake), heard)
    }

    /// Signs somebody in; what the cookie would carry.
    pub fn sign_in(&self, username: &str) -> String {
        let token = SessionToken::random();
        let sign_in = SignIn {
            hash: token.hash(),
            user: UserId(self.ids.fetch_add(1, Ordering::Relaxed)),
            username: Username::parse(username).unwrap(),
            used_at: 0,
        };
        self.people.lock().unwrap().insert(token.hash(), sign_in);
        token.reveal()
    }

    fn begin(&self) -> Posted {
        Posted {
            id: MessageId(self.ids.fetch_add(1, Ordering::Relaxed)),
            claim: "claim".to_owned(),
        }
    }

    fn tell(&self, told: Told) {
        let _ = self.told.send(told);
    }
}

#[async_trait]
impl Backend for Fake {
    async fn who(&self, token: &SessionToken) -> Result<Option<SignIn>, StoreError> {
        Ok(self.people.lock().unwrap().get(&token.hash()).cloned())
    }

    async fn channel_exists(&self, name: &ChannelName) -> Result<bool, StoreError> {
        Ok(name.as_str() != "nowhere")
    }

    async fn destination(
        &self,
        _by: &SignIn,
        kind: &str,
        target: &str,
    ) -> Result<Destination, Refusal> {
        // As when a name has to be looked up: others go on meanwhile.
        tokio::task::yield_now().await;
        let name = ChannelName::parse(target)?;
        if kind != "channel" || !self.channel_exists(&name).await? {
            return Err(Refusal::NOT_FOUND);
        }
        Ok(Destination {
            conversation: Conversation::Channel(name.clone()),
            target: Target::Channel(name),
        })
    }

    async fn login(&self, login: Login) -> Result<(), Unanswered> {
        let username = login.sign_in.username;
        let people = [username.clone()];
        let response = self.sockets.encode(Event::LoggedIn { people: &people });
        // Others log in meanwhile: who were in the room first could hear their `join` first.
        self.sockets.emit(login.connection, &[response]);
        self.sockets.join(login.connection, &everybody());
        let join = self.sockets.encode(Event::Join(&username));
        self.sockets.emit_to_room(&everybody(), &[join]);
        self.tell(Told::LoggedIn(login.connection, username.to_string()));
        Ok(())
    }

    fn disconnected(&self, connection: ConnectionId) {
        self.tell(Told::Disconnected(connection));
    }

    fn enter(&self, _: ConnectionId, to: Destination) -> Answer<(), EnterError> {
        self.tell(Told::Entered(to.conversation.key()));
        async { Ok(()) }.boxed()
    }

    /// One channel is as hard to leave as a private.
    fn leave(&self, _: ConnectionId, to: Destination) -> Answer<(), EnterError> {
        let is_ting = to.target == Target::Channel(ChannelName::ting());
        let left = if is_ting {
            Err(EnterError::Private)
        } else {
            Ok(())
        };
        async move { left }.boxed()
    }

    fn post(&self, post: Post) -> Answer<Posted, TypingError> {
        self.tell(Told::Posted(post.text.as_str().to_owned()));
        let posted = self.begin();
        async move { Ok(posted) }.boxed()
    }

    fn patch(&self, patch: Patch) -> Answer<Patched, TypingError> {
        let text = patch.text.map(|text| text.as_str().to_owned());
        self.tell(Told::Patched(patch.id.0, text));
        let patched = match patch.id {
            EXPIRED => Patched::Anew(self.begin()),
            _ => Patched::Done,
        };
        async move { Ok(patched) }.boxed()
    }
}
