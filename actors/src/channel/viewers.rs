//! Who watches a conversation, and what they are sent: one frame a node a tick.

use super::{Answer, ChannelMessage, Due, State, StoreAnswer, TICK, entry};
use crate::cluster::{Body, PeerMessage, word_to_relay};
use crate::edge::Entry;
use crate::frame::{Change, End, Frame, Snapshot};
use crate::node::{CONFIRM_TIMEOUT, Node};
use crate::relay::RelayMessage;
use cluster_config::NodeName;
use cql::{Conversation, Message, MessageId, Millis, Range, Store, StoreError, UserId};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// A relay says every 10 s that it watches; one that was silent for three times as long is gone.
const LEASE: Duration = Duration::from_secs(30);

/// How long before the next owner began an owner may have been lost: a lease, and who notices.
const LOST_WITHIN: Duration = Duration::from_secs(20);

/// Messages that a catch-up reads at a time, and in all: what a relay has missed is told from
/// the newest on, and beyond this a client reads history.
const CATCH_UP_PAGE: usize = 1_000;
const CATCH_UP_MAX: usize = 10_000;

/// How much text a catch-up carries, in bytes: a link takes four times as much at once.
const CATCH_UP_BYTES: usize = 4 << 20;

/// The watching nodes, and who waits for them to see something.
#[derive(Default)]
pub struct Viewers {
    nodes: HashMap<NodeName, Instant>,
    n: u64,
    ticking: bool,
    since: Option<Millis>,
    answers: Vec<Answer>,
    unseen: BTreeMap<u64, Unseen>,
    /// What was sent while the store was asked what a relay has missed, by question: its answer
    /// may lack it, and what was typed for long is not among the newest.
    sent_meanwhile: HashMap<u64, Vec<Message>>,
    asks: u64,
    /// In a private, what nodes where its people are may not have been shown, and since when.
    missed: HashMap<NodeName, Missed>,
}

struct Missed {
    since: Instant,
    sent: HashSet<MessageId>,
}

impl Missed {
    fn new() -> Self {
        Missed {
            since: Instant::now(),
            sent: HashSet::new(),
        }
    }
}

struct Unseen {
    by: HashSet<NodeName>,
    answers: Vec<Answer>,
}

impl Viewers {
    /// Whether nobody watches.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty() && self.unseen.is_empty() && self.missed.is_empty()
    }

    /// A node's relay has a frame, and so all before it.
    pub fn seen(&mut self, node: NodeName, n: u64) {
        let mut done = Vec::new();
        for (frame, unseen) in self.unseen.range_mut(..=n) {
            unseen.by.remove(&node);
            if unseen.by.is_empty() {
                done.push(*frame);
            }
        }
        done.into_iter().for_each(|frame| self.give_up(frame));
    }

    /// Answers who waits for a frame, whoever has it.
    pub fn give_up(&mut self, n: u64) {
        let answers = self.unseen.remove(&n).map(|unseen| unseen.answers);
        answers.into_iter().flatten().for_each(|answer| answer());
    }

    /// Answers everybody who waits for relays: they belong to another owner now.
    pub fn give_up_all(&mut self) {
        let unseen = std::mem::take(&mut self.unseen);
        let unseen = unseen.into_values().flat_map(|unseen| unseen.answers);
        let answers = std::mem::take(&mut self.answers);
        answers
            .into_iter()
            .chain(unseen)
            .for_each(|answer| answer());
    }

    /// A message was sent: what relays are told that wait for the store has it.
    pub fn sent(&mut self, message: &Message) {
        for sent in self.sent_meanwhile.values_mut() {
            sent.push(message.clone());
        }
    }

    /// Forgets the nodes that were silent for too long.
    pub fn expire(&mut self) {
        self.nodes.retain(|_, at| at.elapsed() < LEASE);
        // By then a link is back, or its node is no member any more.
        self.missed.retain(|_, it| it.since.elapsed() < LEASE);
    }
}

