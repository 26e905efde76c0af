//! The load test, and the black-box clients it is made of.
//!
//! Everything here knows Ting only as any client does, over HTTP and socket.io, so that what
//! it measures is what people see. No crate of the product is imported.

// A test that meets an error is to fail.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod attack;
mod company;
pub mod compare;
mod conduct;
mod frames;
pub mod history;
pub mod http;
pub mod judge;
pub mod latency;
pub mod ledger;
pub mod machine;
pub mod measure;
pub mod outcome;
pub mod peers;
pub mod plan;
pub mod processes;
pub mod report;
pub mod roster;
mod run;
pub mod scenario;
pub mod script;
pub mod socket;
mod typist;
pub mod verdict;
mod viewer;
