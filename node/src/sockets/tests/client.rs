//! A socket.io client, as raw as it gets: the edge is to be seen, not a library.

use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

/// No step of these tests may take longer; none takes nearly as long.
const PATIENCE: Duration = Duration::from_secs(30);

pub async fn within<F: Future>(step: F) -> F::Output {
    tokio::time::timeout(PATIENCE, step)
        .await
        .expect("too slow")
}

pub struct Client {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    acks: u64,
}

/// What comes from the server.
#[derive(Debug, PartialEq)]
pub enum Heard {
    Event(String, Value),
    Ack(u64, Value),
    /// The server told it to go.
    Dismissed,
    Closed,
}

impl Client {
    /// Opens a WebSocket; `version` is Engine.IO's.
    pub async fn open(
        address: SocketAddr,
        version: u8,
        headers: &[(&'static str, &str)],
    ) -> Result<Self, tungstenite::Error> {
        let query = format!("EIO={version}&transport=websocket");
        Self::open_with(address, &query, headers).await
    }

    pub async fn open_with(
        address: SocketAddr,
        query: &str,
        headers: &[(&'static str, &str)],
    ) -> Result<Self, tungstenite::Error> {
        let url = format!("ws://{address}/socket.io/?{query}");
        let mut request = url.into_client_request()?;
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        let (socket, _) = within(tokio_tungstenite::connect_async(request)).await?;
        Ok(Client { socket, acks: 0 })
    }

    /// One that is connected to the namespace, as clients 4.x do it.
    pub async fn connect(address: SocketAddr) -> Self {
        let mut client = Self::open(address, 4, &[]).await.unwrap();
        client.send("40").await;
        client.connected().await;
        client
    }

    /// Waits for the word that it is connected to the namespace, as every client does before it
    /// emits anything.
    pub async fn connected(&mut self) {
        loop {
            let message = within(self.socket.next()).await.unwrap().unwrap();
            match message {
                Message::Text(packet) if packet.starts_with("40") => return,
                // The first is as early as that.
                Message::Text(packet) if packet == "2" => self.tries("3").await,
                _ => {}
            }
        }
    }

    pub async fn send(&mut self, packet: &str) {
        self.socket.send(Message::text(packet)).await.unwrap();
    }

    /// Says something to a server that may have hung up.
    pub async fn tries(&mut self, packet: &str) {
        let _ = self.socket.send(Message::text(packet)).await;
    }

    pub async fn emit(&mut self, event: &str, argument: &Value) {
        self.send(&format!("42{}", json!([event, argument]))).await;
    }

    /// Asks for an acknowledgement and gives its number.
    pub async fn ask(&mut self, event: &str, argument: &Value) -> u64 {
        let ack = self.acks;
        self.acks += 1;
        let packet = json!([event, argument]);
        self.send(&format!("42{ack}{packet}")).await;
        ack
    }

    pub async fn log_in(&mut self, username: &str, ting_auth: &str) {
        let who = json!({"username": username, "ting_auth": ting_auth});
        self.emit("login", &who).await;
        let (event, response) = self.event().await;
        assert_eq!(
            (event.as_str(), &response["success"]),
            ("login-response", &json!(true))
        );
    }

    /// The next that is not the transport's own.
    pub async fn hear(&mut self) -> Heard {
        loop {
            let Some(Ok(message)) = within(self.socket.next()).await else {
                return Heard::Closed;
            };
            let Message::Text(packet) = message else {
                continue;
            };
            match packet.as_bytes() {
                [b'2'] => self.tries("3").await,
                [b'4', b'1', ..] => return Heard::Dismissed,
                [b'4', b'2', ..] => {
                    let mut event: Value = serde_json::from_str(&packet[2..]).unwrap();
                    let name = event[0].as_str().unwrap().to_owned();
                    return Heard::Event(name, event[1].take());
                }
                [b'4', b'3', ..] => {
                    let (ack, body) = packet[2..].split_at(packet[2..].find('[').unwrap());
                    let mut body: Value = serde_json::from_str(body).unwrap();
                    return Heard::Ack(ack.parse().unwrap(), body[0].take());
                }
                // Opened, connected, probed.
                _ => {}
            }
        }
    }

    /// The next event.
    pub async fn event(&mut self) -> (String, Value) {
        loop {
            match self.hear().await {
                Heard::Event(event, argument) => return (event, argument),
                Heard::Ack(..) => {}
                over => panic!("{over:?} instead of an event"),
            }
        }
    }

    /// The answer to what was asked.
    pub async fn answer(&mut self, asked: u64) -> Value {
        loop {
            match self.hear().await {
                Heard::Ack(ack, body) if ack == asked => return body,
                Heard::Event(..) | Heard::Ack(..) => {}
                over => panic!("{over:?} instead of an answer"),
            }
        }
    }

    /// Waits until the server has hung up, whatever it says before.
    pub async fn closed(&mut self) {
        while self.hear().await != Heard::Closed {}
    }
}

/// One request, as polling makes it; the status and the body.
pub async fn request(
    address: SocketAddr,
    method: &str,
    query: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> (u16, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let headers: String = headers
        .iter()
        .map(|(n, v)| format!("{n}: {v}\r\n"))
        .collect();
    let head = format!(
        "{method} /socket.io/?{query} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\
         Content-Length: {}\r\n{headers}\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(body.as_bytes()).await.unwrap();
    let mut answer = String::new();
    within(stream.read_to_string(&mut answer)).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head[9..12].parse().unwrap(), body.to_owned())
}
