//! What the public port tells of itself in numbers.

/// Connections that were not served, by the limit that they met.
pub const REFUSED: &str = "ting_connections_refused_total";
/// Connections whose client stopped reading.
pub const STALLED: &str = "ting_connections_stalled_total";

/// Says what they are.
pub fn describe() {
    metrics::describe_counter!(REFUSED, "Connections that were not served, by limit");
    metrics::describe_counter!(STALLED, "Connections whose client stopped reading");
}
