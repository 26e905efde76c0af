//! What many viewers were shown, counted together.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::latency::{Latencies, Seconds};

/// What can be wrong with one delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// Neither it nor anything later was shown.
    Missing,
    /// Shown after something later.
    OutOfOrder,
    /// Not what was typed, or not by whom.
    Corrupt,
    /// Shown after the message had ended.
    AfterEnd,
    /// Shown as ended twice, announced twice, or shown under two ids.
    Doubled,
    /// Shown to someone outside the conversation.
    Foreign,
    /// Erased, though its author sent it.
    Vanished,
}

/// How often each thing happened, over viewers and steps.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Steps owed to viewers.
    pub expected: u64,
    /// Shown as such.
    pub direct: u64,
    /// Covered by a later text.
    pub superseded: u64,
    /// Covered by the message's end.
    #[serde(rename = "final")]
    pub last: u64,
    /// Never shown.
    pub missing: u64,
    /// Shown later than promised.
    pub late: u64,
    /// Shown again without a change.
    pub repeated: u64,
    /// Shown after something later.
    pub out_of_order: u64,
    /// Not what was typed.
    pub corrupt: u64,
    /// Shown after the end.
    pub after_end: u64,
    /// Ended, announced or shown twice.
    pub doubled: u64,
    /// Shown outside its conversation.
    pub foreign: u64,
    /// Erased by nobody.
    pub vanished: u64,
    /// Erased, of an id that nobody knows.
    pub unknown_ends: u64,
    /// `message` events.
    pub announced: u64,
    /// `message` events that never came; also counted as missing messages.
    pub announced_missing: u64,
    /// Frames of typing updates read.
    pub frames: u64,
    /// Bytes of all frames read.
    pub bytes: u64,
}

/// Counts, latencies and a few examples of what was wrong.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Tally {
    /// How often.
    pub counts: Counts,
    /// How long, for steps shown as such.
    pub direct: Latencies,
    /// How long, for steps that a later text covered.
    pub superseded: Latencies,
    /// How long, for ends and what they covered.
    #[serde(rename = "final")]
    pub last: Latencies,
    /// All of them, by the second in which the key was to be struck.
    pub seconds: Seconds,
    /// The first of each kind of fault, in words.
    pub examples: Vec<(Fault, String)>,
    late_limit: Duration,
    #[serde(skip)]
    sample_every: u64,
    #[serde(skip)]
    samples: Vec<Sample>,
}

/// One delivery of many, for those who can't be told of all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// How the step was covered: `direct`, `superseded` or `final`.
    pub kind: &'static str,
    /// How long it took.
    pub took: Duration,
}

/// How many samples wait to be taken; more are not worth their memory.
const SAMPLES_MAX: usize = 10_000;

/// How many examples of a kind are kept; the rest are counted.
const EXAMPLES_MAX: usize = 5;

impl Tally {
    /// A tally in which anything slower than this is late, and that keeps one delivery in so
    /// many as a sample.
    pub fn new(late_limit: Duration, sample_every: u64) -> Self {
        Tally {
            late_limit,
            sample_every,
            ..Tally::default()
        }
    }

    /// The samples since they were last taken.
    pub fn take_samples(&mut self) -> Vec<Sample> {
        std::mem::take(&mut self.samples)
    }

    /// Counts a fault; its description is made only while examples are still wanted.
    pub fn fault(&mut self, fault: Fault, describe: impl FnOnce() -> String) {
        *self.count(fault) += 1;
        if self
            .examples
            .iter()
            .filter(|(kind, _)| *kind == fault)
            .count()
            < EXAMPLES_MAX
        {
            self.examples.push((fault, describe()));
        }
    }

    fn count(&mut self, fault: Fault) -> &mut u64 {
        match fault {
            Fault::Missing => &mut self.counts.missing,
            Fault::OutOfOrder => &mut self.counts.out_of_order,
            Fault::Corrupt => &mut self.counts.corrupt,
            Fault::AfterEnd => &mut self.counts.after_end,
            Fault::Doubled => &mut self.counts.doubled,
            Fault::Foreign => &mut self.counts.foreign,
            Fault::Vanished => &mut self.counts.vanished,
        }
    }

    /// A step was shown as such.
    pub fn direct(&mut self, intended: Duration, took: Duration) {
        self.counts.direct += 1;
        self.direct.record(took);
        self.took("direct", intended, took);
    }

    /// A step was covered by a later text.
    pub fn superseded(&mut self, intended: Duration, took: Duration) {
        self.counts.superseded += 1;
        self.superseded.record(took);
        self.took("superseded", intended, took);
    }

    /// A step was covered by the end.
    pub fn last(&mut self, intended: Duration, took: Duration) {
        self.counts.last += 1;
        self.last.record(took);
        self.took("final", intended, took);
    }

    fn took(&mut self, kind: &'static str, intended: Duration, took: Duration) {
        let counts = &self.counts;
        let shown = counts.direct + counts.superseded + counts.last;
        if self.sample_every > 0
            && shown.is_multiple_of(self.sample_every)
            && self.samples.len() < SAMPLES_MAX
        {
            self.samples.push(Sample { kind, took });
        }
        self.seconds.record(intended, took);
        if took > self.late_limit {
            self.counts.late += 1;
        }
    }

    /// All latencies together.
    pub fn all(&self) -> Latencies {
        let mut all = self.direct.clone();
        all.merge(&self.superseded);
        all.merge(&self.last);
        all
    }

    /// Whether every step is counted exactly once; if not, the judge is wrong.
    pub fn balances(&self) -> bool {
        let counts = &self.counts;
        let steps_missing = counts.missing - counts.announced_missing;
        counts.expected == counts.direct + counts.superseded + counts.last + steps_missing
    }

    /// Adds all of another's.
    pub fn merge(&mut self, other: &Tally) {
        let (own, others) = (&mut self.counts, &other.counts);
        own.expected += others.expected;
        own.direct += others.direct;
        own.superseded += others.superseded;
        own.last += others.last;
        own.missing += others.missing;
        own.late += others.late;
        own.repeated += others.repeated;
        own.out_of_order += others.out_of_order;
        own.corrupt += others.corrupt;
        own.after_end += others.after_end;
        own.doubled += others.doubled;
        own.foreign += others.foreign;
        own.vanished += others.vanished;
        own.unknown_ends += others.unknown_ends;
        own.announced += others.announced;
        own.announced_missing += others.announced_missing;
        own.frames += others.frames;
        own.bytes += others.bytes;
        self.direct.merge(&other.direct);
        self.superseded.merge(&other.superseded);
        self.last.merge(&other.last);
        self.seconds.merge(&other.seconds);
        for (fault, example) in &other.examples {
            if self
                .examples
                .iter()
                .filter(|(kind, _)| kind == fault)
                .count()
                < EXAMPLES_MAX
            {
                self.examples.push((*fault, example.clone()));
            }
        }
    }
}
