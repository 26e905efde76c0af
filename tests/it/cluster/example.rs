//! The README's cluster on one machine: its three files of settings, its proxy and its commands,
//! as they are but for their loopback addresses and the database, which are the test's own.

use super::{channel, full, on};
use reqwest::Method;
use serde_json::Value;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use tests::{Cluster, Person, Process, Room, Settings, Ting};
use tests::{cluster, names, process, settings, within_limit};

/// How long to wait before the proxy is asked again whether it is there.
const AGAIN: Duration = Duration::from_millis(50);

/// One of the example's files, with addresses that are this test's alone.
fn example(name: &str, network: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../node/examples");
    let mut text = std::fs::read_to_string(folder.join(name)).unwrap();
    for host in 1..=3 {
        text = text.replace(&format!("127.0.0.{host}:"), &format!("{network}.{host}:"));
    }
    text
}

/// The proxy, which ends when this is dropped or the test's process ends.
struct Proxy {
    process: Child,
    _directory: tempfile::TempDir,
}

impl Proxy {
    /// In front of the three; none where there is no nginx.
    fn start(network: &str) -> Option<Proxy> {
        let directory = tempfile::tempdir().unwrap();
        // Its workers are somebody else's.
        let open = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(directory.path(), open).unwrap();
        let settings = directory.path().join("nginx.conf");
        std::fs::write(&settings, example("nginx.conf", network)).unwrap();
        Command::new("nginx").arg("-v").output().ok()?;
        let process = Command::new("sh")
            .args(["-c", r#"nginx -p "$0" -c "$1" & read -r _; kill $!; wait"#])
            .args([directory.path(), &settings])
            .stdin(Stdio::piped())
            .spawn();
        Some(Proxy {
            process: process.unwrap(),
            _directory: directory,
        })
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // What it waits for ends with this.
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}

/// A client that polls, in as much of its protocol as it takes to log in and hear.
struct Poller {
    front: Ting,
    login: Value,
    session: String,
    /// How often it has connected.
    connected: usize,
}

impl Poller {
    fn new(front: &Ting, login: Value) -> Poller {
        Poller {
            front: front.clone(),
            login,
            session: String::new(),
            connected: 0,
        }
    }

    /// The packets that there are, or the status of a refusal.
    async fn polls(&self) -> Result<Vec<String>, u16> {
        let answer = self.front.get(&self.session).await;
        match answer.status {
            200 => Ok(answer.text.split('\x1e').map(str::to_owned).collect()),
            refused => Err(refused),
        }
    }

    async fn says(&self, packet: &str) -> Result<(), u16> {
        let post = self.front.post(&self.session);
        match post.body("text/plain", packet).await.status {
            200 => Ok(()),
            refused => Err(refused),
        }
    }

    async fn connects(&mut self) -> Result<(), u16> {
        self.session = "/socket.io/?EIO=4&transport=polling".to_owned();
        let opened = self.polls().await?;
        let opened: Value = serde_json::from_str(&opened[0][1..]).unwrap();
        self.session += &format!("&sid={}", opened["sid"].as_str().unwrap());
        self.says("40").await?;
        while !self
            .polls()
            .await?
            .iter()
            .any(|packet| packet.starts_with("40"))
        {}
        self.connected += 1;
        let login = serde_json::json!(["login", self.login]);
        self.says(&format!("42{login}")).await
    }

    /// Waits until an event has all of these words; a session that is not known where it is led it
    /// opens anew, as clients do.
    async fn hears(&mut self, words: &[&str]) {
        let hearing = async {
            loop {
                match self.hears_once(words).await {
                    Ok(true) => return,
                    Ok(false) => {}
                    Err(refused) => {
                        // A node that is not known to be gone yet.
                        assert!([400, 502, 503, 504].contains(&refused), "{refused}");
                        self.session.clear();
                        tokio::time::sleep(AGAIN).await;
                    }
                }
            }
        };
        within_limit("what a client hears that polls", hearing).await;
    }

    async fn hears_once(&mut self, words: &[&str]) -> Result<bool, u16> {
        if self.session.is_empty() {
            self.connects().await?;
        }
        let packets = self.polls().await?;
        for _ in packets.iter().filter(|packet| *packet == "2") {
            self.says("3").await?;
        }
        let has = |packet: &String| words.iter().all(|word| packet.contains(word));
        Ok(packets.iter().any(has))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_readmes_cluster_serves_who_listens_and_who_polls_and_loses_a_node() {
    if !cluster::has_database() {
        return;
    }
    let network = settings::own_network();
    let Some(_proxy) = Proxy::start(&network) else {
        println!("skipped: there is no nginx");
        return;
    };
    let (database, keyspace) = (settings::database(), names::unique("c").replace('-', "_"));
    let mut processes = Vec::new();
    for number in 1..=3 {
        let written = Settings::written(&example(&format!("node{number}.toml"), &network));
        let settings = cluster::sharing(written, &database, &keyspace);
        let node = Process::start(settings).unwrap_or_else(|error| panic!("{error}"));
        processes.push(Arc::new(node));
    }
    let cluster = Cluster::made_of(processes);
    cluster.agrees(&[0, 1, 2]).await;
    for place in 0..3 {
        let ready = cluster.node(place).admin(Method::GET, "/readyz").await;
        assert_eq!(ready.is(200).field("ready"), true);
    }
    let directory = cluster.process(0).directory();
    let mut command = process::command(directory, []);
    let command = command.args(["cluster", "status", "--config"]);
    let told = process::run_to_end(command.arg(directory.join("ting.toml")));
    assert_eq!(told.code, Some(0), "{}", told.said);
    assert_eq!(told.said.matches(" up ").count(), 3, "{}", told.said);

    let front = Ting::at(&format!("{network}.1:8000"), None);
    let comes = async {
        while front.get("/api/openapi.json").try_send().await.is_err() {
            tokio::time::sleep(AGAIN).await;
        }
    };
    within_limit("the proxy", comes).await;
    let channel = channel(&cluster).await;
    let mut ada = Person::arrives(&Room::of(&front, &channel), "ada", &full(&channel)).await;
    let (name, auth) = front.signs_in("polls").await;
    let mut poller = Poller::new(&front, full(&channel).body(&name, &auth));
    poller.hears(&["login-response"]).await;
    let mut carriers = Vec::new();
    for place in 0..3 {
        let sockets = cluster.node(place).metrics().await.sum("ting_sockets");
        carriers.extend((sockets > 0.0).then_some(place));
    }
    let [carrier] = carriers[..] else {
        panic!("one address is led to one node: {carriers:?}");
    };
    let bob = on(
        &cluster,
        (carrier + 1) % 3,
        &channel,
        "bob",
        &full(&channel),
    )
    .await;
    let ghost = ada.types("he").await;
    let id = ghost.id.to_string();
    bob.sees(&ghost, "he").await;
    poller.hears(&[&id, r#""he""#]).await;

    cluster.process(carrier).kill();
    ada.is_closed().await;
    ada.reconnects().await;
    ada.goes_on(&ghost, "hel").await;
    bob.sees(&ghost, "hel").await;
    ada.sends(&ghost, "hello").await;
    bob.sees_sent(&ghost, "hello").await;
    // It was led to a node that knows no such session.
    poller.hears(&["login-response"]).await;
    assert_eq!(poller.connected, 2);
    let next = bob.says("welcome back").await;
    poller.hears(&[&next.id.to_string(), "welcome back"]).await;
    assert_eq!(poller.connected, 2, "the proxy keeps to a node");
}
