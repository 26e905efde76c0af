use super::*;
use cql::ChannelName;
use serde_json::{Value, json};
use std::time::Duration;

pub fn name(name: &str) -> Username {
    Username::parse(name).unwrap()
}

pub fn entry(id: u64, text: &str, typing: bool) -> Entry {
    Entry {
        id: MessageId(id),
        author: None,
        username: name("ada"),
        target: Target::Channel(ChannelName::ting()),
        text: text.into(),
        typing,
        datetime_start: 1_800_000_000_000,
        datetime_sent: (!typing).then_some(1_800_000_000_500),
        rev: 7,
    }
}

fn json(event: Event<'_>) -> (&'static str, Value) {
    let packet = encode(event);
    (
        packet.event,
        serde_json::from_str(packet.body.get()).unwrap(),
    )
}

#[test]
fn an_update_is_the_bare_dictionary_by_id() {
    let entries = [entry(9, "he \"says\"\n", true), entry(10, "", true)];
    let (event, body) = json(Event::TypingMessages(&entries));
    assert_eq!(event, "update-typing-messages");
    let typing = json!({
        "text": "he \"says\"\n", "username": "ada", "typing": true,
        "datetime_start": 1_800_000_000_000_u64, "type": "channel", "target": "ting", "rev": 7,
    });
    assert_eq!(body["9"], typing);
    assert_eq!(body["10"]["text"], "");
    assert_eq!(body.as_object().unwrap().len(), 2);
    // Seed-only clients show them in the order they come.
    assert!(
        encode(Event::TypingMessages(&entries))
            .body
            .get()
            .starts_with(r#"{"9":"#)
    );
}

#[test]
fn a_message_carries_its_place() {
    let mut sent = entry(9, "hello", false);
    sent.target = Target::User(name("Βob"));
    let expected = json!({
        "username": "ada", "type": "user", "target": "Βob", "text": "hello", "messageid": 9,
        "datetime_start": 1_800_000_000_000_u64, "datetime_sent": 1_800_000_000_500_u64,
    });
    assert_eq!(json(Event::Message(&sent)), ("message", expected));
}

#[test]
fn who_comes_and_goes_is_a_bare_name() {
    let (ada, bob) = (name("ada"), name("bob"));
    assert_eq!(json(Event::Join(&ada)), ("join", json!("ada")));
    assert_eq!(json(Event::Part(&ada)), ("part", json!("ada")));
    let presence = Event::Presence {
        joined: std::slice::from_ref(&ada),
        parted: &[bob],
    };
    let expected = json!({"joined": ["ada"], "parted": ["bob"]});
    assert_eq!(json(presence), ("presence", expected));
    let expected = json!({"success": true, "people": ["ada"]});
    assert_eq!(
        json(Event::LoggedIn { people: &[ada] }),
        ("login-response", expected)
    );
}

#[test]
fn a_refused_login_says_why() {
    let packet = login_refused("taken");
    assert_eq!(packet.event, "login-response");
    assert_eq!(packet.body.get(), r#"{"success":false,"error":"taken"}"#);
}

#[test]
fn a_cursor_and_a_drain_are_numbers() {
    let target = Target::Channel(ChannelName::ting());
    let cursor = Event::Cursor {
        target: &target,
        low: MessageId(5),
    };
    let expected = json!({"type": "channel", "target": "ting", "low": 5});
    assert_eq!(json(cursor), ("cursor", expected));
    let drain = Event::Drain {
        after: Duration::from_millis(1_500),
    };
    assert_eq!(json(drain), ("drain", json!({"after_ms": 1500})));
}
