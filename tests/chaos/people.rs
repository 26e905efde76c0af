//! People in conversations: some watch, some type, some send.

use crate::client::{Client, Online, PAUSE, Reading, within};
use crate::dice::Dice;
use crate::log::{Conversation, Shared, Text, What, Who};
use futures::FutureExt;
use loadtest::socket::{Event, Sender};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::time::Duration;
use tests::{Target, TargetKind, names};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

/// How often somebody types on.
const TYPES: Duration = Duration::from_millis(300);

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

/// Types a thousand times a second, and waits for no answer.
pub async fn floods(client: Client, target: Target) {
    let reading = Reading {
        target: target.clone(),
        low: None,
    };
    let reads = std::slice::from_ref(&reading);
    loop {
        let sender = client.connects(reads).await.sender;
        let begin = json!({ "type": target.kind.as_str(), "target": target.target, "text": "0" });
        let begun = sender.emit_with_ack("post-message", begin, tests::LIMIT);
        let begun = begun.await.unwrap_or_default();
        let mut pace = tokio::time::interval(Duration::from_millis(10));
        for rev in 1_u64.. {
            if rev % 10 == 0 {
                pace.tick().await;
            }
            let change = json!({
                "type": target.kind.as_str(), "target": target.target, "typing": true,
                "messageid": begun["messageid"], "text": rev.to_string(), "rev": rev,
            });
            // It may be ended for this.
            if sender.emit("patch-message", change).await.is_err() {
                break;
            }
        }
    }
}

/// What somebody does with a message that was typed for a while.
enum Ending {
    Sends,
    Erases,
    Leaves,
}

/// Types on a socket: one message all the time, which is sent when all is over; or, of somebody
/// with dice, one after the other, of which some are sent, some erased, some left behind.
pub async fn types(me: Actor, mut dice: Option<Dice>) {
    let channel = me.target.kind == TargetKind::Channel;
    let reads = match channel {
        true => vec![Reading {
            target: me.target.clone(),
            low: None,
        }],
        false => Vec::new(),
    };
    let mut socket: Option<Sender> = None;
    while dice.is_some() || !me.is_over() {
        if me.is_over() {
            break;
        }
        let steps = dice.as_mut().map(|dice| 3 + dice.draws(30));
        let ending = match dice.as_mut().map_or(0, |dice| dice.draws(4)) {
            0 | 1 => Ending::Sends,
            2 => Ending::Erases,
            _ => Ending::Leaves,
        };
        types_one(&me, &reads, &mut socket, steps, ending).await;
        if let Some(dice) = &mut dice {
            sleep(TYPES * dice.draws(6) as u32).await;
        }
    }
    if socket.take().is_some() {
        me.add(What::Closes);
    }
}

/// The connection, made anew if it has ended.
async fn online(me: &Actor, reads: &[Reading], socket: &mut Option<Sender>) -> Sender {
    if let Some(sender) = socket
        && sender.closed().now_or_never().is_none()
    {
        return sender.clone();
    }
    if socket.take().is_some() {
        me.add(What::Closes);
    }
    let online = me.client.connects(reads).await;
    connects(&me.log, me.who, &online);
    socket.insert(online.sender).clone()
}

/// Types one message from its beginning to its end.
async fn types_one(
    me: &Actor,
    reads: &[Reading],
    socket: &mut Option<Sender>,
    steps: Option<u64>,
    ending: Ending,
) {
    let (kind, target) = (me.target.kind.as_str(), &me.target.target);
    let key = names::unique("key");
    let begun = loop {
        let sender = online(me, reads, socket).await;
        let begin = json!({ "type": kind, "target": target, "text": "typed", "key": key });
        let asking = sender.emit_with_ack("post-message", begin, tests::LIMIT);
        match within(asking).await {
            Some(Ok(answer)) if answer["messageid"].is_u64() => break answer,
            // What was left behind on a node that hangs is there still.
            Some(Ok(answer)) if [json!(503), json!(429)].contains(&answer["status"]) => {}
            Some(Ok(answer)) => me.add(What::Wrong(format!("post-message: {answer}"))),
            _ => {}
        }
        pauses(&sender).await;
    };
    let id = begun["messageid"].as_u64().unwrap_or_default();
    let conversation = me.conversation;
    me.add(What::Types { id, conversation });
    let mut send: Option<usize> = None;
    let mut over = false;
    for rev in 1_u64.. {
        over |= me.is_over() || steps.is_some_and(|steps| rev > steps);
        // When all is over nobody leaves anything behind.
        let ending = match ending {
            Ending::Leaves if me.is_over() => &Ending::Erases,
            _ if steps.is_none() => &Ending::Sends,
            ref ending => ending,
        };
        let text = match (over, ending) {
            (false, _) => format!("typed {rev}"),
            (true, Ending::Sends) => {
                let send = *send.get_or_insert_with(|| {
                    let text = names::text("typed");
                    let mut log = me.log.open();
                    log.asks(me.who, &text, conversation, Some(id))
                });
                let log = me.log.open();
                log.reads(log.sends[send].text).to_owned()
            }
            (true, Ending::Erases) => String::new(),
            (true, Ending::Leaves) => {
                if let Some(socket) = socket.take() {
                    within(socket.close()).await;
                    me.add(What::Closes);
                }
                me.add(What::Abandons { id });
                return;
            }
        };
        let sender = online(me, reads, socket).await;
        let change = json!({
            "type": kind, "target": target, "messageid": id, "text": text,
            "typing": send.is_none(), "rev": rev, "claim": begun["claim"],
        });
        let asked = sender.emit_with_ack("patch-message", change, tests::LIMIT);
        let answer = match within(asked).await {
            Some(Ok(answer)) => answer,
            _ => Value::Null,
        };
        match (answer["status"].as_u64(), send) {
            (Some(204), _) if !over => me.add(What::Types { id, conversation }),
            (Some(204), Some(send)) => {
                let node = me.client.home;
                me.add(What::Acknowledged { send, id, node });
                return;
            }
            // Erased: by this one, or by one before it whose answer was lost.
            (Some(204 | 404), None) if over => {
                me.add(What::Abandons { id });
                return;
            }
            (Some(503) | None, Some(send)) => {
                let status = answer["status"].as_u64().unwrap_or(0) as u16;
                me.add(What::Fails { send, status });
            }
            (Some(503) | None, _) => {}
            (Some(_), _) => me.add(What::Wrong(format!("typing on is answered {answer}"))),
        }
        pauses(&sender).await;
    }
}

/// Until the next letter, or until there has to be another connection.
async fn pauses(sender: &Sender) {
    tokio::select! {
        () = sleep(TYPES) => {}
        _ = sender.closed() => {}
    }
}
