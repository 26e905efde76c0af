//! The way in: what the edge may ask of the actors, wherever they live.

mod life;
mod status;

use crate::channel::{Beginning, ChannelMessage};
use crate::cluster::{LinkError, Links, Question};
use crate::directory::ConnectionOf;
use crate::edge::{ConnectionId, Sockets};
use crate::frame::Belongs;
use crate::node::{CONFIRM_TIMEOUT, Node};
use crate::relay::RelayMessage;
use crate::requests::{
    Destination, EnterError, History, Login, Patch, Patched, Post, Posted, PrivilegedPatch,
    PrivilegedPost, TypingError, Unanswered, Via,
};
use crate::session::{SessionMessage, answer_of};
use crate::settings::Limits;
use crate::typing_message::{By, Stroke, Whereabouts};
use cql::{
    ChannelName, Conversation, MessageId, Millis, Placed, Range, SessionToken, SignIn, SignInHash,
    Store, StoreError, UserId, Username,
};
use ractor::RpcReplyPort;
use ractor::concurrency::{OneshotReceiver, oneshot};
use std::future::Future;
use std::sync::Arc;

/// What a node's actors start with.
#[derive(Debug)]
pub struct Start {
    /// What is durable.
    pub store: Arc<dyn Store>,
    /// The sockets of this node.
    pub sockets: Arc<dyn Sockets>,
    /// What people may do.
    pub limits: Limits,
    /// What makes links with other nodes; none for one node alone.
    pub links: Option<Arc<dyn Links>>,
}

/// Why a node does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// What its store holds can't be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There can be no links.
    #[error(transparent)]
    Links(#[from] LinkError),
    /// Nobody else can use its store.
    #[error(
        "cluster.listen is set, and the embedded store can't be shared: a cluster needs store.kind = \"cql\""
    )]
    NotShared,
    /// It may not be a member.
    #[error("{0}")]
    Refused(String),
}

/// Whether the store answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreHealth {
    /// It answered when it was last asked.
    Reached,
    /// It did not.
    Away,
}

/// The actors of this node, and through them those of all others. Cheap to clone.
#[derive(Debug, Clone)]
pub struct System {
    node: Arc<Node>,
}

impl System {
    /// What its actors share, for their tests.
    #[cfg(test)]
    pub(crate) fn node(&self) -> &Arc<Node> {
        &self.node
    }

    /// The cluster's time.
    pub fn now(&self) -> Millis {
        self.node.clock.now()
    }

    /// A fresh id for a new user.
    pub fn new_user_id(&self) -> Result<UserId, Unanswered> {
        let id = self
            .node
            .clock
            .next_id(MessageId::default())
            .map_err(|_| Unanswered)?;
        Ok(UserId(id.0))
    }

    /// Who shows this token: cached for a minute, its use noted.
    pub async fn who(&self, token: &SessionToken) -> Result<Option<SignIn>, StoreError> {
        self.node.who(token).await
    }

    /// Ends a sign-in in the store and everywhere: its sockets are closed, its ghosts erased.
    /// Says whether it was there.
    pub async fn end_sign_in(&self, hash: SignInHash) -> Result<bool, StoreError> {
        let was_there = self
            .node
            .ask_store(self.node.store.end_sign_in(hash))
            .await?;
        self.end_session(hash).await;
        Ok(was_there)
    }

    /// Deletes a user who has no password, with everything alive of them, before the name is
    /// free. Says whether it did; one with a password stays as it is.
    pub async fn delete_user(&self, user: UserId, username: &Username) -> Result<bool, StoreError> {
        let found = self.node.ask_store(self.node.store.user(user)).await?;
        if found.is_none_or(|found| found.password_hash.is_some()) {
            return Ok(false);
        }
        self.end_user(user, username).await?;
        let deleted = self.node.store.delete_user_without_password(user);
        let deleted = self.node.ask_store(deleted).await;
        // Looked up meanwhile, the name was remembered anew. Also when it is not known whether
        // the user is still there: then it is asked again.
        self.forget_name(username).await;
        deleted
    }

    /// Deletes a user whom nobody has heard of yet, so that nothing of them is alive. Says
    /// whether it did. The store is asked also when it shows no such user: it may be about to.
    pub async fn take_back(&self, user: UserId, username: &Username) -> Result<bool, StoreError> {
        let deleted = self.node.store.delete_user_without_password(user);
        let deleted = self.node.ask_store(deleted).await;
        self.forget_name(username).await;
        deleted
    }

    /// Ends everything alive of a user who was, or is about to be, deleted: ghosts, sockets,
    /// sign-ins, the name. An error: it is not known what there is, and nothing was ended.
    pub async fn end_user(&self, user: UserId, username: &Username) -> Result<(), StoreError> {
        let sign_ins = self.node.store.sign_ins_of(user);
        let sign_ins = self.node.ask_store(sign_ins).await;
        self.forget_name(username).await;
        for hash in sign_ins? {
            self.end_session(hash).await;
        }
        self.forget_name(username).await;
        Ok(())
    }

