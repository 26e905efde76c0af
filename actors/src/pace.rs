//! How fast is too fast: a bucket of tokens for sends, and the collapsing of updates.

use std::time::Duration;
use tokio::time::Instant;

/// Allows `per_second` on average and `burst` at once.
#[derive(Debug)]
pub struct Bucket {
    per_second: f64,
    burst: f64,
    tokens: f64,
    at: Instant,
}

impl Bucket {
    /// A full one.
    pub fn new(per_second: u32, burst: u32, now: Instant) -> Self {
        let (per_second, burst) = (f64::from(per_second.max(1)), f64::from(burst.max(1)));
        Bucket {
            per_second,
            burst,
            tokens: burst,
            at: now,
        }
    }

    /// Takes a token, or says how long until there is one.
    pub fn take(&mut self, now: Instant) -> Result<(), Duration> {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.tokens = (self.tokens + passed * self.per_second).min(self.burst);
        self.at = now;
        if self.tokens >= 1.0 {
            self.tokens -= 1.0;
            return Ok(());
        }
        Err(Duration::from_secs_f64(
            (1.0 - self.tokens) / self.per_second,
        ))
    }
}

/// Updates of one message come through at most this often; a viewer sees ten states a second.
pub const UPDATE_SPACING: Duration = Duration::from_millis(50);

/// Lets the first update through and holds the newest of those that come too soon after it.
#[derive(Debug)]
pub struct Collapse<T> {
    through_at: Option<Instant>,
    held: Option<T>,
}

/// What becomes of an update.
#[derive(Debug, PartialEq, Eq)]
pub enum Pass<T> {
    /// It goes through now.
    Through(T),
    /// It is held, and `due` is when to ask for it, if nobody will already; what was held before
    /// is superseded.
    Held {
        /// When to call [`Collapse::due`]; none if that is arranged.
        due: Option<Duration>,
        /// What it supersedes.
        superseded: Option<T>,
    },
}

impl<T> Default for Collapse<T> {
    fn default() -> Self {
        Collapse {
            through_at: None,
            held: None,
        }
    }
}

impl<T> Collapse<T> {
    /// An update comes.
    pub fn offer(&mut self, update: T, now: Instant) -> Pass<T> {
        let since = self.through_at.map(|at| now.saturating_duration_since(at));
        match since {
            Some(since) if since < UPDATE_SPACING || self.held.is_some() => {
                let superseded = self.held.replace(update);
                let due = superseded
                    .is_none()
                    .then(|| UPDATE_SPACING.saturating_sub(since));
                Pass::Held { due, superseded }
            }
            _ => {
                self.through_at = Some(now);
                Pass::Through(update)
            }
        }
    }

    /// What is held, if it is still wanted.
    pub fn due(&mut self, now: Instant) -> Option<T> {
        let held = self.held.take();
        if held.is_some() {
            self.through_at = Some(now);
        }
        held
    }

    /// What is held.
    pub fn held(&self) -> Option<&T> {
        self.held.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_bucket_gives_its_burst_and_then_its_rate() {
        let start = Instant::now();
        let mut bucket = Bucket::new(10, 3, start);
        for _ in 0..3 {
            bucket.take(start).unwrap();
        }
        let wait = bucket.take(start).unwrap_err();
        assert!(wait > Duration::from_millis(99) && wait < Duration::from_millis(101));
        bucket
            .take(start + wait + Duration::from_millis(1))
            .unwrap();
    }

    proptest! {
        #[test]
        fn the_newest_update_always_comes_through(gaps in prop::collection::vec(0u64..120, 1..80)) {
            let mut collapse = Collapse::default();
            let (mut now, mut due_at) = (Instant::now(), None::<Instant>);
            let (mut through, mut times) = (Vec::new(), Vec::new());
            for (update, gap) in gaps.iter().enumerate() {
                let next = now + Duration::from_millis(*gap);
                if let Some(due) = due_at.take_if(|due| *due <= next) {
                    through.extend(collapse.due(due));
                    times.push(due);
                }
                now = next;
                match collapse.offer(update, now) {
                    Pass::Through(update) => {
                        through.push(update);
                        times.push(now);
                    }
                    Pass::Held { due, superseded } => {
                        prop_assert_eq!(due.is_some(), superseded.is_none());
                        due_at = due_at.or(due.map(|due| now + due));
                    }
                }
            }
            if let Some(due) = due_at {
                through.extend(collapse.due(due));
                times.push(due);
            }
            prop_assert_eq!(through.last().copied(), Some(gaps.len() - 1));
            prop_assert!(through.windows(2).all(|pair| pair[0] < pair[1]));
            prop_assert!(times.windows(2).all(|pair| pair[1] - pair[0] >= UPDATE_SPACING));
        }
    }
}
