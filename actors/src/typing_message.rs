//! One message while it is typed: keeps the latest text, sends it, and knows when it is over.
//!
//! The actor of a message lives from its first letter until it is in the history or has left it
//! without a trace. It reports every change to its channel, which gathers them for viewers.
//! A message that is being sent stays a ghost until the store has it; what is asked of it
//! meanwhile waits, so that the order of one author's wishes is kept.

mod keeping;
mod stroke;

pub use stroke::{By, PatchReply, Stroke, Typist, Whereabouts};

use crate::channel::{Answer, ChannelMessage, Outgoing};
use crate::edge::Target;
use crate::frame::{Belongs, End, Ghost};
use crate::node::Node;
use crate::requests::{Patched, TypingError, Unanswered};
use crate::timeline::TYPED_AT_MOST;
use crate::under_way::UnderWay;
use cluster_config::NodeName;
use cql::{Append, Conversation, Message, MessageId, Millis, StoreError, Username};
use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// A ghost that belongs to nobody's socket is erased when it was not changed for this long.
const KEPT_ALIVE: Duration = Duration::from_secs(60);

/// More wishes than this wait for the store only if somebody floods; they are refused.
const WAITING_MAX: usize = 64;

/// What a typing message is told.
pub enum TypingMessageMessage {
    /// Asked: change.
    Stroke {
        stroke: Stroke,
        since: Millis,
        reply: PatchReply,
    },
    /// Asked: where it is, and whose.
    Whereabouts { reply: RpcReplyPort<Whereabouts> },
    /// Told: it is over, as its channel has found out.
    Over { end: End },
    /// Told: its author's connection went, if it still belongs to that.
    Abandoned { by: Belongs, answer: Option<Answer> },
    /// Told: a node is no member any more.
    NodeGone { node: NodeName },
    /// Told: another node owns its conversation now, and goes on with it.
    Release,
    /// Reported: what the store said of sending it, which is under way until it is answered: the
    /// next owner begins no earlier.
    Appended {
        message: Box<Message>,
        outcome: Result<Append, StoreError>,
        under_way: UnderWay,
    },
    /// Reported: what the store said of taking it out, likewise.
    Wiped {
        outcome: Result<bool, StoreError>,
        under_way: UnderWay,
    },
    /// Reported: the store takes longer than a request may.
    Slow { attempt: u64 },
    /// Reported: time to look at the time.
    Due,
}

impl ractor::Message for TypingMessageMessage {}

/// What it starts with.
pub struct Begin {
    pub node: Arc<Node>,
    pub conversation: Conversation,
    pub channel: ActorRef<ChannelMessage>,
    /// What leaves the conversation for the store.
    pub outgoing: Arc<Outgoing>,
    pub ghost: Ghost,
    /// Whether an earlier attempt to send it may have reached the store.
    pub unknown: bool,
}

/// The actor.
pub struct TypingMessage;

enum Phase {
    Typing,
    /// The store has been asked; who asked is told when it answers, or that it is slow.
    Sending {
        attempt: u64,
        reply: Option<PatchReply>,
    },
    Wiping {
        attempt: u64,
        reply: Option<PatchReply>,
    },
    Over,
}

/// Its state.
pub struct State {
    begin: Begin,
    phase: Phase,
    waiting: VecDeque<(Stroke, Millis, PatchReply)>,
    attempts: u64,
    /// Its author went while it was being sent; it goes too, if that fails.
    abandoned: bool,
    /// Another node goes on with it, once the store has answered.
    released: bool,
    touched: Instant,
    timer: Option<JoinHandle<Result<(), ractor::MessagingErr<TypingMessageMessage>>>>,
}

impl Actor for TypingMessage {
    type Msg = TypingMessageMessage;
    type State = State;
    type Arguments = Begin;

    async fn pre_start(
        &self,
        myself: ActorRef<Self::Msg>,
        begin: Begin,
    ) -> Result<State, ActorProcessingErr> {
        let mut state = State {
            begin,
            phase: Phase::Typing,
            waiting: VecDeque::new(),
            attempts: 0,
            abandoned: false,
            released: false,
            touched: Instant::now(),
            timer: None,
        };
        state.note_sign_in(true);
        state.set_timer(&myself);
        Ok(state)
    }

