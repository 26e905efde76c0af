//! A session's connections: logging in, entering and leaving conversations, going.

use super::{SessionMessage, State, all_of, part_after};
use crate::edge::{ConnectionId, Kill, Target, Wants};
use crate::frame::Belongs;
use crate::node::{CONFIRM_TIMEOUT, Node};
use crate::presence::PresenceMessage;
use crate::relay::{RelayMessage, Viewer};
use crate::requests::{Destination, EnterError, Login, Unanswered};
use cql::{ChannelName, Conversation, UserId};
use futures::FutureExt;
use futures::future::Shared;
use ractor::RpcReplyPort;
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::oneshot;

/// Fires when a connection is shown a conversation; whoever reads it waits for that.
type Shown = Shared<oneshot::Receiver<()>>;

struct Connection {
    wants: Wants,
    user: UserId,
    /// Whether its login named its channels; if not, it enters others implicitly.
    named: bool,
    /// Where it is, in the order in which it entered.
    entered: Vec<Entered>,
    /// What it enters when its login is answered.
    logs_in_to: Vec<(ChannelName, oneshot::Sender<()>)>,
}

struct Entered {
    conversation: Conversation,
    implied: bool,
    shown: Shown,
}

impl Connection {
    fn in_it(&self, conversation: &Conversation) -> Option<&Entered> {
        let mut entered = self.entered.iter();
        entered.find(|known| known.conversation == *conversation)
    }
}

/// The connections of one session.
pub struct Connections {
    connections: HashMap<ConnectionId, Connection>,
    entered_max: usize,
}

impl Connections {
    /// None yet.
    pub fn new(entered_max: usize) -> Self {
        Connections {
            connections: HashMap::new(),
            entered_max,
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.connections.is_empty()
    }

    /// Whose they are, if there are any.
    pub fn user(&self) -> Option<UserId> {
        self.connections.values().next().map(|here| here.user)
    }

    /// Whether this is one of them.
    pub fn contains(&self, connection: ConnectionId) -> bool {
        self.connections.contains_key(&connection)
    }

    fn get_mut(&mut self, connection: ConnectionId) -> Option<&mut Connection> {
        self.connections.get_mut(&connection)
    }

    /// Notes that a connection enters. What it leaves for that; an error if it is in too many.
    fn enter(
        &mut self,
        connection: ConnectionId,
        conversation: &Conversation,
        implied: bool,
        shown: Shown,
    ) -> Result<Option<Conversation>, EnterError> {
        let most = self.entered_max;
        let here = self
            .connections
            .get_mut(&connection)
            .ok_or(EnterError::NotLoggedIn)?;
        if let Some(known) = here
            .entered
            .iter_mut()
            .find(|known| known.conversation == *conversation)
        {
            known.implied &= implied;
            return Ok(None);
        }
        let mut left = None;
        if here.entered.len() >= most {
            let oldest = here.entered.iter().position(|known| known.implied);
            let oldest = oldest.ok_or(EnterError::TooMany(most))?;
            left = Some(here.entered.remove(oldest).conversation);
        }
        here.entered.push(Entered {
            conversation: conversation.clone(),
            implied,
            shown,
        });
        Ok(left)
    }
}

impl State {
    pub(super) fn login(&mut self, login: Login, reply: RpcReplyPort<()>) {
        let Login {
            connection,
            sign_in,
            wants,
            channels,
        } = login;
        // It ended while its channels were looked at, and nobody else ends this connection.
        if self.node.has_ended(sign_in.hash) {
            return;
        }
        let here = Connection {
            wants,
            user: sign_in.user,
            named: channels.is_some(),
            entered: Vec::new(),
            logs_in_to: Vec::new(),
        };
        let implied = !here.named;
        self.connections.connections.insert(connection, here);
        // Before anything that its client does next: what a login implies is the oldest.
        for channel in channels.unwrap_or_else(|| vec![ChannelName::ting()]) {
            let conversation = Conversation::Channel(channel.clone());
            let (enters, shown) = entering();
            let entered = self
                .connections
                .enter(connection, &conversation, implied, shown);
            // One that names too many is in the first of them.
            if let (Ok(_), Some(here)) = (entered, self.connections.get_mut(connection)) {
                here.logs_in_to.push((channel, enters));
            }
        }
        let Some(presence) = self.node.directory.presence() else {
            return;
        };
        let (answer, answered) = ractor::concurrency::oneshot();
        let login = PresenceMessage::Login {
            connection,
            sign_in,
            wants,
            reply: answer.into(),
        };
        let _ = presence.cast(login);
        let myself = self.myself.clone();
        tokio::spawn(async move {
            if answered.await.is_ok() {
                let _ = myself.cast(SessionMessage::LoggedIn { connection, reply });
            }
        });
    }

    pub(super) fn logged_in(&mut self, connection: ConnectionId, reply: RpcReplyPort<()>) {
        let Some(here) = self.connections.get_mut(connection) else {
            return;
        };
        let (wants, user) = (here.wants, here.user);
        let mut entered = Vec::new();
        for (channel, enters) in std::mem::take(&mut here.logs_in_to) {
            let conversation = Conversation::Channel(channel.clone());
            if let Some(known) = here.in_it(&conversation) {
                entered.push(known.shown.clone());
                let target = Some(Target::Channel(channel));
                let viewer = Viewer {
                    connection,
                    wants,
                    user,
                    target,
                    always: true,
                };
                enter_relay(&self.node, &conversation, viewer, enters);
            }
        }
        tokio::spawn(async move {
            all_of(entered).await;
            let _ = reply.send(());
        });
    }

