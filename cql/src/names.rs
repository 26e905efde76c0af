//! The names of people and channels.
//!
//! Two names that a reader could take for one another cannot both exist: [`Username::skeletons`]
//! are equal where two names differ only in case or in look-alike Greek and Latin letters.

use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;

/// Longest name, in code points after NFC.
const LENGTH_MAX: usize = 20;

/// Symbols a username may contain, besides letters and digits.
const SYMBOLS: &str = ".,/?~!@#$%^&*()-_=+[]{}\\|'\"`;:";

/// Capitals that look alike, and the small letters that do: Greek first, Latin second.
const CAPITALS_ALIKE: &[(char, char)] = &[
    ('Α', 'A'),
    ('Β', 'B'),
    ('Ε', 'E'),
    ('Ζ', 'Z'),
    ('Η', 'H'),
    ('Ι', 'I'),
    ('Κ', 'K'),
    ('Μ', 'M'),
    ('Ν', 'N'),
    ('Ο', 'O'),
    ('Ρ', 'P'),
    ('Τ', 'T'),
    ('Υ', 'Y'),
    ('Χ', 'X'),
];
const SMALL_ALIKE: &[(char, char)] = &[
    ('α', 'a'),
    ('γ', 'y'),
    ('η', 'n'),
    ('ι', 'i'),
    ('κ', 'k'),
    ('ν', 'v'),
    ('ο', 'o'),
    ('ρ', 'p'),
    ('τ', 't'),
    ('υ', 'u'),
    ('χ', 'x'),
    ('ω', 'w'),
];

/// Why a name is refused, in the order in which it is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// No name at all.
    #[error("the name is empty")]
    Empty,
    /// More than 20 code points.
    #[error("the name is longer than {LENGTH_MAX} characters")]
    Length,
    /// A character that names don't have.
    #[error("the name has a character that names don't have")]
    Chars,
}

/// A name a person is known by: 1 to 20 letters, digits or symbols.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Username(String);

impl Username {
    /// Normalizes to NFC, then looks at it.
    pub fn parse(name: &str) -> Result<Self, NameError> {
        // A few code points past the limit are enough to see that it is too long.
        let name: String = name.nfc().take(LENGTH_MAX + 1).collect();
        refuse_by_length(&name)?;
        if !name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || SYMBOLS.contains(c) || is_greek(c))
        {
            return Err(NameError::Chars);
        }
        Ok(Username(name))
    }

    /// The name as it is shown.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What must be unique about it. Two names that share either can't both exist.
    ///
    /// Two of them, because look-alikes differ by case: `Η` looks like `H`, but `η` like `n`.
    pub fn skeletons(&self) -> [String; 2] {
        let capitals: String = self
            .0
            .to_uppercase()
            .chars()
            .map(|c| alike(c, CAPITALS_ALIKE))
            .collect();
        let small: String = self
            .0
            .to_lowercase()
            .chars()
            .map(|c| {
                if c == 'ς' {
                    'σ'
                } else {
                    alike(c, SMALL_ALIKE)
                }
            })
            .collect();
        [format!("A{capitals}"), format!("a{small}")]
    }
}

/// A channel's name: 1 to 20 of `A-Z a-z 0-9 _ . -`, not dots alone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ChannelName(String);

impl ChannelName {
    /// The channel that always exists.
    pub fn ting() -> Self {
        ChannelName("ting".to_owned())
    }

    /// Looks at it and changes nothing.
    pub fn parse(name: &str) -> Result<Self, NameError> {
        refuse_by_length(name)?;
        let known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
        // Dots alone mean something else in a path.
        if !name.chars().all(known) || name.chars().all(|c| c == '.') {
            return Err(NameError::Chars);
        }
        Ok(ChannelName(name.to_owned()))
    }

    /// The name as it is shown.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn refuse_by_length(name: &str) -> Result<(), NameError> {
    match name.chars().take(LENGTH_MAX + 1).count() {
        0 => Err(NameError::Empty),
        length if length > LENGTH_MAX => Err(NameError::Length),
        _ => Ok(()),
    }
}

fn is_greek(c: char) -> bool {
    matches!(c, '\u{0386}' | '\u{0388}'..='\u{038A}' | '\u{038C}' | '\u{038E}'..='\u{03A1}' | '\u{03A3}'..='\u{03CE}')
}

fn alike(c: char, table: &[(char, char)]) -> char {
    table
        .iter()
        .find(|(greek, _)| *greek == c)
        .map_or(c, |(_, latin)| *latin)
}

macro_rules! is_a_name {
    ($name:ident) => {
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;

            fn try_from(name: String) -> Result<Self, NameError> {
                $name::parse(&name)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0
            }
        }
    };
}

is_a_name!(Username);
is_a_name!(ChannelName);

#[cfg(test)]
#[path = "names/tests.rs"]
mod tests;
