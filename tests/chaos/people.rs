//! People in conversations: some watch, some type, some send.

mod typing;

pub use typing::{floods, types};

use crate::client::{Client, Online, PAUSE, Reading, within};
use crate::dice::Dice;
use crate::log::{Conversation, Shared, Text, What, Who};
use loadtest::socket::Event;
use serde_json::json;
use std::cmp::Reverse;
use std::collections::HashMap;
use std::time::Duration;
use tests::{Target, names};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

/// After how long somebody who sends gives up: then nobody knows whether it was sent.
const GIVES_UP: Duration = Duration::from_secs(20);

/// One of so many sends is tried at home first again, after the home had failed.
const HOMESICK: u64 = 20;

/// Who does something, where, and until when.
#[derive(Clone)]
pub struct Actor {
    /// With this client.
    pub client: Client,
    /// Written here.
    pub log: Shared,
    /// As this one.
    pub who: Who,
    /// In this conversation.
    pub conversation: usize,
    /// As the person names it.
    pub target: Target,
    /// Until this is true.
    pub over: watch::Receiver<bool>,
}

impl Actor {
    fn add(&self, what: What) {
        self.log.open().add(Some(self.who), what);
    }

    fn is_over(&self) -> bool {
        *self.over.borrow()
    }
}

/// Watches conversations, and comes back whenever the connection ends. While `stalled` is true
/// nothing that comes is read.
pub async fn watches(
    client: Client,
    log: Shared,
    who: Who,
    conversations: Vec<usize>,
    mut stalled: watch::Receiver<bool>,
) {
    let mut known: HashMap<u64, Text> = HashMap::new();
    let mut reads: Vec<Reading> = {
        let log = log.open();
        let targets = conversations.iter();
        let targets = targets.map(|it| log.conversations[*it].seen_by(&client.name));
        targets
            .map(|target| Reading { target, low: None })
            .collect()
    };
    loop {
        let mut online = client.connects(&reads).await;
        connects(&log, who, &online);
        for (conversation, history) in conversations.iter().zip(&online.histories) {
            let mut log = log.open();
            if !history.is_sorted_by_key(|message| Reverse(message["id"].as_u64())) {
                let wrong = "a history is not in the order of its places".to_owned();
                log.add(Some(who), What::Wrong(wrong));
            }
            for message in history.iter().filter(|message| message["typing"] == false) {
                let text = log.text(message["text"].as_str().unwrap_or_default());
                let Some(id) = message["id"].as_u64() else {
                    continue;
                };
                // The history may be ahead of what is shown live, so clients drop what they know.
                if known.insert(id, text) != Some(text) {
                    let conversation = *conversation;
                    let sent = What::Sent {
                        id,
                        conversation,
                        text,
                        live: false,
                    };
                    log.add(Some(who), sent);
                }
            }
        }
        // What came before the history was read may be in it too.
        for event in std::mem::take(&mut online.early) {
            hears(&client, &log, who, &mut online, &event, false, &mut known);
        }
        let caught_up = Instant::now();
        loop {
            let event = tokio::select! {
                event = online.events.next() => event,
                Ok(()) = stalled.changed() => {
                    let stalls = *stalled.borrow_and_update();
                    // An error is that the connection is over, which is heard next.
                    let _ = match stalls {
                        true => online.sender.stop_reading().await,
                        false => online.sender.read_again().await,
                    };
                    continue;
                }
            };
            let Some(event) = event else { break };
            let live = event.at > caught_up;
            hears(&client, &log, who, &mut online, &event, live, &mut known);
            if event.name == "cursor" {
                let cursor = &event.args[0];
                let of = |reading: &&mut Reading| {
                    cursor["type"] == reading.target.kind.as_str()
                        && cursor["target"] == reading.target.target
                };
                if let Some(reading) = reads.iter_mut().find(of) {
                    reading.low = cursor["low"].as_u64();
                }
            }
        }
        log.open().add(Some(who), What::Closes);
    }
}

fn connects(log: &Shared, who: Who, online: &Online) {
    let mut log = log.open();
    let people = online.people.iter().filter_map(|name| log.who(name));
    let people = people.collect();
    let node = online.place;
    log.add(Some(who), What::Connects { node, people });
}

