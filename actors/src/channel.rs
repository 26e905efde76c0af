//! A conversation: who is typing what, in which order, and who is watching.
//!
//! A place is reserved when typing begins and kept when the message is sent, so everyone reads
//! the same order: [`Timeline`] holds that rule. The actor around it adds time and company:
//! what it knows when it begins is in `opening`, changes are gathered for one [`TICK`] and leave
//! as one frame to each watching node (`viewers`), messages begin and come back (`beginning`,
//! `typing`, `anew`), and history is read (`history`).

mod anew;
mod beginning;
mod history;
mod leaving;
mod messages;
mod opening;
mod outgoing;
mod typing;
mod viewers;

pub use messages::{Answer, Beginning, ChannelMessage, Due, StoreAnswer, awaited};
pub use outgoing::Outgoing;

use crate::edge::{Entry, Target};
use crate::frame::{End, Epoch};
use crate::node::{CONFIRM_TIMEOUT, Lives, Node, STORE_TIMEOUT};
use crate::tail::Tail;
use crate::timeline::{Known, Timeline};
use cluster_config::Shard;
use cql::{Conversation, Message, MessageId, Range, StoreError, UserId, Username};
use history::Reading;
use opening::Opening;
use ractor::{Actor, ActorProcessingErr, ActorRef, SupervisionEvent};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tracing::debug;
use viewers::Viewers;

/// Changes of one conversation leave at most this often; ten states a second read as live.
pub const TICK: Duration = Duration::from_millis(100);

/// How often a conversation looks whether it is still wanted.
const HOUSEKEEPING: Duration = Duration::from_secs(10);

/// Pause before the store is asked again for the newest messages.
const RELOAD_AFTER: Duration = Duration::from_secs(1);

/// What it starts with.
pub struct Arguments {
    pub node: Arc<Node>,
    pub conversation: Conversation,
    /// Whether an earlier life of it failed: then relays know more than it does, and the store
    /// may be about to.
    pub restarted: bool,
}

/// The actor.
pub struct Channel;

/// Its state.
pub struct State {
    node: Arc<Node>,
    myself: ActorRef<ChannelMessage>,
    conversation: Conversation,
    epoch: Epoch,
    timeline: Timeline,
    tail: Tail,
    outgoing: Arc<Outgoing>,
    viewers: Viewers,
    /// In a private, the names of its people.
    names: HashMap<UserId, Username>,
    /// Whether the store was reached for them.
    names_read: bool,
    /// When this life began to serve.
    began: Instant,
    reading: HashMap<Range, Reading>,
    /// Changes that wait to know what stands at their id.
    looking: HashMap<MessageId, Vec<typing::Looking>>,
    /// What is being deleted, for as long as it is not certain that it is.
    deleting: BTreeMap<MessageId, Message>,
    opening: Option<Opening>,
    /// While true, the store may still get messages from an earlier life, and reads go to it.
    owes_second_read: bool,
    /// Questions to the store that are under way.
    asking: usize,
    leaving: bool,
}

impl Actor for Channel {
    type Msg = ChannelMessage;
    type State = State;
    type Arguments = Arguments;

    async fn pre_start(
        &self,
        myself: ActorRef<ChannelMessage>,
        arguments: Arguments,
    ) -> Result<State, ActorProcessingErr> {
        let Arguments {
            node,
            conversation,
            restarted,
        } = arguments;
        let epoch = begin_epoch(&node);
        let shard = Shard::of(&conversation.key());
        let owed_until = node.cluster.shards.owed_until(shard, Instant::now());
        let mut state = State {
            myself: myself.clone(),
            conversation,
            epoch,
            timeline: Timeline::default(),
            tail: Tail::default(),
            outgoing: Arc::default(),
            viewers: Viewers::default(),
            names: HashMap::new(),
            names_read: false,
            began: Instant::now(),
            reading: HashMap::new(),
            looking: HashMap::new(),
            deleting: BTreeMap::new(),
            opening: Some(Opening {
                newest: false,
                silent: HashSet::new(),
                ghosts: Vec::new(),
                ended: Vec::new(),
                waiting: Vec::new(),
            }),
            owes_second_read: restarted || owed_until.is_some(),
            asking: 0,
            leaving: false,
            node,
        };
        state.timeline.pass(state.node.settled_now());
        state.load();
        state.note_people(true);
        // The relays of all nodes kept what was being typed.
        let asked = state.ask_relays();
        if let Some(opening) = &mut state.opening {
            opening.silent.extend(asked);
        }
        myself.send_after(CONFIRM_TIMEOUT, || ChannelMessage::Due(Due::Open));
        // Whatever an earlier life, or an owner before, had asked the store for is decided by then.
        let decided = restarted.then_some(STORE_TIMEOUT * 2);
        let decided = decided.max(owed_until.map(|until| until - Instant::now()));
        if let Some(decided) = decided {
            myself.send_after(decided, || ChannelMessage::Due(Due::ReadAgain));
        }
        // It may have been lost between the look at the view and this start.
        if state.node.lives(&state.conversation) != Lives::Here {
            let _ = myself.cast(ChannelMessage::Release);
        }
        // Ends with the actor.
        myself.send_interval(HOUSEKEEPING, || ChannelMessage::Due(Due::Housekeeping));
        debug!(
            conversation.shard = shard.number(),
            restarted, "conversation opened"
        );
        Ok(state)
    }

