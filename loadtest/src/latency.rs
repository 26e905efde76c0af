//! How long things took: a histogram in microseconds, and one for each second of the run.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// Durations, to two digits.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(from = "Vec<(u64, u64)>", into = "Vec<(u64, u64)>")]
pub struct Latencies(Histogram<u64>);

/// Ten minutes; nothing is waited for longer, and what is counts as that. The bound is fixed
/// because a histogram that grows while merging answers quantiles with its first bound.
const MICROS_MAX: u64 = 600_000_000;

impl Default for Latencies {
    fn default() -> Self {
        Latencies(histogram(1, 2))
    }
}

fn histogram(micros_min: u64, digits: u8) -> Histogram<u64> {
    Histogram::new_with_bounds(micros_min, MICROS_MAX, digits).expect("the bounds are constants")
}

impl Latencies {
    /// Durations to one digit, in a tenth of the memory.
    fn coarse() -> Self {
        Latencies(histogram(64, 1))
    }

    /// Counts one duration.
    pub fn record(&mut self, took: Duration) {
        self.add(took.as_micros().min(u128::from(MICROS_MAX)) as u64, 1);
    }

    fn add(&mut self, micros: u64, count: u64) {
        self.0.saturating_record_n(micros.max(1), count);
    }

    /// Adds all of another's.
    pub fn merge(&mut self, other: &Latencies) {
        for value in other.0.iter_recorded() {
            self.add(value.value_iterated_to(), value.count_at_value());
        }
    }

    /// Each duration that was counted, and how often.
    pub fn iter(&self) -> impl Iterator<Item = (Duration, u64)> + '_ {
        let recorded = self.0.iter_recorded();
        recorded.map(|value| {
            (
                Duration::from_micros(value.value_iterated_to()),
                value.count_at_value(),
            )
        })
    }

    /// How many were counted.
    pub fn count(&self) -> u64 {
        self.0.len()
    }

    /// The duration that this share of them did not exceed.
    pub fn quantile(&self, share: f64) -> Duration {
        Duration::from_micros(self.0.value_at_quantile(share))
    }

    /// The longest.
    pub fn max(&self) -> Duration {
        Duration::from_micros(if self.count() == 0 { 0 } else { self.0.max() })
    }

    /// The mean.
    pub fn mean(&self) -> Duration {
        Duration::from_micros(self.0.mean() as u64)
    }
}

impl From<Vec<(u64, u64)>> for Latencies {
    fn from(counts: Vec<(u64, u64)>) -> Self {
        let mut latencies = Latencies::default();
        for (micros, count) in counts {
            latencies.add(micros, count);
        }
        latencies
    }
}

impl From<Latencies> for Vec<(u64, u64)> {
    fn from(latencies: Latencies) -> Self {
        let recorded = latencies.0.iter_recorded();
        recorded
            .map(|value| (value.value_iterated_to(), value.count_at_value()))
            .collect()
    }
}

/// Durations by the second of the run to which they belong.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Seconds(Vec<Latencies>);

/// No run is longer; a time beyond it is a mistake that must not cost memory.
const SECONDS_MAX: usize = 86_400;

impl Seconds {
    /// Counts one duration that began at this time.
    pub fn record(&mut self, began: Duration, took: Duration) {
        let second = (began.as_secs() as usize).min(SECONDS_MAX);
        if self.0.len() <= second {
            self.0.resize_with(second + 1, Latencies::coarse);
        }
        self.0[second].record(took);
    }

    /// Adds all of another's.
    pub fn merge(&mut self, other: &Seconds) {
        if self.0.len() < other.0.len() {
            self.0.resize_with(other.0.len(), Latencies::coarse);
        }
        for (own, others) in self.0.iter_mut().zip(&other.0) {
            own.merge(others);
        }
    }

    /// One histogram a second, from the first.
    pub fn all(&self) -> &[Latencies] {
        &self.0
    }

    /// Which seconds were slow for a quarter of what began in them: a server that stalls for
    /// a whole second shows in at least one of them, wherever the stall begins.
    pub fn stalled(&self, limit: Duration) -> Vec<usize> {
        let slow = |second: &Latencies| second.count() > 0 && second.quantile(0.75) > limit;
        self.0
            .iter()
            .enumerate()
            .filter(|(_, second)| slow(second))
            .map(|(at, _)| at)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn millis(value: u64) -> Duration {
        Duration::from_millis(value)
    }

    proptest! {
        #[test]
        fn a_stall_of_a_second_is_found_wherever_it_begins(begins in 0..5_000u64) {
            let mut seconds = Seconds::default();
            for began in (0..8_000).step_by(7) {
                let stalled = (begins..begins + 1_000).contains(&began);
                let took = if stalled { begins + 1_000 - began } else { 20 };
                seconds.record(millis(began), millis(took));
            }
            prop_assert!(!seconds.stalled(millis(250)).is_empty());
            prop_assert!(seconds.stalled(millis(1_100)).is_empty());
        }

        #[test]
        fn merging_is_counting_together(a in prop::collection::vec(1..9_000_000u64, 0..50),
                                        b in prop::collection::vec(1..9_000_000u64, 0..50)) {
            let all = |values: &[u64]| {
                let mut latencies = Latencies::default();
                values.iter().for_each(|value| latencies.record(Duration::from_micros(*value)));
                latencies
            };
            let mut merged = all(&a);
            merged.merge(&all(&b));
            let together = all(&[a, b].concat());
            prop_assert_eq!(merged.count(), together.count());
            prop_assert_eq!(merged.max(), together.max());
            prop_assert_eq!(merged.quantile(0.5), together.quantile(0.5));
            let text = serde_json::to_string(&merged).unwrap();
            let again: Latencies = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(again.quantile(0.99), together.quantile(0.99));
        }
    }
}
