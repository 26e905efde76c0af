//! What one viewer has been shown, held against what was typed.
//!
//! Every step of every message (each of its texts, then its end) is owed to every viewer of
//! the conversation: that step or a later one. A step is counted once, as
//!
//! - *direct*: this very text was shown;
//! - *superseded*: a later text was shown first, which is how a server gathers keystrokes;
//! - *final*: the message's end came, for the end itself and all that was not shown before it;
//! - *missing*: neither it nor anything later ever came.
//!
//! So `expected = direct + superseded + final + missing` holds, or this file is wrong; the
//! run checks it. There is no clock here: times are told, from the start of typing.

use std::{collections::HashMap, time::Duration};

use crate::{
    http::HistoryMessage,
    ledger::{Ledger, Written},
    script::{Ending, Label, MessageKey},
};

mod tally;
#[cfg(test)]
mod tests;

pub use tally::{Counts, Fault, Sample, Tally};

/// One message as a frame shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shown<'a> {
    /// The id it is shown under.
    pub id: u64,
    /// Its text; empty when it is erased.
    pub text: &'a str,
    /// Its author.
    pub username: &'a str,
    /// Whether it is still being typed.
    pub typing: bool,
}

/// One viewer's memory.
#[derive(Debug)]
pub struct Viewer {
    conversations: Vec<usize>,
    since: Duration,
    seen: HashMap<MessageKey, Seen>,
    ids: HashMap<u64, MessageKey>,
    covered: u64,
    connections: u16,
    newest: Duration,
}

/// What the viewer knows of one message. There are as many of these as viewers times messages.
#[derive(Debug, Clone, Copy)]
struct Seen {
    id: u64,
    /// The step from which on this viewer was there.
    first: u32,
    /// Steps below are covered.
    covered: u32,
    ended: bool,
    /// The end is known from the history, and its frame may still be on its way.
    ended_by_history: bool,
    announced: bool,
    /// The connection that showed it last.
    connection: u16,
}

impl Viewer {
    /// A viewer of these conversations, there from this time on.
    pub fn new(conversations: Vec<usize>, since: Duration) -> Self {
        Viewer {
            conversations,
            since,
            seen: HashMap::new(),
            ids: HashMap::new(),
            covered: 0,
            connections: 0,
            newest: Duration::ZERO,
        }
    }

    /// When the newest key it was shown was to be struck.
    pub fn newest(&self) -> Duration {
        self.newest
    }

    /// A message of an `update-typing-messages` frame has arrived.
    pub fn shown(&mut self, at: Duration, shown: Shown<'_>, ledger: &Ledger, tally: &mut Tally) {
        let Some((written, step)) = self.identify(shown, ledger, tally) else {
            return;
        };
        let key = written.script.key;
        let since = self.since;
        let connections = self.connections;
        let seen = self
            .seen
            .entry(key)
            .or_insert_with(|| Seen::new(&written, shown.id, since));
        let same_connection = std::mem::replace(&mut seen.connection, connections) == connections;
        if seen.id == 0 {
            seen.id = shown.id;
        }
        if seen.id != shown.id {
            return tally.fault(Fault::Doubled, || {
                format!("{key:?} is shown as {} and as {}", seen.id, shown.id)
            });
        }
        self.ids.insert(shown.id, key);
        let end = written.script.steps() - 1;
        if seen.ended_by_history {
            // A history may be ahead of the frames, and a client then drops what it knows.
            seen.ended_by_history = step != end;
            tally.counts.repeated += 1;
            return;
        }
        if seen.ended {
            let fault = if step == end {
                Fault::Doubled
            } else {
                Fault::AfterEnd
            };
            return tally.fault(fault, || format!("{key:?}: step {step} after its end"));
        }
        if step < seen.covered {
            // A new connection begins with what is shown there, which may be shown already.
            if step + 1 == seen.covered || !same_connection {
                tally.counts.repeated += 1;
                return;
            }
            return tally.fault(Fault::OutOfOrder, || {
                format!("{key:?}: step {step} after {}", seen.covered - 1)
            });
        }
        self.covered += u64::from(seen.cover(step, at, &written, tally));
        self.newest = self.newest.max(written.script.intended(step));
    }

