//! Who is online: tells everybody of `join` and `part`, at a pace that sockets can follow.
//!
//! Logins are answered in the order in which they come, and each sees a list of people that fits
//! what it is told afterwards. When many come at once, those beyond a tick's share wait for the
//! next one.

use crate::channel::TICK;
use crate::edge::{ConnectionId, Event, Room, Wants};
use crate::node::Node;
use crate::relay::{RelayMessage, Viewer};
use crate::roster::PresenceBatch;
use cql::{Conversation, SignIn, UserId};
use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

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
    /// Told: a private is shown on this node; its people's connections are to watch it.
    PrivateHere { conversation: Conversation },
    /// Reported: a tick has passed.
    Tick,
    /// Breaks the actor, to see it come back.
    #[cfg(test)]
    Break,
}

/// The actor.
pub struct Presence;

struct Here {
    user: UserId,
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
            } => {
                state.waiting.push_back(Move::Login {
                    connection,
                    sign_in,
                    wants,
                    reply,
                });
                state.go_on();
            }
            PresenceMessage::Gone { connection } => {
                state.waiting.push_back(Move::Gone { connection });
                state.go_on();
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
            let mut roster = self
                .node
                .roster
                .write()
                .unwrap_or_else(|held| held.into_inner());
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
                wants,
                room,
            },
        );
        if first {
            self.batch.join(&sign_in.username);
            self.left_in_tick -= 1;
            self.tell_all(false, Event::Join(&sign_in.username));
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
        self.count();
    }

    fn gone(&mut self, connection: ConnectionId) {
        if let Some(here) = self.here.remove(&connection) {
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
        let left = {
            let mut roster = self
                .node
                .roster
                .write()
                .unwrap_or_else(|held| held.into_inner());
            roster.remove(connection)
        };
        if let Some(left) = left.filter(|left| left.parted) {
            self.batch.part(&left.username);
            self.left_in_tick = self.left_in_tick.saturating_sub(1);
            self.tell_all(false, Event::Part(&left.username));
        }
        self.count();
    }

    fn private_here(&mut self, conversation: Conversation) {
        let Conversation::Private(one, other) = conversation else {
            return;
        };
        // Those whose relays have ended are dropped when there are too many of them to matter.
        for user in HashSet::from([one, other]) {
            let privates = self.privates.entry(user).or_default();
            privates.retain(|known| self.node.directory.relays.get(known).is_some());
            privates.insert(conversation.clone());
            let connections: Vec<ConnectionId> = self.node.roster().connections_of(user).collect();
            for connection in connections {
                if let Some(here) = self.here.get(&connection) {
                    self.watch(&conversation, connection, user, here.wants);
                }
            }
        }
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

    fn tell_all(&self, batched: bool, event: Event<'_>) {
        let crowds = || {
            self.crowds
                .iter()
                .filter(|crowd| crowd.batched == batched && crowd.size > 0)
        };
        if crowds().next().is_none() {
            return;
        }
        let packet = [self.node.sockets.encode(event)];
        for crowd in crowds() {
            self.node.sockets.emit_to_room(&crowd.room, &packet);
        }
    }

    fn count(&self) {
        let (people, connections) = self.node.roster().counts();
        metrics::gauge!("ting_people_online").set(people as f64);
        metrics::gauge!("ting_connections").set(connections as f64);
    }
}
