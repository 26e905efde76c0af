//! All sockets of this node and the rooms they are in: what the actors speak to.
//!
//! A packet is encoded once and goes to a room's sockets one after the other, all packets of a
//! tick together. No lock is held meanwhile: rooms are kept in parts that are copied only when
//! somebody comes or goes during an emit.

use super::SocketSettings;
use super::backend::Backend;
use super::connection::{Connection, Emitted, Why, lock};
use super::encoding;
use super::handshake::Handshake;
use super::line::Line;
use super::metric;
use actors::edge::{ConnectionId, Event, Kill, Packet, Room, Sockets};
use socketioxide::extract::SocketRef;
use socketioxide::socket::{DisconnectReason, Sid};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use tokio::runtime::{Handle, RuntimeFlavor};

/// A part of a room: as many as may be copied when one of them goes.
pub(super) const PART: usize = 1_000;

/// Sockets of one room that are written to by whoever emits. Beyond, one thread could not write
/// to all within a tick, and the library's tasks share the work.
const PAST_MAX: usize = 8_000;

/// Sockets that are written to without making room for other tasks: a millisecond or two.
const AT_ONCE_MAX: usize = 250;

/// The sockets and their rooms.
#[derive(Default)]
pub struct Registry {
    backend: OnceLock<Arc<dyn Backend>>,
    last: AtomicU64,
    connections: RwLock<HashMap<ConnectionId, Arc<Connection>>>,
    lines: RwLock<HashMap<Sid, Member>>,
    rooms: RwLock<HashMap<Room, Members>>,
}

/// What carries a socket, and which it is.
#[derive(Debug, Clone)]
struct Member {
    line: Arc<Line>,
    connection: ConnectionId,
}

type Part = Arc<Vec<Arc<Connection>>>;

#[derive(Debug, Default)]
struct Members(Mutex<Vec<Part>>);

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registry")
            .field("connections", &read(&self.connections).len())
            .field("rooms", &read(&self.rooms).len())
            .finish_non_exhaustive()
    }
}

impl Registry {
    /// Whom to tell of sockets. Once.
    pub fn attach(&self, backend: Arc<dyn Backend>) {
        // The edge sees to it that there is one only.
        let _ = self.backend.set(backend);
    }

    /// The actors, once they are there.
    pub fn backend(&self) -> Option<&Arc<dyn Backend>> {
        self.backend.get()
    }

    /// Takes in a new socket; none when its line was hung up already.
    pub fn open(
        &self,
        socket: SocketRef,
        handshake: Arc<Handshake>,
        settings: SocketSettings,
    ) -> Option<Arc<Connection>> {
        let id = ConnectionId(self.last.fetch_add(1, Ordering::Relaxed) + 1);
        let sid = socket.id;
        let mut lines = write(&self.lines);
        // A client that left the namespace and comes back on the same transport is on a line
        // that is being hung up.
        if lines.contains_key(&sid) {
            return None;
        }
        let line = Arc::new(Line::new(handshake.websocket()));
        let member = Member {
            line: line.clone(),
            connection: id,
        };
        lines.insert(sid, member);
        drop(lines);
        let connection = Arc::new(Connection::new(id, socket, handshake, line, settings));
        write(&self.connections).insert(id, connection.clone());
        metrics::gauge!(metric::SOCKETS).increment(1.0);
        Some(connection)
    }

    /// The library has let a socket in.
    pub fn connected(&self, sid: Sid) {
        let id = read(&self.lines).get(&sid).map(|member| member.connection);
        if let Some(connection) = id.and_then(|id| self.get(id)) {
            connection.set_connected();
        }
    }

    /// What carries the socket of that name.
    pub fn line(&self, sid: Sid) -> Option<Arc<Line>> {
        read(&self.lines)
            .get(&sid)
            .map(|member| member.line.clone())
    }

    /// One that is there.
    pub fn get(&self, id: ConnectionId) -> Option<Arc<Connection>> {
        read(&self.connections).get(&id).cloned()
    }

    /// The library says that a socket is gone.
    pub fn closed(&self, sid: Sid, reason: DisconnectReason) {
        let Some(member) = read(&self.lines).get(&sid).cloned() else {
            return;
        };
        if let Some(connection) = self.get(member.connection) {
            self.end(&connection);
        }
        match reason {
            // The transport is still there, without a socket on it and nobody's to limit.
            DisconnectReason::ClientNSDisconnect => member.line.cut(false),
            // Told to go: it is hung up when it had the time to read why.
            DisconnectReason::ServerNSDisconnect => {}
            _ => {
                write(&self.lines).remove(&sid);
            }
        }
    }

    /// Ends a socket at once, without a word that keeps the client from reconnecting.
    pub fn cut(&self, connection: &Connection, why: Why) {
        if !connection.is_over() {
            metrics::counter!(metric::KILLED, "why" => why.label()).increment(1);
        }
        connection.line.cut(why.is_abrupt());
        self.end(connection);
    }

    /// Forgets a socket, wherever it was, and tells the actors once.
    pub fn end(&self, connection: &Connection) {
        let Some(was_logged_in) = connection.set_over() else {
            return;
        };
        write(&self.connections).remove(&connection.id);
        // A login that waits for the socket to be there finds it over.
        connection.set_connected();
        for room in connection.take_rooms() {
            self.take_out(connection.id, &room);
        }
        metrics::gauge!(metric::SOCKETS).decrement(1.0);
        if let (true, Some(backend)) = (was_logged_in, self.backend()) {
            backend.disconnected(connection.id);
        }
    }

