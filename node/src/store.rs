//! The store that the settings name: opened, migrated, looked at.
//!
//! A file is opened before any port, so that a place that can't be written is told at once. A
//! database may be away for a while: it is waited for while the ports are open and say so.

use crate::config::{SettingsError, StoreSettings};
use anyhow::bail;
use cql::Store;
use cql::embedded::{self, EmbeddedStore, OpenError};
use cql::scylla::{self, ConnectError, CqlSettings, CqlStore, SchemaError};
use std::sync::Arc;
use std::time::Duration;
use tracing::{info, warn};

/// How long to wait before a database that is away is asked again.
const RETRY: Duration = Duration::from_secs(2);

/// A store that is good so far.
#[derive(Debug)]
pub enum Opening {
    /// It is open.
    Open(Opened),
    /// It has to be reached.
    Cql(CqlSettings),
}

/// A store that is open.
#[derive(Debug, Clone)]
pub enum Opened {
    /// One file.
    Embedded(Arc<EmbeddedStore>),
    /// A database.
    Cql(Arc<CqlStore>),
}

impl Opening {
    /// Begins; what the operator must set otherwise is a [`SettingsError`].
    pub async fn begin(settings: &StoreSettings) -> anyhow::Result<Self> {
        match settings {
            StoreSettings::Embedded { path, retention } => {
                let (path, retention) = (path.to_owned(), *retention);
                let opened = blocking(move || EmbeddedStore::open(&path, retention)).await?;
                Ok(Opening::Open(Opened::Embedded(Arc::new(opened))))
            }
            StoreSettings::Cql(settings) => Ok(Opening::Cql(settings.clone())),
        }
    }

    /// Waits until it is reached, and says once that it is waited for.
    pub async fn reach(&self) -> anyhow::Result<Opened> {
        let settings = match self {
            Opening::Open(opened) => return Ok(opened.clone()),
            Opening::Cql(settings) => settings,
        };
        let mut said = false;
        loop {
            match connect(settings).await {
                Ok(store) => return Ok(Opened::Cql(Arc::new(store))),
                Err(passing) if passing.may_pass() => {
                    if !said {
                        said = true;
                        warn!(error = %passing, "waiting for the store");
                    }
                }
                Err(refused) => return Err(told(refused)),
            }
            tokio::time::sleep(RETRY).await;
        }
    }
}

/// Migrations only add, so a schema that is old is brought up to date in passing, where a node may.
async fn connect(settings: &CqlSettings) -> Result<CqlStore, ConnectError> {
    match CqlStore::connect(settings.clone()).await {
        Err(ConnectError::Schema(SchemaError::Old { have, want })) if settings.migrate => {
            info!(
                schema.have = have,
                schema.want = want,
                "migrating the store"
            );
            CqlStore::migrate(settings).await?;
            CqlStore::connect(settings.clone()).await
        }
        connected => connected,
    }
}

impl Opened {
    /// As everybody else sees it.
    pub fn store(&self) -> Arc<dyn Store> {
        match self {
            Opened::Embedded(store) => Arc::<EmbeddedStore>::clone(store),
            Opened::Cql(store) => Arc::<CqlStore>::clone(store),
        }
    }

    /// Ends what is under way and lets go of it.
    pub async fn close(&self) {
        if let Opened::Embedded(store) = self {
            store.close().await;
        }
    }
}

/// Brings it to this version's schema, and says so.
pub async fn migrate(settings: &StoreSettings) -> anyhow::Result<String> {
    match settings {
        StoreSettings::Embedded { path, .. } => {
            let migrated = path.to_owned();
            blocking(move || EmbeddedStore::migrate(&migrated)).await?;
            Ok(format!("{} has this version's schema", path.display()))
        }
        StoreSettings::Cql(settings) => {
            let schema = CqlStore::migrate(settings).await.map_err(told)?;
            Ok(format!(
                "keyspace {} has schema {}, and this ting needs {}",
                settings.keyspace, schema.have, schema.want
            ))
        }
    }
}

/// Says what stands there, and changes nothing.
pub async fn check(settings: &StoreSettings) -> anyhow::Result<String> {
    match settings {
        StoreSettings::Embedded { path, .. } => {
            let checked = path.to_owned();
            let found = blocking(move || EmbeddedStore::check(&checked)).await?;
            Ok(match found {
                embedded::Checked::Absent => {
                    format!("{} is not there yet and will be made", path.display())
                }
                embedded::Checked::Store { version, current } => {
                    format!("{} is whole, {}", path.display(), beside(version, current))
                }
            })
        }
        StoreSettings::Cql(settings) => {
            let found = CqlStore::check(settings).await.map_err(told)?;
            Ok(described(settings, &found))
        }
    }
}

fn described(settings: &CqlSettings, found: &scylla::Checked) -> String {
    let nodes: Vec<String> = found
        .nodes
        .iter()
        .map(|(datacenter, nodes)| format!("{nodes} nodes in {datacenter}"))
        .collect();
    let log = match found.commit_log.as_deref() {
        Some("periodic") => {
            "; its commit log is periodic: if a quorum crashes at once, the last seconds are lost"
        }
        Some(_) => "; its commit log is synchronous",
        None => "",
    };
    format!(
        "keyspace {} on {}, {}{log}",
        settings.keyspace,
        nodes.join(", "),
        beside(found.schema.have, found.schema.want)
    )
}

fn beside<N: PartialEq + std::fmt::Display>(have: N, want: N) -> String {
    if have == want {
        format!("with schema {have}")
    } else {
        format!("with schema {have}; starting brings it to {want}")
    }
}

fn told(error: ConnectError) -> anyhow::Error {
    match error {
        ConnectError::Setting { key, why } => SettingsError::new(key, why).into(),
        other => other.into(),
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, OpenError> + Send + 'static,
) -> anyhow::Result<T> {
    match tokio::task::spawn_blocking(work).await? {
        Ok(done) => Ok(done),
        // A place that can't be written is the setting's fault, the rest is the file's.
        Err(error @ OpenError::Unusable { .. }) => {
            bail!(SettingsError::new("store.path", error.to_string()))
        }
        Err(error) => bail!(error),
    }
}
