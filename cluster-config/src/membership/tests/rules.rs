//! The rules of renewing and changing, one by one: one member and the store's answers.

use super::*;
use crate::membership::*;

/// Enters, with these members there, as version 5, and reads the rows.
fn entered(me: Member, others: &[Member]) -> Membership {
    let mut member = Membership::new(me.clone(), ENVELOPES);
    assert_eq!(member.step(at(0)), Some(Ask::Read));
    let mut rows = others.to_vec();
    rows.push(me);
    member.answered(at(0), Answer::Rows(view(5, &rows)));
    member
}

fn renewal(member: &mut Membership, time: u64) -> (u64, Member) {
    match member.step(at(time)) {
        Some(Ask::Renew { version, row }) => (version, row),
        other => panic!("no renewal: {other:?}"),
    }
}

#[test]
fn a_first_member_alone_comes_up_at_once() {
    let mut member = Membership::new(joining(1, &[]), ENVELOPES);
    assert_eq!(member.step(at(0)), Some(Ask::Read));
    assert_eq!(member.step(at(1)), None, "one ask at a time");
    member.answered(at(10), Answer::Rows(view(0, &[])));
    let Some(Ask::Change {
        version: 0,
        put: Some(row),
        take,
    }) = member.step(at(10))
    else {
        panic!("{member:?}");
    };
    assert_eq!((row.state, take), (MemberState::Up, Vec::new()));
    assert_eq!(member.standing(), Standing::Joining);
    member.answered(at(20), Answer::Done);
    assert_eq!(member.standing(), Standing::Up);
    assert_eq!(member.view().version, 1);
    assert!(!member.lease_holds(at(20)), "nothing was renewed yet");
    let (version, row) = renewal(&mut member, 20);
    assert_eq!((version, row.state), (1, MemberState::Up));
}

#[test]
fn a_lease_lasts_from_when_the_renewal_was_asked_for() {
    let mut member = entered(up(1, &[]), &[]);
    let (version, _) = renewal(&mut member, 100);
    assert_eq!(version, 5);
    member.answered(at(1_100), Answer::Done);
    assert_eq!(member.step(at(1_100)), Some(Ask::Read));
    member.answered(at(1_200), Answer::Rows(view(5, &[up(1, &[])])));
    assert_eq!(member.lease_until(), at(6_100));
    assert!(member.lease_holds(at(6_099)) && !member.lease_holds(at(6_100)));
}

#[test]
fn a_renewal_that_may_have_been_done_is_no_lease_and_is_tried_again() {
    let mut member = entered(up(1, &[]), &[]);
    renewal(&mut member, 0);
    member.answered(at(1_200), Answer::Failed);
    assert_eq!(member.lease_until(), Duration::ZERO);
    assert_eq!(member.standing(), Standing::Up, "the view stays");
    assert_eq!(member.wake(), at(1_700));
    assert_eq!(member.step(at(1_699)), None);
    renewal(&mut member, 1_700);
}

#[test]
fn a_renewal_refused_for_its_version_is_read_and_asked_again_at_once() {
    let mut member = entered(up(1, &[]), &[]);
    renewal(&mut member, 0);
    member.answered(at(10), Answer::Newer(6));
    assert_eq!(member.step(at(10)), Some(Ask::Read));
    let rows = [up(1, &[]), joining(2, &[])];
    member.answered(at(20), Answer::Rows(view(6, &rows)));
    let (version, row) = renewal(&mut member, 20);
    assert_eq!(
        (version, row.renewals),
        (6, 12),
        "each row it writes has its own number"
    );
}

#[test]
fn a_change_that_may_have_been_done_is_read_before_the_next_decision() {
    let mut member = entered(joining(2, &[1]), &[up(1, &[2])]);
    member.links([name(1)].into());
    assert!(matches!(
        member.step(at(0)),
        Some(Ask::Change {
            version: 5,
            put: Some(_),
            ..
        })
    ));
    member.answered(at(1_200), Answer::Failed);
    assert_eq!(member.standing(), Standing::Joining);
    assert_eq!(member.step(at(1_700)), Some(Ask::Read));
    let rows = [up(1, &[2]), up(2, &[1])];
    member.answered(at(1_710), Answer::Rows(view(6, &rows)));
    assert_eq!(member.standing(), Standing::Up);
}

#[test]
fn a_member_whose_row_is_gone_is_put_out_and_asks_no_more() {
    let mut member = entered(up(1, &[]), &[]);
    renewal(&mut member, 0);
    member.answered(at(10), Answer::Done);
    assert!(member.lease_holds(at(10)));
    assert_eq!(member.step(at(10)), Some(Ask::Read));
    member.answered(at(20), Answer::Rows(view(6, &[up(2, &[])])));
    assert_eq!(member.standing(), Standing::PutOut);
    assert!(!member.lease_holds(at(20)));
    assert_eq!(
        (member.wake(), member.step(at(99_000))),
        (Duration::MAX, None)
    );
}

