//! A room of more sockets than one part of it holds.

use super::registry::PART;
use super::*;
use actors::edge::{ConnectionId, Room};
use std::collections::BTreeSet;

/// A part, and a few.
const CROWD: usize = PART + 20;

/// Whom each of the crowd is, since they come one after another.
fn id(number: usize) -> ConnectionId {
    ConnectionId(number as u64 + 1)
}

/// Sockets in a room, and what each of them hears.
struct Crowd {
    node: Node,
    room: Room,
    here: BTreeSet<usize>,
    heard: mpsc::UnboundedReceiver<(usize, String)>,
}

impl Crowd {
    async fn gather() -> Self {
        crate::descriptors::allow(2 * CROWD);
        // Nobody of them logs in.
        let settings = SocketSettings {
            sign_in: Duration::from_secs(600),
            ..SocketSettings::default()
        };
        let node = Node::with(settings).await;
        let (hears, heard) = mpsc::unbounded_channel();
        for number in 0..CROWD {
            let mut client = Client::connect(node.address).await;
            let connection = node.edge.0.registry.get(id(number)).unwrap();
            // As a login does it: what is emitted before may be lost.
            within(connection.wait_connected()).await;
            let hears = hears.clone();
            tokio::spawn(async move {
                while let Heard::Event(_, said) = client.hear().await {
                    let _ = hears.send((number, said.as_str().unwrap().to_owned()));
                }
            });
        }
        Crowd {
            node,
            room: Room("crowd".into()),
            here: BTreeSet::new(),
            heard,
        }
    }

    fn come(&mut self, numbers: impl IntoIterator<Item = usize>) {
        for number in numbers {
            self.node.edge.sockets().join(id(number), &self.room);
            self.here.insert(number);
        }
    }

    fn leave(&mut self, numbers: impl IntoIterator<Item = usize>) {
        for number in numbers {
            self.node.edge.sockets().leave(id(number), &self.room);
            self.here.remove(&number);
        }
    }

    /// What is said now is the next that each of them hears, and nobody else does.
    async fn all_hear(&mut self, said: &str) {
        let sockets = self.node.edge.sockets();
        let packet = sockets.encode(Event::Join(&encoding::tests::name(said)));
        sockets.emit_to_room(&self.room, &[packet]);
        let mut hearers = BTreeSet::new();
        while hearers.len() < self.here.len() {
            let (number, heard) = within(self.heard.recv()).await.unwrap();
            assert_eq!(heard, said, "{number}");
            assert!(hearers.insert(number), "{number} hears it twice");
        }
        assert_eq!(hearers, self.here);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_hears_everything_once_while_others_come_and_go() {
    let mut crowd = Crowd::gather().await;
    crowd.come(0..CROWD);
    crowd.all_hear("all").await;
    let at_the_edges = [0, PART - 1, PART, CROWD - 1];
    crowd.leave(at_the_edges);
    crowd.all_hear("without-four").await;
    crowd.come(at_the_edges);
    crowd.all_hear("all-again").await;
    crowd.leave(0..PART);
    crowd.all_hear("a-few").await;
    crowd.come(0..PART);
    crowd.all_hear("all-once-more").await;
    for number in at_the_edges {
        crowd.node.edge.sockets().kill(id(number), Kill::Restarted);
        crowd.here.remove(&number);
    }
    crowd.all_hear("who-was-not-ended").await;
    crowd.leave(0..CROWD);
    crowd.come([7]);
    crowd.all_hear("one").await;
}
