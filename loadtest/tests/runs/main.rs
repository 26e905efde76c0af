//! Whole runs, against a small server with switches that plant faults.

// A test that meets an error is to fail.
#![allow(clippy::unwrap_used)]

mod fake;
mod faults;
mod scenarios;
mod starved;
