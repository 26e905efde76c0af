//! How many files and connections this process may have open.

use tracing::warn;

/// Descriptors for everything but the public port's connections: the store, the other nodes, the
/// operators, the log.
const BESIDE: u64 = 512;

/// Raises the limit as far as `connections` need it; one that the system keeps lower is told.
pub fn allow(connections: usize) {
    let wanted = (connections as u64).saturating_add(BESIDE);
    match rlimit::increase_nofile_limit(wanted) {
        Ok(allowed) if allowed >= wanted => {}
        Ok(allowed) => warn!(
            descriptors.wanted = wanted,
            descriptors.allowed = allowed,
            "limits.connections is more than the system lets this process open: raise its hard \
             limit (ulimit -Hn, LimitNOFILE=) or lower limits.connections"
        ),
        Err(error) => warn!(
            descriptors.wanted = wanted,
            %error,
            "the limit of descriptors can't be raised"
        ),
    }
}
