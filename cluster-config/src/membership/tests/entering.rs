//! The rules of entering, one by one.

use super::*;
use crate::membership::*;

/// Reads rows each half second, in which the other one has renewed as the function says; what is
/// asked in the end.
fn knocks(
    me: Member,
    other: Member,
    millis: u64,
    renewals: impl Fn(u64) -> u64,
) -> (Membership, Option<Ask>) {
    let mut member = Membership::new(me, ENVELOPES);
    for time in (0..=millis).step_by(500) {
        match member.step(at(time)) {
            Some(Ask::Read) => {}
            other => return (member, other),
        }
        let other = Member {
            renewals: renewals(time),
            ..other.clone()
        };
        member.answered(at(time), Answer::Rows(view(5, &[other])));
        if let Some(ask) = (member.wake() <= at(time))
            .then(|| member.step(at(time)))
            .flatten()
        {
            return (member, Some(ask));
        }
    }
    (member, None)
}

#[test]
fn a_node_without_a_listener_enters_only_when_it_is_alone() {
    let me = Member {
        address: String::new(),
        ..joining(2, &[])
    };
    let (member, _) = knocks(me.clone(), up(1, &[]), 9_000, |time| time / 2_000);
    let why = "member 1-3e9 uses this store already; cluster.listen is needed to join it";
    assert_eq!(member.standing(), Standing::Refused(why.to_owned()));
    let (_, waits) = knocks(me.clone(), up(1, &[]), 5_500, |_| 7);
    assert_eq!(waits, None, "it may be alive");
    let (_, enters) = knocks(me, up(1, &[]), 7_000, |_| 7);
    let Some(Ask::Change {
        put: Some(row),
        take,
        ..
    }) = enters
    else {
        panic!("{enters:?}");
    };
    assert_eq!((row.state, take), (MemberState::Up, vec![name(1)]));
}

#[test]
fn nobody_joins_a_node_without_a_listener() {
    let alone = Member {
        address: String::new(),
        ..up(1, &[])
    };
    let (member, _) = knocks(joining(2, &[]), alone.clone(), 9_000, |time| time / 2_000);
    let why = "member 1-3e9 uses this store without cluster.listen, so nobody can join it";
    assert_eq!(member.standing(), Standing::Refused(why.to_owned()));
    let (_, enters) = knocks(joining(2, &[]), alone, 7_000, |_| 7);
    assert!(
        matches!(enters, Some(Ask::Change { put: Some(_), .. })),
        "{enters:?}"
    );
}

#[test]
fn who_speaks_no_common_envelope_is_refused_and_a_neighbouring_release_is_not() {
    let speaks = |envelope| Member {
        envelope,
        release: "9.9.0".to_owned(),
        ..up(1, &[])
    };
    let (member, _) = knocks(joining(2, &[]), speaks(3), 9_000, |time| time / 2_000);
    let why = "member 1-3e9 of release 9.9.0 speaks envelope 3, this node speaks 1 to 1";
    assert_eq!(member.standing(), Standing::Refused(why.to_owned()));
    for envelope in [1, 2] {
        let (_, enters) = knocks(joining(2, &[]), speaks(envelope), 0, |_| 7);
        let Some(Ask::Change { put: Some(row), .. }) = enters else {
            panic!("{envelope}: {enters:?}");
        };
        assert_eq!(row.state, MemberState::Joining);
    }
}
