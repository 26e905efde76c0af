//! Links between nodes of one process, which can be cut.

use crate::cluster::{KeeperMessage, LinkError, Links, Wire};
use crate::node::Node;
use async_trait::async_trait;
use cluster_config::{Fingerprint, Member, NodeName};
use ractor::ActorId;
use serde_json::{Value, json};
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

#[derive(Debug, Default)]
pub struct Network {
    nodes: Mutex<HashMap<NodeName, Arc<Node>>>,
    cut: Mutex<HashSet<(NodeName, NodeName)>>,
    links: Mutex<Vec<(NodeName, NodeName, u64)>>,
    last: AtomicU64,
    neighbours: AtomicBool,
}

impl Network {
    fn is_cut(&self, from: NodeName, to: NodeName) -> bool {
        let cut = self.cut.lock().unwrap();
        cut.contains(&(from, to)) || !self.nodes.lock().unwrap().contains_key(&from)
    }

    /// From now on every batch is as a node of another version writes it.
    pub fn of_neighbouring_versions(&self) {
        self.neighbours.store(true, Ordering::Relaxed);
    }

    /// Nothing reaches the other side any more, and nobody is told.
    pub fn cut(&self, from: NodeName, to: NodeName) {
        self.cut.lock().unwrap().insert((from, to));
    }

    pub fn heal(&self) {
        self.cut.lock().unwrap().clear();
    }

    /// Two more links come up at once, and each side hears of the other one first.
    pub fn links_twice(self: &Arc<Self>, one: &Arc<Node>, other: &Arc<Node>) {
        let [first, second] = [(); 2].map(|()| self.session_of(one.name(), other.name()));
        for (near, far, sessions) in [(one, other, [first, second]), (other, one, [second, first])]
        {
            for session in sessions {
                self.link_up(near, far, session);
            }
        }
    }

    fn session_of(&self, one: NodeName, other: NodeName) -> u64 {
        let session = self.last.fetch_add(1, Ordering::Relaxed);
        self.links.lock().unwrap().push((one, other, session));
        session
    }

    fn link_up(self: &Arc<Self>, near: &Arc<Node>, far: &Arc<Node>, session: u64) {
        let wire = Arc::new(FakeWire {
            network: self.clone(),
            from: near.name(),
            to: far.clone(),
            session,
        });
        near.cluster.tell_keeper(KeeperMessage::LinkUp {
            node: far.name(),
            wire,
        });
    }

    /// A node is gone at once: its links end, and it renews nothing.
    pub fn kill(&self, name: NodeName) {
        let gone = self.nodes.lock().unwrap().remove(&name);
        if let Some(gone) = gone {
            gone.cluster.stop_keeper();
        }
        let links = self.links.lock().unwrap().clone();
        for (one, other, session) in links {
            if name == one || name == other {
                self.end(one, other, session);
            }
        }
    }

    /// The links of two nodes end, and nothing comes through any more.
    pub fn part(&self, one: NodeName, other: NodeName) {
        self.cut(one, other);
        self.cut(other, one);
        let links = self.links.lock().unwrap().clone();
        for (near, far, session) in links {
            if (near, far) == (one, other) || (near, far) == (other, one) {
                self.end(near, far, session);
            }
        }
    }

    /// Tells those that are still there that a link has ended.
    fn end(&self, one: NodeName, other: NodeName, session: u64) {
        for (left, name) in [(one, other), (other, one)] {
            if let Some(node) = self.nodes.lock().unwrap().get(&left) {
                node.cluster.tell_keeper(KeeperMessage::Disconnected {
                    node: name,
                    session: ActorId::Local(session),
                });
            }
        }
    }
}

/// One node's end of the network.
#[derive(Debug)]
pub struct FakeLinks(pub Arc<Network>);

#[async_trait]
impl Links for FakeLinks {
    fn address(&self) -> String {
        "in.process:1".to_owned()
    }

    fn fingerprint(&self) -> Fingerprint {
        Fingerprint([1; 32])
    }

    async fn start(&self, node: &Arc<Node>, _: String) -> Result<(), LinkError> {
        self.0
            .nodes
            .lock()
            .unwrap()
            .insert(node.name(), node.clone());
        Ok(())
    }

    fn dial(&self, node: &Arc<Node>, member: Member) {
        let (one, other) = (node.name(), member.name);
        let there = self.0.nodes.lock().unwrap().get(&other).cloned();
        let reached = !self.0.is_cut(one, other) && !self.0.is_cut(other, one);
        // As over the network: who is not in the view yet is looked for there.
        let welcome = |there: &Arc<Node>| {
            let known = there.cluster.map().view.member(one).is_some();
            if !known {
                there.cluster.tell_keeper(KeeperMessage::Look);
            }
            known
        };
        let Some(there) = there.filter(|there| reached && welcome(there)) else {
            node.cluster
                .tell_keeper(KeeperMessage::NotReached { node: other });
            return;
        };
        let session = self.0.session_of(one, other);
        self.0.link_up(node, &there, session);
        self.0.link_up(&there, node, session);
    }
}

#[derive(Debug)]
struct FakeWire {
    network: Arc<Network>,
    from: NodeName,
    to: Arc<Node>,
    session: u64,
}

impl Wire for FakeWire {
    fn send(&self, _: usize, mut batch: Vec<u8>) {
        if self.network.neighbours.load(Ordering::Relaxed) {
            batch = as_a_neighbour(&batch, self.from < self.to.name());
        }
        if !self.network.is_cut(self.from, self.to.name()) {
            self.to.receive(&batch);
        }
    }

    fn end(&self) {
        self.to.cluster.tell_keeper(KeeperMessage::Disconnected {
            node: self.from,
            session: ActorId::Local(self.session),
        });
    }

    fn session(&self) -> Option<ActorId> {
        Some(ActorId::Local(self.session))
    }
}

/// The same batch as a newer node would write it, with fields and kinds that this one does not
/// know; or as an older one, without what was added since.
fn as_a_neighbour(batch: &[u8], newer: bool) -> Vec<u8> {
    let mut batch: Value = serde_json::from_slice(batch).unwrap();
    batch["v"] = json!(if newer { 2 } else { 0 });
    let Some(envelopes) = batch["envelopes"].as_array_mut() else {
        return serde_json::to_vec(&batch).unwrap();
    };
    for envelope in envelopes.iter_mut() {
        if newer {
            envelope["new"] = json!({ "a": [1, 2] });
            add_a_field(&mut envelope["body"]);
        } else {
            envelope.as_object_mut().unwrap().remove("trace");
        }
    }
    if newer {
        let unknown = |body: Value| json!({ "view": 1, "body": body });
        envelopes.insert(0, unknown(json!({ "Tell": { "Waved": { "hands": 2 } } })));
        envelopes.push(unknown(json!("Bowed")));
    }
    serde_json::to_vec(&batch).unwrap()
}

/// To the fields of what is said, which stand below the names of its kinds.
fn add_a_field(said: &mut Value) {
    let Some(fields) = said.as_object_mut() else {
        return;
    };
    let kind = fields.keys().next().filter(|_| fields.len() == 1).cloned();
    match kind.filter(|kind| kind.starts_with(char::is_uppercase)) {
        Some(kind) => add_a_field(&mut fields[&kind]),
        None => drop(fields.insert("new".to_owned(), json!("?"))),
    }
}
