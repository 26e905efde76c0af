//! Those who come to watch.
//!
//! What this relay shows may be older than what somebody saw on another node a moment ago, so it
//! is shown to nobody who comes before the owner has said, since then, that it is what there is.
//! What was sent or taken away meanwhile they are told at once.

use super::{Due, RelayMessage, State, Viewer, parts};
use crate::channel::ChannelMessage;
use crate::edge::{Entry, Event, Packet};
use crate::frame::Epoch;
use crate::node::CONFIRM_TIMEOUT;
use cql::Conversation;
use ractor::RpcReplyPort;
use tokio::task::JoinHandle;

/// Somebody who waits to be shown what is being typed.
pub struct Entering {
    viewer: Viewer,
    reply: Option<RpcReplyPort<()>>,
    /// How often the owner had been asked before.
    came: u64,
}

/// A question to the owner that is not answered yet.
pub struct Confirming {
    ask: u64,
    due: JoinHandle<Result<(), ractor::MessagingErr<RelayMessage>>>,
}

impl Drop for Confirming {
    fn drop(&mut self) {
        self.due.abort();
    }
}

impl State {
    pub(super) fn enter(&mut self, viewer: Viewer, reply: Option<RpcReplyPort<()>>) {
        self.used_at = tokio::time::Instant::now();
        self.entering.push(Entering {
            viewer,
            reply,
            came: self.asks,
        });
        self.confirm();
    }

    pub(super) fn leave(&mut self, connection: crate::edge::ConnectionId) {
        self.entering
            .retain(|entering| entering.viewer.connection != connection);
        if let Some(room) = self.parts.remove(connection) {
            self.node.sockets.leave(connection, &room);
        }
        let mut rooms = self.node.directory.rooms();
        if let Some(members) = rooms.get_mut(&self.conversation) {
            members.remove(&connection);
            if members.is_empty() {
                rooms.remove(&self.conversation);
            }
        }
    }

    /// Asks the owner whether what is shown here is what there is, unless it is being asked.
    fn confirm(&mut self) {
        let asking = self.asked.is_some() || self.confirming.is_some();
        if asking || self.entering.is_empty() || !self.fanout.is_synced() {
            return;
        }
        self.asks += 1;
        let ask = self.asks;
        let node = self.node.name();
        self.tell_channel(ChannelMessage::Confirm { node, ask });
        let due = move || RelayMessage::Due(Due::Unconfirmed(ask));
        let due = self.myself.send_after(CONFIRM_TIMEOUT, due);
        self.confirming = Some(Confirming { ask, due });
    }

    /// The owner is at this frame; all before it have come.
    pub(super) fn confirmed(&mut self, ask: u64, epoch: Epoch, n: u64) {
        let is_it = |confirming: &mut Confirming| confirming.ask == ask;
        if self.confirming.take_if(is_it).is_none() {
            return;
        }
        if self.fanout.has(epoch, n) {
            self.answered(ask);
        } else {
            self.ask_for_snapshot();
        }
    }

    /// It did not say so in time; what it has is asked for, which an owner of an earlier version
    /// answers, too.
    pub(super) fn unconfirmed(&mut self, ask: u64) {
        let is_it = |confirming: &mut Confirming| confirming.ask == ask;
        if self.confirming.take_if(is_it).is_some() {
            self.ask_for_snapshot();
        }
    }

    /// What is shown here is no older than that question.
    pub(super) fn answered(&mut self, ask: u64) {
        self.answered = self.answered.max(ask);
        self.let_in();
    }

    /// Those enter who came before the last question that was answered.
    pub(super) fn let_in(&mut self) {
        // What waits for a later tick they were told already.
        if !self.later.is_empty() {
            return;
        }
        let answered = self.answered;
        let entering = std::mem::take(&mut self.entering);
        let (now, later): (Vec<_>, Vec<_>) =
            (entering.into_iter()).partition(|entering| entering.came < answered);
        self.entering = later;
        for Entering { viewer, reply, .. } in now {
            self.show_all(&viewer);
            if let Some(reply) = reply {
                let _ = reply.send(());
            }
        }
        self.confirm();
    }

    /// Shows somebody what is being typed, and from now on what changes.
    fn show_all(&mut self, viewer: &Viewer) {
        let newcomer = !self.parts.contains(viewer.connection);
        if newcomer {
            let room = self.parts.add(viewer);
            self.node.sockets.join(viewer.connection, &room);
            self.node
                .directory
                .rooms()
                .entry(self.conversation.clone())
                .or_default()
                .insert(viewer.connection);
        }
        if !viewer.always && (!newcomer || self.fanout.is_quiet()) {
            return;
        }
        let ghosts = self.fanout.ghosts();
        let typed: Vec<Entry> = ghosts.map(|ghost| ghost.entry.clone()).collect();
        let sockets = &self.node.sockets;
        let mut packets = vec![sockets.encode(Event::TypingMessages(&typed))];
        if viewer.wants.resume {
            let low = self.fanout.low();
            let seen = typed
                .first()
                .map(|entry| parts::named_by(viewer.user, entry));
            if let Some(target) = viewer.target.as_ref().or(seen.as_ref()) {
                packets.push(sockets.encode(Event::Cursor { target, low }));
            }
        }
        sockets.emit(viewer.connection, &packets);
    }

    /// Tells those who wait what was sent or taken away: it is not among what they will be shown.
    pub(super) fn tell_entering(&self, entries: &[Entry]) {
        let over = |entry: &&Entry| !entry.typing || entry.text.is_empty();
        let over: Vec<Entry> = entries.iter().filter(over).cloned().collect();
        if over.is_empty() {
            return;
        }
        let sockets = &self.node.sockets;
        let update = sockets.encode(Event::TypingMessages(&over));
        let is_private = matches!(self.conversation, Conversation::Private(..));
        for Entering { viewer, .. } in &self.entering {
            if self.parts.contains(viewer.connection) {
                continue;
            }
            let mut packets: Vec<Packet> = vec![update.clone()];
            if viewer.wants.messages {
                let person = is_private.then_some(viewer.user);
                let theirs = over.iter().filter(|entry| !entry.typing);
                let theirs = theirs.filter(|entry| self.is_for(person, entry));
                packets.extend(theirs.map(|entry| sockets.encode(Event::Message(entry))));
            }
            sockets.emit(viewer.connection, &packets);
        }
    }
}
