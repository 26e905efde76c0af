//! What the actors tell of themselves in numbers.

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};

/// Whether the store answered when it was last asked.
const STORE_ANSWERS: &str = "ting_store_answers";

/// Notes whether the store answered.
pub fn store_answers(does: bool) {
    metrics::gauge!(STORE_ANSWERS).set(if does { 1.0 } else { 0.0 });
}

/// Says what they are.
pub fn describe() {
    describe_gauge!(
        STORE_ANSWERS,
        "Whether the store answered when it was last asked: 1 or 0"
    );
    describe_gauge!("ting_people_online", "People with a connection anywhere");
    describe_gauge!(
        "ting_connections",
        "Connections that are logged in, anywhere"
    );
    describe_gauge!("ting_conversations", "Conversations that live on this node");
    describe_gauge!(
        "ting_typing_messages",
        "Messages being typed whose conversation lives on this node"
    );
    describe_gauge!("ting_sessions", "Sign-ins that are active on this node");
    describe_gauge!(
        "ting_relays",
        "Conversations that somebody on this node looks at"
    );
    describe_gauge!("ting_view_version", "The version of the cluster's view");
    describe_gauge!(
        "ting_lease_left_seconds",
        Unit::Seconds,
        "For how long this node may still acknowledge; 0 if it may not"
    );
    describe_gauge!(
        "ting_members",
        "Members of the view that was read last, by state"
    );
    describe_gauge!("ting_shards_owned", "Shards that this node owns, of 1,024");
    describe_gauge!(
        "ting_link_unacknowledged_bytes",
        Unit::Bytes,
        "What was said to other nodes and not taken in by them yet"
    );
    describe_counter!(
        "ting_takeovers_total",
        "Shards that came to this node, by whether their last owner is there to hand them over"
    );
    describe_counter!(
        "ting_epochs_total",
        "Lives of conversations that began on this node: moves, failures and first uses"
    );
    describe_counter!(
        "ting_actor_restarts_total",
        "Actors that failed and were started again, by kind"
    );
    describe_counter!("ting_keystrokes_total", "Changes of text that people made");
    describe_counter!(
        "ting_frames_total",
        "Frames that conversations sent, one for each node that looks"
    );
    describe_counter!(
        "ting_link_frames_dropped_total",
        "Frames to other nodes that a full link did not take"
    );
    describe_counter!(
        "ting_envelopes_refused_total",
        "Parts of other nodes' messages that could not be read"
    );
    describe_histogram!(
        "ting_keystroke_delivery_seconds",
        Unit::Seconds,
        "From a change of text to the sockets that show it"
    );
    describe_histogram!(
        "ting_link_round_trip_seconds",
        Unit::Seconds,
        "How long another node took to answer a ping"
    );
}
