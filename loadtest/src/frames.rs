//! What the server says to a viewer: the events of the protocol, parsed in place.

use std::{borrow::Cow, collections::HashMap};

use serde::Deserialize;

use crate::{
    judge::Shown,
    socket::{Received, packet, packet::Packet},
};

/// One event, of those that viewers care about.
#[derive(Debug)]
pub enum Said<'a> {
    /// The answer to `login`.
    LoginResponse(LoginResponse<'a>),
    /// Messages that are being typed, or no longer are.
    Typing(HashMap<u64, Typed<'a>>),
    /// A message was sent.
    Message(Sent<'a>),
    /// These people came online.
    Joined(Vec<Cow<'a, str>>),
    /// These people went offline.
    Parted(Vec<Cow<'a, str>>),
    /// Came and went since the last.
    Presence(Presence<'a>),
    /// Anything else.
    Other,
}

/// The answer to `login`.
#[derive(Debug, Deserialize)]
pub struct LoginResponse<'a> {
    /// Whether the connection is logged in.
    pub success: bool,
    /// Why it is not.
    #[serde(borrow, default)]
    pub error: Option<Cow<'a, str>>,
}

/// A message of `update-typing-messages`.
#[derive(Debug, Deserialize)]
pub struct Typed<'a> {
    /// Its text.
    #[serde(borrow)]
    pub text: Cow<'a, str>,
    /// Its author.
    #[serde(borrow)]
    pub username: Cow<'a, str>,
    /// Whether it is still being typed.
    pub typing: bool,
}

/// A `message`.
#[derive(Debug, Deserialize)]
pub struct Sent<'a> {
    /// Its text.
    #[serde(borrow)]
    pub text: Cow<'a, str>,
    /// Its author.
    #[serde(borrow)]
    pub username: Cow<'a, str>,
    /// Its id, where the server says it.
    #[serde(default)]
    pub messageid: u64,
}

/// A `presence`.
#[derive(Debug, Deserialize)]
pub struct Presence<'a> {
    /// Who came.
    #[serde(borrow)]
    pub joined: Vec<Cow<'a, str>>,
    /// Who went.
    #[serde(borrow)]
    pub parted: Vec<Cow<'a, str>>,
}

impl Typed<'_> {
    /// As the judge wants it.
    pub fn shown(&self, id: u64) -> Shown<'_> {
        Shown {
            id,
            text: &self.text,
            username: &self.username,
            typing: self.typing,
        }
    }
}

impl Sent<'_> {
    /// As the judge wants it.
    pub fn shown(&self) -> Shown<'_> {
        Shown {
            id: self.messageid,
            text: &self.text,
            username: &self.username,
            typing: false,
        }
    }
}

/// Reads an event; the error says what could not be read.
pub fn read(received: &Received) -> Result<Said<'_>, String> {
    let Some(Packet::Event(_, payload)) = received.packet() else {
        return Ok(Said::Other);
    };
    let said = match packet::event_name(payload) {
        Some("update-typing-messages") => argument(payload).map(Said::Typing),
        Some("login-response") => argument(payload).map(Said::LoginResponse),
        Some("message") => argument(payload).map(Said::Message),
        Some("join") => argument(payload).map(|name| Said::Joined(vec![name])),
        Some("part") => argument(payload).map(|name| Said::Parted(vec![name])),
        Some("presence") => argument(payload).map(Said::Presence),
        _ => Ok(Said::Other),
    };
    said.map_err(|error| format!("{error}: {}", payload.chars().take(200).collect::<String>()))
}

fn argument<'a, T: Deserialize<'a>>(payload: &'a str) -> serde_json::Result<T> {
    let (_name, argument): (Cow<'a, str>, T) = serde_json::from_str(payload)?;
    Ok(argument)
}
