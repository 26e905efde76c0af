//! What a typist will type, and when: all of it is decided before the first key is struck.
//!
//! The load is an open loop: a key has its *intended* time whether or not the server has kept
//! up, and latency counts from there. A script is a pure function of the seed, the typist and
//! the message's number, so that whoever sees a text can tell which state of which message it
//! is, and whether a single letter of it is wrong.

use std::time::Duration;

use rand::{Rng, SeedableRng, rngs::StdRng};
use serde::{Deserialize, Serialize};

/// How people type.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rhythm {
    /// Keys a second of each typist, pauses between messages included.
    pub keys_per_second: f64,
    /// Fewest keys of a message, corrections included.
    pub keys_min: u32,
    /// Most keys of a message.
    pub keys_max: u32,
    /// The pause before sending: longer than an update may be late, so that a last update that
    /// got lost is not hidden by the send.
    pub pause: Duration,
    /// The pause before the next message.
    pub gap: Duration,
    /// How many of 100 messages are erased rather than sent.
    pub erased_percent: u32,
}

impl Default for Rhythm {
    fn default() -> Self {
        Rhythm {
            keys_per_second: 7.0,
            keys_min: 45,
            keys_max: 75,
            pause: Duration::from_millis(1_200),
            gap: Duration::from_millis(500),
            erased_percent: 10,
        }
    }
}

/// Which message of which typist.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct MessageKey {
    /// The typist's number.
    pub typist: u32,
    /// How many messages the typist typed before.
    pub number: u32,
}

/// How a message ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ending {
    /// It is sent, with its last text.
    Sent,
    /// It is erased.
    Erased,
}

/// One text the message passes through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// When its key is struck, from the start of typing.
    pub at: Duration,
    /// All of the text.
    pub text: String,
}

/// One message, from its first key to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    /// Which message this is.
    pub key: MessageKey,
    /// Its texts; no two are alike.
    pub states: Vec<State>,
    /// When it ends, from the start of typing.
    pub ends: Duration,
    /// How it ends.
    pub ending: Ending,
}

/// What a text says about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Label {
    /// The run it belongs to.
    pub run: u32,
    /// The message.
    pub key: MessageKey,
    /// Which state of it.
    pub state: u32,
}

const WORDS: [&str; 16] = [
    "every",
    "letter",
    "seen",
    "while",
    "typed",
    "καλημέρα",
    "\"quoted\"",
    "back\\slash",
    "naïve",
    "<b>",
    "🙂",
    "room",
    "of",
    "a",
    "thousand",
    "ένα",
];

impl Script {
    /// The script after the one that ended at `after`; the first begins within a second of the
    /// typist's arrival.
    pub fn next(
        seed: u32,
        rhythm: &Rhythm,
        key: MessageKey,
        arrival: Duration,
        after: Option<Duration>,
    ) -> Self {
        let mut dice = dice(seed, key);
        let keys = dice.random_range(rhythm.keys_min.max(1)..=rhythm.keys_max.max(rhythm.keys_min));
        let begins = match after {
            Some(ended) => ended + rhythm.gap,
            None => arrival + Duration::from_millis(dice.random_range(0..1_000)),
        };
        let times = key_times(rhythm, keys, &mut dice);
        let states: Vec<State> = bodies(keys, &mut dice)
            .into_iter()
            .zip(times)
            .enumerate()
            .map(|(state, (body, time))| State {
                at: begins + time,
                text: format!("{seed:x}.{}.{}.{state} {body}", key.typist, key.number),
            })
            .collect();
        let last = states.last().map_or(begins, |state| state.at);
        let erased = dice.random_range(0..100) < rhythm.erased_percent;
        let ending = if erased { Ending::Erased } else { Ending::Sent };
        Script {
            key,
            states,
            ends: last + rhythm.pause,
            ending,
        }
    }

    /// How many things viewers are to be shown: its states and its end.
    pub fn steps(&self) -> u32 {
        self.states.len() as u32 + 1
    }

    /// When a step is intended; the one past the states is the end.
    pub fn intended(&self, step: u32) -> Duration {
        self.states
            .get(step as usize)
            .map_or(self.ends, |state| state.at)
    }

    /// The last text.
    pub fn text(&self) -> &str {
        self.states.last().map_or("", |state| &state.text)
    }
}

