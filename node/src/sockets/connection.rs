//! One socket of this node, from its handshake to its end.
//!
//! Whoever finds out first that it is over tells the registry, which ends it once: the socket
//! library, a switch thrown by the actors, the login that never came, the reaper.

use super::SocketSettings;
use super::handshake::Handshake;
use super::inbox::{Inbox, Queue};
use super::line::Line;
use super::registry::Registry;
use crate::refusal::Refusal;
use actors::edge::{ConnectionId, Kill, Packet, Room};
use cql::SignIn;
use socketioxide::extract::SocketRef;
use socketioxide::socket::DisconnectReason;
use socketioxide::{SendError, SocketError, TransportType};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::SetOnce;

/// How long a client that was told to go may take for it, so that it reads why.
const FAREWELL: Duration = Duration::from_secs(1);

/// What may wait for one socket to read it, in bytes: several seconds of the fullest channel.
const BYTES_PENDING_MAX: u64 = 8 * 1024 * 1024;

/// A socket.
#[derive(Debug)]
pub struct Connection {
    pub id: ConnectionId,
    pub line: Arc<Line>,
    pub handshake: Arc<Handshake>,
    pub opened: Instant,
    pub queue: Mutex<Queue>,
    /// Events that were taken in and are not answered.
    pub pending: AtomicUsize,
    pub settings: SocketSettings,
    socket: SocketRef,
    /// Bytes given to the library, and events.
    emitted: AtomicU64,
    events: AtomicU64,
    connected: SetOnce<()>,
    phase: Mutex<Phase>,
    rooms: Mutex<Rooms>,
}

#[derive(Debug)]
enum Phase {
    Open,
    LoggingIn,
    LoggedIn(Arc<SignIn>),
    Over,
}

#[derive(Debug, Default)]
struct Rooms {
    is_over: bool,
    rooms: Vec<Room>,
}

/// What became of packets for a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Emitted {
    /// They are on their way.
    Sent,
    /// It is not there yet or not any more.
    Nobody,
    /// Too many wait for it already.
    Full,
}

impl Connection {
    /// A socket that is about to be let in.
    pub fn new(
        id: ConnectionId,
        socket: SocketRef,
        handshake: Arc<Handshake>,
        line: Arc<Line>,
        settings: SocketSettings,
    ) -> Self {
        let opened = Instant::now();
        Connection {
            id,
            line,
            handshake,
            opened,
            queue: Mutex::new(Queue::new(&settings, opened)),
            pending: AtomicUsize::new(0),
            settings,
            socket,
            emitted: AtomicU64::new(0),
            events: AtomicU64::new(0),
            connected: SetOnce::new(),
            phase: Mutex::new(Phase::Open),
            rooms: Mutex::default(),
        }
    }

    /// The library has let it in: what is emitted from here on arrives.
    pub fn set_connected(&self) {
        // Set already: the library told twice.
        let _ = self.connected.set(());
    }

    /// Waits for that. An answer emitted in the instant before would be lost.
    pub async fn wait_connected(&self) {
        self.connected.wait().await;
    }

    /// Whether the library still holds it.
    pub fn is_connected(&self) -> bool {
        self.socket.connected()
    }

    /// For how long a client that is to poll has not; no time at all on a WebSocket.
    pub fn unpolled_for(&self, now: Instant) -> Duration {
        match self.socket.transport_type() {
            TransportType::Polling => self.line.unpolled_for(now),
            TransportType::Websocket => Duration::ZERO,
        }
    }

    /// Emits packets back to back; `frames` is what they look like on a WebSocket.
    ///
    /// They are written past the library when nothing of its is under way. That costs half, and
    /// the library keeps a buffer as large as the largest packet it ever wrote to a socket.
    pub fn emit(&self, packets: &[Packet], frames: &[u8]) -> Emitted {
        let events = self.events.load(Ordering::Acquire);
        if self.line.write_past(events, frames) {
            return Emitted::Sent;
        }
        self.emit_through_the_library(packets)
    }

