//! The cluster's own secrets: made by the first node that asks, and never changed.

use super::link::{Compared, Link, damaged};
use crate::StoreError;
use scylla::errors::PrepareError;
use scylla::statement::prepared::PreparedStatement;
use std::sync::Arc;

/// Compare-and-set: all nodes go on with what the first one made.
const MAKE: &str = "INSERT INTO cluster_keys (name, value) VALUES (?, ?) IF NOT EXISTS";
/// Serial, as the rule is after a compare-and-set.
const READ: &str = "SELECT value FROM cluster_keys WHERE name = ?";

#[derive(Debug)]
pub(super) struct ClusterKeys {
    link: Arc<Link>,
    make: PreparedStatement,
    read: PreparedStatement,
}

impl ClusterKeys {
    pub(super) async fn prepare(link: &Arc<Link>) -> Result<Self, PrepareError> {
        Ok(ClusterKeys {
            make: link.prepare_compare(MAKE).await?,
            read: link.prepare_serial_read(READ).await?,
            link: link.clone(),
        })
    }

    pub(super) async fn get(&self, name: &str, fresh: [u8; 32]) -> Result<[u8; 32], StoreError> {
        let values = (name, fresh.as_slice());
        let compared = self.link.compare(&self.make, values).await?;
        if compared == Compared::Applied {
            return Ok(fresh);
        }
        let row: Option<(Vec<u8>,)> = self
            .link
            .row(&self.read, (name,))
            .await
            .map_err(|error| compared.clone().unread(error))?;
        match row {
            Some((value,)) => value
                .try_into()
                .map_err(|_| damaged(format!("the cluster's key {name} is not 32 bytes"))),
            None => {
                compared.or_unknown()?;
                Err(damaged(format!("the cluster's key {name} went away")))
            }
        }
    }
}
