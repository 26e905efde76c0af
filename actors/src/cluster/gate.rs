//! The only actors that other nodes can see: bytes in, envelopes on to the link they came by.
//!
//! Every visible actor is mirrored on every node, so there are four, whatever a node does. They
//! have no names: a shim that ends takes the local actor of its name out of the registry.

use super::{KeeperMessage, PeerMessage, envelope};
use crate::node::Node;
use ractor::{Actor, ActorProcessingErr, ActorRef};
use std::sync::Arc;

/// How many there are; what is about one conversation always goes through the same one.
pub const GATES: usize = 4;

/// The actor.
pub struct Gate;

impl Actor for Gate {
    // Bytes as they are: ractor's own decoding of anything else panics on what it can't read.
    type Msg = Vec<u8>;
    type State = Arc<Node>;
    type Arguments = Arc<Node>;

    async fn pre_start(
        &self,
        _: ActorRef<Vec<u8>>,
        node: Arc<Node>,
    ) -> Result<Arc<Node>, ActorProcessingErr> {
        Ok(node)
    }

    async fn handle(
        &self,
        _: ActorRef<Vec<u8>>,
        bytes: Vec<u8>,
        node: &mut Arc<Node>,
    ) -> Result<(), ActorProcessingErr> {
        node.receive(&bytes);
        Ok(())
    }
}

impl Node {
    /// Takes in a batch of another node.
    pub fn receive(&self, bytes: &[u8]) {
        let Some(received) = envelope::read(bytes) else {
            return;
        };
        match self.cluster.peer(received.from) {
            Some(peer) => drop(peer.cast(PeerMessage::Received(received))),
            // The other side knew of the link a moment earlier.
            None => self.cluster.tell_keeper(KeeperMessage::Early { received }),
        }
    }
}
