//! What a store tells of itself in numbers.

use crate::StoreError;
use metrics::{Gauge, Unit};
use std::time::Instant;

const SECONDS: &str = "ting_store_seconds";
const FAILURES: &str = "ting_store_failures_total";
const IN_FLIGHT: &str = "ting_store_in_flight";
pub(crate) const COMMITS: &str = "ting_store_commits_total";
pub(crate) const QUEUED: &str = "ting_store_writes_queued";

pub(crate) fn describe() {
    metrics::describe_histogram!(SECONDS, Unit::Seconds, "How long a store operation took");
    metrics::describe_counter!(FAILURES, "Store operations that were not answered");
    metrics::describe_gauge!(IN_FLIGHT, "Store operations that wait for their answer");
    metrics::describe_counter!(COMMITS, "Groups of writes that were made durable together");
    metrics::describe_gauge!(QUEUED, "Writes that wait for the next commit");
}

/// Carries out an operation and notes how long it took, and whether it failed.
pub(crate) async fn timed<T>(
    operation: &'static str,
    work: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    let _in_flight = InFlight::begin();
    let begun = Instant::now();
    let answer = work.await;
    metrics::histogram!(SECONDS, "operation" => operation).record(begun.elapsed());
    if answer.is_err() {
        metrics::counter!(FAILURES, "operation" => operation).increment(1);
    }
    answer
}

/// Counts itself for as long as it lives, so that a caller who gives up is counted out.
struct InFlight(Gauge);

impl InFlight {
    fn begin() -> Self {
        let gauge = metrics::gauge!(IN_FLIGHT);
        gauge.increment(1);
        InFlight(gauge)
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.decrement(1);
    }
}
