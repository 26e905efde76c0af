//! How a node starts, becomes a member, hands over and stops.

use super::{Start, StartError, StoreHealth, System};
use crate::claim::ClaimKey;
use crate::clock::Clock;
use crate::cluster::{Cluster, KeeperMessage, Links};
use crate::edge::{ConnectionId, Event, Kill, Wants};
use crate::node::{CONFIRM_TIMEOUT, Node};
use crate::supervisor::Supervisor;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cluster_config::{ENVELOPES, Member, MemberState, Membership, Standing};
use cql::{Store, StoreError};
use ractor::Actor;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::{Instant, timeout};
use tracing::info;

/// Pause between attempts to reach a store that is away at start.
const STORE_RETRY: Duration = Duration::from_secs(1);

/// Connections that were told to go are ended this much later.
const FAREWELL: Duration = Duration::from_millis(300);

/// How long handing over may take: a change of the view, and the writes on their way.
const HANDED_OVER_WITHIN: Duration = Duration::from_secs(5);

/// How long taking the own row out of the view may take; others do it else.
const LEFT_WITHIN: Duration = Duration::from_secs(2);

impl System {
    /// Takes a slot and starts. Waits for a store that is away, saying so once in the log; an
    /// error is one that waiting does not mend.
    pub async fn start(start: Start) -> Result<System, StartError> {
        let Start {
            store,
            sockets,
            limits,
            links,
        } = start;
        let FirstWords {
            clock,
            claims,
            cookie,
        } = wait_for_store(&*store).await?;
        let is_shared = store.members().is_some();
        if links.is_some() && !is_shared {
            return Err(StartError::NotShared);
        }
        let cluster = if is_shared {
            Cluster::shared()
        } else {
            Cluster::alone(clock.name())
        };
        let node = Arc::new(Node::new(store, sockets, limits, clock, claims, cluster));
        let started = Supervisor::spawn(None, Supervisor, node.clone()).await;
        let (root, _) = started.map_err(|error| StoreError::Unavailable(error.to_string()))?;
        // Nobody else has seen this node yet, so it is not set.
        let _ = node.directory.system.set(root);
        let system = System { node };
        if is_shared {
            system.join(links, &cookie).await?;
        }
        Ok(system)
    }

    /// Becomes a member; done when this node owns its share.
    async fn join(
        &self,
        links: Option<Arc<dyn Links>>,
        cookie: &[u8; 32],
    ) -> Result<(), StartError> {
        let node = &self.node;
        let mut member = Member::new(node.name(), MemberState::Joining);
        member.release = env!("CARGO_PKG_VERSION").to_owned();
        member.envelope = *ENVELOPES.end();
        if let Some(links) = &links {
            member.address = links.address();
            member.fingerprint = links.fingerprint();
            links.start(node, URL_SAFE_NO_PAD.encode(cookie)).await?;
        }
        let mut standing = node.cluster.standing();
        let membership = Membership::new(member, ENVELOPES);
        node.start_keeper(membership, links);
        // The sender lives in the node.
        let _ = standing
            .wait_for(|standing| !matches!(standing, Standing::Joining))
            .await;
        let standing = standing.borrow().clone();
        match standing {
            Standing::Refused(why) => Err(StartError::Refused(why)),
            _ => Ok(()),
        }
    }

    /// Waits until this node is put out of the cluster: it may not serve any more, and comes
    /// back under a new name.
    pub async fn put_out(&self) {
        self.node.cluster.put_out().await;
    }

    /// Whether this node may acknowledge, or no other one may either, as far as their pings say.
    pub fn is_of_use(&self) -> bool {
        let cluster = &self.node.cluster;
        let others = || cluster.figures();
        let another = || {
            others()
                .iter()
                .any(|(_, link)| link.lease.load(Ordering::Relaxed))
        };
        cluster.lease_holds() || !another()
    }

    /// Whether the store answered when it was last asked.
    pub fn store_health(&self) -> StoreHealth {
        if self.node.store_is_away() {
            StoreHealth::Away
        } else {
            StoreHealth::Reached
        }
    }

