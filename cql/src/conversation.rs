//! A conversation: a channel, or the private of two people.

use crate::{ChannelName, UserId};
use serde::{Deserialize, Serialize};

/// What messages belong to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Conversation {
    /// A room that anybody may enter.
    Channel(ChannelName),
    /// Two people, the lower id first; also one person with oneself.
    Private(UserId, UserId),
}

impl Conversation {
    /// The private of these two, whoever asks.
    pub fn private(one: UserId, other: UserId) -> Self {
        Conversation::Private(one.min(other), one.max(other))
    }

    /// Its key in the stores, in the owner map and in room names: `c:ting`, `p:12:34`.
    pub fn key(&self) -> String {
        match self {
            Conversation::Channel(name) => format!("c:{name}"),
            Conversation::Private(one, other) => format!("p:{one}:{other}"),
        }
    }

    /// Back from its key; none if it never was one.
    pub fn from_key(key: &str) -> Option<Self> {
        match key.split_once(':')? {
            ("c", name) => Some(Conversation::Channel(ChannelName::parse(name).ok()?)),
            ("p", people) => {
                let (one, other) = people.split_once(':')?;
                let (one, other) = (UserId(one.parse().ok()?), UserId(other.parse().ok()?));
                let private = (one <= other).then_some(Conversation::Private(one, other))?;
                // A sign or a nought before a number would be a second key of the same private.
                (private.key() == key).then_some(private)
            }
            _ => None,
        }
    }

    /// Whether this person may read it.
    pub fn admits(&self, person: UserId) -> bool {
        match self {
            Conversation::Channel(_) => true,
            Conversation::Private(one, other) => person == *one || person == *other,
        }
    }

    /// In a private, whom this person talks to.
    pub fn other(&self, person: UserId) -> Option<UserId> {
        match self {
            Conversation::Private(one, other) if *one == person => Some(*other),
            Conversation::Private(one, other) if *other == person => Some(*one),
            _ => None,
        }
    }
}

impl From<Conversation> for String {
    fn from(conversation: Conversation) -> String {
        conversation.key()
    }
}

impl TryFrom<String> for Conversation {
    type Error = &'static str;

    fn try_from(key: String) -> Result<Self, Self::Error> {
        Conversation::from_key(&key).ok_or("not a conversation's key")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_conversation_has_one_key(
            key in prop_oneof![".{0,20}", "c:[A-Za-z0-9_.-]{0,21}", "p:[0-9+]{0,3}:[0-9+]{0,3}"],
            one: u64,
            other: u64,
        ) {
            if let Some(conversation) = Conversation::from_key(&key) {
                prop_assert_eq!(conversation.key(), key);
            }
            let private = Conversation::private(UserId(one), UserId(other));
            prop_assert_eq!(Conversation::from_key(&private.key()), Some(private));
        }
    }

    #[test]
    fn a_key_leads_back_to_its_conversation() {
        let ting = Conversation::Channel(ChannelName::parse("ting").unwrap());
        let private = Conversation::private(UserId(9), UserId(4));
        assert_eq!(private.key(), "p:4:9");
        for conversation in [ting, private] {
            assert_eq!(
                Conversation::from_key(&conversation.key()),
                Some(conversation)
            );
        }
        for wrong in ["", "c:", "p:9:4", "p:1", "x:ting", "c:a b"] {
            assert_eq!(Conversation::from_key(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_private_admits_its_two_people_only() {
        let private = Conversation::private(UserId(1), UserId(2));
        assert!(private.admits(UserId(1)) && private.admits(UserId(2)));
        assert!(!private.admits(UserId(3)));
        assert_eq!(private.other(UserId(1)), Some(UserId(2)));
        assert_eq!(private.other(UserId(3)), None);
    }
}
