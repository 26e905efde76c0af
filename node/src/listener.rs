//! The public port: accepts connections and serves the router on them.
//!
//! Our own instead of `axum::serve`, because a connection here needs what that does not give: a
//! limit on how long its client may leave what is written unread, a switch that ends it from
//! elsewhere ([`Peer`]), a limit on reading a request's head, and a certificate that can change
//! under way. What a request means is the router's matter.

mod frames;
mod guarded;
mod metric;
mod outlet;
mod peer;
mod per_address;
mod tls;

pub use frames::text as text_frame;
pub use peer::Peer;
pub use per_address::{Admitted, PerAddress};
pub use tls::Tls;

use crate::client_address::Proxies;
use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use guarded::Guarded;
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use outlet::{Outlet, Plain};
use serde::Deserialize;
use socket2::SockRef;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::Service;

/// What the system holds for a client that reads slowly, in bytes. More would hide a client that
/// has stopped reading; less would stall a healthy one in a burst.
const SEND_BUFFER: usize = 128 * 1024;

/// A request's head at most, in bytes: a browser with many cookies stays below.
const HEAD_MAX: usize = 32 * 1024;

/// How long to pause when the system has no more file descriptors for us.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How long requests under way may take after the end was asked for.
const FINISH: Duration = Duration::from_secs(10);

/// Limits on connections, in section `limits`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Connections to the public port in all: at 25 KB each, a little over 1 GB.
    pub connections: usize,
    /// Connections from one address: an office behind one router, each with a few tabs.
    pub connections_per_address: usize,
    /// Proxies, which speak for many and are not limited per address.
    #[serde(skip)]
    pub proxies: Proxies,
    /// Time limits; no operator has reason to change them.
    #[serde(skip)]
    pub times: Times,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            connections: 50_000,
            connections_per_address: 1_000,
            proxies: Proxies::default(),
            times: Times::default(),
        }
    }
}

/// How long a client may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    /// To agree on a key.
    pub handshake: Duration,
    /// To send a request's head, counted from when one could come: also how long a connection
    /// may stay without any request.
    pub head: Duration,
    /// To read anything at all of what was written: a page's files over a bad line.
    pub write_stall: Duration,
    /// The same on a socket, which loses nothing when it is ended: it catches up.
    pub socket_write_stall: Duration,
}

impl Default for Times {
    fn default() -> Self {
        Times {
            handshake: Duration::from_secs(5),
            head: Duration::from_secs(20),
            write_stall: Duration::from_secs(20),
            socket_write_stall: Duration::from_secs(5),
        }
    }
}

/// Serves until `shutdown`, then lets requests under way finish, and returns. Sockets are not
/// waited for: who drains them ends them.
pub async fn serve(
    bound: TcpListener,
    tls: Option<Tls>,
    router: Router,
    shutdown: impl Future<Output = ()> + Send + 'static,
    limits: Limits,
) -> io::Result<()> {
    metric::describe();
    SockRef::from(&bound).set_send_buffer_size(SEND_BUFFER)?;
    let mut shutdown = pin!(shutdown);
    let (requests, ending) = (TaskTracker::new(), CancellationToken::new());
    let all = Arc::new(Semaphore::new(
        limits.connections.min(Semaphore::MAX_PERMITS),
    ));
    let per_address = PerAddress::new(limits.connections_per_address);
    loop {
        let (stream, address) = tokio::select! {
            accepted = bound.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    pause_after(&error).await;
                    continue;
                }
            },
            () = &mut shutdown => break,
        };
        let Ok(place) = all.clone().try_acquire_owned() else {
            refuse("connections");
            continue;
        };
        let ip = address.ip().to_canonical();
        let alone = !ip.is_loopback() && !limits.proxies.trusts(ip);
        let Some(admitted) = per_address.admit(alone.then_some(ip)) else {
            refuse("connections_per_address");
            continue;
        };
        // Not worth ending a connection for: without it answers come late, but they come.
        let _ = stream.set_nodelay(true);
        let connection = Connection {
            address,
            router: router.clone(),
            times: limits.times,
            ending: ending.clone(),
            place: Place {
                _all: place,
                _of_address: admitted,
            },
        };
        requests.spawn(connection.run(stream, tls.clone()));
    }
    drop(bound);
    ending.cancel();
    requests.close();
    // Who has not finished by then has had the time of several requests.
    let _ = tokio::time::timeout(FINISH, requests.wait()).await;
    Ok(())
}

fn refuse(limit: &'static str) {
    metrics::counter!(metric::REFUSED, "limit" => limit).increment(1);
}

/// Most errors of `accept` are one client's, gone before it was let in; without descriptors it
/// would fail again at once.
async fn pause_after(error: &io::Error) {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    if !matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset
    ) {
        tracing::warn!(%error, "no connection could be accepted, will go on shortly");
        tokio::time::sleep(ACCEPT_PAUSE).await;
    }
}

struct Connection {
    address: SocketAddr,
    router: Router,
    times: Times,
    ending: CancellationToken,
    place: Place,
}

/// A connection's place among all and among those of its address, as long as it is open.
#[derive(Debug)]
struct Place {
    _all: OwnedSemaphorePermit,
    _of_address: Admitted,
}

impl Connection {
    async fn run(self, stream: TcpStream, tls: Option<Tls>) {
        match tls {
            None => {
                let outlet = Arc::new(Outlet::new(stream));
                let peer = Peer::new(self.address, false);
                peer.is_written_by(&outlet);
                self.serve(Plain(outlet), peer).await;
            }
            Some(tls) => {
                let handshake = tls.acceptor().accept(stream);
                match tokio::time::timeout(self.times.handshake, handshake).await {
                    Ok(Ok(stream)) => {
                        let peer = Peer::new(self.address, true);
                        self.serve(stream, peer).await;
                    }
                    Ok(Err(_)) => refuse("handshake_failed"),
                    Err(_) => refuse("handshake_slow"),
                }
            }
        }
    }

    async fn serve<S: guarded::Stream>(self, stream: S, peer: Peer) {
        let guarded = Guarded::new(stream, peer.clone(), self.times, self.place);
        let router = self.router;
        let service = hyper::service::service_fn(move |request: Request<Incoming>| {
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(ConnectInfo(peer.clone()));
            // A router is always ready, and cheap to clone.
            router.clone().call(request)
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.times.head)
            .max_buf_size(HEAD_MAX)
            .serve_connection(TokioIo::new(guarded), service)
            .with_upgrades();
        let mut connection = pin!(connection);
        // How a client's connection ended is the client's affair.
        tokio::select! {
            _ = connection.as_mut() => {}
            () = self.ending.cancelled() => {
                connection.as_mut().graceful_shutdown();
                let _ = connection.await;
            }
        }
    }
}

#[cfg(test)]
mod tests;