impl State {
    /// Something changed: the first change of a quiet conversation leaves at once, later ones at
    /// the tick, so the last letter always leaves.
    pub(super) fn changed(&mut self, since: Millis) {
        let earliest = self
            .viewers
            .since
            .map_or(since, |earlier| earlier.min(since));
        self.viewers.since = Some(earliest);
        if !self.viewers.ticking {
            self.viewers.ticking = true;
            self.flush();
            self.myself
                .send_after(TICK, || ChannelMessage::Due(Due::Tick));
        }
    }

    /// Answers when the relays that show it have what changed.
    pub(super) fn answer_when_seen(&mut self, answer: Option<Answer>) {
        self.viewers.answers.extend(answer);
        self.changed(self.node.clock.now());
    }

    pub(super) fn tick(&mut self) {
        if self.timeline.has_changes() || !self.viewers.answers.is_empty() {
            self.flush();
            self.myself
                .send_after(TICK, || ChannelMessage::Due(Due::Tick));
        } else {
            self.viewers.ticking = false;
        }
    }

    fn flush(&mut self) {
        self.timeline.pass(self.node.settled_now());
        let changes = self.timeline.take_changes();
        let answers = std::mem::take(&mut self.viewers.answers);
        let since = self
            .viewers
            .since
            .take()
            .unwrap_or_else(|| self.node.clock.now());
        if changes.is_empty() {
            // What is waited for left with an earlier frame, or was never shown.
            return answers.into_iter().for_each(|answer| answer());
        }
        self.viewers.n += 1;
        let n = self.viewers.n;
        let frame = Arc::new(Frame {
            conversation: self.conversation.clone(),
            epoch: self.epoch,
            n,
            low: self.timeline.low(),
            since,
            acknowledge: !answers.is_empty(),
            changes,
        });
        metrics::counter!("ting_frames_total").increment(self.viewers.nodes.len() as u64);
        self.show_where_its_people_are(&frame);
        let nodes: Vec<NodeName> = self.viewers.nodes.keys().copied().collect();
        let mut reached = HashSet::new();
        let _span = tracing::info_span!("frame", n).entered();
        for node in nodes {
            match self.tell_relay(node, RelayMessage::Frame(frame.clone())) {
                Ok(()) => drop(reached.insert(node)),
                Err(_) => {
                    self.viewers.nodes.remove(&node);
                    self.note_missed(node, &frame);
                }
            }
        }
        if reached.is_empty() {
            answers.into_iter().for_each(|answer| answer());
        } else if !answers.is_empty() {
            self.viewers.unseen.insert(
                n,
                Unseen {
                    by: reached,
                    answers,
                },
            );
            self.myself.send_after(CONFIRM_TIMEOUT, move || {
                ChannelMessage::Due(Due::Acknowledge(n))
            });
        }
    }

    /// Says something to a node's relay of this conversation, if there is one.
    pub(super) fn tell_relay(
        &self,
        node: NodeName,
        message: RelayMessage,
    ) -> Result<(), RelayMessage> {
        self.node.tell_relay(node, &self.conversation, message)
    }

    pub(super) fn watch(&mut self, node: NodeName, from: Option<MessageId>) {
        let known = self.viewers.nodes.insert(node, Instant::now()).is_some();
        match from {
            Some(from) => {
                // It has begun, and is told all there is.
                self.viewers.missed.remove(&node);
                self.catch_up(node, from);
            }
            // One that only renews, and that this life has not heard of, must start from here.
            None if !known => drop(self.tell_relay(node, RelayMessage::OwnerChanged)),
            None => {}
        }
    }

    /// Says which frame was the last one: a relay that has it shows what there is.
    pub(super) fn confirm(&self, node: NodeName, ask: u64) {
        let (epoch, n) = (self.epoch, self.viewers.n);
        // One that has ended waits for nothing.
        let _ = self.tell_relay(node, RelayMessage::Confirmed { ask, epoch, n });
    }

