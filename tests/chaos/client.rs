//! A client as people have them: it connects to a node that takes people, the nearest first,
//! and to the next one when that ends; what was not answered is repeated.

use loadtest::socket::{self, Event, Events, Sender};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;
use tests::{Ting, shape::Shapes};

/// How long a client waits for each step before it tries elsewhere.
pub const PATIENCE: Duration = Duration::from_millis(2_500);

/// How long a balancer waits for a node to say that it takes people.
const READY: Duration = Duration::from_secs(1);

/// The pause between two rounds of trying.
pub const PAUSE: Duration = Duration::from_millis(200);

/// Somebody signed in, and the nodes they may use.
#[derive(Debug, Clone)]
pub struct Client {
    /// The nodes.
    pub nodes: Vec<Ting>,
    /// The nearest one.
    pub home: usize,
    /// Where everybody is.
    pub channel: String,
    /// The sign-in.
    pub auth: String,
    /// The name.
    pub name: String,
    /// Whether the client knows the seed's protocol alone.
    pub seed: bool,
}

/// A client that is connected, logged in and has read the history.
pub struct Online {
    /// The half that asks.
    pub sender: Sender,
    /// The half that hears.
    pub events: Events,
    /// What it heard before it had read the history.
    pub early: Vec<Event>,
    /// The history it read.
    pub history: Vec<Value>,
    /// What holds its events against the protocol.
    pub shapes: Shapes,
}

impl Client {
    /// Somebody new.
    pub async fn new(nodes: &[Ting], home: usize, channel: &str, start: &str) -> Client {
        let (name, auth) = nodes[home].signs_in(start).await;
        Client {
            nodes: nodes.to_vec(),
            home,
            channel: channel.to_owned(),
            auth,
            name,
            seed: start == "seed",
        }
    }

    /// The nodes in the order in which this client tries them.
    pub fn order(&self) -> impl Iterator<Item = usize> {
        let (home, count) = (self.home, self.nodes.len());
        (0..count).map(move |step| (home + step) % count)
    }

    /// Connects, however long it takes.
    pub async fn connects(&self) -> Online {
        loop {
            for place in self.order() {
                if !is_ready(&self.nodes[place]).await {
                    continue;
                }
                if let Some(online) = self.tries(&self.nodes[place]).await {
                    return online;
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn tries(&self, node: &Ting) -> Option<Online> {
        let connected = within(socket::connect(&node.url(), &[])).await?;
        let (sender, mut events) = connected.ok()?;
        let mut login = json!({ "username": self.name, "ting_auth": self.auth });
        if !self.seed {
            login["channels"] = json!([self.channel]);
            login["resume"] = true.into();
        }
        let mut shapes = Shapes::default();
        shapes.logs_in(&login);
        sender.emit("login", login).await.ok()?;
        let mut early = Vec::new();
        within(async {
            loop {
                let event = events.next().await?;
                if event.name == "login-response" {
                    shapes.check(&event.name, &event.args).ok()?;
                    return (event.args[0]["success"] == true).then_some(());
                }
                early.push(event);
            }
        })
        .await??;
        let history = read(node, &self.auth, &self.channel).await?;
        Some(Online {
            sender,
            events,
            early,
            history,
            shapes,
        })
    }
}

/// The whole history as a node gives it, newest first.
pub async fn read(node: &Ting, auth: &str, channel: &str) -> Option<Vec<Value>> {
    let path = tests::Target::channel(channel).history_path();
    let ask = node.get(&format!("{path}?lim=1000")).cookie(auth);
    let answer = within(ask.try_send()).await?.ok()?;
    let Ok(Value::Array(history)) = serde_json::from_str(&answer.text) else {
        return None;
    };
    (answer.status == 200).then_some(history)
}

/// Whether a node takes people, as a balancer asks it.
async fn is_ready(node: &Ting) -> bool {
    let ask = node.admin(Method::GET, "/readyz").try_send();
    let answer = tokio::time::timeout(READY, ask).await;
    matches!(answer, Ok(Ok(answer)) if answer.status == 200)
}

/// What comes within a client's patience.
pub async fn within<T>(waiting: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout(PATIENCE, waiting).await.ok()
}
