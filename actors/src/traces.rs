//! Traces over nodes: what carries a trace from one process to another is the edge's matter, and
//! installed by it.

use std::sync::OnceLock;
use tracing::Span;

/// How a trace crosses processes.
#[derive(Debug, Clone, Copy)]
pub struct Propagation {
    /// The W3C `traceparent` of the span that is current; none if it is part of no trace.
    pub current: fn() -> Option<String>,
    /// Makes a span part of the trace of a `traceparent`.
    pub adopt: fn(&Span, &str),
}

/// One for the process, as there is one subscriber.
static PROPAGATION: OnceLock<Propagation> = OnceLock::new();

/// Has traces carried over links from now on. The first who says how is heard.
pub fn carry_traces(propagation: Propagation) {
    let _ = PROPAGATION.set(propagation);
}

/// What to send along with what is said now.
pub(crate) fn current() -> Option<String> {
    (PROPAGATION.get()?.current)()
}

/// A span becomes part of what it was sent along with.
pub(crate) fn adopt(span: &Span, parent: &str) {
    if let Some(propagation) = PROPAGATION.get() {
        (propagation.adopt)(span, parent);
    }
}
