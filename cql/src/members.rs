//! The cluster's view as a shared store keeps it: one partition with a version and a row for
//! each member, changed only by compare-and-set on the version.
//!
//! The store does not look into the rows: what a member says of itself is between members.

use crate::StoreError;
use async_trait::async_trait;
use std::collections::BTreeMap;

/// The version and the rows, read together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MemberRows {
    /// Counts the changes; 0 before the first.
    pub version: u64,
    /// What each member says of itself, by its name.
    pub rows: BTreeMap<String, String>,
}

/// What became of a renewal or a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Swapped {
    /// It was done.
    Done,
    /// Refused, nothing changed: the version is this one by now.
    Newer(u64),
}

/// What only a store that several nodes share has: a place for their view.
///
/// Every operation is linearizable with every other one. An outcome that stays unknown is
/// [`StoreError::Unknown`], after a serial read that could not tell either.
#[async_trait]
pub trait Members: Send + Sync + std::fmt::Debug {
    /// The view as of now.
    async fn members(&self) -> Result<MemberRows, StoreError>;

    /// Writes a member's own row, if the version is still `version` and the row is there; a row
    /// that was taken out does not come back by this. The version stays.
    async fn renew(&self, version: u64, name: &str, row: &str) -> Result<Swapped, StoreError>;

    /// Changes who is a member, if the version is still `version`: writes the row `put`, takes
    /// out the rows `take` (but the one put), and counts the version up by one, all or nothing.
    async fn change(
        &self,
        version: u64,
        put: Option<(&str, &str)>,
        take: &[String],
    ) -> Result<Swapped, StoreError>;
}
