//! The root of the tree: starts actors when they are first spoken to, and starts them again.
//!
//! It never ends because a child did. A channel that failed comes back at once, told that it was
//! there before; a relay or a session that failed has its sockets ended, so that their clients
//! reconnect and catch up; presence, without which nobody is online, does that to all. Without the
//! keeper of the view the node is no member, and comes back as another one.

use crate::channel::{self, Channel, ChannelMessage};
use crate::clock::RENEWED_EVERY;
use crate::cluster::{Keeper, Links, keeper};
use crate::edge::{ConnectionId, Kill};
use crate::node::{Lives, Node};
use crate::presence::Presence;
use crate::relay::{self, Relay, RelayMessage};
use crate::session::{self, Session, SessionMessage};
use crate::typing_message::{PatchReply, Stroke, TypingMessageMessage};
use cluster_config::Membership;
use cql::{Conversation, MessageId, Millis, SignInHash};
use ractor::{Actor, ActorId, ActorProcessingErr, ActorRef, ActorRuntime, SupervisionEvent};
use std::sync::Arc;
use std::time::Duration;
use tracing::{error, warn};

/// How often the store forgets what has outlived its time.
const SWEEP: Duration = Duration::from_secs(600);

/// Why an actor failed of which this is not known yet: its successor was needed first.
const FOUND_DEAD: &str = "it was spoken to and had ended";

/// What the root is told.
pub enum SystemMessage {
    /// Renew the slot and the time.
    Renew,
    /// Have the store forget what has outlived its time.
    Sweep,
}

impl ractor::Message for SystemMessage {}

/// The root.
pub struct Supervisor;

impl Actor for Supervisor {
    type Msg = SystemMessage;
    type State = Arc<Node>;
    type Arguments = Arc<Node>;

    async fn pre_start(
        &self,
        myself: ActorRef<SystemMessage>,
        node: Arc<Node>,
    ) -> Result<Arc<Node>, ActorProcessingErr> {
        start_presence(&node, &myself).await?;
        myself.send_interval(RENEWED_EVERY, || SystemMessage::Renew);
        myself.send_interval(SWEEP, || SystemMessage::Sweep);
        Ok(node)
    }

    async fn handle(
        &self,
        _: ActorRef<SystemMessage>,
        message: SystemMessage,
        node: &mut Arc<Node>,
    ) -> Result<(), ActorProcessingErr> {
        let node = node.clone();
        node.directory.typing_messages.remove_ended();
        // Beside the actor: a store that is away must not keep it from its children.
        tokio::spawn(async move {
            let outcome = match message {
                SystemMessage::Renew => {
                    let renewed = node.ask_store(node.clock.renew(&*node.store)).await;
                    if let Ok(false) = renewed {
                        node.cluster.go_out("its slot is another node's");
                    }
                    renewed.map(drop)
                }
                SystemMessage::Sweep => node.store.sweep(node.clock.now()).await,
            };
            node.count();
            if let Err(error) = outcome {
                tracing::debug!(error = %error, "the store could not be kept up, will retry");
            }
        });
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        myself: ActorRef<SystemMessage>,
        event: SupervisionEvent,
        node: &mut Arc<Node>,
    ) -> Result<(), ActorProcessingErr> {
        // Without this it would end with the first of its children.
        if let SupervisionEvent::ActorFailed(who, error) = event {
            node.child_failed(&myself, who.get_id(), &error).await?;
        }
        Ok(())
    }
}

async fn start_presence(
    node: &Arc<Node>,
    root: &ActorRef<SystemMessage>,
) -> Result<(), ActorProcessingErr> {
    let (presence, _) =
        Presence::spawn_linked(None, Presence, node.clone(), root.get_cell()).await?;
    node.directory.set_presence(presence);
    Ok(())
}

/// Notes that an actor failed: an error of ours that somebody must look at.
pub fn report(actor: &'static str, error: &ActorProcessingErr) {
    metrics::counter!("ting_actor_restarts_total", "actor" => actor).increment(1);
    error!(actor, error = %error, "actor failed, starting it again");
}

impl Node {
    async fn child_failed(
        self: &Arc<Self>,
        root: &ActorRef<SystemMessage>,
        who: ActorId,
        error: &ActorProcessingErr,
    ) -> Result<(), ActorProcessingErr> {
        let directory = &self.directory;
        if self.cluster.is_keeper(who) {
            // Nobody renews its lease: it comes back as another member.
            report("keeper", error);
            self.cluster.go_out("what keeps the view failed");
        } else if let Some(conversation) = directory.channels.id_of(who) {
            report("channel", error);
            let start = || self.start_channel(&conversation, true);
            directory.channels.replace(&conversation, who, start);
        } else if let Some(conversation) = directory.relays.id_of(who) {
            report("relay", error);
            if directory.relays.remove(&conversation, who) {
                self.restart_viewers(&conversation);
            }
        } else if let Some(hash) = directory.sessions.id_of(who) {
            report("session", error);
            if directory.sessions.remove(&hash, who) {
                self.restart_connections(|session| session == hash);
            }
        } else if directory
            .presence()
            .is_none_or(|presence| presence.get_id() == who)
        {
            report("presence", error);
            start_presence(self, root).await?;
            *self.roster_mut() = Default::default();
            self.restart_connections(|_| true);
            for (conversation, relay) in directory.relays.all() {
                if let Conversation::Private(..) = conversation {
                    let _ = relay.cast(RelayMessage::PresenceAnew);
                }
            }
        } else {
            warn!(error = %error, "an actor that had left, or was replaced, failed");
        }
        Ok(())
    }

