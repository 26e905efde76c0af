//! How many rows a table has, all of them read.

use super::super::link::Link;
use super::CopyError;
use crate::copy::{Lifetimes, Table};
use crate::{Ended, KeyClaim, MessageId, Millis, SignIn, StoreError};
use futures::TryStreamExt;

/// Of each row the number by which its end is known, if it has one.
///
/// LOCAL_QUORUM, all of these: counted is what was answered.
fn of(table: Table) -> &'static str {
    match table {
        Table::Slots => "SELECT high_water FROM slots",
        Table::ClusterKeys => "SELECT WRITETIME(value) FROM cluster_keys",
        Table::Users => "SELECT last_seen FROM users",
        Table::SignIns => "SELECT used_at FROM sign_ins",
        Table::Channels => "SELECT created_at FROM channels",
        Table::Messages => "SELECT message_id FROM messages",
        // Only marks have it.
        Table::Marks => "SELECT WRITETIME(ended) FROM message_index",
        Table::Inbox => "SELECT last_sent FROM inbox",
        Table::Keys => "SELECT bound_at FROM keys",
    }
}

/// When a row ends of which that number is known.
fn ends(table: Table, number: i64, life: Lifetimes) -> Option<Millis> {
    match table {
        Table::SignIns => Some(number + SignIn::LIFETIME),
        Table::Marks => Some(number / 1_000 + Ended::LIFETIME),
        Table::Keys => Some(number + KeyClaim::LIFETIME),
        Table::Inbox => Some(number + life.retention()?),
        Table::Messages => Some(MessageId::from_i64(number).time() + life.retention()?),
        _ => None,
    }
}

/// Counts the rows of a table that have not outlived their time.
pub(super) async fn count(link: &Link, table: Table, life: Lifetimes) -> Result<u64, CopyError> {
    let statement = link.prepare_patient_read(of(table)).await?;
    let failed = |error: &dyn std::fmt::Display| StoreError::Unavailable(error.to_string());
    let pages = link.session.execute_iter(statement, ()).await;
    let rows = pages.map_err(|error| failed(&error))?;
    let rows = rows.rows_stream::<(Option<i64>,)>();
    let rows = rows.map_err(|error| StoreError::Damaged(error.to_string()))?;
    let count = rows
        .map_err(|error| failed(&error))
        .try_fold(0, |count, (number,)| async move {
            let number = number
                .filter(|number| ends(table, *number, life).is_none_or(|ends| ends > life.now));
            Ok::<_, StoreError>(count + u64::from(number.is_some()))
        });
    Ok(count.await?)
}
