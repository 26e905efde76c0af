//! Who goes and who comes up: pure functions of the members' rows, so that all who have read the
//! same rows judge alike.

use crate::{Member, MemberState, NodeName, View};
use std::cmp::Reverse;

/// Whether there is a link between them: each says that it reaches the other.
pub fn live(one: &Member, other: &Member) -> bool {
    one.reaches.contains(&other.name) && other.reaches.contains(&one.name)
}

/// Whether people are served by it, so that the others must reach it.
pub fn serves(member: &Member) -> bool {
    member.state != MemberState::Joining
}

/// Orders by age, oldest first.
fn age(member: &Member) -> (i64, u8) {
    (member.name.since, member.name.slot)
}

/// How many of the members that serve have a link with it.
fn links(view: &View, member: &Member) -> usize {
    let others = view.members.iter().filter(|other| serves(other));
    others.filter(|other| live(member, other)).count()
}

/// Who is to be put out, as `me` sees it, so that all who serve reach each other.
///
/// `doubted` names the members `me` had no link with for long enough, and whether each has
/// written its row since `me` wrote so. Of two that can't reach each other the one goes that has
/// not written since, then one that is draining, as it is about to go, then the one with fewer
/// links, then the younger. One goes at a time: the rest is judged by what is then left.
pub fn who_goes(
    view: &View,
    doubted: impl IntoIterator<Item = (NodeName, bool)>,
    me: NodeName,
) -> Option<NodeName> {
    let serving = |name| view.member(name).filter(|member| serves(member));
    let mine = serving(me)?;
    let weakness = |member: &Member, written: bool| {
        let draining = member.state == MemberState::Draining;
        (
            !written,
            draining,
            Reverse(links(view, member)),
            age(member),
        )
    };
    doubted
        .into_iter()
        .filter_map(|(name, written)| Some((serving(name)?, written)))
        .filter(|(other, _)| !live(mine, other))
        .map(|other| [(mine, true), other])
        .filter_map(|pair| {
            pair.into_iter()
                .max_by_key(|&(member, written)| weakness(member, written))
        })
        .max_by_key(|&(member, written)| weakness(member, written))
        .map(|(member, _)| member.name)
}

/// Whether `me`, which is joining, may come up: if it has links with all that are up. If none
/// is, one has to begin: of the joining the one that most of them reach, then the oldest.
pub fn comes_up(view: &View, me: NodeName) -> bool {
    let in_state = |state| {
        view.members
            .iter()
            .filter(move |member| member.state == state)
    };
    let joining = || in_state(MemberState::Joining);
    let Some(mine) = joining().find(|member| member.name == me) else {
        return false;
    };
    if in_state(MemberState::Up).next().is_some() {
        return in_state(MemberState::Up).all(|member| live(mine, member));
    }
    let first = joining().max_by_key(|one| {
        let links = joining().filter(|other| live(one, other)).count();
        (links, Reverse(age(one)))
    });
    first.is_some_and(|member| member.name == me)
}