    /// Those whom a relay showed a conversation know nothing of its next one.
    fn restart_viewers(&self, conversation: &Conversation) {
        let members = self.directory.rooms().remove(conversation);
        for viewer in members.unwrap_or_default() {
            self.sockets.kill(viewer, Kill::Restarted);
        }
    }

    fn restart_connections(&self, of: impl Fn(SignInHash) -> bool) {
        let theirs: Vec<ConnectionId> = self
            .directory
            .connections()
            .iter()
            .filter(|(_, known)| of(known.sign_in))
            .map(|(connection, _)| *connection)
            .collect();
        for connection in theirs {
            self.sockets.kill(connection, Kill::Restarted);
            // Its session can't say it any more.
            if let Some(presence) = self.directory.presence() {
                let _ = presence.cast(crate::presence::PresenceMessage::Gone { connection });
            }
        }
    }

    fn start_channel(
        self: &Arc<Self>,
        conversation: &Conversation,
        restarted: bool,
    ) -> ActorRef<ChannelMessage> {
        let (node, conversation) = (self.clone(), conversation.clone());
        self.start::<Channel>(
            Channel,
            channel::Arguments {
                node,
                conversation,
                restarted,
            },
        )
    }

    /// Starts an actor under the root, without waiting for it.
    fn start<A: Actor>(&self, actor: A, arguments: A::Arguments) -> ActorRef<A::Msg> {
        // Spawning fails for a name that is taken, and actors here have none.
        let (started, _) = ActorRuntime::spawn_instant(None, actor, arguments)
            .expect("an actor without a name can always be spawned");
        if let Some(root) = self.directory.system.get() {
            started.link(root.get_cell());
        }
        started
    }

    /// Starts what keeps this node in the view.
    pub fn start_keeper(self: &Arc<Self>, membership: Membership, links: Option<Arc<dyn Links>>) {
        let node = self.clone();
        let arguments = keeper::Arguments {
            node,
            membership,
            links,
        };
        let keeper = self.start::<Keeper>(Keeper, arguments);
        self.cluster.set_keeper(keeper);
    }

    /// Says something to a conversation that lives here.
    pub fn tell_channel_here(
        self: &Arc<Self>,
        conversation: &Conversation,
        message: ChannelMessage,
    ) {
        let start = |failed| self.start_channel(conversation, failed);
        if self.directory.channels.tell(conversation, start, message) {
            report("channel", &FOUND_DEAD.into());
        }
    }

    /// Changes a message, wherever its owner is: by its own actor, or by the channel where there
    /// is none.
    pub fn stroke(
        self: &Arc<Self>,
        conversation: &Conversation,
        id: MessageId,
        stroke: Stroke,
        claim: Option<String>,
        since: Millis,
        reply: PatchReply,
    ) {
        let message = TypingMessageMessage::Stroke {
            stroke,
            since,
            reply,
        };
        let message = match self.lives(conversation) {
            Lives::Here => self.directory.typing_messages.tell_if_there(&id, message),
            _ => Err(message),
        };
        if let Err(TypingMessageMessage::Stroke {
            stroke,
            since,
            reply,
        }) = message
        {
            let message = ChannelMessage::Stroke {
                id,
                stroke,
                claim,
                since,
                reply,
            };
            self.tell_channel(conversation, message);
        }
    }

    /// Says something to this node's relay of a conversation.
    pub fn tell_relay_here(self: &Arc<Self>, conversation: &Conversation, message: RelayMessage) {
        let start = |_| {
            let (node, conversation) = (self.clone(), conversation.clone());
            self.start::<Relay>(Relay, relay::Arguments { node, conversation })
        };
        if self.directory.relays.tell(conversation, start, message) {
            report("relay", &FOUND_DEAD.into());
            self.restart_viewers(conversation);
        }
    }

    /// Says something to this node's session of a sign-in.
    pub fn tell_session(self: &Arc<Self>, hash: SignInHash, message: SessionMessage) {
        let start = |_| {
            self.start::<Session>(
                Session,
                session::Arguments {
                    node: self.clone(),
                    hash,
                },
            )
        };
        if self.directory.sessions.tell(&hash, start, message) {
            report("session", &FOUND_DEAD.into());
            self.restart_connections(|session| session == hash);
        }
    }

    fn count(&self) {
        let directory = &self.directory;
        metrics::gauge!("ting_conversations").set(directory.channels.count() as f64);
        metrics::gauge!("ting_typing_messages").set(directory.typing_messages.count() as f64);
        metrics::gauge!("ting_sessions").set(directory.sessions.count() as f64);
        metrics::gauge!("ting_relays").set(directory.relays.count() as f64);
    }
}
