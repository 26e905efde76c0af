//! What a story cost, to be read.

use crate::log::{Conversation, Log, What, Who};
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::ops::Range;
use std::time::Duration;

/// What is later than this on a screen makes viewers disagree.
const AGREES: Duration = Duration::from_millis(1_500);

/// Of a log.
#[derive(Debug)]
pub struct Figures {
    /// Messages that somebody wanted in the history.
    pub sends: usize,
    /// Those that were acknowledged.
    pub acknowledged: usize,
    /// Those of them that are in privates.
    pub private: usize,
    /// Messages being typed that were erased or left behind.
    pub abandoned: usize,
    /// Attempts that were refused for the time being, and those that had no answer.
    pub attempts: (usize, usize),
    /// Longest wait of a send for its acknowledgement.
    pub slowest_send: Duration,
    /// Longest time between two acknowledged letters of one message.
    pub typing_gap: Duration,
    agreed: Vec<(String, Duration)>,
    /// Connections that ended, and their people didn't want that.
    pub closed: usize,
    /// Events in all.
    pub events: usize,
}

impl Figures {
    /// Of a log.
    pub fn of(log: &Log) -> Figures {
        let sends = log.sends.iter();
        let waits = sends.filter_map(|send| Some(send.acknowledged?.0 - send.asked));
        let waits: Vec<Duration> = waits.collect();
        let private = |conversation: usize| {
            matches!(log.conversations[conversation], Conversation::Private(..))
        };
        let sent = log.sends.iter().filter(|send| send.acknowledged.is_some());
        let private = sent.filter(|send| private(send.conversation)).count();
        let mut last: HashMap<(Who, u64), Duration> = HashMap::new();
        let mut gap = Duration::ZERO;
        let (mut refused, mut unanswered, mut closed, mut abandoned) = (0, 0, 0, 0);
        for event in &log.events {
            match (&event.what, event.who) {
                (What::Types { id, .. }, Some(who)) => {
                    if let Some(before) = last.insert((who, *id), event.at) {
                        gap = gap.max(event.at - before);
                    }
                }
                (What::Fails { status: 0, .. }, _) => unanswered += 1,
                (What::Fails { .. }, _) => refused += 1,
                (What::Closes, _) => closed += 1,
                (What::Abandons { .. }, _) => abandoned += 1,
                _ => {}
            }
        }
        Figures {
            sends: log.sends.len(),
            acknowledged: waits.len(),
            private,
            abandoned,
            attempts: (refused, unanswered),
            slowest_send: waits.into_iter().max().unwrap_or_default(),
            typing_gap: gap,
            agreed: agreed(log),
            closed,
            events: log.events.len(),
        }
    }
}

/// How often each client lost its connection in a stretch of the log.
pub fn closes(log: &Log, stretch: Range<usize>) -> BTreeMap<Who, usize> {
    let mut closes = BTreeMap::new();
    for event in &log.events[stretch] {
        if let (What::Closes, Some(who)) = (&event.what, event.who) {
            *closes.entry(who).or_default() += 1;
        }
    }
    closes
}

/// Promise G: who had to connect more than once in a step of a restart, in words.
pub fn connected_again(log: &Log, step: Range<usize>) -> Vec<String> {
    let closes = closes(log, step).into_iter();
    let again = closes.filter(|(_, times)| *times > 1);
    let told = again.map(|(who, times)| {
        let role = &log.people[who].role;
        format!("{role} had to connect {times} times")
    });
    told.collect()
}

/// After each edge, how long until the last viewer was shown the last message that came late.
pub fn agreed(log: &Log) -> Vec<(String, Duration)> {
    let mut edges: Vec<(String, Duration)> = Vec::new();
    let mut last: Vec<Duration> = Vec::new();
    let mut first_shown: HashMap<(Who, u64), Duration> = HashMap::new();
    let acknowledged: BTreeMap<u64, Duration> = {
        let sends = log.sends.iter().filter_map(|send| send.acknowledged);
        sends.map(|(at, id, _)| (id, at)).collect()
    };
    for event in &log.events {
        match &event.what {
            What::Begins(name, _) => edges.push((name.clone(), event.at)),
            What::Ends(name) => edges.push((format!("the end of {name}"), event.at)),
            What::Sent { id, .. } => {
                let Some(who) = event.who else { continue };
                let at = *first_shown.entry((who, *id)).or_insert(event.at);
                let late = acknowledged.get(id).is_some_and(|it| at > *it + AGREES);
                if let (true, Some(last), Some((_, edge))) = (late, last.last_mut(), edges.last()) {
                    *last = at.saturating_sub(*edge);
                }
            }
            _ => {}
        }
        last.resize(edges.len(), Duration::ZERO);
    }
    let names = edges.into_iter().map(|(name, _)| name);
    names.zip(last).collect()
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Figures {
            sends,
            acknowledged,
            attempts: (refused, unanswered),
            slowest_send,
            typing_gap,
            agreed,
            closed,
            events,
            ..
        } = self;
        write!(
            f,
            "{sends} sends, {acknowledged} acknowledged, {} not ({refused} attempts refused, \
             {unanswered} without answer); slowest send {slowest_send:.1?}, longest gap in \
             typing {typing_gap:.1?}, {closed} connections ended, {events} events; viewers agree",
            sends - acknowledged
        )?;
        for (what, after) in agreed.iter().take(8) {
            write!(f, ", {after:.1?} after {what}")?;
        }
        Ok(())
    }
}

/// How long recoveries took, by what they were from.
#[derive(Debug, Default)]
pub struct Recoveries(BTreeMap<&'static str, Vec<Duration>>);

impl Recoveries {
    /// One more.
    pub fn add(&mut self, name: &'static str, took: Duration) {
        self.0.entry(name).or_default().push(took);
    }
}

impl fmt::Display for Recoveries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, took) in &self.0 {
            let mut took = took.clone();
            took.sort_unstable();
            let of = |share: usize| took[(took.len() - 1) * share / 100];
            writeln!(
                f,
                "  {name:<18} {:>4} times  p50 {:>6.1?}  p99 {:>6.1?}  max {:>6.1?}",
                took.len(),
                of(50),
                of(99),
                of(100)
            )?;
        }
        Ok(())
    }
}
