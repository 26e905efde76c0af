//! Which nodes there are, and which of them owns what.
//!
//! Pure and synchronous: a [`View`] says who is a member, [`Placement`] follows from it alone,
//! so every node that has the same view names the same owner without asking anybody.

mod member;
mod name;
mod placement;
mod view;

pub use member::{Fingerprint, FingerprintError, Member, MemberState};
pub use name::{NameError, NodeName};
pub use placement::{Placement, SHARDS, Shard};
pub use view::{RowError, View};
