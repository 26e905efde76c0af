//! Sign-ins: what `POST /sessions` gives, and what is kept of it.

use crate::{Millis, UserId, Username};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The secret a client shows: 256 random bits. Never stored, logged or traced.
#[derive(Clone, PartialEq, Eq)]
pub struct SessionToken([u8; 32]);

impl SessionToken {
    /// A fresh one, from the system's randomness.
    pub fn random() -> Self {
        SessionToken(rand::random())
    }

    /// As the client shows it; none if it never was one of ours.
    pub fn parse(shown: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(shown).ok()?;
        Some(SessionToken(bytes.try_into().ok()?))
    }

    /// What the cookie `ting_auth` carries.
    pub fn reveal(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }

    /// What is stored of it.
    pub fn hash(&self) -> SignInHash {
        SignInHash(Sha256::digest(self.0).into())
    }
}

impl std::fmt::Debug for SessionToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SessionToken(..)")
    }
}

/// Names a sign-in without giving it away.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SignInHash(pub [u8; 32]);

impl std::fmt::Debug for SignInHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SignInHash({})", URL_SAFE_NO_PAD.encode(&self.0[..6]))
    }
}

/// One person signed in on one device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignIn {
    /// Its name.
    pub hash: SignInHash,
    /// Whose it is.
    pub user: UserId,
    /// That person's name.
    pub username: Username,
    /// Its last use, to within [`SignIn::USE_GRAIN`].
    pub used_at: Millis,
}

impl SignIn {
    /// A sign-in ends this long after its last use, in milliseconds: 30 days.
    pub const LIFETIME: Millis = 30 * 24 * 3_600_000;
    /// Uses closer together than this, in milliseconds, are not written: one hour.
    pub const USE_GRAIN: Millis = 3_600_000;
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_token_reads_as_it_is_shown(bytes: [u8; 32]) {
            let token = SessionToken(bytes);
            let shown = token.reveal();
            prop_assert!(shown.len() == 43 && shown.is_ascii());
            prop_assert_eq!(SessionToken::parse(&shown), Some(token));
        }

        #[test]
        fn a_token_has_one_spelling(
            shown in prop_oneof![".{0,50}", "[A-Za-z0-9_-]{42,44}", "[A-Za-z0-9+/]{42}[AQgw]={0,1}"],
        ) {
            if let Some(token) = SessionToken::parse(&shown) {
                prop_assert_eq!(token.reveal(), shown);
            }
        }
    }

    #[test]
    fn a_token_leads_back_to_itself_and_nothing_else_does() {
        let token = SessionToken::random();
        assert_eq!(SessionToken::parse(&token.reveal()), Some(token.clone()));
        assert_ne!(SessionToken::random().hash(), token.hash());
        for wrong in [
            "",
            "abc",
            "é",
            &token.reveal()[1..],
            &format!("{}A", token.reveal()),
        ] {
            assert_eq!(SessionToken::parse(wrong), None);
        }
        assert!(!format!("{token:?}").contains(&token.reveal()));
    }
}
