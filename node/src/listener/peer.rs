//! Who is at the other end of a connection, and the switch that ends it from elsewhere.

use super::outlet::{Outlet, Past};
use futures::task::AtomicWaker;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::task::Waker;

const ALIVE: u8 = 0;
const ENDED: u8 = 1;
const ABORTED: u8 = 2;

/// The other end of a connection; cheap to clone, and reached through `ConnectInfo<Peer>`.
#[derive(Debug, Clone)]
pub struct Peer {
    /// As the system tells it; there may be a proxy between.
    pub address: SocketAddr,
    /// Whether the connection is encrypted up to here.
    pub tls: bool,
    switch: Arc<Switch>,
}

/// Looked at on each read and write, which it wakes.
#[derive(Debug, Default)]
struct Switch {
    state: AtomicU8,
    is_socket: AtomicBool,
    written: AtomicU64,
    reader: AtomicWaker,
    writer: AtomicWaker,
    /// Where a socket can be written past its library. Held by the connection alone, so that it
    /// is closed when that ends.
    outlet: OnceLock<Weak<Outlet>>,
}

impl Peer {
    /// A living connection.
    pub fn new(address: SocketAddr, tls: bool) -> Self {
        Peer {
            address,
            tls,
            switch: Arc::default(),
        }
    }

    /// Ends the connection at once; what was written before still arrives.
    pub fn end(&self) {
        self.switch(ENDED);
    }

    /// Ends the connection at once and throws away what the client has not read, so that a
    /// client that stopped reading holds no memory.
    pub fn abort(&self) {
        self.switch(ABORTED);
    }

    /// From here on it is a socket, which may be ended sooner.
    pub fn becomes_socket(&self) {
        self.switch.is_socket.store(true, Ordering::Relaxed);
        self.outlet()
            .iter()
            .for_each(|outlet| outlet.becomes_socket());
    }

    /// Writes whole frames past the library, if that has written so many events and nothing is
    /// under way; false if they have to go through the library.
    pub fn write_past(&self, events: u64, frames: &[u8]) -> bool {
        let outlet = self.outlet().filter(|_| !self.is_over());
        match outlet.map(|outlet| outlet.write_past(events, frames)) {
            Some(Past::Written) => true,
            Some(Past::Begun) => {
                self.switch.reader.wake();
                true
            }
            Some(Past::NotNow) | None => false,
        }
    }

    pub(super) fn is_written_by(&self, outlet: &Arc<Outlet>) {
        // A connection has one.
        let _ = self.switch.outlet.set(Arc::downgrade(outlet));
    }

    fn outlet(&self) -> Option<Arc<Outlet>> {
        self.switch.outlet.get()?.upgrade()
    }

    /// How many bytes the system has taken for the client.
    pub fn written(&self) -> u64 {
        self.switch.written.load(Ordering::Relaxed)
    }

    pub(super) fn count_written(&self, bytes: usize) {
        let bytes = bytes as u64;
        self.switch.written.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Whether it was ended by this side, or found broken.
    pub fn is_over(&self) -> bool {
        self.switch.state.load(Ordering::Acquire) != ALIVE
    }

    pub(super) fn is_aborted(&self) -> bool {
        self.switch.state.load(Ordering::Acquire) == ABORTED
    }

    pub(super) fn is_socket(&self) -> bool {
        self.switch.is_socket.load(Ordering::Relaxed)
    }

    pub(super) fn wake_reader_by(&self, waker: &Waker) {
        self.switch.reader.register(waker);
    }

    pub(super) fn wake_writer_by(&self, waker: &Waker) {
        self.switch.writer.register(waker);
    }

    fn switch(&self, state: u8) {
        // Aborted stays aborted.
        self.switch.state.fetch_max(state, Ordering::AcqRel);
        self.switch.reader.wake();
        self.switch.writer.wake();
    }
}
