//! Looks after sockets that were lost without a word, or whose clients no longer poll.
//!
//! The library tells of a socket's end once, and not at all when it is lost between its
//! handshake and its first packet. Every [`PERIOD`] what it holds is compared with what the
//! registry holds, and what only one of them knows is ended. The library also keeps a client that
//! answers pings and asks for nothing, as if somebody were there to read.

use super::connection::Why;
use super::registry::Registry;
use super::{PING_INTERVAL, PING_TIMEOUT};
use actors::edge::Kill;
use socketioxide::SocketIo;
use std::sync::Weak;
use std::time::{Duration, Instant};

/// Rare, since there should be nothing to find.
const PERIOD: Duration = Duration::from_secs(30);

/// How long the library may take to notice that a socket was hung up: a ping and its time-out,
/// and a little more. Until then requests for it are turned away by its name.
const NOTICED: Duration = Duration::from_secs(15);

/// How long a polling client may ask for nothing. Each ping answers what it asked and has it ask
/// anew, so that is as long as the library waits for a client that is silent.
const UNPOLLED_MAX: Duration = PING_INTERVAL.saturating_add(PING_TIMEOUT);

/// Runs until the registry is gone.
pub async fn run(registry: Weak<Registry>, io: SocketIo) {
    let mut ticks = tokio::time::interval(PERIOD);
    loop {
        ticks.tick().await;
        let Some(registry) = registry.upgrade() else {
            return;
        };
        sweep(&registry, &io, Instant::now());
    }
}

/// One look.
pub fn sweep(registry: &Registry, io: &SocketIo, now: Instant) {
    registry.forget_lines(|line| {
        line.cut_at()
            .is_some_and(|at| now.saturating_duration_since(at) > NOTICED)
    });
    for connection in registry.all() {
        let age = now.saturating_duration_since(connection.opened);
        if !connection.is_connected() && age > NOTICED {
            registry.cut(&connection, Why::Orphaned);
        } else if connection.unpolled_for(now) > UNPOLLED_MAX {
            registry.cut(&connection, Why::Told(Kill::Stalled));
        }
    }
    for socket in io.sockets() {
        if registry.line(socket.id).is_none() {
            // Its queue is full or it is gone already; either way its heartbeat ends it.
            let _ = socket.disconnect();
        }
    }
}
