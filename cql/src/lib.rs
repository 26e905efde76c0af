//! What Ting keeps, and the stores that keep it.
//!
//! The domain's values are parsed here once ([`Username`], [`ChannelName`], [`MessageText`]) and
//! are right everywhere after. [`Store`] is the one door to what is durable; it is shaped by
//! what a distributed store can do inside one partition, so that every implementation can hold
//! it: the embedded file in [`embedded`], a cluster of ScyllaDB or Cassandra in [`scylla`]. What both
//! do is one suite, `contract`.

#[cfg(any(test, feature = "contract"))]
pub mod contract;
pub mod copy;
pub mod embedded;
pub mod scylla;

mod conversation;
mod ids;
mod members;
mod message;
mod metric;
mod names;
mod profile;
mod sign_in;
mod store;

pub use conversation::Conversation;
pub use ids::{EPOCH, MessageId, Millis, Places, SLOTS, UserId};
pub use members::{MemberRows, Members, Swapped};
pub use message::{Message, MessageText, TextError};
pub use names::{ChannelName, NameError, Username};
pub use profile::{Birthday, Email, Gender, Profile, ProfileError, User};
pub use sign_in::{SessionToken, SignIn, SignInHash};
pub use store::{
    Append, ClaimedName, Ended, Inbox, KeyClaim, NewUser, Page, Placed, ProfileChanges, Range,
    Slot, Store, StoreError,
};
