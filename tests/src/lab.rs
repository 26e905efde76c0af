//! Several nodes, each on a host of its own, over one database, and a network between them that
//! can be cut.
//!
//! A host is a network namespace with one leg in a bridge, where the tests and the database are
//! too. What is cut is dropped by rules inside the namespace, so connections notice it as they
//! do on a real network: not at all. `tests/chaos/run` makes the bridge.

mod network;

use crate::wire::{Flow, Wire};
use crate::{Cluster, Process, Settings, Ting, cluster, names, within_limit};
pub use network::Broken;
use network::Network;
use reqwest::Method;
use serde_json::Value;
use std::collections::BTreeSet;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

/// How long to wait before nodes are asked again.
const AGAIN: Duration = Duration::from_millis(100);

/// How long a node has to say what it thinks of the cluster; a paused one never does.
const ASKED: Duration = Duration::from_secs(1);

/// Where nodes listen for each other.
const CLUSTER_PORT: u16 = 7_946;

/// One lab starts at a time: each makes a schema, which a database does one after the other.
static STARTING: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// Nodes on hosts of their own.
#[derive(Debug)]
pub struct Lab {
    // Before the network: processes end before their hosts do.
    nodes: Vec<Ting>,
    cluster: Cluster,
    network: Network,
}

/// Whether this run has a lab; says so if not.
pub fn is_there() -> bool {
    let is = std::env::var_os("TING_TEST_BRIDGE").is_some() && cluster::has_database();
    if !is {
        println!("skipped: there is no network to cut; tests/chaos/run makes one");
    }
    is
}

impl Lab {
    /// So many nodes, all of them members.
    pub async fn of(nodes: usize) -> Lab {
        Lab::with(nodes, |_, settings| settings).await
    }

    /// So many nodes, each with a change of its settings.
    pub async fn with(nodes: usize, change: impl Fn(usize, Settings) -> Settings + Sync) -> Lab {
        Lab::on(Lab::network(nodes), change).await
    }

    /// So many nodes, and the wire by which the others reach each of them.
    pub async fn wired(nodes: usize) -> (Lab, Vec<Wire>) {
        let network = Lab::network(nodes);
        let here = std::env::var("TING_TEST_NET").expect("TING_TEST_NET is needed");
        let mut wires = Vec::new();
        for place in 0..nodes {
            let there = format!("{}:{CLUSTER_PORT}", network.address(place));
            wires.push(Wire::at(&format!("{here}.0.1"), &there, Flow::Open).await);
        }
        let by_wire = |place: usize, settings: Settings| {
            settings.text("cluster.advertise", &wires[place].address())
        };
        (Lab::on(network, by_wire).await, wires)
    }

    fn network(nodes: usize) -> Network {
        Network::of(nodes).unwrap_or_else(|error| panic!("{error}"))
    }

    async fn on(network: Network, change: impl Fn(usize, Settings) -> Settings + Sync) -> Lab {
        let _starting = STARTING.lock().await;
        let nodes = network.size();
        let keyspace = names::unique("lab").replace('-', "_");
        let database = crate::settings::database();
        let start = |place: usize| {
            let address = network.address(place);
            let settings = Settings::default()
                .text("http.listen", &format!("{address}:8080"))
                .text("admin.listen", &format!("{address}:8081"))
                .text("cluster.listen", &format!("{address}:{CLUSTER_PORT}"))
                // All people come from one address.
                .set("limits.sign_ins_per_minute", "1000")
                .set("limits.channels_per_minute", "1000")
                .through(&["ip", "netns", "exec", network.name(place)]);
            let settings = cluster::sharing(settings, &database, &keyspace);
            let process = Process::begin(change(place, settings))?;
            // The first one makes the schema, which takes several databases a second a table.
            let ready = || process.wait_for_log("ready", 0, |line| line["message"] == "ready");
            ready().or_else(|_| ready()).or_else(|_| ready())?;
            Ok(Arc::new(process))
        };
        // The first one makes the schema.
        let first = start(0);
        let others = std::thread::scope(|scope| {
            let start = &start;
            let starting: Vec<_> = (1..nodes)
                .map(|place| scope.spawn(move || start(place)))
                .collect();
            let started = starting.into_iter().map(|node| match node.join() {
                Ok(started) => started,
                Err(_) => Err("starting a node panicked".to_owned()),
            });
            started.collect::<Vec<_>>()
        });
        let processes: Result<Vec<_>, String> = std::iter::once(first).chain(others).collect();
        let processes = processes.unwrap_or_else(|error| panic!("{error}"));
        let cluster = Cluster::made_of(processes);
        let nodes = (0..nodes).map(|place| cluster.node(place)).collect();
        let lab = Lab {
            nodes,
            cluster,
            network,
        };
        lab.all_are_members().await;
        lab
    }

    /// The nodes.
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// Each of them alone.
    pub fn nodes(&self) -> &[Ting] {
        &self.nodes
    }

    /// How many there are.
    pub fn size(&self) -> usize {
        self.network.size()
    }

