//! Those who type.

use super::{Actor, connects};
use crate::client::{Client, Reading, within};
use crate::dice::Dice;
use crate::log::{Parting, What};
use futures::FutureExt;
use loadtest::socket::Sender;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tests::{Target, TargetKind, names};
use tokio::time::sleep;

/// How often somebody types on.
const TYPES: Duration = Duration::from_millis(300);

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
        me.add(What::Leaves);
    }
}

/// Whether there was a connection, and it has ended by itself.
fn has_ended(me: &Actor, socket: &mut Option<Sender>) -> bool {
    let ended = socket.take_if(|sender| sender.closed().now_or_never().is_some());
    if ended.is_some() {
        me.add(What::Closes);
    }
    ended.is_some()
}

/// The connection, made anew if it has ended.
async fn online(me: &Actor, reads: &[Reading], socket: &mut Option<Sender>) -> Sender {
    has_ended(me, socket);
    if let Some(sender) = socket {
        return sender.clone();
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
    // As all texts of people, to be found where it is not to be.
    let words = names::text("typed");
    let begun = loop {
        let sender = online(me, reads, socket).await;
        let begin = json!({ "type": kind, "target": target, "text": words, "key": key });
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
        // Who leaves things behind doesn't come back for them.
        if !over && matches!(ending, Ending::Leaves) && has_ended(me, socket) {
            let how = Parting::Lost;
            me.add(What::Abandons { id, how });
            return;
        }
        let text = match (over, ending) {
            (false, _) => format!("{words} {rev}"),
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
                    me.add(What::Leaves);
                }
                let how = Parting::Clean;
                me.add(What::Abandons { id, how });
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
                let how = Parting::Clean;
                me.add(What::Abandons { id, how });
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

/// Types a thousand times a second, and waits for no answer; how often is counted.
pub async fn floods(client: Client, target: Target, asked: Arc<AtomicUsize>) {
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
            asked.fetch_add(1, Ordering::Relaxed);
        }
    }
}
