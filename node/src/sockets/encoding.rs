//! How an event looks on the wire.
//!
//! Encoded once, however many get it; the fields are those of `sockets/events.md`.

use super::metric;
use crate::listener::text_frame;
use actors::edge::{Entry, Event, Packet, Target};
use cql::{MessageId, Millis, Username};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::value::RawValue;
use std::sync::Arc;

/// The answer to a login, whether it succeeds or not.
pub const LOGIN_RESPONSE: &str = "login-response";

/// One argument, as JSON.
pub fn encode(event: Event<'_>) -> Packet {
    metrics::counter!(metric::ENCODED).increment(1);
    let (event, body) = match event {
        Event::LoggedIn { people } => (
            LOGIN_RESPONSE,
            raw(&LoggedIn {
                success: true,
                people,
            }),
        ),
        Event::Join(username) => ("join", raw(username)),
        Event::Part(username) => ("part", raw(username)),
        Event::Presence { joined, parted } => ("presence", raw(&Presence { joined, parted })),
        Event::TypingMessages(entries) => ("update-typing-messages", raw(&Update(entries))),
        Event::Message(entry) => ("message", raw(&message(entry))),
        Event::Cursor { target, low } => ("cursor", raw(&cursor(target, low))),
        Event::Drain { after } => {
            let after_ms = u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
            ("drain", raw(&Drain { after_ms }))
        }
    };
    Packet { event, body }
}

/// The packets as the socket library writes them to a WebSocket.
pub fn frames(packets: &[Packet]) -> Vec<u8> {
    let mut frames = Vec::new();
    for Packet { event, body } in packets {
        // Events' names have nothing in them that JSON would escape.
        text_frame(&["42[\"", event, "\",", body.get(), "]"], &mut frames);
    }
    frames
}

/// The answer to a login that was refused.
pub fn login_refused(error: &'static str) -> Packet {
    let success = false;
    Packet {
        event: LOGIN_RESPONSE,
        body: raw(&LoginRefused { success, error }),
    }
}

fn raw<T: Serialize + ?Sized>(value: &T) -> Arc<RawValue> {
    let json = serde_json::value::to_raw_value(value);
    // Strings, numbers and maps keyed by numbers: none of it can fail to become JSON.
    #[allow(clippy::expect_used)]
    Arc::from(json.expect("an event is always JSON"))
}

#[derive(serde::Serialize)]
struct LoggedIn<'a> {
    success: bool,
    people: &'a [Username],
}

#[derive(serde::Serialize)]
struct LoginRefused {
    success: bool,
    error: &'static str,
}

#[derive(serde::Serialize)]
struct Presence<'a> {
    joined: &'a [Username],
    parted: &'a [Username],
}

#[derive(serde::Serialize)]
struct Drain {
    after_ms: u64,
}

#[derive(serde::Serialize)]
struct Cursor<'a> {
    r#type: &'static str,
    target: &'a str,
    low: MessageId,
}

#[derive(serde::Serialize)]
struct Message<'a> {
    username: &'a Username,
    r#type: &'static str,
    target: &'a str,
    text: &'a str,
    messageid: MessageId,
    datetime_start: Millis,
    datetime_sent: Option<Millis>,
}

/// The dictionary of messages, keyed by their ids in decimal.
struct Update<'a>(&'a [Entry]);

#[derive(serde::Serialize)]
struct Typing<'a> {
    text: &'a str,
    username: &'a Username,
    typing: bool,
    datetime_start: Millis,
    r#type: &'static str,
    target: &'a str,
    rev: u64,
}

impl Serialize for Update<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for entry in self.0 {
            let (r#type, target) = names(&entry.target);
            let typing = Typing {
                text: &entry.text,
                username: &entry.username,
                typing: entry.typing,
                datetime_start: entry.datetime_start,
                r#type,
                target,
                rev: entry.rev,
            };
            map.serialize_entry(&entry.id, &typing)?;
        }
        map.end()
    }
}

fn message(entry: &Entry) -> Message<'_> {
    let (r#type, target) = names(&entry.target);
    Message {
        username: &entry.username,
        r#type,
        target,
        text: &entry.text,
        messageid: entry.id,
        datetime_start: entry.datetime_start,
        datetime_sent: entry.datetime_sent,
    }
}

fn cursor(target: &Target, low: MessageId) -> Cursor<'_> {
    let (r#type, target) = names(target);
    Cursor {
        r#type,
        target,
        low,
    }
}

/// What clients call `type` and `target`.
fn names(target: &Target) -> (&'static str, &str) {
    match target {
        Target::Channel(name) => ("channel", name.as_str()),
        Target::User(name) => ("user", name.as_str()),
    }
}

#[cfg(test)]
pub(super) mod tests;