    /// From now on nothing that one node says reaches the other; the way back is open.
    pub fn drops(&self, from: usize, to: usize) -> Vec<Broken> {
        vec![self.network.drops(from, to)]
    }

    /// From now on the two don't reach each other.
    pub fn cuts(&self, one: usize, other: usize) -> Vec<Broken> {
        [self.drops(one, other), self.drops(other, one)].concat()
    }

    /// From now on this node and the database don't reach each other.
    pub fn cuts_database(&self, place: usize) -> Vec<Broken> {
        let database = crate::settings::database();
        vec![self.network.drops_port(place, &database)]
    }

    /// From now on so many of a hundred packets to this node are lost.
    pub fn loses(&self, place: usize, percent: u8) -> Vec<Broken> {
        vec![self.network.loses(place, percent)]
    }

    /// This reaches everybody again.
    pub fn mends(&self, broken: &[Broken]) {
        for broken in broken {
            self.network.mends(broken);
        }
    }

    /// Everything reaches everybody again.
    pub fn heals(&self) {
        self.network.heals();
    }

    /// Waits until all nodes are members, up and linked.
    pub async fn all_are_members(&self) {
        let all: Vec<usize> = (0..self.size()).collect();
        self.cluster.agrees(&all).await;
    }

    /// What a node says of itself and the others: its name, and who is up in its view.
    async fn view(&self, place: usize) -> Option<(String, BTreeSet<String>)> {
        let ask = self.nodes[place].admin(Method::GET, "/cluster");
        let answer = tokio::time::timeout(ASKED, ask.try_send()).await.ok()?;
        let answer = answer.ok().filter(|answer| answer.status == 200)?;
        let status = answer.json();
        let up = |member: &&Value| member["state"] == "up";
        let members = status["members"].as_array()?.iter();
        let up = members
            .filter(up)
            .filter_map(|member| member["name"].as_str());
        let name = status["node"].as_str()?.to_owned();
        Some((name, up.map(str::to_owned).collect()))
    }

    /// What each of them says; none of one that says nothing.
    pub async fn views(&self) -> Vec<Option<(String, BTreeSet<String>)>> {
        let views = (0..self.size()).map(|place| self.view(place));
        futures::future::join_all(views).await
    }

    /// The places of those that are up, if they say the same: each of them is up in its own view,
    /// and nobody else is.
    pub async fn up(&self) -> Option<Vec<usize>> {
        let views = self.views().await;
        let up = views.iter().enumerate().filter_map(|(place, view)| {
            let (name, up) = view.as_ref()?;
            up.contains(name).then_some((place, up))
        });
        let up: Vec<(usize, &BTreeSet<String>)> = up.collect();
        let agree = up.windows(2).all(|pair| pair[0].1 == pair[1].1);
        let whole = up.first().is_some_and(|(_, names)| names.len() == up.len());
        (agree && whole).then(|| up.iter().map(|(place, _)| *place).collect())
    }

    /// Waits until so many are up, and agree on it; which.
    pub async fn settles(&self, count: usize) -> Vec<usize> {
        within_limit(&format!("{count} members that agree"), self.settled(count)).await
    }

    /// The same, however long it takes: who is put out often stays away for half a minute.
    pub async fn settled(&self, count: usize) -> Vec<usize> {
        loop {
            match self.up().await {
                Some(up) if up.len() == count => return up,
                _ => tokio::time::sleep(AGAIN).await,
            }
        }
    }

    /// Stops the database as a machine that hangs does, until what this gives is dropped.
    pub fn pauses_database(&self) -> PausedDatabase {
        database("pause", 1);
        PausedDatabase
    }

    /// Has the database write its tables' definitions to the disk: it reads them from there when
    /// it starts, while what is in the tables comes from its log.
    pub fn readies_database(&self) {
        let server = concat!(env!("CARGO_MANIFEST_DIR"), "/cassandra/server");
        is_done(Command::new(server).args(["nodetool", "1", "flush", "system_schema"]));
    }

    /// Kills a node of the database, which are counted from 1, until what this gives is dropped:
    /// then it is started, and waited for.
    pub fn kills_database(&self, node: usize) -> KilledDatabase {
        database("kill", node);
        KilledDatabase(node)
    }
}

/// A database that hangs.
#[derive(Debug)]
pub struct PausedDatabase;

impl Drop for PausedDatabase {
    fn drop(&mut self) {
        database("cont", 1);
    }
}

/// A node of the database that is not there.
#[derive(Debug)]
pub struct KilledDatabase(usize);

impl Drop for KilledDatabase {
    fn drop(&mut self) {
        database("up", self.0);
    }
}

fn database(command: &str, node: usize) {
    let server = concat!(env!("CARGO_MANIFEST_DIR"), "/cassandra/server");
    is_done(Command::new(server).args([command, &node.to_string()]));
}

fn is_done(command: &mut Command) {
    let done = command.status();
    let well = done.as_ref().is_ok_and(|status| status.success());
    assert!(well, "{command:?}: {done:?}");
}