#[test]
fn a_peer_that_shows_a_view_without_it_puts_a_member_out_without_the_store() {
    let mut member = entered(up(2, &[]), &[up(1, &[])]);
    member.shown(view(5, &[up(1, &[])]));
    assert_eq!(member.standing(), Standing::Up, "not a newer one");
    member.shown(view(6, &[up(1, &[])]));
    assert_eq!(member.standing(), Standing::PutOut);
}

#[test]
fn a_shown_view_brings_states_and_keeps_the_newer_rows() {
    let mut newer = joining(1, &[2]);
    newer.renewals = 30;
    let mut member = entered(up(2, &[]), &[newer]);
    let mut shown = up(1, &[]);
    shown.renewals = 29;
    member.shown(view(6, &[shown, up(2, &[])]));
    let one = member.view().member(name(1)).unwrap();
    assert_eq!((one.state, one.renewals), (MemberState::Up, 30));
    assert!(one.reaches.contains(&name(2)));
}

#[test]
fn a_version_that_a_peer_tells_of_is_read_at_once() {
    let mut member = entered(up(1, &[]), &[]);
    renewal(&mut member, 0);
    member.answered(at(10), Answer::Done);
    assert_eq!(member.step(at(10)), Some(Ask::Read));
    // While the rows are on their way: they may be older.
    member.told(6);
    member.answered(at(20), Answer::Rows(view(5, &[up(1, &[])])));
    assert_eq!(member.step(at(20)), Some(Ask::Read));
    member.answered(
        at(30),
        Answer::Rows(view(6, &[up(1, &[]), joining(2, &[])])),
    );
    assert_eq!(member.step(at(30)), None);
    member.told(6);
    assert_eq!(member.step(at(40)), None);
}

#[test]
fn a_change_of_links_is_written_at_once() {
    let mut member = entered(up(1, &[]), &[up(2, &[])]);
    renewal(&mut member, 0);
    member.answered(at(10), Answer::Done);
    assert_eq!(member.step(at(10)), Some(Ask::Read));
    member.answered(at(20), Answer::Rows(view(5, &[up(1, &[]), up(2, &[1])])));
    member.links([name(2)].into());
    assert_eq!(member.wake(), Duration::ZERO);
    let (_, row) = renewal(&mut member, 30);
    assert_eq!(row.reaches, [name(2)].into());
}

#[test]
fn no_members_now_is_below_the_highest_in_any_row() {
    let mut other = up(2, &[]);
    other.now = 50_000;
    let mut member = entered(up(1, &[]), &[other]);
    assert_eq!(member.highest_now(), 50_000);
    member.now(40_000);
    assert_eq!(renewal(&mut member, 0).1.now, 50_000);
    member.answered(at(10), Answer::Failed);
    member.now(60_000);
    assert_eq!(renewal(&mut member, 1_000).1.now, 60_000);
    member.answered(at(1_010), Answer::Done);
    assert_eq!((member.highest_now(), member.settled_now()), (60_000, None));
}

#[test]
fn a_lease_needs_a_look_at_the_rows_too() {
    let mut member = entered(up(1, &[]), &[]);
    assert_eq!(member.step(at(5_000)), Some(Ask::Read), "it slept");
    member.answered(at(5_010), Answer::Failed);
    let rows = View {
        version: 6,
        members: vec![up(1, &[])],
    };
    member.shown(rows);
    assert_eq!(member.step(at(5_600)), Some(Ask::Read), "before it renews");
    member.answered(at(5_610), Answer::Rows(view(6, &[up(1, &[])])));
    renewal(&mut member, 5_610);
    member.answered(at(5_620), Answer::Done);
    assert_eq!(member.lease_until(), at(11_600));
}

#[test]
fn what_a_peer_shows_while_an_ask_is_under_way_is_not_undone_by_its_answer() {
    // Its own change, and one more.
    let mut member = entered(joining(2, &[1]), &[up(1, &[2])]);
    member.links([name(1)].into());
    let Some(Ask::Change { version: 5, .. }) = member.step(at(0)) else {
        panic!("{member:?}");
    };
    member.shown(view(7, &[up(1, &[2]), up(2, &[1]), joining(3, &[])]));
    member.answered(at(10), Answer::Done);
    assert_eq!((member.view().version, member.view().members.len()), (7, 3));
    assert_eq!(member.step(at(10)), Some(Ask::Read));
    // Rows that are older than what was shown.
    member.shown(view(8, &[up(1, &[2]), up(2, &[1])]));
    member.answered(at(20), Answer::Rows(view(7, &[up(1, &[2]), up(2, &[1])])));
    assert_eq!(
        (member.standing(), member.view().version),
        (Standing::Up, 8)
    );
    assert_eq!(member.step(at(20)), Some(Ask::Read));
    // A version that falls is another store.
    member.answered(at(30), Answer::Rows(view(1, &[up(2, &[])])));
    assert_eq!(member.standing(), Standing::PutOut);
}

