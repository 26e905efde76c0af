//! The view: who is a member, and in which state.

use serde::{Deserialize, Serialize};

/// A node's name: its slot of the id space and the time from which it holds it, so it is new at
/// every start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NodeName {
    /// The slot of the id space it gives ids from.
    pub slot: u8,
    /// The first millisecond of its reservation.
    pub since: i64,
}

impl std::fmt::Display for NodeName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{:x}", self.slot, self.since)
    }
}

/// What a member does at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MemberState {
    /// Counted, and owns nothing yet.
    Joining,
    /// Owns its share.
    Up,
    /// Hands its share over and goes.
    Draining,
}

/// One node of the view.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Its name.
    pub name: NodeName,
    /// What it does.
    pub state: MemberState,
    /// Its share beside the others'; 1 is usual, and 0 is never drawn.
    pub weight: u16,
}

/// The members, as of one version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct View {
    /// Counts the changes; of two views the higher one holds.
    pub version: u64,
    /// Who is counted, in any order.
    pub members: Vec<Member>,
}

impl View {
    /// The view of a node that is alone: constant.
    pub fn alone(name: NodeName) -> Self {
        View {
            version: 1,
            members: vec![Member {
                name,
                state: MemberState::Up,
                weight: 1,
            }],
        }
    }

    /// Who may own: the members that are up; if none is, those draining.
    pub fn owners(&self) -> impl Iterator<Item = &Member> {
        let any_up = self
            .members
            .iter()
            .any(|member| member.state == MemberState::Up);
        let state = if any_up {
            MemberState::Up
        } else {
            MemberState::Draining
        };
        self.members
            .iter()
            .filter(move |member| member.state == state)
    }
}
