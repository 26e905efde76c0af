//! Holds the log of a story against what is promised. Each promise is one or more invariants,
//! and each violation shows the few events that prove it.
//!
//! The log is read once, in the order in which things happened; what is remembered is bounded by
//! what is shown and sent, so a million events are judged in seconds.

mod bounds;
mod screens;
#[cfg(test)]
mod tests;

use crate::log::{Event, Log, Shared, Text, What, Who};
use bounds::Calm;
use screens::{Screens, changes_lists};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::time::Duration;
use tokio::time::Instant;

/// How long after a fault has begun or ended everything may take.
pub const AFTER_FAULT: Duration = Duration::from_secs(20);

/// Pause before what contradicts is looked at again.
const JUDGED_AGAIN: Duration = Duration::from_secs(2);

/// How many violations are shown with their events, and how many events each.
const SHOWN: (usize, usize) = (12, 8);

/// What must hold, with the promise it is part of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Invariant {
    /// A: what was acknowledged is in the history that every node gives.
    Lost,
    /// A: nothing is in a history twice, whether it was acknowledged or not.
    Doubled,
    /// A: it is at the place that it was acknowledged for and had reserved; places are in order.
    Misplaced,
    /// A: nothing is in a history that nobody sent.
    Invented,
    /// B: every viewer is shown what was acknowledged within 1 s, or within 20 s after a fault
    /// has begun or ended.
    Unshown,
    /// B: no connection is shown it twice.
    Twice,
    /// B: no connection is told as new what was acknowledged two minutes before it came.
    Stale,
    /// B: it has the same place and text for all, and stays.
    Retold,
    /// B: all viewers see one order, which is that of the histories: also of what was never
    /// acknowledged.
    Disordered,
    /// B: what somebody types is shown to every viewer, within the same bounds.
    Unseen,
    /// C: what was erased, or whose author left, is off every screen within 1 s, or 8 s after a
    /// node was killed or 15 s after another fault has begun or ended; whose author's connection
    /// was lost, within 8 s.
    Outlived,
    /// C: what was sent is not typed again, and what was taken away doesn't come back.
    Resurrected,
    /// D: nobody is shown what belongs to two others.
    Leaked,
    /// E: lists of who is online are right 15 s after the last change or fault.
    Disagreed,
    /// F: whose connection ends is back 5 s after its node was killed, or 20 s after another fault
    /// has begun or ended.
    Away,
    /// The protocol allows for every answer and event.
    Wrong,
}

/// Something that contradicts an invariant.
#[derive(Debug, Clone, PartialEq)]
pub struct Violation {
    /// Which.
    pub invariant: Invariant,
    /// How, as a sentence.
    pub said: String,
    /// The message it is about.
    id: Option<u64>,
    send: Option<usize>,
    /// Whose screen.
    who: Option<Who>,
    /// When it was noticed.
    at: Duration,
}

/// A history as a node gave it at the end, newest first: places and texts of what was sent.
#[derive(Debug, Clone, Default)]
pub struct History {
    /// Which node.
    pub node: usize,
    /// Of what.
    pub conversation: usize,
    /// What is in it.
    pub messages: Vec<(u64, Text)>,
}

/// What contradicts the promises.
pub fn violations(log: &Log, histories: &[History]) -> Vec<Violation> {
    let mut found = Vec::new();
    let acknowledged = acknowledged(log);
    let sent_as: HashMap<Text, usize> = {
        let sends = log.sends.iter().enumerate();
        sends.map(|(send, it)| (it.text, send)).collect()
    };
    let mut screens = Screens::of(log, &acknowledged, &sent_as);
    let mut calm = Calm::default();
    for event in &log.events {
        if changes_lists(&event.what) {
            screens.agree(event.at, &calm, &mut found);
        }
        calm.passes(event);
        screens.sees(event, &calm, &mut found);
    }
    let end = log.events.last().map_or(Duration::ZERO, |last| last.at);
    screens.end(end, &mut found);
    for history in histories {
        judge_history(log, history, &acknowledged, &screens, &sent_as, &mut found);
    }
    found
}

/// The same, once what was last said had the time to reach the screens.
pub async fn settled(log: &Shared, histories: &[History]) -> Vec<Violation> {
    let until = Instant::now() + AFTER_FAULT;
    loop {
        let found = violations(&log.open(), histories);
        if found.is_empty() || Instant::now() > until {
            return found;
        }
        tokio::time::sleep(JUDGED_AGAIN).await;
    }
}

impl History {
    /// As a node answered a reader.
    pub fn of(log: &mut Log, node: usize, conversation: usize, read: &[Value]) -> History {
        let sent = read.iter().filter(|message| message["typing"] == false);
        let messages = sent.map(|message| {
            let text = message["text"].as_str().unwrap_or_default();
            (message["id"].as_u64().unwrap_or_default(), log.text(text))
        });
        History {
            node,
            conversation,
            messages: messages.collect(),
        }
    }
}

/// Acknowledged sends: when, at which place.
type Acknowledged = HashMap<usize, (Duration, u64)>;

fn acknowledged(log: &Log) -> Acknowledged {
    let events = log.events.iter();
    events
        .filter_map(|event| match event.what {
            What::Acknowledged { send, id, .. } => Some((send, (event.at, id))),
            _ => None,
        })
        .collect()
}

