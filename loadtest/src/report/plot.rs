//! Latency over time and its distribution, as one page without anything to load.

use std::fmt::Write;

use crate::{
    latency::Latencies,
    outcome::Outcome,
    verdict::{self, Verdict, text},
};

const WIDTH: f64 = 900.0;
const HEIGHT: f64 = 280.0;
const LEFT: f64 = 70.0;
const BOTTOM: f64 = 30.0;

/// The axis of durations is logarithmic, from 1 ms to 100 s.
const DECADES: f64 = 5.0;

/// The whole page.
pub fn page(outcome: &Outcome, verdict: &Verdict) -> String {
    let mut body = String::new();
    let title = format!("{} on {}", outcome.scenario, outcome.urls.join(", "));
    // Writing to a string can't fail.
    let _ = fill(&mut body, outcome, verdict);
    format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>{title}</title>\
         <style>body{{font:14px system-ui;margin:2em;max-width:960px;color:#222;background:#fff}}\
         text{{font:11px system-ui;fill:#555}}pre{{background:#f4f4f4;padding:1em;overflow:auto}}\
         .g{{stroke:#ddd}}.a{{fill:none;stroke:#1f77b4;stroke-width:1.5}}\
         .b{{fill:none;stroke:#d62728;stroke-width:1.5}}.s{{fill:#d62728;opacity:.15}}\
         .x{{fill:#888;opacity:.25}}</style><h1>{title}</h1>{body}</html>",
        title = escape(&title),
    )
}

fn fill(body: &mut String, outcome: &Outcome, verdict: &Verdict) -> std::fmt::Result {
    write!(
        body,
        "<pre>{}</pre>",
        escape(&super::summary(outcome, verdict))
    )?;
    over_time(body, outcome)?;
    distribution(body, &outcome.tally.all())
}

/// p50 and p99 of each second; stalled seconds are red, blind ones grey.
fn over_time(body: &mut String, outcome: &Outcome) -> std::fmt::Result {
    let seconds = outcome.tally.seconds.all();
    let step = (WIDTH - LEFT) / seconds.len().max(1) as f64;
    write!(
        body,
        "<h2>Key to viewer, by the second of the key</h2><p>p50 blue, p99 red; stalled seconds \
         tinted red, seconds in which the generator stood still grey</p>"
    )?;
    open_axes(body)?;
    for (seconds, class) in [
        (verdict::stalled(outcome), "s"),
        (outcome.ourselves.blind_seconds.clone(), "x"),
    ] {
        for second in seconds {
            let x = LEFT + second as f64 * step;
            write!(
                body,
                "<rect class=\"{class}\" x=\"{x:.1}\" y=\"0\" width=\"{step:.1}\" height=\"{HEIGHT}\"/>"
            )?;
        }
    }
    for (share, class) in [(0.5, "a"), (0.99, "b")] {
        let points = seconds
            .iter()
            .enumerate()
            .filter(|(_, second)| second.count() > 0)
            .map(|(at, second)| {
                (
                    LEFT + (at as f64 + 0.5) * step,
                    height(second.quantile(share)),
                )
            });
        line(body, class, points)?;
    }
    let label = |at: usize| (LEFT + at as f64 * step, format!("{at} s"));
    let every = (seconds.len() / 10).max(1);
    labels(body, (0..seconds.len()).step_by(every).map(label))?;
    write!(body, "</svg>")
}

/// Which share of deliveries took how long.
fn distribution(body: &mut String, all: &Latencies) -> std::fmt::Result {
    // Even steps in nines: 50 %, 90 %, 99 %, 99.9 %, …
    const NINES: f64 = 5.0;
    let x = |nines: f64| LEFT + (WIDTH - LEFT) * nines / NINES;
    write!(body, "<h2>Distribution</h2>")?;
    open_axes(body)?;
    let points = (0..=100)
        .map(|step| f64::from(step) / 100.0 * NINES)
        .map(|nines| (x(nines), height(all.quantile(1.0 - 10f64.powf(-nines)))));
    line(body, "a", points)?;
    let marks = ["0 %", "90 %", "99 %", "99.9 %", "99.99 %"];
    let label = |(nines, mark): (usize, &&str)| (x(nines as f64), (*mark).to_owned());
    labels(body, marks.iter().enumerate().map(label))?;
    write!(body, "</svg>")
}

fn open_axes(body: &mut String) -> std::fmt::Result {
    let whole = HEIGHT + BOTTOM;
    write!(
        body,
        "<svg viewBox=\"0 0 {WIDTH} {whole}\" width=\"{WIDTH}\" height=\"{whole}\">"
    )?;
    for decade in 0..=DECADES as u32 {
        let took = std::time::Duration::from_millis(10u64.pow(decade));
        let y = height(took);
        write!(
            body,
            "<line class=\"g\" x1=\"{LEFT}\" x2=\"{WIDTH}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>"
        )?;
        let y = (y + 4.0).max(10.0);
        write!(body, "<text x=\"0\" y=\"{y:.1}\">{}</text>", text(took))?;
    }
    Ok(())
}

fn line(
    body: &mut String,
    class: &str,
    points: impl Iterator<Item = (f64, f64)>,
) -> std::fmt::Result {
    write!(body, "<polyline class=\"{class}\" points=\"")?;
    for (x, y) in points {
        write!(body, "{x:.1},{y:.1} ")?;
    }
    write!(body, "\"/>")
}

fn labels(body: &mut String, labels: impl Iterator<Item = (f64, String)>) -> std::fmt::Result {
    for (x, label) in labels {
        write!(
            body,
            "<text x=\"{x:.1}\" y=\"{:.1}\">{label}</text>",
            HEIGHT + 18.0
        )?;
    }
    Ok(())
}

fn height(took: std::time::Duration) -> f64 {
    let decades = (took.as_secs_f64() * 1e3).max(1.0).log10().min(DECADES);
    HEIGHT * (1.0 - decades / DECADES)
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
