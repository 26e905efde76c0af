//! What carries a socket, and hanging up on it.
//!
//! A WebSocket has a connection of its own, with a switch. Polling requests come and go on
//! connections that may serve others too, so there it is the requests that are turned away, and
//! their answers tell how much the client has taken and whether it still asks.

use super::connection::lock;
use crate::listener::Peer;
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// How many WebSockets may claim to carry one socket. One does; a client may have tried before.
const WEBSOCKETS_MAX: usize = 4;

/// What carries a socket: a WebSocket's own connection, or polling requests that come and go.
#[derive(Debug)]
pub struct Line {
    /// All that ever claimed to, so that none slips away from the switch.
    websockets: Mutex<Vec<Peer>>,
    polls: Mutex<Polls>,
    cut: CancellationToken,
    cut_at: OnceLock<Instant>,
}

/// The requests that ask what there is to hear.
#[derive(Debug)]
struct Polls {
    waiting: usize,
    /// When the last one was answered or given up, and before the first when the line was new.
    last: Instant,
    /// What they were answered with, in bytes.
    taken: u64,
}

/// One of them, until it is dropped.
#[derive(Debug)]
pub struct Poll<'a>(&'a Line);

impl Line {
    /// A socket that began on this connection, if it is a WebSocket's.
    pub fn new(websocket: Option<Peer>) -> Self {
        let line = Line {
            websockets: Mutex::default(),
            polls: Mutex::new(Polls {
                waiting: 0,
                last: Instant::now(),
                taken: 0,
            }),
            cut: CancellationToken::new(),
            cut_at: OnceLock::new(),
        };
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

    /// A request asks what there is to hear.
    pub fn poll(&self) -> Poll<'_> {
        lock(&self.polls).waiting += 1;
        Poll(self)
    }

    /// For how long nobody has asked.
    pub fn unpolled_for(&self, now: Instant) -> Duration {
        let polls = lock(&self.polls);
        match polls.waiting {
            0 => now.saturating_duration_since(polls.last),
            _ => Duration::ZERO,
        }
    }

    /// How many bytes the client has taken.
    pub fn written(&self) -> u64 {
        let by_websockets: u64 = lock(&self.websockets).iter().map(Peer::written).sum();
        by_websockets + lock(&self.polls).taken
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

impl Poll<'_> {
    /// It is answered with so many bytes.
    pub fn answered(self, bytes: u64) {
        lock(&self.0.polls).taken += bytes;
    }
}

impl Drop for Poll<'_> {
    fn drop(&mut self) {
        let mut polls = lock(&self.0.polls);
        polls.waiting -= 1;
        polls.last = Instant::now();
    }
}