    async fn handle(
        &self,
        _: ActorRef<ChannelMessage>,
        message: ChannelMessage,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        if state.leaving {
            state.hand_on(message);
            return Ok(());
        }
        match (message, &mut state.opening) {
            (ChannelMessage::Release, _) => state.release(),
            (ChannelMessage::HadByOthers, _) => state.had_by_others(),
            (
                ChannelMessage::Announced {
                    node,
                    ghosts,
                    ended,
                },
                Some(opening),
            ) => {
                opening.silent.remove(&node);
                opening.ghosts.extend(ghosts);
                opening.ended.extend(ended);
            }
            (ChannelMessage::HandedOver { ghosts, ended }, Some(opening)) => {
                opening.ghosts.extend(ghosts);
                opening.ended.extend(ended);
            }
            (ChannelMessage::Answered(answer @ StoreAnswer::Newest(_)), _) => {
                state.answered(answer).await;
            }
            (ChannelMessage::Due(Due::Open), Some(opening)) => opening.silent.clear(),
            (message, Some(opening)) => opening.waiting.push(message),
            (message, None) => state.take(message).await,
        }
        for message in state.open().await {
            state.take(message).await;
        }
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        _: ActorRef<ChannelMessage>,
        event: SupervisionEvent,
        _: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        // Without this it would end with the first of them, also one that ended as it should.
        // A typing message that failed is started again from the timeline when it is next
        // spoken to; the others ended as they should.
        if let SupervisionEvent::ActorFailed(_, error) = event {
            crate::supervisor::report("typing_message", &error);
        }
        Ok(())
    }
}

impl State {
    async fn take(&mut self, message: ChannelMessage) {
        match message {
            ChannelMessage::Post { post, since, reply } => self.post(*post, since, reply).await,
            ChannelMessage::Stroke {
                id,
                stroke,
                claim,
                since,
                reply,
            } => {
                self.stroke(id, stroke, claim, since, reply).await;
            }
            ChannelMessage::Delete { id, reply } => self.delete(id, reply),
            ChannelMessage::History { range, reply } => self.history(range, reply),
            ChannelMessage::Watch { node, from } => self.watch(node, from),
            ChannelMessage::Confirm { node, ask } => self.confirm(node, ask),
            ChannelMessage::Announced { ghosts, ended, .. } => {
                self.announced_late(ghosts, ended).await;
            }
            ChannelMessage::Release | ChannelMessage::HadByOthers => {}
            ChannelMessage::HandedOver { ghosts, ended } => self.handed_over(ghosts, ended).await,
            ChannelMessage::Abandon { id, by, answer } => self.abandon(id, by, answer),
            ChannelMessage::PersonOn { node } => self.person_on(node),
            ChannelMessage::Seen { node, n } => self.viewers.seen(node, n),
            ChannelMessage::Typed {
                id,
                text,
                belongs,
                author_rev,
                since,
            } => {
                self.timeline.change(id, text, belongs, author_rev);
                self.changed(since);
            }
            ChannelMessage::Sent {
                message,
                author_rev,
                since,
            } => {
                self.note_sent(*message, author_rev);
                self.changed(since);
            }
            ChannelMessage::Ended {
                id,
                end,
                clean,
                author_rev,
                answer,
            } => {
                self.ended(id, end, clean, author_rev);
                self.answer_when_seen(answer);
            }
            ChannelMessage::Answered(answer) => self.answered(answer).await,
            ChannelMessage::Due(due) => self.due(due),
            #[cfg(test)]
            ChannelMessage::Break => panic!("broken on purpose"),
        }
    }

