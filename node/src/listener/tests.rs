use super::*;
use axum::extract::State;
use axum::routing::get;
use futures::{Stream, StreamExt, stream};
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

mod encrypted;

/// No step of these tests may take longer; none takes nearly as long.
const PATIENCE: Duration = Duration::from_secs(30);

struct Server {
    address: SocketAddr,
    peers: mpsc::UnboundedReceiver<Peer>,
    /// Told when an endless body is given up.
    given_up: mpsc::UnboundedReceiver<()>,
    shutdown: oneshot::Sender<()>,
    served: JoinHandle<io::Result<()>>,
}

#[derive(Clone)]
struct Told {
    peers: mpsc::UnboundedSender<Peer>,
    given_up: mpsc::UnboundedSender<()>,
}

async fn start(limits: Limits, tls: Option<Tls>) -> Server {
    let (peers_tx, peers) = mpsc::unbounded_channel();
    let (given_up_tx, given_up) = mpsc::unbounded_channel();
    let told = Told {
        peers: peers_tx,
        given_up: given_up_tx,
    };
    let router = Router::new()
        .route("/", get(hello))
        .route("/endless", get(endless))
        .with_state(told);
    let bound = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = bound.local_addr().unwrap();
    let (shutdown, ending) = oneshot::channel();
    let ended = async move {
        let _ = ending.await;
    };
    let served = tokio::spawn(serve(bound, tls, router, ended, limits));
    Server {
        address,
        peers,
        given_up,
        shutdown,
        served,
    }
}

async fn hello(State(told): State<Told>, ConnectInfo(peer): ConnectInfo<Peer>) -> &'static str {
    told.peers.send(peer).unwrap();
    "hello"
}

async fn endless(State(told): State<Told>, ConnectInfo(peer): ConnectInfo<Peer>) -> Body {
    told.peers.send(peer).unwrap();
    Body::from_stream(filler(told.given_up))
}

fn filler(given_up: mpsc::UnboundedSender<()>) -> impl Stream<Item = io::Result<Vec<u8>>> + Send {
    struct Tell(mpsc::UnboundedSender<()>);
    impl Drop for Tell {
        fn drop(&mut self) {
            let _ = self.0.send(());
        }
    }
    let tell = Tell(given_up);
    stream::repeat_with(move || {
        let _kept = &tell;
        Ok(vec![b'x'; 16 * 1024])
    })
    .boxed()
}

async fn within<F: Future>(step: F) -> F::Output {
    tokio::time::timeout(PATIENCE, step)
        .await
        .expect("too slow")
}

async fn ask(stream: &mut TcpStream, path: &str) {
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
}

/// Reads until the answer has ended with this.
async fn read_until(stream: &mut TcpStream, end: &str) -> String {
    let mut read = String::new();
    while !read.ends_with(end) {
        let mut buffer = [0; 1024];
        let length = within(stream.read(&mut buffer)).await.unwrap();
        assert_ne!(length, 0, "ended after {read:?}");
        read.push_str(std::str::from_utf8(&buffer[..length]).unwrap());
    }
    read
}

/// Whether the other side has hung up, waiting for it.
async fn is_over(stream: &mut TcpStream) -> bool {
    let mut rest = Vec::new();
    let ended = within(stream.read_to_end(&mut rest)).await;
    // With a reset it is over as well.
    ended.is_ok() || ended.is_err_and(|error| error.kind() == io::ErrorKind::ConnectionReset)
}

fn short(change: impl FnOnce(&mut Times)) -> Limits {
    let mut limits = Limits::default();
    change(&mut limits.times);
    limits
}

#[tokio::test]
async fn a_client_that_stops_reading_is_ended() {
    let limits = short(|times| times.write_stall = Duration::from_millis(200));
    let mut server = start(limits, None).await;
    let mut client = TcpStream::connect(server.address).await.unwrap();
    ask(&mut client, "/endless").await;
    within(server.given_up.recv()).await.unwrap();
    assert!(within(server.peers.recv()).await.unwrap().is_over());
}

