//! The view of the cluster: its version and a row for each member, in one partition.
//!
//! All of it changes by compare-and-set on the version, so every two changes are ordered and a
//! renewal comes either before a change or is refused by it. Each attempt leaves a number of its
//! own beside what it writes: after a time-out a serial read looks for it.

use super::link::{Compared, Link, damaged};
use crate::{MemberRows, Members, StoreError, Swapped};
use async_trait::async_trait;
use scylla::errors::PrepareError;
use scylla::statement::batch::{Batch, BatchStatement, BatchType};
use scylla::statement::prepared::PreparedStatement;
use scylla::value::CqlValue;
use std::sync::Arc;

/// The one partition.
const PART: i32 = 0;

/// Compare-and-set: the view is the one that the member acts by, and the member is in it.
const RENEW: &str = "UPDATE members SET says = ?, written_by = ? WHERE part = ? AND name = ? \
     IF version = ? AND says != null";
/// Compare-and-set: nobody has changed the view since it was read. What is changed comes in the
/// same batch, so it is there with the version or not at all.
const COUNT: &str = "UPDATE members SET version = ?, changed_by = ? WHERE part = ? IF version = ?";
/// Compare-and-set: nobody has ever changed it.
const COUNT_FIRST: &str =
    "UPDATE members SET version = ?, changed_by = ? WHERE part = ? IF version = null";
/// Only beside one of the two above, by which it is decided.
const PUT: &str = "INSERT INTO members (part, name, says, written_by) VALUES (?, ?, ?, ?)";
/// Only beside one of the two above, by which it is decided.
const TAKE: &str = "DELETE FROM members WHERE part = ? AND name = ?";
/// Serial: who acts by a view must not miss a change under way.
const ALL: &str = "SELECT version, changed_by, name, says, written_by FROM members WHERE part = ?";

#[derive(Debug)]
pub(super) struct MembersTable {
    link: Arc<Link>,
    renew: PreparedStatement,
    count: PreparedStatement,
    count_first: PreparedStatement,
    put: PreparedStatement,
    take: PreparedStatement,
    all: PreparedStatement,
}

type Columns = (
    Option<i64>,
    Option<i64>,
    Option<String>,
    Option<String>,
    Option<i64>,
);

/// The view, and by which attempts it came to be.
struct Stands {
    view: MemberRows,
    changed_by: Option<i64>,
    /// By which attempt each row was written; in the order of the names.
    written_by: Vec<(String, Option<i64>)>,
}

impl Stands {
    fn wrote(&self, name: &str, attempt: i64) -> bool {
        let mut rows = self.written_by.iter();
        rows.any(|(row, by)| row == name && *by == Some(attempt))
    }

    fn newer(&self) -> Swapped {
        Swapped::Newer(self.view.version)
    }
}

impl MembersTable {
    pub(super) async fn prepare(link: &Arc<Link>) -> Result<Self, PrepareError> {
        Ok(MembersTable {
            renew: link.prepare_compare(RENEW).await?,
            count: link.prepare_compare(COUNT).await?,
            count_first: link.prepare_compare(COUNT_FIRST).await?,
            put: link.prepare_compared(PUT).await?,
            take: link.prepare_compared(TAKE).await?,
            all: link.prepare_serial_read(ALL).await?,
            link: link.clone(),
        })
    }

    async fn stands(&self) -> Result<Stands, StoreError> {
        let rows: Vec<Columns> = self.link.rows(&self.all, (PART,)).await?;
        let mut stands = Stands {
            view: MemberRows::default(),
            changed_by: None,
            written_by: Vec::new(),
        };
        for (version, changed_by, name, says, written_by) in rows {
            let version = u64::try_from(version.unwrap_or(0));
            stands.view.version = version.map_err(|_| damaged("the view's version"))?;
            stands.changed_by = changed_by;
            // The version alone stands in a row without a name.
            if let (Some(name), Some(says)) = (name, says) {
                stands.view.rows.insert(name.clone(), says);
                stands.written_by.push((name, written_by));
            }
        }
        Ok(stands)
    }

    /// What stands after a compare-and-set that was not seen to be applied.
    async fn stands_after(&self, compared: &Compared) -> Result<Stands, StoreError> {
        let stands = self.stands().await;
        stands.map_err(|error| compared.clone().unread(error))
    }
}

#[async_trait]
impl Members for MembersTable {
    async fn members(&self) -> Result<MemberRows, StoreError> {
        Ok(self.stands().await?.view)
    }

    async fn renew(&self, version: u64, name: &str, row: &str) -> Result<Swapped, StoreError> {
        let attempt: i64 = rand::random();
        let values = (row, attempt, PART, name, as_bigint(version)?);
        let compared = self.link.compare(&self.renew, values).await?;
        if compared == Compared::Applied {
            return Ok(Swapped::Done);
        }
        let stands = self.stands_after(&compared).await?;
        if stands.wrote(name, attempt) {
            return Ok(Swapped::Done);
        }
        // A version never comes back, so an attempt that is still under way is refused by it.
        if stands.view.version == version {
            compared.or_unknown()?;
        }
        Ok(stands.newer())
    }

    async fn change(
        &self,
        version: u64,
        put: Option<(&str, &str)>,
        take: &[String],
    ) -> Result<Swapped, StoreError> {
        let attempt: i64 = rand::random();
        let next = version + 1;
        let mut batch = Batch::new(BatchType::Logged);
        let mut values = Vec::with_capacity(2 + take.len());
        let mut add = |statement: &PreparedStatement, of_it: Vec<CqlValue>| {
            batch.append_statement(BatchStatement::PreparedStatement(statement.clone()));
            values.push(of_it);
        };
        let part = CqlValue::Int(PART);
        let text = |text: &str| CqlValue::Text(text.to_owned());
        let mut counted = vec![
            CqlValue::BigInt(as_bigint(next)?),
            CqlValue::BigInt(attempt),
            part.clone(),
        ];
        if version == 0 {
            add(&self.count_first, counted);
        } else {
            counted.push(CqlValue::BigInt(as_bigint(version)?));
            add(&self.count, counted);
        }
        if let Some((name, row)) = put {
            let by = CqlValue::BigInt(attempt);
            add(&self.put, vec![part.clone(), text(name), text(row), by]);
        }
        // More than the 16 rows of other batches, if most of a cluster goes at once: all of it is
        // one change, and no more than there are slots.
        for name in take {
            if put.is_none_or(|(kept, _)| kept != name) {
                add(&self.take, vec![part.clone(), text(name)]);
            }
        }
        let compared = self.link.compare_batch(batch, values).await?;
        if compared == Compared::Applied {
            return Ok(Swapped::Done);
        }
        let stands = self.stands_after(&compared).await?;
        let own = stands.view.version == next && stands.changed_by == Some(attempt);
        if own || put.is_some_and(|(name, _)| stands.wrote(name, attempt)) {
            return Ok(Swapped::Done);
        }
        // Still the old version: it may yet come through. Two or more later: it may have come
        // through before the last one. One later: that is somebody else's, so this one can't.
        if stands.view.version != next {
            compared.or_unknown()?;
        }
        Ok(stands.newer())
    }
}

fn as_bigint(version: u64) -> Result<i64, StoreError> {
    i64::try_from(version).map_err(|_| damaged("a version that nobody has counted to"))
}
