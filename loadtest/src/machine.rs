//! What the machine must allow before thousands of connections can be opened.

use std::net::{IpAddr, Ipv4Addr};

use anyhow::{Context, ensure};

/// Descriptors for everything but viewers: listeners, HTTP connections, reports.
const DESCRIPTORS_BESIDE: u64 = 512;

/// Loopback addresses to dial from, each with its own ephemeral ports.
const SOURCES: u8 = 4;

/// Raises the limit of descriptors as far as is needed, or explains what is lacking.
pub fn allow_connections(connections: usize) -> anyhow::Result<()> {
    let wanted = connections as u64 + DESCRIPTORS_BESIDE;
    let allowed = rlimit::increase_nofile_limit(wanted).context("the limit of descriptors")?;
    ensure!(
        allowed >= wanted,
        "{connections} connections need {wanted} descriptors, and this process may have \
         {allowed}: raise the hard limit (ulimit -Hn, LimitNOFILE= of a service), spread the \
         viewers over several processes (--processes), or ask for at most {} viewers",
        allowed.saturating_sub(DESCRIPTORS_BESIDE)
    );
    let ports = ephemeral_ports().unwrap_or(28_000);
    ensure!(
        connections <= ports * usize::from(SOURCES),
        "{connections} connections need as many ports, and {SOURCES} loopback addresses have \
         {ports} each (net.ipv4.ip_local_port_range)"
    );
    Ok(())
}

/// Where the n-th connection is dialled from; only loopback has addresses to spare.
pub fn source(host_is_loopback: bool, number: usize) -> Option<IpAddr> {
    let last = 1 + (number % usize::from(SOURCES)) as u8;
    host_is_loopback.then(|| Ipv4Addr::new(127, 0, 0, last).into())
}

/// Whether an address is this machine by its IPv4 loopback.
pub fn is_loopback(url: &str) -> bool {
    let host = url::Url::parse(url)
        .ok()
        .and_then(|url| url.host_str().map(str::to_owned));
    host.is_some_and(|host| host == "localhost" || host.starts_with("127."))
}

fn ephemeral_ports() -> Option<usize> {
    let range = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").ok()?;
    let mut bounds = range.split_whitespace().map(str::parse::<usize>);
    let (low, high) = (bounds.next()?.ok()?, bounds.next()?.ok()?);
    Some(high.saturating_sub(low) + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lack_of_descriptors_is_explained() {
        assert!(allow_connections(10).is_ok());
        let lack = allow_connections(usize::MAX / 4).unwrap_err().to_string();
        assert!(
            lack.contains("descriptors") && lack.contains("--processes"),
            "{lack}"
        );
    }

    #[test]
    fn loopback_connections_are_spread_over_its_addresses() {
        assert!(is_loopback("http://127.0.0.1:8080") && is_loopback("http://localhost:1"));
        assert!(!is_loopback("http://10.0.0.1:8080"));
        let sources: std::collections::HashSet<_> = (0..8).map(|n| source(true, n)).collect();
        assert_eq!(sources.len(), 4);
        assert_eq!(source(false, 1), None);
    }
}
