//! What a change of the view, or of the links, means for the actors of this node.

use super::shards::{Last, RELEASED_WITHIN};
use super::{Body, Map, PeerMessage, Word};
use crate::channel::ChannelMessage;
use crate::locks::write;
use crate::node::{Lives, Node};
use crate::presence::PresenceMessage;
use crate::relay::RelayMessage;
use crate::typing_message::TypingMessageMessage;
use cluster_config::{LEASE, MemberState, NodeName, Shard, View};
use cql::Conversation;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

impl Node {
    /// Acts by a newer view from now on.
    pub(super) fn apply_view(self: &Arc<Self>, view: View) {
        let old = self.cluster.map();
        let new = Map::of(view);
        let me = self.name();
        let now = Instant::now();
        let is_member = |name: NodeName| new.view.members.iter().any(|member| member.name == name);
        let missed_views = new.view.version > old.view.version + 1;
        // It has not been renewed by the new view yet.
        let lease = self.cluster.lease_left().unwrap_or(LEASE);
        // Whoever had a shard of this node's meanwhile had to wait for its word first, so not if
        // all was as it knew a moment ago.
        let others_served = missed_views && lease + RELEASED_WITHIN <= LEASE;
        let mut had_by_others = HashSet::new();
        let mut lost = HashSet::new();
        let mut moved = HashSet::new();
        for shard in Shard::all() {
            let (before, after) = (old.placement.owner(shard), new.placement.owner(shard));
            if before == after {
                if others_served && after == Some(me) {
                    self.cluster.shards.had_by_others(shard, now);
                    had_by_others.insert(shard);
                }
                continue;
            }
            moved.insert(shard);
            if after == Some(me) {
                // Before anybody is sent here, so that what comes finds it.
                let (last, last_owner) = match before {
                    Some(before) if !is_member(before) => (Last::Gone, "gone"),
                    Some(before) if missed_views => (Last::ThereOnce(before), "there"),
                    Some(before) => (Last::There(before), "there"),
                    None => (Last::Gone, "none"),
                };
                metrics::counter!("ting_takeovers_total", "last_owner" => last_owner).increment(1);
                self.cluster.shards.gained(shard, last, now);
            }
            if before == Some(me) {
                lost.insert(shard);
            }
        }
        *write(&self.cluster.map) = new.clone();
        self.cluster.views.send_replace(new.view.version);
        metrics::gauge!("ting_view_version").set(new.view.version as f64);
        metrics::gauge!("ting_shards_owned").set(new.placement.owned_by(me) as f64);
        self.lose(&lost, &new, lease);
        for (conversation, channel) in self.directory.channels.all() {
            if had_by_others.contains(&shard_of(&conversation)) {
                let _ = channel.cast(ChannelMessage::HadByOthers);
            }
        }
        self.tell_relays_of(|shard, _| moved.contains(&shard));
        for member in &old.view.members {
            if !is_member(member.name) {
                self.member_went(member.name, member.state == MemberState::Draining);
            }
        }
        self.retry_parked();
        self.give_up_waiting();
        for peer in self.cluster.linked() {
            if let Some(peer) = self.cluster.peer(peer) {
                let _ = peer.cast(PeerMessage::NewView);
            }
        }
    }

    /// Finishes with shards that another node owns now, by the lease that was left before.
    fn lose(self: &Arc<Self>, lost: &HashSet<Shard>, map: &Map, lease: Duration) {
        if lost.is_empty() {
            return;
        }
        let now = Instant::now();
        let mut left: HashMap<Shard, HashSet<Conversation>> = HashMap::new();
        let channels = self.directory.channels.all();
        let theirs: Vec<_> = channels
            .into_iter()
            .filter(|(conversation, _)| lost.contains(&shard_of(conversation)))
            .collect();
        for (conversation, _) in &theirs {
            left.entry(shard_of(conversation))
                .or_default()
                .insert(conversation.clone());
        }
        for shard in lost {
            let to = map.placement.owner(*shard);
            let left = left.remove(shard).unwrap_or_default();
            for (conversation, message) in self.cluster.shards.lost(*shard, to, left, lease, now) {
                self.tell_channel(&conversation, message);
            }
        }
        for (conversation, channel) in theirs {
            // One that has just ended has finished.
            if channel.cast(ChannelMessage::Release).is_err() {
                self.cluster
                    .shards
                    .finished_with(shard_of(&conversation), &conversation);
            }
        }
        self.tell_released();
    }

