//! Which nodes there are, and which of them owns what.
//!
//! Pure and synchronous: a [`View`] says who is a member, [`Placement`] follows from it alone,
//! so every node that has the same view names the same owner without asking anybody.

mod placement;
mod view;

pub use placement::{Placement, SHARDS, Shard};
pub use view::{Member, MemberState, NodeName, View};
