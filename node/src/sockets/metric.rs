//! What the edge tells of itself in numbers.

/// Sockets that are open, logged in or not.
pub const SOCKETS: &str = "ting_sockets";
/// Sockets that this side ended.
pub const KILLED: &str = "ting_sockets_killed_total";
/// Events that were encoded, each once.
pub const ENCODED: &str = "ting_packets_encoded_total";
/// Packets that were emitted, one for each socket.
pub const SENT: &str = "ting_packets_sent_total";
/// Events of clients that were refused.
pub const REFUSED: &str = "ting_events_refused_total";

/// Says what they are, and that there are no sockets yet: who scales by them takes a node without
/// a number for one that has its fill, and never takes it away.
pub fn describe() {
    metrics::gauge!(SOCKETS).increment(0.0);
    metrics::describe_gauge!(SOCKETS, "Sockets that are open, logged in or not");
    metrics::describe_counter!(KILLED, "Sockets that this side ended, by why");
    metrics::describe_counter!(ENCODED, "Events that were encoded, each once");
    metrics::describe_counter!(SENT, "Packets that were emitted, one for each socket");
    metrics::describe_counter!(REFUSED, "Events of clients that were refused, by why");
}
