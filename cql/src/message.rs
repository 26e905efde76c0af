//! A message that was sent, and the text it may carry.

use crate::{Conversation, MessageId, Millis, UserId, Username};
use serde::{Deserialize, Serialize};

/// A message that was sent: what history is made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Its place.
    pub id: MessageId,
    /// Where it was said.
    pub conversation: Conversation,
    /// Who said it; none when a privileged message names nobody who exists.
    pub author: Option<UserId>,
    /// The author's name as it was.
    pub username: Username,
    /// What was said.
    pub text: MessageText,
    /// When typing began.
    pub datetime_start: Millis,
    /// When it was sent.
    pub datetime_sent: Millis,
}

/// Text that may be sent: 1 to 2,000 code points, not all of them blank.
///
/// `Debug` tells its length only, so that no log or panic can carry what people wrote.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MessageText(String);

/// Why a text is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// Nothing in it but blanks.
    #[error("the text is blank")]
    Empty,
    /// More than [`MessageText::LENGTH_MAX`] code points.
    #[error("the text is longer than {} characters", MessageText::LENGTH_MAX)]
    Length,
}

impl MessageText {
    /// Two screens of a phone; a longer text is a document.
    pub const LENGTH_MAX: usize = 2_000;

    /// Refuses blank and long texts, and changes none.
    pub fn parse(text: impl Into<String>) -> Result<Self, TextError> {
        let text = text.into();
        // NUL has no glyph, and no store of ours should have to think about it.
        if text.chars().all(|c| c.is_whitespace() || c == '\0') {
            return Err(TextError::Empty);
        }
        if text.chars().nth(Self::LENGTH_MAX).is_some() {
            return Err(TextError::Length);
        }
        Ok(MessageText(text))
    }

    /// The text as typed.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for MessageText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "MessageText({} bytes)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_text_is_taken_as_it_is_or_refused_for_what_it_is(
            text in prop_oneof![
                any::<String>(),
                "[ \\t\\n\\x00\u{2003}]{0,20}",
                "[ \\x00\u{2003}]{0,3}\\PC{0,3}[ \\x00\u{2003}]{0,3}",
                "[aλ🙂 ]{1990,2010}",
            ],
        ) {
            let is_blank = text.replace('\0', " ").trim().is_empty();
            let expected = match text.chars().count() {
                _ if is_blank => Err(TextError::Empty),
                2_001.. => Err(TextError::Length),
                _ => Ok(text.as_str()),
            };
            let parsed = MessageText::parse(text.as_str());
            prop_assert_eq!(parsed.as_ref().map(MessageText::as_str).map_err(|e| *e), expected);
        }
    }

    #[test]
    fn blank_and_long_texts_are_refused_and_none_is_cut() {
        assert_eq!(MessageText::parse(" \t\n\u{2003}"), Err(TextError::Empty));
        assert_eq!(MessageText::parse(""), Err(TextError::Empty));
        let just = "λ".repeat(2_000);
        assert_eq!(MessageText::parse(just.clone()).unwrap().as_str(), just);
        assert_eq!(
            MessageText::parse("λ".repeat(2_001)),
            Err(TextError::Length)
        );
        assert_eq!(MessageText::parse(" a ").unwrap().as_str(), " a ");
    }

    #[test]
    fn debug_never_shows_what_was_written() {
        let text = MessageText::parse("secret").unwrap();
        assert!(!format!("{text:?}").contains("secret"));
    }
}
