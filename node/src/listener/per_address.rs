//! How many of something each address has, and no more than it may.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

/// Counts per address. Cheap to clone; all clones count together.
#[derive(Debug, Clone)]
pub struct PerAddress {
    most: usize,
    counts: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

/// A place that was given; dropping it gives it back.
#[derive(Debug)]
pub struct Admitted {
    address: Option<IpAddr>,
    counts: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

impl PerAddress {
    /// At most so many each.
    pub fn new(most: usize) -> Self {
        PerAddress {
            most,
            counts: Arc::default(),
        }
    }

    /// A place for one more, if the address has not used up its own. Nobody is always admitted.
    pub fn admit(&self, address: Option<IpAddr>) -> Option<Admitted> {
        let address = address.map(household);
        if let Some(address) = address {
            let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
            let count = counts.entry(address).or_default();
            if *count >= self.most {
                if *count == 0 {
                    counts.remove(&address);
                }
                return None;
            }
            *count += 1;
        }
        Some(Admitted {
            address,
            counts: self.counts.clone(),
        })
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let Some(address) = self.address else {
            return;
        };
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Entry::Occupied(mut count) = counts.entry(address) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}

/// One customer of a provider: an IPv4 address, or the whole IPv6 network of 64 bits within which
/// a customer has any address.
fn household(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let network = u128::from(v6) >> 64 << 64;
            IpAddr::V6(Ipv6Addr::from(network))
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(written: &str) -> Option<IpAddr> {
        Some(written.parse().unwrap())
    }

    #[test]
    fn each_address_has_its_own_places_and_gets_them_back() {
        let places = PerAddress::new(2);
        let first = places.admit(ip("1.2.3.4")).unwrap();
        let _second = places.admit(ip("::ffff:1.2.3.4")).unwrap();
        assert!(places.admit(ip("1.2.3.4")).is_none());
        assert!(places.admit(ip("1.2.3.5")).is_some());
        drop(first);
        assert!(places.admit(ip("1.2.3.4")).is_some());
    }

    #[test]
    fn a_household_shares_its_places() {
        let places = PerAddress::new(1);
        let _one = places.admit(ip("2001:db8::1")).unwrap();
        assert!(places.admit(ip("2001:db8::2:1")).is_none());
        assert!(places.admit(ip("2001:db8:0:1::1")).is_some());
    }

    #[test]
    fn nothing_is_kept_of_who_is_gone() {
        let places = PerAddress::new(1);
        drop(places.admit(ip("1.2.3.4")));
        assert!(PerAddress::new(0).admit(ip("1.2.3.4")).is_none());
        assert!(places.counts.lock().unwrap().is_empty());
        assert!(places.admit(None).is_some());
    }
}
