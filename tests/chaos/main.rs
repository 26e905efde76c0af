//! Faults, and what people notice of them: nothing that was acknowledged is lost or doubled, all
//! who watch agree, and who types on keeps the place.
//!
//! `tests/chaos/run` makes the network and the database that these need; without them they leave
//! themselves out, in words. The longer ones are ignored unless they are asked for.

// A test that meets an error is to fail.
#![allow(clippy::unwrap_used)]

mod alone;
mod beside;
mod client;
mod crowd;
mod dice;
mod faults;
mod figures;
mod judge;
mod log;
mod people;
mod plan;
mod quorum;
mod rounds;
mod story;
