//! The rules one by one, then all of them in a simulated cluster.

mod properties;
mod world;
