//! Who owns a conversation: weighted rendezvous over the members, one draw per shard.
//!
//! The hash is xxHash64 with seed 0, frozen: two releases of Ting that share a cluster must
//! name the same owner, so the golden tests below may never be edited to pass.

use crate::{NodeName, View};
use xxhash_rust::xxh64::xxh64;

/// How many shards conversations fall into; many more than members, so that shares are even.
pub const SHARDS: u16 = 1_024;

/// A part of all conversations that moves as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Shard(u16);

impl Shard {
    /// The shard of a conversation's key.
    pub fn of(key: &str) -> Self {
        // The remainder is below SHARDS, so it fits.
        Shard((xxh64(key.as_bytes(), 0) % u64::from(SHARDS)) as u16)
    }

    /// All of them.
    pub fn all() -> impl Iterator<Item = Shard> {
        (0..SHARDS).map(Shard)
    }

    /// Its number.
    pub fn number(self) -> u16 {
        self.0
    }
}

/// The owner of every shard, by one version of the view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placement {
    version: u64,
    owners: Vec<Option<NodeName>>,
}

impl Placement {
    /// A pure function of the view.
    pub fn of(view: &View) -> Self {
        let owners = Shard::all()
            .map(|shard| {
                view.owners()
                    .filter(|member| member.weight > 0)
                    .map(|member| (score(shard, member.name, member.weight), member.name))
                    .max_by(|one, other| one.0.total_cmp(&other.0).then(one.1.cmp(&other.1)))
                    .map(|(_, name)| name)
            })
            .collect();
        Placement {
            version: view.version,
            owners,
        }
    }

    /// The version it follows from.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Who owns it; none while no member may own.
    pub fn owner(&self, shard: Shard) -> Option<NodeName> {
        self.owners[usize::from(shard.0)]
    }

    /// How many shards a member owns.
    pub fn owned_by(&self, name: NodeName) -> usize {
        let owners = self.owners.iter();
        owners.filter(|owner| **owner == Some(name)).count()
    }
}

/// The member's draw for a shard: the highest wins. `-weight / ln(u)` with `u` uniform in (0, 1)
/// makes each member win in proportion to its weight, and a change of one member moves only what
/// it wins or loses.
fn score(shard: Shard, name: NodeName, weight: u16) -> f64 {
    let mut key = [0u8; 11];
    key[..2].copy_from_slice(&shard.0.to_be_bytes());
    key[2] = name.slot;
    key[3..].copy_from_slice(&name.since.to_be_bytes());
    // 53 bits are what an f64 holds exactly; the half keeps it off 0 and 1.
    let uniform = ((xxh64(&key, 0) >> 11) as f64 + 0.5) / (1u64 << 53) as f64;
    -f64::from(weight) / uniform.ln()
}

#[cfg(test)]
#[path = "placement/tests.rs"]
mod tests;
