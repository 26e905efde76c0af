//! What requests tell of themselves in numbers.

use metrics::{Unit, describe_counter, describe_histogram};

/// How long requests took.
pub const SECONDS: &str = "ting_http_seconds";
/// Requests that were answered.
pub const REQUESTS: &str = "ting_http_requests_total";
/// Requests refused because their address had used up its share.
pub const LIMITED: &str = "ting_http_limited_total";
/// Requests that nothing answered in time.
pub const DEADLINES: &str = "ting_http_deadlines_total";
/// Writes refused because of the page they came from.
pub const FOREIGN_ORIGINS: &str = "ting_http_foreign_origins_total";
/// Attempts to sign in.
pub const SIGN_INS: &str = "ting_sign_ins_total";

/// Says what they are.
pub fn describe() {
    describe_histogram!(SECONDS, Unit::Seconds, "How long requests took, by route");
    describe_counter!(
        REQUESTS,
        "Requests that were answered, by route, method and status"
    );
    describe_counter!(
        LIMITED,
        "Requests refused because their address had used up its share"
    );
    describe_counter!(DEADLINES, "Requests that nothing answered in time");
    describe_counter!(
        FOREIGN_ORIGINS,
        "Writes refused because of the page they came from"
    );
    describe_counter!(SIGN_INS, "Attempts to sign in, by outcome");
}