    /// A conversation that another node owns now has nothing to finish here any more.
    pub fn finished_with(self: &Arc<Self>, conversation: &Conversation) {
        let shard = shard_of(conversation);
        self.cluster.shards.finished_with(shard, conversation);
        self.tell_released();
    }

    /// Tells new owners of the shards that are finished with.
    fn tell_released(&self) {
        let mut told: HashMap<NodeName, Vec<(u16, Duration)>> = HashMap::new();
        for finished in self.cluster.shards.take_finished(Instant::now()) {
            told.entry(finished.to)
                .or_default()
                .push((finished.shard.number(), finished.owed));
        }
        for (to, shards) in told {
            self.tell_node(to, Word::Released { shards });
        }
    }

    /// A node has finished with shards that it owned.
    pub(super) fn released(self: &Arc<Self>, by: NodeName, shards: Vec<(u16, Duration)>) {
        let now = Instant::now();
        for (number, owed) in shards {
            let shard = Shard::all().nth(usize::from(number));
            let held = shard.map(|shard| self.cluster.shards.released(shard, by, owed, now));
            for (conversation, message) in held.into_iter().flatten() {
                self.tell_channel(&conversation, message);
            }
        }
    }

    /// Serves without last owners that had their time, and looks again when the next one had.
    fn give_up_waiting(self: &Arc<Self>) {
        let (held, next) = self.cluster.shards.give_up(Instant::now());
        for (conversation, message) in held {
            self.tell_channel(&conversation, message);
        }
        if let Some(next) = next {
            let node = self.clone();
            tokio::spawn(async move {
                tokio::time::sleep_until(next).await;
                node.give_up_waiting();
            });
        }
    }

    /// A link with a member is there: what was missed meanwhile is caught up with.
    pub(super) fn link_up(self: &Arc<Self>, peer: NodeName) {
        self.tell_relays_of(|_, owner| owner == Some(peer));
        self.retry_parked();
        if let Some(presence) = self.directory.presence() {
            let _ = presence.cast(PresenceMessage::LinkUp { node: peer });
        }
    }

    /// A member is in the view no more: what hung on its sockets ends.
    fn member_went(self: &Arc<Self>, name: NodeName, drained: bool) {
        for (_, message) in self.directory.typing_messages.all() {
            let _ = message.cast(TypingMessageMessage::NodeGone { node: name });
        }
        if let Some(presence) = self.directory.presence() {
            let _ = presence.cast(PresenceMessage::NodeGone {
                node: name,
                drained,
            });
        }
    }

    /// Has relays of this node announce what they keep, and catch up.
    fn tell_relays_of(&self, concerned: impl Fn(Shard, Option<NodeName>) -> bool) {
        let map = self.cluster.map();
        for (conversation, relay) in self.directory.relays.all() {
            let shard = shard_of(&conversation);
            if concerned(shard, map.placement.owner(shard)) {
                let _ = relay.cast(RelayMessage::OwnerChanged);
            }
        }
    }

    /// Tells another node something, if there is a link.
    pub fn tell_node(&self, name: NodeName, word: Word) -> bool {
        let Some(peer) = self.cluster.peer(name) else {
            return false;
        };
        peer.cast(PeerMessage::say(Body::Tell(word))).is_ok()
    }

    /// Tells all nodes there are links with.
    pub fn tell_all(&self, word: &Word) {
        for name in self.cluster.linked() {
            self.tell_node(name, word.clone());
        }
    }

    /// Says something to a conversation's owner, wherever it is. What can't be said is dropped
    /// with its reply port, and whoever waits for that learns so at once.
    pub fn tell_channel(self: &Arc<Self>, conversation: &Conversation, message: ChannelMessage) {
        match self.lives(conversation) {
            Lives::Here => {
                let shard = shard_of(conversation);
                let passed = self.cluster.shards.pass(shard, conversation, message);
                if let Some(message) = passed {
                    self.tell_channel_here(conversation, message);
                }
            }
            Lives::There(owner) => self.tell_owner(Some(owner), conversation, message),
            Lives::Nowhere => self.tell_owner(None, conversation, message),
        }
    }
}

fn shard_of(conversation: &Conversation) -> Shard {
    Shard::of(&conversation.key())
}