/// Acknowledged: once, in its place. Not acknowledged: at most once. Nothing else, in order.
fn judge_history(
    log: &Log,
    history: &History,
    acknowledged: &Acknowledged,
    screens: &Screens<'_>,
    sent_as: &HashMap<Text, usize>,
    found: &mut Vec<Violation>,
) {
    let mut add = |invariant, send, id, said: String| {
        let node = history.node;
        found.push(Violation {
            invariant,
            said: format!("history of node {node}: {said}"),
            id,
            send,
            who: None,
            at: log.events.last().map_or(Duration::ZERO, |last| last.at),
        });
    };
    let mut places: HashMap<Text, Vec<u64>> = HashMap::new();
    for (id, text) in &history.messages {
        places.entry(*text).or_default().push(*id);
    }
    for pair in history.messages.windows(2) {
        if pair[0].0 <= pair[1].0 {
            let said = format!("{} comes before {}", pair[1].0, pair[0].0);
            add(Invariant::Misplaced, None, Some(pair[1].0), said);
        }
    }
    let here = log.sends.iter().enumerate();
    for (send, it) in here.filter(|(_, it)| it.conversation == history.conversation) {
        let text = log.reads(it.text);
        let there = places.get(&it.text).map_or(&[][..], Vec::as_slice);
        let promised = acknowledged.get(&send).map(|(_, id)| *id);
        match (promised, there) {
            (Some(id), []) => {
                let said = format!("{id} {text:?} was acknowledged and is lost");
                add(Invariant::Lost, Some(send), Some(id), said);
            }
            (_, [_, _, ..]) => {
                let said = format!("{text:?} is there at {there:?}");
                add(Invariant::Doubled, Some(send), Some(there[0]), said);
            }
            (Some(id), [place]) if *place != id => {
                let said = format!("{text:?} was acknowledged as {id} and is at {place}");
                add(Invariant::Misplaced, Some(send), Some(id), said);
            }
            (_, [place]) if it.reserved.is_some_and(|reserved| reserved != *place) => {
                let said = format!("{text:?} reserved {:?} and is at {place}", it.reserved);
                add(Invariant::Misplaced, Some(send), Some(*place), said);
            }
            (None, []) if screens.place_of(it.text).is_some() => {
                let said = format!("{text:?} was shown as sent and is not there");
                add(Invariant::Retold, Some(send), None, said);
            }
            (_, [place])
                if screens
                    .place_of(it.text)
                    .is_some_and(|shown| shown != *place) =>
            {
                let said = format!("{text:?} was shown elsewhere and is at {place}");
                add(Invariant::Disordered, Some(send), Some(*place), said);
            }
            _ => {}
        }
    }
    let mut ids = HashSet::new();
    for (id, text) in &history.messages {
        let send = sent_as.get(text).copied();
        if send.is_none_or(|send| log.sends[send].conversation != history.conversation) {
            let said = format!("{id} {:?} was never sent there", log.reads(*text));
            add(Invariant::Invented, send, Some(*id), said);
        }
        if !ids.insert(*id) {
            let said = format!("{id} is there twice");
            add(Invariant::Doubled, send, Some(*id), said);
        }
    }
}

impl Violation {
    /// The few events that show it, as lines.
    fn events(&self, log: &Log) -> Vec<String> {
        let about = |event: &&Event| match &event.what {
            What::Asks(send) | What::Fails { send, .. } => Some(*send) == self.send,
            What::Acknowledged { send, id, .. } => Some(*send) == self.send || Some(*id) == self.id,
            What::Types { id, .. } | What::Abandons { id, .. } => Some(*id) == self.id,
            What::Sent { id, .. } | What::Ghost { id, .. } | What::Gone { id } => {
                Some(*id) == self.id && (self.who.is_none() || event.who == self.who)
            }
            What::Connects { .. } | What::Closes | What::Leaves => {
                self.who.is_some()
                    && event.who == self.who
                    && event.at + AFTER_FAULT >= self.at
                    && event.at <= self.at
            }
            What::Begins(..) | What::Ends(_) => {
                event.at + 2 * AFTER_FAULT >= self.at && event.at <= self.at
            }
            What::Wrong(_) | What::Leaks(_) => event.at == self.at && event.who == self.who,
            What::Joins(_) | What::Parts(_) => false,
        };
        let all: Vec<&Event> = log.events.iter().filter(about).collect();
        // Of a ghost that was typed for long the first ones and the last ones tell.
        let half = SHOWN.1 / 2;
        let (first, last) = if all.len() <= SHOWN.1 {
            (all.len(), all.len())
        } else {
            (half, all.len() - half)
        };
        let chosen = all[..first].iter().chain(&all[last..]);
        chosen.map(|event| log.line(event)).collect()
    }
}

/// Violations as people read them: how many of each, then the first of each with their events.
pub fn told(log: &Log, found: &[Violation]) -> String {
    let mut counts: BTreeMap<Invariant, usize> = BTreeMap::new();
    let mut lines = String::new();
    for violation in found {
        let count = counts.entry(violation.invariant).or_default();
        *count += 1;
        if *count <= SHOWN.0 / 3 {
            lines += &format!("{:?}: {}\n", violation.invariant, violation.said);
            for event in violation.events(log) {
                lines += &format!("    {event}\n");
            }
        }
    }
    format!("{counts:?}\n{lines}")
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.invariant, self.said)
    }
}
