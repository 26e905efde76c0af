//! One sign-in on this node: its connections, where they are, and what they type.
//!
//! The session is where a person's requests get their order and their pace. It knows which
//! ghosts hang on which connection, and has them erased when that goes.

mod connections;

use crate::channel::{Beginning, ChannelMessage, awaited};
use crate::cluster::Word;
use crate::edge::ConnectionId;
use crate::frame::Belongs;
use crate::node::{ASK_TIMEOUT, CONFIRM_TIMEOUT, Node};
use crate::pace::{Bucket, Collapse, Pass};
use crate::presence::PresenceMessage;
use crate::relay::RelayMessage;
use crate::requests::{
    Destination, EnterError, Login, Patch, Patched, Post, Posted, TypingError, Unanswered, Via,
};
use crate::timeline::REMEMBERED;
use crate::typing_message::{By, PatchReply, Stroke, Typist};
use cluster_config::NodeName;
use connections::Connections;
use cql::{ChannelName, Conversation, MessageId, Millis, SignInHash};
use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// How often it looks whether anybody needs it.
const HOUSEKEEPING: Duration = Duration::from_secs(30);

/// It ends when it had no connection and nothing typed for this long.
const IDLE: Duration = Duration::from_secs(60);

/// How often the store is told that somebody who only listens is still there; names that nobody
/// uses are released after two weeks.
const SEEN: Duration = Duration::from_secs(12 * 3_600);

/// Messages of one session that are remembered as begun here; a person who types more at a time
/// is none.
const BEGUN_MAX: usize = 256;

/// Channels on other nodes that a session remembers to have entered; told again beyond that.
const ENTERED_MAX: usize = 256;

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

struct Held {
    patch: Box<Patch>,
    since: Millis,
    reply: PatchReply,
}

/// Its state.
pub struct State {
    node: Arc<Node>,
    myself: ActorRef<SessionMessage>,
    hash: SignInHash,
    connections: Connections,
    /// What is typed here, and whose going ends it.
    begun: HashMap<MessageId, (Belongs, Conversation)>,
    /// The channels that this sign-in's connections on other nodes were told to enter.
    entered_elsewhere: HashSet<(NodeName, ChannelName)>,
    paces: HashMap<MessageId, Collapse<Held>>,
    sends: Bucket,
    used_at: Instant,
    seen_at: Instant,
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
            entered_elsewhere: HashSet::new(),
            paces: HashMap::new(),
            sends: Bucket::new(limits.sends_per_second, limits.sends_burst, now),
            used_at: now,
            seen_at: now,
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

    fn post(&mut self, post: Post, since: Millis, reply: PostReply) {
        if !post.typing
            && let Err(wait) = self.sends.take(Instant::now())
        {
            let _ = reply.send(Err(TypingError::TooFast(wait)));
            return;
        }
        let belongs = self.belongs(post.via);
        self.used_in(&post.to.conversation);
        let conversation = post.to.conversation.clone();
        let beginning = Beginning {
            author: Some(post.by.user),
            username: post.by.username,
            target: post.to.target,
            text: post.text,
            typing: post.typing,
            key: post.key,
            belongs,
            datetime_start: None,
        };
        metrics::counter!("ting_keystrokes_total").increment(1);
        let (answer, answered) = ractor::concurrency::oneshot();
        let _span = tracing::info_span!("post").entered();
        let message = ChannelMessage::Post {
            post: Box::new(beginning),
            since,
            reply: answer.into(),
        };
        self.node.tell_channel(&conversation, message);
        let (myself, open) = (self.myself.clone(), post.typing);
        tokio::spawn(async move {
            let outcome = answer_of(answered)
                .await
                .unwrap_or_else(|error| Err(error.into()));
            if let Ok(posted) = &outcome
                && open
            {
                let id = posted.id;
                let _ = myself.cast(SessionMessage::Stands {
                    id,
                    conversation,
                    belongs,
                    open,
                });
            }
            let _ = reply.send(outcome);
        });
    }

