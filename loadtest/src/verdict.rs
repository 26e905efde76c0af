//! What a run is worth: passed, broken, invalid, or in error itself.
//!
//! A generator that could not keep up makes a server look slow, but it makes no server show a
//! wrong letter: so what time explains is invalid then, and what it can't explain stays broken.
//! An invalid run never passes.

use std::time::Duration;

use serde::Serialize;

use crate::{outcome::Outcome, plan::Event, run::Trouble};

/// What a run is worth, as its exit code says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Worth {
    /// All promises held.
    Passed = 0,
    /// A threshold or a promise is broken.
    Broken = 1,
    /// The generator or the machine could not keep up.
    Invalid = 2,
    /// The harness itself is wrong.
    Error = 3,
}

/// One thing that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What it makes of the run.
    pub worth: Worth,
    /// What it is.
    pub what: String,
    /// A few of them, in words.
    pub examples: Vec<String>,
}

/// The verdict with its reasons.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// What the run is worth.
    pub worth: Worth,
    /// Why, the reasons that decide first.
    pub findings: Vec<Finding>,
}

impl Verdict {
    /// Judges a run.
    pub fn of(outcome: &Outcome) -> Self {
        let invalid = invalid(outcome);
        let solid = solid(outcome);
        let timely = timely(outcome);
        let errors = errors(outcome);
        let silent = outcome.keys == 0 && invalid.is_empty();
        let worth = if !errors.is_empty() || silent {
            Worth::Error
        } else if !solid.is_empty() {
            Worth::Broken
        } else if !invalid.is_empty() {
            Worth::Invalid
        } else if !timely.is_empty() {
            Worth::Broken
        } else {
            Worth::Passed
        };
        let mut findings = Vec::new();
        if silent {
            let what = "no key was typed".to_owned();
            let examples = examples(outcome, Trouble::Refused);
            findings.push(Finding {
                worth: Worth::Error,
                what,
                examples,
            });
        }
        for (worth, found) in [
            (Worth::Error, errors),
            (Worth::Broken, solid),
            (Worth::Invalid, invalid),
            (Worth::Broken, timely),
        ] {
            let findings_of = |(what, examples)| Finding {
                worth,
                what,
                examples,
            };
            findings.extend(found.into_iter().map(findings_of));
        }
        Verdict { worth, findings }
    }

    /// The exit code of the process.
    pub fn exit_code(&self) -> u8 {
        self.worth as u8
    }
}

type Found = Vec<(String, Vec<String>)>;

fn errors(outcome: &Outcome) -> Found {
    let mut found = Found::new();
    if !outcome.tally.balances() {
        let counts = format!("{:?}", outcome.tally.counts);
        found.push((
            "the account of deliveries does not balance".to_owned(),
            vec![counts],
        ));
    }
    found
}

/// What no slowness explains.
fn solid(outcome: &Outcome) -> Found {
    use crate::judge::Fault;
    let counts = &outcome.tally.counts;
    let mut found = Found::new();
    let disturbed = outcome.disturbed.is_some();
    for (count, fault, what) in [
        (counts.corrupt, Fault::Corrupt, "texts that nobody typed"),
        (
            counts.out_of_order,
            Fault::OutOfOrder,
            "deliveries out of order",
        ),
        (counts.after_end, Fault::AfterEnd, "ghosts after their end"),
        (counts.doubled, Fault::Doubled, "doubled deliveries"),
        (
            counts.foreign,
            Fault::Foreign,
            "deliveries to someone outside the conversation",
        ),
        // A ghost may go with the node that kept it; its author brings it back.
        (
            if disturbed { 0 } else { counts.vanished },
            Fault::Vanished,
            "vanished messages",
        ),
    ] {
        if count > 0 {
            let of_fault = outcome
                .tally
                .examples
                .iter()
                .filter(|(kind, _)| *kind == fault);
            let examples = of_fault.map(|(_, example)| example.clone()).collect();
            found.push((format!("{count} {what}"), examples));
        }
    }
    let kept = &outcome.kept;
    for (count, what) in [
        (kept.lost, "acknowledged messages lost"),
        (kept.doubled, "messages doubled in the history"),
        (kept.misplaced, "messages out of their place in the history"),
        (kept.altered, "messages altered in the history"),
        (kept.returned, "erased messages in the history"),
        (kept.left_over, "ended messages still being typed"),
    ] {
        if count > 0 {
            found.push((format!("{count} {what}"), kept.examples.clone()));
        }
    }
    for (trouble, what) in [
        (Trouble::Refused, "requests of typists refused"),
        (Trouble::Unreadable, "frames that can't be read"),
    ] {
        trouble_found(outcome, trouble, what, &mut found);
    }
    if let Some(presence) = &outcome.presence
        && presence.disorder > 0
    {
        found.push((
            format!("{} joins and parts doubled or swapped", presence.disorder),
            vec![],
        ));
    }
    found
}

