//! Which nodes there are, and which of them owns what.
//!
//! Pure and synchronous: a [`View`] says who is a member, [`Placement`] follows from it alone,
//! so every node that has the same view names the same owner without asking anybody.
//! [`Membership`] is how a node enters the view, keeps its lease and judges the others.

mod backoff;
mod member;
pub mod membership;
mod name;
mod placement;
mod view;

pub use backoff::Backoff;
pub use member::{Fingerprint, FingerprintError, Member, MemberState};
pub use membership::{Answer, Ask, ENVELOPES, LEASE, Membership, Standing};
pub use name::{NameError, NodeName};
pub use placement::{Placement, SHARDS, Shard};
pub use view::{RowError, View};