    fn patch(&mut self, patch: Box<Patch>, since: Millis, reply: PatchReply) {
        metrics::counter!("ting_keystrokes_total").increment(1);
        let id = patch.id;
        let is_update = patch.typing && patch.text.is_some();
        let pace = self.paces.entry(id).or_default();
        let held = Held {
            patch,
            since,
            reply,
        };
        if !is_update {
            // The end of a message overtakes the update that is held; that one's author learns
            // that it was superseded.
            if let Some(superseded) = self
                .paces
                .remove(&id)
                .and_then(|mut pace| pace.due(Instant::now()))
            {
                // Requests overtake each other: a later state is not dropped for an earlier end.
                if superseded.patch.rev > held.patch.rev {
                    self.forward(superseded);
                } else {
                    let _ = superseded.reply.send(Ok(Patched::Done));
                }
            }
            if !held.patch.typing
                && held.patch.text.is_some()
                && let Err(wait) = self.sends.take(Instant::now())
            {
                let _ = held.reply.send(Err(TypingError::TooFast(wait)));
                return;
            }
            return self.forward(held);
        }
        if let Some(newer) = pace.held()
            && newer.patch.rev > held.patch.rev
        {
            let _ = held.reply.send(Ok(Patched::Done));
            return;
        }
        match pace.offer(held, Instant::now()) {
            Pass::Through(held) => self.forward(held),
            Pass::Held { due, superseded } => {
                if let Some(superseded) = superseded {
                    let _ = superseded.reply.send(Ok(Patched::Done));
                }
                if let Some(due) = due {
                    self.myself
                        .send_after(due, move || SessionMessage::Due { id });
                }
            }
        }
    }

    fn due(&mut self, id: MessageId) {
        let held = self
            .paces
            .get_mut(&id)
            .and_then(|pace| pace.due(Instant::now()));
        if let Some(held) = held {
            self.forward(held);
        }
    }

    fn forward(&mut self, held: Held) {
        let Held {
            patch,
            since,
            reply,
        } = held;
        let Patch {
            by,
            via,
            to,
            id,
            text,
            typing,
            rev,
            claim,
        } = *patch;
        let belongs = self.belongs(via);
        self.used_in(&to.conversation);
        let conversation = to.conversation;
        let stays_open = typing && text.is_some();
        let typist = Typist {
            user: by.user,
            username: by.username,
            target: to.target,
            belongs,
            began: self.begun.contains_key(&id),
        };
        let stroke = Stroke {
            by: By::Person(typist),
            conversation: Some(conversation.clone()),
            text,
            typing,
            rev,
        };
        let (answer, answered) = ractor::concurrency::oneshot();
        let _span = tracing::info_span!("patch").entered();
        self.node
            .stroke(&conversation, id, stroke, claim, since, answer.into());
        let myself = self.myself.clone();
        tokio::spawn(async move {
            let outcome = answer_of(answered)
                .await
                .unwrap_or_else(|error| Err(error.into()));
            let stands = |id, open| SessionMessage::Stands {
                id,
                conversation: conversation.clone(),
                belongs,
                open,
            };
            match &outcome {
                Ok(Patched::Done) => drop(myself.cast(stands(id, stays_open))),
                Ok(Patched::Anew(posted)) => {
                    drop(myself.cast(stands(id, false)));
                    drop(myself.cast(stands(posted.id, stays_open)));
                }
                Err(TypingError::NotFound | TypingError::Sent) => {
                    drop(myself.cast(stands(id, false)));
                }
                Err(_) => {}
            }
            let _ = reply.send(outcome);
        });
    }

    /// Whose going ends what is typed now.
    fn belongs(&self, via: Via) -> Belongs {
        match via {
            Via::Connection(connection) => Belongs::Connection(self.node.name(), connection),
            Via::Http if self.node.roster().is_connected(self.hash) => Belongs::SignIn(self.hash),
            Via::Http => Belongs::Nobody,
        }
    }

    /// Somebody types there: this node keeps what is typed, and who is signed in hears it.
    fn used_in(&mut self, conversation: &Conversation) {
        self.node.tell_relay_here(conversation, RelayMessage::Keep);
        if let Conversation::Channel(channel) = conversation {
            self.enter_implicitly(channel.clone(), None);
            self.enter_elsewhere(channel);
        }
    }

