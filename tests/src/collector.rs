//! A collector of OpenTelemetry traces, in the test's process.

use axum::{Router, body::Bytes, extract::State, http::Uri};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use prost::Message;
use std::sync::{Arc, Mutex};
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};

/// What it was sent.
#[derive(Debug)]
pub struct Collector {
    address: String,
    kept: Arc<Kept>,
    more: watch::Receiver<()>,
    serving: JoinHandle<()>,
}

#[derive(Debug)]
struct Kept {
    bodies: Mutex<Vec<(String, Bytes)>>,
    tell: watch::Sender<()>,
}

/// A span that it was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// Which process has sent it.
    pub of: String,
    /// What it is called.
    pub name: String,
    /// Its id, and that of the span it is part of.
    pub id: Vec<u8>,
    /// Empty if it is the first of its trace.
    pub parent: Vec<u8>,
}

impl Collector {
    /// Listens on a port of the system.
    pub async fn start() -> Collector {
        Collector::that(Router::new().fallback(keep)).await
    }

    /// Takes what it is sent, and never answers.
    pub async fn that_never_answers() -> Collector {
        Collector::that(Router::new().fallback(keep_and_be_silent)).await
    }

    async fn that(answers: Router<Arc<Kept>>) -> Collector {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("its address").to_string();
        let (tell, more) = watch::channel(());
        let kept = Arc::new(Kept {
            bodies: Mutex::default(),
            tell,
        });
        let router = answers.with_state(kept.clone());
        let serving = tokio::spawn(async move {
            // It serves until the test ends it.
            let _ = axum::serve(listener, router).await;
        });
        Collector {
            address,
            kept,
            more,
            serving,
        }
    }

    /// Where it listens, as a URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Waits until the bodies show something.
    pub async fn until(&self, what: &str, shown: impl Fn(&[u8]) -> bool) {
        let mut more = self.more.clone();
        crate::within_limit(what, async {
            while !shown(&self.bytes()) {
                if more.changed().await.is_err() {
                    panic!("{what}: the collector is gone");
                }
            }
        })
        .await;
    }

    /// Waits until the spans of a trace show something.
    pub async fn until_spans<T>(
        &self,
        what: &str,
        trace: u128,
        shown: impl Fn(&[Span]) -> Option<T>,
    ) -> T {
        let mut more = self.more.clone();
        loop {
            if let Some(shown) = shown(&self.spans(trace)) {
                return shown;
            }
            let waited = tokio::time::timeout(crate::LIMIT, more.changed()).await;
            assert!(
                matches!(waited, Ok(Ok(()))),
                "{what}: {:#?}",
                self.spans(trace)
            );
        }
    }

    /// The spans of a trace so far.
    fn spans(&self, trace: u128) -> Vec<Span> {
        let bodies = self.kept.bodies.lock().unwrap_or_else(|p| p.into_inner());
        let mut spans = Vec::new();
        for (_, body) in bodies.iter() {
            let sent = ExportTraceServiceRequest::decode(&body[..]).expect("OTLP");
            for by in sent.resource_spans {
                let of = by.resource.map(|resource| instance(&resource.attributes));
                let of = of.unwrap_or_default();
                let sent = by.scope_spans.into_iter().flat_map(|scope| scope.spans);
                let sent = sent.filter(|span| span.trace_id == trace.to_be_bytes());
                spans.extend(sent.map(|span| Span {
                    of: of.clone(),
                    name: span.name,
                    id: span.span_id,
                    parent: span.parent_span_id,
                }));
            }
        }
        spans
    }

    /// All bodies so far, one after the other.
    pub fn bytes(&self) -> Vec<u8> {
        let bodies = self.kept.bodies.lock().unwrap_or_else(|p| p.into_inner());
        bodies.iter().flat_map(|(_, body)| body.to_vec()).collect()
    }

    /// The paths that were asked for.
    pub fn paths(&self) -> Vec<String> {
        let bodies = self.kept.bodies.lock().unwrap_or_else(|p| p.into_inner());
        bodies.iter().map(|(path, _)| path.clone()).collect()
    }
}

fn instance(attributes: &[KeyValue]) -> String {
    let mut named = attributes.iter();
    let id = named.find(|attribute| attribute.key == "service.instance.id");
    let id = id.and_then(|id| id.value.clone()?.value);
    match id {
        Some(Value::StringValue(id)) => id,
        _ => panic!("a process without a name: {attributes:?}"),
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn keep(State(kept): State<Arc<Kept>>, uri: Uri, body: Bytes) {
    let mut bodies = kept.bodies.lock().unwrap_or_else(|p| p.into_inner());
    bodies.push((uri.path().to_owned(), body));
    drop(bodies);
    kept.tell.send_replace(());
}

async fn keep_and_be_silent(kept: State<Arc<Kept>>, uri: Uri, body: Bytes) {
    keep(kept, uri, body).await;
    std::future::pending().await
}
