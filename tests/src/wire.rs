//! A wire, most often to a database, which a test freezes or cuts.
//!
//! Bytes are carried both ways and nothing is looked at. Frozen, it is as if the database's
//! process were stopped: connections are taken and stay, what is written waits, and comes through
//! later. Cut, there is nobody at all. It may grow long: then everything takes its time, and not
//! always the same. Nodes may have such wires between them too.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

/// How many pieces are under way at most; from who says more nothing is read meanwhile.
const UNDER_WAY: usize = 64;

/// Whether anything goes through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// All does.
    Open,
    /// Nothing for now.
    Frozen,
    /// Connections end, and no new one lasts.
    Cut,
}

/// How long something is under way: so long, more or less.
#[derive(Debug, Clone, Copy, Default)]
struct Delay {
    takes: Duration,
    wavers: Duration,
}

/// A wire. It ends with the test's runtime.
#[derive(Debug)]
pub struct Wire {
    address: SocketAddr,
    flow: watch::Sender<Flow>,
    delay: watch::Sender<Delay>,
    dialled: watch::Receiver<usize>,
}

impl Wire {
    /// A wire to `host:port`. It begins at the same host, for that is where a driver looks for a
    /// database that tells its address.
    pub async fn to(server: &str, flow: Flow) -> Wire {
        let (host, _) = server.rsplit_once(':').expect("host:port");
        Wire::at(host, server, flow).await
    }

    /// The same, which begins at this host.
    pub async fn at(host: &str, server: &str, flow: Flow) -> Wire {
        let listener = TcpListener::bind((host, 0)).await;
        let listener = listener.unwrap_or_else(|error| panic!("a wire at {host}: {error}"));
        let address = listener
            .local_addr()
            .expect("a bound socket has an address");
        let (flow, changes) = watch::channel(flow);
        let (delay, long) = watch::channel(Delay::default());
        let (count, dialled) = watch::channel(0);
        let server = server.to_owned();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                count.send_modify(|count| *count += 1);
                let server = server.clone();
                tokio::spawn(connection(client, server, changes.clone(), long.clone()));
            }
        });
        Wire {
            address,
            flow,
            delay,
            dialled,
        }
    }

    /// A wire to the database that this run is about.
    pub async fn to_database(flow: Flow) -> Wire {
        Wire::to(&crate::settings::database(), flow).await
    }

    /// Where it begins.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// Lets through what it is told to, from now on.
    pub fn turn(&self, flow: Flow) {
        self.flow.send_replace(flow);
    }

    /// From now on everything is so long under way, there and back each.
    pub fn takes(&self, delay: Duration) {
        self.wavers(delay, Duration::ZERO);
    }

    /// The same, by so much more or less.
    pub fn wavers(&self, takes: Duration, wavers: Duration) {
        self.delay.send_replace(Delay { takes, wavers });
    }

    /// How often it was dialled so far.
    pub fn dials(&self) -> usize {
        *self.dialled.borrow()
    }

    /// Waits until it was dialled so often, from its beginning on.
    pub async fn dialled(&self, times: usize) {
        let mut dialled = self.dialled.clone();
        let waiting = dialled.wait_for(|count| *count >= times);
        let dialled = crate::within_limit("a connection to the database", waiting).await;
        drop(dialled.expect("the wire is there"));
    }
}

async fn connection(
    client: TcpStream,
    server: String,
    flow: watch::Receiver<Flow>,
    delay: watch::Receiver<Delay>,
) {
    let cut = async {
        let mut flow = flow.clone();
        // An error is the test's end, which is one too.
        drop(flow.wait_for(|flow| *flow == Flow::Cut).await);
    };
    let carry = async {
        let Ok(server) = TcpStream::connect(server).await else {
            return;
        };
        let (client_in, client_out) = client.into_split();
        let (server_in, server_out) = server.into_split();
        tokio::select! {
            () = pump(client_in, server_out, flow.clone(), delay.clone()) => {}
            () = pump(server_in, client_out, flow.clone(), delay.clone()) => {}
        }
    };
    tokio::select! {
        () = cut => {}
        () = carry => {}
    }
}

/// Carries one way. What is read while something is under way follows it, each in its own time.
async fn pump(
    mut from: impl AsyncReadExt + Unpin,
    mut to: impl AsyncWriteExt + Unpin,
    mut flow: watch::Receiver<Flow>,
    delay: watch::Receiver<Delay>,
) {
    let (sent, mut under_way) = mpsc::channel::<(Instant, Vec<u8>)>(UNDER_WAY);
    // The same each time.
    let mut random = StdRng::seed_from_u64(0);
    let reads = async move {
        loop {
            let mut buffer = vec![0; 16 << 10];
            let Ok(length @ 1..) = from.read(&mut buffer).await else {
                return;
            };
            buffer.truncate(length);
            let Delay { takes, wavers } = *delay.borrow();
            let due = Instant::now() + takes.saturating_sub(wavers);
            let due = due + (2 * wavers).mul_f64(random.random_range(0.0..1.0));
            if sent.send((due, buffer)).await.is_err() {
                return;
            }
        }
    };
    let writes = async {
        while let Some((due, bytes)) = under_way.recv().await {
            tokio::time::sleep_until(due).await;
            if flow.wait_for(|flow| *flow == Flow::Open).await.is_err()
                || to.write_all(&bytes).await.is_err()
            {
                return;
            }
        }
    };
    tokio::pin!(writes);
    tokio::select! {
        // What was said before the end arrives.
        () = reads => writes.await,
        () = &mut writes => {}
    }
}
