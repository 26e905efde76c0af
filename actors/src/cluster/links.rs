//! Links to other members over the network: our own acceptor and dialler hand finished streams
//! to ractor_cluster, which carries batches between gates.
//!
//! Its own listener would take a connection from anybody and can be blocked by an idle one, so
//! it listens on a loopback port of the system's with the same certificates. Of two members the
//! lower name dials, so there is one link; if there are two for a moment, it keeps the same one on
//! both sides.

use super::certificate::{Certificate, fingerprint, name as tls_name};
use super::gate::{GATES, Gate};
use super::keeper::KeeperMessage;
use super::peer::Wire;
use crate::locks::lock;
use crate::node::Node;
use async_trait::async_trait;
use cluster_config::{Fingerprint, Member, NodeName};
use ractor::{Actor, ActorCell, ActorId, ActorRef};
use ractor_cluster::node::NodeConnectionMode;
use ractor_cluster::{
    BoxRead, BoxWrite, ClusterBidiStream, IncomingEncryptionMode, NodeEventSubscription,
    NodeServer, NodeServerMessage, NodeSessionMessage,
};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tracing::{debug, warn};

/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(3);

/// How long somebody who is not in the view yet may take to appear there.
const APPEARS: Duration = Duration::from_secs(2);

/// Connections that have not proved to be a member's; more are closed at once.
const HALF_OPEN_MAX: usize = 256;

/// After this long without an acknowledgement of the kernel's a link has ended.
const USER_TIMEOUT: Duration = Duration::from_secs(5);

/// No batch is larger: it holds twice a link's window and what makes a batch of it.
const FRAME_MAX: u64 = 16 << 20;

/// Why there can be no links.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// No certificate could be made.
    #[error("no certificate for links between nodes could be made: {0}")]
    Certificate(String),
    /// What carries envelopes did not start.
    #[error("links between nodes could not be started: {0}")]
    Carrier(String),
}

/// What makes links with other members.
#[async_trait]
pub trait Links: Send + Sync + std::fmt::Debug + 'static {
    /// Where others reach this node.
    fn address(&self) -> String;

    /// By which they know it.
    fn fingerprint(&self) -> Fingerprint;

    /// Begins to accept. `cookie` is a secret of all members.
    async fn start(&self, node: &Arc<Node>, cookie: String) -> Result<(), LinkError>;

    /// Tries to make a link with a member; the keeper is told what becomes of it.
    fn dial(&self, node: &Arc<Node>, member: Member);
}

/// Links over TCP.
#[derive(Debug)]
pub struct ClusterLinks {
    listener: std::sync::Mutex<Option<TcpListener>>,
    advertised: String,
    certificate: Arc<Certificate>,
    server: OnceLock<ActorRef<NodeServerMessage>>,
}

impl ClusterLinks {
    /// Accepts on this port, which others reach as `advertised`.
    pub fn new(listener: TcpListener, advertised: String) -> Result<Arc<Self>, LinkError> {
        Ok(Arc::new(ClusterLinks {
            listener: std::sync::Mutex::new(Some(listener)),
            advertised,
            certificate: Arc::new(Certificate::make()?),
            server: OnceLock::new(),
        }))
    }
}

#[async_trait]
impl Links for ClusterLinks {
    fn address(&self) -> String {
        self.advertised.clone()
    }

    fn fingerprint(&self) -> Fingerprint {
        self.certificate.fingerprint
    }

