//! One socket, read by whoever holds it.
//!
//! Pings are answered while it is being read, so a viewer that stops reading on purpose looks
//! to the server exactly as a stalled browser does.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use anyhow::{Context, bail, ensure};
use futures::{SinkExt, StreamExt};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::{
    net::{TcpSocket, TcpStream, lookup_host},
    time::{Instant, timeout, timeout_at},
};
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{
        Error, Message, Utf8Bytes,
        client::IntoClientRequest,
        handshake::client::Request,
        http::{HeaderName, HeaderValue},
        protocol::WebSocketConfig,
    },
};
use url::Url;

use super::{Closed, Events, Sender, packet, packet::Packet, split};

/// How long a connection may take until its namespace is connected; longer is as good as never.
const OPEN_LIMIT: Duration = Duration::from_secs(15);

/// Enough for the keystroke frames of a lively channel; the default of 128 KiB would be most
/// of what thousands of viewers cost.
const READ_BUFFER_BYTES: usize = 1024;

/// How a connection is to be made.
#[derive(Debug, Clone)]
pub struct Connect {
    host: String,
    port: u16,
    request: Request,
    auth: Option<Value>,
    source: Option<IpAddr>,
    receive_buffer_bytes: Option<u32>,
    limit: Duration,
}

impl Connect {
    /// A connection to the server at this `http://host:port` address.
    pub fn to(url: &str) -> anyhow::Result<Self> {
        let parsed = Url::parse(url).with_context(|| format!("{url:?} is not an address"))?;
        if !matches!(parsed.scheme(), "http" | "ws") {
            bail!("{url:?}: only http:// addresses are spoken to");
        }
        let host = parsed
            .host_str()
            .with_context(|| format!("{url:?} names no host"))?
            .to_owned();
        let port = parsed.port().unwrap_or(80);
        let request = format!("ws://{host}:{port}/socket.io/?EIO=4&transport=websocket")
            .into_client_request()
            .with_context(|| format!("{url:?} can't be asked for a WebSocket"))?;
        Ok(Connect {
            host,
            port,
            request,
            auth: None,
            source: None,
            receive_buffer_bytes: None,
            limit: OPEN_LIMIT,
        })
    }

    /// Adds a header to the handshake, such as `Origin` or `Cookie`.
    pub fn header(mut self, name: &str, value: &str) -> anyhow::Result<Self> {
        let header: HeaderName = name.parse().with_context(|| format!("header {name:?}"))?;
        let value = HeaderValue::from_str(value).with_context(|| format!("value of {name:?}"))?;
        self.request.headers_mut().append(header, value);
        Ok(self)
    }

    /// Sends this object with the request for the namespace.
    pub fn auth(mut self, auth: Value) -> Self {
        self.auth = Some(auth);
        self
    }

    /// Dials from this address: each loopback address has its own 28,000 ephemeral ports.
    pub fn from(mut self, source: IpAddr) -> Self {
        self.source = Some(source);
        self
    }

    /// Bounds what the kernel takes in for a reader that doesn't read.
    pub fn receive_buffer(mut self, bytes: u32) -> Self {
        self.receive_buffer_bytes = Some(bytes);
        self
    }

    /// Bounds the time until the namespace is connected.
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Dials, upgrades and connects the default namespace.
    pub async fn open(self) -> anyhow::Result<Connection> {
        let limit = self.limit;
        let place = format!("{}:{}", self.host, self.port);
        timeout(limit, self.open_at_leisure())
            .await
            .unwrap_or_else(|_| bail!("no connection within {limit:?}"))
            .with_context(|| format!("connecting to {place}"))
    }

    async fn open_at_leisure(self) -> anyhow::Result<Connection> {
        let stream = self.dial().await?;
        stream.set_nodelay(true)?;
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER_BYTES)
            .write_buffer_size(0);
        let (socket, _) = client_async_with_config(self.request, stream, Some(config)).await?;
        let mut connection = Connection {
            socket,
            heard: Instant::now(),
            patience: OPEN_LIMIT,
            pong_owed: false,
            sid: String::new(),
        };
        connection.handshake(self.auth.as_ref()).await?;
        Ok(connection)
    }

    async fn dial(&self) -> anyhow::Result<TcpStream> {
        let mut last = None;
        for address in lookup_host((self.host.trim_matches(['[', ']']), self.port)).await? {
            match self.dial_address(address).await {
                Ok(stream) => return Ok(stream),
                Err(error) => last = Some(error),
            }
        }
        Err(last.map_or_else(|| anyhow::anyhow!("the name has no address"), Into::into))
    }

    async fn dial_address(&self, address: SocketAddr) -> std::io::Result<TcpStream> {
        let socket = if address.is_ipv4() {
            TcpSocket::new_v4()?
        } else {
            TcpSocket::new_v6()?
        };
        if let Some(bytes) = self.receive_buffer_bytes {
            socket.set_recv_buffer_size(bytes)?;
        }
        if let Some(source) = self
            .source
            .filter(|source| source.is_ipv4() == address.is_ipv4())
        {
            socket.bind((source, 0).into())?;
        }
        socket.connect(address).await
    }
}

/// A text frame that is neither transport housekeeping nor an end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// When it had been read whole.
    pub at: Instant,
    text: Utf8Bytes,
}