    /// All that are there.
    pub fn all(&self) -> Vec<Arc<Connection>> {
        read(&self.connections).values().cloned().collect()
    }

    /// Forgets lines for which `is_done` holds.
    pub fn forget_lines(&self, is_done: impl Fn(&Line) -> bool) {
        write(&self.lines).retain(|_, member| !is_done(&member.line));
    }

    fn put_in(&self, connection: Arc<Connection>, room: &Room) {
        if let Some(members) = read(&self.rooms).get(room) {
            members.add(connection);
            return;
        }
        write(&self.rooms)
            .entry(room.clone())
            .or_default()
            .add(connection);
    }

    fn take_out(&self, connection: ConnectionId, room: &Room) {
        let is_empty = read(&self.rooms)
            .get(room)
            .is_some_and(|members| members.remove(connection));
        if is_empty {
            let mut rooms = write(&self.rooms);
            // Somebody may have come in between.
            if rooms.get(room).is_some_and(|members| members.is_empty()) {
                rooms.remove(room);
            }
        }
    }

    /// Emits to all sockets of these parts, and says how many packets that were.
    fn emit_to_parts(&self, parts: &[Part], packets: &[Packet]) -> u64 {
        let frames = encoding::frames(packets);
        let all = parts.iter().flat_map(|part| part.iter()).enumerate();
        all.map(|(number, connection)| {
            let emitted = if number < PAST_MAX {
                connection.emit(packets, &frames)
            } else {
                connection.emit_through_the_library(packets)
            };
            self.after(connection, emitted, packets)
        })
        .sum()
    }

    /// How many packets were emitted. One for whom there is no place left is ended.
    fn after(&self, connection: &Connection, emitted: Emitted, packets: &[Packet]) -> u64 {
        match emitted {
            Emitted::Sent => packets.len() as u64,
            Emitted::Nobody => 0,
            Emitted::Full => {
                self.cut(connection, Why::Told(Kill::Stalled));
                0
            }
        }
    }
}

impl Sockets for Registry {
    fn encode(&self, event: Event<'_>) -> Packet {
        encoding::encode(event)
    }

    fn join(&self, connection: ConnectionId, room: &Room) {
        let Some(connection) = self.get(connection) else {
            return;
        };
        if connection.note_room(room) {
            self.put_in(connection.clone(), room);
            // It may have ended between the note and its place, and would stay for ever.
            if connection.is_over() {
                self.take_out(connection.id, room);
            }
        }
    }

    fn leave(&self, connection: ConnectionId, room: &Room) {
        let known = self.get(connection);
        if known.is_some_and(|connection| connection.forget_room(room)) {
            self.take_out(connection, room);
        }
    }

    fn emit_to_room(&self, room: &Room, packets: &[Packet]) {
        let Some(parts) = read(&self.rooms).get(room).map(Members::parts) else {
            return;
        };
        let sockets: usize = parts.iter().map(|part| part.len()).sum();
        let sent = if sockets > AT_ONCE_MAX {
            aside(|| self.emit_to_parts(&parts, packets))
        } else {
            self.emit_to_parts(&parts, packets)
        };
        metrics::counter!(metric::SENT).increment(sent);
    }

    fn emit(&self, connection: ConnectionId, packets: &[Packet]) {
        if let Some(connection) = self.get(connection) {
            let emitted = connection.emit(packets, &encoding::frames(packets));
            let sent = self.after(&connection, emitted, packets);
            metrics::counter!(metric::SENT).increment(sent);
        }
    }

    fn kill(&self, connection: ConnectionId, why: Kill) {
        if let Some(connection) = self.get(connection) {
            self.cut(&connection, Why::Told(why));
        }
    }
}

impl Members {
    fn add(&self, connection: Arc<Connection>) {
        let mut parts = lock(&self.0);
        match parts.iter_mut().find(|part| part.len() < PART) {
            Some(part) => Arc::make_mut(part).push(connection),
            None => parts.push(Arc::new(vec![connection])),
        }
    }

    /// Whether nobody is left.
    fn remove(&self, connection: ConnectionId) -> bool {
        let mut parts = lock(&self.0);
        let place = parts.iter().enumerate().find_map(|(part, members)| {
            let member = members.iter().position(|m| m.id == connection)?;
            Some((part, member))
        });
        if let Some((part, member)) = place {
            Arc::make_mut(&mut parts[part]).swap_remove(member);
            if parts[part].is_empty() {
                parts.swap_remove(part);
            }
        }
        parts.is_empty()
    }

    fn is_empty(&self) -> bool {
        lock(&self.0).is_empty()
    }

    fn parts(&self) -> Vec<Part> {
        lock(&self.0).clone()
    }
}

/// Does what takes long while other tasks of this thread go on elsewhere.
fn aside<T>(work: impl FnOnce() -> T) -> T {
    let runtime = Handle::try_current().map(|handle| handle.runtime_flavor());
    match runtime {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(work),
        // A runtime of one thread has no elsewhere.
        _ => work(),
    }
}

fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}
