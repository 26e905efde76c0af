//! People in a channel: some watch, some type one message all the time, some send.

use crate::client::{Client, Online, PAUSE, within};
use crate::log::{Screen, Send, Shared};
use loadtest::socket::Event;
use serde_json::{Value, json};
use std::time::Duration;
use tests::names;
use tokio::sync::watch;
use tokio::time::Instant;

/// How often somebody sends.
const SENDS: Duration = Duration::from_millis(400);

/// How often somebody types on.
const TYPES: Duration = Duration::from_millis(300);

/// Watches, and comes back whenever the connection ends.
pub async fn watches(client: Client, log: Shared, place: usize) {
    loop {
        let mut online = client.connects().await;
        for message in online.history.iter().filter(|m| m["typing"] == false) {
            let mut log = log.open();
            let text = message["text"].as_str().unwrap_or_default();
            if let Some(id) = message["id"].as_u64() {
                log.screens[place].shows_sent(Instant::now(), id, text, false);
            }
        }
        // What came before the history was read may be in it too.
        for event in std::mem::take(&mut online.early) {
            shown(&mut online, &event, &mut log.open().screens[place], false);
        }
        let caught_up = Instant::now();
        while let Some(event) = online.events.next().await {
            let mut log = log.open();
            let live = event.at > caught_up;
            shown(&mut online, &event, &mut log.screens[place], live);
        }
        log.open().screens[place].closes();
    }
}

fn shown(online: &mut Online, event: &Event, screen: &mut Screen, live: bool) {
    if let Err(wrong) = online.shapes.check(&event.name, &event.args) {
        screen.wrong.push(format!("{wrong}: {event:?}"));
    }
    let entries = match event.name.as_str() {
        "update-typing-messages" => event.args[0].as_object(),
        _ => None,
    };
    for (id, entry) in entries.into_iter().flatten() {
        let text = entry["text"].as_str().unwrap_or_default();
        match (id.parse(), entry["typing"] == true) {
            (Ok(id), _) if text.is_empty() => screen.erases(id),
            (Ok(id), true) => screen.shows_ghost(id, text),
            (Ok(id), false) => screen.shows_sent(event.at, id, text, live),
            (Err(_), _) => screen.wrong.push(format!("{id:?} is no id")),
        }
    }
}

/// Sends one message after the other by HTTP until `over`. Each is repeated with its key, at the
/// next node when one does not acknowledge it; by somebody who `stays`, at the same.
pub async fn sends(client: Client, log: Shared, over: watch::Receiver<bool>, stays: bool) {
    while !*over.borrow() {
        let text = names::text("sent");
        let asked = Instant::now();
        let at = {
            let mut log = log.open();
            log.sends.push(Send {
                text: text.clone(),
                asked,
                acknowledged: None,
                reserved: None,
            });
            log.sends.len() - 1
        };
        let body = json!({
            "type": "channel", "target": client.channel, "text": text, "typing": false,
            "key": names::unique("key"),
        });
        let mut order: Vec<usize> = client.order().take(if stays { 1 } else { 3 }).collect();
        while !stays || !*over.borrow() {
            let place = order[0];
            let ask = client.nodes[place]
                .post("/api/v1/message")
                .bearer(&client.auth);
            match within(ask.json(&body).try_send()).await {
                Some(Ok(answer)) if answer.status == 200 => {
                    let id = answer.messageid();
                    log.open().sends[at].acknowledged = Some((Instant::now(), id, place));
                    break;
                }
                Some(Ok(answer)) if answer.status != 503 => {
                    let wrong = format!("a send is answered {} {}", answer.status, answer.text);
                    log.open().wrong.push(wrong);
                    break;
                }
                _ => {}
            }
            order.rotate_left(1);
            tokio::time::sleep(PAUSE).await;
        }
        tokio::time::sleep(SENDS).await;
    }
}

/// Begins a message and types on until `over`, then sends it, all on a socket.
pub async fn types(client: Client, log: Shared, place: usize, over: watch::Receiver<bool>) {
    let mut online = client.connects().await;
    let begin = json!({ "type": "channel", "target": client.channel, "text": "typed" });
    let begun = online
        .sender
        .emit_with_ack("post-message", begin, tests::LIMIT)
        .await;
    let begun = begun.unwrap_or_else(|error| panic!("post-message: {error:#}"));
    let (id, claim) = (begun["messageid"].as_u64(), begun["claim"].clone());
    assert!(id.is_some(), "post-message is answered by {begun}");
    let mut sending: Option<usize> = None;
    for rev in 1.. {
        if *over.borrow() && sending.is_none() {
            let mut log = log.open();
            log.sends.push(Send {
                text: names::text("typed"),
                asked: Instant::now(),
                acknowledged: None,
                reserved: id,
            });
            sending = Some(log.sends.len() - 1);
        }
        let text = match sending {
            Some(send) => log.open().sends[send].text.clone(),
            None => format!("typed {rev}"),
        };
        let change = json!({
            "type": "channel", "target": client.channel, "messageid": id, "text": text,
            "typing": sending.is_none(), "rev": rev, "claim": claim,
        });
        let asked = online
            .sender
            .emit_with_ack("patch-message", change, tests::LIMIT);
        let status = match within(asked).await {
            Some(Ok(answer)) => answer,
            _ => Value::Null,
        };
        match (status["status"].as_u64(), sending) {
            (Some(204), None) => log.open().typed[place].push(Instant::now()),
            (Some(204), Some(send)) => {
                let id = id.unwrap_or_default();
                log.open().sends[send].acknowledged = Some((Instant::now(), id, client.home));
                return;
            }
            (Some(503), _) | (None, _) => {}
            (Some(_), _) => log
                .open()
                .wrong
                .push(format!("typing on is answered {status}")),
        }
        let pause = tokio::time::sleep(TYPES);
        tokio::select! {
            () = pause => {}
            _ = online.events.closed() => online = client.connects().await,
        }
    }
}