    /// A private is shown wherever its two people are. A node that shows it not yet is given all
    /// there was before this frame, so that it shows the frame as a change.
    fn show_where_its_people_are(&mut self, frame: &Frame) {
        for node in self.nodes_of_its_people() {
            if !self.viewers.nodes.contains_key(&node) {
                self.show(node, Some(frame));
                // Until its relay says that it has begun: the link may be ending.
                self.note_missed(node, frame);
            }
        }
    }

    /// Where the two people of this private are; nowhere if it is none.
    fn nodes_of_its_people(&self) -> BTreeSet<NodeName> {
        match self.conversation {
            Conversation::Private(one, other) => {
                let me = self.node.name();
                self.node.roster().nodes_of(&[one, other], me)
            }
            Conversation::Channel(_) => BTreeSet::new(),
        }
    }

    /// A node may not have been shown a frame of a private.
    fn note_missed(&mut self, node: NodeName, frame: &Frame) {
        if !self.nodes_of_its_people().contains(&node) {
            return;
        }
        let sent = frame.changes.iter().filter_map(|change| match change {
            Change::Ended(entry, End::Sent) => Some(entry.id),
            _ => None,
        });
        let missed = self.viewers.missed.entry(node);
        missed.or_insert_with(Missed::new).sent.extend(sent);
    }

    /// Somebody of this private is on that node now, and sees what is being typed; and what was
    /// sent while there was no link.
    pub(super) fn person_on(&mut self, node: NodeName) {
        self.flush_pending();
        let is_typed = self.timeline.ghosts().next().is_some();
        let is_new = is_typed && !self.viewers.nodes.contains_key(&node);
        if is_new || self.viewers.missed.contains_key(&node) {
            self.show(node, None);
        }
    }

    /// Has a node show this conversation: all there is, or what there was before a frame. What
    /// it missed follows as a change.
    fn show(&mut self, node: NodeName, before: Option<&Frame>) {
        let changed = |id: MessageId| {
            before.is_some_and(|frame| frame.changes.iter().any(|change| change.id() == id))
        };
        let mut all = self.all_since(self.timeline.low(), Vec::new());
        all.ghosts.retain(|ghost| !changed(ghost.entry.id));
        all.sent.retain(|entry| !changed(entry.id));
        all.deleted.retain(|entry| !changed(entry.id));
        if let Some(frame) = before {
            all.n = frame.n - 1;
        }
        let missed = self.viewers.missed.get(&node);
        let is_missed = |entry: &mut Entry| missed.is_some_and(|it| it.sent.contains(&entry.id));
        let missed: Vec<Entry> = all.sent.extract_if(.., is_missed).collect();
        let follows = (!missed.is_empty()).then(|| Frame {
            conversation: self.conversation.clone(),
            epoch: all.epoch,
            n: all.n,
            low: all.low,
            since: self.node.clock.now(),
            acknowledge: false,
            changes: missed
                .into_iter()
                .map(|entry| Change::Ended(entry, End::Sent))
                .collect(),
        });
        if follows.is_some() {
            // Something was missed, so there was a frame before.
            all.n = all.n.saturating_sub(1);
        }
        if self.tell_relay(node, RelayMessage::Show(all)).is_err() {
            return;
        }
        if let Some(frame) = follows {
            let _ = self.tell_relay(node, RelayMessage::Frame(Arc::new(frame)));
        }
        self.viewers.nodes.insert(node, Instant::now());
    }

    fn catch_up(&mut self, node: NodeName, from: MessageId) {
        let reaches = from.max(self.timeline.low());
        if !self.owes_second_read && self.tail.reaches().is_some_and(|tail| tail <= reaches) {
            return self.snapshot(node, from, Vec::new());
        }
        let (store, conversation) = (self.node.store.clone(), self.conversation.clone());
        self.viewers.asks += 1;
        let ask = self.viewers.asks;
        self.viewers.sent_meanwhile.insert(ask, Vec::new());
        self.ask(
            async move { read_since(&*store, &conversation, reaches).await },
            move |messages| StoreAnswer::Since {
                ask,
                node,
                from,
                messages,
            },
        );
    }

