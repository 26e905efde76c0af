//! One socket, and everything it has been shown.
//!
//! Each event is held against the protocol's shapes as it arrives: whatever the test is about,
//! it fails when a client is sent something that it did not ask for or cannot know.

use crate::{Ghost, LIMIT, shape::Shapes};
use loadtest::socket::{self, Closed, Event, Events, Sender};
use serde_json::{Map, Value, json};
use std::{
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};
use tokio::{sync::watch, time::Instant};

/// What a client says at `login` besides who it is.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Login {
    fields: Map<String, Value>,
}

impl Login {
    /// Nothing: the client knows the seed's protocol alone.
    pub fn seed() -> Login {
        Login::default()
    }

    /// What a client says that resumes after a break.
    pub fn full() -> Login {
        Login::default().with("resume", true)
    }

    /// The channels to be in.
    pub fn channels(self, names: &[&str]) -> Login {
        self.with("channels", names)
    }

    /// Any field.
    pub fn with(mut self, field: &str, value: impl Into<Value>) -> Login {
        self.fields.insert(field.to_owned(), value.into());
        self
    }

    /// Whether only what the seed knows is said.
    pub fn is_seed(&self) -> bool {
        self.fields.is_empty()
    }

    /// A field as it is said.
    pub fn field(&self, name: &str) -> Option<&Value> {
        self.fields.get(name)
    }

    /// The `login` of somebody.
    pub fn body(&self, username: &str, auth: &str) -> Value {
        let mut body = self.fields.clone();
        body.insert("username".to_owned(), username.into());
        body.insert("ting_auth".to_owned(), auth.into());
        Value::Object(body)
    }
}

/// A socket whose events are kept.
#[derive(Debug)]
pub struct Connection {
    sender: Sender,
    seen: Arc<Mutex<Seen>>,
    more: watch::Receiver<()>,
}

#[derive(Debug, Default)]
struct Seen {
    events: Vec<Event>,
    shapes: Shapes,
    wrong: Option<String>,
}

impl Connection {
    /// Connects; it is not logged in yet.
    pub async fn open(url: &str, headers: &[(&str, &str)]) -> Connection {
        match socket::connect(url, headers).await {
            Ok((sender, events)) => Connection::of(sender, events),
            Err(error) => panic!("no connection to {url}: {error:#}"),
        }
    }

    /// Keeps the events of an open socket.
    pub fn of(sender: Sender, mut events: Events) -> Connection {
        let seen = Arc::new(Mutex::new(Seen::default()));
        let (tell, more) = watch::channel(());
        let sees = seen.clone();
        tokio::spawn(async move {
            while let Some(event) = events.next().await {
                let mut seen = lock(&sees);
                if let Err(wrong) = seen.shapes.check(&event.name, &event.args) {
                    let said = format!("{wrong}: {} {:?}", event.name, event.args);
                    seen.wrong.get_or_insert(said);
                }
                seen.events.push(event);
                drop(seen);
                tell.send_replace(());
            }
        });
        Connection { sender, seen, more }
    }

    /// Logs in and waits for the answer; who is online.
    pub async fn logs_in(&self, name: &str, auth: &str, login: &Login) -> Vec<String> {
        let response = self.tries_to_log_in(login.body(name, auth)).await;
        assert_eq!(response["success"], true, "login of {name:?}: {response}");
        let Value::Array(people) = &response["people"] else {
            panic!("people is an array of names: {response}");
        };
        let name = |person: &Value| person.as_str().expect("a name is a string").to_owned();
        people.iter().map(name).collect()
    }

    /// Sends a `login` as it is; the `login-response`.
    pub async fn tries_to_log_in(&self, login: Value) -> Value {
        lock(&self.seen).shapes.logs_in(&login);
        let asked = self.events().len();
        self.emit("login", login).await;
        self.until("login-response", |events| {
            let response = events[asked..]
                .iter()
                .find(|e| e.name == "login-response")?;
            Some(response.args[0].clone())
        })
        .await
    }

    /// Sends an event.
    pub async fn emit(&self, name: &str, argument: Value) {
        if let Err(error) = self.sender.emit(name, argument).await {
            panic!("{name} could not be sent: {error:#}");
        }
    }

    /// Sends an event and waits for its acknowledgement.
    pub async fn asks(&self, name: &str, argument: Value) -> Value {
        let what = format!("{name} {argument}");
        match self.sender.emit_with_ack(name, argument, LIMIT).await {
            Ok(answer) => answer,
            Err(error) => panic!("{what}: {error:#}"),
        }
    }

    /// The half that sends, for what people don't do.
    pub fn sender(&self) -> &Sender {
        &self.sender
    }

    /// Enters a conversation explicitly.
    pub async fn enters(&self, kind: &str, target: &str) -> Value {
        self.asks("enter", json!({ "type": kind, "target": target }))
            .await
    }

    /// Leaves a conversation.
    pub async fn leaves(&self, kind: &str, target: &str) -> Value {
        self.asks("leave", json!({ "type": kind, "target": target }))
            .await
    }

    /// Ends it as a closed tab does.
    pub async fn closes(&self) {
        self.sender.close().await;
    }

    /// Waits until the server has ended it, and how.
    pub async fn is_closed(&self) -> Closed {
        crate::within_limit("the end of the connection", self.sender.closed()).await
    }

