//! From start to end: whether this node is starting, serving or going.

use actors::{StoreHealth, System};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use tokio::sync::{OnceCell, watch};
use tracing::info;

/// Where a node is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// The store was not reached yet.
    Starting,
    /// All is there.
    Serving,
    /// Its connections are told to go.
    Draining,
}

impl Phase {
    /// As `/readyz` says it.
    pub fn as_str(self) -> &'static str {
        match self {
            Phase::Starting => "starting",
            Phase::Serving => "serving",
            Phase::Draining => "draining",
        }
    }
}

/// A node's life; cheap to clone.
#[derive(Debug, Clone)]
pub struct Lifecycle(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    system: OnceLock<System>,
    draining: watch::Sender<bool>,
    drained: OnceCell<()>,
    /// Over how long connections are spread when it goes.
    spread: Duration,
}

impl Lifecycle {
    /// One that begins.
    pub fn new(spread: Duration) -> Self {
        Lifecycle(Arc::new(Parts {
            system: OnceLock::new(),
            draining: watch::Sender::new(false),
            drained: OnceCell::new(),
            spread,
        }))
    }

    /// The actors are there.
    pub fn started(&self, system: System) {
        // Started twice, the first one stays.
        let _ = self.0.system.set(system);
    }

    /// The actors, once they are there.
    pub fn system(&self) -> Option<&System> {
        self.0.system.get()
    }

    /// Where it is.
    pub fn phase(&self) -> Phase {
        if *self.0.draining.borrow() {
            Phase::Draining
        } else if self.system().is_some() {
            Phase::Serving
        } else {
            Phase::Starting
        }
    }

    /// Whether clients may be led here: it serves, and may acknowledge or no other node may either.
    pub fn is_ready(&self) -> bool {
        self.phase() == Phase::Serving && self.system().is_some_and(System::is_of_use)
    }

    /// What is known of the store: `unknown` until it was reached once.
    pub fn store(&self) -> &'static str {
        match self.system().map(System::store_health) {
            None => "unknown",
            Some(StoreHealth::Reached) => "reached",
            Some(StoreHealth::Away) => "away",
        }
    }

    /// Tells all connections to go and waits until they have; asked again, waits for the same.
    pub async fn drain(&self) {
        let drain = async {
            self.0.draining.send_replace(true);
            let began = Instant::now();
            info!("draining");
            if let Some(system) = self.system() {
                system.drain(self.0.spread).await;
            }
            info!(took_ms = began.elapsed().as_millis() as u64, "drained");
        };
        self.0.drained.get_or_init(|| drain).await;
    }

    /// Waits until its connections are told to go, whoever asks for it.
    pub async fn is_draining(&self) {
        // Who would tell it is this node itself, and is there.
        let _ = self.0.draining.subscribe().wait_for(|is| *is).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    #[tokio::test]
    async fn that_a_node_drains_is_heard_before_and_after() {
        let lifecycle = Lifecycle::new(Duration::ZERO);
        let mut hears = Box::pin(lifecycle.is_draining());
        assert!(hears.as_mut().now_or_never().is_none());
        lifecycle.drain().await;
        assert!(hears.now_or_never().is_some());
        assert!(lifecycle.is_draining().now_or_never().is_some());
    }
}
