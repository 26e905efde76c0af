//! Who is online: tells everybody of `join` and `part`, at a pace that sockets can follow.
//!
//! Logins are answered in the order in which they come, and each sees a list of people that fits
//! what it is told afterwards. When many come at once, those beyond a tick's share wait for the
//! next one.

mod elsewhere;

use crate::channel::TICK;
use crate::cluster::{Online, Word};
use crate::edge::{ConnectionId, Event, Room, Wants};
use crate::frame::Belongs;
use crate::node::Node;
use crate::relay::{RelayMessage, Viewer};
use crate::roster::{Left, PresenceBatch};
use crate::typing_message::TypingMessageMessage;
use cluster_config::NodeName;
use cql::{Conversation, SignIn, SignInHash, UserId, Username};
use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// How often other nodes are told who is here: what they missed they learn then.
const ANNOUNCED_EVERY: Duration = Duration::from_secs(10);

/// People whose node said that it goes count as online for so long: they come back on another.
const HELD: Duration = Duration::from_secs(10);

/// Comings and goings told one by one in one tick; a socket's queue holds a few ticks.
const TOLD_PER_TICK: usize = 64;

/// Sockets in one room; larger ones hold their lock for milliseconds.
const ROOM_SIZE: usize = 1_000;

/// What the presence actor is told.
pub enum PresenceMessage {
    /// Asked: a connection logs in; answered when its `login-response` and `join` are out.
    Login {
        connection: ConnectionId,
        sign_in: SignIn,
        wants: Wants,
        reply: RpcReplyPort<()>,
    },
    /// Told: a connection went, and what it typed is gone.
    Gone { connection: ConnectionId },
    /// Reported: the other nodes know of this connection's person.
    Known {
        connection: ConnectionId,
        sign_in: SignIn,
        wants: Wants,
        reply: RpcReplyPort<()>,
    },
    /// Told: these people, who are expected, are on that node now.
    Joined { node: NodeName, people: Vec<Online> },
    /// Told: these sign-ins have no connection to that node any more.
    Parted {
        node: NodeName,
        sign_ins: Vec<SignInHash>,
    },
    /// Told: these people are on that node, and nobody else.
    Everybody { node: NodeName, people: Vec<Online> },
    /// Told: a node is no member any more; `drained` if it had said that it goes.
    NodeGone { node: NodeName, drained: bool },
    /// Told: there is a link with that node.
    LinkUp { node: NodeName },
    /// Reported: those whose node said that it goes have had their time to come back.
    Late {
        node: NodeName,
        sign_ins: Vec<SignInHash>,
    },
    /// Reported: tell all nodes who is here.
    Announce,
    /// Told: a private is shown on this node; its people's connections are to watch it.
    PrivateHere { conversation: Conversation },
    /// Reported: a tick has passed.
    Tick,
    /// Breaks the actor, to see it come back.
    #[cfg(test)]
    Break,
}

impl ractor::Message for PresenceMessage {}

/// The actor.
pub struct Presence;

struct Here {
    user: UserId,
    sign_in: SignInHash,
    wants: Wants,
    room: Room,
}

struct Crowd {
    room: Room,
    batched: bool,
    size: usize,
}

enum Move {
    Login {
        connection: ConnectionId,
        sign_in: SignIn,
        wants: Wants,
        reply: RpcReplyPort<()>,
    },
    Gone {
        connection: ConnectionId,
    },
    Joined {
        node: NodeName,
        online: Online,
    },
    Parted {
        node: NodeName,
        sign_in: SignInHash,
    },
}

/// Its state.
pub struct State {
    node: Arc<Node>,
    myself: ActorRef<PresenceMessage>,
    here: HashMap<ConnectionId, Here>,
    crowds: Vec<Crowd>,
    waiting: VecDeque<Move>,
    left_in_tick: usize,
    ticking: bool,
    batch: PresenceBatch,
    privates: HashMap<UserId, HashSet<Conversation>>,
    /// The sign-ins that are connected here, each with how many of its connections are.
    own: HashMap<SignInHash, (Online, usize)>,
    /// Connections whose person the other nodes are being told of.
    announcing: HashSet<ConnectionId>,
}

impl Actor for Presence {
    type Msg = PresenceMessage;
    type State = State;
    type Arguments = Arc<Node>;

    async fn pre_start(
        &self,
        myself: ActorRef<PresenceMessage>,
        node: Arc<Node>,
    ) -> Result<State, ActorProcessingErr> {
        myself.send_interval(ANNOUNCED_EVERY, || PresenceMessage::Announce);
        Ok(State {
            node,
            myself,
            here: HashMap::new(),
            crowds: Vec::new(),
            waiting: VecDeque::new(),
            left_in_tick: TOLD_PER_TICK,
            ticking: false,
            batch: PresenceBatch::default(),
            privates: HashMap::new(),
            own: HashMap::new(),
            announcing: HashSet::new(),
        })
    }

