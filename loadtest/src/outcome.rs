//! What a run found, as values: the verdict and all reports are made of this alone.

use std::{collections::BTreeMap, time::Duration};

use serde::Serialize;

use crate::{
    history::Kept,
    judge::Tally,
    latency::Latencies,
    measure::Usage,
    plan::{Disturbance, Limits},
    roster::Presence,
    run::Trouble,
};

/// All that a run found.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The scenario's name.
    pub scenario: String,
    /// The servers.
    pub urls: Vec<String>,
    /// What was asked.
    pub limits: Limits,
    /// How long people typed.
    pub typed_for: Duration,
    /// Those who typed.
    pub typists: usize,
    /// Keys that reached the server.
    pub keys: u64,
    /// Messages that were begun.
    pub messages: u64,
    /// Viewers who were to come.
    pub asked: usize,
    /// Viewers who came.
    pub joined: usize,
    /// What viewers were shown.
    pub tally: Tally,
    /// Key to last viewer, for each step that reached all of them.
    pub fan_out: Latencies,
    /// Steps that did not reach all viewers.
    pub fan_out_incomplete: u64,
    /// What the histories say.
    pub kept: Kept,
    /// Who was told of whom, where people came and went.
    pub presence: Option<Presence>,
    /// How long joining took.
    pub joins: Latencies,
    /// How long coming back took.
    pub rejoins: Latencies,
    /// How long requests of the company took.
    pub company: BTreeMap<&'static str, Latencies>,
    /// What went wrong beside deliveries.
    pub troubles: BTreeMap<Trouble, (u64, Vec<String>)>,
    /// What was done to the servers, and when it was done.
    pub disturbed: Option<(Disturbance, Duration)>,
    /// From the disturbance until all viewers were shown new keys; none if one never was.
    pub recovery: Option<Duration>,
    /// How the servers used the machine.
    pub servers: Option<ServerUse>,
    /// How well we kept up ourselves.
    pub ourselves: Ourselves,
    /// Goose thresholds that failed, in goose's words.
    pub thresholds: Vec<String>,
}

/// How the servers used the machine.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct ServerUse {
    /// Cores, while people typed.
    pub cores: f64,
    /// Processor time of one delivery: a step to a viewer, in microseconds.
    pub micros_per_delivery: f64,
    /// Processor time of one frame to a viewer, in microseconds.
    pub micros_per_frame: f64,
    /// Memory before viewers came.
    pub resident_before_bytes: u64,
    /// Memory when all had joined.
    pub resident_joined_bytes: u64,
    /// Memory at the end.
    pub resident_after_bytes: u64,
    /// Memory that joining took, of each viewer.
    pub bytes_per_viewer: f64,
    /// The share of its wish to run that the server spent waiting for a processor.
    pub wait_share: f64,
}

impl ServerUse {
    /// From three readings: before viewers came, when typing began, and when it ended.
    pub fn of(
        before: Usage,
        begun: Usage,
        ended: Usage,
        typed_for: Duration,
        tally: &Tally,
        joined: usize,
    ) -> Self {
        let typing = ended.since(&begun);
        let micros = typing.cpu.as_secs_f64() * 1e6;
        let grown = begun.resident_bytes.saturating_sub(before.resident_bytes);
        let counts = &tally.counts;
        let deliveries = counts.direct + counts.superseded + counts.last;
        ServerUse {
            cores: typing.cpu.as_secs_f64() / typed_for.as_secs_f64().max(0.001),
            micros_per_delivery: micros / deliveries.max(1) as f64,
            micros_per_frame: micros / counts.frames.max(1) as f64,
            resident_before_bytes: before.resident_bytes,
            resident_joined_bytes: begun.resident_bytes,
            resident_after_bytes: ended.resident_bytes,
            bytes_per_viewer: grown as f64 / joined.max(1) as f64,
            wait_share: typing.wait_share(typed_for),
        }
    }
}

/// How well we kept up ourselves.
#[derive(Debug, Clone, Default)]
pub struct Ourselves {
    /// How late typists woke.
    pub lag: Latencies,
    /// How late the canary woke.
    pub canary: Latencies,
    /// Seconds in which the canary woke too late to tell a slow server.
    pub blind_seconds: Vec<usize>,
    /// Cores we used.
    pub cores: f64,
    /// Our memory at the end.
    pub resident_bytes: u64,
    /// The share of our wish to run that we spent waiting for a processor.
    pub wait_share: f64,
}
