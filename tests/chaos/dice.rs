//! Chance that can be repeated: the same seed gives the same numbers, in any build of this code.

/// Numbers that follow from a seed (SplitMix64).
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    /// Of a seed; `stream` tells apart those who draw beside each other.
    pub fn of(seed: u64, stream: u64) -> Dice {
        Dice(seed ^ stream.wrapping_mul(0xD6E8_FEB8_6659_FD93))
    }

    /// The next one below `sides`.
    pub fn draws(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut next = self.0;
        next = (next ^ (next >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        next = (next ^ (next >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (next ^ (next >> 31)) % sides
    }
}
