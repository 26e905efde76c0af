//! A conversation: who is typing what, in which order, and who is watching.
//!
//! A place is reserved when typing begins and kept when the message is sent, so everyone reads
//! the same order: [`Timeline`] holds that rule. The actor around it adds time and company:
//! changes are gathered for one [`TICK`] and leave as one frame to each watching node
//! (`viewers`), messages begin and come back (`typing`), and history is read (`history`).

mod beginning;
mod history;
mod leaving;
mod outgoing;
mod typing;
mod viewers;

pub use outgoing::Outgoing;

use crate::edge::{Entry, Target};
use crate::frame::{Belongs, End, Epoch, Ghost};
use crate::node::{CONFIRM_TIMEOUT, Lives, Node, STORE_TIMEOUT};
use crate::relay::RelayMessage;
use crate::requests::{History, Posted, TypingError, Unanswered};
use crate::tail::{TAIL_LENGTH, Tail};
use crate::timeline::Timeline;
use crate::typing_message::{PatchReply, Stroke};
use cluster_config::{NodeName, Shard};
use cql::{
    Conversation, KeyClaim, Message, MessageId, MessageText, Millis, Page, Placed, Range,
    StoreError, UserId, Username,
};
use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort, SupervisionEvent};
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::Instant;
use tracing::debug;
use viewers::Viewers;

/// Changes of one conversation leave at most this often; ten states a second read as live.
pub const TICK: Duration = Duration::from_millis(100);

/// How often a conversation looks whether it is still wanted.
const HOUSEKEEPING: Duration = Duration::from_secs(10);

/// Pause before the store is asked again for the newest messages.
const RELOAD_AFTER: Duration = Duration::from_secs(1);

/// Says that something is done, to whoever waits for it.
pub type Answer = Box<dyn FnOnce() + Send>;

/// An answer, and what receives it; nothing is received if it is dropped.
pub fn awaited() -> (Answer, oneshot::Receiver<()>) {
    let (done, seen) = oneshot::channel();
    let answer = move || {
        // Whoever waited may have had enough.
        let _ = done.send(());
    };
    (Box::new(answer), seen)
}

/// Somebody begins a message, as its owner needs it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Beginning {
    /// Who; none when a privileged message names nobody who exists.
    pub author: Option<UserId>,
    /// The name.
    pub username: Username,
    /// As the conversation was named.
    pub target: Target,
    /// What is typed so far.
    pub text: MessageText,
    /// False: sent at once.
    pub typing: bool,
    /// The client's idempotency key.
    pub key: Option<String>,
    /// Whose going ends it.
    pub belongs: Belongs,
    /// When a privileged caller says it began.
    pub datetime_start: Option<Millis>,
}

/// What a conversation is told.
pub enum ChannelMessage {
    /// Asked: begin a message.
    Post {
        post: Box<Beginning>,
        since: Millis,
        reply: RpcReplyPort<Result<Posted, TypingError>>,
    },
    /// Asked: change a message that no actor stands for.
    Stroke {
        id: MessageId,
        stroke: Stroke,
        claim: Option<String>,
        since: Millis,
        reply: PatchReply,
    },
    /// Asked: delete, sent or not.
    Delete {
        id: MessageId,
        reply: RpcReplyPort<Result<(), TypingError>>,
    },
    /// Asked: a part of the history, with what is being typed.
    History {
        range: Range,
        reply: RpcReplyPort<Result<History, Unanswered>>,
    },
    /// Told: a node shows this conversation; with `from`, it wants a snapshot from there on.
    Watch {
        node: NodeName,
        from: Option<MessageId>,
    },
    /// Told by the last owner: what it knew when it left.
    HandedOver {
        ghosts: Vec<Ghost>,
        ended: Vec<(MessageId, End)>,
    },
    /// Asked: erase what hung on something that has gone.
    Abandon {
        id: MessageId,
        by: Belongs,
        answer: Option<Answer>,
    },
    /// Told: another node owns this now.
    Release,
    /// Told: somebody of this private is on that node.
    PersonOn { node: NodeName },
    /// Told: what a node's relay kept.
    Announced {
        node: NodeName,
        ghosts: Vec<Ghost>,
        ended: Vec<(MessageId, End)>,
    },
    /// Told: a node's relay has that frame.
    Seen { node: NodeName, n: u64 },
    /// Reported by a typing message: its text now.
    Typed {
        id: MessageId,
        text: Arc<str>,
        belongs: Belongs,
        author_rev: u64,
        since: Millis,
    },
    /// Reported: it is in the store.
    Sent {
        message: Box<Message>,
        since: Millis,
    },
    /// Reported: it is over; `answer` is for when viewers know.
    Ended {
        id: MessageId,
        end: End,
        clean: bool,
        answer: Option<Answer>,
    },
    /// Reported: what the store answered.
    Answered(StoreAnswer),
    /// Reported: the time for it has come.
    Due(Due),
    /// Breaks the actor, to see it come back.
    #[cfg(test)]
    Break,
}