    /// Emits packets back to back: they leave in one write, of a task of the socket's own.
    pub fn emit_through_the_library(&self, packets: &[Packet]) -> Emitted {
        if !self.has_place_for(packets) {
            return Emitted::Full;
        }
        for packet in packets {
            // Counted before it can be written, or what is written past it could overtake it.
            self.events.fetch_add(1, Ordering::AcqRel);
            let Err(error) = self.socket.emit(packet.event, &*packet.body) else {
                continue;
            };
            self.events.fetch_sub(1, Ordering::AcqRel);
            return match error {
                SendError::Socket(SocketError::InternalChannelFull) => Emitted::Full,
                SendError::Socket(SocketError::Closed) => Emitted::Nobody,
                SendError::Serialize(error) => {
                    tracing::error!(event = packet.event, %error, "packet is not JSON");
                    Emitted::Nobody
                }
            };
        }
        Emitted::Sent
    }

    /// How many events were given to the library.
    #[cfg(test)]
    pub fn through_the_library(&self) -> u64 {
        self.events.load(Ordering::Acquire)
    }

    /// The library counts waiting packets, but some are long.
    fn has_place_for(&self, packets: &[Packet]) -> bool {
        let written = self.line.written();
        let length = |packet: &Packet| packet.event.len() + packet.body.get().len();
        let bytes = packets.iter().map(length).sum::<usize>() as u64;
        // What else is written, pings and answers, must not become credit.
        let before = self
            .emitted
            .fetch_max(written, Ordering::Relaxed)
            .max(written);
        if before - written > BYTES_PENDING_MAX {
            return false;
        }
        self.emitted.fetch_add(bytes, Ordering::Relaxed);
        true
    }

    /// Tells the client to go and not to come back by itself, then hangs up.
    pub fn dismiss(self: &Arc<Self>) {
        // A full queue can't carry the word; hanging up is left.
        let _ = self.socket.clone().disconnect();
        let line = self.line.clone();
        tokio::spawn(async move {
            tokio::time::sleep(FAREWELL).await;
            line.cut(false);
        });
    }

    /// A login begins; one at a time, and none after one that succeeded.
    pub fn begin_login(&self) -> Result<(), Refusal> {
        let mut phase = lock(&self.phase);
        match *phase {
            Phase::Open => {
                *phase = Phase::LoggingIn;
                Ok(())
            }
            _ => Err(Refusal::FORBIDDEN),
        }
    }

    /// It did not succeed; another may.
    pub fn login_failed(&self) {
        let mut phase = lock(&self.phase);
        if matches!(*phase, Phase::LoggingIn) {
            *phase = Phase::Open;
        }
    }

    /// It succeeded; false when the socket ended meanwhile.
    pub fn login_succeeded(&self, sign_in: SignIn) -> bool {
        let mut phase = lock(&self.phase);
        let is_there = matches!(*phase, Phase::LoggingIn);
        if is_there {
            *phase = Phase::LoggedIn(Arc::new(sign_in));
            drop(phase);
            self.handshake.signed_in();
        }
        is_there
    }

    /// Whose it is.
    pub fn sign_in(&self) -> Option<Arc<SignIn>> {
        match &*lock(&self.phase) {
            Phase::LoggedIn(sign_in) => Some(sign_in.clone()),
            _ => None,
        }
    }

    /// Whether nobody has logged in on it yet.
    pub fn is_anonymous(&self) -> bool {
        matches!(*lock(&self.phase), Phase::Open)
    }

    /// Whether it has ended.
    pub fn is_over(&self) -> bool {
        matches!(*lock(&self.phase), Phase::Over)
    }

