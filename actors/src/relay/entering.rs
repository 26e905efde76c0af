//! Those who come to watch.
//!
//! What this relay shows may be older than what somebody saw on another node a moment ago, so it
//! is shown to nobody who comes before the owner has said, since then, that it is what there is.
//! What was sent or taken away meanwhile they are told at once.

use super::{Due, RelayMessage, State, Told, Viewer, parts};
use crate::channel::ChannelMessage;
use crate::edge::{ConnectionId, Entry, Event};
use crate::frame::Epoch;
use crate::node::CONFIRM_TIMEOUT;
use cql::Millis;
use ractor::RpcReplyPort;
use std::collections::HashSet;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// What was sent this long before somebody came may not have been in the history that this one
/// read: as long as a write and clocks may take, in milliseconds.
const WRITTEN_WITHIN: Millis = 5_000;

/// Somebody who waits to be shown what is being typed.
pub struct Entering {
    viewer: Viewer,
    reply: Option<RpcReplyPort<()>>,
    /// How often the owner had been asked before.
    came: u64,
    came_at: Millis,
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
        self.used_at = Instant::now();
        // If this actor fails, those who wait are to come again, too.
        let mut rooms = self.node.directory.rooms();
        let members = rooms.entry(self.conversation.clone()).or_default();
        members.insert(viewer.connection);
        drop(rooms);
        self.entering.push(Entering {
            viewer,
            reply,
            came: self.asks,
            came_at: self.node.clock.now(),
        });
        self.confirm();
    }

    pub(super) fn leave(&mut self, connection: ConnectionId) {
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
        if over.is_empty() || self.entering.is_empty() {
            return;
        }
        let wants = |entering: &Entering| entering.viewer.wants.messages;
        let told = self.encode(&over, self.entering.iter().any(wants));
        let mut reached = HashSet::new();
        for Entering { viewer, .. } in &self.entering {
            let connection = viewer.connection;
            if !self.parts.contains(connection) && reached.insert(connection) {
                self.tell_one(viewer, &told);
            }
        }
    }

    /// The first snapshot is shown to nobody, since those who came first read what had been sent.
    /// But the owner may have heard of this relay only after they had read it, if it had to be
    /// asked again: they are told what was sent since they came, and drop what they know.
    pub(super) fn tell_missed(&self, sent: &[Entry], ask: u64) {
        let mut reached = HashSet::new();
        for entering in self.entering.iter().filter(|it| it.came < ask) {
            if !reached.insert(entering.viewer.connection) {
                continue;
            }
            let from = entering.came_at - WRITTEN_WITHIN;
            let since = |entry: &&Entry| entry.datetime_sent.is_some_and(|at| at >= from);
            let missed: Vec<Entry> = sent.iter().filter(since).cloned().collect();
            if !missed.is_empty() {
                let viewer = &entering.viewer;
                self.tell_one(viewer, &self.encode(&missed, viewer.wants.messages));
            }
        }
    }

    fn tell_one(&self, viewer: &Viewer, told: &Told<'_>) {
        let packets = self.packets(told, viewer.wants, self.parts.person(viewer));
        self.node.sockets.emit(viewer.connection, &packets);
    }
}