impl ractor::Message for ChannelMessage {}

/// What the store answered to a channel's question.
pub enum StoreAnswer {
    /// The newest messages, and in a private its people's names.
    Newest(Result<(Page, Vec<(UserId, Username)>), StoreError>),
    /// What was asked for by readers.
    Page {
        range: Range,
        page: Result<Page, StoreError>,
    },
    /// What a node's relay asked for.
    Since {
        node: NodeName,
        from: MessageId,
        messages: Result<Vec<Message>, StoreError>,
    },
    /// The second read after the actor was started anew.
    Again(Result<Vec<Message>, StoreError>),
    /// What stands at an id.
    Placed {
        id: MessageId,
        placed: Result<Placed, StoreError>,
    },
    /// Which id a message that begins anew has.
    Bound {
        fresh: MessageId,
        bound: Result<KeyClaim, StoreError>,
        stroke: Stroke,
        since: Millis,
        reply: PatchReply,
    },
    /// A deletion.
    Deleted {
        id: MessageId,
        deleted: Result<Option<Box<Message>>, StoreError>,
        reply: RpcReplyPort<Result<(), TypingError>>,
    },
}

/// What a channel does when its time has come.
pub enum Due {
    /// Send what has changed.
    Tick,
    /// Go on without the announcements that are missing.
    Open,
    /// Answer those who waited for relays to have this frame.
    Acknowledge(u64),
    /// Ask the store again.
    Reload,
    /// Read a second time what an earlier life may have written late.
    ReadAgain,
    /// Look whether anybody needs it.
    Housekeeping,
}

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
    /// Readers who wait for the same part of the history.
    reading: HashMap<Range, Vec<RpcReplyPort<Result<History, Unanswered>>>>,
    /// Changes that wait to know what stands at their id.
    looking: HashMap<MessageId, Vec<typing::Looking>>,
    opening: Option<Opening>,
    /// While true, the store may still get messages from an earlier life, and reads go to it.
    owes_second_read: bool,
    /// Questions to the store that are under way.
    asking: usize,
    leaving: bool,
}