    /// A `message` event has arrived: this text was sent.
    pub fn announced(&mut self, shown: Shown<'_>, ledger: &Ledger, tally: &mut Tally) {
        let Some((written, _)) = self.identify(shown, ledger, tally) else {
            return;
        };
        let (key, since) = (written.script.key, self.since);
        let seen = self
            .seen
            .entry(key)
            .or_insert_with(|| Seen::new(&written, 0, since));
        if std::mem::replace(&mut seen.announced, true) {
            return tally.fault(Fault::Doubled, || format!("{key:?} is announced twice"));
        }
        tally.counts.announced += 1;
    }

    /// The connection is a new one: it will first show what is being typed.
    pub fn reconnected(&mut self) {
        self.connections = self.connections.wrapping_add(1);
    }

    /// The viewer has read the history after coming back: what was sent meanwhile is known, and
    /// what was erased meanwhile is not shown any more.
    pub fn caught_up(
        &mut self,
        at: Duration,
        history: &[HistoryMessage],
        ledger: &Ledger,
        tally: &mut Tally,
    ) {
        for row in history.iter().filter(|row| !row.typing) {
            let label = Label::read(&row.text).filter(|label| label.run == ledger.seed());
            if let Some(written) = label.and_then(|label| ledger.written(label.key)) {
                self.end_unseen(at, row.id, &written, tally);
            }
        }
        for written in ledger.all() {
            let erased = written.script.ending == Ending::Erased
                && written.confirmed() == written.script.steps();
            let here = |seen: &Seen| seen.connection == self.connections;
            if erased && !self.seen.get(&written.script.key).is_some_and(here) {
                self.end_unseen(at, 0, &written, tally);
            }
        }
    }

    fn end_unseen(&mut self, at: Duration, id: u64, written: &Written, tally: &mut Tally) {
        if !self.conversations.contains(&written.conversation) {
            return;
        }
        let since = self.since;
        let seen = self
            .seen
            .entry(written.script.key)
            .or_insert_with(|| Seen::new(written, id, since));
        if !seen.ended {
            let end = written.script.steps() - 1;
            self.covered += u64::from(seen.cover(end, at, written, tally));
            seen.ended_by_history = true;
            self.newest = self.newest.max(written.script.ends);
        }
    }

    /// How many steps this viewer has been shown, and how many it is owed by now.
    pub fn progress(&self, written: &[std::sync::Arc<Written>]) -> (u64, u64) {
        let owed = self
            .watched(written)
            .map(|written| u64::from(self.account(written).0))
            .sum();
        (self.covered, owed)
    }

    /// Counts what was owed, and what of it never came.
    pub fn finish(&self, written: &[std::sync::Arc<Written>], tally: &mut Tally) {
        for written in self.watched(written) {
            let (expected, missing) = self.account(written);
            tally.counts.expected += u64::from(expected);
            for step in 0..missing {
                let key = written.script.key;
                let last = written.confirmed() - 1;
                tally.fault(Fault::Missing, || format!("{key:?}: step {}", last - step));
            }
        }
    }

    /// Counts which sent messages were not announced by a `message` event.
    pub fn finish_announced(&self, written: &[std::sync::Arc<Written>], tally: &mut Tally) {
        for written in self.watched(written) {
            let key = written.script.key;
            let seen = self.seen.get(&key);
            let owed = written.acknowledged() && written.script.ends >= self.since;
            if owed && !seen.is_some_and(|seen| seen.announced) {
                tally.fault(Fault::Missing, || format!("{key:?} was not announced"));
                tally.counts.announced_missing += 1;
            }
        }
    }

