//! `ting migrate --from embedded:PATH --to cql`: a whole embedded store, moved up.

use crate::config::{SettingsError, StoreSettings};
use anyhow::{Context, bail};
use cql::embedded::Source;
use cql::scylla::{Counted, CqlStore, Progress};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How often it is told how far a long table has come.
const TOLD_EVERY: Duration = Duration::from_secs(1);

/// The file in `embedded:PATH`.
pub fn source(written: &str) -> Result<PathBuf, String> {
    match written.strip_prefix("embedded:") {
        Some(path) if !path.is_empty() => Ok(path.into()),
        _ => Err("is not embedded:PATH".to_owned()),
    }
}

/// Where a store can be copied to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Target {
    /// The database that the settings name.
    Cql,
}

/// Copies the file into the keyspace of the settings, or goes on with that; says what it did.
pub async fn copy(from: &Path, settings: &StoreSettings) -> anyhow::Result<String> {
    let StoreSettings::Cql(settings) = settings else {
        bail!(SettingsError::new(
            "store.kind",
            "is to be \"cql\": a store is copied to the one of the settings"
        ));
    };
    let path = from.to_owned();
    let source = tokio::task::spawn_blocking(move || Source::open(&path)).await??;
    CqlStore::migrate(settings).await?;
    let store = CqlStore::connect_to_copy(settings.clone()).await?;
    let mut teller = Teller::default();
    let copied = store.copy_from(&source, |progress| teller.tell(progress));
    let counted = copied
        .await
        .context("the copy is not whole; the same command goes on with it")?;
    compare(&counted, &mut std::io::stdout())?;
    Ok(format!(
        "{} is copied to keyspace {}",
        from.display(),
        settings.keyspace
    ))
}

/// Tells of each table whether it is the same in both stores, and fails if one is not.
fn compare(counted: &[Counted], told: &mut impl Write) -> anyhow::Result<()> {
    for Counted { table, there, here } in counted {
        let verdict = if there == here {
            "the same"
        } else {
            "NOT the same"
        };
        writeln!(
            told,
            "{}: {there} in the file, {here} in the database: {verdict}",
            table.as_str()
        )?;
    }
    if counted.iter().any(|table| table.there != table.here) {
        bail!("the two stores differ: has a ting used the keyspace already?");
    }
    Ok(())
}

/// Tells the first of each table, the last, and one a second between.
#[derive(Debug, Default)]
struct Teller {
    told: Option<(Progress, Instant)>,
}

impl Teller {
    fn tell(&mut self, progress: Progress) {
        let due = self
            .told
            .is_none_or(|(last, at)| last.table != progress.table || at.elapsed() >= TOLD_EVERY);
        if due || progress.done >= progress.of {
            println!(
                "{}: {} of {}",
                progress.table.as_str(),
                progress.done,
                progress.of
            );
            self.told = Some((progress, Instant::now()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cql::copy::Table;

    /// What is told of people and messages that were counted here and there, and whether it fails.
    fn compared(people: [u64; 2], messages: [u64; 2]) -> (String, Result<(), String>) {
        let tables = [(Table::Users, people), (Table::Messages, messages)];
        let counted = tables.map(|(table, [there, here])| Counted { table, there, here });
        let mut told = Vec::new();
        let done = compare(&counted, &mut told).map_err(|error| error.to_string());
        (String::from_utf8(told).unwrap(), done)
    }

    #[test]
    fn a_copy_of_which_a_table_differs_fails_after_all_were_told_of() {
        let same = "people: 3 in the file, 3 in the database: the same\n\
            messages: 0 in the file, 0 in the database: the same\n";
        assert_eq!(compared([3, 3], [0, 0]), (same.to_owned(), Ok(())));
        let differ = "the two stores differ: has a ting used the keyspace already?";
        for [there, here] in [[3, 4], [3, 2], [1, 0]] {
            let told = format!(
                "people: {there} in the file, {here} in the database: NOT the same\n\
                 messages: 7 in the file, 7 in the database: the same\n"
            );
            let failed = (told, Err(differ.to_owned()));
            assert_eq!(compared([there, here], [7, 7]), failed);
        }
    }

    #[test]
    fn a_source_is_an_embedded_file() {
        assert_eq!(source("embedded:/a/b.db"), Ok(PathBuf::from("/a/b.db")));
        assert!(source("embedded:").is_err());
        assert!(source("/a/b.db").is_err());
    }
}
