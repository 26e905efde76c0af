//! Ting on a real Kubernetes, as its manifests and its image make it: what people notice of
//! upgrades, of pods and nodes that go, and who else may join.
//!
//! `tests/k8s/run` makes the cluster, the image and the database; without them these leave
//! themselves out, in words. The longer ones are ignored unless they are asked for.

// A test that meets an error is to fail.
#![allow(clippy::unwrap_used)]

// The people of those tests, and who judges what they saw; they do more there.
#[allow(dead_code, unused_imports)]
#[path = "../chaos"]
mod chaos {
    pub mod client;
    pub mod dice;
    pub mod figures;
    pub mod judge;
    pub mod log;
    pub mod people;
}
use chaos::{client, dice, figures, judge, log, people};

mod back;
mod crowd;
mod database;
mod faults;
mod image;
mod kube;
mod many;
mod one;
mod said;
mod scale;
mod walls;
