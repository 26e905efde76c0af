//! What carries a socket, and hanging up on it.
//!
//! A WebSocket has a connection of its own, with a switch. Polling requests come and go on
//! connections that may serve others too, so there it is the requests that are turned away.

use super::connection::lock;
use crate::listener::Peer;
use std::sync::{Mutex, OnceLock};
use std::time::Instant;
use tokio_util::sync::CancellationToken;

/// How many WebSockets may claim to carry one socket. One does; a client may have tried before.
const WEBSOCKETS_MAX: usize = 4;

/// What carries a socket: a WebSocket's own connection, or polling requests that come and go.
#[derive(Debug, Default)]
pub struct Line {
    /// All that ever claimed to, so that none slips away from the switch.
    websockets: Mutex<Vec<Peer>>,
    cut: CancellationToken,
    cut_at: OnceLock<Instant>,
}

impl Line {
    /// A socket that began on this connection, if it is a WebSocket's.
    pub fn new(websocket: Option<Peer>) -> Self {
        let line = Line::default();
        if let Some(peer) = websocket {
            line.upgrade(peer);
        }
        line
    }

    /// From here on a WebSocket carries it; false if too many have claimed that.
    pub fn upgrade(&self, peer: Peer) -> bool {
        let mut websockets = lock(&self.websockets);
        if websockets.len() >= WEBSOCKETS_MAX {
            return false;
        }
        peer.becomes_socket();
        // It may have been cut between the request and now.
        if self.is_cut() {
            peer.end();
        }
        websockets.push(peer);
        true
    }

    /// Hangs up at once. `abrupt` throws away what the client has not read.
    pub fn cut(&self, abrupt: bool) {
        self.cut_at.get_or_init(Instant::now);
        self.cut.cancel();
        for peer in lock(&self.websockets).iter() {
            if abrupt {
                peer.abort();
            } else {
                peer.end();
            }
        }
    }

    /// How many bytes WebSockets have taken.
    pub fn written(&self) -> u64 {
        lock(&self.websockets).iter().map(Peer::written).sum()
    }

    /// Writes whole frames past the library, if that has written so many events and nothing is
    /// under way; false if they have to go through the library.
    pub fn write_past(&self, events: u64, frames: &[u8]) -> bool {
        match lock(&self.websockets).as_slice() {
            [peer] => peer.write_past(events, frames),
            // Polled, or on its way to a WebSocket.
            _ => false,
        }
    }

    /// Whether it was hung up.
    pub fn is_cut(&self) -> bool {
        self.cut.is_cancelled()
    }

    /// When it was hung up.
    pub fn cut_at(&self) -> Option<Instant> {
        self.cut_at.get().copied()
    }

    /// Waits until it is hung up.
    pub async fn until_cut(&self) {
        self.cut.cancelled().await;
    }
}
