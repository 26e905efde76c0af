//! The socket.io edge: what goes over sockets, and nothing of what it means.
//!
//! Inwards, [`handshake`] decides who gets a socket at all, [`inbox`] takes a socket's events in
//! the order they came and hands them to the actors. Outwards, [`registry`] is what the actors
//! speak to; [`encoding`] says how an event looks. An event leaves past the socket library where
//! nothing of the library's is under way ([`crate::listener::Peer::write_past`]), else through
//! it. What every client is told of it is in `sockets/events.md`.

mod backend;
mod bucket;
mod connection;
mod encoding;
mod framing;
mod handshake;
mod inbox;
mod line;
mod login;
mod metric;
mod payload;
mod reaper;
mod registry;

pub use handshake::EdgeLayer;

use crate::client_address::Proxies;
use crate::listener::PerAddress;
use crate::origin::Origins;
use actors::System;
use actors::edge::Sockets;
use backend::Backend;
use registry::Registry;
use serde::Deserialize;
use socketioxide::ParserConfig;
use socketioxide::SocketIo;
use socketioxide::extract::SocketRef;
use socketioxide::handler::ConnectHandler;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// Between pings, and how long an answer may take: together, how long a client that went without
/// a word keeps its ghosts, and how long it goes on speaking to a node that froze.
const PING_INTERVAL: Duration = Duration::from_secs(6);
const PING_TIMEOUT: Duration = Duration::from_secs(4);

/// One packet at most, in bytes: ten times the longest message.
const PACKET_MAX: usize = 64 * 1024;

/// What a socket reads at once, in bytes. Clients send little, and there are many of them.
const READ_BUFFER: usize = 1024;

/// How long a client may hold a transport without opening a socket on it.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// Limits on sockets, in section `limits`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SocketSettings {
    /// Sockets of one address that have not logged in: they cost memory and nobody is behind them.
    pub sockets_waiting_per_address: usize,
    /// Events one socket may send a second, on average: five times what the fastest typist needs.
    pub events_per_second: u32,
    /// And at once.
    pub events_burst: u32,
    /// Events of one socket that wait for an answer.
    pub events_pending: usize,
    /// Packets that wait for one socket to read them; one more ends it.
    pub packets_pending: usize,
    /// How long a socket may stay without logging in; no operator has reason to change it.
    #[serde(skip)]
    pub sign_in: Duration,
}

impl Default for SocketSettings {
    fn default() -> Self {
        SocketSettings {
            sockets_waiting_per_address: 100,
            events_per_second: 100,
            events_burst: 200,
            events_pending: 128,
            packets_pending: 512,
            sign_in: Duration::from_secs(10),
        }
    }
}

/// The sockets of this node. Cheap to clone.
#[derive(Clone)]
pub struct Edge(Arc<Inner>);

struct Inner {
    settings: SocketSettings,
    registry: Arc<Registry>,
    waiting: PerAddress,
    attached: OnceLock<Attached>,
    io: SocketIo,
    engine: handshake::Engine,
}

/// What the edge needs to let anybody in.
struct Attached {
    origins: Origins,
    proxies: Proxies,
}

impl std::fmt::Debug for Edge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Edge")
            .field("settings", &self.0.settings)
            .finish_non_exhaustive()
    }
}

impl Edge {
    /// Without a system yet: the actors are started with [`Edge::sockets`].
    pub fn new(settings: &SocketSettings) -> Edge {
        metric::describe();
        let (engine, io) = SocketIo::builder()
            .ping_interval(PING_INTERVAL)
            .ping_timeout(PING_TIMEOUT)
            .connect_timeout(CONNECT_LIMIT)
            .max_payload(PACKET_MAX as u64)
            .max_buffer_size(settings.packets_pending)
            .ws_read_buffer_size(READ_BUFFER)
            .ws_max_message_size(PACKET_MAX)
            .ws_max_frame_size(PACKET_MAX)
            // Nothing of ours is binary, and parts of binary packets wait in memory.
            .with_parser(
                ParserConfig::common()
                    .max_incoming_binaries(1)
                    .max_incoming_binary_buf_size(PACKET_MAX),
            )
            .build_svc();
        let registry = Arc::new(Registry::default());
        let middleware = connection::middleware(registry.clone(), *settings);
        let connected = {
            let registry = registry.clone();
            move |socket: SocketRef| {
                registry.connected(socket.id);
                std::future::ready(())
            }
        };
        io.ns("/", connected.with(middleware));
        Edge(Arc::new(Inner {
            settings: *settings,
            registry,
            waiting: PerAddress::new(settings.sockets_waiting_per_address),
            attached: OnceLock::new(),
            io,
            engine: handshake::Engine::new(engine),
        }))
    }

    /// What the actors speak to.
    pub fn sockets(&self) -> Arc<dyn Sockets> {
        self.0.registry.clone()
    }

    /// From here on sockets are let in; before, a handshake is answered 503. Once.
    pub fn attach(&self, system: System, origins: Origins, proxies: Proxies) {
        self.attach_to(Arc::new(system), origins, proxies);
    }

    fn attach_to(&self, backend: Arc<dyn Backend>, origins: Origins, proxies: Proxies) {
        if self.0.attached.set(Attached { origins, proxies }).is_err() {
            tracing::error!("sockets are attached already");
            return;
        }
        self.0.registry.attach(backend);
        tokio::spawn(reaper::run(
            Arc::downgrade(&self.0.registry),
            self.0.io.clone(),
        ));
    }

    /// Puts `/socket.io/` before a router, outside all other layers.
    pub fn layer(&self) -> EdgeLayer {
        EdgeLayer(self.clone())
    }
}

#[cfg(test)]
mod tests;
