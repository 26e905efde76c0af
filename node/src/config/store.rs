//! Section `store`: where things are kept.

use super::{Secret, SettingsError, secret};
use cql::scylla::{ConnectError, CqlSettings};
use serde::Deserialize;
use std::path::PathBuf;
use std::time::Duration;

/// Where things are kept, and for how long.
#[derive(Debug, Clone)]
pub enum StoreSettings {
    /// One file of this machine.
    Embedded {
        /// The file.
        path: PathBuf,
        /// How long messages are kept; none: for ever.
        retention: Option<Duration>,
    },
    /// Cassandra or ScyllaDB.
    Cql(CqlSettings),
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    #[default]
    Embedded,
    Cql,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Written {
    kind: Kind,
    path: Option<PathBuf>,
    nodes: Option<Vec<String>>,
    datacenter: Option<String>,
    rack: Option<String>,
    keyspace: Option<String>,
    replication: Option<u32>,
    tablets: Option<bool>,
    user: Option<String>,
    password: Option<Secret>,
    password_file: Option<PathBuf>,
    tls_ca: Option<PathBuf>,
    migrate: Option<bool>,
    retention: Option<String>,
}

impl Written {
    pub(super) fn look_at(self) -> Result<StoreSettings, SettingsError> {
        let retention = self.retention.as_deref().map(retention).transpose()?;
        match self.kind {
            Kind::Embedded => self.embedded(retention),
            Kind::Cql => self.cql(retention),
        }
    }

    fn embedded(self, retention: Option<Duration>) -> Result<StoreSettings, SettingsError> {
        let foreign = [
            ("nodes", self.nodes.is_some()),
            ("datacenter", self.datacenter.is_some()),
            ("rack", self.rack.is_some()),
            ("keyspace", self.keyspace.is_some()),
            ("replication", self.replication.is_some()),
            ("tablets", self.tablets.is_some()),
            ("user", self.user.is_some()),
            ("password", self.password.is_some()),
            ("password_file", self.password_file.is_some()),
            ("tls_ca", self.tls_ca.is_some()),
            ("migrate", self.migrate.is_some()),
        ];
        if let Some((key, _)) = foreign.into_iter().find(|(_, given)| *given) {
            return Err(SettingsError::new(
                format!("store.{key}"),
                "is for store.kind = \"cql\", and the store is embedded",
            ));
        }
        let path = self.path.unwrap_or_else(|| "ting-data/ting.db".into());
        Ok(StoreSettings::Embedded { path, retention })
    }

    fn cql(self, retention: Option<Duration>) -> Result<StoreSettings, SettingsError> {
        if self.path.is_some() {
            return Err(SettingsError::new(
                "store.path",
                "is for the embedded store, and store.kind is \"cql\"",
            ));
        }
        let password = secret::one_of("store.password", self.password, self.password_file)?;
        let settings = CqlSettings {
            nodes: self.nodes.unwrap_or_default(),
            datacenter: self.datacenter.unwrap_or_default(),
            rack: self.rack,
            keyspace: self.keyspace.unwrap_or_else(|| "ting".to_owned()),
            replication: self.replication.unwrap_or(3),
            tablets: self.tablets,
            user: self.user,
            password: password.map(|password| password.reveal().to_owned()),
            tls_ca: self.tls_ca,
            retention,
            migrate: self.migrate.unwrap_or(true),
        };
        match settings.validate() {
            Err(ConnectError::Setting { key, why }) => Err(SettingsError::new(key, why)),
            // It asks nobody, so nothing else can be wrong.
            _ => Ok(StoreSettings::Cql(settings)),
        }
    }
}

/// `90d`, `12 weeks`: at least an hour, so that nothing goes that is still being typed.
fn retention(written: &str) -> Result<Duration, SettingsError> {
    let wrong = || {
        SettingsError::new(
            "store.retention",
            "is not a time of an hour or more, like 90d",
        )
    };
    let span: jiff::Span = written.parse().map_err(|_| wrong())?;
    let seconds = span
        .total((
            jiff::Unit::Second,
            jiff::SpanRelativeTo::days_are_24_hours(),
        ))
        .map_err(|_| wrong())?;
    let retention = Duration::try_from_secs_f64(seconds).map_err(|_| wrong())?;
    if retention < Duration::from_secs(3_600) {
        return Err(wrong());
    }
    Ok(retention)
}
