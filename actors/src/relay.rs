//! What carries a conversation to the sockets of one node: one frame in, all sockets out.
//!
//! A packet is encoded once and shared by all who get it. What the relay has shown is in
//! [`Fanout`]; after a gap, or when the owner starts anew, it catches up by difference. It also
//! keeps the ghosts beside their owner, and gives them back to a new one.

mod entering;
mod parts;
mod ticks;

use crate::channel::ChannelMessage;
use crate::edge::{ConnectionId, Entry, Event, Packet, Target, Wants};
use crate::fanout::{Applied, Fanout};
use crate::frame::{Belongs, Change, End, Epoch, Frame, Ghost, Snapshot};
use crate::node::Node;
use crate::presence::PresenceMessage;
use cql::{Conversation, MessageId, UserId};
use entering::{Confirming, Entering};
use parts::Parts;
use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
use ticks::Ticks;
use tokio::time::Instant;

/// How often it says that it watches.
const RENEWAL: Duration = Duration::from_secs(10);

/// It ends when it had nobody and nothing to keep for this long.
const IDLE: Duration = Duration::from_secs(60);

/// Frames kept while a snapshot is on its way; beyond that it is asked for anew.
const WAITING_FRAMES_MAX: usize = 256;

/// A connection that comes to watch.
#[derive(Debug, Clone)]
pub struct Viewer {
    /// The socket.
    pub connection: ConnectionId,
    /// What it wants to hear.
    pub wants: Wants,
    /// Whose it is.
    pub user: UserId,
    /// As the viewer names the conversation, where that was said.
    pub target: Option<Target>,
    /// Whether it is told what is being typed even if that is nothing.
    pub always: bool,
}

/// What a relay is told.
pub enum RelayMessage {
    /// Asked: a connection comes; answered when it was told what is being typed.
    Enter {
        viewer: Viewer,
        reply: Option<RpcReplyPort<()>>,
    },
    /// Told: a connection goes.
    Leave { connection: ConnectionId },
    /// Told: somebody here types in it, so it keeps what is typed.
    Keep,
    /// Told by the owner: what changed.
    Frame(Arc<Frame>),
    /// Told by the owner: all there is.
    Snapshot(Snapshot),
    /// Told by the owner: it was asked this, and this was its last frame.
    Confirmed { ask: u64, epoch: Epoch, n: u64 },
    /// Told by the owner of a private: one of its people is here, and this is all there was before
    /// the next frame.
    Show(Snapshot),
    /// Told: frames were dropped on the way.
    Gap,
    /// Told by presence: the people of this private who are here have entered.
    People,
    /// Told: presence started anew, and knows of nobody and of no private.
    PresenceAnew,
    /// Told: the owner is new, or started anew, and knows nothing.
    OwnerChanged,
    /// Reported: the time for it has come.
    Due(Due),
    /// Breaks the actor, to see what becomes of its sockets.
    #[cfg(test)]
    Break,
}

impl ractor::Message for RelayMessage {}

/// What a relay does when its time has come.
#[derive(Debug, Clone, Copy)]
pub enum Due {
    /// Say that it watches.
    Renew,
    /// Emit what was too much for one tick.
    Tick,
    /// Go on without the answer to that question.
    Unconfirmed(u64),
}

/// What it starts with.
pub struct Arguments {
    pub node: Arc<Node>,
    pub conversation: Conversation,
}

/// The actor.
pub struct Relay;

/// Its state.
pub struct State {
    node: Arc<Node>,
    myself: ActorRef<RelayMessage>,
    conversation: Conversation,
    fanout: Fanout,
    parts: Parts,
    /// Who waits to be shown what is being typed.
    entering: Vec<Entering>,
    /// How often the owner was asked, for a snapshot or whether this is what there is.
    asks: u64,
    /// The last of these questions that was answered.
    answered: u64,
    confirming: Option<Confirming>,
    /// Frames that came while a snapshot was on its way, and that something is missing before.
    frames: Vec<Arc<Frame>>,
    /// Which question was for a snapshot that is on its way, and when.
    asked: Option<(u64, Instant)>,
    /// What the owner said before the people of a private had entered; none once they have.
    before_people: Option<Vec<RelayMessage>>,
    later: Ticks,
    ticking: bool,
    used_at: Instant,
    leaving: bool,
}