    async fn handle(
        &self,
        _: ActorRef<PresenceMessage>,
        message: PresenceMessage,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            PresenceMessage::Login {
                connection,
                sign_in,
                wants,
                reply,
            } => state.come(connection, sign_in, wants, reply),
            PresenceMessage::Known {
                connection,
                sign_in,
                wants,
                reply,
            } => {
                if state.announcing.remove(&connection) {
                    state.queue(Move::Login {
                        connection,
                        sign_in,
                        wants,
                        reply,
                    });
                } else {
                    // It went meanwhile.
                    state.went(sign_in.hash);
                }
            }
            PresenceMessage::Gone { connection } => {
                if !state.announcing.remove(&connection) {
                    state.queue(Move::Gone { connection });
                }
            }
            PresenceMessage::Joined { node, people } => state.come_elsewhere(node, people),
            PresenceMessage::Parted { node, sign_ins } => state.parted(node, sign_ins),
            PresenceMessage::Late { node, sign_ins } => {
                for sign_in in sign_ins {
                    state.queue(Move::Parted { node, sign_in });
                }
            }
            PresenceMessage::Everybody { node, people } => state.everybody(node, people),
            PresenceMessage::NodeGone { node, drained } => {
                let sign_ins = state.node.roster().on_node(node);
                let after = if drained { HELD } else { Duration::ZERO };
                state.late(node, sign_ins, after);
            }
            PresenceMessage::LinkUp { node } => {
                let people = state.everybody_here();
                state.node.tell_node(node, Word::Everybody { people });
            }
            PresenceMessage::Announce => {
                state.forget_privates();
                let people = state.everybody_here();
                state.node.tell_all(&Word::Everybody { people });
            }
            PresenceMessage::PrivateHere { conversation } => state.private_here(conversation),
            PresenceMessage::Tick => state.tick(),
            #[cfg(test)]
            PresenceMessage::Break => panic!("broken on purpose"),
        }
        Ok(())
    }
}

impl State {
    fn queue(&mut self, next: Move) {
        self.waiting.push_back(next);
        self.go_on();
    }

    fn tell_joined(&mut self, username: &Username) {
        self.batch.join(username);
        self.tell_each(Event::Join(username));
    }

    /// Tells those who hear of each by itself, of so many in a tick.
    fn tell_each(&mut self, event: Event<'_>) {
        if self.tell_all(false, event) {
            self.left_in_tick = self.left_in_tick.saturating_sub(1);
        }
    }

    /// Somebody's connection has gone, here or elsewhere.
    fn left(&mut self, left: Option<Left>, sign_in: SignInHash) {
        if let Some(left) = left.filter(|left| left.parted) {
            self.batch.part(&left.username);
            self.tell_each(Event::Part(&left.username));
        }
        self.count();
        if self.node.roster().is_connected(sign_in) {
            return;
        }
        // What it typed by HTTP hung on all its connections together.
        let typed = self.node.directory.typed_by().get(&sign_in).cloned();
        for id in typed.into_iter().flatten() {
            let by = Belongs::SignIn(sign_in);
            let abandoned = TypingMessageMessage::Abandoned { by, answer: None };
            let _ = self
                .node
                .directory
                .typing_messages
                .tell_if_there(&id, abandoned);
        }
    }

    fn go_on(&mut self) {
        while self.left_in_tick > 0 {
            match self.waiting.pop_front() {
                Some(Move::Login {
                    connection,
                    sign_in,
                    wants,
                    reply,
                }) => {
                    self.login(connection, &sign_in, wants);
                    let _ = reply.send(());
                }
                Some(Move::Gone { connection }) => self.gone(connection),
                Some(Move::Joined { node, online }) => self.joined(node, &online),
                Some(Move::Parted { node, sign_in }) => self.parted_elsewhere(node, sign_in),
                None => break,
            }
        }
        if !self.ticking {
            self.ticking = true;
            self.myself.send_after(TICK, || PresenceMessage::Tick);
        }
    }

    fn tick(&mut self) {
        let idle = self.left_in_tick == TOLD_PER_TICK && self.waiting.is_empty();
        self.left_in_tick = TOLD_PER_TICK;
        self.ticking = false;
        if let Some((joined, parted)) = self.batch.take() {
            self.tell_all(
                true,
                Event::Presence {
                    joined: &joined,
                    parted: &parted,
                },
            );
        }
        if !idle {
            self.go_on();
        }
    }

