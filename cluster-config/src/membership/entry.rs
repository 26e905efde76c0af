//! Whether a node may enter the view.

use super::Silence;
use crate::{Member, NodeName, View};
use std::ops::RangeInclusive;

/// What the rows say to a node that is not among them yet.
#[derive(Debug, PartialEq, Eq)]
pub enum Entry {
    /// It may enter, and takes these out: they have been silent for longer than a lease.
    Open(Vec<NodeName>),
    /// A member forbids it, which may be dead: its next renewal or its silence will tell.
    Wait,
    /// It may not, for this reason.
    Closed(String),
}

/// Judges by rows and by who was heard in them.
///
/// A node without a listener is alone, and nobody joins one. Who speaks envelopes that nobody
/// here understands stays out. But a row may be all that is left of a member that crashed.
pub fn entry(
    view: &View,
    me: &Member,
    envelopes: &RangeInclusive<u16>,
    silence: &Silence,
) -> Entry {
    let mut dead = Vec::new();
    let mut waiting = false;
    for other in &view.members {
        let Some(why) = objection(other, me, envelopes) else {
            continue;
        };
        if silence.spoke(other.name) {
            return Entry::Closed(why);
        }
        if silence.is_silent(other.name) {
            dead.push(other.name);
        } else {
            waiting = true;
        }
    }
    if waiting {
        Entry::Wait
    } else {
        Entry::Open(dead)
    }
}

/// Why the one can't be a member beside the other.
fn objection(other: &Member, me: &Member, envelopes: &RangeInclusive<u16>) -> Option<String> {
    let name = other.name;
    if me.address.is_empty() {
        return Some(format!(
            "member {name} uses this store already; cluster.listen is needed to join it"
        ));
    }
    if other.address.is_empty() {
        return Some(format!(
            "member {name} uses this store without cluster.listen, so nobody can join it"
        ));
    }
    // A release speaks the newest envelope of the one before it too, so that a node of the old
    // one may come back while the new one is rolled out.
    let next = envelopes.end().saturating_add(1);
    if envelopes.contains(&other.envelope) || other.envelope == next {
        return None;
    }
    Some(format!(
        "member {name} of release {} speaks envelope {}, this node speaks {} to {}",
        other.release,
        other.envelope,
        envelopes.start(),
        envelopes.end()
    ))
}
