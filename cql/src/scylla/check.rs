//! What `ting check` tells of the database; nothing is changed.

use super::copies;
use super::migrations::{self, MIGRATIONS, Schema};
use super::open;
use super::settings::{ConnectError, CqlSettings};
use std::collections::BTreeMap;

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// The nodes of each datacenter.
    pub nodes: BTreeMap<String, usize>,
    /// The schema.
    pub schema: Schema,
    /// How a node's commit log is written, `periodic` or `batch`, as far as it tells. With
    /// `periodic` the writes of the last seconds are lost if a quorum crashes at once.
    pub commit_log: Option<String>,
}

/// Where Cassandra and ScyllaDB tell it.
const COMMIT_LOG: [&str; 2] = [
    "SELECT value FROM system_views.settings WHERE name = 'commitlog_sync'",
    "SELECT value FROM system.config WHERE name = 'commitlog_sync'",
];

pub(super) async fn check(settings: &CqlSettings) -> Result<Checked, ConnectError> {
    let session = open::session(settings).await?;
    let mut nodes = BTreeMap::new();
    for node in session.get_cluster_state().get_nodes_info() {
        let datacenter = node.datacenter.clone().unwrap_or_default();
        *nodes.entry(datacenter).or_insert(0) += 1;
    }
    let mut commit_log = None;
    for question in COMMIT_LOG {
        // Each knows one of the tables, and refuses the other question.
        if let Ok(Some((Some(value),))) =
            open::ask_once::<(Option<String>,)>(&session, question).await
        {
            commit_log = Some(value.trim_matches('"').to_owned());
            break;
        }
    }
    let schema = migrations::inspect(&session, &settings.keyspace, MIGRATIONS).await?;
    copies::insist_on_whole(&session).await?;
    Ok(Checked {
        nodes,
        schema,
        commit_log,
    })
}
