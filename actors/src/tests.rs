//! The actors together, with paused time: a tick takes no time and always fits.

mod faults;
mod memory;
mod people;
mod typing;
mod world;
