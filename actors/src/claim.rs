//! Claims: with one, any node takes a message up again at its old place.
//!
//! A claim is a MAC over author, conversation, id and start, with a key that is a row of the
//! store. It is opaque to clients: the start, and the MAC.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cql::{Conversation, MessageId, Millis, UserId};
use hmac::{Hmac, Mac};
use sha2::Sha256;

/// The cluster's key for claims.
#[derive(Clone)]
pub struct ClaimKey([u8; 32]);

impl std::fmt::Debug for ClaimKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ClaimKey(..)")
    }
}

impl ClaimKey {
    /// Out of the store.
    pub fn new(key: [u8; 32]) -> Self {
        ClaimKey(key)
    }

    /// What a client may show to have this message back.
    pub fn mint(
        &self,
        author: UserId,
        conversation: &Conversation,
        id: MessageId,
        start: Millis,
    ) -> String {
        let mac = self
            .mac(author, conversation, id, start)
            .finalize()
            .into_bytes();
        format!("{start}.{}", URL_SAFE_NO_PAD.encode(mac))
    }

    /// The start of the message that a claim is about; none if it is not about this one.
    pub fn start_of(
        &self,
        claim: &str,
        author: UserId,
        conversation: &Conversation,
        id: MessageId,
    ) -> Option<Millis> {
        let (start, mac) = claim.split_once('.')?;
        let start = start.parse().ok()?;
        let mac = URL_SAFE_NO_PAD.decode(mac).ok()?;
        // Compares in constant time.
        self.mac(author, conversation, id, start)
            .verify_slice(&mac)
            .ok()?;
        Some(start)
    }

    fn mac(
        &self,
        author: UserId,
        conversation: &Conversation,
        id: MessageId,
        start: Millis,
    ) -> Hmac<Sha256> {
        let mut mac =
            <Hmac<Sha256>>::new_from_slice(&self.0).expect("HMAC takes keys of any length");
        mac.update(&author.0.to_be_bytes());
        mac.update(&id.0.to_be_bytes());
        mac.update(&start.to_be_bytes());
        // Last, since it is the only part without a fixed length.
        mac.update(conversation.key().as_bytes());
        mac
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cql::ChannelName;
    use proptest::prelude::*;

    #[test]
    fn a_claim_is_about_one_message_of_one_author() {
        let key = ClaimKey::new([7; 32]);
        let ting = Conversation::Channel(ChannelName::ting());
        let claim = key.mint(UserId(1), &ting, MessageId(5), 99);
        let start = |key: &ClaimKey, author, conversation: &Conversation, id| {
            key.start_of(&claim, UserId(author), conversation, MessageId(id))
        };
        assert_eq!(start(&key, 1, &ting, 5), Some(99));
        assert_eq!(start(&key, 2, &ting, 5), None);
        assert_eq!(start(&key, 1, &ting, 6), None);
        assert_eq!(
            start(&key, 1, &Conversation::private(UserId(1), UserId(2)), 5),
            None
        );
        assert_eq!(start(&ClaimKey::new([8; 32]), 1, &ting, 5), None);
        let moved = claim.replacen("99.", "98.", 1);
        assert_eq!(key.start_of(&moved, UserId(1), &ting, MessageId(5)), None);
    }

    proptest! {
        #[test]
        fn nothing_made_up_is_a_claim(claim in any::<String>()) {
            let ting = Conversation::Channel(ChannelName::ting());
            prop_assert_eq!(ClaimKey::new([7; 32]).start_of(&claim, UserId(1), &ting, MessageId(5)), None);
        }
    }
}
