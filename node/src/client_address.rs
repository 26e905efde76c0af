//! Who is at the other end when there may be a proxy between.
//!
//! Only a proxy that the operator named is believed, and of what it passes on only the part that
//! it wrote itself: the last address in `X-Forwarded-For` that is not a trusted proxy's. That is
//! the one header read, since a proxy that sets one lets a client's own spelling of another pass.

use http::HeaderMap;
use ipnet::IpNet;
use std::net::IpAddr;
use std::sync::Once;

/// What proxies say about who they speak for.
const FORWARDED: [&str; 3] = ["x-forwarded-for", "forwarded", "x-real-ip"];

/// The proxies whose word is taken.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Proxies(Vec<IpNet>);

/// Why a list of proxies is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is neither an address nor a network like 10.0.0.0/8")]
pub struct ProxyError(String);

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Client {
    /// The client's address, or of the nearest machine that is not believed.
    pub ip: IpAddr,
    /// Whether a forwarding header was there, believed or not.
    pub forwarded: bool,
    /// Whether a trusted proxy says that the client came encrypted.
    pub https: bool,
    /// Whether there was a forwarding header from an address that is not trusted: either somebody
    /// pretends, or `http.trusted_proxies` misses a proxy.
    pub distrusted: bool,
}

impl Client {
    /// Whether limits per address hold for it. Whoever is on this machine may open as much as
    /// they like, but a proxy here speaks for others.
    pub fn is_limited(&self) -> bool {
        self.forwarded || !self.ip.is_loopback()
    }

    /// Tells the operator of a header that was not believed, once in a process: wherever the
    /// first one came, the next ones say the same.
    pub fn tell_of_distrust(&self) {
        static ONCE: Once = Once::new();
        if self.distrusted {
            ONCE.call_once(|| {
                tracing::warn!(
                    address = %self.ip,
                    "a forwarding header came from an address that is not in \
                     http.trusted_proxies and was not believed"
                );
            });
        }
    }
}

impl Proxies {
    /// Reads `http.trusted_proxies`: addresses and networks.
    pub fn parse<S: AsRef<str>>(list: &[S]) -> Result<Self, ProxyError> {
        list.iter()
            .map(|written| {
                let written = written.as_ref().trim();
                written
                    .parse::<IpNet>()
                    .or_else(|_| written.parse::<IpAddr>().map(IpNet::from))
                    .map_err(|_| ProxyError(written.to_owned()))
            })
            .collect::<Result<_, _>>()
            .map(Proxies)
    }

    /// Whether this address is a trusted proxy's.
    pub fn trusts(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }

    /// Who asks, as far as the headers can be believed.
    pub fn client(&self, peer: IpAddr, headers: &HeaderMap) -> Client {
        let peer = peer.to_canonical();
        let forwarded = FORWARDED.iter().any(|name| headers.contains_key(*name));
        if !self.trusts(peer) {
            return Client {
                ip: peer,
                forwarded,
                https: false,
                distrusted: forwarded,
            };
        }
        Client {
            ip: self.forwarded_for(headers).unwrap_or(peer),
            forwarded,
            https: last(headers, "x-forwarded-proto").is_some_and(|p| p == "https"),
            distrusted: false,
        }
    }

    /// From the right, since each proxy appends the address it was asked from: the first that is
    /// not a proxy's, or the last proxy before something unreadable.
    fn forwarded_for(&self, headers: &HeaderMap) -> Option<IpAddr> {
        let mut nearest = None;
        let lines: Vec<_> = headers.get_all("x-forwarded-for").iter().collect();
        for line in lines.iter().rev() {
            for hop in line.to_str().ok()?.rsplit(',') {
                let Some(address) = address(hop.trim()) else {
                    return nearest;
                };
                nearest = Some(address);
                if !self.trusts(address) {
                    return nearest;
                }
            }
        }
        nearest
    }
}

/// An address as proxies write it, some of them with a port or in brackets.
fn address(written: &str) -> Option<IpAddr> {
    let bare = written.strip_prefix('[').and_then(|w| w.split_once(']'));
    let ip = match bare {
        Some((ip, _port)) => ip.parse().ok()?,
        None => match written.parse::<IpAddr>() {
            Ok(ip) => ip,
            Err(_) => written.parse::<std::net::SocketAddr>().ok()?.ip(),
        },
    };
    Some(ip.to_canonical())
}

fn last<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let line = headers.get_all(name).iter().next_back()?;
    line.to_str().ok()?.rsplit(',').next().map(str::trim)
}

#[cfg(test)]
#[path = "client_address/tests.rs"]
mod tests;