    async fn forget_name(&self, username: &Username) {
        self.node.forget_name(username);
        let username = username.clone();
        let forget = Question::ForgetName { username };
        self.node.ask_all(forget, CONFIRM_TIMEOUT * 2).await;
    }

    /// On all nodes; those that don't answer within a second find out when they next look.
    async fn end_session(&self, hash: SignInHash) {
        self.node.forget_sign_in(hash);
        let here = self.node.end_session_here(hash);
        let there = self
            .node
            .ask_all(Question::EndSignIn { hash }, CONFIRM_TIMEOUT * 2);
        tokio::join!(here, there);
    }

    /// Who has that name, if it is not released; cached until the user is ended, a minute at most.
    pub async fn user_named(&self, username: &Username) -> Result<Option<UserId>, StoreError> {
        self.node.user_named(username).await
    }

    /// Whether there is such a channel; a yes is cached.
    pub async fn channel_exists(&self, name: &ChannelName) -> Result<bool, StoreError> {
        self.node.channel_exists(name).await
    }

    /// Whether a person has a connection anywhere.
    pub async fn online(&self, user: UserId) -> bool {
        self.node.roster().is_online(user)
    }

    /// Logs a connection in. It is told by events: `login-response` first, then its own `join`,
    /// then what is being typed where it is.
    pub async fn login(&self, login: Login) -> Result<(), Unanswered> {
        let (connection, hash) = (login.connection, login.sign_in.hash);
        let known = ConnectionOf {
            sign_in: hash,
            wants: login.wants,
        };
        {
            let mut connections = self.node.directory.connections();
            if self.node.is_draining() {
                return Err(Unanswered);
            }
            connections.insert(connection, known);
        }
        let (reply, answered) = oneshot();
        self.node.tell_session(
            hash,
            SessionMessage::Login {
                login,
                reply: reply.into(),
            },
        );
        // Logins are paced when very many come at once, so this may take longer than a question.
        answered.await.map_err(|_| Unanswered)
    }

    /// The socket is gone. May be told of any connection, once.
    pub fn disconnected(&self, connection: ConnectionId) {
        let known = self.node.directory.connections().remove(&connection);
        if let Some(known) = known {
            let gone = SessionMessage::Gone { connection };
            let _ = self
                .node
                .directory
                .sessions
                .tell_if_there(&known.sign_in, gone);
        }
    }