#[tokio::test]
async fn a_socket_that_stops_reading_is_ended_sooner_and_its_reader_notices() {
    let bound = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let _client = TcpStream::connect(bound.local_addr().unwrap()).await;
    let (stream, address) = bound.accept().await.unwrap();
    let peer = Peer::new(address, false);
    peer.becomes_socket();
    let times = short(|times| times.socket_write_stall = Duration::from_millis(200)).times;
    let place = Place {
        _all: Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap(),
        _of_address: PerAddress::new(1).admit(None).unwrap(),
    };
    let stream = Plain(Arc::new(Outlet::new(stream)));
    let guarded = Guarded::new(stream, peer.clone(), times, place);
    let (mut reader, mut writer) = tokio::io::split(guarded);
    let reading = tokio::spawn(async move { reader.read_u8().await });
    // More than the system holds for anybody; when it is over, the rest vanishes.
    let bytes = vec![b'x'; 64 * 1024 * 1024];
    within(writer.write_all(&bytes)).await.unwrap();
    assert!(peer.is_over() && peer.written() < bytes.len() as u64);
    let noticed = within(reading).await.unwrap().unwrap_err();
    assert_eq!(noticed.kind(), io::ErrorKind::ConnectionAborted);
}

#[tokio::test]
async fn the_switch_ends_a_connection_at_once() {
    let mut server = start(Limits::default(), None).await;
    let mut client = TcpStream::connect(server.address).await.unwrap();
    ask(&mut client, "/").await;
    read_until(&mut client, "hello").await;
    within(server.peers.recv()).await.unwrap().end();
    assert!(is_over(&mut client).await);
}

#[tokio::test]
async fn the_switch_ends_a_connection_whose_client_does_not_read() {
    let limits = short(|times| times.write_stall = 10 * PATIENCE);
    let mut server = start(limits, None).await;
    let mut client = TcpStream::connect(server.address).await.unwrap();
    ask(&mut client, "/endless").await;
    within(server.peers.recv()).await.unwrap().abort();
    within(server.given_up.recv()).await.unwrap();
    assert!(is_over(&mut client).await);
}

#[tokio::test]
async fn a_head_that_never_ends_is_not_waited_for() {
    let limits = short(|times| times.head = Duration::from_millis(100));
    let server = start(limits, None).await;
    let mut client = TcpStream::connect(server.address).await.unwrap();
    client.write_all(b"GET / HTTP/1.1\r\nHost:").await.unwrap();
    assert!(is_over(&mut client).await);
}

#[tokio::test]
async fn a_connection_without_requests_is_ended() {
    let limits = short(|times| times.head = Duration::from_millis(100));
    let server = start(limits, None).await;
    let mut client = TcpStream::connect(server.address).await.unwrap();
    ask(&mut client, "/").await;
    let answer = read_until(&mut client, "hello").await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(is_over(&mut client).await);
}

#[tokio::test]
async fn connections_have_a_limit_and_give_their_place_back() {
    let limits = Limits {
        connections: 1,
        ..Limits::default()
    };
    let mut server = start(limits, None).await;
    let mut first = TcpStream::connect(server.address).await.unwrap();
    ask(&mut first, "/").await;
    read_until(&mut first, "hello").await;
    let mut second = TcpStream::connect(server.address).await.unwrap();
    assert!(is_over(&mut second).await);
    within(server.peers.recv()).await.unwrap().end();
    assert!(is_over(&mut first).await);
    // The place is free when the server has let go of the first, a moment after it hung up.
    within(async {
        loop {
            let mut third = TcpStream::connect(server.address).await.unwrap();
            ask(&mut third, "/").await;
            let mut first_byte = [0];
            if matches!(third.read(&mut first_byte).await, Ok(1)) {
                return;
            }
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_head_too_large_is_refused_in_words() {
    let server = start(Limits::default(), None).await;
    let mut client = TcpStream::connect(server.address).await.unwrap();
    let request = format!(
        "GET / HTTP/1.1\r\nHost: localhost\r\nCookie: {}",
        "x".repeat(HEAD_MAX + 1)
    );
    client.write_all(request.as_bytes()).await.unwrap();
    let mut status = [0; 12];
    within(client.read_exact(&mut status)).await.unwrap();
    assert_eq!(&status, b"HTTP/1.1 431");
}

#[tokio::test]
async fn the_end_waits_for_requests_under_way() {
    let mut server = start(Limits::default(), None).await;
    let mut idle = TcpStream::connect(server.address).await.unwrap();
    ask(&mut idle, "/").await;
    read_until(&mut idle, "hello").await;
    within(server.peers.recv()).await.unwrap();
    let mut busy = TcpStream::connect(server.address).await.unwrap();
    ask(&mut busy, "/endless").await;
    let peer = within(server.peers.recv()).await.unwrap();
    server.shutdown.send(()).unwrap();
    assert!(is_over(&mut idle).await);
    assert!(!server.served.is_finished());
    let mut bytes = vec![0; 1024 * 1024];
    within(busy.read_exact(&mut bytes)).await.unwrap();
    peer.end();
    within(server.served).await.unwrap().unwrap();
    assert!(TcpStream::connect(server.address).await.is_err());
}
