//! The actors together, with paused time: a tick takes no time and always fits.

mod cluster;
mod entering;
mod faults;
mod hand_over;
mod links;
mod memory;
mod network;
mod people;
mod privates;
mod typing;
mod world;

pub use memory::MemoryStore;
pub use world::World;
