//! How often one address may do what is dear.
//!
//! Kept as the instant up to which an address has used its share (a leaky bucket in one number),
//! so an address that was quiet for a minute takes no memory.

use crate::client_address::Client;
use crate::http::metric;
use crate::refusal::Refusal;
use metrics::counter;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// In which a share is used up and comes back.
const MINUTE: Duration = Duration::from_secs(60);

/// More addresses than this in one minute are an attack from everywhere; then all share the
/// memory of the quietest.
const ADDRESSES_MAX: usize = 65_536;

/// A share per address and minute.
#[derive(Debug)]
pub struct PerAddress {
    shares: Mutex<Shares>,
}

impl PerAddress {
    /// So often a minute, all at once or spread.
    pub fn new(per_minute: u32) -> Self {
        PerAddress {
            shares: Mutex::new(Shares::new(per_minute)),
        }
    }

    /// Takes one of the client's share.
    pub fn take(&self, client: &Client) -> Result<(), Refusal> {
        if !client.is_limited() {
            return Ok(());
        }
        // Nothing in there panics while it holds the lock; if it did, the shares are still whole.
        let mut shares = self.shares.lock().unwrap_or_else(|held| held.into_inner());
        shares.take(client.ip, Instant::now()).map_err(|wait| {
            counter!(metric::LIMITED).increment(1);
            Refusal::too_many(Some(wait))
        })
    }
}

/// The rule, with the time given.
#[derive(Debug)]
struct Shares {
    /// What one use costs.
    cost: Duration,
    used_until: HashMap<IpAddr, Instant>,
}

impl Shares {
    fn new(per_minute: u32) -> Self {
        Shares {
            cost: MINUTE / per_minute.max(1),
            used_until: HashMap::new(),
        }
    }

    fn take(&mut self, ip: IpAddr, now: Instant) -> Result<(), Duration> {
        if self.used_until.len() >= ADDRESSES_MAX {
            self.used_until.retain(|_, until| *until > now);
        }
        if self.used_until.len() >= ADDRESSES_MAX {
            // Full of addresses that are all in use: no new one gets a share.
            if !self.used_until.contains_key(&network(ip)) {
                return Err(self.cost);
            }
        }
        let until = self.used_until.entry(network(ip)).or_insert(now);
        let next = (*until).max(now) + self.cost;
        // A use that began within the minute may still end in it.
        let limit = now + MINUTE;
        if next > limit {
            return Err(next - limit);
        }
        *until = next;
        Ok(())
    }
}

/// A person has a /64 of IPv6 and can take any address in it.
fn network(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => IpAddr::V4(v4),
            None => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 64))),
        },
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(written: &str) -> IpAddr {
        written.parse().unwrap()
    }

    #[test]
    fn a_share_is_used_up_and_comes_back() {
        let mut shares = Shares::new(3);
        let start = Instant::now();
        for _ in 0..3 {
            assert_eq!(shares.take(ip("192.0.2.1"), start), Ok(()));
        }
        assert_eq!(
            shares.take(ip("192.0.2.1"), start),
            Err(Duration::from_secs(20))
        );
        assert_eq!(shares.take(ip("192.0.2.2"), start), Ok(()));
        let later = start + Duration::from_secs(20);
        assert_eq!(shares.take(ip("192.0.2.1"), later), Ok(()));
        assert!(shares.take(ip("192.0.2.1"), later).is_err());
    }

    #[test]
    fn neighbours_in_one_network_share() {
        let mut shares = Shares::new(1);
        let now = Instant::now();
        assert!(shares.take(ip("2001:db8::1"), now).is_ok());
        assert!(shares.take(ip("2001:db8::2"), now).is_err());
        assert!(shares.take(ip("2001:db8:0:1::1"), now).is_ok());
        assert!(shares.take(ip("192.0.2.1"), now).is_ok());
        assert!(shares.take(ip("::ffff:192.0.2.1"), now).is_err());
    }

    #[test]
    fn many_addresses_take_bounded_memory() {
        let mut shares = Shares::new(60);
        let now = Instant::now();
        for number in 0..ADDRESSES_MAX as u32 + 10 {
            let _ = shares.take(IpAddr::V4(number.into()), now);
        }
        assert_eq!(shares.used_until.len(), ADDRESSES_MAX);
        let later = now + MINUTE;
        assert!(shares.take(ip("203.0.113.9"), later).is_ok());
        assert_eq!(shares.used_until.len(), 1);
    }
}