impl Label {
    /// Reads what stands before the first space of a text.
    pub fn read(text: &str) -> Option<Self> {
        let mut parts = text.split(' ').next()?.split('.');
        let run = u32::from_str_radix(parts.next()?, 16).ok()?;
        let typist = parts.next()?.parse().ok()?;
        let number = parts.next()?.parse().ok()?;
        let state = parts.next()?.parse().ok()?;
        if parts.next().is_some() {
            return None;
        }
        Some(Label {
            run,
            key: MessageKey { typist, number },
            state,
        })
    }
}

fn dice(seed: u32, key: MessageKey) -> StdRng {
    let mut bytes = [0; 32];
    bytes[..4].copy_from_slice(&seed.to_le_bytes());
    bytes[4..8].copy_from_slice(&key.typist.to_le_bytes());
    bytes[8..12].copy_from_slice(&key.number.to_le_bytes());
    StdRng::from_seed(bytes)
}

/// When each key is struck, from the first. The pauses are part of a typist's pace, so keys
/// are struck a little faster than the pace.
fn key_times(rhythm: &Rhythm, keys: u32, dice: &mut StdRng) -> Vec<Duration> {
    let whole = f64::from(keys) / rhythm.keys_per_second;
    let pauses = (rhythm.pause + rhythm.gap).as_secs_f64();
    // People with short messages can't make up for their pauses without limit.
    let burst = (whole - pauses).max(whole / 3.0);
    let gaps: Vec<f64> = (1..keys).map(|_| dice.random_range(0.4..1.6)).collect();
    let scale = burst / gaps.iter().sum::<f64>().max(1.0);
    let mut time = 0.0;
    let rest = gaps.into_iter().map(|gap| {
        time += gap * scale;
        Duration::from_secs_f64(time)
    });
    std::iter::once(Duration::ZERO).chain(rest).collect()
}

/// The bodies, one key apart: a letter more, or a wrong letter and its removal.
fn bodies(keys: u32, dice: &mut StdRng) -> Vec<String> {
    let mut words = String::new();
    let mut pending = Vec::new();
    let mut body = String::new();
    let mut wrong = false;
    let mut bodies = Vec::with_capacity(keys as usize);
    for _ in 0..keys {
        if wrong {
            body.pop();
            wrong = false;
        } else if !body.is_empty() && dice.random_range(0..12) == 0 {
            body.push('x');
            wrong = true;
        } else {
            if pending.is_empty() {
                words.clear();
                words.push_str(WORDS[dice.random_range(0..WORDS.len())]);
                words.push(' ');
                pending = words.chars().rev().collect();
            }
            body.extend(pending.pop());
        }
        bodies.push(body.clone());
    }
    bodies
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_text_says_which_it_is(seed: u32, typist in 0..10_000u32, number in 0..10_000u32) {
            let key = MessageKey { typist, number };
            let script = Script::next(seed, &Rhythm::default(), key, Duration::ZERO, None);
            for (index, state) in script.states.iter().enumerate() {
                let label = Label::read(&state.text);
                prop_assert_eq!(label, Some(Label { run: seed, key, state: index as u32 }));
                prop_assert!(state.text.chars().count() <= 2_000);
            }
        }

        #[test]
        fn keys_are_struck_in_order_at_the_pace_asked_for(seed: u32, number in 0..100u32) {
            let rhythm = Rhythm::default();
            let key = MessageKey { typist: 1, number };
            let after = Duration::from_secs(100);
            let script = Script::next(seed, &rhythm, key, Duration::ZERO, Some(after));
            prop_assert!(script.states.is_sorted_by_key(|state| state.at));
            prop_assert_eq!(script.states[0].at, after + rhythm.gap);
            let pace = script.states.len() as f64 / (script.ends - after).as_secs_f64();
            prop_assert!((pace - rhythm.keys_per_second).abs() < 0.5, "{}", pace);
        }

        #[test]
        fn neighbouring_texts_are_one_key_apart(seed: u32) {
            let key = MessageKey { typist: 0, number: 0 };
            let bodies = bodies(60, &mut dice(seed, key));
            for pair in bodies.windows(2) {
                let (a, b) = (pair[0].chars().count(), pair[1].chars().count());
                prop_assert_eq!(a.abs_diff(b), 1);
            }
        }
    }

    #[test]
    fn other_texts_have_no_label() {
        for text in [
            "",
            "hello",
            "1.2.3 short",
            "1.2.3.4.5 long",
            "zz.1.2.3 x",
            "1.2.-3.4 x",
        ] {
            assert_eq!(Label::read(text), None, "{text}");
        }
    }
}
