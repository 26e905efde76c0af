//! `ting migrate --from embedded:PATH --to cql`: a whole embedded store, moved up.

use crate::config::{SettingsError, StoreSettings};
use anyhow::{Context, bail};
use cql::embedded::Source;
use cql::scylla::{Counted, CqlStore, Progress};
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
    for table in &counted {
        println!("{}", compared(table));
    }
    if counted.iter().any(|table| table.there != table.here) {
        bail!("the two stores differ: has a ting used the keyspace already?");
    }
    Ok(format!(
        "{} is copied to keyspace {}",
        from.display(),
        settings.keyspace
    ))
}

fn compared(table: &Counted) -> String {
    let Counted { table, there, here } = table;
    let verdict = if there == here {
        "the same"
    } else {
        "NOT the same"
    };
    format!(
        "{}: {there} in the file, {here} in the database: {verdict}",
        table.as_str()
    )
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

    #[test]
    fn a_source_is_an_embedded_file() {
        assert_eq!(source("embedded:/a/b.db"), Ok(PathBuf::from("/a/b.db")));
        assert!(source("embedded:").is_err());
        assert!(source("/a/b.db").is_err());
    }
}
