//! The rules of judging, one by one.

use super::*;
use crate::membership::*;
use std::collections::{BTreeMap, BTreeSet};

/// Who goes as `me` sees it, when it has doubted everybody for long enough and these are silent.
fn goes(members: &[Member], me: u8, silent: &[u8]) -> Option<u8> {
    let doubted = members
        .iter()
        .map(|m| (m.name, !silent.contains(&m.name.slot)));
    let doubted: BTreeMap<NodeName, bool> =
        doubted.filter(|(other, _)| *other != name(me)).collect();
    who_goes(&view(1, members), doubted, name(me)).map(|name| name.slot)
}

#[test]
fn nobody_goes_while_all_reach_each_other() {
    let members = [up(1, &[2, 3]), up(2, &[1, 3]), up(3, &[1, 2])];
    for me in 1..=3 {
        assert_eq!(goes(&members, me, &[1, 2, 3]), None);
    }
}

#[test]
fn of_two_that_cannot_reach_each_other_the_silent_one_goes_then_the_younger() {
    for members in [
        [up(1, &[]), up(2, &[])],
        [up(1, &[2]), up(2, &[])],
        [up(1, &[]), up(2, &[1])],
    ] {
        assert_eq!(goes(&members, 2, &[1]), Some(1));
        assert_eq!(goes(&members, 1, &[2]), Some(2));
        assert_eq!(goes(&members, 1, &[]), Some(2));
        assert_eq!(goes(&members, 2, &[]), Some(2));
    }
}

#[test]
fn the_one_that_fewer_others_reach_goes_before_the_younger() {
    // The oldest is cut off from both.
    let members = [up(1, &[]), up(2, &[3]), up(3, &[2])];
    for me in 1..=3 {
        assert_eq!(goes(&members, me, &[]), Some(1));
    }
    // It says it reaches them, and they don't say so.
    let members = [up(1, &[2, 3]), up(2, &[3]), up(3, &[2])];
    assert_eq!(goes(&members, 3, &[]), Some(1));
}

#[test]
fn whoever_drains_goes_before_whoever_stays() {
    let members = [
        member(1, MemberState::Draining, &[3]),
        up(2, &[]),
        up(3, &[1]),
    ];
    assert_eq!(goes(&members, 2, &[]), Some(1));
}

#[test]
fn the_joining_neither_judge_nor_are_judged_by_their_links() {
    let members = [up(1, &[]), joining(2, &[])];
    assert_eq!(goes(&members, 1, &[]), None);
    assert_eq!(goes(&members, 2, &[1]), None);
}

#[test]
fn a_chain_of_cuts_ends_with_a_clique_whoever_judges_first() {
    let cut = [(1, 3), (2, 4), (1, 4)];
    for order in [[1, 2, 3, 4], [4, 3, 2, 1], [2, 4, 1, 3]] {
        let mut left: BTreeSet<u8> = (1..=4).collect();
        loop {
            let members: Vec<Member> = left
                .iter()
                .map(|&one| {
                    let open = |other: &u8| {
                        *other != one
                            && !cut.contains(&(one, *other))
                            && !cut.contains(&(*other, one))
                    };
                    up(one, &(1..=4).filter(open).collect::<Vec<_>>())
                })
                .collect();
            let mut judges = order.iter().filter(|me| left.contains(me));
            let Some(gone) = judges.find_map(|me| goes(&members, *me, &[])) else {
                break;
            };
            left.remove(&gone);
        }
        assert_eq!(left.len(), 2, "{order:?}: {left:?}");
        let pair: Vec<u8> = left.into_iter().collect();
        assert!(!cut.contains(&(pair[0], pair[1])), "{order:?}: {pair:?}");
    }
}

#[test]
fn a_member_comes_up_with_links_to_all_that_are_up() {
    let comes = |members: &[Member], slot| comes_up(&view(1, members), name(slot));
    assert!(comes(&[up(1, &[3]), joining(2, &[]), joining(3, &[1])], 3));
    assert!(!comes(&[up(1, &[]), joining(3, &[1])], 3));
    assert!(!comes(&[up(1, &[3]), up(2, &[]), joining(3, &[1, 2])], 3));
    assert!(!comes(&[up(1, &[])], 1), "it is up already");
}

#[test]
fn if_none_is_up_the_joining_member_that_most_reach_comes_up_then_the_oldest() {
    let first = |members: &[Member]| -> Vec<u8> {
        let slots = members.iter().map(|m| m.name.slot);
        slots
            .filter(|slot| comes_up(&view(1, members), name(*slot)))
            .collect()
    };
    assert_eq!(first(&[joining(1, &[])]), [1]);
    assert_eq!(first(&[joining(1, &[]), joining(2, &[])]), [1]);
    assert_eq!(
        first(&[joining(1, &[2, 3]), joining(2, &[3]), joining(3, &[2])]),
        [2]
    );
    assert_eq!(
        first(&[member(1, MemberState::Draining, &[]), joining(2, &[])]),
        [2]
    );
}
