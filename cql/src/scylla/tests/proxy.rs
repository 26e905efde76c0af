//! A wire to the database that loses what a test tells it to.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// It never arrives.
    LoseRequest,
    /// It is carried out, and nobody hears of it.
    LoseAnswer,
    /// It is carried out, and answered [`LATE`]; so is what was asked after it.
    DelayAnswer,
    /// It is carried out, and answered as if too few replicas were there.
    Refuse,
    /// It is carried out, and the connection ends before the answer.
    Cut,
}

/// How late a delayed answer is: within the time that a statement may take.
pub(super) const LATE: Duration = Duration::from_millis(1_000);

/// One fault, for one request.
#[derive(Debug, Clone)]
struct Trap {
    /// Bytes that the request holds.
    marker: Vec<u8>,
    /// So many such requests go through before.
    skip: usize,
    fault: Fault,
}

/// Whether anything goes through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wire {
    Whole,
    /// Connections end, and no new one lasts.
    Cut,
    /// Connections stay, and nothing comes through until later, as when the other end is frozen.
    Hung,
}

#[derive(Debug)]
pub(super) struct Proxy {
    pub(super) address: SocketAddr,
    trap: Arc<Mutex<Option<Trap>>>,
    wire: watch::Sender<Wire>,
}

impl Proxy {
    pub(super) async fn start(server: String) -> Self {
        // At the server's own address: that is where a driver looks for the node it is told of.
        let (host, _) = server.rsplit_once(':').unwrap();
        let listener = TcpListener::bind((host, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let trap = Arc::new(Mutex::new(None));
        let (wire, changes) = watch::channel(Wire::Whole);
        let shared = trap.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (trap, wire) = (shared.clone(), changes.clone());
                let server = server.clone();
                tokio::spawn(async move {
                    if *wire.borrow() == Wire::Cut {
                        return;
                    }
                    let server = TcpStream::connect(server).await.unwrap();
                    // As the driver and the database have it: else some answers come 40 ms late.
                    for end in [&client, &server] {
                        end.set_nodelay(true).unwrap();
                    }
                    carry(client, server, trap, wire).await;
                });
            }
        });
        Proxy {
            address,
            trap,
            wire,
        }
    }

    /// The next request that holds these bytes, after `skip` others, meets this fault.
    pub(super) fn set(&self, marker: &[u8], skip: usize, fault: Fault) {
        let marker = marker.to_vec();
        *self.trap.lock().unwrap() = Some(Trap {
            marker,
            skip,
            fault,
        });
    }

    /// Whether the fault was met.
    pub(super) fn sprung(&self) -> bool {
        self.trap.lock().unwrap().is_none()
    }

    /// From now on requests that hold these bytes are counted.
    pub(super) fn count(&self, marker: &[u8]) {
        self.set(marker, usize::MAX, Fault::LoseRequest);
    }

    /// How many there were.
    pub(super) fn counted(&self) -> usize {
        let trap = self.trap.lock().unwrap();
        trap.as_ref().map_or(0, |trap| usize::MAX - trap.skip)
    }

    pub(super) fn turn(&self, wire: Wire) {
        self.wire.send_replace(wire);
    }
}

async fn carry(
    client: TcpStream,
    server: TcpStream,
    trap: Arc<Mutex<Option<Trap>>>,
    mut wire: watch::Receiver<Wire>,
) {
    let (client_in, client_out) = client.into_split();
    let (server_in, server_out) = server.into_split();
    // The streams of requests whose answers meet a fault.
    let marked = Arc::new(Mutex::new(Vec::new()));
    let cut = async {
        // Ends with the test, too.
        let _ = wire.clone().wait_for(|wire| *wire == Wire::Cut).await;
    };
    let hung = wire.clone();
    tokio::select! {
        () = requests(client_in, server_out, trap, marked.clone(), hung.clone()) => {}
        () = answers(server_in, client_out, marked, hung) => {}
        () = cut => {}
    }
    wire.mark_unchanged();
}