    pub(super) fn since(
        &mut self,
        ask: u64,
        node: NodeName,
        from: MessageId,
        messages: Result<Vec<Message>, StoreError>,
    ) {
        let meanwhile = self.viewers.sent_meanwhile.remove(&ask);
        let again = move || ChannelMessage::Watch {
            node,
            from: Some(from),
        };
        if matches!(&messages, Ok(messages) if !messages.is_empty()) && self.lacks_names() {
            // Known a moment later; until then nobody can be told whom they were for.
            self.myself.send_after(super::RELOAD_AFTER, again);
            return;
        }
        // What is typed is shown without the store, too. A relay that has shown something before
        // may have missed what an earlier owner sent.
        if messages.is_err() && from > MessageId::default() {
            self.myself.send_after(super::RELOAD_AFTER, again);
        }
        let mut messages = messages.unwrap_or_default();
        messages.extend(meanwhile.into_iter().flatten());
        self.snapshot(node, from, messages);
    }

    fn snapshot(&mut self, node: NodeName, from: MessageId, messages: Vec<Message>) {
        self.flush_pending();
        let from = from.max(self.timeline.low());
        let snapshot = self.all_since(from, messages);
        let _ = self.tell_relay(node, RelayMessage::Snapshot(snapshot));
    }

    /// What changed since the last frame leaves before all there is: a relay that shows something
    /// for the first time shows as a change what came in a frame alone.
    pub(super) fn flush_pending(&mut self) {
        if self.timeline.has_changes() {
            self.flush();
        }
    }

    /// All there is from a place on, as far as it is known here or was read.
    fn all_since(&self, from: MessageId, messages: Vec<Message>) -> Snapshot {
        let mut sent: BTreeMap<MessageId, Entry> = BTreeMap::new();
        for message in messages.iter().chain(self.tail.since(from)) {
            if message.id >= from && !self.timeline.was_deleted(message.id) {
                sent.insert(message.id, entry(message, self.target_of(message)));
            }
        }
        let ghosts = self
            .timeline
            .ghosts()
            .filter(|ghost| !sent.contains_key(&ghost.entry.id));
        Snapshot {
            epoch: self.epoch,
            n: self.viewers.n,
            low: self.timeline.low(),
            ghosts: ghosts.cloned().collect(),
            sent: sent.into_values().collect(),
            deleted: self.timeline.deleted_since(from).cloned().collect(),
        }
    }

    /// Reads again what an earlier life of this actor may have written after the first read.
    pub(super) fn ask_again(&mut self) {
        let (store, conversation) = (self.node.store.clone(), self.conversation.clone());
        let low = self.timeline.low();
        let had: Vec<MessageId> = self.tail.since(low).map(|message| message.id).collect();
        self.ask(
            async move { read_since(&*store, &conversation, low).await },
            move |messages| StoreAnswer::Again { had, messages },
        );
    }

    pub(super) fn read_again(
        &mut self,
        had: Vec<MessageId>,
        messages: Result<Vec<Message>, StoreError>,
    ) {
        let Some(messages) = messages.ok().filter(|_| !self.lacks_names()) else {
            let again = || ChannelMessage::Due(Due::ReadAgain);
            self.myself.send_after(super::RELOAD_AFTER, again);
            return;
        };
        self.owes_second_read = false;
        self.look_for_what_has_gone(had, &messages);
        for message in messages {
            if self.tail.get(message.id).is_none() && !self.timeline.was_deleted(message.id) {
                self.note_sent(message, 0);
            }
        }
        if self.timeline.has_changes() {
            self.changed(self.node.clock.now());
        }
        self.show_what_was_lost_with_an_owner();
    }

