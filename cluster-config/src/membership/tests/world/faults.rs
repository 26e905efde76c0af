//! What can go wrong.

/// What the store does with what a host asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreFault {
    /// It never arrives.
    Away,
    /// It is done, and the answer is lost.
    Unheard,
    /// It is done up to five seconds later, when the host has given up.
    Late,
    /// It can be read, and is not written.
    ReadOnly,
    /// It takes up to 900 ms.
    Slow,
    /// Each ask has one of these fates, or none.
    Any,
}

/// What happens to hosts, by their numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// Packets from one to the other are lost.
    Cut(usize, usize),
    /// Packets between them are lost, both ways.
    CutBoth(usize, usize),
    /// One believes that it doesn't reach the other, who doesn't notice.
    Deaf(usize, usize),
    /// A process stands still, and goes on as if nothing had been.
    Pause(usize),
    /// A process dies, and comes back when the fault ends.
    Kill(usize),
    /// A process drains, leaves, and comes back when the fault ends.
    Drain(usize),
    /// A clock is set forward by as many milliseconds.
    Jump(usize, i64),
    /// The store, for one host or for all.
    Store(Option<usize>, StoreFault),
}
