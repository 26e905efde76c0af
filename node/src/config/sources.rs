//! Where settings come from: the file first, then the environment, key by key.

use super::SettingsError;
use std::ffi::OsString;
use std::path::Path;
use toml::{Table, Value};

/// What the environment's names begin with.
const PREFIX: &str = "TING_";

/// Keys that hold a list, in the environment one with commas.
const LISTS: [&str; 3] = ["http.origins", "http.trusted_proxies", "store.nodes"];

/// Sections and keys that hold numbers.
const NUMBERS: [&str; 2] = ["limits.", "store.replication"];

/// Keys that are `true` or `false`.
const BOOLEANS: [&str; 2] = ["store.tablets", "store.migrate"];

/// Reads both into one table.
pub(super) fn gather(
    file: Option<&Path>,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Table, SettingsError> {
    let mut table = match file {
        None => Table::new(),
        Some(path) => read(path)?,
    };
    for (name, value) in environment {
        // A name that is no text is none of ours.
        let Some(name) = name.to_str() else { continue };
        let Some((section, key)) = split(name) else {
            continue;
        };
        let path = format!("{section}.{key}");
        let Some(value) = value.to_str() else {
            return Err(SettingsError::new(path, format!("{name} is not UTF-8")));
        };
        let value = typed(&path, value)?;
        match table
            .entry(section)
            .or_insert_with(|| Value::Table(Table::new()))
        {
            Value::Table(section) => {
                section.insert(key, value);
            }
            _ => return Err(SettingsError::new(section_of(&path), "is not a section")),
        }
    }
    Ok(table)
}

fn read(path: &Path) -> Result<Table, SettingsError> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        SettingsError::new(
            "--config",
            format!("can't read {}: {error}", path.display()),
        )
    })?;
    text.parse::<Table>().map_err(|error| {
        // The parser's own rendering quotes the line, which may hold a secret.
        let line = error
            .span()
            .and_then(|span| text.get(..span.start))
            .map_or(1, |before| before.matches('\n').count() + 1);
        SettingsError::new(
            "--config",
            format!("{}, line {line}: {}", path.display(), error.message()),
        )
    })
}

/// `TING_HTTP__LISTEN` is `http` and `listen`.
fn split(name: &str) -> Option<(String, String)> {
    let (section, key) = name.strip_prefix(PREFIX)?.split_once("__")?;
    Some((section.to_lowercase(), key.to_lowercase()))
}

fn section_of(path: &str) -> &str {
    path.split_once('.').map_or(path, |(section, _)| section)
}

/// The environment knows text alone; the key says what it stands for.
fn typed(path: &str, value: &str) -> Result<Value, SettingsError> {
    if LISTS.contains(&path) {
        let parts = value
            .split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty());
        return Ok(Value::Array(
            parts.map(|part| Value::String(part.to_owned())).collect(),
        ));
    }
    if NUMBERS.iter().any(|prefix| path.starts_with(prefix)) {
        return value
            .trim()
            .parse()
            .map(Value::Integer)
            .map_err(|_| SettingsError::new(path, "is not a whole number"));
    }
    if BOOLEANS.contains(&path) {
        return value
            .trim()
            .parse()
            .map(Value::Boolean)
            .map_err(|_| SettingsError::new(path, "is neither true nor false"));
    }
    Ok(Value::String(value.to_owned()))
}

/// What was wrong with a key, without the value: it may be a secret.
pub(super) fn told(error: &serde_path_to_error::Error<toml::de::Error>) -> SettingsError {
    let reason = error.inner().message();
    let path = error.path().to_string();
    let unknown = reason
        .strip_prefix("unknown field `")
        .and_then(|rest| rest.split_once('`'));
    match unknown {
        Some((key, _)) if path.ends_with(key) || path == "." => SettingsError::new(
            if path == "." { key.to_owned() } else { path },
            "is not a key that Ting knows",
        ),
        Some((key, _)) => {
            SettingsError::new(format!("{path}.{key}"), "is not a key that Ting knows")
        }
        None => SettingsError::new(path, reason.lines().next().unwrap_or("is not understood")),
    }
}
