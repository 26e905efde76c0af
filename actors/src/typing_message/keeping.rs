//! How a message reaches the store, and is taken out of it.

use super::{PatchReply, Phase, State, TypingMessageMessage, recipient};
use crate::channel::{Answer, ChannelMessage};
use crate::frame::End;
use crate::node::STORE_TIMEOUT;
use crate::requests::{Patched, TypingError, Unanswered};
use cql::{Append, Message, MessageText, Millis, StoreError};
use ractor::ActorRef;

impl State {
    pub(super) fn send(
        &mut self,
        myself: &ActorRef<TypingMessageMessage>,
        text: MessageText,
        said: Option<Millis>,
        reply: PatchReply,
    ) {
        let Some(writing) = self.begin.node.writing() else {
            let _ = reply.send(Err(Unanswered.into()));
            return;
        };
        let entry = &self.begin.ghost.entry;
        let message = Message {
            id: entry.id,
            conversation: self.begin.conversation.clone(),
            author: entry.author,
            username: entry.username.clone(),
            text,
            datetime_start: entry.datetime_start,
            datetime_sent: said
                .unwrap_or_else(|| self.begin.outgoing.next(self.begin.node.clock.now()))
                .max(entry.datetime_start),
        };
        let recipient = recipient(&entry.target);
        let attempt = self.attempt(myself);
        self.phase = Phase::Sending {
            attempt,
            reply: Some(reply),
        };
        let (node, myself) = (self.begin.node.clone(), myself.clone());
        let under_way = self.begin.outgoing.begin();
        // Not given up when the request is: what was written late is still shown.
        tokio::spawn(async move {
            let outcome = node.store.append(&message, recipient.as_ref()).await;
            node.note(&outcome);
            let _ = myself.cast(TypingMessageMessage::Appended {
                message: Box::new(message),
                outcome,
                under_way,
            });
            drop(writing);
        });
    }

    pub(super) fn appended(
        &mut self,
        myself: &ActorRef<TypingMessageMessage>,
        message: Message,
        outcome: Result<Append, StoreError>,
    ) {
        let Phase::Sending { reply, .. } = &mut self.phase else {
            return;
        };
        let reply = reply.take();
        self.phase = Phase::Typing;
        let may_answer = self
            .begin
            .node
            .may_acknowledge_at(&self.begin.conversation, self.id());
        let (answer, kept) = match outcome {
            Ok(Append::Kept) => (Ok(Patched::Done), Some(message)),
            Ok(Append::Taken(other)) if other.conversation != self.begin.conversation => {
                tracing::error!(id = %self.id(), "the place is another conversation's");
                self.over(myself, End::Expired, None);
                (Err(Unanswered.into()), None)
            }
            Ok(Append::Taken(other)) => (Err(TypingError::Sent), Some(*other)),
            Ok(Append::Ended) => {
                self.over(myself, End::Deleted, None);
                (Err(TypingError::NotFound), None)
            }
            Err(error) => {
                self.begin.unknown |= !matches!(error, StoreError::Unavailable(_));
                (Err(Unanswered.into()), None)
            }
        };
        // It is in the history, but whether the next owner will know is not certain.
        let answer = if may_answer {
            answer
        } else {
            Err(Unanswered.into())
        };
        if let Some(message) = kept {
            self.phase = Phase::Over;
            let sent = ChannelMessage::Sent {
                message: Box::new(message),
                author_rev: self.begin.ghost.author_rev,
                since: self.begin.node.clock.now(),
            };
            let _ = self.begin.channel.cast(sent);
            self.leave(myself);
        }
        if let Some(reply) = reply {
            let _ = reply.send(answer);
        }
        self.go_on(myself);
    }

    /// Takes out of the store what an attempt to send may have left there.
    pub(super) fn wipe(&mut self, myself: &ActorRef<TypingMessageMessage>, reply: PatchReply) {
        let attempt = self.attempt(myself);
        self.phase = Phase::Wiping {
            attempt,
            reply: Some(reply),
        };
        let (node, id, myself) = (self.begin.node.clone(), self.id(), myself.clone());
        let conversation = self.begin.conversation.clone();
        let under_way = self.begin.outgoing.begin();
        tokio::spawn(async move {
            let outcome = node
                .store
                .end_message(&conversation, id, node.clock.now())
                .await;
            node.note(&outcome);
            let _ = myself.cast(TypingMessageMessage::Wiped { outcome, under_way });
        });
    }

    pub(super) fn wiped(
        &mut self,
        myself: &ActorRef<TypingMessageMessage>,
        outcome: Result<bool, StoreError>,
    ) {
        let Phase::Wiping { reply, .. } = &mut self.phase else {
            return;
        };
        let reply = reply.take();
        self.phase = Phase::Typing;
        let may_answer = self.begin.node.may_acknowledge(&self.begin.conversation);
        match outcome {
            Ok(_) if may_answer => {
                let answer = reply.map(|reply| -> Answer {
                    Box::new(move || drop(reply.send(Ok(Patched::Done))))
                });
                self.over(myself, End::Erased, answer);
            }
            _ => {
                if let Some(reply) = reply {
                    let _ = reply.send(Err(Unanswered.into()));
                }
            }
        }
        self.go_on(myself);
    }

    /// Counts an attempt at the store, and has itself told when a request waits too long for it.
    fn attempt(&mut self, myself: &ActorRef<TypingMessageMessage>) -> u64 {
        self.attempts += 1;
        let attempt = self.attempts;
        myself.send_after(STORE_TIMEOUT, move || TypingMessageMessage::Slow {
            attempt,
        });
        attempt
    }

    pub(super) fn slow(&mut self, slow: u64) {
        let (Phase::Sending { attempt, reply } | Phase::Wiping { attempt, reply }) =
            &mut self.phase
        else {
            return;
        };
        if *attempt == slow
            && let Some(reply) = reply.take()
        {
            self.begin.unknown = true;
            self.begin
                .node
                .note::<()>(&Err(StoreError::Unknown("no answer in time".into())));
            let _ = reply.send(Err(Unanswered.into()));
        }
    }
}
