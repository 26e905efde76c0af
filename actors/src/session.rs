//! One sign-in on this node: its connections, where they are, and what they type.
//!
//! The session is where a person's requests get their order and their pace. It knows which
//! ghosts hang on which connection, and has them erased when that goes.

mod connections;
mod typing;

use crate::edge::ConnectionId;
use crate::frame::Belongs;
use crate::node::{ASK_TIMEOUT, CONFIRM_TIMEOUT, Node};
use crate::pace::{Bucket, Collapse};
use crate::presence::PresenceMessage;
use crate::requests::{
    Destination, EnterError, Login, Patch, Post, Posted, TypingError, Unanswered,
};
use crate::timeline::REMEMBERED;
use crate::typing_message::PatchReply;
use cluster_config::NodeName;
use connections::Connections;
use cql::{ChannelName, Conversation, MessageId, Millis, SignInHash};
use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use typing::Held;

/// How often it looks whether anybody needs it.
const HOUSEKEEPING: Duration = Duration::from_secs(30);

/// It ends when it had no connection and nothing typed for this long.
const IDLE: Duration = Duration::from_secs(60);

/// How often the store is told that somebody who only listens is still there; names that nobody
/// uses are released after two weeks.
const SEEN: Duration = Duration::from_secs(12 * 3_600);

/// How often it looks whether its sign-in was ended elsewhere, with nobody saying so here.
const CHECKED: Duration = Duration::from_secs(600);

/// A reply to whoever began a message.
pub type PostReply = RpcReplyPort<Result<Posted, TypingError>>;

/// What a session is told.
pub enum SessionMessage {
    /// Asked: a connection logs in.
    Login {
        login: Login,
        reply: RpcReplyPort<()>,
    },
    /// Asked: a connection enters explicitly.
    Enter {
        connection: ConnectionId,
        to: Destination,
        reply: RpcReplyPort<Result<(), EnterError>>,
    },
    /// Asked: a connection leaves.
    Leave {
        connection: ConnectionId,
        to: Destination,
        reply: RpcReplyPort<Result<(), EnterError>>,
    },
    /// Asked: all connections that did not name their channels enter this one.
    EnterImplicitly {
        channel: ChannelName,
        reply: RpcReplyPort<()>,
    },
    /// Asked: begin a message.
    Post {
        post: Box<Post>,
        since: Millis,
        reply: PostReply,
    },
    /// Asked: go on with one.
    Patch {
        patch: Box<Patch>,
        since: Millis,
        reply: PatchReply,
    },
    /// Asked: the sign-in ended.
    End { reply: RpcReplyPort<()> },
    /// Told: a socket is gone.
    Gone { connection: ConnectionId },
    /// Reported by presence: the connection's login is answered.
    LoggedIn {
        connection: ConnectionId,
        reply: RpcReplyPort<()>,
    },
    /// Reported by an owner: how a message stands now; `open` while it is typed.
    Stands {
        id: MessageId,
        conversation: Conversation,
        belongs: Belongs,
        open: bool,
    },
    /// Reported: the time for a held update has come.
    Due { id: MessageId },
    /// Reported: look whether anybody needs it.
    Housekeeping,
    /// Breaks the actor, to see what becomes of its sockets.
    #[cfg(test)]
    Break,
}

impl ractor::Message for SessionMessage {}

/// What it starts with.
pub struct Arguments {
    pub node: Arc<Node>,
    pub hash: SignInHash,
}

/// The actor.
pub struct Session;

/// Its state.
pub struct State {
    node: Arc<Node>,
    myself: ActorRef<SessionMessage>,
    hash: SignInHash,
    connections: Connections,
    /// What is typed here, and whose going ends it.
    begun: HashMap<MessageId, (Belongs, Conversation)>,
    /// The channels that this sign-in's connections on other nodes were told to enter.
    entered_elsewhere: HashMap<(NodeName, ChannelName), Instant>,
    paces: HashMap<MessageId, Collapse<Held>>,
    begins: Bucket,
    sends: Bucket,
    used_at: Instant,
    seen_at: Instant,
    checked_at: Instant,
    leaving: bool,
}

impl Actor for Session {
    type Msg = SessionMessage;
    type State = State;
    type Arguments = Arguments;

    async fn pre_start(
        &self,
        myself: ActorRef<SessionMessage>,
        Arguments { node, hash }: Arguments,
    ) -> Result<State, ActorProcessingErr> {
        let now = Instant::now();
        let limits = node.limits;
        myself.send_interval(HOUSEKEEPING, || SessionMessage::Housekeeping);
        Ok(State {
            connections: Connections::new(limits.conversations_per_connection),
            begun: HashMap::new(),
            entered_elsewhere: HashMap::new(),
            paces: HashMap::new(),
            begins: Bucket::new(limits.sends_per_second, limits.sends_burst, now),
            sends: Bucket::new(limits.sends_per_second, limits.sends_burst, now),
            used_at: now,
            seen_at: now,
            checked_at: now,
            leaving: false,
            node,
            myself,
            hash,
        })
    }

