//! What clients send, read once.
//!
//! `Debug` shows no text, since what is typed and erased must not reach a log.

use crate::http::messages::INTEGER_END;
use crate::refusal::Refusal;
use actors::edge::Wants;
use cql::MessageId;
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// As many as a connection may be in.
const CHANNELS_MAX: usize = 50;

/// A client's own idempotency key, in characters.
const KEY_MAX: usize = 64;

/// An event from a client.
#[derive(Debug, PartialEq)]
pub enum Inbound {
    /// `login`
    Login(Login),
    /// `enter`
    Enter(Place),
    /// `leave`
    Leave(Place),
    /// `post-message`
    Post(Post),
    /// `patch-message`
    Patch(Patch),
}

/// Who is there, and what to tell them.
#[derive(Clone, PartialEq, Deserialize)]
pub struct Login {
    #[serde(default)]
    pub username: String,
    #[serde(default)]
    pub ting_auth: Option<String>,
    #[serde(default)]
    pub channels: Option<Vec<String>>,
    #[serde(default)]
    pub presence: Option<Presence>,
    #[serde(default)]
    pub messages: Option<bool>,
    #[serde(default)]
    pub resume: Option<bool>,
}

/// How to be told of others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Presence {
    /// Once a tick.
    Batched,
}

impl TryFrom<String> for Presence {
    type Error = &'static str;

    fn try_from(word: String) -> Result<Self, Self::Error> {
        match word.as_str() {
            "batched" => Ok(Presence::Batched),
            _ => Err("not how to be told of others"),
        }
    }
}

/// A conversation, as clients name it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Place {
    pub r#type: String,
    pub target: String,
}

/// A message begins.
#[derive(Clone, PartialEq, Deserialize)]
pub struct Post {
    pub r#type: String,
    pub target: String,
    pub text: String,
    #[serde(default)]
    pub typing: Option<bool>,
    #[serde(default)]
    pub key: Option<String>,
}

/// A message goes on.
#[derive(Clone, PartialEq, Deserialize)]
pub struct Patch {
    pub messageid: MessageId,
    pub r#type: String,
    pub target: String,
    pub text: String,
    pub typing: bool,
    #[serde(default)]
    pub rev: Option<u64>,
    #[serde(default)]
    pub claim: Option<String>,
}

impl Inbound {
    /// Reads the JSON array that is an event: its name, then its arguments, of which the first
    /// counts.
    pub fn read(packet: &str) -> Result<Self, Refusal> {
        let Arguments(event, argument) =
            serde_json::from_str(packet).map_err(|_| Refusal::MALFORMED)?;
        let argument = argument.map_or("null", RawValue::get);
        match event.as_str() {
            "login" => Ok(Inbound::Login(object(argument, Login::is_valid)?)),
            "enter" => Ok(Inbound::Enter(object(argument, |_| true)?)),
            "leave" => Ok(Inbound::Leave(object(argument, |_| true)?)),
            "post-message" => Ok(Inbound::Post(object(argument, Post::is_valid)?)),
            "patch-message" => Ok(Inbound::Patch(object(argument, Patch::is_valid)?)),
            _ => Err(Refusal::MALFORMED),
        }
    }
}

fn object<T: DeserializeOwned>(json: &str, is_valid: fn(&T) -> bool) -> Result<T, Refusal> {
    if !json.trim_start().starts_with('{') {
        return Err(Refusal::MALFORMED);
    }
    let payload = serde_json::from_str(json).map_err(|error| match error.classify() {
        serde_json::error::Category::Data => Refusal::INVALID,
        _ => Refusal::MALFORMED,
    })?;
    if is_valid(&payload) {
        Ok(payload)
    } else {
        Err(Refusal::INVALID)
    }
}

impl Login {
    /// What it wants to hear.
    pub fn wants(&self) -> Wants {
        let seed = Wants::default();
        Wants {
            messages: self.messages.unwrap_or(seed.messages),
            batched_presence: self.presence == Some(Presence::Batched),
            resume: self.resume.unwrap_or(seed.resume),
        }
    }

    fn is_valid(&self) -> bool {
        self.channels
            .as_ref()
            .is_none_or(|channels| channels.len() <= CHANNELS_MAX)
    }
}

impl Post {
    fn is_valid(&self) -> bool {
        self.key
            .as_ref()
            .is_none_or(|key| (1..=KEY_MAX).contains(&key.chars().take(KEY_MAX + 1).count()))
    }
}

impl Patch {
    fn is_valid(&self) -> bool {
        let exact = |number: &u64| *number < INTEGER_END;
        exact(&self.messageid.0) && self.rev.iter().all(exact)
    }
}

impl std::fmt::Debug for Login {
    /// Everything but the secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Login")
            .field("channels", &self.channels)
            .field("wants", &self.wants())
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Post {
    /// Everything but the text.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Post")
            .field("typing", &self.typing)
            .field("text_bytes", &self.text.len())
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Patch {
    /// Everything but the text.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Patch")
            .field("messageid", &self.messageid)
            .field("typing", &self.typing)
            .field("rev", &self.rev)
            .field("text_bytes", &self.text.len())
            .finish_non_exhaustive()
    }
}

/// An event's name and its first argument, out of an array of any length.
struct Arguments<'a>(String, Option<&'a RawValue>);

impl<'de: 'a, 'a> Deserialize<'de> for Arguments<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;

        impl<'de> Visitor<'de> for Reader {
            type Value = Arguments<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an event's name and its argument")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let event = seq
                    .next_element::<String>()?
                    .ok_or_else(|| serde::de::Error::invalid_length(0, &self))?;
                let argument = seq.next_element()?;
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Arguments(event, argument))
            }
        }

        deserializer.deserialize_seq(Reader)
    }
}

#[cfg(test)]
mod tests;