    fn login(&mut self, connection: ConnectionId, sign_in: &SignIn, wants: Wants) {
        let (first, people) = {
            let mut roster = self.node.roster_mut();
            let first = roster.add(connection, sign_in.user, &sign_in.username, sign_in.hash);
            (first, roster.names())
        };
        let node = self.node.clone();
        let sockets = &node.sockets;
        sockets.emit(
            connection,
            &[sockets.encode(Event::LoggedIn { people: &people })],
        );
        let room = self.seat(wants.batched_presence);
        sockets.join(connection, &room);
        self.here.insert(
            connection,
            Here {
                user: sign_in.user,
                sign_in: sign_in.hash,
                wants,
                room,
            },
        );
        if first {
            self.tell_joined(&sign_in.username);
        } else {
            let me = std::slice::from_ref(&sign_in.username);
            let own = if wants.batched_presence {
                Event::Presence {
                    joined: me,
                    parted: &[],
                }
            } else {
                Event::Join(&sign_in.username)
            };
            sockets.emit(connection, &[sockets.encode(own)]);
        }
        for conversation in self.privates.get(&sign_in.user).into_iter().flatten() {
            self.watch(conversation, connection, sign_in.user, wants);
        }
        self.person_on(sign_in.user, self.node.name());
        self.count();
    }

    fn gone(&mut self, connection: ConnectionId) {
        let here = self.here.remove(&connection);
        if let Some(here) = &here {
            self.node.sockets.leave(connection, &here.room);
            if let Some(crowd) = self.crowds.iter_mut().find(|crowd| crowd.room == here.room) {
                crowd.size -= 1;
            }
            for conversation in self.privates.get(&here.user).into_iter().flatten() {
                let leave = RelayMessage::Leave { connection };
                let _ = self
                    .node
                    .directory
                    .relays
                    .tell_if_there(conversation, leave);
            }
        }
        let left = self.node.roster_mut().remove(connection);
        if let Some(Here { sign_in, .. }) = here {
            self.went(sign_in);
            self.left(left, sign_in);
        }
    }

    /// Forgets the privates that are shown here no more.
    fn forget_privates(&mut self) {
        let relays = &self.node.directory.relays;
        self.privates.retain(|_, privates| {
            privates.retain(|known| relays.get(known).is_some());
            !privates.is_empty()
        });
    }

    fn private_here(&mut self, conversation: Conversation) {
        let Conversation::Private(one, other) = conversation else {
            return;
        };
        for user in HashSet::from([one, other]) {
            let privates = self.privates.entry(user).or_default();
            privates.insert(conversation.clone());
            let connections: Vec<ConnectionId> = self.node.roster().connections_of(user).collect();
            for connection in connections {
                if let Some(here) = self.here.get(&connection) {
                    self.watch(&conversation, connection, user, here.wants);
                }
            }
        }
        let _ = self
            .node
            .directory
            .relays
            .tell_if_there(&conversation, RelayMessage::People);
    }

    fn watch(
        &self,
        conversation: &Conversation,
        connection: ConnectionId,
        user: UserId,
        wants: Wants,
    ) {
        let viewer = Viewer {
            connection,
            wants,
            user,
            target: None,
            always: false,
        };
        let enter = RelayMessage::Enter {
            viewer,
            reply: None,
        };
        let _ = self
            .node
            .directory
            .relays
            .tell_if_there(conversation, enter);
    }

    /// A room with a place left.
    fn seat(&mut self, batched: bool) -> Room {
        let free = |crowd: &Crowd| crowd.batched == batched && crowd.size < ROOM_SIZE;
        let place = self.crowds.iter().position(free).unwrap_or_else(|| {
            let room = Room(Arc::from(format!("presence#{}", self.crowds.len())));
            self.crowds.push(Crowd {
                room,
                batched,
                size: 0,
            });
            self.crowds.len() - 1
        });
        self.crowds[place].size += 1;
        self.crowds[place].room.clone()
    }

    /// False if there is nobody to tell.
    fn tell_all(&self, batched: bool, event: Event<'_>) -> bool {
        let crowds = || {
            self.crowds
                .iter()
                .filter(|crowd| crowd.batched == batched && crowd.size > 0)
        };
        if crowds().next().is_none() {
            return false;
        }
        let packet = [self.node.sockets.encode(event)];
        for crowd in crowds() {
            self.node.sockets.emit_to_room(&crowd.room, &packet);
        }
        true
    }

    fn count(&self) {
        let (people, connections) = self.node.roster().counts();
        metrics::gauge!("ting_people_online").set(people as f64);
        metrics::gauge!("ting_connections").set(connections as f64);
    }
}
