//! The shapes of the events, to the letter.
//!
//! What a client hears depends on what its `login` asked for; anything else, and any key that
//! the protocol does not name, is an error.

use serde_json::{Map, Value};
use std::collections::HashMap;

/// What one connection may hear, and what it has been told of each message.
#[derive(Debug, Default)]
pub struct Shapes {
    asked: bool,
    batched: bool,
    resume: bool,
    no_messages: bool,
    logged_in: bool,
    /// The messages that were shown as sent, with their texts.
    sent: HashMap<String, String>,
}

impl Shapes {
    /// Takes note of what a `login` asks for.
    pub fn logs_in(&mut self, login: &Value) {
        self.asked = true;
        self.batched = login["presence"] == "batched";
        self.resume = login["resume"] == true;
        self.no_messages = login["messages"] == false;
    }

    /// Holds an event against the protocol.
    pub fn check(&mut self, name: &str, args: &[Value]) -> Result<(), String> {
        let [argument] = args else {
            return Err(format!("{} arguments", args.len()));
        };
        if name == "login-response" {
            return self.login_response(argument);
        }
        ensure(self.logged_in, "an event before the login")?;
        match name {
            "join" | "part" => {
                ensure(!self.batched, "asked for batched presence")?;
                ensure(argument.is_string(), "not the bare username")
            }
            "presence" => {
                ensure(self.batched, "did not ask for batched presence")?;
                let fields = object(argument)?;
                keys(fields, &["joined", "parted"])?;
                for names in fields.values() {
                    ensure(is_names(names), "not an array of names")?;
                }
                Ok(())
            }
            "message" => {
                ensure(!self.no_messages, "asked for no messages")?;
                message(argument)
            }
            "update-typing-messages" => self.typing_messages(argument),
            "cursor" => {
                ensure(self.resume, "did not ask for cursors")?;
                let fields = object(argument)?;
                keys(fields, &["low", "target", "type"])?;
                conversation(fields)?;
                ensure(is_id(&fields["low"]), "low is no id")
            }
            "drain" => {
                ensure(self.resume, "did not ask for drains")?;
                let fields = object(argument)?;
                keys(fields, &["after_ms"])?;
                ensure(fields["after_ms"].is_u64(), "after_ms is no number")
            }
            _ => Err("an event that nobody knows".to_owned()),
        }
    }

    fn login_response(&mut self, argument: &Value) -> Result<(), String> {
        ensure(self.asked, "nobody asked")?;
        let fields = object(argument)?;
        if fields.get("success") == Some(&Value::Bool(true)) {
            keys(fields, &["people", "success"])?;
            self.logged_in = true;
            return ensure(is_names(&fields["people"]), "people are no names");
        }
        keys(fields, &["error", "success"])?;
        ensure(fields["success"] == false, "success is no boolean")?;
        let known = ["empty", "length", "chars", "taken"];
        let error = fields["error"].as_str().unwrap_or_default();
        ensure(known.contains(&error), "an unknown error")
    }

    fn typing_messages(&mut self, argument: &Value) -> Result<(), String> {
        let entries = object(argument)?;
        let mut conversations = Vec::new();
        for (id, entry) in entries {
            let decimal = id
                .parse::<u64>()
                .is_ok_and(|n| n.to_string() == *id && n < 1 << 53);
            ensure(decimal, "a key that is no id")?;
            let entry = object(entry)?;
            let seed = ["datetime_start", "text", "typing", "username"];
            keys(entry, &[&seed[..], &["rev", "target", "type"]].concat())?;
            ensure(
                is_time(&entry["datetime_start"]),
                "datetime_start is no time",
            )?;
            let text = entry["text"].as_str().ok_or("text is no string")?;
            let typing = entry["typing"].as_bool().ok_or("typing is no boolean")?;
            ensure(entry["username"].is_string(), "username is no string")?;
            ensure(entry["rev"].is_u64(), "rev is no count")?;
            conversation(entry)?;
            // The two directions of a private are one conversation under two targets.
            let private = entry["type"] == "user";
            conversations.push((!private).then(|| entry["target"].clone()));
            if let Some(sent) = self.sent.get(id) {
                ensure(text.is_empty() || !typing, "typed again after it was sent")?;
                ensure(text.is_empty() || text == sent, "changed after it was sent")?;
            } else if !typing && !text.is_empty() {
                self.sent.insert(id.clone(), text.to_owned());
            }
        }
        conversations.dedup();
        ensure(conversations.len() <= 1, "more than one conversation")
    }
}

fn message(argument: &Value) -> Result<(), String> {
    let fields = object(argument)?;
    let known = ["messageid", "target", "text", "type", "username"];
    keys(
        fields,
        &[&["datetime_sent", "datetime_start"][..], &known].concat(),
    )?;
    conversation(fields)?;
    ensure(is_id(&fields["messageid"]), "messageid is no id")?;
    ensure(
        is_time(&fields["datetime_start"]),
        "datetime_start is no time",
    )?;
    ensure(
        is_time(&fields["datetime_sent"]),
        "datetime_sent is no time",
    )?;
    ensure(fields["username"].is_string(), "username is no string")?;
    let text = fields["text"].as_str().unwrap_or_default();
    ensure(!text.trim().is_empty(), "a message without text")
}

fn conversation(fields: &Map<String, Value>) -> Result<(), String> {
    let kind = fields["type"].as_str().unwrap_or_default();
    ensure(
        ["channel", "user"].contains(&kind),
        "type is neither channel nor user",
    )?;
    ensure(fields["target"].is_string(), "target is no string")
}

fn object(value: &Value) -> Result<&Map<String, Value>, String> {
    value.as_object().ok_or_else(|| "not an object".to_owned())
}

fn keys(fields: &Map<String, Value>, expected: &[&str]) -> Result<(), String> {
    let mut keys: Vec<&str> = fields.keys().map(String::as_str).collect();
    let mut expected = expected.to_vec();
    keys.sort_unstable();
    expected.sort_unstable();
    if keys == expected {
        return Ok(());
    }
    Err(format!("keys {keys:?} where {expected:?} are expected"))
}

fn ensure(holds: bool, otherwise: &str) -> Result<(), String> {
    if holds {
        Ok(())
    } else {
        Err(otherwise.to_owned())
    }
}

fn is_id(value: &Value) -> bool {
    value.as_u64().is_some_and(|id| id < 1 << 53)
}

/// Milliseconds of a time before 2100; what a privileged caller brings may be of any age.
fn is_time(value: &Value) -> bool {
    value.as_u64().is_some_and(|time| time < 4_102_444_800_000)
}

fn is_names(value: &Value) -> bool {
    value
        .as_array()
        .is_some_and(|names| names.iter().all(Value::is_string))
}
