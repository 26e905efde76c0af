use std::{collections::BTreeMap, time::Duration};

use super::*;
use crate::{
    history::Kept, judge::Tally, latency::Latencies, measure::Usage, outcome::Ourselves,
    plan::Limits,
};

const SECOND: Duration = Duration::from_secs(1);

/// A run of ten seconds, one delivery a second, with so much processor time; `lag` is what made
/// its generator late.
fn row(peer: Peer, cpu: Duration, lag: Duration) -> Row {
    let mut tally = Tally::new(SECOND, 0);
    tally.counts.expected = 10;
    for second in 0..10 {
        tally.direct(SECOND * second, Duration::from_millis(5));
    }
    let used = |cpu| Usage {
        cpu,
        ..Usage::default()
    };
    let server = ServerUse::of(
        Usage::default(),
        used(Duration::ZERO),
        used(cpu),
        SECOND * 10,
        &tally,
        1,
    );
    let mut ourselves = Ourselves::default();
    ourselves.lag.record(lag);
    let outcome = Outcome {
        scenario: "sentence".to_owned(),
        urls: Vec::new(),
        limits: Limits::default(),
        typed_for: SECOND * 10,
        typists: 1,
        keys: 10,
        messages: 1,
        asked: 1,
        joined: 1,
        tally,
        fan_out: Latencies::default(),
        fan_out_incomplete: 0,
        kept: Kept::default(),
        presence: None,
        joins: Latencies::default(),
        rejoins: Latencies::default(),
        company: BTreeMap::new(),
        troubles: BTreeMap::new(),
        disturbed: None,
        recovery: None,
        servers: Some(server),
        ourselves,
        thresholds: Vec::new(),
    };
    Row {
        peer,
        verdict: Verdict::of(&outcome),
        outcome,
    }
}

fn line(table: &str, peer: Peer) -> &str {
    let is_its = |line: &&str| line.trim().starts_with(peer.title());
    table.lines().find(is_its).unwrap()
}

#[test]
fn ratios_are_to_the_first() {
    let rows = [
        row(Peer::Ting, SECOND, Duration::ZERO),
        row(Peer::Bun, SECOND * 5, Duration::ZERO),
    ];
    let table = table(&rows);
    let cells: Vec<&str> = line(&table, Peer::Bun).split_whitespace().collect();
    assert_eq!(cells[2..4], ["0.500", "5.0"], "{table}");
    assert_eq!(worth(&rows), Worth::Passed);
}

#[test]
fn a_run_that_is_invalid_has_no_figures() {
    let rows = [
        row(Peer::Ting, SECOND, Duration::ZERO),
        row(Peer::Bun, SECOND * 5, SECOND),
    ];
    let table = table(&rows);
    assert!(!line(&table, Peer::Bun).contains("0.500"), "{table}");
    assert!(line(&table, Peer::Bun).contains("invalid: typists woke late"));
    assert_eq!(figures(&rows)[1]["figures"], Value::Null);
    assert_eq!(worth(&rows), Worth::Invalid);
}

#[test]
fn only_our_own_server_can_break_a_comparison() {
    let late = |peer| {
        let mut row = row(peer, SECOND, Duration::ZERO);
        row.outcome.tally.counts.late = 1;
        row.verdict = Verdict::of(&row.outcome);
        row
    };
    let ours = row(Peer::Ting, SECOND, Duration::ZERO);
    assert_eq!(worth(&[ours, late(Peer::Bun)]), Worth::Passed);
    assert_eq!(worth(&[late(Peer::Ting)]), Worth::Broken);
    assert_eq!(worth(&[]), Worth::Error);
}