    async fn handle(
        &self,
        myself: ActorRef<Self::Msg>,
        message: Self::Msg,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            TypingMessageMessage::Stroke {
                stroke,
                since,
                reply,
            } => {
                state.stroke(&myself, stroke, since, reply);
            }
            TypingMessageMessage::Whereabouts { reply } => {
                let _ = reply.send(Whereabouts {
                    conversation: state.begin.conversation.clone(),
                    author: state.begin.ghost.entry.author,
                });
            }
            TypingMessageMessage::Over { end } => {
                // What the store is asked meanwhile, it will say itself.
                if matches!(state.phase, Phase::Typing) || end == End::Deleted {
                    state.over(&myself, end, None);
                }
            }
            TypingMessageMessage::Abandoned { by, answer } => {
                // A message that is being sent is on its way: its author asked for that.
                let its = state.begin.ghost.belongs == by;
                if its && matches!(state.phase, Phase::Typing) {
                    state.over(&myself, End::Absent, answer);
                } else {
                    state.abandoned |= its;
                    if let Some(answer) = answer {
                        answer();
                    }
                }
            }
            TypingMessageMessage::NodeGone { node } => {
                if matches!(state.begin.ghost.belongs, Belongs::Connection(of, _) if of == node) {
                    state.gone(&myself);
                }
            }
            TypingMessageMessage::Release => {
                state.released = true;
                state.go_on(&myself);
            }
            TypingMessageMessage::Appended {
                message,
                outcome,
                under_way,
            } => {
                state.appended(&myself, *message, outcome);
                drop(under_way);
            }
            TypingMessageMessage::Wiped { outcome, under_way } => {
                state.wiped(&myself, outcome);
                drop(under_way);
            }
            TypingMessageMessage::Slow { attempt } => state.slow(attempt),
            TypingMessageMessage::Due => state.due(&myself),
        }
        Ok(())
    }

    async fn post_stop(
        &self,
        _: ActorRef<Self::Msg>,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        if let Some(timer) = state.timer.take() {
            timer.abort();
        }
        Ok(())
    }
}

impl State {
    fn id(&self) -> MessageId {
        self.begin.ghost.entry.id
    }

    fn stroke(
        &mut self,
        myself: &ActorRef<TypingMessageMessage>,
        stroke: Stroke,
        since: Millis,
        reply: PatchReply,
    ) {
        if self.released && !matches!(self.phase, Phase::Over) {
            return self.hand_on(stroke, since, reply);
        }
        if let Some(refused) = self.refuses(&stroke) {
            let _ = reply.send(refused);
            return;
        }
        match self.phase {
            Phase::Over => {
                // Its channel knows how it ended.
                let id = self.id();
                let _ = self.begin.channel.cast(ChannelMessage::Stroke {
                    id,
                    stroke,
                    claim: None,
                    since,
                    reply,
                });
            }
            Phase::Sending { .. } | Phase::Wiping { .. } => {
                if self.waiting.len() < WAITING_MAX {
                    self.waiting.push_back((stroke, since, reply));
                } else {
                    let _ = reply.send(Err(Unanswered.into()));
                }
            }
            Phase::Typing => self.take(myself, stroke, since, reply),
        }
    }

    /// Why this change is not made, or that it is known already.
    fn refuses(&self, stroke: &Stroke) -> Option<Result<Patched, TypingError>> {
        let ghost = &self.begin.ghost;
        let named = stroke.conversation.as_ref();
        let elsewhere = named.is_some_and(|named| *named != self.begin.conversation);
        if elsewhere {
            // Who is not its author is not told that there is such a message.
            return Some(Err(match &stroke.by {
                By::Person(typist) if ghost.entry.author != Some(typist.user) => {
                    TypingError::NotFound
                }
                _ => TypingError::Conversation,
            }));
        }
        match stroke.by {
            By::Person(ref typist) if ghost.entry.author != Some(typist.user) => {
                Some(Err(TypingError::Forbidden))
            }
            // Connections overtake each other: an older state than known changes nothing.
            By::Person(_) if stroke.rev.is_some_and(|rev| rev < ghost.author_rev) => {
                Some(Ok(Patched::Done))
            }
            _ => None,
        }
    }

    fn take(
        &mut self,
        myself: &ActorRef<TypingMessageMessage>,
        stroke: Stroke,
        since: Millis,
        reply: PatchReply,
    ) {
        self.touched = Instant::now();
        if let By::Person(typist) = &stroke.by {
            // A sign-in without a socket when it began keeps nothing alive by one that came later.
            let belongs = match (self.begin.ghost.belongs, typist.belongs) {
                (Belongs::Nobody, Belongs::SignIn(_)) => Belongs::Nobody,
                (_, belongs) => belongs,
            };
            if self.begin.ghost.belongs != belongs {
                self.note_sign_in(false);
                self.begin.ghost.belongs = belongs;
                self.note_sign_in(true);
            }
            self.abandoned = false;
        }
        self.begin.ghost.author_rev = stroke.rev.unwrap_or(self.begin.ghost.author_rev);
        let Some(text) = stroke.text else {
            if self.begin.unknown {
                self.wipe(myself, reply);
            } else {
                let answer: Answer = Box::new(move || drop(reply.send(Ok(Patched::Done))));
                self.over(myself, End::Erased, Some(answer));
            }
            return;
        };
        if stroke.typing {
            self.begin.ghost.entry.text = Arc::from(text.as_str());
            self.report(since);
            let _ = reply.send(Ok(Patched::Done));
        } else {
            let said = match stroke.by {
                By::Privileged { datetime_sent } => datetime_sent,
                By::Person(_) => None,
            };
            self.send(myself, text, said, reply);
        }
    }

