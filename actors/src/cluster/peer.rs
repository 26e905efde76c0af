//! The link with one other member, from this side: what is said to it leaves in batches with a
//! bounded window, and what it says waits for the view that it was said by.
//!
//! Nothing below this bounds anything, so this does: no more than [`WINDOW`] is on its way
//! unacknowledged. Over it frames are dropped, and their relays are told of the gap when there is
//! room again: they catch up with the latest text, and with every message that was sent. What
//! must not be dropped goes on; if that alone fills the window twice, the link is ended, and both
//! sides start again from snapshots.

use super::envelope::{self, Received};
use super::pings::{PING, Pings, Tick};
use super::{Body, Envelope, KeeperMessage, Word, gate::GATES};
use crate::locks::write;
use crate::node::Node;
use crate::traces;
use cluster_config::{NodeName, Shard};
use cql::Conversation;
use ractor::{Actor, ActorId, ActorProcessingErr, ActorRef};
use serde_json::value::RawValue;
use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// Bytes on their way to one member that it has not taken in yet.
pub const WINDOW: usize = 4 << 20;

/// How long a link is left open after the last word.
const LINGER: Duration = Duration::from_secs(1);

/// Envelopes that wait for a view that this node has not read; beyond that they are dropped, and
/// their senders say them again.
const HELD_MAX: usize = 20_000;

/// What the windows of all links hold.
const UNACKNOWLEDGED: &str = "ting_link_unacknowledged_bytes";

/// How batches get to the other side.
pub trait Wire: Send + Sync + std::fmt::Debug + 'static {
    /// Sends a batch to one of the other side's gates.
    fn send(&self, gate: usize, batch: Vec<u8>);

    /// Ends the link.
    fn end(&self);

    /// The session that carries it, where there is one.
    fn session(&self) -> Option<ActorId> {
        None
    }
}

/// What others see of a link.
#[derive(Debug)]
pub struct PeerState {
    pub actor: ActorRef<PeerMessage>,
    pub figures: Arc<Figures>,
}

/// What `/cluster` shows of a link.
#[derive(Debug, Default)]
pub struct Figures {
    pub round_trip_us: AtomicU64,
    pub unacknowledged: AtomicU64,
    pub dropped: AtomicU64,
    /// Whether the other side held its lease when it last said so.
    pub lease: AtomicBool,
    /// The version of the view by which it said so; 0 before it has.
    pub version: AtomicU64,
}

/// What a link is told.
pub enum PeerMessage {
    /// Say this to the other side.
    Send {
        body: Box<Body>,
        trace: Option<String>,
    },
    /// A gate has read this.
    Received(Received),
    /// Send what has gathered.
    Flush,
    /// This node has a newer view.
    NewView,
    /// A second has passed.
    Ping,
    /// The link is gone.
    End,
}

impl ractor::Message for PeerMessage {}

impl PeerMessage {
    /// Say this to the other side.
    pub fn say(body: Body) -> Self {
        PeerMessage::Send {
            body: Box::new(body),
            trace: traces::current(),
        }
    }
}

/// What it starts with.
pub struct Arguments {
    pub node: Arc<Node>,
    pub name: NodeName,
    pub wire: Arc<dyn Wire>,
    pub figures: Arc<Figures>,
}

/// The actor.
pub struct Peer;

/// Its state.
pub struct State {
    node: Arc<Node>,
    myself: ActorRef<PeerMessage>,
    name: NodeName,
    wire: Arc<dyn Wire>,
    figures: Arc<Figures>,
    gathered: [Vec<Box<RawValue>>; GATES],
    flushing: bool,
    /// Sent and not acknowledged.
    on_the_way: usize,
    /// Received and not acknowledged.
    received: usize,
    /// Conversations whose frames were dropped.
    gaps: HashSet<Conversation>,
    held: VecDeque<Envelope>,
    pings: Pings,
}

impl Actor for Peer {
    type Msg = PeerMessage;
    type State = State;
    type Arguments = Arguments;

    async fn pre_start(
        &self,
        myself: ActorRef<PeerMessage>,
        arguments: Arguments,
    ) -> Result<State, ActorProcessingErr> {
        let Arguments {
            node,
            name,
            wire,
            figures,
        } = arguments;
        // Ends with the actor.
        myself.send_interval(PING, || PeerMessage::Ping);
        Ok(State {
            node,
            myself,
            name,
            wire,
            figures,
            gathered: Default::default(),
            flushing: false,
            on_the_way: 0,
            received: 0,
            gaps: HashSet::new(),
            held: VecDeque::new(),
            pings: Pings::since(Instant::now()),
        })
    }

    async fn handle(
        &self,
        myself: ActorRef<PeerMessage>,
        message: PeerMessage,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            PeerMessage::Send { body, trace } => state.send_in(*body, trace),
            PeerMessage::Received(received) => state.received(received),
            PeerMessage::Flush => state.flush(),
            PeerMessage::NewView => state.hear_held(),
            PeerMessage::Ping => state.ping(),
            PeerMessage::End => {
                state.flush();
                myself.stop(None);
            }
        }
        Ok(())
    }

    async fn post_stop(
        &self,
        _: ActorRef<PeerMessage>,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        state.on_the_way = 0;
        state.count();
        let wire = state.wire.clone();
        tokio::spawn(async move {
            // What was said last is lost if its carrier ends at once.
            tokio::time::sleep(LINGER).await;
            wire.end();
        });
        Ok(())
    }
}

impl State {
    /// What is the link's own matter is part of no trace.
    fn send(&mut self, body: Body) {
        self.send_in(body, None);
    }

