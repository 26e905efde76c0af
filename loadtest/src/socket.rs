//! A small socket.io 5 client over WebSocket, made to be opened by the thousand.
//!
//! Three layers, each usable alone: [`packet`] reads and writes the text of packets,
//! [`Connection`] is one socket read by whoever holds it (10 KB each, so viewers use it), and
//! [`connect`] gives it to a task of its own and hands out a [`Sender`] and its [`Events`],
//! which is what a test of behaviour wants.

mod connection;
pub mod packet;
mod split;
#[cfg(test)]
mod tests;

use std::fmt;

pub use connection::{Connect, Connection, Received};
pub use split::{AckError, Event, Events, Sender};

use serde_json::Value;

/// Why a connection is over.
#[derive(Debug, Clone, PartialEq)]
pub enum Closed {
    /// The server ended the socket.io session: it does not want us back by ourselves.
    Disconnected,
    /// The server refused the namespace; its answer says why.
    Refused(Value),
    /// A WebSocket close frame, with its code and reason.
    Frame(u16, String),
    /// The transport ended without a word.
    Lost(String),
    /// No packet came for the ping interval and time-out that the server had named.
    Silent,
    /// The server sent what is no packet of the protocol.
    Malformed(String),
    /// We closed it.
    Ours,
}

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Closed::Disconnected => write!(f, "disconnected by the server"),
            Closed::Refused(why) => write!(f, "refused by the server: {why}"),
            Closed::Frame(code, reason) => write!(f, "closed with {code} {reason:?}"),
            Closed::Lost(why) => write!(f, "connection lost: {why}"),
            Closed::Silent => write!(f, "the server has gone silent"),
            Closed::Malformed(what) => write!(f, "not a packet: {what}"),
            Closed::Ours => write!(f, "closed by us"),
        }
    }
}

impl std::error::Error for Closed {}

/// Connects to the server at an `http://` address and reads its events in a task.
pub async fn connect(url: &str, headers: &[(&str, &str)]) -> anyhow::Result<(Sender, Events)> {
    let mut connect = Connect::to(url)?;
    for (name, value) in headers {
        connect = connect.header(name, value)?;
    }
    Ok(connect.open().await?.split())
}
