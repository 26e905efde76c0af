//! What the small server knows, and the one thing that it does wrong.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    time::{Duration, Instant},
};

use axum::http::StatusCode;
use serde_json::{Value, json};
use tokio::sync::mpsc::UnboundedSender;

/// The fault of a server. Where one viewer suffers it, it is the first to have logged in, and
/// the message is the second that was begun: one letter among all others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Planted {
    Nothing,
    LostFinal,
    LostLastUpdate,
    SwappedPair,
    GhostAfterEnd,
    DoubledMessage,
    TruncatedText,
    Vanished,
    /// All stand still for this long, once.
    Stall(Duration),
    /// One viewer's login is not answered.
    NeverJoins,
    /// A private is shown to a third person.
    Foreign,
    /// A send is acknowledged and forgotten.
    ForgottenSend,
    /// A send is stored twice.
    StoredTwice,
    /// An erased message is stored.
    StoredErased,
    /// One connection ends in the midst.
    LostConnection,
    /// A coming and going is told to all but the first.
    UntoldPart,
}

/// All of the server's state.
pub struct World {
    planted: Planted,
    tokens: HashMap<String, String>,
    sockets: BTreeMap<usize, Socket>,
    logins: usize,
    unanswered: Option<String>,
    last_id: u64,
    keys: HashMap<String, u64>,
    talks: BTreeMap<String, Talk>,
    begun: Vec<u64>,
    held: Option<Entry>,
    warped: bool,
    target_shown: usize,
    shown: usize,
    first_key: Option<Instant>,
}

struct Socket {
    username: String,
    channels: Option<HashSet<String>>,
    messages: bool,
    batched: bool,
    out: UnboundedSender<String>,
}

#[derive(Default)]
struct Talk {
    open: BTreeMap<u64, Entry>,
    rows: Vec<Value>,
    changed: Vec<Entry>,
}

#[derive(Debug, Clone)]
struct Entry {
    id: u64,
    username: String,
    text: String,
    typing: bool,
}

impl World {
    pub fn new(planted: Planted) -> Self {
        World {
            planted,
            tokens: HashMap::new(),
            sockets: BTreeMap::new(),
            logins: 0,
            unanswered: None,
            last_id: 1_000,
            keys: HashMap::new(),
            talks: BTreeMap::new(),
            begun: Vec::new(),
            held: None,
            warped: false,
            target_shown: 0,
            shown: 0,
            first_key: None,
        }
    }

    pub fn sign_in(&mut self, username: &str) -> String {
        let token = format!("token-{}-{username}", self.tokens.len());
        self.tokens.insert(token.clone(), username.to_owned());
        token
    }

    pub fn of_token(&self, token: &str) -> Option<String> {
        self.tokens.get(token).cloned()
    }

    pub fn log_in(&mut self, login: &Value, out: UnboundedSender<String>) -> Option<usize> {
        let username = login["username"].as_str().unwrap().to_owned();
        let owner = self.of_token(login["ting_auth"].as_str().unwrap());
        assert_eq!(owner.as_ref(), Some(&username));
        let number = self.logins;
        self.logins += 1;
        if self.planted == Planted::NeverJoins && number == 2 {
            self.unanswered = Some(username.clone());
        }
        if self.unanswered.as_ref() == Some(&username) {
            return None;
        }
        let channels = login["channels"].as_array().map(|channels| {
            channels
                .iter()
                .map(|name| format!("channel/{}", name.as_str().unwrap()))
                .collect()
        });
        let socket = Socket {
            username: username.clone(),
            channels,
            messages: login["messages"] != json!(false),
            batched: login["presence"] == json!("batched"),
            out,
        };
        let first = !self
            .sockets
            .values()
            .any(|socket| socket.username == username);
        let people: BTreeSet<_> = self
            .sockets
            .values()
            .map(|socket| &socket.username)
            .chain([&username])
            .collect();
        socket.say(
            "login-response",
            &json!({ "success": true, "people": people }),
        );
        for (place, talk) in &self.talks {
            if socket.is_in(place) && !talk.open.is_empty() {
                socket.show(&talk.open.values().cloned().collect::<Vec<_>>());
            }
        }
        self.sockets.insert(number, socket);
        if first {
            self.tell_presence(&username, true);
        }
        Some(number)
    }

    pub fn leave(&mut self, number: usize) {
        let Some(socket) = self.sockets.remove(&number) else {
            return;
        };
        if !self
            .sockets
            .values()
            .any(|other| other.username == socket.username)
        {
            self.tell_presence(&socket.username, false);
        }
    }

