//! The cluster as one node sees it: the view it acts by, its lease, and its links to the others.
//!
//! Who owns what follows from the view alone, and its version travels in every envelope. What
//! changes the view is in [`keeper`]; what carries envelopes is in [`peer`] and [`links`].

mod asked;
mod certificate;
mod envelope;
mod everywhere;
mod gate;
mod heard;
pub mod keeper;
mod links;
mod moves;
mod peer;
mod pings;
mod shards;

pub use asked::Waiting;
pub use envelope::{Body, Envelope, Online, Question, Reply, Wish, Word};
pub use heard::word_to_relay;
pub use keeper::{Keeper, KeeperMessage};
pub use links::{ClusterLinks, LinkError, Links};
#[cfg(test)]
pub use peer::Wire;
pub use peer::{Figures, PeerMessage, WINDOW};

use crate::locks::read;
use crate::node::Node;
use crate::timeline::REMEMBERED;
use cluster_config::{NodeName, Placement, Shard, Standing, View};
use cql::{Conversation, MessageId, Millis};
use peer::PeerState;
use ractor::concurrency::OneshotReceiver;
use ractor::{ActorId, ActorRef, RpcReplyPort};
use shards::Shards;
use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, RwLock};
use std::time::Duration;
use tokio::time::Instant;

/// A view with what follows from it.
#[derive(Debug)]
pub struct Map {
    /// The members.
    pub view: View,
    /// Who owns what.
    pub placement: Placement,
}

impl Map {
    /// A pure function of the view.
    pub fn of(view: View) -> Arc<Map> {
        let placement = Placement::of(&view);
        Arc::new(Map { view, placement })
    }
}

/// How long this node may acknowledge.
#[derive(Debug)]
enum Lease {
    /// As long as it lives: nobody else can use its store.
    Always,
    /// Until so many milliseconds after the start.
    Until(AtomicU64),
}

/// What a node knows of its cluster.
#[derive(Debug)]
pub struct Cluster {
    map: RwLock<Arc<Map>>,
    lease: Lease,
    started: Instant,
    slept_before: Duration,
    peers: RwLock<HashMap<NodeName, PeerState>>,
    keeper: OnceLock<ActorRef<KeeperMessage>>,
    /// The view as it was read last, with what members say of themselves.
    latest: RwLock<View>,
    standing: tokio::sync::watch::Sender<Standing>,
    /// A time that all who hold a lease have passed; the least there is while none is known.
    settled: AtomicI64,
    views: tokio::sync::watch::Sender<u64>,
    /// Fires once, when this node was put out of the view.
    put_out: tokio::sync::watch::Sender<bool>,
    /// How many epochs of conversations began here.
    epochs: AtomicU64,
    pub shards: Shards,
    pub waiting: Waiting,
}

impl Cluster {
    /// Of a node whose store nobody else can use: its view is constant.
    pub fn alone(name: NodeName) -> Self {
        Cluster::new(View::alone(name), Lease::Always)
    }

    /// Of a node that shares its store, and has not seen the view yet.
    pub fn shared() -> Self {
        let empty = View {
            version: 0,
            members: Vec::new(),
        };
        Cluster::new(empty, Lease::Until(AtomicU64::new(0)))
    }

    fn new(view: View, lease: Lease) -> Self {
        Cluster {
            map: RwLock::new(Map::of(view)),
            lease,
            started: Instant::now(),
            slept_before: slept(),
            peers: RwLock::default(),
            keeper: OnceLock::new(),
            latest: RwLock::new(View {
                version: 0,
                members: Vec::new(),
            }),
            standing: tokio::sync::watch::Sender::new(Standing::Joining),
            settled: AtomicI64::new(Millis::MIN),
            views: tokio::sync::watch::Sender::new(0),
            put_out: tokio::sync::watch::Sender::new(false),
            epochs: AtomicU64::new(0),
            shards: Shards::default(),
            waiting: Waiting::default(),
        }
    }

    /// The view this node acts by, and who owns what by it.
    pub fn map(&self) -> Arc<Map> {
        read(&self.map).clone()
    }

    /// The version of that view.
    pub fn version(&self) -> u64 {
        read(&self.map).view.version
    }

    /// Hears of every newer view.
    pub fn views(&self) -> tokio::sync::watch::Receiver<u64> {
        self.views.subscribe()
    }

    /// How long this node has been part of it, by its own clock. A machine that sleeps stops its
    /// clock, and the others don't wait: that counts too.
    pub fn at(&self) -> Duration {
        self.started.elapsed() + slept().saturating_sub(self.slept_before)
    }

    /// Whether this node's lease holds now.
    pub fn lease_holds(&self) -> bool {
        match &self.lease {
            Lease::Always => true,
            Lease::Until(until) => self.at() < Duration::from_millis(until.load(Ordering::Acquire)),
        }
    }

    /// For how long it still holds; none if it is for ever.
    pub fn lease_left(&self) -> Option<Duration> {
        match &self.lease {
            Lease::Always => None,
            Lease::Until(until) => {
                let until = Duration::from_millis(until.load(Ordering::Acquire));
                Some(until.saturating_sub(self.at()))
            }
        }
    }