#[test]
fn a_version_that_the_store_does_not_know_is_asked_for_once() {
    let mut member = entered(up(1, &[]), &[]);
    member.told(99);
    assert_eq!(member.step(at(0)), Some(Ask::Read));
    member.answered(at(10), Answer::Rows(view(5, &[up(1, &[])])));
    renewal(&mut member, 10);
}

/// Renews and reads once, in this millisecond; what is asked then.
fn round(member: &mut Membership, time: u64, other: &Member) -> Option<Ask> {
    let (version, row) = renewal(member, time);
    member.answered(at(time), Answer::Done);
    assert_eq!(member.step(at(time)), Some(Ask::Read));
    let rows = view(version, &[other.clone(), row]);
    member.answered(at(time), Answer::Rows(rows));
    (member.wake() <= at(time)).then(|| member.step(at(time)))?
}

#[test]
fn a_member_that_is_silent_for_a_lease_is_taken_out_and_the_highest_now_stays() {
    let mut silent = joining(2, &[]);
    silent.now = 70_000;
    let mut member = entered(up(1, &[]), &[silent.clone()]);
    for time in [0, 2_000, 4_000] {
        assert_eq!(round(&mut member, time, &silent), None);
    }
    let Some(Ask::Change { put, take, .. }) = round(&mut member, 6_000, &silent) else {
        panic!("{member:?}");
    };
    let put = put.unwrap();
    assert_eq!(take, [name(2)]);
    assert_eq!((put.state, put.now), (MemberState::Up, 70_000));
}

#[test]
fn nobody_is_silent_while_a_member_itself_cannot_write() {
    let silent = joining(2, &[]);
    let mut member = entered(up(1, &[]), std::slice::from_ref(&silent));
    for time in [0, 2_000, 4_000] {
        assert_eq!(round(&mut member, time, &silent), None);
    }
    renewal(&mut member, 6_000);
    member.answered(at(6_100), Answer::Failed);
    for time in [6_600, 8_600, 10_600] {
        assert_eq!(round(&mut member, time, &silent), None, "{time}");
    }
    assert!(round(&mut member, 12_600, &silent).is_some());
}

#[test]
fn a_joining_member_that_is_drained_leaves_and_one_that_is_up_drains_first() {
    let mut early = entered(joining(2, &[]), &[up(1, &[])]);
    early.drain();
    let leave = Ask::Change {
        version: 5,
        put: None,
        take: vec![name(2)],
    };
    assert_eq!(early.step(at(0)), Some(leave));
    early.answered(at(10), Answer::Done);
    assert_eq!(early.standing(), Standing::Left);

    let mut member = entered(up(2, &[1]), &[up(1, &[2])]);
    member.links([name(1)].into());
    member.drain();
    let Some(Ask::Change { put: Some(row), .. }) = member.step(at(0)) else {
        panic!("{member:?}");
    };
    assert_eq!(row.state, MemberState::Draining);
    member.answered(at(10), Answer::Done);
    assert_eq!(member.standing(), Standing::Draining);
    renewal(&mut member, 10);
    member.answered(at(20), Answer::Done);
    member.leave();
    assert!(matches!(
        member.step(at(20)),
        Some(Ask::Change { put: None, .. })
    ));
    // Whatever became of it: once the row is gone it has left, and wasn't put out.
    member.answered(at(1_220), Answer::Failed);
    assert_eq!(member.step(at(1_720)), Some(Ask::Read));
    member.answered(at(1_730), Answer::Rows(view(7, &[up(1, &[])])));
    assert_eq!(member.standing(), Standing::Left);
}

#[test]
fn a_member_without_store_and_links_is_stranded_after_its_lease() {
    let mut member = entered(up(2, &[]), &[up(1, &[])]);
    renewal(&mut member, 0);
    member.answered(at(10), Answer::Done);
    assert!(!member.stranded(at(11_999)));
    assert!(member.stranded(at(12_000)));
    member.links([name(1)].into());
    assert!(!member.stranded(at(12_000)));
    assert!(
        !entered(up(2, &[]), &[]).stranded(at(60_000)),
        "it is alone by its view"
    );
}

#[test]
fn a_member_that_took_long_to_enter_is_not_stranded_before_its_first_lease() {
    let mut member = Membership::new(joining(2, &[]), ENVELOPES);
    assert_eq!(member.step(at(0)), Some(Ask::Read));
    let rows = view(5, &[joining(2, &[]), up(1, &[])]);
    member.answered(at(20_000), Answer::Rows(rows));
    assert!(!member.stranded(at(20_000)));
    assert!(!member.stranded(at(25_999)));
    assert!(member.stranded(at(26_000)), "no renewal was answered");
}

#[test]
fn rows_a_member_slept_on_are_read_again() {
    let mut member = entered(joining(2, &[1]), &[up(1, &[2])]);
    member.links([name(1)].into());
    assert_eq!(member.step(at(5_000)), Some(Ask::Read));
}