    /// This sign-in's connections on other nodes enter it, too.
    fn enter_elsewhere(&mut self, channel: &ChannelName) {
        let nodes = self.node.roster().nodes_of_sign_in(self.hash);
        if self.entered_elsewhere.len() > ENTERED_MAX {
            self.entered_elsewhere.clear();
        }
        for node in nodes {
            if self.entered_elsewhere.insert((node, channel.clone())) {
                let (hash, channel) = (self.hash, channel.clone());
                self.node
                    .tell_node(node, Word::EnterImplicitly { hash, channel });
            }
        }
    }

    fn stands(&mut self, id: MessageId, conversation: Conversation, belongs: Belongs, open: bool) {
        if !open {
            self.begun.remove(&id);
            self.paces.remove(&id);
            return;
        }
        // The connection may have gone while its message began.
        let gone = match belongs {
            Belongs::Connection(_, connection) => !self.connections.contains(connection),
            Belongs::SignIn(_) => !self.node.roster().is_connected(self.hash),
            Belongs::Nobody => false,
        };
        if gone {
            self.abandon(id, belongs, &conversation);
            return;
        }
        if self.begun.len() >= BEGUN_MAX
            && let Some(oldest) = self.begun.keys().min().copied()
        {
            self.begun.remove(&oldest);
            self.paces.remove(&oldest);
        }
        self.begun.insert(id, (belongs, conversation));
    }

    /// Has a ghost erased, if it still hangs on what has gone; the receiver fires when viewers
    /// know.
    fn abandon(
        &self,
        id: MessageId,
        by: Belongs,
        conversation: &Conversation,
    ) -> tokio::sync::oneshot::Receiver<()> {
        let (answer, seen) = awaited();
        let message = ChannelMessage::Abandon {
            id,
            by,
            answer: Some(answer),
        };
        self.node.tell_channel(conversation, message);
        seen
    }

    /// Has all ghosts erased that hang on something that has gone.
    fn abandon_all(
        &mut self,
        gone: impl Fn(Belongs) -> bool,
    ) -> Vec<tokio::sync::oneshot::Receiver<()>> {
        let ids: Vec<(MessageId, Belongs, Conversation)> = self
            .begun
            .iter()
            .filter(|(_, (belongs, _))| gone(*belongs))
            .map(|(id, (belongs, conversation))| (*id, *belongs, conversation.clone()))
            .collect();
        ids.into_iter()
            .map(|(id, belongs, conversation)| {
                self.begun.remove(&id);
                if let Some(held) = self
                    .paces
                    .remove(&id)
                    .and_then(|mut pace| pace.due(Instant::now()))
                {
                    let _ = held.reply.send(Ok(Patched::Done));
                }
                self.abandon(id, belongs, &conversation)
            })
            .collect()
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

    fn housekeeping(&mut self) {
        let oldest = MessageId::at(self.node.clock.now() - REMEMBERED);
        if self.connections.is_empty() {
            self.begun.retain(|id, _| *id >= oldest);
        }
        self.paces
            .retain(|id, pace| *id >= oldest || pace.held().is_some());
        self.note_use();
        let idle = self.connections.is_empty() && self.begun.is_empty();
        if idle && self.used_at.elapsed() >= IDLE {
            self.leaving = true;
            self.node
                .directory
                .sessions
                .remove(&self.hash, self.myself.get_id());
            let _ = self.myself.drain();
        }
    }
}

/// The answer of an owner, in the time that a request has for it.
pub async fn answer_of<T>(
    answered: ractor::concurrency::OneshotReceiver<T>,
) -> Result<T, Unanswered> {
    match tokio::time::timeout(ASK_TIMEOUT, answered).await {
        Ok(Ok(answer)) => Ok(answer),
        _ => Err(Unanswered),
    }
}

/// Waits for all, but not for longer than for a confirmation.
async fn all_of(seen: Vec<tokio::sync::oneshot::Receiver<()>>) {
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