impl Actor for Relay {
    type Msg = RelayMessage;
    type State = State;
    type Arguments = Arguments;

    async fn pre_start(
        &self,
        myself: ActorRef<RelayMessage>,
        Arguments { node, conversation }: Arguments,
    ) -> Result<State, ActorProcessingErr> {
        let mut state = State {
            parts: Parts::new(&conversation),
            myself: myself.clone(),
            fanout: Fanout::new(node.clock.now()),
            entering: Vec::new(),
            asks: 0,
            answered: 0,
            confirming: None,
            frames: Vec::new(),
            asked: None,
            before_people: None,
            later: Ticks::default(),
            ticking: false,
            used_at: Instant::now(),
            leaving: false,
            conversation,
            node,
        };
        state.ask_for_snapshot();
        if state.asks_for_people() {
            state.before_people = Some(Vec::new());
        }
        myself.send_interval(RENEWAL, || RelayMessage::Due(Due::Renew));
        Ok(state)
    }

    async fn handle(
        &self,
        _: ActorRef<RelayMessage>,
        message: RelayMessage,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        if state.leaving {
            state.hand_on(message);
            return Ok(());
        }
        match (message, &mut state.before_people) {
            (
                message @ (RelayMessage::Frame(_)
                | RelayMessage::Snapshot(_)
                | RelayMessage::Show(_)
                | RelayMessage::Gap),
                Some(waiting),
            ) => waiting.push(message),
            (message, _) => state.take(message),
        }
        Ok(())
    }
}

impl State {
    fn take(&mut self, message: RelayMessage) {
        match message {
            RelayMessage::Enter { viewer, reply } => self.enter(viewer, reply),
            RelayMessage::Leave { connection } => self.leave(connection),
            RelayMessage::Keep => self.used_at = Instant::now(),
            RelayMessage::Frame(frame) => self.frame(frame),
            RelayMessage::Snapshot(snapshot) => self.snapshot(snapshot),
            RelayMessage::Confirmed { ask, epoch, n } => self.confirmed(ask, epoch, n),
            RelayMessage::Show(snapshot) => self.show(snapshot),
            RelayMessage::Gap => self.ask_for_snapshot(),
            RelayMessage::People => self.people(),
            RelayMessage::PresenceAnew => self.presence_anew(),
            RelayMessage::OwnerChanged => {
                self.announce();
                self.ask_for_snapshot();
            }
            RelayMessage::Due(Due::Renew) => self.renew(),
            RelayMessage::Due(Due::Tick) => self.tick(),
            RelayMessage::Due(Due::Unconfirmed(ask)) => self.unconfirmed(ask),
            #[cfg(test)]
            RelayMessage::Break => panic!("broken on purpose"),
        }
    }

    /// Tells the owner what is kept here; what hung on a socket of this node that has gone is
    /// over.
    fn announce(&self) {
        let (mut ghosts, mut ended) = self.fanout.announcement();
        ghosts.retain(|ghost| {
            let gone = self.has_gone(ghost);
            if gone {
                ended.push((ghost.entry.id, End::Absent));
            }
            !gone
        });
        let node = self.node.name();
        self.tell_channel(ChannelMessage::Announced {
            node,
            ghosts,
            ended,
        });
    }

    /// Whether a ghost hung on a socket of this node that is there no more.
    fn has_gone(&self, ghost: &Ghost) -> bool {
        match ghost.belongs {
            Belongs::Connection(node, connection) if node == self.node.name() => {
                !self.node.directory.connections().contains_key(&connection)
            }
            _ => false,
        }
    }

    /// All there was before the next frame: what follows is shown as a change.
    fn show(&mut self, before: Snapshot) {
        self.used_at = Instant::now();
        if !self.fanout.is_synced() {
            self.fanout.catch_up(before);
            self.asks += 1;
            self.answered(self.asks);
        }
    }

