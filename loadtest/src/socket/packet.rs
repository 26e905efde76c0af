//! The text of Engine.IO 4 and socket.io 5 packets, for the default namespace.

use serde::Serialize;
use serde_json::Value;

/// What one text frame says; payloads are still JSON text, so that a viewer who counts frames
/// doesn't pay for parsing them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packet<'a> {
    /// `0`: the transport is open; `{sid, pingInterval, pingTimeout, …}`.
    Open(&'a str),
    /// `1`: the transport is to be closed.
    Close,
    /// `2`: answer with a pong.
    Ping,
    /// `3`: answers a ping.
    Pong,
    /// `6`: says nothing.
    Noop,
    /// `40`: the namespace is connected; `{sid}`.
    Connected(&'a str),
    /// `41`: the namespace is disconnected.
    Disconnected,
    /// `42`: `["name", …]`, with the id of the acknowledgement asked for.
    Event(Option<u64>, &'a str),
    /// `43`: `[…]`, for the event that asked with this id.
    Ack(u64, &'a str),
    /// `44`: the namespace is refused; why.
    Refused(&'a str),
}

/// Reads one text frame; `None` for anything but a packet of the default namespace.
pub fn parse(text: &str) -> Option<Packet<'_>> {
    let mut chars = text.chars();
    let kind = chars.next()?;
    let rest = chars.as_str();
    match kind {
        '0' => Some(Packet::Open(rest)),
        '1' => Some(Packet::Close),
        '2' => Some(Packet::Ping),
        '3' => Some(Packet::Pong),
        '4' => parse_message(rest),
        '6' => Some(Packet::Noop),
        _ => None,
    }
}

fn parse_message(text: &str) -> Option<Packet<'_>> {
    let mut chars = text.chars();
    let kind = chars.next()?;
    let rest = chars.as_str();
    if rest.starts_with('/') {
        return None;
    }
    match kind {
        '0' => Some(Packet::Connected(rest)),
        '1' => Some(Packet::Disconnected),
        '2' => {
            let (id, payload) = split_id(rest)?;
            Some(Packet::Event(id, payload))
        }
        '3' => {
            let (id, payload) = split_id(rest)?;
            Some(Packet::Ack(id?, payload))
        }
        '4' => Some(Packet::Refused(rest)),
        _ => None,
    }
}

/// Splits `12["a"]` into the id and the array.
fn split_id(text: &str) -> Option<(Option<u64>, &str)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (id, payload) = text.split_at(digits);
    if !payload.starts_with('[') {
        return None;
    }
    let id = if id.is_empty() {
        None
    } else {
        Some(id.parse().ok()?)
    };
    Some((id, payload))
}

/// The name of an event, without parsing its arguments; `None` if it has an escape in it.
pub fn event_name(payload: &str) -> Option<&str> {
    let rest = payload.strip_prefix('[')?.trim_start().strip_prefix('"')?;
    let name = &rest[..rest.find('"')?];
    (!name.contains('\\')).then_some(name)
}

/// Writes an event with one argument, asking for an acknowledgement if an id is given.
pub fn event(
    name: &str,
    argument: &impl Serialize,
    ack: Option<u64>,
) -> serde_json::Result<String> {
    let id = ack.map(|id| id.to_string()).unwrap_or_default();
    Ok(format!(
        "42{id}{}",
        serde_json::to_string(&(name, argument))?
    ))
}

/// Writes the request for the default namespace.
pub fn connect(auth: Option<&Value>) -> String {
    auth.map_or_else(|| "40".to_owned(), |auth| format!("40{auth}"))
}