    async fn answered(&mut self, answer: StoreAnswer) {
        self.asking = self.asking.saturating_sub(1);
        match answer {
            StoreAnswer::Newest(page) => self.newest(page),
            StoreAnswer::Page { range, page } => self.page(range, page),
            StoreAnswer::Since {
                ask,
                node,
                from,
                messages,
            } => self.since(ask, node, from, messages),
            StoreAnswer::Again { had, messages } => self.read_again(had, messages),
            StoreAnswer::Placed { id, placed } => self.looked(id, placed).await,
            StoreAnswer::Bound {
                fresh,
                bound,
                stroke,
                since,
                reply,
            } => {
                self.bound(fresh, bound, stroke, since, reply).await;
            }
            StoreAnswer::BegunAnew {
                old,
                begun,
                stroke,
                since,
                reply,
            } => {
                self.begun_anew(old, begun, stroke, since, reply).await;
            }
            StoreAnswer::Deleted {
                id,
                stood,
                deleted,
                reply,
                under_way,
            } => {
                self.deleted(id, stood, deleted, reply);
                drop(under_way);
            }
        }
    }

    fn due(&mut self, due: Due) {
        match due {
            Due::Tick => self.tick(),
            Due::Open => {}
            Due::Acknowledge(n) => self.viewers.give_up(n),
            Due::Reload => self.load(),
            Due::ReadAgain => self.ask_again(),
            Due::Housekeeping => self.housekeeping(),
        }
    }

    /// Asks the store, beside the actor; the answer comes back as a message.
    fn ask<T: Send + 'static>(
        &mut self,
        asked: impl Future<Output = Result<T, StoreError>> + Send + 'static,
        answer: impl FnOnce(Result<T, StoreError>) -> StoreAnswer + Send + 'static,
    ) {
        self.asking += 1;
        let (node, myself) = (self.node.clone(), self.myself.clone());
        tokio::spawn(async move {
            let answered = node.ask_store(asked).await;
            let _ = myself.cast(ChannelMessage::Answered(answer(answered)));
        });
    }

    /// A message is in the history now, by its author's count: viewers are told, and reads have it.
    fn note_sent(&mut self, message: Message, author_rev: u64) {
        let target = self.target_of(&message);
        // What was shown as sent long ago is not shown again.
        if message.id >= self.timeline.low() {
            self.timeline.sent(entry(&message, target), author_rev);
        }
        // It may have been found in the store while an actor still types it.
        self.tell_over(message.id, End::Sent);
        self.viewers.sent(&message);
        for reading in self.reading.values_mut() {
            reading.sent_meanwhile.push(message.clone());
        }
        self.tail.insert(message);
    }

    /// A message is over, and its actor gone.
    fn ended(&mut self, id: MessageId, end: End, clean: bool, author_rev: u64) {
        let is_sent = matches!(self.timeline.known(id), Known::Ended { end: End::Sent, .. });
        // It was found in the store while its author had it taken out there.
        let taken_out = end == End::Erased && !clean && is_sent;
        if taken_out && let Some(message) = self.tail.remove(id) {
            let target = self.target_of(&message);
            self.timeline.delete_sent(entry(&message, target));
        } else {
            self.timeline.end(id, end, clean, author_rev);
        }
    }

    fn housekeeping(&mut self) {
        self.timeline.pass(self.node.settled_now());
        self.viewers.expire();
        let idle = self.timeline.is_idle()
            && self.viewers.is_empty()
            && self.reading.is_empty()
            && self.looking.is_empty()
            && self.asking == 0
            && self.outgoing.is_idle()
            && !self.owes_second_read;
        if idle {
            self.leave();
            // Not stopped: what is queued has to be heard or passed on.
            let _ = self.myself.drain();
        }
    }
}

/// One that is above all earlier ones.
fn begin_epoch(node: &Node) -> Epoch {
    node.cluster.epoch_began();
    // Without ids there is no epoch either; the time alone is above all earlier ones.
    let id = node.clock.next_id(MessageId::default());
    let id = id.unwrap_or_else(|_| MessageId::at(node.clock.now()));
    Epoch {
        version: node.cluster.version(),
        id,
    }
}

/// A message of the history, as viewers see it.
pub fn entry(message: &Message, target: Target) -> Entry {
    Entry {
        id: message.id,
        author: message.author,
        username: message.username.clone(),
        target,
        text: Arc::from(message.text.as_str()),
        typing: false,
        datetime_start: message.datetime_start,
        datetime_sent: Some(message.datetime_sent),
        rev: 0,
    }
}
