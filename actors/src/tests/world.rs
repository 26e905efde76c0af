//! A node with people on it: sockets that write down what they hear, and a store in memory.

use super::memory::MemoryStore;
use crate::Links;
use crate::edge::{ConnectionId, Event, Kill, Packet, Room, Sockets, Target, Wants};
use crate::{
    Destination, History, Limits, Login, Patch, Patched, Post, Posted, Start, System, TypingError,
    Via,
};
use cql::{
    ChannelName, Conversation, MessageId, MessageText, NewUser, Range, SessionToken, SignIn, Store,
    Username,
};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;

/// Longer than any promise; time is paused, so it costs nothing.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Debug, Default)]
pub struct FakeSockets {
    rooms: Mutex<HashMap<Room, HashSet<ConnectionId>>>,
    heard: Mutex<HashMap<ConnectionId, Vec<(&'static str, Value)>>>,
    killed: Mutex<HashMap<ConnectionId, Kill>>,
    pub encoded: AtomicUsize,
    changes: watch::Sender<u64>,
}

impl FakeSockets {
    fn hear(&self, connection: ConnectionId, packets: &[Packet]) {
        let mut heard = self.heard.lock().unwrap();
        for packet in packets {
            let body = serde_json::from_str(packet.body.get()).unwrap();
            heard
                .entry(connection)
                .or_default()
                .push((packet.event, body));
        }
        self.changes.send_modify(|changes| *changes += 1);
    }
}

impl Sockets for FakeSockets {
    fn encode(&self, event: Event<'_>) -> Packet {
        self.encoded.fetch_add(1, Ordering::Relaxed);
        let entry = |entry: &crate::edge::Entry| {
            let target = match &entry.target {
                Target::Channel(name) => name.as_str(),
                Target::User(name) => name.as_str(),
            };
            json!({
                "id": entry.id, "username": entry.username, "text": &*entry.text,
                "typing": entry.typing, "rev": entry.rev, "target": target,
            })
        };
        let (event, body) = match event {
            Event::LoggedIn { people } => ("login-response", json!(people)),
            Event::Join(name) => ("join", json!(name)),
            Event::Part(name) => ("part", json!(name)),
            Event::Presence { joined, parted } => ("presence", json!([joined, parted])),
            Event::TypingMessages(entries) => (
                "update-typing-messages",
                entries.iter().map(entry).collect(),
            ),
            Event::Message(message) => ("message", entry(message)),
            Event::Cursor { low, .. } => ("cursor", json!(low)),
            Event::Drain { .. } => ("drain", Value::Null),
        };
        let body = serde_json::value::to_raw_value(&body).unwrap();
        Packet {
            event,
            body: Arc::from(body),
        }
    }

    fn join(&self, connection: ConnectionId, room: &Room) {
        self.rooms
            .lock()
            .unwrap()
            .entry(room.clone())
            .or_default()
            .insert(connection);
    }

    fn leave(&self, connection: ConnectionId, room: &Room) {
        self.rooms
            .lock()
            .unwrap()
            .entry(room.clone())
            .or_default()
            .remove(&connection);
    }

    fn emit_to_room(&self, room: &Room, packets: &[Packet]) {
        let members = self
            .rooms
            .lock()
            .unwrap()
            .get(room)
            .cloned()
            .unwrap_or_default();
        members
            .into_iter()
            .for_each(|member| self.hear(member, packets));
    }

    fn emit(&self, connection: ConnectionId, packets: &[Packet]) {
        self.hear(connection, packets);
    }

    fn kill(&self, connection: ConnectionId, why: Kill) {
        self.killed.lock().unwrap().insert(connection, why);
        self.changes.send_modify(|changes| *changes += 1);
    }
}

/// What a viewer has been shown.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Shown {
    pub ghosts: BTreeMap<MessageId, String>,
    pub sent: BTreeMap<MessageId, Vec<String>>,
}

pub struct World {
    pub system: System,
    pub store: Arc<MemoryStore>,
    pub sockets: Arc<FakeSockets>,
    connections: Arc<AtomicU64>,
}

impl World {
    pub async fn new() -> World {
        World::on(Arc::new(MemoryStore::default())).await
    }