    async fn handle(
        &self,
        _: ActorRef<SessionMessage>,
        message: SessionMessage,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        if state.leaving {
            state.node.tell_session(state.hash, message);
            return Ok(());
        }
        match message {
            SessionMessage::Housekeeping => state.housekeeping(),
            message => {
                state.used_at = Instant::now();
                state.take(message);
            }
        }
        Ok(())
    }
}

impl State {
    fn take(&mut self, message: SessionMessage) {
        match message {
            SessionMessage::Login { login, reply } => self.login(login, reply),
            SessionMessage::LoggedIn { connection, reply } => self.logged_in(connection, reply),
            SessionMessage::Enter {
                connection,
                to,
                reply,
            } => {
                self.enter(connection, to, reply);
            }
            SessionMessage::Leave {
                connection,
                to,
                reply,
            } => {
                let _ = reply.send(self.leave(connection, &to));
            }
            SessionMessage::EnterImplicitly { channel, reply } => {
                self.enter_implicitly(channel, Some(reply));
            }
            SessionMessage::Post { post, since, reply } => self.post(*post, since, reply),
            SessionMessage::Patch {
                patch,
                since,
                reply,
            } => self.patch(patch, since, reply),
            SessionMessage::End { reply } => self.end(reply),
            SessionMessage::Gone { connection } => self.gone(connection),
            SessionMessage::Stands {
                id,
                conversation,
                belongs,
                open,
            } => self.stands(id, conversation, belongs, open),
            SessionMessage::Due { id } => self.due(id),
            SessionMessage::Housekeeping => self.housekeeping(),
            #[cfg(test)]
            SessionMessage::Break => panic!("broken on purpose"),
        }
    }

    /// Tells the store now and then that the name and the sign-in are in use.
    fn note_use(&mut self) {
        let Some(user) = self
            .connections
            .user()
            .filter(|_| self.seen_at.elapsed() >= SEEN)
        else {
            return;
        };
        self.seen_at = Instant::now();
        let (node, hash) = (self.node.clone(), self.hash);
        tokio::spawn(async move {
            let now = node.clock.now();
            let noted = node.store.touch_sign_in(hash, now).await;
            if let Err(error) = noted.and(node.store.touch_user(user, now).await) {
                tracing::debug!(error = %error, "a use was not noted");
            }
        });
    }

    /// Looks whether the sign-in is still there: the word that it ended may have been lost on its
    /// way.
    fn check(&mut self) {
        if self.connections.is_empty() || self.checked_at.elapsed() < CHECKED {
            return;
        }
        self.checked_at = Instant::now();
        let (node, hash) = (self.node.clone(), self.hash);
        tokio::spawn(async move {
            let found = node.store.sign_in(hash, node.clock.now());
            if let Ok(None) = node.ask_store(found).await {
                node.forget_sign_in(hash);
                node.end_session_here(hash).await;
            }
        });
    }

    fn housekeeping(&mut self) {
        let oldest = MessageId::at(self.node.clock.now() - REMEMBERED);
        if self.connections.is_empty() {
            self.begun.retain(|id, _| *id >= oldest);
        }
        self.paces.retain(|_, pace| pace.held().is_some());
        self.note_use();
        self.check();
        let idle = self.connections.is_empty() && self.begun.is_empty();
        if idle && self.used_at.elapsed() >= IDLE {
            self.leaving = true;
            self.node
                .directory
                .sessions
                .remove(&self.hash, self.myself.get_id());
            // Not stopped: what is queued has to be heard or passed on.
            let _ = self.myself.drain();
        }
    }
}

/// The answer of an owner, in the time that a request has for it. ractor's own calls wait for
/// ever for an actor that dropped the question, so whatever is asked is asked with a limit.
pub async fn answer_of<T>(
    answered: ractor::concurrency::OneshotReceiver<T>,
) -> Result<T, Unanswered> {
    match tokio::time::timeout(ASK_TIMEOUT, answered).await {
        Ok(Ok(answer)) => Ok(answer),
        _ => Err(Unanswered),
    }
}

/// Waits for all, but not for longer than for a confirmation.
async fn all_of(seen: Vec<impl Future>) {
    let _ = tokio::time::timeout(CONFIRM_TIMEOUT, futures::future::join_all(seen)).await;
}

/// Tells presence that a connection went, once viewers know that what it typed is gone; with the
/// last one goes what was typed by HTTP, on whatever node.
fn part_after(
    node: &Arc<Node>,
    connection: ConnectionId,
    seen: Vec<tokio::sync::oneshot::Receiver<()>>,
    last_of: Option<SignInHash>,
) -> tokio::task::JoinHandle<()> {
    let node = node.clone();
    tokio::spawn(async move {
        let by_http = async {
            if let Some(hash) = last_of {
                node.abandon_sign_in(hash).await;
            }
        };
        tokio::join!(all_of(seen), by_http);
        if let Some(presence) = node.directory.presence() {
            let _ = presence.cast(PresenceMessage::Gone { connection });
        }
    })
}
