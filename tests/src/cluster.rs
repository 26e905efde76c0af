//! Several nodes over one database.

use crate::{Process, Settings, Ting, names, within_limit};
use reqwest::Method;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

/// How long to wait before nodes are asked again what they act by.
const AGAIN: Duration = Duration::from_millis(50);

/// How long a node that is always restarted serves.
const RESTS: Duration = Duration::from_millis(500);

/// Nodes that are members of one cluster.
#[derive(Debug)]
pub struct Cluster {
    processes: Vec<Arc<Process>>,
}

/// The database that tests of several nodes need, if this run has one; says so if not.
pub fn has_database() -> bool {
    let has = std::env::var_os("TING_TEST_CQL").is_some();
    if !has {
        println!("skipped: several nodes need a database, and TING_TEST_CQL names none");
    }
    has
}

/// Starts nodes over a keyspace of their own.
pub fn start(nodes: usize, settings: &Settings) -> Result<Vec<Arc<Process>>, String> {
    let database = std::env::var("TING_TEST_CQL").map_err(|_| "TING_TEST_CQL is needed")?;
    let keyspace = names::unique("c").replace('-', "_");
    let settings =
        sharing(settings.clone(), &database, &keyspace).text("cluster.listen", "127.0.0.1:0");
    // The first one makes the schema.
    let first = Process::start(settings.clone())?;
    let others = std::thread::scope(|scope| {
        let starting: Vec<_> = (1..nodes)
            .map(|_| scope.spawn(|| Process::start(settings.clone())))
            .collect();
        let started = starting.into_iter().map(|node| {
            node.join()
                .map_err(|_| "starting a node panicked".to_owned())?
        });
        started.collect::<Result<Vec<_>, String>>()
    })?;
    Ok(std::iter::once(first).chain(others).map(Arc::new).collect())
}

/// Restarts a node again and again, a moment after it serves, until this process ends: what others
/// own moves back and forth all the while.
pub fn never_rests(node: Arc<Process>) {
    std::thread::spawn(move || {
        loop {
            std::thread::sleep(RESTS);
            node.signal("TERM");
            node.ended();
            node.start_again();
        }
    });
}

/// Settings of a node that shares this keyspace, which every node of the database has.
pub fn sharing(settings: Settings, database: &str, keyspace: &str) -> Settings {
    let nodes: Vec<&str> = database.split(',').collect();
    settings
        .text("store.kind", "cql")
        .set("store.nodes", &format!("{nodes:?}"))
        .text("store.datacenter", "dc1")
        .text("store.keyspace", keyspace)
        .set("store.replication", &nodes.len().to_string())
}

impl Cluster {
    /// These nodes; whether they are members yet is not waited for.
    pub fn made_of(processes: Vec<Arc<Process>>) -> Cluster {
        Cluster { processes }
    }

    /// So many nodes, all of them members.
    pub async fn of(nodes: usize) -> Cluster {
        Cluster::with(nodes, Settings::default()).await
    }

    /// So many nodes with these settings, all of them members.
    pub async fn with(nodes: usize, settings: Settings) -> Cluster {
        let processes = start(nodes, &settings).unwrap_or_else(|error| panic!("{error}"));
        let cluster = Cluster { processes };
        cluster.agrees(&(0..nodes).collect::<Vec<_>>()).await;
        cluster
    }

    /// One more with the settings of the first, which all others know as a member; its place.
    pub async fn joins(&mut self) -> usize {
        let settings = self.processes[0].settings();
        let node = Process::start(settings).unwrap_or_else(|error| panic!("{error}"));
        self.processes.push(Arc::new(node));
        self.agrees(&(0..self.processes.len()).collect::<Vec<_>>())
            .await;
        self.processes.len() - 1
    }

    /// One of them alone.
    pub fn node(&self, place: usize) -> Ting {
        Ting::of(vec![self.processes[place].clone()])
    }

    /// Some of them, in turn.
    pub fn nodes(&self, places: &[usize]) -> Ting {
        let processes = places.iter().map(|place| self.processes[*place].clone());
        Ting::of(processes.collect())
    }

    /// A node's process.
    pub fn process(&self, place: usize) -> &Process {
        &self.processes[place]
    }

    /// What a node says of the cluster, and of the owner of a channel.
    pub async fn status(&self, place: usize, channel: &str) -> Option<Value> {
        self.says(place, &format!("channel={channel}")).await
    }

    async fn says(&self, place: usize, whose: &str) -> Option<Value> {
        let path = format!("/cluster?{whose}");
        let ask = self.node(place).admin(Method::GET, &path);
        let answer = ask.try_send().await.ok()?;
        (answer.status == 200).then(|| answer.json())
    }

    /// Waits until these nodes, and nobody else, are members and up, and act by one view.
    pub async fn agrees(&self, places: &[usize]) {
        let agreeing = async {
            while !self.agree(places).await {
                tokio::time::sleep(AGAIN).await;
            }
        };
        within_limit("nodes agree on who is a member", agreeing).await;
    }

    async fn agree(&self, places: &[usize]) -> bool {
        let mut versions = Vec::new();
        for place in places {
            let Some(status) = self.status(*place, "ting").await else {
                return false;
            };
            let members = status["members"].as_array().cloned().unwrap_or_default();
            let up = members.iter().filter(|member| member["state"] == "up");
            let links = status["links"].as_array().map_or(0, Vec::len);
            if up.count() != places.len()
                || members.len() != places.len()
                || links != places.len() - 1
            {
                return false;
            }
            versions.push(status["version"].clone());
        }
        versions.windows(2).all(|pair| pair[0] == pair[1])
    }

    /// Which node owns a channel.
    pub async fn owner(&self, channel: &str) -> usize {
        self.owner_of(&format!("channel={channel}")).await
    }

    /// Which node owns what two people say to each other.
    pub async fn owner_between(&self, one: &str, other: &str) -> usize {
        let [one, other] = [one, other].map(names::segment);
        self.owner_of(&format!("user={one}&other={other}")).await
    }

    async fn owner_of(&self, whose: &str) -> usize {
        for place in 0..self.processes.len() {
            if let Some(status) = self.says(place, whose).await
                && status["owner"] == status["node"]
            {
                return place;
            }
        }
        panic!("nobody owns {whose}");
    }
}
