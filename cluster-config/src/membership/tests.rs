//! The rules one by one, then all of them in a simulated cluster.

mod entering;
mod judging;
mod properties;
mod rules;
mod scenes;
mod world;

use super::*;
use world::ms;

fn name(slot: u8) -> NodeName {
    // The lower the slot the older the member.
    NodeName {
        slot,
        since: 1_000 + i64::from(slot),
    }
}

fn member(slot: u8, state: MemberState, reaches: &[u8]) -> Member {
    Member {
        address: format!("198.18.0.{slot}:7000"),
        reaches: reaches.iter().map(|slot| name(*slot)).collect(),
        envelope: 1,
        renewals: 10,
        ..Member::new(name(slot), state)
    }
}

fn up(slot: u8, reaches: &[u8]) -> Member {
    member(slot, MemberState::Up, reaches)
}

fn joining(slot: u8, reaches: &[u8]) -> Member {
    member(slot, MemberState::Joining, reaches)
}

fn view(version: u64, members: &[Member]) -> View {
    View {
        version,
        members: members.to_vec(),
    }
}

fn at(millis: u64) -> Duration {
    ms(100_000 + millis)
}