impl Received {
    /// What it says: an [`Packet::Event`] or a [`Packet::Ack`].
    pub fn packet(&self) -> Option<Packet<'_>> {
        packet::parse(self.text.as_str())
    }

    /// How many bytes the frame carried.
    pub fn bytes(&self) -> usize {
        self.text.len()
    }
}

/// An open socket with its namespace connected.
#[derive(Debug)]
pub struct Connection {
    socket: WebSocketStream<TcpStream>,
    heard: Instant,
    patience: Duration,
    /// Kept here, so that a reader cancelled while the pong waits to be written still owes it.
    pong_owed: bool,
    sid: String,
}

/// What the server says at opening.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Opening {
    ping_interval: u64,
    ping_timeout: u64,
}

#[derive(Deserialize)]
struct Namespace {
    sid: String,
}

impl Connection {
    async fn handshake(&mut self, auth: Option<&Value>) -> anyhow::Result<()> {
        let text = self.read().await?;
        let Some(Packet::Open(opening)) = packet::parse(&text) else {
            bail!("the server opened with {:?}", text.as_str());
        };
        let opening: Opening = serde_json::from_str(opening).context("the opening packet")?;
        self.patience = Duration::from_millis(opening.ping_interval + opening.ping_timeout);
        ensure!(
            !self.patience.is_zero(),
            "the server names no ping interval"
        );
        self.send_raw(packet::connect(auth)).await?;
        loop {
            let text = self.read().await?;
            match packet::parse(&text) {
                Some(Packet::Connected(namespace)) => {
                    self.sid = serde_json::from_str::<Namespace>(namespace)
                        .context("the answer to the namespace")?
                        .sid;
                    return Ok(());
                }
                Some(Packet::Refused(why)) => {
                    let why = serde_json::from_str(why).unwrap_or(Value::String(why.to_owned()));
                    return Err(Closed::Refused(why).into());
                }
                Some(Packet::Ping) => self.send_raw("3").await?,
                _ => bail!("the namespace was answered with {:?}", text.as_str()),
            }
        }
    }

    /// The id that the server gave this connection.
    pub fn sid(&self) -> &str {
        &self.sid
    }

    /// The next event or acknowledgement. Cancelling it loses nothing.
    pub async fn next(&mut self) -> Result<Received, Closed> {
        loop {
            if self.pong_owed {
                self.send_raw("3").await?;
                self.pong_owed = false;
            }
            let text = self.read().await?;
            match packet::parse(&text) {
                Some(Packet::Event(..) | Packet::Ack(..)) => {
                    return Ok(Received {
                        at: self.heard,
                        text,
                    });
                }
                Some(Packet::Ping) => self.pong_owed = true,
                Some(Packet::Noop | Packet::Pong | Packet::Open(_) | Packet::Connected(_)) => {}
                Some(Packet::Disconnected) => return Err(Closed::Disconnected),
                Some(Packet::Close) => return Err(Closed::Lost("transport closed".to_owned())),
                Some(Packet::Refused(why)) => return Err(Closed::Refused(why.into())),
                None => return Err(Closed::Malformed(text.chars().take(80).collect())),
            }
        }
    }

    async fn read(&mut self) -> Result<Utf8Bytes, Closed> {
        loop {
            let message = timeout_at(self.heard + self.patience, self.socket.next())
                .await
                .map_err(|_| Closed::Silent)?;
            let message = match message {
                Some(message) => message.map_err(lost)?,
                None => return Err(Closed::Lost("end of stream".to_owned())),
            };
            self.heard = Instant::now();
            match message {
                Message::Text(text) => return Ok(text),
                Message::Binary(_) => return Err(Closed::Malformed("a binary frame".to_owned())),
                Message::Close(frame) => {
                    return Err(frame.map_or_else(
                        || Closed::Lost("closed without a code".to_owned()),
                        |frame| Closed::Frame(frame.code.into(), frame.reason.to_string()),
                    ));
                }
                Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
            }
        }
    }

    /// Sends an event with one argument.
    pub async fn emit(&mut self, name: &str, argument: &impl Serialize) -> anyhow::Result<()> {
        Ok(self.send_raw(packet::event(name, argument, None)?).await?)
    }

    /// Sends any text as one frame, well formed or not.
    pub async fn send_raw(&mut self, text: impl Into<Utf8Bytes>) -> Result<(), Closed> {
        self.socket
            .send(Message::Text(text.into()))
            .await
            .map_err(lost)
    }

    /// Sends any WebSocket message: binary, ping, close.
    pub async fn send_message(&mut self, message: Message) -> Result<(), Closed> {
        self.socket.send(message).await.map_err(lost)
    }

    /// Leaves the namespace and closes the socket.
    pub async fn close(mut self) {
        // A server that is gone needs no farewell, and one that doesn't read gets none.
        let farewell = async {
            let _ = self.send_raw("41").await;
            let _ = self.socket.close(None).await;
        };
        let _ = timeout(Duration::from_secs(1), farewell).await;
    }

    /// Reads in a task of its own from now on.
    pub fn split(self) -> (Sender, Events) {
        split::split(self)
    }
}

fn lost(error: Error) -> Closed {
    match error {
        Error::ConnectionClosed | Error::AlreadyClosed => Closed::Lost("end of stream".to_owned()),
        error => Closed::Lost(error.to_string()),
    }
}
