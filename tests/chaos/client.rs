//! A client as people have them: it connects to a node that takes people, the nearest first,
//! and to the next one when that ends; what was not answered is repeated.

use loadtest::socket::{self, Event, Events, Sender};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;
use tests::{Target, TargetKind, Ting, shape::Shapes};

/// How long a client waits for each step before it tries elsewhere.
pub const PATIENCE: Duration = Duration::from_millis(2_500);

/// How long a balancer waits for a node to say that it takes people.
const READY: Duration = Duration::from_secs(1);

/// The pause between two rounds of trying.
pub const PAUSE: Duration = Duration::from_millis(200);

/// As much of a history as a node gives at once.
const PAGE: usize = 1_000;

/// Somebody signed in, and the nodes they may use.
#[derive(Debug, Clone)]
pub struct Client {
    /// The nodes.
    pub nodes: Vec<Ting>,
    /// The nearest one.
    pub home: usize,
    /// The sign-in.
    pub auth: String,
    /// The name.
    pub name: String,
    /// Whether the client knows the seed's protocol alone.
    pub seed: bool,
}

/// A conversation that a client reads when it has connected, from a place on.
#[derive(Debug, Clone)]
pub struct Reading {
    /// Which.
    pub target: Target,
    /// Below it all is known.
    pub low: Option<u64>,
}

/// A client that is connected, logged in and has read the histories.
pub struct Online {
    /// Where.
    pub place: usize,
    /// The half that asks.
    pub sender: Sender,
    /// The half that hears.
    pub events: Events,
    /// What it heard before it had logged in.
    pub early: Vec<Event>,
    /// Who was online.
    pub people: Vec<String>,
    /// The histories it read, one for each of its readings.
    pub histories: Vec<Vec<Value>>,
    /// What holds its events against the protocol.
    pub shapes: Shapes,
}

impl Client {
    /// Somebody new.
    pub async fn new(nodes: &[Ting], home: usize, start: &str) -> Client {
        let (name, auth) = nodes[home].signs_in(start).await;
        Client {
            nodes: nodes.to_vec(),
            home,
            auth,
            name,
            seed: start == "seed",
        }
    }

    /// The nodes in the order in which this client tries them.
    pub fn order(&self) -> impl Iterator<Item = usize> + use<> {
        let (home, count) = (self.home, self.nodes.len());
        (0..count).map(move |step| (home + step) % count)
    }

    /// The nearest node that takes people, however long it takes until there is one.
    pub async fn is_sent_to(&self) -> usize {
        loop {
            for place in self.order() {
                if is_ready(&self.nodes[place]).await {
                    return place;
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Connects, however long it takes.
    pub async fn connects(&self, reads: &[Reading]) -> Online {
        loop {
            for place in self.order() {
                if !is_ready(&self.nodes[place]).await {
                    continue;
                }
                if let Some(online) = self.tries(place, reads).await {
                    return online;
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn tries(&self, place: usize, reads: &[Reading]) -> Option<Online> {
        let node = &self.nodes[place];
        let connected = within(socket::connect(&node.url(), &[])).await?;
        let (sender, mut events) = connected.ok()?;
        let mut login = json!({ "username": self.name, "ting_auth": self.auth });
        if !self.seed {
            let channels = reads
                .iter()
                .filter(|it| it.target.kind == TargetKind::Channel);
            let channels: Vec<&str> = channels.map(|it| it.target.target.as_str()).collect();
            login["channels"] = json!(channels);
            login["resume"] = true.into();
        }
        let mut shapes = Shapes::default();
        shapes.logs_in(&login);
        sender.emit("login", login).await.ok()?;
        let mut early = Vec::new();
        let people = within(async {
            loop {
                let event = events.next().await?;
                if event.name == "login-response" {
                    shapes.check(&event.name, &event.args).ok()?;
                    let people = event.args[0]["people"].as_array()?.iter();
                    let names = people.filter_map(|name| Some(name.as_str()?.to_owned()));
                    return Some(names.collect::<Vec<_>>());
                }
                early.push(event);
            }
        })
        .await??;
        let mut histories = Vec::new();
        for Reading { target, low } in reads {
            // The original protocol has no pages: who knows it alone reads what it gives at once.
            let low = low.filter(|_| !self.seed);
            histories.push(read(node, &self.auth, target, low).await?);
        }
        Some(Online {
            place,
            sender,
            events,
            early,
            people,
            histories,
            shapes,
        })
    }
}

/// The history as a node gives it, newest first: all after this place, or one page.
pub async fn read(
    node: &Ting,
    auth: &str,
    target: &Target,
    after: Option<u64>,
) -> Option<Vec<Value>> {
    let mut history: Vec<Value> = Vec::new();
    loop {
        let mut path = format!("{}?lim={PAGE}", target.history_path());
        if let Some(after) = after {
            path += &format!("&after={after}");
        }
        if let Some(before) = history.last().and_then(|last| last["id"].as_u64()) {
            path += &format!("&before={before}");
        }
        let asking = node.get(&path).cookie(auth).try_send();
        let answer = within(asking).await?.ok()?;
        let page = match serde_json::from_str(&answer.text) {
            Ok(Value::Array(page)) if answer.status == 200 => page,
            _ => return None,
        };
        let whole = page.len() == PAGE;
        history.extend(page);
        if !whole || after.is_none() {
            return Some(history);
        }
    }
}

/// Whether a node takes people, as a balancer asks it. What is one itself has asked.
async fn is_ready(node: &Ting) -> bool {
    if !node.has_admin() {
        return true;
    }
    let ask = node.admin(Method::GET, "/readyz").try_send();
    let answer = tokio::time::timeout(READY, ask).await;
    matches!(answer, Ok(Ok(answer)) if answer.status == 200)
}

/// What comes within a client's patience.
pub async fn within<T>(waiting: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout(PATIENCE, waiting).await.ok()
}
