//! Values that nobody may read in a log, given as they are or in a file of their own.

use super::SettingsError;
use serde::Deserialize;
use std::path::PathBuf;
use subtle::ConstantTimeEq;

/// A value that is compared, or handed on, and never shown.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Compares in a time that tells nothing about where they differ.
    pub fn is(&self, shown: &[u8]) -> bool {
        self.0.as_bytes().ct_eq(shown).into()
    }

    /// The value, for whoever it is meant for.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// The value itself or what the file `<key>_file` holds, a line's end not counted.
pub(super) fn one_of(
    key: &str,
    value: Option<Secret>,
    file: Option<PathBuf>,
) -> Result<Option<Secret>, SettingsError> {
    let (key, secret) = match (value, file) {
        (Some(_), Some(_)) => {
            return Err(SettingsError::new(
                key,
                format!("is given twice, here and by {key}_file"),
            ));
        }
        (value, None) => (key.to_owned(), value),
        (None, Some(file)) => {
            let key = format!("{key}_file");
            let held = std::fs::read_to_string(&file).map_err(|error| {
                SettingsError::new(&key, format!("can't read {}: {error}", file.display()))
            })?;
            let secret = Secret(held.trim_end_matches(['\r', '\n']).to_owned());
            (key, Some(secret))
        }
    };
    match secret {
        // Whoever sent nothing would have it right.
        Some(secret) if secret.0.is_empty() => Err(SettingsError::new(key, "is empty")),
        secret => Ok(secret),
    }
}
