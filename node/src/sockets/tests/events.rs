//! `sockets/events.md` against the code.

use super::super::encoding::tests::{entry, name};
use super::super::encoding::{encode, login_refused};
use super::super::payload::{Inbound, Login, Patch, Place, Post};
use actors::edge::{Event, Target};
use cql::{ChannelName, MessageId};
use serde::Deserialize;
use serde::de::{self, Deserializer, Visitor};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

type Events = BTreeMap<String, BTreeSet<String>>;

/// The events of one side of the page, with the fields in their tables.
fn documented(side: &str) -> Events {
    let page = include_str!("../events.md");
    let start = page.find(side).expect("no such part") + side.len();
    let part = page[start..].split("\n## ").next().unwrap_or_default();
    part.split("\n### `")
        .skip(1)
        .map(|section| {
            let (event, rest) = section.split_once('`').unwrap();
            let rows = rest.lines().filter_map(|line| line.strip_prefix("| `"));
            let fields = rows.map(|row| row.split('`').next().unwrap().to_owned());
            (event.to_owned(), fields.collect())
        })
        .collect()
}

/// Notes which fields a struct asks for.
struct Fields(&'static [&'static str]);

impl<'de> Deserializer<'de> for &mut Fields {
    type Error = de::value::Error;

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        _visitor: V,
    ) -> Result<V::Value, Self::Error> {
        self.0 = fields;
        Err(de::Error::custom("noted"))
    }

    fn deserialize_any<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, Self::Error> {
        Err(de::Error::custom("not a struct"))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

fn fields_of<'de, T: Deserialize<'de>>() -> BTreeSet<String> {
    let mut fields = Fields(&[]);
    assert!(T::deserialize(&mut fields).is_err());
    fields.0.iter().map(|field| (*field).to_owned()).collect()
}

#[test]
fn what_clients_send_is_on_the_page() {
    let read = [
        ("login", fields_of::<Login>()),
        ("enter", fields_of::<Place>()),
        ("leave", fields_of::<Place>()),
        ("post-message", fields_of::<Post>()),
        ("patch-message", fields_of::<Patch>()),
    ];
    let read: Events = read
        .map(|(event, fields)| (event.to_owned(), fields))
        .into();
    assert_eq!(documented("## From the client"), read);
    for event in read.keys() {
        let place = r#"{"type":"channel","target":"ting","text":"h","typing":true,"messageid":1}"#;
        let read = Inbound::read(&format!("[{event:?},{place}]")).unwrap();
        // A new event has to be named here, and so on the page.
        let expected = match read {
            Inbound::Login(_) => "login",
            Inbound::Enter(_) => "enter",
            Inbound::Leave(_) => "leave",
            Inbound::Post(_) => "post-message",
            Inbound::Patch(_) => "patch-message",
        };
        assert_eq!(event, expected);
    }
}

/// The next kind of event, so that none can be forgotten.
fn after(event: Event<'_>) -> Option<Event<'static>> {
    static TARGET: std::sync::OnceLock<Target> = std::sync::OnceLock::new();
    let target = TARGET.get_or_init(|| Target::Channel(ChannelName::ting()));
    let ada: &'static _ = Box::leak(Box::new(name("ada")));
    let sent: &'static _ = Box::leak(Box::new([entry(1, "h", false)]));
    Some(match event {
        Event::LoggedIn { .. } => Event::Join(ada),
        Event::Join(_) => Event::Part(ada),
        Event::Part(_) => Event::Presence {
            joined: &[],
            parted: &[],
        },
        Event::Presence { .. } => Event::TypingMessages(sent),
        Event::TypingMessages(_) => Event::Message(&sent[0]),
        Event::Message(_) => Event::Cursor {
            target,
            low: MessageId(1),
        },
        Event::Cursor { .. } => Event::Drain {
            after: Duration::ZERO,
        },
        Event::Drain { .. } => return None,
    })
}

#[test]
fn what_clients_are_told_is_on_the_page() {
    let first = Event::LoggedIn { people: &[] };
    let packets = std::iter::successors(Some(first), |event| after(*event)).map(encode);
    let mut told = Events::new();
    for packet in packets.chain([login_refused("taken")]) {
        let mut body: Value = serde_json::from_str(packet.body.get()).unwrap();
        if packet.event == "update-typing-messages" {
            body = body["1"].take();
        }
        let fields = body.as_object().into_iter().flatten();
        told.entry(packet.event.to_owned())
            .or_default()
            .extend(fields.map(|(field, _)| field.clone()));
    }
    assert_eq!(documented("## From the server"), told);
}