    async fn start(&self, node: &Arc<Node>, cookie: String) -> Result<(), LinkError> {
        let carrier = |error: &dyn std::fmt::Display| LinkError::Carrier(error.to_string());
        for gate in 0..GATES {
            let (actor, _) = Actor::spawn(None, Gate, node.clone())
                .await
                .map_err(|error| carrier(&error))?;
            ractor::pg::join(group(gate), vec![actor.get_cell()]);
        }
        let encrypted = IncomingEncryptionMode::Tls(self.certificate.acceptor.clone());
        let server = NodeServer::new(
            0,
            cookie,
            node.name().to_string(),
            "ting".to_owned(),
            Some(encrypted),
            Some(NodeConnectionMode::Isolated),
        )
        .with_listen_addr(IpAddr::V4(Ipv4Addr::LOCALHOST))
        .with_max_inbound_frame_size(FRAME_MAX);
        let (server, _) = Actor::spawn(None, server, ())
            .await
            .map_err(|error| carrier(&error))?;
        let subscription = Box::new(Events { node: node.clone() });
        let subscribe = NodeServerMessage::SubscribeToEvents {
            id: "links".to_owned(),
            subscription,
        };
        server.cast(subscribe).map_err(|error| carrier(&error))?;
        let listener = lock(&self.listener).take();
        if let Some(listener) = listener {
            let accept = accept(
                listener,
                node.clone(),
                self.certificate.clone(),
                server.clone(),
            );
            tokio::spawn(accept);
        }
        // Started once.
        let _ = self.server.set(server);
        Ok(())
    }

    fn dial(&self, node: &Arc<Node>, member: Member) {
        let Some(server) = self.server.get().cloned() else {
            return;
        };
        let (node, certificate) = (node.clone(), self.certificate.clone());
        tokio::spawn(async move {
            let name = member.name;
            let dialled = timeout(HANDSHAKE, dial(&certificate, &member)).await;
            match dialled.unwrap_or_else(|_| Err("no answer in time".into())) {
                Ok(stream) => hand_over(&server, stream, name, false),
                Err(error) => {
                    debug!(peer = %name, error = %error, "no link");
                    node.cluster
                        .tell_keeper(KeeperMessage::NotReached { node: name });
                }
            }
        });
    }
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

async fn dial(
    certificate: &Certificate,
    member: &Member,
) -> Result<tokio_rustls::client::TlsStream<TcpStream>, Failure> {
    let stream = TcpStream::connect(&member.address).await?;
    prepare(&stream)?;
    let stream = certificate.connector.connect(tls_name(), stream).await?;
    let shown = stream.get_ref().1.peer_certificates();
    let shown = shown.and_then(<[_]>::first).map(fingerprint);
    if shown != Some(member.fingerprint) {
        return Err("somebody else is there".into());
    }
    Ok(stream)
}

async fn accept(
    listener: TcpListener,
    node: Arc<Node>,
    certificate: Arc<Certificate>,
    server: ActorRef<NodeServerMessage>,
) {
    let half_open = Arc::new(Semaphore::new(HALF_OPEN_MAX));
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                warn!(error = %error, "a link can't be accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        // Closed at once: members dial again, and strangers have their time.
        let Ok(permit) = half_open.clone().try_acquire_owned() else {
            continue;
        };
        let (node, certificate, server) = (node.clone(), certificate.clone(), server.clone());
        tokio::spawn(async move {
            let welcomed = timeout(HANDSHAKE, welcome(stream, &certificate)).await;
            let Ok(Ok((stream, shown))) = welcomed else {
                return;
            };
            match timeout(APPEARS, appears(&node, shown)).await {
                Ok(name) => hand_over(&server, stream, name, true),
                Err(_) => debug!("a link was refused: its certificate is no member's"),
            }
            drop(permit);
        });
    }
}

async fn welcome(
    stream: TcpStream,
    certificate: &Certificate,
) -> Result<(tokio_rustls::server::TlsStream<TcpStream>, Fingerprint), Failure> {
    prepare(&stream)?;
    let stream = certificate.acceptor.accept(stream).await?;
    let shown = stream.get_ref().1.peer_certificates();
    let shown = shown.and_then(<[_]>::first).map(fingerprint);
    let shown = shown.ok_or("no certificate")?;
    Ok((stream, shown))
}

/// Waits until a certificate is a member's; the view may have to be read for it.
async fn appears(node: &Arc<Node>, shown: Fingerprint) -> NodeName {
    let mut views = node.cluster.views();
    loop {
        let map = node.cluster.map();
        let member = map
            .view
            .members
            .iter()
            .find(|member| member.fingerprint == shown);
        if let Some(member) = member {
            return member.name;
        }
        node.cluster.tell_keeper(KeeperMessage::Look);
        // The sender lives in the node.
        let _ = views.changed().await;
    }
}

fn prepare(stream: &TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    socket2::SockRef::from(stream).set_tcp_user_timeout(Some(USER_TIMEOUT))
}

fn hand_over(
    server: &ActorRef<NodeServerMessage>,
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    peer: NodeName,
    is_server: bool,
) {
    let stream = Box::new(Link { stream, peer });
    let _ = server.cast(NodeServerMessage::ConnectionOpenedExternal { stream, is_server });
}

/// A finished stream, labelled with whom it leads to.
struct Link<S> {
    stream: S,
    peer: NodeName,
}

impl<S: AsyncRead + AsyncWrite + Send + Unpin + 'static> ClusterBidiStream for Link<S> {
    fn split(self: Box<Self>) -> (BoxRead, BoxWrite) {
        let (read, write) = tokio::io::split(self.stream);
        (Box::new(read), Box::new(write))
    }