/// Streams, and what becomes of the answer on each.
type Marked = Arc<Mutex<Vec<([u8; 2], Fault)>>>;

/// A frame's head: version, flags, two bytes of stream, opcode, four bytes of length.
const HEAD: usize = 9;
const EXECUTE: u8 = 0x0a;
const BATCH: u8 = 0x0d;

async fn frame(from: &mut OwnedReadHalf) -> Option<Vec<u8>> {
    let mut frame = vec![0; HEAD];
    from.read_exact(&mut frame).await.ok()?;
    let length = u32::from_be_bytes(frame[5..9].try_into().unwrap()) as usize;
    frame.resize(HEAD + length, 0);
    from.read_exact(&mut frame[HEAD..]).await.ok()?;
    Some(frame)
}

async fn requests(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    trap: Arc<Mutex<Option<Trap>>>,
    marked: Marked,
    mut wire: watch::Receiver<Wire>,
) {
    while let Some(frame) = frame(&mut from).await {
        // Ends with the test, too.
        let _ = wire.wait_for(|wire| *wire != Wire::Hung).await;
        match spring(&trap, &frame) {
            Some(Fault::LoseRequest) => continue,
            Some(fault @ (Fault::LoseAnswer | Fault::DelayAnswer | Fault::Refuse)) => {
                marked.lock().unwrap().push(([frame[2], frame[3]], fault));
            }
            Some(Fault::Cut) => {
                let _ = to.write_all(&frame).await;
                // What was written is carried out, for the server reads it before the end.
                let _ = to.shutdown().await;
                return;
            }
            None => {}
        }
        if to.write_all(&frame).await.is_err() {
            return;
        }
    }
}

fn spring(trap: &Mutex<Option<Trap>>, frame: &[u8]) -> Option<Fault> {
    let mut trap = trap.lock().unwrap();
    let set = trap.as_mut()?;
    let marked = [EXECUTE, BATCH].contains(&frame[4])
        && frame
            .windows(set.marker.len())
            .any(|window| window == set.marker);
    if !marked {
        return None;
    }
    if set.skip > 0 {
        set.skip -= 1;
        return None;
    }
    let fault = set.fault;
    *trap = None;
    Some(fault)
}

async fn answers(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    marked: Marked,
    mut wire: watch::Receiver<Wire>,
) {
    while let Some(mut frame) = frame(&mut from).await {
        // Ends with the test, too.
        let _ = wire.wait_for(|wire| *wire != Wire::Hung).await;
        let stream = [frame[2], frame[3]];
        let fault = {
            let mut marked = marked.lock().unwrap();
            let position = marked.iter().position(|(marked, _)| *marked == stream);
            position.map(|position| marked.swap_remove(position).1)
        };
        match fault {
            Some(Fault::LoseAnswer) => continue,
            Some(Fault::DelayAnswer) => tokio::time::sleep(LATE).await,
            Some(Fault::Refuse) => frame = refusal(&frame),
            _ => {}
        }
        if to.write_all(&frame).await.is_err() {
            return;
        }
    }
}

/// The answer `UNAVAILABLE` instead of that one: one replica of the two that make a quorum is there.
fn refusal(answer: &[u8]) -> Vec<u8> {
    const ERROR: u8 = 0x00;
    let why = b"too few replicas";
    let mut body = 0x1000_u32.to_be_bytes().to_vec();
    body.extend(u16::try_from(why.len()).unwrap().to_be_bytes());
    body.extend(why);
    body.extend(6_u16.to_be_bytes());
    body.extend(2_u32.to_be_bytes());
    body.extend(1_u32.to_be_bytes());
    let mut frame = vec![answer[0], 0, answer[2], answer[3], ERROR];
    frame.extend(u32::try_from(body.len()).unwrap().to_be_bytes());
    frame.extend(body);
    frame
}
