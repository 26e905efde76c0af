//! Bytes on a TCP connection, for requests that no HTTP client would make.

use crate::LIMIT;
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// Dials.
pub async fn dial(address: &str) -> TcpStream {
    match timeout(LIMIT, TcpStream::connect(address)).await {
        Ok(Ok(stream)) => stream,
        other => panic!("no connection to {address}: {other:?}"),
    }
}

/// Sends bytes, and reads until the server closes or says nothing for a while; what it said.
pub async fn exchange(address: &str, bytes: &[u8], quiet: Duration) -> Vec<u8> {
    let mut stream = dial(address).await;
    // A server that has refused already may have closed.
    let _ = stream.write_all(bytes).await;
    let mut said = Vec::new();
    let mut part = [0; 4096];
    while let Ok(Ok(length @ 1..)) = timeout(quiet, stream.read(&mut part)).await {
        said.extend_from_slice(&part[..length]);
    }
    said
}

/// A request with these lines, one answer, then the end; its status and all of it.
pub async fn request(address: &str, head: &str, body: &[u8]) -> (u16, String) {
    let mut bytes = head.replace('\n', "\r\n").into_bytes();
    bytes.extend_from_slice(b"\r\nConnection: close\r\n\r\n");
    bytes.extend_from_slice(body);
    let said = exchange(address, &bytes, LIMIT).await;
    let said = String::from_utf8_lossy(&said).into_owned();
    (status(&said), said)
}

/// The status of an answer; 0 if it is none.
pub fn status(said: &str) -> u16 {
    let status = said
        .strip_prefix("HTTP/1.1 ")
        .and_then(|rest| rest.get(..3));
    status.and_then(|status| status.parse().ok()).unwrap_or(0)
}

/// Waits until the server ends a connection; whatever else it says is dropped.
pub async fn ends(stream: &mut TcpStream) {
    let mut part = [0; 4096];
    let reading = async { while let Ok(1..) = stream.read(&mut part).await {} };
    crate::within_limit("the end of a TCP connection", reading).await;
}

/// A WebSocket at `/socket.io/` whose frames are made by hand.
#[derive(Debug)]
pub struct RawSocket {
    stream: TcpStream,
}

impl RawSocket {
    /// Dials, with as little room for what the server sends as there may be, and upgrades.
    pub async fn open(address: &str) -> std::io::Result<RawSocket> {
        let socket = tokio::net::TcpSocket::new_v4()?;
        socket.set_recv_buffer_size(4096)?;
        let place = address.parse().map_err(std::io::Error::other)?;
        let mut stream = socket.connect(place).await?;
        let head = format!(
            "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: {address}\r\n\
             Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await?;
        let mut said = Vec::new();
        while !said.ends_with(b"\r\n\r\n") {
            said.push(stream.read_u8().await?);
        }
        if !said.starts_with(b"HTTP/1.1 101") {
            return Err(std::io::Error::other(String::from_utf8_lossy(&said)));
        }
        Ok(RawSocket { stream })
    }

    /// Opens, connects the namespace and logs in.
    pub async fn logged_in(address: &str, login: &serde_json::Value) -> std::io::Result<RawSocket> {
        let mut socket = RawSocket::open(address).await?;
        socket.text("40").await?;
        // As every client does: what is said before the server has let one in is not heard.
        let mut last = [0; 3];
        while last != *b"40{" {
            last.rotate_left(1);
            last[2] = timeout(LIMIT, socket.read_byte())
                .await
                .unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()))?;
        }
        // The server's other answers are small and few, and wait in the kernel meanwhile.
        socket.text(&format!("42[\"login\",{login}]")).await?;
        Ok(socket)
    }

    /// Sends a text frame.
    pub async fn text(&mut self, text: &str) -> std::io::Result<()> {
        self.write(&frame(0x81, text.as_bytes())).await
    }

    /// Sends any bytes.
    pub async fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        timeout(LIMIT, self.stream.write_all(bytes))
            .await
            .unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()))
    }

    /// Reads one byte.
    pub async fn read_byte(&mut self) -> std::io::Result<u8> {
        self.stream.read_u8().await
    }

    /// Waits until the server ends it.
    pub async fn ends(&mut self) {
        ends(&mut self.stream).await;
    }

    /// Both halves, to write while what comes is dropped.
    pub fn into_stream(self) -> TcpStream {
        self.stream
    }
}

/// A frame as clients send it, masked with zeros: first byte, then the payload.
pub fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = head(first, payload.len() as u64);
    bytes.extend_from_slice(payload);
    bytes
}

/// The head of a frame that says it is this long.
pub fn head(first: u8, length: u64) -> Vec<u8> {
    let mut bytes = vec![first];
    match length {
        0..=125 => bytes.push(0x80 | length as u8),
        126..=65_535 => {
            bytes.push(0x80 | 126);
            bytes.extend_from_slice(&(length as u16).to_be_bytes());
        }
        _ => {
            bytes.push(0x80 | 127);
            bytes.extend_from_slice(&length.to_be_bytes());
        }
    }
    bytes.extend_from_slice(&[0; 4]);
    bytes
}
