//! What a client is told when something is refused: a status and one word.
//!
//! HTTP answers with the status line, sockets with `status` in the acknowledgement; both take
//! them from here, so one refusal reads the same on either way.

use actors::{EnterError, TypingError, Unanswered};
use cql::{NameError, StoreError, TextError};
use std::time::Duration;

/// How long to wait before repeating what could not be answered.
const RETRY_UNAVAILABLE: Duration = Duration::from_secs(1);

/// A refusal as clients see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// The word in `{"error": …}`.
    pub code: &'static str,
    /// When it may be repeated.
    pub retry_after: Option<Duration>,
}

impl Refusal {
    /// What was sent can't be read.
    pub const MALFORMED: Refusal = Refusal::new(400, "malformed");
    /// What was sent has the wrong type or value.
    pub const INVALID: Refusal = Refusal::new(400, "invalid");
    /// No or a bad session, or another author's.
    pub const FORBIDDEN: Refusal = Refusal::new(403, "forbidden");
    /// There is no such thing.
    pub const NOT_FOUND: Refusal = Refusal::new(404, "not_found");
    /// The store or another node did not answer in time.
    pub const UNAVAILABLE: Refusal = Refusal::retry(503, "unavailable", RETRY_UNAVAILABLE);

    /// One that is final.
    pub const fn new(status: u16, code: &'static str) -> Self {
        Refusal {
            status,
            code,
            retry_after: None,
        }
    }

    /// One that may pass with time.
    pub const fn retry(status: u16, code: &'static str, after: Duration) -> Self {
        Refusal {
            status,
            code,
            retry_after: Some(after),
        }
    }

    /// More than one may.
    pub const fn too_many(after: Option<Duration>) -> Self {
        Refusal {
            status: 429,
            code: "too_many",
            retry_after: after,
        }
    }

    /// Whole seconds for `Retry-After`, at least one.
    pub fn retry_after_seconds(&self) -> Option<u64> {
        self.retry_after
            .map(|after| after.as_secs() + u64::from(after.subsec_nanos() > 0))
            .map(|seconds| seconds.max(1))
    }
}

impl From<TypingError> for Refusal {
    fn from(error: TypingError) -> Self {
        match error {
            TypingError::TooMany(_) => Refusal::too_many(None),
            TypingError::TooFast(after) => Refusal::too_many(Some(after)),
            TypingError::NotFound => Refusal::NOT_FOUND,
            TypingError::Forbidden => Refusal::FORBIDDEN,
            TypingError::Sent => Refusal::new(400, "sent"),
            TypingError::Conversation => Refusal::new(400, "conversation"),
            TypingError::Unanswered(Unanswered) => Refusal::UNAVAILABLE,
        }
    }
}

impl From<EnterError> for Refusal {
    fn from(error: EnterError) -> Self {
        match error {
            EnterError::NotLoggedIn => Refusal::FORBIDDEN,
            EnterError::TooMany(_) => Refusal::too_many(None),
            EnterError::Private => Refusal::INVALID,
            EnterError::Unanswered(Unanswered) => Refusal::UNAVAILABLE,
        }
    }
}

impl From<Unanswered> for Refusal {
    fn from(_: Unanswered) -> Self {
        Refusal::UNAVAILABLE
    }
}

impl From<StoreError> for Refusal {
    fn from(_: StoreError) -> Self {
        Refusal::UNAVAILABLE
    }
}

impl From<NameError> for Refusal {
    fn from(error: NameError) -> Self {
        match error {
            NameError::Empty => Refusal::new(400, "empty"),
            NameError::Length => Refusal::new(400, "length"),
            NameError::Chars => Refusal::new(400, "chars"),
        }
    }
}

impl From<TextError> for Refusal {
    fn from(error: TextError) -> Self {
        match error {
            TextError::Empty => Refusal::new(400, "empty"),
            TextError::Length => Refusal::new(400, "length"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_try_again_is_told_when_in_whole_seconds() {
        let seconds = |millis| {
            Refusal::from(TypingError::TooFast(Duration::from_millis(millis))).retry_after_seconds()
        };
        assert_eq!(seconds(0), Some(1));
        assert_eq!(seconds(1_000), Some(1));
        assert_eq!(seconds(1_001), Some(2));
        assert_eq!(Refusal::NOT_FOUND.retry_after_seconds(), None);
        assert_eq!(Refusal::UNAVAILABLE.retry_after_seconds(), Some(1));
    }
}