    /// All events so far.
    pub fn events(&self) -> Vec<Event> {
        lock(&self.seen).events.clone()
    }

    /// How many events there were so far.
    pub fn count(&self) -> usize {
        lock(&self.seen).events.len()
    }

    /// Waits until the events show something.
    pub async fn until<T>(&self, what: &str, mut shown: impl FnMut(&[Event]) -> Option<T>) -> T {
        let mut more = self.more.clone();
        let until = Instant::now() + LIMIT;
        loop {
            more.borrow_and_update();
            if let Some(shown) = self.look(&mut shown) {
                return shown;
            }
            let why = match tokio::time::timeout_at(until, more.changed()).await {
                Ok(Ok(())) => continue,
                Ok(Err(_)) => {
                    if let Some(shown) = self.look(&mut shown) {
                        return shown;
                    }
                    let closed = self.sender.closed();
                    let why = tokio::time::timeout(Duration::from_secs(1), closed).await;
                    format!("the connection is over: {why:?}")
                }
                Err(_) => format!("not within {LIMIT:?}"),
            };
            panic!(
                "{what}: {why}; the last that was seen: {}",
                self.last_seen()
            );
        }
    }

    fn look<T>(&self, shown: &mut impl FnMut(&[Event]) -> Option<T>) -> Option<T> {
        let seen = lock(&self.seen);
        if let Some(wrong) = &seen.wrong {
            panic!("not as the protocol says: {wrong}");
        }
        shown(&seen.events)
    }

    fn last_seen(&self) -> String {
        let events = self.events();
        let last = &events[events.len().saturating_sub(12)..];
        last.iter()
            .map(|event| format!("\n  {} {:?}", event.name, event.args))
            .collect()
    }

    /// Waits until a message is shown as being typed, with this text.
    pub async fn sees(&self, ghost: &Ghost, text: &str) -> Value {
        let what = format!("{} typed as {text:?}", ghost.id);
        self.until(&what, |events| {
            let entry = last_entry(events, ghost.id)?;
            (entry["text"] == text && entry["typing"] == true).then(|| entry.clone())
        })
        .await
    }

    /// Waits until a message is shown as sent, with this text.
    pub async fn sees_sent(&self, ghost: &Ghost, text: &str) -> Value {
        let what = format!("{} sent as {text:?}", ghost.id);
        self.until(&what, |events| {
            let entry = last_entry(events, ghost.id)?;
            (entry["text"] == text && entry["typing"] == false).then(|| entry.clone())
        })
        .await
    }

    /// Waits until a message that was shown is erased.
    pub async fn no_longer_sees(&self, ghost: &Ghost) {
        let what = format!("{} erased", ghost.id);
        self.until(&what, |events| {
            (last_entry(events, ghost.id)?["text"] == "").then_some(())
        })
        .await;
    }

    /// Insists that a message was never shown so far.
    #[track_caller]
    pub fn never_saw(&self, ghost: &Ghost) {
        let shown = self.entries(ghost.id);
        assert!(shown.is_empty(), "{} was shown: {shown:?}", ghost.id);
        let messages = self.messages();
        let told = messages.iter().find(|m| m["messageid"] == ghost.id);
        assert_eq!(told, None, "{} was told of", ghost.id);
    }

    /// Every state of one message that was shown.
    pub fn entries(&self, id: u64) -> Vec<Value> {
        let events = self.events();
        let entries = events.iter().filter_map(|event| entry(event, id));
        entries.cloned().collect()
    }

    /// Every `message` so far.
    pub fn messages(&self) -> Vec<Value> {
        let events = self.events();
        let messages = events.iter().filter(|event| event.name == "message");
        messages.map(|event| event.args[0].clone()).collect()
    }

    /// Waits for the `message` of a message that was sent.
    pub async fn is_told(&self, ghost: &Ghost) -> Value {
        let what = format!("the `message` of {}", ghost.id);
        self.until(&what, |events| {
            let mut messages = events.iter().filter(|event| event.name == "message");
            let told = messages.find(|event| event.args[0]["messageid"] == ghost.id)?;
            Some(told.args[0].clone())
        })
        .await
    }

    /// Waits for a `join` or a `part` of a person, from the `from`th event on; its index.
    pub async fn hears(&self, event_name: &str, username: &str, from: usize) -> usize {
        let what = format!("{event_name} of {username:?}");
        self.until(&what, |events| {
            let told = |event: &Event| event.name == event_name && event.args == [json!(username)];
            events[from..]
                .iter()
                .position(told)
                .map(|index| from + index)
        })
        .await
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let wrong = lock(&self.seen).wrong.take();
        if let Some(wrong) = wrong
            && !std::thread::panicking()
        {
            panic!("not as the protocol says: {wrong}");
        }
    }
}

/// What an event says of one message.
pub fn entry(event: &Event, id: u64) -> Option<&Value> {
    if event.name != "update-typing-messages" {
        return None;
    }
    event.args.first()?.get(id.to_string())
}

/// What was last said of one message.
pub fn last_entry(events: &[Event], id: u64) -> Option<&Value> {
    events.iter().rev().find_map(|event| entry(event, id))
}

fn lock(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    // A test that failed while looking has said so itself.
    seen.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}