    /// A node on a store that may hold something already.
    pub async fn on(store: Arc<MemoryStore>) -> World {
        World::linked(store, None).await
    }

    /// A node that may be one of several.
    pub async fn linked(store: Arc<MemoryStore>, links: Option<Arc<dyn Links>>) -> World {
        let sockets = Arc::new(FakeSockets::default());
        let start = Start {
            store: store.clone(),
            sockets: sockets.clone(),
            limits: Limits::default(),
            links,
        };
        let system = System::start(start).await.unwrap();
        World {
            system,
            store,
            sockets,
            // Each node counts its own, so that mixing them up shows.
            connections: Arc::default(),
        }
    }

    pub fn node(&self) -> &Arc<crate::node::Node> {
        self.system.node()
    }

    /// Somebody signed in, without a socket.
    pub async fn signed_in(&self, name: &str) -> Person {
        let username = Username::parse(name).unwrap();
        let id = self.system.new_user_id().unwrap();
        let now = self.system.now();
        let new = NewUser {
            id,
            username: username.clone(),
            now,
        };
        self.store.claim_name(&new).await.unwrap();
        let user = self.store.user_named(&username).await.unwrap().unwrap();
        let hash = SessionToken::random().hash();
        let sign_in = SignIn {
            hash,
            user: user.id,
            username,
            used_at: now,
        };
        assert!(self.store.add_sign_in(&sign_in).await.unwrap());
        Person {
            sign_in,
            connection: None,
            system: self.system.clone(),
            sockets: self.sockets.clone(),
        }
    }

    /// Somebody of another node, who asks this one by HTTP.
    pub fn signs_in_as(&self, person: &Person) -> Person {
        Person {
            connection: None,
            system: self.system.clone(),
            ..person.clone()
        }
    }

    /// Somebody who is online.
    pub async fn person(&self, name: &str) -> Person {
        self.connect(&self.signed_in(name).await, Wants::default())
            .await
    }

    /// One more connection of somebody.
    pub async fn connect(&self, person: &Person, wants: Wants) -> Person {
        let connection = ConnectionId(self.connections.fetch_add(1, Ordering::Relaxed));
        let sign_in = person.sign_in.clone();
        let login = Login {
            connection,
            sign_in: sign_in.clone(),
            wants,
            channels: None,
        };
        self.system.login(login).await.unwrap();
        Person {
            sign_in,
            connection: Some(connection),
            system: self.system.clone(),
            sockets: self.sockets.clone(),
        }
    }

    pub async fn history(&self) -> History {
        let newest = Range {
            before: None,
            after: None,
            limit: 1_000,
        };
        self.system
            .history(&ting().conversation, newest)
            .await
            .unwrap()
    }

    /// Waits until something is so.
    pub async fn until(&self, what: &str, is: impl Fn() -> bool) {
        let wait = async {
            while !is() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, wait)
            .await
            .unwrap_or_else(|_| panic!("never: {what}"));
    }
}

pub fn ting() -> Destination {
    Destination {
        conversation: Conversation::Channel(ChannelName::ting()),
        target: Target::Channel(ChannelName::ting()),
    }
}

pub fn text(text: &str) -> MessageText {
    MessageText::parse(text).unwrap()
}

#[derive(Clone)]
pub struct Person {
    pub sign_in: SignIn,
    pub connection: Option<ConnectionId>,
    pub system: System,
    pub sockets: Arc<FakeSockets>,
}

impl Person {
    fn via(&self) -> Via {
        self.connection.map_or(Via::Http, Via::Connection)
    }

    /// The same sign-in, without its socket.
    pub fn by_http(&self) -> Person {
        Person {
            connection: None,
            ..self.clone()
        }
    }

    /// The private with somebody.
    pub fn to(&self, other: &Person) -> Destination {
        Destination {
            conversation: Conversation::private(self.sign_in.user, other.sign_in.user),
            target: Target::User(other.sign_in.username.clone()),
        }
    }

    pub fn post_to(&self, to: Destination, said: &str, typing: bool, key: Option<&str>) -> Post {
        Post {
            by: self.sign_in.clone(),
            via: self.via(),
            to,
            text: text(said),
            typing,
            key: key.map(str::to_owned),
        }
    }

