//! What an operator may choose about the actors.

use serde::Deserialize;

/// Limits on what people may do, section `limits`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Messages one person types at the same time in one conversation: a person has two hands
    /// and a few devices.
    pub typing_messages_per_conversation: usize,
    /// Messages one sign-in may begin a second on one node, on average, and as many that it may
    /// send.
    pub sends_per_second: u32,
    /// And at once.
    pub sends_burst: u32,
    /// Conversations one connection is in: more than fit a sidebar.
    pub conversations_per_connection: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            typing_messages_per_conversation: 3,
            sends_per_second: 10,
            sends_burst: 50,
            conversations_per_connection: 50,
        }
    }
}