    fn tell_presence(&self, username: &str, came: bool) {
        for (number, socket) in &self.sockets {
            if self.planted == Planted::UntoldPart && *number == 0 && !came {
                continue;
            }
            let names = json!([username]);
            match (socket.batched, came) {
                (true, true) => socket.say("presence", &json!({ "joined": names, "parted": [] })),
                (true, false) => socket.say("presence", &json!({ "joined": [], "parted": names })),
                (false, true) => socket.say("join", &json!(username)),
                (false, false) => socket.say("part", &json!(username)),
            }
        }
    }

    pub fn begin(&mut self, username: &str, body: &Value) -> u64 {
        self.first_key.get_or_insert_with(Instant::now);
        if let Some(id) = body["key"].as_str().and_then(|key| self.keys.get(key)) {
            return *id;
        }
        self.last_id += 32;
        let id = self.last_id;
        if let Some(key) = body["key"].as_str() {
            self.keys.insert(key.to_owned(), id);
        }
        let text = body["text"].as_str().unwrap().to_owned();
        if body["typing"] == false {
            self.talk(username, body).rows.push(json!({
                "id": id, "text": text, "username": username, "typing": false,
                "datetime_start": 1, "datetime_sent": 1,
            }));
            return id;
        }
        self.begun.push(id);
        let entry = Entry {
            id,
            username: username.to_owned(),
            text,
            typing: true,
        };
        self.talk(username, body).change(entry);
        id
    }

    pub fn update(&mut self, username: &str, body: &Value) -> StatusCode {
        let id = body["messageid"].as_u64().unwrap();
        let planted = self.planted;
        let target = self.begun.get(1) == Some(&id);
        let fresh = self.last_id + 32;
        let talk = self.talk(username, body);
        let text = body["text"].as_str().unwrap().to_owned();
        let typing = body["typing"].as_bool().unwrap();
        match talk.open.get(&id) {
            // The same again, because its answer was not seen.
            None => return StatusCode::NO_CONTENT,
            Some(open) if open.username != username => return StatusCode::FORBIDDEN,
            Some(_) => {}
        }
        let before = talk.open[&id].text.clone();
        talk.change(Entry {
            id,
            username: username.to_owned(),
            text: text.clone(),
            typing,
        });
        let mut store = |id: u64, text: &str| {
            talk.rows.push(json!({
                "id": id, "text": text, "username": username, "typing": false,
                "datetime_start": 1, "datetime_sent": 2,
            }));
        };
        if text.is_empty() {
            if target && planted == Planted::StoredErased {
                store(id, &before);
            }
        } else if !typing {
            if !(target && planted == Planted::ForgottenSend) {
                store(id, &text);
            }
            if target && planted == Planted::StoredTwice {
                store(fresh, &text);
                self.last_id = fresh;
            }
        }
        StatusCode::NO_CONTENT
    }

    fn talk(&mut self, username: &str, body: &Value) -> &mut Talk {
        let kind = body["type"].as_str().unwrap();
        let place = place(username, kind, body["target"].as_str().unwrap());
        self.talks.entry(place).or_default()
    }

    /// Rows, newest first, and whether there are more.
    pub fn history(
        &mut self,
        username: &str,
        kind: &str,
        target: &str,
        query: &HashMap<String, u64>,
    ) -> (Vec<Value>, bool) {
        let place = place(username, kind, target);
        // Who reads a channel and named none is in it from now on.
        for socket in self
            .sockets
            .values_mut()
            .filter(|socket| socket.username == username)
        {
            if let (None, "channel") = (&socket.channels, kind) {
                socket.channels = Some(HashSet::from([place.clone()]));
            }
        }
        let talk = self.talks.entry(place).or_default();
        let mut rows = talk.rows.clone();
        rows.extend(talk.open.values().map(|open| {
            json!({
                "id": open.id, "text": open.text, "username": open.username, "typing": true,
                "datetime_start": 1, "datetime_sent": null,
            })
        }));
        rows.sort_by_key(|row| std::cmp::Reverse(row["id"].as_u64()));
        let before = query.get("before").copied().unwrap_or(u64::MAX);
        rows.retain(|row| row["id"].as_u64().unwrap() < before);
        let more = rows.len() as u64 > query["lim"];
        rows.truncate(query["lim"] as usize);
        (rows, more)
    }

