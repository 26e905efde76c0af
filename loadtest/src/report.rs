//! What people read: one screen of text, one file of JSON, one plot that opens offline.

use std::{fmt::Write, path::Path};

use anyhow::Context;
use serde_json::{Value, json};

use crate::{
    latency::Latencies,
    outcome::Outcome,
    verdict::{self, Verdict, Worth, text},
};

mod plot;

/// Writes our files beside goose's.
pub fn write(folder: &Path, outcome: &Outcome, verdict: &Verdict) -> anyhow::Result<()> {
    let json = serde_json::to_string_pretty(&delivery(outcome, verdict))?;
    for (name, content) in [
        ("delivery.json", json),
        ("latency.html", plot::page(outcome, verdict)),
    ] {
        let file = folder.join(name);
        std::fs::write(&file, content).with_context(|| format!("writing {}", file.display()))?;
    }
    Ok(())
}

/// One screen.
pub fn summary(outcome: &Outcome, verdict: &Verdict) -> String {
    let mut out = String::new();
    // Writing to a string can't fail.
    let _ = fill(&mut out, outcome, verdict);
    out
}

fn fill(out: &mut String, outcome: &Outcome, verdict: &Verdict) -> std::fmt::Result {
    let counts = &outcome.tally.counts;
    let seconds = outcome.typed_for.as_secs_f64().max(0.001);
    writeln!(out, "{} on {}", outcome.scenario, outcome.urls.join(", "))?;
    writeln!(
        out,
        "  {} of {} viewers, {} typists, {:.0} s: {} messages, {} keys, {:.1} keys/s",
        outcome.joined,
        outcome.asked,
        outcome.typists,
        seconds,
        outcome.messages,
        outcome.keys,
        outcome.keys as f64 / seconds,
    )?;
    writeln!(
        out,
        "  deliveries {} = direct {} + superseded {} + final {} + missing {}",
        counts.expected, counts.direct, counts.superseded, counts.last, counts.missing
    )?;
    writeln!(
        out,
        "  late {}, out of order {}, corrupt {}, after the end {}, doubled {}, foreign {}",
        counts.late,
        counts.out_of_order,
        counts.corrupt,
        counts.after_end,
        counts.doubled,
        counts.foreign
    )?;
    let frames = counts.frames as f64 / seconds;
    let bytes = counts.bytes as f64 / seconds / 1e6;
    writeln!(out, "  {frames:.0} frames/s, {bytes:.2} MB/s to viewers")?;
    writeln!(
        out,
        "\n  {:<22}{:>10}{:>10}{:>10}{:>10}",
        "", "p50", "p90", "p99", "max"
    )?;
    row(out, "key to viewer", &outcome.tally.all())?;
    row(out, "  direct", &outcome.tally.direct)?;
    row(out, "  superseded", &outcome.tally.superseded)?;
    row(out, "  final", &outcome.tally.last)?;
    row(out, "key to last viewer", &outcome.fan_out)?;
    row(out, "join", &outcome.joins)?;
    row(out, "join again", &outcome.rejoins)?;
    for (what, latencies) in &outcome.company {
        row(out, what, latencies)?;
    }
    if let Some(presence) = &outcome.presence {
        row(out, "told of a join", &presence.join)?;
        row(out, "told of a part", &presence.part)?;
    }
    for (what, latencies) in &outcome.company {
        let pace = latencies.count() as f64 / seconds;
        writeln!(out, "  {what}: {pace:.0} a second")?;
    }
    let kept = &outcome.kept;
    writeln!(
        out,
        "\n  sends acknowledged {}, in the history {}, lost {}, doubled {}, misplaced {}",
        kept.acknowledged, kept.kept, kept.lost, kept.doubled, kept.misplaced
    )?;
    if let Some((_, when)) = &outcome.disturbed {
        let recovery = outcome.recovery.map_or_else(|| "never".to_owned(), text);
        writeln!(
            out,
            "  disturbed at {}, all viewers agree after {recovery}",
            text(*when)
        )?;
    }
    if let Some(servers) = &outcome.servers {
        writeln!(
            out,
            "  server: {:.3} cores, {:.2} µs a delivery, {:.1} µs a frame, {:.1} MB, {:.1} KB a viewer",
            servers.cores,
            servers.micros_per_delivery,
            servers.micros_per_frame,
            servers.resident_after_bytes as f64 / 1e6,
            servers.bytes_per_viewer / 1e3,
        )?;
    }
    let ourselves = &outcome.ourselves;
    writeln!(
        out,
        "  generator: {:.3} cores, {:.0} MB, waited {:.0} %, typists woke late p99 {}, canary p99 {}",
        ourselves.cores,
        ourselves.resident_bytes as f64 / 1e6,
        ourselves.wait_share * 100.0,
        text(ourselves.lag.quantile(0.99)),
        text(ourselves.canary.quantile(0.99)),
    )?;
    verdict_lines(out, verdict)
}