    /// Tells connections to go, spread over `spread`, then ends those that stay; answers when
    /// none is left or the time is over. New logins are refused meanwhile.
    pub async fn drain(&self, spread: Duration) {
        self.hand_over().await;
        let began = Instant::now();
        let connections: Vec<(ConnectionId, Wants)> = {
            let connections = self.node.directory.connections();
            self.node.set_draining();
            connections
                .iter()
                .map(|(id, known)| (*id, known.wants))
                .collect()
        };
        let told = connections.len();
        let farewells = connections.into_iter().map(|(connection, wants)| {
            let after = spread.mul_f64(rand::random());
            let sockets = self.node.sockets.clone();
            async move {
                if wants.resume {
                    sockets.emit(connection, &[sockets.encode(Event::Drain { after })]);
                }
                tokio::time::sleep(after + FAREWELL).await;
                sockets.kill(connection, Kill::Draining);
            }
        });
        futures::future::join_all(farewells).await;
        let _ = timeout(CONFIRM_TIMEOUT * 2, async {
            while self.node.roster().counts().1 > 0 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
        .await;
        let left = self.node.roster().counts().1;
        info!(told, left, took_ms = since(began), "connections ended");
    }

    /// Has other members own what this node owns, while it still serves; waits until it has
    /// finished with it.
    async fn hand_over(&self) {
        let Some(reply) = self
            .node
            .cluster
            .ask_keeper(|reply| KeeperMessage::Drain { reply })
        else {
            return;
        };
        let began = Instant::now();
        let in_view = timeout(HANDED_OVER_WITHIN, reply).await.is_ok();
        info!(in_view, took_ms = since(began), "going by the view");
        let began = Instant::now();
        let released = self.node.cluster.shards.released_all();
        let finished = timeout(HANDED_OVER_WITHIN, released).await.is_ok();
        info!(finished, took_ms = since(began), "handed over");
    }

    /// Finishes what is under way, gives back the slot and ends the actors.
    pub async fn stop(&self) {
        let began = Instant::now();
        let finished = timeout(crate::node::STORE_TIMEOUT, self.node.finished());
        let finished = finished.await.is_ok();
        info!(finished, took_ms = since(began), "writes ended");
        if let Some(left) = self
            .node
            .cluster
            .ask_keeper(|reply| KeeperMessage::Leave { reply })
        {
            let began = Instant::now();
            let left = timeout(LEFT_WITHIN, left).await.is_ok();
            info!(left, took_ms = since(began), "left the view");
        }
        let given_back = self.node.clock.give_back(&*self.node.store);
        if let Err(error) = self.node.ask_store(given_back).await {
            tracing::debug!(error = %error, "the slot was not given back");
        }
        if let Some(root) = self.node.directory.system.get() {
            root.stop(None);
        }
    }
}

/// How long a step of going took, for the log.
fn since(began: Instant) -> u64 {
    // 500 million years fit.
    began.elapsed().as_millis() as u64
}

/// All that a node asks the store for before it is a member.
struct FirstWords {
    clock: Clock,
    claims: ClaimKey,
    /// What nodes know each other by, beside their certificates.
    cookie: [u8; 32],
}

async fn wait_for_store(store: &dyn Store) -> Result<FirstWords, StoreError> {
    let mut said = false;
    loop {
        match first_words(store).await {
            Ok(started) => return Ok(started),
            Err(error @ StoreError::Damaged(_)) => return Err(error),
            Err(error) if !said => {
                said = true;
                tracing::warn!(error = %error, "waiting for the store");
            }
            Err(_) => {}
        }
        tokio::time::sleep(STORE_RETRY).await;
    }
}

async fn first_words(store: &dyn Store) -> Result<FirstWords, StoreError> {
    let claims = ClaimKey::new(store.cluster_key("claims", rand::random()).await?);
    let cookie = store.cluster_key("links", rand::random()).await?;
    let clock = Clock::start(store).await?;
    let clock = clock.ok_or_else(|| StoreError::Unavailable("every slot is taken".into()))?;
    Ok(FirstWords {
        clock,
        claims,
        cookie,
    })
}
