//! Slots of the id space: who may give ids out of which, and up to when.
//!
//! All in one partition, so that they are read at once and every change is ordered after the
//! last. 128 nodes that renew every 10 s are 13 changes a second.

use super::link::{Compared, Link};
use crate::{Millis, Slot, StoreError};
use scylla::errors::PrepareError;
use scylla::statement::prepared::PreparedStatement;
use std::sync::Arc;

/// The one partition.
const PART: i32 = 0;

/// Compare-and-set: nobody had it.
const TAKE: &str =
    "INSERT INTO slots (part, number, high_water, holder) VALUES (?, ?, ?, ?) IF NOT EXISTS";
/// Compare-and-set: nobody has moved it since it was seen.
const MOVE: &str =
    "UPDATE slots SET high_water = ?, holder = ? WHERE part = ? AND number = ? IF high_water = ?";
/// Serial: what is decided by it must not miss a change under way.
const ALL: &str = "SELECT number, high_water FROM slots WHERE part = ?";
/// Serial, as the rule is after a compare-and-set.
const HOLDER: &str = "SELECT high_water, holder FROM slots WHERE part = ? AND number = ?";

#[derive(Debug)]
pub(super) struct Slots {
    link: Arc<Link>,
    take: PreparedStatement,
    change: PreparedStatement,
    all: PreparedStatement,
    holder: PreparedStatement,
}

impl Slots {
    pub(super) async fn prepare(link: &Arc<Link>) -> Result<Self, PrepareError> {
        Ok(Slots {
            take: link.prepare_compare(TAKE).await?,
            change: link.prepare_compare(MOVE).await?,
            all: link.prepare_serial_read(ALL).await?,
            holder: link.prepare_serial_read(HOLDER).await?,
            link: link.clone(),
        })
    }

    pub(super) async fn all(&self) -> Result<Vec<Slot>, StoreError> {
        let rows: Vec<(i32, Millis)> = self.link.rows(&self.all, (PART,)).await?;
        Ok(rows
            .into_iter()
            .filter_map(|(number, high_water)| {
                let number = u8::try_from(number).ok()?;
                Some(Slot { number, high_water })
            })
            .collect())
    }

    /// The time past which no id has been given and no member's clock has gone.
    pub(super) async fn high_water(&self) -> Result<Millis, StoreError> {
        let slots = self.all().await?;
        Ok(slots.iter().map(|slot| slot.high_water).max().unwrap_or(0))
    }

    pub(super) async fn reserve(
        &self,
        number: u8,
        seen: Option<Millis>,
        high_water: Millis,
    ) -> Result<bool, StoreError> {
        let slot = i32::from(number);
        let attempt: i64 = rand::random();
        let compared = match seen {
            None => {
                let values = (PART, slot, high_water, attempt);
                self.link.compare(&self.take, values).await?
            }
            Some(seen) => {
                let values = (high_water, attempt, PART, slot, seen);
                self.link.compare(&self.change, values).await?
            }
        };
        if compared == Compared::Applied {
            return Ok(true);
        }
        let row: Option<(Millis, i64)> = self
            .link
            .row(&self.holder, (PART, slot))
            .await
            .map_err(|error| compared.clone().unread(error))?;
        match row {
            Some((_, holder)) if holder == attempt => Ok(true),
            // Somebody has moved it on: ours can't come through any more.
            Some((now, _)) if seen != Some(now) => Ok(false),
            _ => compared.or_unknown().map(|()| false),
        }
    }
}
