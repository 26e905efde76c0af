//! The actors together, with paused time: a tick takes no time and always fits.

mod cluster;
mod faults;
mod memory;
mod network;
mod people;
mod typing;
mod world;
