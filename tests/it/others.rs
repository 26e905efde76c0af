//! Two people who type and read while something else happens, and what they notice of it.

use std::time::Duration;
use tests::{Person, Room, size};
use tokio::time::Instant;

/// More than anything that misbehaves may cost in memory: buffers of the kernel are not counted
/// here.
const MEMORY_BYTES: u64 = 128 << 20;

/// The least that a letter may take twice of: frames leave in ticks this long, so by chance alone
/// one letter waits for all of a tick and another for nothing.
const TICK: Duration = Duration::from_millis(100);

/// Two people, and how it was for them while nothing else happened.
pub struct Others {
    /// Who types.
    pub typist: Person,
    /// Who reads it.
    pub viewer: Person,
    quiet: Duration,
    resident: u64,
}

impl Others {
    /// New people in that room, who have typed and read for a while.
    pub async fn in_room(room: &Room) -> Others {
        let [typist, viewer] = room.people(["typist", "viewer"]).await;
        let mut others = Others {
            typist,
            viewer,
            quiet: Duration::ZERO,
            resident: room.ting().process().resident_bytes(),
        };
        others.quiet = others.latency().await;
        others
    }

    /// Types letters, each seen before the next; what 99 of 100 took at most.
    async fn latency(&self) -> Duration {
        let letters = size("TING_TEST_LETTERS", 20);
        let ghost = self.typist.types("0").await;
        let mut latencies = Vec::new();
        for n in 1..=letters {
            let text = n.to_string();
            let typed = Instant::now();
            self.typist.goes_on(&ghost, &text).await;
            self.viewer.sees(&ghost, &text).await;
            latencies.push(typed.elapsed());
        }
        self.typist.erases(&ghost).await;
        latencies.sort_unstable();
        latencies[(letters * 99).div_ceil(100) - 1]
    }

    /// Types on, and compares with how it was before.
    pub async fn go_on(&self, during: &str) {
        let busy = self.latency().await;
        let resident = self.typist.ting().process().resident_bytes();
        println!(
            "{during}: {busy:?} where it was {:?}, {} MiB where it was {}",
            self.quiet,
            resident >> 20,
            self.resident >> 20
        );
        assert!(
            resident < self.resident + MEMORY_BYTES,
            "{during}: {resident} bytes of memory"
        );
        // On a machine that does nothing else, a bound on the time means something.
        if size("TING_TEST_STRICT", 0) > 0 {
            assert!(busy <= self.quiet.max(TICK) * 2, "{during}: {busy:?}");
        }
    }
}
