//! A server as a test holds it.

use crate::{
    Answer, Ask, Connection, Login, Person, Process, Room, Settings, Target, cluster, http::Api,
    log, metrics, names, size, within_limit,
};
use reqwest::Method;
use serde_json::json;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

/// A server: one for this test, or the one that all tests without settings share. It may be
/// several nodes: then each request and each connection goes to the next one.
///
/// When a test fails, the logs of its nodes are kept and their ends are shown.
#[derive(Debug, Clone)]
pub struct Ting {
    nodes: Arc<[Node]>,
    turn: Arc<AtomicUsize>,
    // Shared by clones, so that a log is shown once, by the last.
    _watch: Arc<Vec<Watch>>,
}

#[derive(Debug)]
struct Node {
    // None if somebody else runs it.
    process: Option<Arc<Process>>,
    http: String,
    // None if operators don't come in by this way.
    admin: Option<String>,
    api: Api,
}

#[derive(Debug)]
struct Watch {
    process: Arc<Process>,
    from: usize,
}

/// The nodes of the tests that need no settings of their own.
static SHARED: OnceLock<Result<Vec<Arc<Process>>, String>> = OnceLock::new();

/// With `TING_TEST_RESTARTS` the last of the nodes is always draining or starting, and nobody asks it.
fn beside_a_restless_one(mut nodes: Vec<Arc<Process>>) -> Vec<Arc<Process>> {
    if std::env::var_os("TING_TEST_RESTARTS").is_some()
        && let Some(last) = nodes.pop()
    {
        cluster::never_rests(last);
    }
    nodes
}

impl Ting {
    /// The server that all tests of this binary share.
    pub async fn shared() -> Ting {
        let started = SHARED.get_or_init(|| match size("TING_TEST_NODES", 1) {
            1 => Process::start(Settings::default()).map(|process| vec![Arc::new(process)]),
            nodes => cluster::start(nodes, &Settings::default()).map(beside_a_restless_one),
        });
        match started {
            Ok(processes) => Ting::of(processes.clone()),
            Err(error) => panic!("{error}"),
        }
    }

    /// A server of this test alone.
    pub async fn alone() -> Ting {
        Ting::with(Settings::default()).await
    }

    /// A server of this test alone, with settings.
    pub async fn with(settings: Settings) -> Ting {
        match Process::start(settings) {
            Ok(process) => Ting::of(vec![Arc::new(process)]),
            Err(error) => panic!("{error}"),
        }
    }

    /// What these nodes serve together.
    pub fn of(processes: Vec<Arc<Process>>) -> Ting {
        let watch = processes.iter().map(|process| Watch {
            from: process.log().len(),
            process: process.clone(),
        });
        let watch = Arc::new(watch.collect());
        let nodes = processes.into_iter().map(|process| {
            let listening = process.listening();
            Node {
                process: Some(process),
                api: Api::at(&listening.http),
                http: listening.http,
                admin: Some(listening.admin),
            }
        });
        Ting {
            nodes: nodes.collect(),
            turn: Arc::default(),
            _watch: watch,
        }
    }

    /// What somebody else runs, at its public and its operators' address.
    pub fn at(http: &str, admin: Option<&str>) -> Ting {
        let node = Node {
            process: None,
            http: http.to_owned(),
            admin: admin.map(str::to_owned),
            api: Api::at(http),
        };
        Ting {
            nodes: Arc::new([node]),
            turn: Arc::default(),
            _watch: Arc::default(),
        }
    }

    /// The first of its nodes alone.
    pub fn one(&self) -> Ting {
        let process = self.nodes[0].process.clone();
        Ting::of(vec![process.expect("a process of this test")])
    }

    /// The node whose turn it is.
    fn next(&self) -> &Node {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        &self.nodes[turn % self.nodes.len()]
    }

    /// Its process, or the first of them.
    pub fn process(&self) -> &Process {
        let process = self.nodes[0].process.as_deref();
        process.expect("a process of this test")
    }

    /// Its public address, `host:port`, or the first of them.
    pub fn address(&self) -> String {
        self.nodes[0].http.clone()
    }

    /// Its public address as a URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    /// A request to the public port.
    pub fn ask(&self, method: Method, path: &str) -> Ask {
        self.next().api.ask(method, path)
    }

    /// `GET`
    pub fn get(&self, path: &str) -> Ask {
        self.ask(Method::GET, path)
    }

