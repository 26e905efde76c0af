//! Traces, sent to a collector by OTLP from a thread of their own.
//!
//! What waits there is bounded and what finds no place is dropped, so a collector that is away
//! costs nothing; that it is away is said once, and once that it is back.

use anyhow::Context;
use metrics::counter;
use opentelemetry::KeyValue;
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tracing::level_filters::LevelFilter;
use tracing::{info, warn};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use url::Url;

/// The W3C's name for it.
const TRACEPARENT: &str = "traceparent";

/// How long a collector may take with a batch.
const EXPORT_TIME: Duration = Duration::from_secs(3);

/// What makes and sends spans.
pub(super) fn provider(collector: &Url) -> anyhow::Result<SdkTracerProvider> {
    opentelemetry::global::set_text_map_propagator(TraceContextPropagator::new());
    let exporter = SpanExporter::builder()
        .with_http()
        .with_endpoint(traces_at(collector))
        .with_timeout(EXPORT_TIME)
        .build()
        .context("otel.endpoint")?;
    Ok(SdkTracerProvider::builder()
        .with_batch_exporter(Watched {
            exporter,
            away: AtomicBool::new(false),
        })
        .with_resource(
            Resource::builder()
                .with_service_name("ting")
                // Which process a span is of; its node's name is not known yet.
                .with_attribute(KeyValue::new(
                    "service.instance.id",
                    format!("{:032x}", rand::random::<u128>()),
                ))
                .build(),
        )
        .build())
}

/// Has traces go on where other nodes own or show what a request changes.
pub(super) fn propagation() -> actors::Propagation {
    actors::Propagation {
        current: || {
            let mut carrier = HashMap::new();
            let context = tracing::Span::current().context();
            TraceContextPropagator::new().inject_context(&context, &mut carrier);
            carrier.remove(TRACEPARENT)
        },
        adopt: |span, parent| {
            let carrier = HashMap::from([(TRACEPARENT.to_owned(), parent.to_owned())]);
            // A span that no layer wants has no parent either.
            let _ = span.set_parent(TraceContextPropagator::new().extract(&carrier));
        },
    }
}

/// Turns our spans into the provider's.
pub(super) fn layer<S>(provider: &SdkTracerProvider) -> impl Layer<S> + use<S>
where
    S: tracing::Subscriber + for<'a> tracing_subscriber::registry::LookupSpan<'a>,
{
    let ours = Targets::new().with_targets(super::OURS.map(|target| (target, LevelFilter::INFO)));
    tracing_opentelemetry::layer()
        .with_tracer(provider.tracer("ting"))
        .with_location(false)
        .with_threads(false)
        .with_tracked_inactivity(false)
        .with_filter(ours)
}

/// The collector's usual path, unless another is named.
fn traces_at(collector: &Url) -> String {
    let mut url = collector.clone();
    if matches!(url.path(), "" | "/") {
        url.set_path("/v1/traces");
    }
    url.into()
}

/// Spans that the collector did not take.
const LOST: &str = "ting_spans_lost_total";

/// Says what is counted here.
pub(super) fn describe() {
    metrics::describe_counter!(LOST, "Spans that the collector did not take");
}

/// Notices when the collector goes and comes.
#[derive(Debug)]
struct Watched<E> {
    exporter: E,
    away: AtomicBool,
}

impl<E: opentelemetry_sdk::trace::SpanExporter> opentelemetry_sdk::trace::SpanExporter
    for Watched<E>
{
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len() as u64;
        let sent = self.exporter.export(batch).await;
        let away = sent.is_err();
        if away {
            counter!(LOST).increment(spans);
        }
        match (self.away.swap(away, Ordering::Relaxed), away) {
            (false, true) => warn!("the collector of traces does not answer"),
            (true, false) => info!("the collector of traces answers again"),
            _ => {}
        }
        sent
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collector_is_asked_at_its_usual_path() {
        let at = |url: &str| traces_at(&url.parse().unwrap());
        assert_eq!(
            at("http://127.0.0.1:4318"),
            "http://127.0.0.1:4318/v1/traces"
        );
        assert_eq!(at("http://c:4318/other"), "http://c:4318/other");
    }
}