fn verdict_lines(out: &mut String, verdict: &Verdict) -> std::fmt::Result {
    let word = match verdict.worth {
        Worth::Passed => "PASSED",
        Worth::Broken => "BROKEN",
        Worth::Invalid => "INVALID: the generator or the machine could not keep up",
        Worth::Error => "ERROR in the harness",
    };
    writeln!(out, "\n{word}")?;
    for finding in &verdict.findings {
        writeln!(out, "  {:?}: {}", finding.worth, finding.what)?;
        for example in finding.examples.iter().take(3) {
            writeln!(out, "    {}", example.chars().take(160).collect::<String>())?;
        }
    }
    Ok(())
}

fn row(out: &mut String, name: &str, latencies: &Latencies) -> std::fmt::Result {
    if latencies.count() == 0 {
        return Ok(());
    }
    write!(out, "  {name:<22}")?;
    for share in [0.5, 0.9, 0.99] {
        write!(out, "{:>10}", text(latencies.quantile(share)))?;
    }
    writeln!(out, "{:>10}", text(latencies.max()))
}

/// Everything, for machines.
pub fn delivery(outcome: &Outcome, verdict: &Verdict) -> Value {
    let seconds: Vec<Value> = outcome
        .tally
        .seconds
        .all()
        .iter()
        .enumerate()
        .map(|(second, latencies)| {
            let mut brief = brief(latencies);
            brief["second"] = json!(second);
            brief
        })
        .collect();
    let company: serde_json::Map<String, Value> = outcome
        .company
        .iter()
        .map(|(what, latencies)| ((*what).to_owned(), brief(latencies)))
        .collect();
    let troubles: Vec<Value> = outcome
        .troubles
        .iter()
        .map(|(kind, (count, examples))| json!({ "kind": kind, "count": count, "examples": examples }))
        .collect();
    let ourselves = &outcome.ourselves;
    json!({
        "scenario": outcome.scenario,
        "urls": outcome.urls,
        "verdict": verdict,
        "typed_seconds": outcome.typed_for.as_secs_f64(),
        "typists": outcome.typists,
        "keys": outcome.keys,
        "messages": outcome.messages,
        "viewers": { "asked": outcome.asked, "joined": outcome.joined },
        "counts": outcome.tally.counts,
        "examples": outcome.tally.examples,
        "latency": {
            "all": brief(&outcome.tally.all()),
            "direct": brief(&outcome.tally.direct),
            "superseded": brief(&outcome.tally.superseded),
            "final": brief(&outcome.tally.last),
            "fan_out": brief(&outcome.fan_out),
            "fan_out_incomplete": outcome.fan_out_incomplete,
            "join": brief(&outcome.joins),
            "rejoin": brief(&outcome.rejoins),
            "seconds": seconds,
        },
        "stalled_seconds": verdict::stalled(outcome),
        "company": company,
        "presence": outcome.presence.as_ref().map(|presence| json!({
            "people": presence.people,
            "watchers": presence.watchers,
            "joins_missing": presence.joins_missing,
            "parts_missing": presence.parts_missing,
            "disorder": presence.disorder,
            "join": brief(&presence.join),
            "part": brief(&presence.part),
        })),
        "history": outcome.kept,
        "disturbance": outcome.disturbed.map(|(disturbance, when)| json!({
            "what": disturbance.event,
            "at_seconds": when.as_secs_f64(),
            "recovery_seconds": outcome.recovery.map(|took| took.as_secs_f64()),
        })),
        "server": outcome.servers,
        "generator": {
            "cores": ourselves.cores,
            "resident_bytes": ourselves.resident_bytes,
            "wait_share": ourselves.wait_share,
            "typist_lag": brief(&ourselves.lag),
            "canary": brief(&ourselves.canary),
            "blind_seconds": ourselves.blind_seconds,
        },
        "troubles": troubles,
        "limits": outcome.limits,
    })
}

/// The percentiles of interest, in milliseconds.
fn brief(latencies: &Latencies) -> Value {
    let millis = |share: f64| latencies.quantile(share).as_secs_f64() * 1e3;
    json!({
        "count": latencies.count(),
        "mean_ms": latencies.mean().as_secs_f64() * 1e3,
        "p50_ms": millis(0.5),
        "p90_ms": millis(0.9),
        "p99_ms": millis(0.99),
        "p999_ms": millis(0.999),
        "max_ms": latencies.max().as_secs_f64() * 1e3,
    })
}
