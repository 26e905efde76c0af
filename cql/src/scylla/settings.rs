//! Where the database is, and what it is asked for.

use std::path::PathBuf;
use std::time::Duration;

/// The settings of `store.kind = "cql"`.
#[derive(Clone)]
pub struct CqlSettings {
    /// Some of the database's nodes, `host` or `host:port`; the others are found through them.
    pub nodes: Vec<String>,
    /// The datacenter whose nodes are asked, and in which a quorum is counted.
    pub datacenter: String,
    /// The rack in that datacenter whose nodes are asked before the others; none knows no racks.
    pub rack: Option<String>,
    /// Where Ting's tables are.
    pub keyspace: String,
    /// On how many nodes each row lies; used when the keyspace is made.
    pub replication: u32,
    /// Whether ScyllaDB is to make the keyspace with tablets; none leaves it to the database,
    /// and is the only choice that Cassandra knows.
    pub tablets: Option<bool>,
    /// Who signs in to the database, if it asks.
    pub user: Option<String>,
    /// The password of `user`.
    pub password: Option<String>,
    /// The certificates that the database's are signed by, as PEM; none speaks without TLS. The
    /// nodes' certificates must name their addresses.
    pub tls_ca: Option<PathBuf>,
    /// How long messages are kept; none keeps them for ever.
    pub retention: Option<Duration>,
    /// Whether a node may bring an older schema to its own version; if not, somebody else does it
    /// with `ting migrate`.
    pub migrate: bool,
}

impl std::fmt::Debug for CqlSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CqlSettings")
            .field("nodes", &self.nodes)
            .field("datacenter", &self.datacenter)
            .field("keyspace", &self.keyspace)
            .finish_non_exhaustive()
    }
}

/// Why the store can't be opened, in a sentence that names the key to change.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConnectError {
    /// A setting that can't be.
    #[error("{key}: {why}")]
    Setting {
        /// Which.
        key: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// Nobody answers; later somebody may.
    #[error("the database can't be reached: {0}")]
    Unreachable(String),
    /// The schema is not one that this version can run on.
    #[error(transparent)]
    Schema(#[from] super::SchemaError),
    /// A part of another store is there, and the rest is not.
    #[error(
        "the keyspace holds an unfinished copy: give `ting migrate --from embedded:PATH --to cql` \
         again to finish it"
    )]
    HalfCopied,
}

impl ConnectError {
    /// Whether waiting may mend it: somebody answers later, or another's migration comes to its end.
    pub fn may_pass(&self) -> bool {
        use super::SchemaError::{LockLost, Locked};
        matches!(
            self,
            ConnectError::Unreachable(_) | ConnectError::Schema(Locked | LockLost)
        )
    }
}

impl CqlSettings {
    /// Refuses what can't be, before anybody is asked.
    pub fn validate(&self) -> Result<(), ConnectError> {
        let refuse = |key, why: &str| {
            let why = why.to_owned();
            Err(ConnectError::Setting { key, why })
        };
        if self.nodes.is_empty() || self.nodes.iter().any(|node| node.trim().is_empty()) {
            return refuse("store.nodes", "name at least one node of the database");
        }
        let word = |text: &str, max: usize| {
            let known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
            !text.is_empty() && text.len() <= max && text.chars().all(known)
        };
        if !word(&self.datacenter, 100) {
            return refuse("store.datacenter", "name the datacenter of these nodes");
        }
        if self.rack.as_deref().is_some_and(|rack| !word(rack, 100)) {
            return refuse("store.rack", "name the rack of these nodes, or none");
        }
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        if !word(&self.keyspace, 48)
            || !self.keyspace.starts_with(|c: char| c.is_ascii_lowercase())
            || !self.keyspace.chars().all(plain)
        {
            return refuse(
                "store.keyspace",
                "1 to 48 of a-z, 0-9 and _, beginning with a letter",
            );
        }
        if self.replication == 0 {
            return refuse(
                "store.replication",
                "at least 1; 3 survives the loss of a node",
            );
        }
        if self.user.is_some() != self.password.is_some() {
            return refuse("store.user", "needs store.password, and the reverse");
        }
        if self.retention.is_some_and(|kept| kept < SHORTEST_RETENTION) {
            return refuse("store.retention", "at least an hour");
        }
        Ok(())
    }
}

/// Shorter than this, what is dropped would be what is still being typed and sent.
const SHORTEST_RETENTION: Duration = Duration::from_secs(3_600);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scylla::tests::settings;

    #[test]
    fn what_can_not_be_is_refused_by_the_name_of_its_key() {
        let right = settings("127.0.0.1:9042");
        assert_eq!(right.validate(), Ok(()));
        type Change = fn(&mut CqlSettings);
        let wrong: [(&str, Change); 9] = [
            ("store.nodes", |s| s.nodes.clear()),
            ("store.datacenter", |s| s.datacenter = "dc'1".to_owned()),
            ("store.rack", |s| s.rack = Some(String::new())),
            ("store.keyspace", |s| s.keyspace = "Ting".to_owned()),
            ("store.keyspace", |s| s.keyspace = "ting; --".to_owned()),
            ("store.keyspace", |s| s.keyspace = "a".repeat(49)),
            ("store.replication", |s| s.replication = 0),
            ("store.user", |s| s.user = Some("ting".to_owned())),
            ("store.retention", |s| s.retention = Some(Duration::ZERO)),
        ];
        for (named, change) in wrong {
            let mut settings = right.clone();
            change(&mut settings);
            match settings.validate() {
                Err(ConnectError::Setting { key, .. }) => assert_eq!(key, named),
                other => panic!("{named}: {other:?}"),
            }
        }
    }

    #[test]
    fn another_ones_migration_is_waited_for_and_an_unknown_schema_is_not() {
        use crate::scylla::SchemaError;
        let away = ConnectError::Unreachable("away".to_owned());
        assert!(away.may_pass());
        for passing in [SchemaError::Locked, SchemaError::LockLost] {
            assert!(ConnectError::from(passing).may_pass());
        }
        for lasting in [
            SchemaError::Old { have: 1, want: 2 },
            SchemaError::New { have: 4, want: 2 },
            SchemaError::Changed("001_one.cql"),
        ] {
            assert!(!ConnectError::from(lasting).may_pass());
        }
    }

    #[test]
    fn debug_never_shows_the_password() {
        let mut settings = settings("127.0.0.1:9042");
        settings.password = Some("hush".to_owned());
        assert!(!format!("{settings:?}").contains("hush"));
    }
}
