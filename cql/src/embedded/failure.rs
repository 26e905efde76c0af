//! What SQLite's failures mean to a caller.

use crate::StoreError;
use rusqlite::{Error, ErrorCode};

impl From<Error> for StoreError {
    fn from(error: Error) -> Self {
        if means_damage(&error) {
            StoreError::Damaged(error.to_string())
        } else {
            StoreError::Unavailable(error.to_string())
        }
    }
}

/// Whether the file holds what no Ting has written.
pub(super) fn means_damage(error: &Error) -> bool {
    match error {
        Error::SqliteFailure(failure, _) => matches!(
            failure.code,
            ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase
        ),
        Error::FromSqlConversionFailure(..)
        | Error::IntegralValueOutOfRange(..)
        | Error::Utf8Error(..)
        | Error::InvalidColumnType(..) => true,
        _ => false,
    }
}

/// What a failed commit means.
///
/// A full disk is noticed before the commit's last page is written. Any other failure, a sync
/// that failed above all, may leave that page where a restart would find it.
pub(super) fn of_commit(error: Error) -> StoreError {
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull | ErrorCode::DatabaseBusy | ErrorCode::ReadOnly) => error.into(),
        _ => StoreError::Unknown(error.to_string()),
    }
}
