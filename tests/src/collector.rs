//! A collector of OpenTelemetry traces, in the test's process.

use axum::{Router, body::Bytes, extract::State, http::Uri};
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
