//! What a member says of itself: its row of the view.

use crate::NodeName;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

/// What a member does at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MemberState {
    /// Counted, and owns nothing yet.
    Joining,
    /// Owns its share.
    Up,
    /// Hands its share over and goes.
    Draining,
}

/// The hash of a member's certificate; nobody else gets through its links.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Fingerprint(pub [u8; 32]);

/// Text that is no fingerprint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no fingerprint of 64 hexadecimal digits")]
pub struct FingerprintError(String);

/// One node of the view. What was added to the first release's fields has a default, and what a
/// later one adds is passed over, so neighbouring releases read each other's rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Its name.
    pub name: NodeName,
    /// What it does.
    pub state: MemberState,
    /// Its share beside the others'; 1 is usual, and 0 is never drawn.
    pub weight: u16,
    /// Where it listens for links, as `host:port`; empty if it doesn't.
    #[serde(default)]
    pub address: String,
    /// The certificate its links show.
    #[serde(default)]
    pub fingerprint: Fingerprint,
    /// Grows with every row it writes: a sign of life that needs no clock.
    #[serde(default)]
    pub renewals: u64,
    /// Whom its links reach.
    #[serde(default)]
    pub reaches: BTreeSet<NodeName>,
    /// The cluster's time as it knew it, in milliseconds.
    #[serde(default)]
    pub now: i64,
    /// The highest version of the envelope it speaks.
    #[serde(default)]
    pub envelope: u16,
    /// The version of its program.
    #[serde(default)]
    pub release: String,
}

impl Member {
    /// One that says nothing of itself yet.
    pub fn new(name: NodeName, state: MemberState) -> Self {
        Member {
            name,
            state,
            weight: 1,
            address: String::new(),
            fingerprint: Fingerprint::default(),
            renewals: 0,
            reaches: BTreeSet::new(),
            now: 0,
            envelope: 0,
            release: String::new(),
        }
    }

    /// Its row, as the store keeps it.
    pub fn row(&self) -> String {
        serde_json::to_string(self).expect("a member has nothing that JSON can't say")
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for Fingerprint {
    type Err = FingerprintError;

    fn from_str(text: &str) -> Result<Self, FingerprintError> {
        let parse = || {
            let digits = text
                .chars()
                .map(|digit| digit.to_digit(16))
                .collect::<Option<Vec<u32>>>()?;
            let bytes: Vec<u8> = digits
                .chunks(2)
                // Two digits fit in a byte; an odd last one is caught by the length.
                .map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | *digit as u8))
                .collect();
            (digits.len() == 64).then(|| bytes.try_into().ok())?
        };
        parse()
            .map(Fingerprint)
            .ok_or_else(|| FingerprintError(text.to_owned()))
    }
}

impl TryFrom<String> for Fingerprint {
    type Error = FingerprintError;

    fn try_from(text: String) -> Result<Self, FingerprintError> {
        text.parse()
    }
}

impl From<Fingerprint> for String {
    fn from(fingerprint: Fingerprint) -> String {
        fingerprint.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_fingerprint_reads_as_it_is_written(bytes: [u8; 32]) {
            let fingerprint = Fingerprint(bytes);
            let text = fingerprint.to_string();
            prop_assert_eq!(text.to_uppercase().parse(), Ok(fingerprint));
            prop_assert_eq!(text.parse(), Ok(fingerprint));
        }

        #[test]
        fn sixty_four_hexadecimal_digits_are_a_fingerprint_and_nothing_else_is(
            text in prop_oneof![
                ".{0,70}",
                "[0-9a-fA-F]{62,66}",
                "[0-9a-fA-F]{0,32}.[0-9a-fA-F]{31,63}",
            ],
        ) {
            let is_one = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
            match text.parse::<Fingerprint>() {
                Ok(fingerprint) => {
                    prop_assert!(is_one, "{text}");
                    prop_assert_eq!(fingerprint.to_string(), text.to_lowercase());
                }
                Err(error) => {
                    prop_assert!(!is_one, "{error}");
                    let said = error.to_string();
                    prop_assert!(said.ends_with(" is no fingerprint of 64 hexadecimal digits"));
                }
            }
        }
    }

    #[test]
    fn a_fingerprint_reads_as_it_is_written() {
        let fingerprint = Fingerprint(std::array::from_fn(|byte| byte as u8 * 7));
        let text = fingerprint.to_string();
        assert!(text.starts_with("00070e"), "{text}");
        assert_eq!(text.parse(), Ok(fingerprint));
        for broken in [&text[1..], &text[2..], "", &text.replace('0', "g")] {
            assert!(broken.parse::<Fingerprint>().is_err(), "{broken}");
        }
    }
}
