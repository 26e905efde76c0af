//! How long a member that was put out stays away.

use std::time::Duration;

/// The first pause: long enough for the others to have seen that it went.
const FIRST: Duration = Duration::from_secs(1);

/// The longest one: who is cut off for hours is back within half a minute of its end.
const LONGEST: Duration = Duration::from_secs(30);

/// Who was a member for this long was not put out for what it was put out for before.
const SOUND: Duration = Duration::from_secs(60);

/// The pauses between being put out and coming back under a new name: each twice the last, so
/// that a node with a bad link doesn't move its share to and fro.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Backoff {
    pauses: u32,
}

impl Backoff {
    /// The next pause, after having been up for so long.
    pub fn pause(&mut self, up: Duration) -> Duration {
        if up >= SOUND {
            self.pauses = 0;
        }
        let pause = FIRST.saturating_mul(1 << self.pauses.min(16)).min(LONGEST);
        self.pauses += 1;
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_until_the_member_stays() {
        let mut backoff = Backoff::default();
        let short = Duration::from_secs(5);
        let pauses: Vec<u64> = (0..7).map(|_| backoff.pause(short).as_secs()).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 30]);
        assert_eq!(backoff.pause(SOUND), FIRST);
        assert_eq!(backoff.pause(short), FIRST * 2);
    }
}
