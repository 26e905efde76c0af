//! Everything that happens between people while they type: sessions, conversations, typing
//! messages, relays and who is online, as actors addressed by kind and id.
//!
//! Data flows one way: edge → session → owner → typing message → channel → relay → sockets.
//! [`System`] is the only way in; [`edge::Sockets`] is the only way out.

mod channel;
mod claim;
mod clock;
mod cluster;
mod directory;
pub mod edge;
mod fanout;
mod frame;
mod locks;
mod metric;
mod node;
mod pace;
mod people;
mod presence;
mod relay;
mod requests;
mod roster;
mod session;
mod settings;
mod supervisor;
mod system;
mod tail;
#[cfg(test)]
mod tests;
mod timeline;
mod traces;
mod typing_message;
mod under_way;

pub use cluster::{ClusterLinks, LinkError, Links};
pub use requests::{
    Destination, EnterError, History, Login, Patch, Patched, Post, Posted, PrivilegedPatch,
    PrivilegedPost, TypingError, Unanswered, Via,
};
pub use settings::Limits;
pub use system::{Start, StartError, StoreHealth, System};
pub use traces::{Propagation, carry_traces};