    fn send_in(&mut self, body: Body, trace: Option<String>) {
        // Whom a relay shows something less now, it asks for everything when there is room.
        if self.on_the_way >= WINDOW
            && let Body::Tell(word @ (Word::Frame(_) | Word::Snapshot { .. })) = &body
        {
            metrics::counter!("ting_link_frames_dropped_total").increment(1);
            self.figures.dropped.fetch_add(1, Ordering::Relaxed);
            self.gaps.extend(word.conversation().cloned());
            return;
        }
        if self.on_the_way >= 2 * WINDOW {
            tracing::warn!(peer = %self.name, "a link is full of what can't be dropped");
            return self.unreachable();
        }
        let gate = body.conversation().map_or(0, |conversation| {
            usize::from(Shard::of(&conversation.key()).number()) % GATES
        });
        let envelope = Envelope {
            view: self.node.cluster.version(),
            trace,
            body,
        };
        let written = envelope::write(&envelope);
        self.on_the_way += written.get().len();
        self.gathered[gate].push(written);
        self.flush_soon();
    }

    /// What is said in one go leaves in one batch: the flush comes after what is queued already.
    fn flush_soon(&mut self) {
        if !self.flushing {
            self.flushing = true;
            let _ = self.myself.cast(PeerMessage::Flush);
        }
    }

    fn flush(&mut self) {
        self.flushing = false;
        for gate in 0..GATES {
            let envelopes = std::mem::take(&mut self.gathered[gate]);
            let acknowledges = gate == 0 && self.received > 0;
            if envelopes.is_empty() && !acknowledges {
                continue;
            }
            let received = if gate == 0 {
                std::mem::take(&mut self.received)
            } else {
                0
            };
            let said: usize = envelopes.iter().map(|envelope| envelope.get().len()).sum();
            let empty = envelopes.is_empty();
            let batch = envelope::batch(self.node.name(), received, envelopes);
            if !empty {
                // The other side acknowledges the batch as a whole.
                self.on_the_way += batch.len().saturating_sub(said);
            }
            self.wire.send(gate, batch);
        }
        self.count();
    }

    /// The gauge is the sum over all links: members come and go, and are no labels.
    fn count(&self) {
        let now = self.on_the_way as u64;
        let before = self.figures.unacknowledged.swap(now, Ordering::Relaxed);
        metrics::gauge!(UNACKNOWLEDGED).increment(now as f64 - before as f64);
    }

    fn received(&mut self, received: Received) {
        self.on_the_way = self.on_the_way.saturating_sub(received.received);
        self.received += received.bytes;
        if self.on_the_way < WINDOW / 2 {
            for conversation in std::mem::take(&mut self.gaps) {
                self.send(Body::Tell(Word::Gap { conversation }));
            }
        }
        for envelope in received.envelopes {
            self.take(envelope);
        }
        if self.received > 0 {
            self.flush_soon();
        }
    }

    fn take(&mut self, envelope: Envelope) {
        match &envelope.body {
            Body::Tell(Word::Ping { n, lease }) => {
                self.figures.lease.store(*lease, Ordering::Relaxed);
                self.figures.version.store(envelope.view, Ordering::Relaxed);
                return self.send(Body::Tell(Word::Pong { n: *n }));
            }
            Body::Tell(Word::Pong { n }) => return self.ponged(*n),
            _ => {}
        }
        if !envelope.body.needs_view() {
            return self.node.hear(self.name, envelope);
        }
        let version = envelope.view;
        if self.held.is_empty() && version <= self.node.cluster.version() {
            return self.node.hear(self.name, envelope);
        }
        if self.held.len() < HELD_MAX {
            self.held.push_back(envelope);
        }
        if version > self.node.cluster.version() {
            self.node
                .cluster
                .tell_keeper(KeeperMessage::Newer { version });
        }
    }

    fn hear_held(&mut self) {
        let version = self.node.cluster.version();
        while let Some(envelope) = self.held.pop_front_if(|envelope| envelope.view <= version) {
            self.node.hear(self.name, envelope);
        }
    }

    fn ping(&mut self) {
        match self.pings.tick(Instant::now()) {
            Tick::Ask(n) => {
                let lease = self.node.cluster.lease_holds();
                self.send(Body::Tell(Word::Ping { n, lease }));
            }
            Tick::Soon => {}
            Tick::Missed => {
                tracing::warn!(peer = %self.name, "a member does not answer");
                self.unreachable();
            }
        }
    }

    fn ponged(&mut self, n: u64) {
        if let Some(round_trip) = self.pings.answers(n, Instant::now()) {
            metrics::histogram!("ting_link_round_trip_seconds").record(round_trip);
            let micros = u64::try_from(round_trip.as_micros()).unwrap_or(u64::MAX);
            self.figures.round_trip_us.store(micros, Ordering::Relaxed);
        }
    }

    fn unreachable(&mut self) {
        self.node.cluster.tell_keeper(KeeperMessage::LinkDown {
            node: self.name,
            link: self.myself.get_id(),
        });
    }
}

impl Node {
    /// Takes a link into use. Gives the one that it takes the place of, to be ended.
    pub(super) fn add_peer(
        &self,
        name: NodeName,
        actor: ActorRef<PeerMessage>,
        figures: Arc<Figures>,
    ) -> Option<ActorRef<PeerMessage>> {
        let peer = PeerState { actor, figures };
        let before = write(&self.cluster.peers).insert(name, peer);
        before.map(|before| before.actor)
    }

    /// Takes a link out of use.
    pub(super) fn remove_peer(&self, name: NodeName) -> Option<ActorRef<PeerMessage>> {
        let removed = write(&self.cluster.peers).remove(&name);
        removed.map(|removed| removed.actor)
    }
}

#[cfg(test)]
#[path = "peer/tests.rs"]
mod tests;