    /// What was read at first and is not there any more an earlier owner may have deleted since.
    fn look_for_what_has_gone(&mut self, had: Vec<MessageId>, there: &[Message]) {
        let there: HashSet<MessageId> = there.iter().map(|message| message.id).collect();
        for id in had.into_iter().filter(|id| !there.contains(id)) {
            self.ask_what_stands_at(id);
        }
    }

    /// In a private, what an earlier owner sent last its people's nodes may never have been shown,
    /// if they have no relay that catches up.
    fn show_what_was_lost_with_an_owner(&mut self) {
        let ago = (self.began.elapsed() + LOST_WITHIN).as_millis() as Millis;
        let since = self.node.clock.now() - ago;
        let newest = self.tail.since(MessageId::default());
        let sent = newest.filter(|message| message.datetime_sent >= since);
        let sent: HashSet<MessageId> = sent.map(|message| message.id).collect();
        for node in self.nodes_of_its_people() {
            if !sent.is_empty() && !self.viewers.nodes.contains_key(&node) {
                let missed = self.viewers.missed.entry(node);
                missed.or_insert_with(Missed::new).sent.extend(&sent);
                self.show(node, None);
            }
        }
    }
}

impl Node {
    /// Says something to a node's relay of a conversation, if there is one.
    pub fn tell_relay(
        self: &Arc<Self>,
        node: NodeName,
        conversation: &Conversation,
        message: RelayMessage,
    ) -> Result<(), RelayMessage> {
        if node == self.name() {
            return match message {
                RelayMessage::Show(_) => {
                    self.tell_relay_here(conversation, message);
                    Ok(())
                }
                RelayMessage::Frame(frame) => self.show_frame(conversation, frame),
                message => self.directory.relays.tell_if_there(conversation, message),
            };
        }
        let Some(peer) = self.cluster.peer(node) else {
            return Err(message);
        };
        let word = word_to_relay(conversation, message)?;
        // A link that ends is noticed by who keeps the view.
        let _ = peer.cast(PeerMessage::say(Body::Tell(word)));
        Ok(())
    }

    /// Gives a frame to the relay here. One of a private that had nobody to show it to may have
    /// ended, without its owner knowing, before one of its people came: it is started again.
    pub fn show_frame(
        self: &Arc<Self>,
        conversation: &Conversation,
        frame: Arc<Frame>,
    ) -> Result<(), RelayMessage> {
        let frame = RelayMessage::Frame(frame);
        let told = self.directory.relays.tell_if_there(conversation, frame);
        match (told, conversation) {
            (Err(frame), Conversation::Private(one, other)) if self.is_here(&[*one, *other]) => {
                self.tell_relay_here(conversation, frame);
                Ok(())
            }
            (told, _) => told,
        }
    }

    /// Whether one of these people is connected to this node.
    fn is_here(&self, people: &[UserId]) -> bool {
        let roster = self.roster();
        let connected = |user: &UserId| roster.connections_of(*user).next().is_some();
        people.iter().any(connected)
    }
}

/// Everything at or above a place, newest first.
async fn read_since(
    store: &dyn Store,
    conversation: &Conversation,
    from: MessageId,
) -> Result<Vec<Message>, StoreError> {
    let after = Some(MessageId(from.0.saturating_sub(1)));
    let mut messages: Vec<Message> = Vec::new();
    let mut bytes = 0;
    while messages.len() < CATCH_UP_MAX && bytes < CATCH_UP_BYTES {
        let before = messages.last().map(|oldest| oldest.id);
        let range = Range {
            before,
            after,
            limit: CATCH_UP_PAGE,
        };
        let page = store.history(conversation, range).await?;
        let fits = |message: &Message| {
            bytes += message.text.as_str().len();
            bytes < CATCH_UP_BYTES
        };
        messages.extend(page.messages.into_iter().take_while(fits));
        if !page.more {
            break;
        }
    }
    Ok(messages)
}