    fn watched<'a>(
        &'a self,
        written: &'a [std::sync::Arc<Written>],
    ) -> impl Iterator<Item = &'a Written> {
        let mine = |written: &&Written| self.conversations.contains(&written.conversation);
        written.iter().map(AsRef::as_ref).filter(mine)
    }

    /// How many steps of a message are owed, and how many of them have not come. A step that
    /// the server has not confirmed is owed only if it was shown.
    fn account(&self, written: &Written) -> (u32, u32) {
        let seen = self.seen.get(&written.script.key);
        let seen = seen
            .copied()
            .unwrap_or_else(|| Seen::new(written, 0, self.since));
        let covered = seen.covered.max(seen.first);
        let owed = written.confirmed().max(covered);
        (owed - seen.first, owed - covered)
    }

    /// Finds which step of which message is shown.
    fn identify(
        &self,
        shown: Shown<'_>,
        ledger: &Ledger,
        tally: &mut Tally,
    ) -> Option<(std::sync::Arc<Written>, u32)> {
        if shown.text.is_empty() {
            return self.identify_erased(shown, ledger, tally);
        }
        let corrupt = |tally: &mut Tally, why: &str| {
            tally.fault(Fault::Corrupt, || {
                format!("{}: {why}: {:?}", shown.id, shown.text)
            });
            None
        };
        let Some(label) = Label::read(shown.text).filter(|label| label.run == ledger.seed()) else {
            return corrupt(tally, "no text of this run");
        };
        let Some(written) = ledger.written(label.key) else {
            return corrupt(tally, "nobody types this");
        };
        if !self.conversations.contains(&written.conversation) {
            let key = label.key;
            tally.fault(Fault::Foreign, || {
                format!("{key:?} belongs to another conversation")
            });
            return None;
        }
        if written
            .script
            .states
            .get(label.state as usize)
            .map(|state| state.text.as_str())
            != Some(shown.text)
        {
            return corrupt(tally, "not what was typed");
        }
        if written.username != shown.username {
            return corrupt(tally, "another author");
        }
        if label.state >= written.offered() {
            return corrupt(tally, "not typed yet");
        }
        if shown.typing {
            return Some((written, label.state));
        }
        let end = written.script.steps() - 1;
        let asked = written.script.ending == Ending::Sent && written.end_offered();
        if !asked || label.state + 1 != end {
            return corrupt(tally, "sent, which was never asked for");
        }
        Some((written, end))
    }

    fn identify_erased(
        &self,
        shown: Shown<'_>,
        ledger: &Ledger,
        tally: &mut Tally,
    ) -> Option<(std::sync::Arc<Written>, u32)> {
        let key = self
            .ids
            .get(&shown.id)
            .copied()
            .or_else(|| ledger.of_id(shown.id));
        let Some(written) = key.and_then(|key| ledger.written(key)) else {
            // Its typist may not have read the id yet; the end is counted when it is owed.
            tally.counts.unknown_ends += 1;
            return None;
        };
        if !self.conversations.contains(&written.conversation) {
            let key = written.script.key;
            tally.fault(Fault::Foreign, || {
                format!("{key:?} belongs to another conversation")
            });
            return None;
        }
        let end = written.script.steps() - 1;
        if written.script.ending == Ending::Sent || !written.end_offered() {
            let key = written.script.key;
            tally.fault(Fault::Vanished, || format!("{key:?} was erased by nobody"));
            return None;
        }
        Some((written, end))
    }
}

impl Seen {
    fn new(written: &Written, id: u64, since: Duration) -> Self {
        let script = &written.script;
        let states = script.states.partition_point(|state| state.at < since) as u32;
        let late = states + 1 == script.steps() && script.ends < since;
        let first = if late { script.steps() } else { states };
        Seen {
            id,
            first,
            covered: 0,
            ended: false,
            ended_by_history: false,
            announced: false,
            connection: 0,
        }
    }

    /// Counts this step and all before it that were not shown; returns how many.
    fn cover(&mut self, step: u32, at: Duration, written: &Written, tally: &mut Tally) -> u32 {
        let from = self.covered.max(self.first);
        let end = written.script.steps() - 1;
        self.covered = step + 1;
        self.ended = step == end;
        for owed in from..=step {
            let intended = written.script.intended(owed);
            let took = at.saturating_sub(intended);
            if step == end {
                tally.last(intended, took);
            } else if owed == step {
                tally.direct(intended, took);
            } else {
                tally.superseded(intended, took);
            }
            written.reached(owed, at);
        }
        (step + 1).saturating_sub(from)
    }
}
