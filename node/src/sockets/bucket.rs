//! How often one socket may speak. Behind it no mailbox has a bound, so the bound is here.

use std::time::{Duration, Instant};

/// A token bucket: so many at once, so many a second after that.
#[derive(Debug, Clone)]
pub struct Bucket {
    per_second: f64,
    burst: f64,
    tokens: f64,
    at: Instant,
    /// How many more refusals are borne before nobody is listened to.
    patience: f64,
}

/// Why a token was not given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// There is one again after this long.
    Wait(Duration),
    /// Whoever asks does not hear that it is refused.
    Deaf,
}

/// How many times the burst may be refused at once, and how many times the rate for long: more
/// is sent by nobody who hears the answers.
const REFUSED_BURSTS: f64 = 20.0;
const REFUSED_RATE: f64 = 10.0;

impl Bucket {
    /// A full one.
    pub fn new(per_second: u32, burst: u32, now: Instant) -> Self {
        Bucket {
            per_second: f64::from(per_second.max(1)),
            burst: f64::from(burst.max(1)),
            tokens: f64::from(burst.max(1)),
            at: now,
            patience: f64::from(burst.max(1)) * REFUSED_BURSTS,
        }
    }

    /// Takes one.
    pub fn take(&mut self, now: Instant) -> Result<(), Refused> {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.at = self.at.max(now);
        self.tokens = (self.tokens + passed * self.per_second).min(self.burst);
        let borne = self.patience + passed * self.per_second * REFUSED_RATE;
        self.patience = borne.min(self.burst * REFUSED_BURSTS);
        if self.tokens >= 1.0 {
            self.tokens -= 1.0;
            return Ok(());
        }
        if self.patience < 1.0 {
            return Err(Refused::Deaf);
        }
        self.patience -= 1.0;
        let missing = (1.0 - self.tokens) / self.per_second;
        Err(Refused::Wait(Duration::from_secs_f64(missing)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_burst_passes_and_then_the_rate() {
        let start = Instant::now();
        let mut bucket = Bucket::new(10, 3, start);
        for _ in 0..3 {
            assert_eq!(bucket.take(start), Ok(()));
        }
        assert_eq!(
            bucket.take(start),
            Err(Refused::Wait(Duration::from_millis(100)))
        );
        let later = start + Duration::from_millis(101);
        assert_eq!(bucket.take(later), Ok(()));
        assert!(bucket.take(later).is_err());
    }

    #[test]
    fn who_never_listens_is_deaf() {
        let start = Instant::now();
        let mut bucket = Bucket::new(1, 2, start);
        let heard = (0..100).map(|_| bucket.take(start));
        assert_eq!(heard.last(), Some(Err(Refused::Deaf)));
    }

    #[test]
    fn ten_times_too_fast_is_borne() {
        let start = Instant::now();
        let mut bucket = Bucket::new(100, 200, start);
        for millis in 0..60_000 {
            let taken = bucket.take(start + Duration::from_millis(millis));
            assert_ne!(taken, Err(Refused::Deaf));
        }
    }

    proptest! {
        #[test]
        fn never_more_than_burst_and_rate_allow(
            per_second in 1u32..50,
            burst in 1u32..50,
            pauses in proptest::collection::vec(0u64..500, 1..200),
        ) {
            let start = Instant::now();
            let mut bucket = Bucket::new(per_second, burst, start);
            let mut now = start;
            let mut passed = 0u32;
            for pause in pauses {
                now += Duration::from_millis(pause);
                passed += u32::from(bucket.take(now).is_ok());
            }
            let most = f64::from(burst) + (now - start).as_secs_f64() * f64::from(per_second);
            prop_assert!(f64::from(passed) <= most + 1e-6);
        }
    }
}