/// What it waits for before it serves.
struct Opening {
    newest: bool,
    /// The nodes whose relays have not said yet what they kept.
    silent: HashSet<NodeName>,
    ghosts: Vec<Ghost>,
    ended: Vec<(MessageId, End)>,
    waiting: Vec<ChannelMessage>,
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
        // Without ids there is no epoch either; the time alone is above all earlier ones.
        let id = node.clock.next_id(MessageId::default());
        let id = id.unwrap_or_else(|_| MessageId::at(node.clock.now()));
        let epoch = Epoch {
            version: node.cluster.version(),
            id,
        };
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
        for name in state
            .node
            .cluster
            .linked()
            .into_iter()
            .chain([state.node.name()])
        {
            if state.tell_relay(name, RelayMessage::OwnerChanged).is_ok()
                && let Some(opening) = &mut state.opening
            {
                opening.silent.insert(name);
            }
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
            // One that comes late has nothing that the relay won't ask about.
            ChannelMessage::Announced { .. } | ChannelMessage::Release => {}
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
            ChannelMessage::Sent { message, since } => {
                self.note_sent(*message);
                self.changed(since);
            }
            ChannelMessage::Ended {
                id,
                end,
                clean,
                answer,
            } => {
                self.timeline.end(id, end, clean);
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
                node,
                from,
                messages,
            } => self.since(node, from, messages),
            StoreAnswer::Again(messages) => self.read_again(messages),
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
            StoreAnswer::Deleted { id, deleted, reply } => self.deleted(id, deleted, reply),
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

    /// Asks for the newest messages.
    fn load(&mut self) {
        let (store, conversation) = (self.node.store.clone(), self.conversation.clone());
        let range = Range {
            before: None,
            after: None,
            limit: TAIL_LENGTH,
        };
        let asked = async move {
            let page = store.history(&conversation, range).await?;
            let mut names = Vec::new();
            if let Conversation::Private(one, other) = conversation {
                for user in [one, other] {
                    names.extend(store.user(user).await?.map(|user| (user.id, user.username)));
                }
            }
            Ok((page, names))
        };
        self.ask(asked, StoreAnswer::Newest);
    }

    fn newest(&mut self, newest: Result<(Page, Vec<(UserId, Username)>), StoreError>) {
        match newest {
            Ok((page, names)) => {
                self.names.extend(names);
                self.names_read = true;
                let sent = page
                    .messages
                    .iter()
                    .map(|message| message.datetime_sent)
                    .max();
                self.outgoing.next(sent.unwrap_or(0));
                self.tail.load(page);
                self.timeline.saw(self.tail.last());
                self.show_what_was_sent();
            }
            Err(_) => {
                self.myself
                    .send_after(RELOAD_AFTER, || ChannelMessage::Due(Due::Reload));
            }
        }
        if let Some(opening) = &mut self.opening {
            opening.newest = true;
        }
    }

    /// What is shown as a ghost and turns out to be in the store is sent.
    fn show_what_was_sent(&mut self) {
        let found: Vec<Message> = self
            .timeline
            .ghosts()
            .filter_map(|ghost| self.tail.get(ghost.entry.id).cloned())
            .collect();
        for message in found {
            self.note_sent(message);
            self.changed(self.node.clock.now());
        }
    }

    /// Serves once it knows what there is; gives what waited for that.
    async fn open(&mut self) -> Vec<ChannelMessage> {
        let Some(opening) = self
            .opening
            .take_if(|opening| opening.newest && opening.silent.is_empty())
        else {
            return Vec::new();
        };
        self.timeline.announced(opening.ghosts, opening.ended);
        self.began = Instant::now();
        let ghosts: Vec<_> = self.timeline.ghosts().map(|ghost| ghost.entry.id).collect();
        self.start_announced(&ghosts).await;
        self.show_what_was_sent();
        if self.timeline.has_changes() {
            self.changed(self.node.clock.now());
        }
        opening.waiting
    }

    /// A message is in the history now: viewers are told, and reads have it.
    fn note_sent(&mut self, message: Message) {
        let target = self.target_of(&message);
        // What was shown as sent long ago is not shown again.
        if message.id >= self.timeline.low() {
            self.timeline.sent(entry(&message, target));
        }
        self.tail.insert(message);
    }

    /// The people of a private are known by who types in it, though the store be away.
    fn note_names(&mut self, author: Option<UserId>, username: &Username, target: &Target) {
        let (Conversation::Private(..), Target::User(name)) = (&self.conversation, target) else {
            return;
        };
        if let Some((author, other)) = author.zip(author.and_then(|it| self.conversation.other(it)))
        {
            self.names.entry(author).or_insert_with(|| username.clone());
            self.names.entry(other).or_insert_with(|| name.clone());
        }
    }

    /// Whether it is not known yet what the people of this private are called.
    fn lacks_names(&self) -> bool {
        let is_private = matches!(self.conversation, Conversation::Private(..));
        is_private && !self.names_read && self.names.len() < 2
    }

    /// Where a message is shown to go.
    fn target_of(&self, message: &Message) -> Target {
        match (&self.conversation, message.author) {
            (Conversation::Channel(name), _) => Target::Channel(name.clone()),
            (private, author) => {
                let other = author.and_then(|author| private.other(author));
                let name = other.and_then(|other| self.names.get(&other));
                // Somebody who was deleted has no name any more, and nobody to see it.
                Target::User(name.unwrap_or(&message.username).clone())
            }
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
            && !self.owes_second_read;
        if idle {
            self.leave();
            let _ = self.myself.drain();
        }
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