    /// Has presence enter the people of a private; false where nobody is to be.
    fn asks_for_people(&self) -> bool {
        let presence = self.node.directory.presence();
        let is_private = matches!(self.conversation, Conversation::Private(..));
        let conversation = self.conversation.clone();
        let private_here = PresenceMessage::PrivateHere { conversation };
        is_private && presence.is_some_and(|presence| presence.cast(private_here).is_ok())
    }

    /// The sockets that were here have ended; those that come are to be entered again.
    fn presence_anew(&mut self) {
        for connection in self.parts.connections() {
            self.leave(connection);
        }
        self.entering.clear();
        self.asks_for_people();
    }

    fn people(&mut self) {
        for message in self.before_people.take().into_iter().flatten() {
            self.take(message);
        }
    }

    fn frame(&mut self, frame: Arc<Frame>) {
        if self.asked.is_some() && !self.fanout.awaits(frame.epoch, frame.n) {
            if self.frames.len() >= WAITING_FRAMES_MAX {
                self.frames.clear();
                self.ask_for_snapshot();
            }
            self.frames.push(frame);
            return;
        }
        self.apply(frame);
    }

    fn apply(&mut self, frame: Arc<Frame>) {
        let (n, since, acknowledge) = (frame.n, frame.since, frame.acknowledge);
        let frame = Arc::try_unwrap(frame).unwrap_or_else(|shared| (*shared).clone());
        match self.fanout.apply(frame) {
            Applied::Tell(entries) => {
                self.tell(&entries);
                let late = self.node.clock.now() - since;
                metrics::histogram!("ting_keystroke_delivery_seconds")
                    .record(late.max(0) as f64 / 1_000.0);
            }
            Applied::Gap => self.ask_for_snapshot(),
            Applied::Old => {}
        }
        if acknowledge {
            let node = self.node.name();
            self.tell_channel(ChannelMessage::Seen { node, n });
        }
    }

    fn snapshot(&mut self, mut snapshot: Snapshot) {
        let asked = self.asked.take().map(|(ask, _)| ask);
        let frames = std::mem::take(&mut self.frames);
        if !self.fanout.is_synced() {
            // Nobody here was shown what changed since it was asked for.
            before_frames(&mut snapshot, &frames);
            self.tell_missed(&snapshot.sent, asked.unwrap_or_default());
        }
        let entries = self.fanout.catch_up(snapshot);
        self.tell(&entries);
        if let Some(ask) = asked {
            self.answered(ask);
        }
        for frame in frames {
            self.frame(frame);
        }
    }

    fn ask_for_snapshot(&mut self) {
        self.asks += 1;
        self.asked = Some((self.asks, Instant::now()));
        self.confirming = None;
        let node = self.node.name();
        self.tell_channel(ChannelMessage::Watch {
            node,
            from: Some(self.fanout.from()),
        });
    }

    fn tell_channel(&self, message: ChannelMessage) {
        self.node.tell_channel(&self.conversation, message);
    }

    /// Tells all sockets, each what it wants to hear, each packet encoded once.
    fn tell(&mut self, entries: &[Entry]) {
        self.tell_entering(entries);
        if entries.is_empty() || self.parts.is_empty() {
            return;
        }
        let sockets = self.node.sockets.clone();
        let told = self.encode(entries, self.parts.want_messages());
        let cursors = self.parts.cursors(entries, |target| {
            sockets.encode(Event::Cursor {
                target,
                low: self.fanout.low(),
            })
        });
        for part in self.parts.iter() {
            let mut packets = self.packets(&told, part.wants, part.person);
            packets.extend(
                cursors
                    .get(&part.person)
                    .filter(|_| part.wants.resume)
                    .cloned(),
            );
            self.later.add(&part.room, packets);
        }
        if !self.ticking {
            self.tick();
        }
    }

