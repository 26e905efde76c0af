//! Whether the other side of a link answers: it is asked each [`PING`], and has missed too many
//! when [`MISSED_MAX`] are unanswered.
//!
//! A node that slept finds all the ticks of its sleep at once. They count as one: nobody could
//! have answered between them, and the answers from before are still to be heard.

use std::time::Duration;
use tokio::time::Instant;

/// How often a link is tried.
pub const PING: Duration = Duration::from_secs(1);

/// Pings without an answer after which the member counts as unreachable.
const MISSED_MAX: u64 = 3;

/// What was asked, and answered.
#[derive(Debug)]
pub struct Pings {
    asked: u64,
    answered: u64,
    asked_at: Instant,
}

/// What a tick asks for.
#[derive(Debug, PartialEq, Eq)]
pub enum Tick {
    /// This ping.
    Ask(u64),
    /// Nothing: it is too soon after the last one.
    Soon,
    /// The other side doesn't answer.
    Missed,
}

impl Pings {
    /// Of a link that is up now.
    pub fn since(now: Instant) -> Pings {
        Pings {
            asked: 0,
            answered: 0,
            asked_at: now,
        }
    }

    /// A tick has come.
    pub fn tick(&mut self, now: Instant) -> Tick {
        if self.asked > 0 && now.duration_since(self.asked_at) < PING / 2 {
            return Tick::Soon;
        }
        self.asked_at = now;
        if self.asked - self.answered >= MISSED_MAX {
            return Tick::Missed;
        }
        self.asked += 1;
        Tick::Ask(self.asked)
    }

    /// An answer has come: how long it took, if it is the last one's.
    pub fn answers(&mut self, n: u64, now: Instant) -> Option<Duration> {
        self.answered = self.answered.max(n.min(self.asked));
        (n == self.asked).then(|| now.duration_since(self.asked_at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_unanswered_are_too_many() {
        let mut now = Instant::now();
        let mut pings = Pings::since(now);
        for n in 1..=3 {
            now += PING;
            assert_eq!(pings.tick(now), Tick::Ask(n));
        }
        now += PING;
        assert_eq!(pings.tick(now), Tick::Missed);
        assert_eq!(pings.answers(2, now), None);
        now += PING;
        assert_eq!(pings.tick(now), Tick::Ask(4));
        assert_eq!(pings.answers(4, now + PING), Some(PING));
    }

    #[test]
    fn a_node_that_slept_gives_the_others_time_to_answer() {
        let mut now = Instant::now();
        let mut pings = Pings::since(now);
        assert_eq!(pings.tick(now), Tick::Ask(1));
        now += 20 * PING;
        assert_eq!(pings.tick(now), Tick::Ask(2));
        for _ in 0..20 {
            assert_eq!(pings.tick(now), Tick::Soon);
        }
        assert_eq!(pings.answers(2, now), Some(Duration::ZERO));
        assert_eq!(pings.tick(now + PING), Tick::Ask(3));
    }
}
