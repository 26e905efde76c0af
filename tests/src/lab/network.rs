//! Network namespaces with one leg each in a bridge, and the rules that cut them off.
//!
//! They are removed when this value is dropped, and by a watchdog when the test binary ends
//! before that.

use std::io::Write;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Mutex, PoisonError};

/// Labs of one run live beside each other.
static NEXT: AtomicU8 = AtomicU8::new(1);

/// What every host begins with: nothing is dropped.
const RULES: &str = "table inet cuts {
    chain heard { type filter hook input priority 0; }
    chain said { type filter hook output priority 0; }
}";

/// Hosts that reach each other, the tests and the database.
#[derive(Debug)]
pub struct Network {
    hosts: Vec<Host>,
    broken: Mutex<Vec<Broken>>,
    watchdog: Option<Child>,
}

/// Something that doesn't arrive: rules of one host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    place: usize,
    rules: String,
}

#[derive(Debug)]
struct Host {
    name: String,
    address: String,
}

impl Network {
    /// So many hosts.
    pub fn of(hosts: usize) -> Result<Network, String> {
        let variable = |name: &str| std::env::var(name).map_err(|_| format!("{name} is needed"));
        let bridge = variable("TING_TEST_BRIDGE")?;
        let net = variable("TING_TEST_NET")?;
        let lab = NEXT.fetch_add(1, Ordering::Relaxed);
        // An interface's name has 15 characters at most.
        let prefix = format!("tc{:x}l{lab}", std::process::id());
        let hosts: Vec<Host> = (0..hosts)
            .map(|host| Host {
                name: format!("{prefix}h{host}"),
                address: format!("{net}.{lab}.{}", 11 + host),
            })
            .collect();
        let names: Vec<&str> = hosts.iter().map(|host| host.name.as_str()).collect();
        let watchdog = watchdog(&names).map_err(|error| format!("no watchdog: {error}"))?;
        let network = Network {
            hosts,
            broken: Mutex::default(),
            watchdog: Some(watchdog),
        };
        for Host { name, address } in &network.hosts {
            ip(&["netns", "add", name])?;
            let leg = ["link", "add", name, "master", &bridge, "type", "veth"];
            ip(&[&leg[..], &["peer", "name", "eth0", "netns", name]].concat())?;
            ip(&["link", "set", name, "up"])?;
            ip(&[
                "-n",
                name,
                "addr",
                "add",
                &format!("{address}/16"),
                "dev",
                "eth0",
            ])?;
            ip(&["-n", name, "link", "set", "eth0", "up"])?;
            ip(&["-n", name, "link", "set", "lo", "up"])?;
            rules(name, RULES)?;
        }
        Ok(network)
    }

    /// How many hosts there are.
    pub fn size(&self) -> usize {
        self.hosts.len()
    }

    /// A host's namespace.
    pub fn name(&self, place: usize) -> &str {
        &self.hosts[place].name
    }

    /// A host's address.
    pub fn address(&self, place: usize) -> &str {
        &self.hosts[place].address
    }

    /// Nothing from one host arrives at the other.
    pub fn drops(&self, from: usize, to: usize) -> Broken {
        let from = self.address(from);
        self.breaks(to, format!("add rule inet cuts heard ip saddr {from} drop"))
    }

    /// Nothing goes from a host to an address and port, and nothing comes from there.
    pub fn drops_port(&self, place: usize, there: &str) -> Broken {
        let (host, port) = there.split_once(':').expect("an address has a port");
        self.breaks(
            place,
            format!(
                "add rule inet cuts said ip daddr {host} tcp dport {port} drop
                 add rule inet cuts heard ip saddr {host} tcp sport {port} drop"
            ),
        )
    }

    /// Of what a host is told, so many of a hundred packets don't arrive.
    pub fn loses(&self, place: usize, percent: u8) -> Broken {
        self.breaks(
            place,
            format!("add rule inet cuts heard numgen random mod 100 < {percent} drop"),
        )
    }

    /// This is whole again.
    pub fn mends(&self, broken: &Broken) {
        let mut all = self.broken();
        if let Some(at) = all.iter().position(|it| it == broken) {
            all.remove(at);
            self.applies(&all, broken.place);
        }
    }

    /// Everything is.
    pub fn heals(&self) {
        let mut all = self.broken();
        all.clear();
        for place in 0..self.hosts.len() {
            self.applies(&all, place);
        }
    }

    fn breaks(&self, place: usize, rules: String) -> Broken {
        let broken = Broken { place, rules };
        let mut all = self.broken();
        all.push(broken.clone());
        self.applies(&all, place);
        broken
    }

    fn applies(&self, all: &[Broken], place: usize) {
        let mut script = "flush table inet cuts\n".to_owned();
        for broken in all.iter().filter(|broken| broken.place == place) {
            script += &broken.rules;
            script.push('\n');
        }
        if let Err(error) = rules(self.name(place), &script) {
            panic!("{error}");
        }
    }

    fn broken(&self) -> std::sync::MutexGuard<'_, Vec<Broken>> {
        self.broken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        if let Some(mut watchdog) = self.watchdog.take() {
            // It removes everything when its input ends, which waiting for it does.
            let _ = watchdog.wait();
        }
    }
}

/// Removes namespaces, and with each its leg in the bridge, when this process ends or says so.
fn watchdog(names: &[&str]) -> std::io::Result<Child> {
    let script = "trap '' INT TERM; read -r _; for name; do ip netns del \"$name\"; done";
    Command::new("sh")
        .args(["-c", script, "sh"])
        .args(names)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
}

fn ip(arguments: &[&str]) -> Result<(), String> {
    let done = Command::new("ip").args(arguments).output();
    match done {
        Ok(done) if done.status.success() => Ok(()),
        other => Err(format!("ip {}: {other:?}", arguments.join(" "))),
    }
}

fn rules(name: &str, rules: &str) -> Result<(), String> {
    let mut nft = Command::new("ip")
        .args(["netns", "exec", name, "nft", "-f", "-"])
        .stdin(Stdio::piped())
        .spawn()
        .map_err(|error| format!("nft: {error}"))?;
    let mut input = nft.stdin.take().ok_or("nft takes no input")?;
    let written = input.write_all(rules.as_bytes());
    drop(input);
    let done = nft.wait();
    match (written, done) {
        (Ok(()), Ok(status)) if status.success() => Ok(()),
        other => Err(format!("nft in {name}: {rules:?}: {other:?}")),
    }
}
