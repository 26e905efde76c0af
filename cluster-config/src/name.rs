//! What a node is called.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A node's name: its slot of the id space and the time from which it holds it, so it is new at
/// every start. Written as `slot-since`, the time in hexadecimal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct NodeName {
    /// The slot of the id space it gives ids from.
    pub slot: u8,
    /// The first millisecond of its reservation.
    pub since: i64,
}

/// Text that is no node's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no node's name")]
pub struct NameError(String);

impl fmt::Display for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{:x}", self.slot, self.since)
    }
}

impl FromStr for NodeName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let parse = || {
            let (slot, since) = text.split_once('-')?;
            let name = NodeName {
                slot: slot.parse().ok()?,
                // The bits as they were written: a time before the epoch has its sign among them.
                since: u64::from_str_radix(since, 16).ok()?.cast_signed(),
            };
            // One name has one spelling, since the store finds rows by it.
            (name.to_string() == text).then_some(name)
        };
        parse().ok_or_else(|| NameError(text.to_owned()))
    }
}

impl TryFrom<String> for NodeName {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        text.parse()
    }
}

impl From<NodeName> for String {
    fn from(name: NodeName) -> String {
        name.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_name_reads_as_it_is_written() {
        for since in [0, 1, 0x1a2b_3c4d, i64::MAX, -1, i64::MIN] {
            let name = NodeName { slot: 127, since };
            assert_eq!(name.to_string().parse(), Ok(name));
            let json = serde_json::to_string(&name).unwrap();
            assert_eq!(json, format!("\"{name}\""));
            assert_eq!(serde_json::from_str::<NodeName>(&json).unwrap(), name);
        }
    }

    proptest! {
        #[test]
        fn every_name_reads_as_it_is_written(slot: u8, since: i64) {
            let name = NodeName { slot, since };
            prop_assert_eq!(name.to_string().parse(), Ok(name));
        }

        #[test]
        fn whatever_is_read_is_written_the_same(
            text in prop_oneof![".{0,30}", "[0-9]{0,4}-?[0-9a-fA-F+-]{0,18}"],
        ) {
            match text.parse::<NodeName>() {
                Ok(name) => prop_assert_eq!(name.to_string(), text),
                Err(error) => {
                    prop_assert_eq!(error.to_string(), format!("{text:?} is no node's name"));
                }
            }
        }
    }

    #[test]
    fn a_name_has_one_spelling() {
        for text in [
            "",
            "-",
            "7",
            "7-",
            "-7",
            "07-1",
            "7-01",
            "7-A",
            "+7-1",
            "7-+1",
            "256-1",
            "7-1-1",
            "7-fffffffffffffffff",
            " 7-1",
        ] {
            assert!(text.parse::<NodeName>().is_err(), "{text}");
        }
    }
}
