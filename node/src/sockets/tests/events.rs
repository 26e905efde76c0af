//! `sockets/events.md` against the code.

use super::super::encoding::tests::{entry, name};
use super::super::encoding::{encode, login_refused};
use super::super::payload::{Inbound, Login, Patch, Place, Post};
use super::{Client, EXPIRED, Node};
use crate::refusal::Refusal;
use actors::edge::{Event, Target};
use cql::{ChannelName, MessageId};
use serde::Deserialize;
use serde::de::{self, Deserializer, Visitor};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

type Events<T> = BTreeMap<String, T>;

/// A field, and its type in the page's words.
type Fields = BTreeMap<String, String>;

/// A status, and what else is in the acknowledgement.
type Acknowledgement = (u64, BTreeSet<String>);

const CLIENTS: &str = "## From the client";
const SERVERS: &str = "## From the server";

/// What is written of the events of one side of the page.
fn sections(side: &str) -> Events<&'static str> {
    let page = include_str!("../events.md");
    let start = page.find(side).expect("no such part") + side.len();
    let part = page[start..].split("\n## ").next().unwrap_or_default();
    part.split("\n### `")
        .skip(1)
        .map(|section| {
            let (event, rest) = section.split_once('`').unwrap();
            (event.to_owned(), rest)
        })
        .collect()
}

/// The fields in a section's table.
fn fields(section: &str) -> Fields {
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.map(|row| {
        let mut columns = row.split('|').map(str::trim);
        let mut next = || columns.next().unwrap().trim_matches('`').to_owned();
        (next(), next())
    })
    .collect()
}

fn documented(side: &str) -> Events<Fields> {
    let sections = sections(side).into_iter();
    sections
        .map(|(event, section)| (event, fields(section)))
        .collect()
}

/// What a section says an event is acknowledged with: `with 204; with 200, `messageid` and …`.
fn acknowledged(section: &str) -> BTreeSet<Acknowledgement> {
    let (_, rest) = section.split_once("cknowledged with ").unwrap();
    let sentence = rest.split('.').next().unwrap();
    let ways = sentence.split(';').map(|way| {
        let digits: String = way.chars().filter(char::is_ascii_digit).collect();
        let quoted = way.split('`').skip(1).step_by(2).map(str::to_owned);
        (digits.parse().unwrap(), quoted.collect())
    });
    ways.collect()
}

/// The page's word for what a value is.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::String(_) => "string",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_u64() => "integer",
        Value::Array(of) if !of.is_empty() && of.iter().all(Value::is_string) => "array of strings",
        other => panic!("the page has no word for {other}"),
    }
}

/// Notes which fields a struct asks for.
struct Asked(&'static [&'static str]);

impl<'de> Deserializer<'de> for &mut Asked {
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
    let mut asked = Asked(&[]);
    assert!(T::deserialize(&mut asked).is_err());
    asked.0.iter().map(|field| (*field).to_owned()).collect()
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
    let read: Events<BTreeSet<String>> = read
        .map(|(event, fields)| (event.to_owned(), fields))
        .into();
    let documented = documented(CLIENTS).into_iter();
    let documented = documented.map(|(event, fields)| (event, fields.into_keys().collect()));
    assert_eq!(documented.collect::<Events<_>>(), read);
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

#[test]
fn what_clients_send_has_the_types_of_the_page() {
    // The word is the only one that `presence` may be.
    let values = [json!("batched"), json!(true), json!(7), json!(["ting"])];
    for (event, fields) in documented(CLIENTS) {
        let read =
            |argument: &Map<String, Value>| Inbound::read(&json!([event, argument]).to_string());
        let is_right = |field: &str, value: &Value| fields[field] == kind(value);
        let value = |field: &str| values.iter().find(|value| is_right(field, value)).unwrap();
        let right = fields
            .keys()
            .map(|field| (field.clone(), value(field).clone()));
        let right: Map<String, Value> = right.collect();
        assert!(read(&right).is_ok(), "{event}");
        for field in fields.keys() {
            for wrong in values.iter().filter(|value| !is_right(field, value)) {
                let mut argument = right.clone();
                argument.insert(field.clone(), wrong.clone());
                assert_eq!(
                    read(&argument),
                    Err(Refusal::INVALID),
                    "{event} {field} {wrong}"
                );
            }
        }
    }
}

#[tokio::test]
async fn what_is_acknowledged_is_on_the_page() {
    let node = Node::start().await;
    let token = node.actors.sign_in("ada");
    let mut ada = Client::connect(node.address).await;
    let patch = |id: MessageId| json!({"type": "channel", "target": "ting", "text": "h", "typing": true, "messageid": id});
    let mut told = Events::<BTreeSet<Acknowledgement>>::new();
    for (event, argument) in [
        ("login", json!({"username": "ada", "ting_auth": token})),
        ("enter", json!({"type": "channel", "target": "tea"})),
        ("leave", json!({"type": "channel", "target": "tea"})),
        (
            "post-message",
            json!({"type": "channel", "target": "ting", "text": "h"}),
        ),
        ("patch-message", patch(MessageId(1))),
        ("patch-message", patch(EXPIRED)),
    ] {
        let asked = ada.ask(event, &argument).await;
        let mut answer = ada.answer(asked).await;
        let fields = answer.as_object_mut().unwrap();
        let status = fields.remove("status").and_then(|status| status.as_u64());
        let answer = (status.unwrap(), fields.keys().cloned().collect());
        told.entry(event.to_owned()).or_default().insert(answer);
    }
    let documented = sections(CLIENTS).into_iter();
    let documented = documented.map(|(event, section)| (event, acknowledged(section)));
    assert_eq!(documented.collect::<Events<_>>(), told);
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
            joined: std::slice::from_ref(ada),
            parted: std::slice::from_ref(ada),
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
    let first = Event::LoggedIn {
        people: &[name("ada")],
    };
    let packets = std::iter::successors(Some(first), |event| after(*event)).map(encode);
    let mut told = Events::<Fields>::new();
    for packet in packets.chain([login_refused("taken")]) {
        let mut body: Value = serde_json::from_str(packet.body.get()).unwrap();
        if packet.event == "update-typing-messages" {
            body = body["1"].take();
        }
        let fields = body.as_object().into_iter().flatten();
        told.entry(packet.event.to_owned())
            .or_default()
            .extend(fields.map(|(field, value)| (field.clone(), kind(value).to_owned())));
    }
    assert_eq!(documented(SERVERS), told);
}