/// Why nothing can be said about times.
fn invalid(outcome: &Outcome) -> Found {
    let mut found = Found::new();
    let (limits, ourselves) = (&outcome.limits, &outcome.ourselves);
    let lag = ourselves.lag.quantile(0.99);
    if lag > limits.lag {
        found.push((format!("typists woke late: p99 {}", text(lag)), vec![]));
    }
    let canary = ourselves.canary.quantile(0.99);
    if canary > limits.canary {
        found.push((
            format!("the canary woke late: p99 {}", text(canary)),
            vec![],
        ));
    }
    let seconds = outcome.typed_for.as_secs_f64().max(1.0);
    if ourselves.blind_seconds.len() as f64 > seconds * 0.05 + 1.0 {
        let count = ourselves.blind_seconds.len();
        found.push((
            format!("the generator stood still in {count} seconds"),
            vec![],
        ));
    }
    if ourselves.wait_share > limits.wait_share {
        let percent = ourselves.wait_share * 100.0;
        found.push((
            format!("the generator waited for a processor {percent:.0} %"),
            vec![],
        ));
    }
    if let Some(servers) = &outcome.servers
        && servers.wait_share > limits.wait_share
    {
        let percent = servers.wait_share * 100.0;
        found.push((
            format!("the servers waited for a processor {percent:.0} %"),
            vec![],
        ));
    }
    if outcome.joined < outcome.asked {
        let missing = outcome.asked - outcome.joined;
        let what = format!("{missing} of {} viewers never joined", outcome.asked);
        found.push((what, examples(outcome, Trouble::Join)));
    }
    found
}

/// What is broken if the run is valid.
fn timely(outcome: &Outcome) -> Found {
    use crate::judge::Fault;
    let mut found = Found::new();
    let (limits, counts) = (&outcome.limits, &outcome.tally.counts);
    if counts.missing > 0 {
        let missing = outcome
            .tally
            .examples
            .iter()
            .filter(|(kind, _)| *kind == Fault::Missing);
        let examples = missing.map(|(_, example)| example.clone()).collect();
        found.push((format!("{} deliveries missing", counts.missing), examples));
    }
    if counts.late > limits.late_max {
        let what = format!(
            "{} deliveries later than {}",
            counts.late,
            text(limits.late)
        );
        found.push((
            what,
            vec![format!("longest {}", text(outcome.tally.all().max()))],
        ));
    }
    let stalled = stalled(outcome);
    if stalled.len() > limits.stalled_max {
        let seconds = stalled
            .iter()
            .take(10)
            .map(|second| format!("second {second}"))
            .collect();
        found.push((format!("{} stalled seconds", stalled.len()), seconds));
    }
    let all = outcome.tally.all();
    for (share, limit) in [(0.5, limits.p50), (0.99, limits.p99)] {
        let took = all.quantile(share);
        if let Some(limit) = limit
            && took > limit
        {
            let percent = share * 100.0;
            let what = format!("p{percent:.0} is {}, asked {}", text(took), text(limit));
            found.push((what, vec![]));
        }
    }
    if let (Some(limit), Some(servers)) = (limits.cores, &outcome.servers)
        && servers.cores > limit
    {
        found.push((
            format!("{:.3} cores, asked {limit:.3}", servers.cores),
            vec![],
        ));
    }
    for (trouble, what) in [
        (Trouble::Unanswered, "messages given up without an answer"),
        (Trouble::SlowedDown, "requests told to slow down"),
        (Trouble::Rejoin, "viewers who never came back"),
        (Trouble::Company, "requests of the company failed"),
        (Trouble::History, "histories that can't be read"),
        (Trouble::Connection, "connections lost for no reason"),
    ] {
        trouble_found(outcome, trouble, what, &mut found);
    }
    recovery_found(outcome, &mut found);
    if let Some(presence) = &outcome.presence {
        let missing = presence.joins_missing + presence.parts_missing;
        if missing > 0 {
            found.push((format!("{missing} joins and parts never told"), vec![]));
        }
    }
    for threshold in &outcome.thresholds {
        found.push((format!("threshold {threshold}"), vec![]));
    }
    found
}

fn recovery_found(outcome: &Outcome, found: &mut Found) {
    match (
        &outcome.disturbed,
        outcome.recovery,
        outcome.limits.recovery,
    ) {
        (Some(_), None, _) => {
            found.push((
                "a viewer was shown no new key after the disturbance".to_owned(),
                vec![],
            ));
        }
        (Some((disturbance, _)), Some(took), Some(limit)) if took > limit => {
            let after = match disturbance.event {
                Event::Kill(_) => "the kill",
                Event::DropConnections => "the loss of all connections",
            };
            let what = format!("{} from {after} until all viewers agreed", text(took));
            found.push((what, vec![format!("asked {}", text(limit))]));
        }
        _ => {}
    }
}

/// Seconds in which the server stalled, and not the generator with it.
pub fn stalled(outcome: &Outcome) -> Vec<usize> {
    let seconds = outcome.tally.seconds.stalled(outcome.limits.stall);
    let blind = &outcome.ourselves.blind_seconds;
    // What a blind second delays may also be seen from the second before.
    let excused = |second: &usize| blind.contains(second) || blind.contains(&(second + 1));
    seconds
        .into_iter()
        .filter(|second| !excused(second))
        .collect()
}

fn trouble_found(outcome: &Outcome, trouble: Trouble, what: &str, found: &mut Found) {
    if let Some((count, examples)) = outcome.troubles.get(&trouble) {
        found.push((format!("{count} {what}"), examples.clone()));
    }
}

fn examples(outcome: &Outcome, trouble: Trouble) -> Vec<String> {
    outcome
        .troubles
        .get(&trouble)
        .map(|(_, examples)| examples.clone())
        .unwrap_or_default()
}

/// A duration as people read it.
pub fn text(took: Duration) -> String {
    let millis = took.as_secs_f64() * 1e3;
    match millis {
        _ if millis < 10.0 => format!("{millis:.2} ms"),
        _ if millis < 1_000.0 => format!("{millis:.0} ms"),
        _ => format!("{:.2} s", millis / 1e3),
    }
}