    fn peer_label(&self) -> Option<String> {
        Some(self.peer.to_string())
    }
}

fn group(gate: usize) -> String {
    format!("gate-{gate}")
}

/// Learns which links are there.
struct Events {
    node: Arc<Node>,
}

type Session = ractor_cluster::node::NodeServerSessionInformation;

impl Events {
    /// Whom a session leads to: the label that we gave it, not the name that it says.
    fn peer_of(session: &Session) -> Option<NodeName> {
        session.peer_addr.parse().ok()
    }
}

impl NodeEventSubscription for Events {
    fn node_session_opened(&self, _: Session) {}

    fn node_session_authenticated(&self, _: Session) {}

    fn node_session_ready(&self, session: Session) {
        let Some(node) = Events::peer_of(&session) else {
            return session.actor.stop(None);
        };
        let there = |cell: &ActorCell| matches!(cell.get_id(), ActorId::Remote { node_id, .. } if node_id == session.node_id);
        let gates: Vec<ActorRef<Vec<u8>>> = (0..GATES)
            .filter_map(|gate| {
                ractor::pg::get_members(&group(gate))
                    .into_iter()
                    .find(there)
            })
            .map(ActorRef::from)
            .collect();
        if gates.len() < GATES {
            warn!(peer = %node, "a link without gates");
            return session.actor.stop(None);
        }
        let wire = Arc::new(Carrier {
            gates,
            session: session.actor,
        });
        self.node
            .cluster
            .tell_keeper(KeeperMessage::LinkUp { node, wire });
    }

    fn node_session_disconnected(&self, session: Session) {
        if let Some(node) = Events::peer_of(&session) {
            self.node.cluster.tell_keeper(KeeperMessage::Disconnected {
                node,
                session: session.actor.get_id(),
            });
        }
    }
}

/// The gates of another node.
struct Carrier {
    gates: Vec<ActorRef<Vec<u8>>>,
    session: ActorRef<NodeSessionMessage>,
}

impl std::fmt::Debug for Carrier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Carrier")
            .field("session", &self.session.get_id())
            .finish_non_exhaustive()
    }
}

impl Wire for Carrier {
    fn send(&self, gate: usize, batch: Vec<u8>) {
        let _ = self.gates[gate].cast(batch);
    }

    fn end(&self) {
        self.session.stop(None);
    }

    fn session(&self) -> Option<ActorId> {
        Some(self.session.get_id())
    }
}

#[cfg(test)]
#[path = "links/tests.rs"]
mod tests;