    /// Encodes what is told, once for all who are; `message` events if anybody wants them.
    fn encode<'a>(&self, entries: &'a [Entry], want_messages: bool) -> Told<'a> {
        let sockets = &self.node.sockets;
        let sent = entries
            .iter()
            .filter(|entry| want_messages && !entry.typing);
        let encoded = |entry| (entry, sockets.encode(Event::Message(entry)));
        Told {
            update: sockets.encode(Event::TypingMessages(entries)),
            messages: sent.map(encoded).collect(),
        }
    }

    /// What somebody gets of it.
    fn packets(&self, told: &Told<'_>, wants: Wants, person: Option<UserId>) -> Vec<Packet> {
        let mut packets = vec![told.update.clone()];
        if wants.messages {
            // In a private the author's own connections see the update alone.
            let messages = told.messages.iter();
            let theirs = messages.filter(|(entry, _)| self.is_for(person, entry));
            packets.extend(theirs.map(|(_, packet)| packet.clone()));
        }
        packets
    }

    /// Whether a message is for this person: in a private `message` goes to the target only.
    fn is_for(&self, person: Option<UserId>, entry: &Entry) -> bool {
        let other = |author| self.conversation.other(author);
        person.is_none() || entry.author.and_then(other) == person
    }

    fn tick(&mut self) {
        self.ticking = false;
        if let Some(rooms) = self.later.next() {
            for (room, packets) in rooms {
                self.node.sockets.emit_to_room(&room, &packets);
            }
        }
        if !self.later.is_empty() {
            self.ticking = true;
            self.myself
                .send_after(crate::channel::TICK, || RelayMessage::Due(Due::Tick));
        } else if !self.entering.is_empty() {
            self.let_in();
        }
    }

    fn renew(&mut self) {
        let asked = self.asked;
        let unanswered = asked.is_some_and(|(_, at)| at.elapsed() >= RENEWAL);
        if unanswered {
            self.ask_for_snapshot();
        } else {
            let node = self.node.name();
            self.tell_channel(ChannelMessage::Watch { node, from: None });
        }
        // Presence may have started anew, and never say that they are.
        self.people();
        for ghost in self.fanout.ghosts().filter(|ghost| self.has_gone(ghost)) {
            let (id, by) = (ghost.entry.id, ghost.belongs);
            self.tell_channel(ChannelMessage::Abandon {
                id,
                by,
                answer: None,
            });
        }
        let wanted = !self.parts.is_empty() || !self.entering.is_empty() || !self.fanout.is_quiet();
        if wanted {
            self.used_at = Instant::now();
        } else if self.used_at.elapsed() >= IDLE {
            self.leaving = true;
            self.node
                .directory
                .relays
                .remove(&self.conversation, self.myself.get_id());
            // Not stopped: what is queued has to be heard or passed on.
            let _ = self.myself.drain();
        }
    }

    /// What reaches it after it left goes to its successor; frames find it by themselves.
    fn hand_on(&self, message: RelayMessage) {
        match message {
            RelayMessage::Enter { .. }
            | RelayMessage::Leave { .. }
            | RelayMessage::Keep
            | RelayMessage::Show(_) => {
                self.node.tell_relay_here(&self.conversation, message);
            }
            RelayMessage::Frame(frame) => {
                // Nobody here is to see it.
                let _ = self.node.show_frame(&self.conversation, frame);
            }
            _ => {}
        }
    }
}

/// Entries as they go over the wire.
struct Told<'a> {
    update: Packet,
    messages: Vec<(&'a Entry, Packet)>,
}

/// Takes out of a snapshot what frames of the same life have told already: it becomes what was
/// there before the first of them.
fn before_frames(snapshot: &mut Snapshot, frames: &[Arc<Frame>]) {
    let told = || {
        let told = frames.iter();
        told.filter(|frame| frame.epoch == snapshot.epoch)
    };
    let Some(first) = told().map(|frame| frame.n).min() else {
        return;
    };
    let changed: HashSet<MessageId> = told()
        .flat_map(|frame| frame.changes.iter().map(Change::id))
        .collect();
    if first <= snapshot.n {
        snapshot.n = first - 1;
        snapshot
            .ghosts
            .retain(|ghost| !changed.contains(&ghost.entry.id));
        snapshot.sent.retain(|entry| !changed.contains(&entry.id));
        let deleted = &mut snapshot.deleted;
        deleted.retain(|entry| !changed.contains(&entry.id));
    }
}
