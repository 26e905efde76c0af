//! Holds the log of a story against what is promised: each violation is a sentence.

#[cfg(test)]
mod tests;

use crate::log::{Log, Screen, Send};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;
use tokio::time::Instant;

/// How late a message may be on a screen when nothing has happened; a person would say a second,
/// a busy machine under a debug build needs more.
const HEALTHY: Duration = Duration::from_secs(5);

/// How long after a fault has begun or ended everything may take.
pub const AFTER_FAULT: Duration = Duration::from_secs(20);

/// What is later than this on a screen makes viewers disagree.
const AGREES: Duration = Duration::from_millis(1_500);

/// A history as a node gave it, newest first: its ids, texts and whether they are typed.
pub type History = Vec<Value>;

/// What of the log contradicts what is promised, with the histories that the nodes gave at its end.
pub fn violations(log: &Log, histories: &[History]) -> Vec<String> {
    let mut found = log.wrong.clone();
    for (node, history) in histories.iter().enumerate() {
        let in_history = |found: &str| format!("history of node {node}: {found}");
        found.extend(
            judge_history(&log.sends, history)
                .iter()
                .map(|it| in_history(it)),
        );
    }
    for screen in &log.screens {
        let on_screen = |found: &str| format!("{}: {found}", screen.who);
        found.extend(judge_screen(log, screen).iter().map(|it| on_screen(it)));
        found.extend(screen.wrong.iter().map(|it| on_screen(it)));
    }
    found
}

/// Acknowledged: once, in its place. Not acknowledged: at most once. Nothing else, in order.
fn judge_history(sends: &[Send], history: &History) -> Vec<String> {
    let mut found = Vec::new();
    let mut places: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
    let mut ids = Vec::new();
    for message in history.iter().filter(|message| message["typing"] == false) {
        let id = message["id"].as_u64().unwrap_or_default();
        ids.push(id);
        places
            .entry(message["text"].as_str().unwrap_or_default())
            .or_default()
            .push(id);
    }
    if ids.windows(2).any(|pair| pair[0] <= pair[1]) {
        found.push("not in the order of places".to_owned());
    }
    for send in sends {
        let there = places.remove(send.text.as_str()).unwrap_or_default();
        let text = &send.text;
        match (send.acknowledged, &there[..]) {
            (Some((_, id, by)), []) => {
                found.push(format!(
                    "{id} {text:?} was acknowledged by {by} and is lost"
                ));
            }
            (Some((_, id, _)), [place]) if *place != id => {
                found.push(format!(
                    "{text:?} was acknowledged as {id} and is at {place}"
                ));
            }
            (_, [place]) if send.reserved.is_some_and(|reserved| reserved != *place) => {
                found.push(format!(
                    "{text:?} reserved {:?} and is at {place}",
                    send.reserved
                ));
            }
            (_, [_, _, ..]) => found.push(format!("{text:?} is there at {there:?}")),
            _ => {}
        }
    }
    let strange = places.keys().map(|text| format!("{text:?} was never sent"));
    found.extend(strange);
    found
}

fn judge_screen(log: &Log, screen: &Screen) -> Vec<String> {
    let mut found = Vec::new();
    for send in &log.sends {
        let Some((acknowledged, id, _)) = send.acknowledged else {
            continue;
        };
        match screen.sent.get(&id) {
            None => found.push(format!("{id} {:?} was never shown", send.text)),
            Some((_, text)) if *text != send.text => {
                found.push(format!("{id} {:?} is shown as {text:?}", send.text));
            }
            Some((at, _)) if is_late(log, acknowledged, *at) => {
                let late = at.duration_since(acknowledged);
                found.push(format!("{id} {:?} was shown {late:?} late", send.text));
            }
            Some(_) => {}
        }
    }
    let texts: BTreeSet<&str> = log.sends.iter().map(|send| send.text.as_str()).collect();
    let shown = screen
        .sent
        .values()
        .filter(|(_, text)| !texts.contains(text.as_str()));
    found.extend(shown.map(|(_, text)| format!("{text:?} was shown as sent and never was")));
    let stay = screen.ghosts.iter();
    found.extend(stay.map(|(id, text)| format!("{id} {text:?} is shown as typed at the end")));
    found
}

/// Whether nothing excuses that what was acknowledged then was shown then.
fn is_late(log: &Log, acknowledged: Instant, shown: Instant) -> bool {
    let excused = |edge: &Instant| (*edge..=*edge + AFTER_FAULT).contains(&shown);
    shown.saturating_duration_since(acknowledged) > HEALTHY
        && !log.edges.iter().any(|(_, edge)| excused(edge))
}

/// What a story cost, to be read.
#[derive(Debug)]
pub struct Figures {
    acknowledged: usize,
    unknown: usize,
    /// Longest wait of a send for its acknowledgement.
    pub slowest_send: Duration,
    /// Longest time in which a person's typing was not acknowledged.
    pub typing_gap: Duration,
    agreed: Vec<(String, Duration)>,
    reconnects: usize,
}

impl Figures {
    /// Of a log.
    pub fn of(log: &Log) -> Figures {
        let acknowledged = |send: &Send| Some(send.acknowledged?.0.duration_since(send.asked));
        let waits: Vec<Duration> = log.sends.iter().filter_map(acknowledged).collect();
        let gaps = log.typed.iter().flat_map(|times| {
            let pairs = times.windows(2);
            pairs.map(|pair| pair[1].duration_since(pair[0]))
        });
        Figures {
            acknowledged: waits.len(),
            unknown: log.sends.len() - waits.len(),
            slowest_send: waits.into_iter().max().unwrap_or_default(),
            typing_gap: gaps.max().unwrap_or_default(),
            agreed: agreed(log),
            reconnects: log.screens.iter().map(|screen| screen.closed).sum(),
        }
    }
}

/// After each edge, how long until the last viewer was shown the last message that came late.
fn agreed(log: &Log) -> Vec<(String, Duration)> {
    let acknowledged = log.sends.iter().filter_map(|send| send.acknowledged);
    let shown: Vec<Instant> = acknowledged
        .flat_map(|(at, id, _)| {
            let shown = log
                .screens
                .iter()
                .filter_map(move |screen| Some(screen.sent.get(&id)?.0));
            shown.filter(move |shown| shown.saturating_duration_since(at) > AGREES)
        })
        .collect();
    let after = |edge: usize| {
        let (what, began) = &log.edges[edge];
        let next = log.edges.get(edge + 1).map(|(_, next)| *next);
        let within = shown
            .iter()
            .filter(|at| *at >= began && next.is_none_or(|next| **at < next));
        let last = within
            .max()
            .map_or(Duration::ZERO, |at| at.duration_since(*began));
        (what.clone(), last)
    };
    (0..log.edges.len()).map(after).collect()
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Figures {
            acknowledged,
            unknown,
            slowest_send,
            typing_gap,
            agreed,
            reconnects,
        } = self;
        write!(
            f,
            "{acknowledged} sends acknowledged, {unknown} not; slowest send {slowest_send:.1?}, \
             longest gap in typing {typing_gap:.1?}, {reconnects} reconnects; viewers agree"
        )?;
        for (what, after) in agreed {
            write!(f, ", {after:.1?} after {what}")?;
        }
        Ok(())
    }
}
