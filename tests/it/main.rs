//! Ting's behaviour, subject by subject, as clients see it.
//!
//! Each test is a sentence of the protocol. Tests share one server unless they need settings of
//! their own, and all run at once.

// A test that meets an error is to fail.
#![allow(clippy::unwrap_used)]

mod bodies;
mod channels;
mod claims;
mod cluster;
mod conversations;
mod disk;
mod drain;
mod frames;
mod fuzz;
mod ghosts;
mod hazards;
mod history;
mod http_typing;
mod keys;
mod kill;
mod limits;
mod login;
mod moving;
mod names;
mod origins;
mod others;
mod outages;
mod presence;
mod privates;
mod privileged;
mod profiles;
mod reference;
mod refusals;
mod seed;
mod sessions;
mod settings;
mod socket_typing;
mod sockets;
mod stored;
mod storm;
mod telemetry;
mod tls;
mod typing;