    /// Tells the channel what stands there now.
    fn report(&self, since: Millis) {
        let ghost = &self.begin.ghost;
        let _ = self.begin.channel.cast(ChannelMessage::Typed {
            id: ghost.entry.id,
            text: ghost.entry.text.clone(),
            belongs: ghost.belongs,
            author_rev: ghost.author_rev,
            since,
        });
    }

    /// What it hung on has gone.
    fn gone(&mut self, myself: &ActorRef<TypingMessageMessage>) {
        if matches!(self.phase, Phase::Typing) {
            self.over(myself, End::Absent, None);
        } else {
            self.abandoned = true;
        }
    }

    /// Asks the next owner.
    fn hand_on(&self, stroke: Stroke, since: Millis, reply: PatchReply) {
        let message = ChannelMessage::Stroke {
            id: self.id(),
            stroke,
            claim: None,
            since,
            reply,
        };
        let begin = &self.begin;
        begin.node.tell_channel(&begin.conversation, message);
    }

    /// Notes, or forgets, whose going ends it, where that is no socket.
    fn note_sign_in(&self, its: bool) {
        let Belongs::SignIn(hash) = self.begin.ghost.belongs else {
            return;
        };
        let mut typed_by = self.begin.node.directory.typed_by();
        if its {
            typed_by.entry(hash).or_default().insert(self.id());
        } else if let Some(typed) = typed_by.get_mut(&hash) {
            typed.remove(&self.id());
            if typed.is_empty() {
                typed_by.remove(&hash);
            }
        }
    }

    /// Takes up what waited.
    fn go_on(&mut self, myself: &ActorRef<TypingMessageMessage>) {
        if self.released && !matches!(self.phase, Phase::Sending { .. } | Phase::Wiping { .. }) {
            for (stroke, since, reply) in std::mem::take(&mut self.waiting) {
                self.hand_on(stroke, since, reply);
            }
            // Its ghost stays: the relays keep it for the next owner.
            if matches!(self.phase, Phase::Typing) {
                self.leave(myself);
            }
            return;
        }
        while !matches!(self.phase, Phase::Sending { .. } | Phase::Wiping { .. }) {
            let Some((stroke, since, reply)) = self.waiting.pop_front() else {
                break;
            };
            self.stroke(myself, stroke, since, reply);
        }
        if self.abandoned && matches!(self.phase, Phase::Typing) {
            self.over(myself, End::Absent, None);
        }
    }

    fn over(&mut self, myself: &ActorRef<TypingMessageMessage>, end: End, answer: Option<Answer>) {
        if matches!(self.phase, Phase::Over) {
            if let Some(answer) = answer {
                answer();
            }
            return;
        }
        self.phase = Phase::Over;
        let (id, clean) = (self.id(), !self.begin.unknown);
        let _ = self.begin.channel.cast(ChannelMessage::Ended {
            id,
            end,
            clean,
            author_rev: self.begin.ghost.author_rev,
            answer,
        });
        self.leave(myself);
    }

    /// Out of the directory first, then to the end of the queue: what is in it is handed on.
    fn leave(&self, myself: &ActorRef<TypingMessageMessage>) {
        self.note_sign_in(false);
        self.begin
            .node
            .directory
            .typing_messages
            .remove(&self.id(), myself.get_id());
        // `stop` would throw away what is queued, as everywhere.
        let _ = myself.drain();
    }

    fn due(&mut self, myself: &ActorRef<TypingMessageMessage>) {
        if !matches!(self.phase, Phase::Typing) {
            return self.set_timer(myself);
        }
        if self.left() == Duration::ZERO {
            self.over(myself, End::Expired, None);
        } else if self.has_nobody() && self.touched.elapsed() >= KEPT_ALIVE {
            self.over(myself, End::Absent, None);
        } else {
            self.set_timer(myself);
        }
    }

    /// Whether there is nobody whose going would end it. A sign-in may have gone while the message
    /// that it typed by HTTP began.
    fn has_nobody(&self) -> bool {
        match self.begin.ghost.belongs {
            Belongs::Connection(..) => false,
            Belongs::SignIn(hash) => !self.begin.node.roster().is_connected(hash),
            Belongs::Nobody => true,
        }
    }

    /// How long it may still be typed.
    fn left(&self) -> Duration {
        let left = self.id().time() + TYPED_AT_MOST - self.begin.node.clock.now();
        Duration::from_millis(u64::try_from(left).unwrap_or(0))
    }

    fn set_timer(&mut self, myself: &ActorRef<TypingMessageMessage>) {
        let alive = KEPT_ALIVE.saturating_sub(self.touched.elapsed());
        // To whom it belongs may change at any time, so the shorter limit is looked at always.
        let alive = if alive.is_zero() { KEPT_ALIVE } else { alive };
        let wait = self.left().min(alive).max(Duration::from_millis(10));
        let due = myself.send_after(wait, || TypingMessageMessage::Due);
        if let Some(before) = self.timer.replace(due) {
            before.abort();
        }
    }
}

/// Whom a private message is for.
pub fn recipient(target: &Target) -> Option<Username> {
    match target {
        Target::User(username) => Some(username.clone()),
        Target::Channel(_) => None,
    }
}