    pub(super) fn enter(
        &mut self,
        connection: ConnectionId,
        to: Destination,
        reply: RpcReplyPort<Result<(), EnterError>>,
    ) {
        let is_private = matches!(to.conversation, Conversation::Private(..));
        let (enters, shown) = entering();
        let entered = if is_private {
            // Privates need no entering, and don't count.
            let here = self.connections.contains(connection);
            here.then_some(None).ok_or(EnterError::NotLoggedIn)
        } else {
            let conversation = &to.conversation;
            self.connections
                .enter(connection, conversation, false, shown.clone())
        };
        match entered {
            Ok(left) => self.leave_relay(connection, left),
            Err(refused) => {
                let _ = reply.send(Err(refused));
                return;
            }
        }
        let Some(here) = self.connections.connections.get(&connection) else {
            return;
        };
        let (wants, user) = (here.wants, here.user);
        let viewer = Viewer {
            connection,
            wants,
            user,
            target: Some(to.target),
            always: true,
        };
        enter_relay(&self.node, &to.conversation, viewer, enters);
        tokio::spawn(async move {
            let entered = tokio::time::timeout(CONFIRM_TIMEOUT * 2, shown).await;
            let entered = entered.is_ok_and(|entered| entered.is_ok());
            let _ = reply.send(if entered {
                Ok(())
            } else {
                Err(Unanswered.into())
            });
        });
    }

    pub(super) fn leave(
        &mut self,
        connection: ConnectionId,
        to: &Destination,
    ) -> Result<(), EnterError> {
        if let Conversation::Private(..) = to.conversation {
            return Err(EnterError::Private);
        }
        let here = self.connections.connections.get_mut(&connection);
        let here = here.ok_or(EnterError::NotLoggedIn)?;
        here.entered
            .retain(|known| known.conversation != to.conversation);
        self.leave_relay(connection, Some(to.conversation.clone()));
        Ok(())
    }

    pub(super) fn enter_implicitly(
        &mut self,
        channel: ChannelName,
        reply: Option<RpcReplyPort<()>>,
    ) {
        let conversation = Conversation::Channel(channel.clone());
        let mut entered = Vec::new();
        let mut outside = Vec::new();
        let here = self.connections.connections.iter();
        for (connection, here) in here.filter(|(_, here)| !here.named) {
            match here.in_it(&conversation) {
                // It may be about to: its login is answered before it is shown anything.
                Some(known) => entered.push(known.shown.clone()),
                None => outside.push((*connection, here.wants, here.user)),
            }
        }
        for (connection, wants, user) in outside {
            let (enters, shown) = entering();
            let left = self
                .connections
                .enter(connection, &conversation, true, shown.clone());
            if let Ok(left) = left {
                self.leave_relay(connection, left);
                let target = Some(Target::Channel(channel.clone()));
                let viewer = Viewer {
                    connection,
                    wants,
                    user,
                    target,
                    always: true,
                };
                enter_relay(&self.node, &conversation, viewer, enters);
                entered.push(shown);
            }
        }
        if let Some(reply) = reply {
            tokio::spawn(async move {
                all_of(entered).await;
                let _ = reply.send(());
            });
        }
    }

    pub(super) fn gone(&mut self, connection: ConnectionId) {
        let Some(here) = self.connections.connections.remove(&connection) else {
            return;
        };
        for known in here.entered {
            self.leave_relay(connection, Some(known.conversation));
        }
        let elsewhere = !self.node.roster().nodes_of_sign_in(self.hash).is_empty();
        let last = self.connections.is_empty() && !elsewhere;
        let own = Belongs::SignIn(self.hash);
        let its = Belongs::Connection(self.node.name(), connection);
        let seen = self.abandon_all(|belongs| belongs == its || (last && belongs == own));
        part_after(&self.node, connection, seen, last.then_some(self.hash));
    }

    /// The sign-in ended: its sockets are closed, and what it typed is erased.
    pub(super) fn end(&mut self, reply: RpcReplyPort<()>) {
        let mut seen = self.abandon_all(|_| true);
        let mut parted = Vec::new();
        let connections: Vec<ConnectionId> = self.connections.connections.keys().copied().collect();
        for connection in connections {
            self.node.sockets.kill(connection, Kill::SignedOut);
            if let Some(here) = self.connections.connections.remove(&connection) {
                for known in here.entered {
                    self.leave_relay(connection, Some(known.conversation));
                }
            }
            parted.push(part_after(
                &self.node,
                connection,
                std::mem::take(&mut seen),
                None,
            ));
        }
        tokio::spawn(async move {
            all_of(seen).await;
            futures::future::join_all(parted).await;
            let _ = reply.send(());
        });
    }

    fn leave_relay(&self, connection: ConnectionId, conversation: Option<Conversation>) {
        if let Some(conversation) = conversation {
            let leave = RelayMessage::Leave { connection };
            let _ = self
                .node
                .directory
                .relays
                .tell_if_there(&conversation, leave);
        }
    }
}

/// What says that a connection is shown a conversation, and what waits for that.
fn entering() -> (oneshot::Sender<()>, Shown) {
    let (enters, shown) = oneshot::channel();
    (enters, shown.shared())
}

/// Has a conversation shown to a connection.
fn enter_relay(
    node: &Arc<Node>,
    conversation: &Conversation,
    viewer: Viewer,
    enters: oneshot::Sender<()>,
) {
    let enter = RelayMessage::Enter {
        viewer,
        reply: Some(enters.into()),
    };
    node.tell_relay_here(conversation, enter);
}