    /// Ends it; the first time, tells whether somebody was logged in.
    ///
    /// While a login is under way nobody is, but the login will find the socket over.
    pub fn set_over(&self) -> Option<bool> {
        let mut phase = lock(&self.phase);
        match std::mem::replace(&mut *phase, Phase::Over) {
            Phase::Over => None,
            Phase::LoggedIn(_) => Some(true),
            Phase::Open | Phase::LoggingIn => Some(false),
        }
    }

    /// Notes a room; false when it is in already, or over.
    pub fn note_room(&self, room: &Room) -> bool {
        let mut rooms = lock(&self.rooms);
        let is_new = !rooms.is_over && !rooms.rooms.contains(room);
        if is_new {
            rooms.rooms.push(room.clone());
        }
        is_new
    }

    /// Forgets a room; false when it is not in it.
    pub fn forget_room(&self, room: &Room) -> bool {
        let mut rooms = lock(&self.rooms);
        let place = rooms.rooms.iter().position(|r| r == room);
        place.map(|place| rooms.rooms.swap_remove(place)).is_some()
    }

    /// Takes all rooms; there will be no others.
    pub fn take_rooms(&self) -> Vec<Room> {
        let mut rooms = lock(&self.rooms);
        rooms.is_over = true;
        std::mem::take(&mut rooms.rooms)
    }
}

/// Why a socket is ended by this side, as the metric names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// As the actors say.
    Told(Kill),
    /// Nobody logged in in time.
    NotSignedIn,
    /// It sends and does not hear that it is refused.
    Deaf,
    /// The login could not be looked at; the client comes back.
    Unavailable,
    /// The library lost it without a word.
    Orphaned,
}

impl Why {
    /// The metric's label.
    pub fn label(self) -> &'static str {
        match self {
            Why::Told(Kill::SignedOut) => "signed_out",
            Why::Told(Kill::Stalled) => "stalled",
            Why::Told(Kill::Restarted) => "restarted",
            Why::Told(Kill::Draining) => "draining",
            Why::NotSignedIn => "not_signed_in",
            Why::Deaf => "deaf",
            Why::Unavailable => "unavailable",
            Why::Orphaned => "orphaned",
        }
    }

    /// Whether what is on its way is worth nothing.
    pub fn is_abrupt(self) -> bool {
        matches!(self, Why::Told(Kill::Stalled) | Why::Deaf | Why::Orphaned)
    }
}

/// Why a socket was not let in.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("unavailable")]
pub struct NotLetIn;

/// Lets a socket in, with its handlers in place before the client hears that it is connected: an
/// event that it sends at once would otherwise find nobody.
pub fn middleware(
    registry: Arc<Registry>,
    settings: SocketSettings,
) -> impl Fn(SocketRef) -> std::future::Ready<Result<(), NotLetIn>> + Clone + Send + Sync + 'static
{
    move |socket: SocketRef| std::future::ready(let_in(&registry, socket, settings))
}

fn let_in(
    registry: &Arc<Registry>,
    socket: SocketRef,
    settings: SocketSettings,
) -> Result<(), NotLetIn> {
    let handshake = socket.req_parts().extensions.get::<Arc<Handshake>>();
    let handshake = handshake.cloned().ok_or(NotLetIn)?;
    let connection = registry
        .open(socket.clone(), handshake, settings)
        .ok_or(NotLetIn)?;
    socket.on_fallback(Inbox::new(registry.clone(), &connection));
    let leaving = registry.clone();
    socket.on_disconnect(move |socket: SocketRef, reason: DisconnectReason| {
        leaving.closed(socket.id, reason);
        std::future::ready(())
    });
    let (registry, connection) = (Arc::downgrade(registry), Arc::downgrade(&connection));
    tokio::spawn(async move {
        tokio::time::sleep(settings.sign_in).await;
        if let (Some(registry), Some(connection)) = (registry.upgrade(), connection.upgrade())
            && connection.is_anonymous()
        {
            registry.cut(&connection, Why::NotSignedIn);
        }
    });
    Ok(())
}

/// Nothing of ours panics under these locks, and if it did, the value would still be whole.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
