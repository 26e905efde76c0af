//! Faults of one lab, which tests of other labs don't notice: they run beside each other.

mod cuts;
mod database;
mod halts;
