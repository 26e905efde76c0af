//! Channels: a row each, made once and never changed.

use super::link::{Compared, Link};
use crate::{ChannelName, Millis, StoreError};
use scylla::errors::PrepareError;
use scylla::statement::prepared::PreparedStatement;
use std::sync::Arc;

/// Compare-and-set: of two who create a channel, one is told that it is new.
const CREATE: &str =
    "INSERT INTO channels (name, created_at, created_by) VALUES (?, ?, ?) IF NOT EXISTS";
/// LOCAL_QUORUM: a creation that was answered is at a quorum.
const READ: &str = "SELECT created_by FROM channels WHERE name = ?";

#[derive(Debug)]
pub(super) struct Channels {
    link: Arc<Link>,
    create: PreparedStatement,
    read: PreparedStatement,
    read_serial: PreparedStatement,
}

impl Channels {
    pub(super) async fn prepare(link: &Arc<Link>) -> Result<Self, PrepareError> {
        Ok(Channels {
            create: link.prepare_compare(CREATE).await?,
            read: link.prepare_read(READ).await?,
            read_serial: link.prepare_serial_read(READ).await?,
            link: link.clone(),
        })
    }

    pub(super) async fn create(&self, name: &ChannelName, now: Millis) -> Result<bool, StoreError> {
        if *name == ChannelName::ting() {
            return Ok(false);
        }
        // Tells our row from another's with the same name.
        let attempt: i64 = rand::random();
        let values = (name.as_str(), now, attempt);
        let compared = self.link.compare(&self.create, values).await?;
        if compared == Compared::Applied {
            return Ok(true);
        }
        let row: Option<(i64,)> = self
            .link
            .row(&self.read_serial, (name.as_str(),))
            .await
            .map_err(|error| compared.clone().unread(error))?;
        match row {
            Some((by,)) => Ok(by == attempt),
            None => compared.or_unknown().map(|()| false),
        }
    }

    pub(super) async fn exists(&self, name: &ChannelName) -> Result<bool, StoreError> {
        if *name == ChannelName::ting() {
            return Ok(true);
        }
        let row: Option<(i64,)> = self.link.row(&self.read, (name.as_str(),)).await?;
        Ok(row.is_some())
    }
}