    /// Shows what changed to those whom it concerns.
    pub fn flush(&mut self) {
        if let (Planted::Stall(stall), Some(first)) = (self.planted, self.first_key)
            && (first + stall / 10..first + stall).contains(&Instant::now())
        {
            return;
        }
        if self.planted == Planted::LostConnection && !self.warped && self.shown > 20 {
            self.warped = true;
            if let Some(socket) = self.sockets.remove(&0) {
                let _ = socket.out.send("41".to_owned());
            }
        }
        let changes: Vec<(String, Vec<Entry>)> = self
            .talks
            .iter_mut()
            .filter(|(_, talk)| !talk.changed.is_empty())
            .map(|(place, talk)| (place.clone(), std::mem::take(&mut talk.changed)))
            .collect();
        for (place, changed) in changes {
            let newest: BTreeMap<u64, Entry> = changed
                .iter()
                .map(|entry| (entry.id, entry.clone()))
                .collect();
            let entries: Vec<Entry> = newest.into_values().collect();
            self.shown += 1;
            let frames = self.warp(entries.clone());
            let foreign = self.planted == Planted::Foreign;
            for (number, socket) in &self.sockets {
                if *number == 0 && socket.is_in(&place) {
                    frames.iter().for_each(|frame| socket.show(frame));
                } else if socket.is_in(&place) || (foreign && *number == 0) {
                    socket.show(&entries);
                }
                let sent = entries
                    .iter()
                    .filter(|entry| !entry.typing && socket.messages);
                for entry in sent.filter(|entry| socket.is_told(&place, entry)) {
                    socket.say(
                        "message",
                        &json!({ "username": entry.username, "text": entry.text,
                            "type": "channel", "target": "", "messageid": entry.id }),
                    );
                }
            }
        }
    }

    /// What the first viewer is shown instead.
    fn warp(&mut self, entries: Vec<Entry>) -> Vec<Vec<Entry>> {
        let target = self.begun.get(1).copied();
        let (mine, others): (Vec<_>, Vec<_>) = entries
            .into_iter()
            .partition(|entry| Some(entry.id) == target);
        let mut frames = vec![others];
        for entry in mine {
            let end = !entry.typing || entry.text.is_empty();
            self.target_shown += 1;
            match self.planted {
                Planted::LostFinal if end => {}
                Planted::LostLastUpdate if !end => {
                    frames.extend(self.held.replace(entry).map(|held| vec![held]));
                    continue;
                }
                Planted::SwappedPair if !end => match self.held.take() {
                    None if self.target_shown == 1 => self.held = Some(entry),
                    Some(held) => frames.extend([vec![entry], vec![held]]),
                    None => frames.push(vec![entry]),
                },
                Planted::GhostAfterEnd => match self.held.take() {
                    Some(held) if end => frames.extend([vec![entry], vec![held]]),
                    _ => {
                        self.held = Some(entry.clone());
                        frames.push(vec![entry]);
                    }
                },
                Planted::DoubledMessage if end => frames.extend([vec![entry.clone()], vec![entry]]),
                Planted::TruncatedText if self.target_shown == 1 => {
                    let mut cut = entry.clone();
                    cut.text.pop();
                    frames.push(vec![cut]);
                }
                Planted::Vanished if self.target_shown == 2 && !end => {
                    frames.push(vec![Entry {
                        text: String::new(),
                        ..entry.clone()
                    }]);
                    frames.push(vec![entry]);
                }
                _ => frames.push(vec![entry]),
            }
        }
        frames.retain(|frame| !frame.is_empty());
        frames
    }
}

impl Talk {
    fn change(&mut self, entry: Entry) {
        if !entry.typing || entry.text.is_empty() {
            self.open.remove(&entry.id);
        } else {
            self.open.insert(entry.id, entry.clone());
        }
        self.changed.push(entry);
    }
}

impl Socket {
    fn is_in(&self, place: &str) -> bool {
        match place.strip_prefix("user/") {
            Some(pair) => pair.split('|').any(|person| person == self.username),
            None => self
                .channels
                .as_ref()
                .is_some_and(|channels| channels.contains(place)),
        }
    }

    fn is_told(&self, place: &str, entry: &Entry) -> bool {
        let private = place.starts_with("user/");
        self.is_in(place) && !(private && entry.username == self.username)
    }

    fn show(&self, entries: &[Entry]) {
        let dictionary: serde_json::Map<String, Value> = entries
            .iter()
            .map(|entry| {
                let shown = json!({ "text": entry.text, "username": entry.username,
                    "typing": entry.typing, "datetime_start": 1 });
                (entry.id.to_string(), shown)
            })
            .collect();
        self.say("update-typing-messages", &Value::Object(dictionary));
    }

    fn say(&self, name: &str, argument: &Value) {
        // A socket that has gone hears nothing.
        let _ = self.out.send(format!("42{}", json!([name, argument])));
    }
}

fn place(username: &str, kind: &str, target: &str) -> String {
    if kind == "channel" {
        return format!("channel/{target}");
    }
    let mut people = [username, target];
    people.sort_unstable();
    format!("user/{}", people.join("|"))
}