    /// `POST`
    pub fn post(&self, path: &str) -> Ask {
        self.ask(Method::POST, path)
    }

    /// `PATCH`
    pub fn patch(&self, path: &str) -> Ask {
        self.ask(Method::PATCH, path)
    }

    /// `DELETE`
    pub fn delete(&self, path: &str) -> Ask {
        self.ask(Method::DELETE, path)
    }

    /// A request to the operators' port.
    pub fn admin(&self, method: Method, path: &str) -> Ask {
        let admin = self.nodes[0].admin.as_deref();
        Api::at(admin.expect("an operators' address")).ask(method, path)
    }

    /// Whether operators come in by this way.
    pub fn has_admin(&self) -> bool {
        self.nodes[0].admin.is_some()
    }

    /// Its metrics now.
    pub async fn metrics(&self) -> metrics::Metrics {
        let answer: Answer = self.admin(Method::GET, "/metrics").await;
        metrics::Metrics::parse(&answer.is(200).text)
    }

    /// Signs a new person in: the name, made unique, and the token.
    pub async fn signs_in(&self, start: &str) -> (String, String) {
        let signing_in = async {
            loop {
                let name = names::unique(start);
                let post = self.post("/restapi/v1/sessions");
                let answer = post.json(&json!({ "username": name })).try_send().await;
                let answer = answer.unwrap_or_else(|error| panic!("{error}"));
                // Whether that name is taken now is unknown, so the next try is another's.
                if !answer.is_unavailable().await {
                    return (name, token(answer));
                }
            }
        };
        within_limit("a sign-in", signing_in).await
    }

    /// Signs in with this body; the token.
    pub async fn sign_in(&self, body: &serde_json::Value) -> String {
        token(self.post("/restapi/v1/sessions").json(body).await)
    }

    /// Signs in again, as on another device, with the password.
    pub async fn signs_in_again(&self, name: &str, password: &str) -> String {
        self.sign_in(&json!({ "username": name, "password": password }))
            .await
    }

    /// A socket that has not logged in.
    pub async fn connection(&self) -> Connection {
        Connection::open(&format!("http://{}", self.next().http), &[]).await
    }

    /// A person online in `ting`, whose client uses all there is.
    pub async fn person(&self, start: &str) -> Person {
        let room = Room::of(self, "ting");
        Person::arrives(&room, start, &Login::full().channels(&["ting"])).await
    }

    /// A person online in `ting`, whose client knows the seed's protocol alone.
    pub async fn seed_person(&self, start: &str) -> Person {
        Person::arrives(&Room::of(self, "ting"), start, &Login::seed()).await
    }

    /// A channel that nobody else is in.
    pub async fn room(&self) -> Room {
        let making = async {
            loop {
                let name = names::unique("room");
                let post = self.post("/restapi/v1/channels");
                let answer = post.json(&json!({ "name": name })).try_send().await;
                let answer = answer.unwrap_or_else(|error| panic!("{error}"));
                if !answer.is_unavailable().await {
                    answer.is(204);
                    return Room::of(self, &name);
                }
            }
        };
        within_limit("a channel", making).await
    }

    /// The history of a conversation as a person reads it, newest first.
    pub async fn history(&self, auth: &str, of: &Target, query: &str) -> Vec<serde_json::Value> {
        let path = format!("{}{query}", of.history_path());
        let answer = self.get(&path).cookie(auth).await.is(200);
        let serde_json::Value::Array(messages) = answer.json() else {
            panic!("a history is an array: {}", answer.text);
        };
        messages
    }
}

fn token(answer: Answer) -> String {
    let token = answer.is(200).field("ting_auth");
    token.as_str().expect("a token is a string").to_owned()
}

impl Drop for Watch {
    fn drop(&mut self) {
        if let Some(panicked) = self.process.panicked() {
            self.show();
            if !std::thread::panicking() {
                panic!("the server panicked: {panicked}");
            }
        } else if std::thread::panicking() {
            self.show();
        }
    }
}

impl Watch {
    fn show(&self) {
        let test = std::thread::current()
            .name()
            .unwrap_or("test")
            .replace("::", ".");
        // Hosts of their own have the same ports.
        let address = self.process.listening().http.replace(':', ".");
        let test = format!("{test}.{address}");
        let kept = log::keep(&test, &self.process.log());
        eprintln!("---- the server's log, all of it in {kept:?}");
        eprintln!("{}", self.process.tail(self.from));
    }
}