fn hears(
    client: &Client,
    log: &Shared,
    who: Who,
    online: &mut Online,
    event: &Event,
    live: bool,
    known: &mut HashMap<u64, Text>,
) {
    let mut log = log.open();
    let at = event.at.saturating_duration_since(log.began);
    if let Err(wrong) = online.shapes.check(&event.name, &event.args) {
        let wrong = format!("{wrong}: {event:?}");
        log.add_at(at, Some(who), What::Wrong(wrong));
    }
    let argument = &event.args[0];
    match event.name.as_str() {
        "join" | "part" => {
            let Some(other) = argument.as_str().and_then(|name| log.who(name)) else {
                return;
            };
            let joins = event.name == "join";
            let what = if joins {
                What::Joins(other)
            } else {
                What::Parts(other)
            };
            log.add_at(at, Some(who), what);
        }
        "message" if argument["type"] == "user" && argument["target"] != client.name => {
            log.add_at(at, Some(who), What::Leaks(format!("{argument}")));
        }
        "update-typing-messages" => {
            for (id, entry) in argument.as_object().into_iter().flatten() {
                let said = entry["text"].as_str().unwrap_or_default();
                let target = entry["target"].as_str().unwrap_or_default();
                let conversation = match entry["type"] == "channel" {
                    true => Conversation::Channel(target.to_owned()),
                    false => {
                        let author = entry["username"].as_str().unwrap_or_default();
                        Conversation::between(author, target)
                    }
                };
                let conversation = log.conversation(conversation);
                let text = log.text(said);
                let what = match (id.parse(), entry["typing"] == true) {
                    (Ok(id), _) if said.is_empty() => What::Gone { id },
                    (Ok(id), true) => What::Ghost {
                        id,
                        conversation,
                        text,
                    },
                    (Ok(id), false) => {
                        known.insert(id, text);
                        What::Sent {
                            id,
                            conversation,
                            text,
                            live,
                        }
                    }
                    (Err(_), _) => What::Wrong(format!("{id:?} is no id")),
                };
                log.add_at(at, Some(who), what);
            }
        }
        _ => {}
    }
}

/// Where somebody sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// To the nearest node, and to the next one when one does not acknowledge it.
    Nearest,
    /// To the nearest one alone, for ever.
    Stubborn,
    /// To the nearest one that says it takes people, as a balancer does.
    Balanced,
}

/// Sends one message after the other by HTTP, each so long after the last one, and what is
/// overdue in quick succession. Each is repeated with its key.
pub async fn sends(me: Actor, every: Duration, way: Way, mut dice: Dice) {
    let nodes = me.client.nodes.len();
    let mut place = me.client.home;
    let mut due = Instant::now();
    while !me.is_over() {
        let text = names::text("sent");
        let asked = Instant::now();
        let send = me.log.open().asks(me.who, &text, me.conversation, None);
        let body = json!({
            "type": me.target.kind.as_str(), "target": me.target.target, "text": text,
            "typing": false, "key": names::unique("key"),
        });
        if dice.draws(HOMESICK) == 0 {
            place = me.client.home;
        }
        let goes_on = || match way {
            Way::Stubborn => !me.is_over(),
            _ => asked.elapsed() < GIVES_UP,
        };
        while goes_on() {
            if way == Way::Balanced {
                place = me.client.is_sent_to().await;
            }
            let ask = me.client.nodes[place].post("/api/v1/message");
            let asking = ask.bearer(&me.client.auth).json(&body).try_send();
            let status = match within(asking).await {
                Some(Ok(answer)) if answer.status == 200 => {
                    let (id, node) = (answer.messageid(), place);
                    me.add(What::Acknowledged { send, id, node });
                    break;
                }
                Some(Ok(answer)) => answer.status,
                _ => 0,
            };
            me.add(What::Fails { send, status });
            if !matches!(status, 0 | 503) {
                me.add(What::Wrong(format!("a send is answered {status}")));
                break;
            }
            if way == Way::Nearest {
                place = (place + 1) % nodes;
            }
            sleep(PAUSE).await;
        }
        // Nobody makes up for more than some seconds.
        due = (due + every).max(Instant::now() - 40 * every);
        tokio::time::sleep_until(due.max(Instant::now() + every / 2)).await;
    }
}

/// Reads the newest of a channel from one node, as often as it answers.
pub async fn reads_all_the_time(client: Client, target: Target) {
    let path = format!("{}?lim=100", target.history_path());
    loop {
        let ask = client.nodes[client.home].get(&path).cookie(&client.auth);
        // It may end or be busy, which others are to be judged by.
        if !matches!(within(ask.try_send()).await, Some(Ok(_))) {
            sleep(PAUSE).await;
        }
    }
}