    fn set_lease(&self, until: Duration) {
        if let Lease::Until(held) = &self.lease {
            // 500 million years fit.
            held.store(until.as_millis() as u64, Ordering::Release);
        }
        if let Some(left) = self.lease_left() {
            metrics::gauge!("ting_lease_left_seconds").set(left);
        }
    }

    /// A conversation begins a life on this node.
    pub fn epoch_began(&self) {
        self.epochs.fetch_add(1, Ordering::Relaxed);
        metrics::counter!("ting_epochs_total").increment(1);
    }

    /// How many did.
    pub fn epochs(&self) -> u64 {
        self.epochs.load(Ordering::Relaxed)
    }

    /// The other members that this node has a link with.
    pub fn linked(&self) -> Vec<NodeName> {
        read(&self.peers).keys().copied().collect()
    }

    /// The link with that member.
    pub fn peer(&self, name: NodeName) -> Option<ActorRef<PeerMessage>> {
        read(&self.peers).get(&name).map(|peer| peer.actor.clone())
    }

    /// The keeper of the view has started.
    pub fn set_keeper(&self, keeper: ActorRef<KeeperMessage>) {
        // Started once.
        let _ = self.keeper.set(keeper);
    }

    /// Whether that actor keeps the view.
    pub fn is_keeper(&self, who: ActorId) -> bool {
        let keeper = self.keeper.get();
        keeper.is_some_and(|keeper| keeper.get_id() == who)
    }

    /// Asks the keeper of the view something, if there is one.
    pub fn ask_keeper(
        &self,
        question: impl FnOnce(RpcReplyPort<()>) -> KeeperMessage,
    ) -> Option<OneshotReceiver<()>> {
        let (reply, answered) = ractor::concurrency::oneshot();
        self.keeper.get()?.cast(question(reply.into())).ok()?;
        Some(answered)
    }

    /// Tells the keeper of the view something, if there is one.
    pub fn tell_keeper(&self, message: KeeperMessage) {
        if let Some(keeper) = self.keeper.get() {
            let _ = keeper.cast(message);
        }
    }

    /// The view as it was read last.
    pub fn latest(&self) -> View {
        read(&self.latest).clone()
    }

    /// What this node is in the view, as it changes.
    pub fn standing(&self) -> tokio::sync::watch::Receiver<Standing> {
        self.standing.subscribe()
    }

    /// Links with their round trip and bytes not acknowledged, and frames dropped.
    pub fn figures(&self) -> Vec<(NodeName, Arc<Figures>)> {
        let peers = read(&self.peers);
        let figures = peers
            .iter()
            .map(|(name, peer)| (*name, peer.figures.clone()));
        figures.collect()
    }

    /// The keeper of the view does nothing any more.
    #[cfg(test)]
    pub fn stop_keeper(&self) {
        if let Some(keeper) = self.keeper.get() {
            keeper.kill();
        }
    }

    /// Lets everything that is open here end.
    pub fn go_out(&self, why: &str) {
        if !self.put_out.send_replace(true) {
            tracing::warn!(why, "put out of the view");
        }
    }

    /// Waits until this node is put out of the view.
    pub async fn put_out(&self) {
        // The sender lives in this value, so it does not end while this is waited for.
        let _ = self.put_out.subscribe().wait_for(|out| *out).await;
    }
}

/// How long this machine has slept since it was started.
#[cfg(target_os = "linux")]
fn slept() -> Duration {
    use rustix::time::{ClockId, clock_gettime};
    let read = |clock| Duration::try_from(clock_gettime(clock)).unwrap_or_default();
    // In this order nothing that lies between the two counts as sleep.
    let all = read(ClockId::Boottime);
    all.saturating_sub(read(ClockId::Monotonic))
}

/// Not known.
#[cfg(not(target_os = "linux"))]
fn slept() -> Duration {
    Duration::ZERO
}

/// How far behind the own time the settled one is taken to be while it is not known.
const UNSETTLED: Millis = 60_000;

impl Node {
    /// A time that nobody who may acknowledge is behind: what no place can be filled below
    /// follows from it, so that clocks that are apart or jump hide nothing.
    pub fn settled_now(&self) -> Millis {
        let now = self.clock.now();
        match (
            &self.cluster.lease,
            self.cluster.settled.load(Ordering::Relaxed),
        ) {
            (Lease::Always, _) => now,
            (Lease::Until(_), Millis::MIN) => now - UNSETTLED,
            (Lease::Until(_), settled) => settled.min(now),
        }
    }

    /// Whether this node may answer that a message is in the history at its place: it may
    /// acknowledge, and the place is none that others may take for past.
    pub fn may_acknowledge_at(&self, conversation: &Conversation, id: MessageId) -> bool {
        self.may_acknowledge(conversation) && id.time() + REMEMBERED > self.clock.now()
    }

    /// Whether this node may answer that a conversation's history changed: it holds its lease,
    /// and owns the conversation, or finishes what it began while it did.
    pub fn may_acknowledge(&self, conversation: &Conversation) -> bool {
        let shard = Shard::of(&conversation.key());
        let owns = self.cluster.map().placement.owner(shard) == Some(self.name());
        self.cluster.lease_holds()
            && (owns || self.cluster.shards.is_releasing(shard, Instant::now()))
    }
}
