use super::*;
use crate::{Member, MemberState};
use proptest::prelude::*;
use std::collections::HashMap;

fn name(slot: u8) -> NodeName {
    NodeName {
        slot,
        since: 1_000 + i64::from(slot),
    }
}

fn view(members: &[(u8, MemberState, u16)]) -> View {
    let members = members
        .iter()
        .map(|&(slot, state, weight)| Member {
            weight,
            ..Member::new(name(slot), state)
        })
        .collect();
    View {
        version: 7,
        members,
    }
}

fn up(slots: impl IntoIterator<Item = u8>) -> View {
    view(
        &slots
            .into_iter()
            .map(|slot| (slot, MemberState::Up, 1))
            .collect::<Vec<_>>(),
    )
}

fn shares(view: &View) -> HashMap<NodeName, usize> {
    let placement = Placement::of(view);
    let mut shares = HashMap::new();
    for shard in Shard::all() {
        *shares.entry(placement.owner(shard).unwrap()).or_default() += 1;
    }
    shares
}

#[test]
fn the_hash_is_frozen() {
    let shards = ["c:ting", "c:lobby", "p:1:2", ""].map(|key| Shard::of(key).number());
    assert_eq!(shards, GOLDEN_SHARDS);
    let placement = Placement::of(&up(0..5));
    let owners: Vec<u8> = Shard::all()
        .take(16)
        .map(|shard| placement.owner(shard).unwrap().slot)
        .collect();
    assert_eq!(owners, GOLDEN_OWNERS);
}

const GOLDEN_SHARDS: [u16; 4] = [648, 627, 257, 409];
const GOLDEN_OWNERS: [u8; 16] = [2, 1, 3, 2, 3, 4, 0, 4, 1, 1, 0, 1, 0, 1, 3, 1];

#[test]
fn shares_are_even_within_a_third() {
    for members in [2u8, 3, 5, 9] {
        let even = f64::from(SHARDS) / f64::from(members);
        for (name, share) in shares(&up(0..members)) {
            let ratio = share as f64 / even;
            assert!((0.7..1.3).contains(&ratio), "{name} of {members}: {ratio}");
        }
    }
}

#[test]
fn weight_is_share() {
    let shares = shares(&view(&[(1, MemberState::Up, 1), (2, MemberState::Up, 3)]));
    let ratio = shares[&name(2)] as f64 / shares[&name(1)] as f64;
    assert!((2.4..3.6).contains(&ratio), "{ratio}");
}

#[test]
fn the_joining_own_nothing_and_the_draining_only_when_nobody_is_up() {
    let mixed = view(&[
        (1, MemberState::Joining, 1),
        (2, MemberState::Draining, 1),
        (3, MemberState::Up, 1),
    ]);
    assert_eq!(shares(&mixed).keys().collect::<Vec<_>>(), [&name(3)]);
    let going = view(&[(1, MemberState::Joining, 1), (2, MemberState::Draining, 1)]);
    assert_eq!(shares(&going).keys().collect::<Vec<_>>(), [&name(2)]);
    assert_eq!(
        Placement::of(&view(&[(1, MemberState::Joining, 1)])).owner(Shard::of("c:ting")),
        None
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_order_of_members_does_not_matter(slots in prop::collection::hash_set(0u8..128, 1..9)) {
        let forth: Vec<u8> = slots.iter().copied().collect();
        let back: Vec<u8> = forth.iter().rev().copied().collect();
        prop_assert_eq!(Placement::of(&up(forth)), Placement::of(&up(back)));
    }

    #[test]
    fn who_comes_or_goes_moves_only_its_share(
        slots in prop::collection::hash_set(0u8..100, 1..9),
        one in 100u8..128,
    ) {
        let without = Placement::of(&up(slots.iter().copied()));
        let with = Placement::of(&up(slots.iter().copied().chain([one])));
        for shard in Shard::all() {
            let (before, after) = (without.owner(shard), with.owner(shard));
            prop_assert!(before == after || after == Some(name(one)));
        }
    }
}