    /// Begins to type in `ting`.
    pub async fn types(&self, said: &str) -> Posted {
        self.system
            .post(self.post_to(ting(), said, true, None))
            .await
            .unwrap()
    }

    /// Types and sends at once.
    pub async fn says(&self, said: &str) -> Posted {
        self.system
            .post(self.post_to(ting(), said, false, None))
            .await
            .unwrap()
    }

    pub fn stroke(&self, id: MessageId, said: Option<&str>, typing: bool) -> Patch {
        Patch {
            by: self.sign_in.clone(),
            via: self.via(),
            to: ting(),
            id,
            text: said.map(text),
            typing,
            rev: None,
            claim: None,
        }
    }

    pub async fn types_on(&self, id: MessageId, said: &str) -> Result<Patched, TypingError> {
        self.system.patch(self.stroke(id, Some(said), true)).await
    }

    pub async fn sends(&self, id: MessageId, said: &str) -> Result<Patched, TypingError> {
        self.system.patch(self.stroke(id, Some(said), false)).await
    }

    pub async fn erases(&self, id: MessageId) -> Result<Patched, TypingError> {
        self.system.patch(self.stroke(id, None, true)).await
    }

    pub fn disconnects(&self) {
        self.system.disconnected(self.connection.unwrap());
    }

    /// Every event it heard, oldest first.
    pub fn heard(&self) -> Vec<(&'static str, Value)> {
        let heard = self.sockets.heard.lock().unwrap();
        heard
            .get(&self.connection.unwrap())
            .cloned()
            .unwrap_or_default()
    }

    pub fn count(&self, event: &str) -> usize {
        self.heard()
            .iter()
            .filter(|(name, _)| *name == event)
            .count()
    }

    pub fn killed(&self) -> Option<Kill> {
        self.sockets
            .killed
            .lock()
            .unwrap()
            .get(&self.connection.unwrap())
            .copied()
    }

    /// What the updates have shown.
    pub fn shown(&self) -> Shown {
        let mut shown = Shown::default();
        for (event, body) in self.heard() {
            if event != "update-typing-messages" {
                continue;
            }
            for entry in body.as_array().unwrap() {
                let id = MessageId(entry["id"].as_u64().unwrap());
                let text = entry["text"].as_str().unwrap().to_owned();
                shown.ghosts.remove(&id);
                if entry["typing"] == json!(false) {
                    shown.sent.entry(id).or_default().push(text);
                } else if !text.is_empty() {
                    shown.ghosts.insert(id, text);
                }
            }
        }
        shown
    }

    async fn waits(&self, what: &str, is: impl Fn(&Shown) -> bool) {
        let mut changes = self.sockets.changes.subscribe();
        let wait = async {
            while !is(&self.shown()) {
                changes.changed().await.unwrap();
            }
        };
        let waited = tokio::time::timeout(PATIENCE, wait).await;
        assert!(
            waited.is_ok(),
            "{} never saw {what}: {:?}",
            self.sign_in.username,
            self.shown()
        );
    }

    pub async fn sees(&self, id: MessageId, text: &str) {
        self.waits(text, |shown| {
            shown.ghosts.get(&id).is_some_and(|seen| seen == text)
        })
        .await;
    }

    pub async fn no_longer_sees(&self, id: MessageId) {
        self.waits("it gone", |shown| !shown.ghosts.contains_key(&id))
            .await;
    }

    pub async fn sees_sent(&self, id: MessageId, text: &str) {
        self.waits(text, |shown| {
            shown.sent.get(&id).is_some_and(|seen| seen[..] == [text])
        })
        .await;
    }

    pub async fn waits_for_text(&self, text: &str) {
        self.waits(text, |shown| {
            shown.sent.values().any(|seen| seen[..] == [text])
        })
        .await;
    }

    pub async fn hears(&self, event: &str, body: Value) {
        let mut changes = self.sockets.changes.subscribe();
        let has = || {
            self.heard()
                .iter()
                .any(|(name, heard)| *name == event && *heard == body)
        };
        let wait = async {
            while !has() {
                changes.changed().await.unwrap();
            }
        };
        let waited = tokio::time::timeout(PATIENCE, wait).await;
        assert!(
            waited.is_ok(),
            "{} never heard {event} {body}",
            self.sign_in.username
        );
    }
}