    /// Enters explicitly; what is being typed there is emitted before the answer.
    pub fn enter(
        &self,
        connection: ConnectionId,
        to: Destination,
    ) -> impl Future<Output = Result<(), EnterError>> + Send + 'static + use<> {
        let enter = move |reply| SessionMessage::Enter {
            connection,
            to,
            reply,
        };
        entered(self.ask_session_of(connection, enter))
    }

    /// Leaves.
    pub fn leave(
        &self,
        connection: ConnectionId,
        to: Destination,
    ) -> impl Future<Output = Result<(), EnterError>> + Send + 'static + use<> {
        let leave = move |reply| SessionMessage::Leave {
            connection,
            to,
            reply,
        };
        entered(self.ask_session_of(connection, leave))
    }

    /// Asks the session of a connection; none if it is not logged in.
    fn ask_session_of(
        &self,
        connection: ConnectionId,
        message: impl FnOnce(RpcReplyPort<Result<(), EnterError>>) -> SessionMessage,
    ) -> Option<OneshotReceiver<Result<(), EnterError>>> {
        let known = self
            .node
            .directory
            .connections()
            .get(&connection)
            .copied()?;
        let (reply, answered) = oneshot();
        self.node.tell_session(known.sign_in, message(reply.into()));
        Some(answered)
    }

    /// All connections of a sign-in that did not name their channels enter this one; answers
    /// when they have, or after a second.
    pub async fn enter_implicitly(&self, sign_in: &SignIn, channel: &ChannelName) {
        let hash = sign_in.hash;
        let here = self.node.enter_here(hash, channel.clone());
        let nodes = self.node.roster().nodes_of_sign_in(hash);
        let there = nodes.into_iter().map(|name| {
            let channel = channel.clone();
            let enter = Question::EnterImplicitly { hash, channel };
            let entered = self.node.ask_node(name, enter, CONFIRM_TIMEOUT * 2);
            tokio::time::timeout(CONFIRM_TIMEOUT * 2, entered)
        });
        tokio::join!(here, futures::future::join_all(there));
    }

    /// Begins a message. It is on its way when this returns, so calls keep their order; the
    /// future brings the answer.
    pub fn post(
        &self,
        post: Post,
    ) -> impl Future<Output = Result<Posted, TypingError>> + Send + 'static + use<> {
        let (reply, answered) = oneshot();
        let (hash, since) = (post.by.hash, self.now());
        if self.is_heard(post.via) {
            let (post, reply) = (Box::new(post), reply.into());
            self.node
                .tell_session(hash, SessionMessage::Post { post, since, reply });
        }
        flat(answered)
    }

    /// Goes on with a message; as [`System::post`].
    pub fn patch(
        &self,
        patch: Patch,
    ) -> impl Future<Output = Result<Patched, TypingError>> + Send + 'static + use<> {
        let (reply, answered) = oneshot();
        let (hash, since) = (patch.by.hash, self.now());
        if self.is_heard(patch.via) {
            let (patch, reply) = (Box::new(patch), reply.into());
            self.node.tell_session(
                hash,
                SessionMessage::Patch {
                    patch,
                    since,
                    reply,
                },
            );
        }
        flat(answered)
    }

    /// A socket that is gone types no more: its ghost would belong to nobody.
    fn is_heard(&self, via: Via) -> bool {
        match via {
            Via::Http => true,
            Via::Connection(connection) => {
                self.node.directory.connections().contains_key(&connection)
            }
        }
    }

    /// Brings a message in.
    pub async fn post_privileged(&self, post: PrivilegedPost) -> Result<MessageId, TypingError> {
        let conversation = post.to.conversation;
        self.node.tell_relay_here(&conversation, RelayMessage::Keep);
        let beginning = Beginning {
            author: post.author,
            username: post.username,
            target: post.to.target,
            text: post.text,
            typing: post.typing,
            key: None,
            belongs: Belongs::Nobody,
            datetime_start: Some(post.datetime_start),
        };
        let (reply, answered) = oneshot();
        let (post, since) = (Box::new(beginning), self.now());
        let message = ChannelMessage::Post {
            post,
            since,
            reply: reply.into(),
        };
        self.node.tell_channel(&conversation, message);
        flat(answered).await.map(|posted| posted.id)
    }

    /// Changes one.
    pub async fn patch_privileged(&self, patch: PrivilegedPatch) -> Result<(), TypingError> {
        let PrivilegedPatch {
            id,
            text,
            datetime_sent,
            typing,
        } = patch;
        let stroke = Stroke {
            by: By::Privileged { datetime_sent },
            conversation: None,
            text,
            typing,
            rev: None,
        };
        if let Some(Whereabouts { conversation, .. }) = self.node.where_typed(id).await {
            let (reply, answered) = oneshot();
            let since = self.now();
            self.node
                .stroke(&conversation, id, stroke, None, since, reply.into());
            return flat(answered).await.map(drop);
        }
        // Nobody is typing it: it was sent, or there is no such thing.
        match self.stored(id).await? {
            Some(_) => Err(TypingError::Sent),
            None => Err(TypingError::NotFound),
        }
    }

    /// Deletes one, sent or not.
    pub async fn delete(&self, id: MessageId) -> Result<(), TypingError> {
        let typed = self.node.where_typed(id).await;
        let conversation = match typed {
            Some(Whereabouts { conversation, .. }) => conversation,
            None => match self.node.ask_store(self.node.store.placed(id)).await {
                Ok(Placed::Message(message)) => message.conversation,
                // Its row may be there still, if the store failed between the two.
                Ok(Placed::Ended(ended)) => ended.conversation,
                Ok(Placed::Nothing) => return Err(TypingError::NotFound),
                Err(_) => return Err(Unanswered.into()),
            },
        };
        let (reply, answered) = oneshot();
        let delete = ChannelMessage::Delete {
            id,
            reply: reply.into(),
        };
        self.node.tell_channel(&conversation, delete);
        flat(answered).await
    }

    /// In which conversation a message is kept.
    async fn stored(&self, id: MessageId) -> Result<Option<Conversation>, TypingError> {
        match self.node.ask_store(self.node.store.placed(id)).await {
            Ok(Placed::Message(message)) => Ok(Some(message.conversation)),
            Ok(Placed::Ended(_) | Placed::Nothing) => Ok(None),
            Err(_) => Err(Unanswered.into()),
        }
    }

    /// A part of a conversation, with what is being typed there.
    pub async fn history(
        &self,
        conversation: &Conversation,
        range: Range,
    ) -> Result<History, Unanswered> {
        let (reply, answered) = oneshot();
        let history = ChannelMessage::History {
            range,
            reply: reply.into(),
        };
        self.node.tell_channel(conversation, history);
        answer_of(answered).await?
    }
}

/// The answer of a connection's session.
async fn entered(asked: Option<OneshotReceiver<Result<(), EnterError>>>) -> Result<(), EnterError> {
    answer_of(asked.ok_or(EnterError::NotLoggedIn)?).await?
}

/// The answer to a question that may be refused.
async fn flat<T>(answered: OneshotReceiver<Result<T, TypingError>>) -> Result<T, TypingError> {
    answer_of(answered).await?
}
