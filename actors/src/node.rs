//! What every actor of a node shares, and the place where *here or there* is decided.

use crate::claim::ClaimKey;
use crate::clock::Clock;
use crate::cluster::{Cluster, Online};
use crate::directory::Directory;
use crate::edge::Sockets;
use crate::locks::{read, write};
use crate::metric;
use crate::people::People;
use crate::roster::Roster;
use crate::settings::Limits;
use crate::under_way::{Count, UnderWay};
use cluster_config::{NodeName, Shard};
use cql::{Conversation, Store, StoreError};
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

/// The longest that the last attempt at the store may take; what a request has left after it was
/// carried to the owner.
pub const STORE_TIMEOUT: Duration = Duration::from_millis(1_200);

/// How long the edge's question to an owner may take: the edge's 1.95 s less one step.
pub const ASK_TIMEOUT: Duration = Duration::from_millis(1_600);

/// How long to wait for those who should know before going on without them.
pub const CONFIRM_TIMEOUT: Duration = Duration::from_millis(500);

/// What every actor of a node shares.
#[derive(Debug)]
pub struct Node {
    pub store: Arc<dyn Store>,
    pub sockets: Arc<dyn Sockets>,
    pub limits: Limits,
    pub clock: Clock,
    pub claims: ClaimKey,
    pub directory: Directory,
    pub cluster: Cluster,
    /// Who is online; written by the presence actor alone.
    roster: RwLock<Roster>,
    pub people: People,
    store_away: AtomicBool,
    draining: AtomicBool,
    writes: Count,
    /// Questions of other nodes that are being answered.
    pub answering: Count,
}

/// Messages on their way to the store at once: more than that wait only for one that does not
/// answer, and are refused.
pub const WRITES_MAX: usize = 4_096;

/// Where an address lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lives {
    /// On this node.
    Here,
    /// On another.
    There(NodeName),
    /// Nowhere, while no member may own.
    Nowhere,
}

impl Node {
    /// What a node starts with.
    pub fn new(
        store: Arc<dyn Store>,
        sockets: Arc<dyn Sockets>,
        limits: Limits,
        clock: Clock,
        claims: ClaimKey,
        cluster: Cluster,
    ) -> Self {
        metric::describe();
        // It has given a slot.
        metric::store_answers(true);
        Node {
            store,
            sockets,
            limits,
            clock,
            claims,
            directory: Directory::default(),
            cluster,
            roster: RwLock::default(),
            people: People::default(),
            store_away: AtomicBool::new(false),
            draining: AtomicBool::new(false),
            writes: Count::default(),
            answering: Count::default(),
        }
    }

    /// This node's name: new at every start.
    pub fn name(&self) -> NodeName {
        self.clock.name()
    }

    /// Where a conversation's actors live. Every message to them asks this, and nothing else
    /// decides it.
    pub fn lives(&self, conversation: &Conversation) -> Lives {
        let map = self.cluster.map();
        match map.placement.owner(Shard::of(&conversation.key())) {
            Some(owner) if owner == self.name() => Lives::Here,
            Some(owner) => Lives::There(owner),
            None => Lives::Nowhere,
        }
    }

    /// Asks the store, in the time that a request has for it, and notes whether it answered.
    pub async fn ask_store<T>(
        &self,
        asked: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let answer = match tokio::time::timeout(STORE_TIMEOUT, asked).await {
            Ok(answer) => answer,
            Err(_) => Err(StoreError::Unknown("no answer in time".into())),
        };
        self.note(&answer);
        answer
    }

    /// Notes whether the store answered, for readiness.
    pub fn note<T>(&self, answer: &Result<T, StoreError>) {
        let away = answer.is_err();
        metric::store_answers(!away);
        if self.store_away.swap(away, Ordering::Relaxed) != away {
            match answer {
                Ok(_) => tracing::info!("the store answers again"),
                Err(error) => tracing::warn!(error = %error, "the store does not answer"),
            }
        }
    }

    /// Counts a message on its way to the store; none if there are too many already.
    pub fn writing(&self) -> Option<UnderWay> {
        self.writes.begin_below(WRITES_MAX)
    }

    /// Waits until no message is on its way to the store, and other nodes have their answers.
    pub async fn finished(&self) {
        self.writes.ended().await;
        self.answering.ended().await;
    }

    /// Whether this node is going.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// This node is going.
    pub fn set_draining(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Whether the store did not answer when it was last asked.
    pub fn store_is_away(&self) -> bool {
        self.store_away.load(Ordering::Relaxed)
    }

    /// The roster, to read.
    pub fn roster(&self) -> RwLockReadGuard<'_, Roster> {
        read(&self.roster)
    }

    /// These people are on another node: what is said to them goes there from now on, though it
    /// is not their turn yet to be told of.
    pub fn expect(&self, node: NodeName, people: &[Online]) {
        let mut roster = self.roster_mut();
        for online in people {
            roster.expect(node, online.user);
        }
    }

    /// The roster, to write: for presence alone.
    pub fn roster_mut(&self) -> RwLockWriteGuard<'_, Roster> {
        write(&self.roster)
    }
}
