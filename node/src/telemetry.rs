//! The log, traces and metrics of this process.
//!
//! None of them carries what people write, their names, passwords or cookies: spans and metrics
//! know routes, not paths.

pub mod requests;
mod traces;

use crate::config::{Log, LogFormat};
use anyhow::Context;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use opentelemetry_sdk::trace::SdkTracerProvider;
use std::time::Duration;
use tracing::{Level, Metadata, error};
use tracing_subscriber::filter::{FilterExt, FilterFn, LevelFilter};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};
use url::Url;

/// From a cached answer to the deadline.
const SECONDS: [f64; 13] = [
    0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0,
];

/// From a keystroke to a full frame.
const BYTES: [f64; 8] = [
    128.0,
    512.0,
    1_024.0,
    4_096.0,
    16_384.0,
    65_536.0,
    262_144.0,
    1_048_576.0,
];

/// How often what was recorded is folded up; a scraper comes every few seconds.
const UPKEEP: Duration = Duration::from_secs(5);

/// How long the last traces may take to leave.
const FLUSH: Duration = Duration::from_secs(2);

/// What keeps telemetry going.
#[derive(Debug)]
pub struct Telemetry {
    /// What `/metrics` shows.
    pub metrics: PrometheusHandle,
    traces: Option<SdkTracerProvider>,
}

impl Telemetry {
    /// Starts all of it, once in a process and before its runtime.
    pub fn start(log: &Log, collector: Option<&Url>) -> anyhow::Result<Self> {
        let traces = collector.map(traces::provider).transpose()?;
        if traces.is_some() {
            actors::carry_traces(traces::propagation());
        }
        tracing_subscriber::registry()
            .with(lines(log)?)
            .with(traces.as_ref().map(traces::layer))
            .try_init()
            .context("the log can't be started twice")?;
        let metrics = PrometheusBuilder::new()
            .set_buckets(&SECONDS)?
            .set_buckets_for_metric(Matcher::Suffix("_bytes".to_owned()), &BYTES)?
            .install_recorder()
            .context("the metrics can't be started twice")?;
        traces::describe();
        tell_panics();
        Ok(Telemetry { metrics, traces })
    }

    /// Keeps the metrics small while nobody reads them; never returns.
    pub async fn upkeep(metrics: PrometheusHandle) {
        let mut ticks = tokio::time::interval(UPKEEP);
        loop {
            ticks.tick().await;
            metrics.run_upkeep();
        }
    }

    /// Lets the last traces leave.
    pub fn stop(self) {
        if let Some(traces) = self.traces {
            // A collector that is away has been told of already.
            let _ = traces.shutdown_with_timeout(FLUSH);
        }
    }
}

/// Crates whose lines and spans are ours.
const OURS: [&str; 4] = ["ting", "actors", "cql", "cluster_config"];

/// What other crates tell in `debug` may be what people wrote.
fn is_told(metadata: &Metadata<'_>) -> bool {
    let krate = metadata.target().split("::").next().unwrap_or_default();
    OURS.contains(&krate) || *metadata.level() <= Level::INFO
}

type Lines<S> = Box<dyn Layer<S> + Send + Sync>;

fn lines<S>(log: &Log) -> anyhow::Result<Lines<S>>
where
    S: tracing::Subscriber + for<'a> tracing_subscriber::registry::LookupSpan<'a>,
{
    let filter = EnvFilter::builder()
        .parse(&log.filter)
        .context("log.filter")?;
    let layer = tracing_subscriber::fmt::layer();
    let layer: Lines<S> = match log.format {
        LogFormat::Text => layer.boxed(),
        LogFormat::Json => layer
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(false)
            .boxed(),
    };
    // Without the hint the libraries' own lines, several for each packet, are all looked at.
    let level = filter.max_level_hint().unwrap_or(LevelFilter::TRACE);
    let told = FilterFn::new(is_told).with_max_level_hint(level);
    Ok(layer.with_filter(filter.and(told)).boxed())
}

/// A panic is told once, as an error. What it says is told only when it was written in the
/// source: a made-up one may quote what somebody typed.
fn tell_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic
            .location()
            .map(|place| format!("{}:{}", place.file(), place.line()))
            .unwrap_or_default();
        let said = panic
            .payload()
            .downcast_ref::<&'static str>()
            .copied()
            .unwrap_or("(not told)");
        error!(panic.place = %place, panic.said = said, "panicked");
    }));
}
