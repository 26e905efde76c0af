//! What another node says, brought to the actors of this one.

use super::{Body, Envelope, KeeperMessage, PeerMessage, Question, Reply, Wish, Word};
use crate::channel::{ChannelMessage, awaited};
use crate::frame::End;
use crate::node::{Lives, Node};
use crate::presence::PresenceMessage;
use crate::relay::RelayMessage;
use crate::traces;
use cluster_config::NodeName;
use cql::{Conversation, MessageId};
use ractor::concurrency::{OneshotReceiver, oneshot};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tracing::{Span, info_span};

/// What a message to a channel is on the wire, if it needs no answer.
pub(super) fn word_of(conversation: &Conversation, message: ChannelMessage) -> Option<Word> {
    let conversation = conversation.clone();
    Some(match message {
        ChannelMessage::Watch { from, .. } => Word::Watch { conversation, from },
        ChannelMessage::Confirm { ask, .. } => Word::Confirm { conversation, ask },
        ChannelMessage::Announced { ghosts, ended, .. } => Word::Announced {
            conversation,
            ghosts,
            ended,
        },
        ChannelMessage::HandedOver { ghosts, ended } => Word::HandedOver {
            conversation,
            ghosts,
            ended,
        },
        ChannelMessage::Seen { n, .. } => Word::Seen { conversation, n },
        _ => return None,
    })
}

/// What a message to a relay is on the wire.
pub fn word_to_relay(
    conversation: &Conversation,
    message: RelayMessage,
) -> Result<Word, RelayMessage> {
    let conversation = conversation.clone();
    Ok(match message {
        RelayMessage::Frame(frame) => Word::Frame(frame),
        RelayMessage::Snapshot(snapshot) => Word::Snapshot {
            conversation,
            snapshot,
        },
        RelayMessage::Show(snapshot) => Word::Show {
            conversation,
            snapshot,
        },
        RelayMessage::Confirmed { ask, epoch, n } => Word::Confirmed {
            conversation,
            ask,
            epoch,
            n,
        },
        RelayMessage::Gap => Word::Gap { conversation },
        RelayMessage::OwnerChanged => Word::OwnerChanged { conversation },
        here_alone => return Err(here_alone),
    })
}

impl Node {
    /// Takes in one envelope; what needs a newer view than this node has was held until now.
    pub(super) fn hear(self: &Arc<Self>, from: NodeName, envelope: Envelope) {
        // Only what is part of a trace has a span: most is said too often for one.
        let span = envelope.trace.as_deref().map(|parent| {
            let span = info_span!("heard", peer = %from);
            traces::adopt(&span, parent);
            span
        });
        let _entered = span.as_ref().map(Span::enter);
        match envelope.body {
            Body::Ask {
                id,
                within,
                question,
            } => self.question(from, id, within, question),
            Body::Answer { id, reply } => self.answered(id, reply),
            Body::Tell(word) => self.word(from, word),
        }
    }

    fn word(self: &Arc<Self>, from: NodeName, word: Word) {
        match word {
            Word::Watch {
                conversation,
                from: since,
            } => {
                let watch = ChannelMessage::Watch {
                    node: from,
                    from: since,
                };
                self.to_own_channel(&conversation, watch);
            }
            Word::Confirm { conversation, ask } => {
                self.to_own_channel(&conversation, ChannelMessage::Confirm { node: from, ask });
            }
            Word::Confirmed {
                conversation,
                ask,
                epoch,
                n,
            } => self.to_relay(&conversation, RelayMessage::Confirmed { ask, epoch, n }),
            Word::Announced {
                conversation,
                ghosts,
                ended,
            } => {
                let announced = ChannelMessage::Announced {
                    node: from,
                    ghosts,
                    ended,
                };
                self.to_own_channel(&conversation, announced);
            }
            Word::HandedOver {
                conversation,
                ghosts,
                ended,
            } => {
                let handed_over = ChannelMessage::HandedOver { ghosts, ended };
                self.to_own_channel(&conversation, handed_over);
            }
            Word::Seen { conversation, n } => {
                self.to_own_channel(&conversation, ChannelMessage::Seen { node: from, n });
            }
            Word::Frame(frame) => {
                let conversation = frame.conversation.clone();
                // Nobody here is to see it.
                let _ = self.show_frame(&conversation, frame);
            }
            Word::Snapshot {
                conversation,
                snapshot,
            } => self.to_relay(&conversation, RelayMessage::Snapshot(snapshot)),
            Word::Show {
                conversation,
                snapshot,
            } => self.tell_relay_here(&conversation, RelayMessage::Show(snapshot)),
            Word::Gap { conversation } => self.to_relay(&conversation, RelayMessage::Gap),
            Word::OwnerChanged { conversation } => self.owner_changed(from, conversation),
            Word::Released { shards } => self.released(from, shards),
            Word::Parted { sign_ins } => self.tell_presence(PresenceMessage::Parted {
                node: from,
                sign_ins,
            }),
            Word::Everybody { people } => {
                self.tell_presence(PresenceMessage::Everybody { node: from, people });
            }
            Word::EnterImplicitly { hash, channel } => drop(self.enter_here(hash, channel)),
            Word::NewView { version, view } => self.cluster.tell_keeper(match view {
                Some(view) => KeeperMessage::Shown { view },
                None => KeeperMessage::Newer { version },
            }),
            // The link's own matter.
            Word::Ping { .. } | Word::Pong { .. } => {}
        }
    }

    /// A new owner asks what is kept here of its conversation.
    fn owner_changed(self: &Arc<Self>, from: NodeName, conversation: Conversation) {
        let told = self
            .directory
            .relays
            .tell_if_there(&conversation, RelayMessage::OwnerChanged);
        if told.is_err() {
            self.tell_node(
                from,
                Word::Announced {
                    conversation,
                    ghosts: Vec::new(),
                    ended: Vec::<(MessageId, End)>::new(),
                },
            );
        }
    }

    fn to_own_channel(self: &Arc<Self>, conversation: &Conversation, message: ChannelMessage) {
        // A relay that has read a newer view tells the owner of that one by itself.
        if self.lives(conversation) == Lives::Here {
            self.tell_channel(conversation, message);
        }
    }

    fn to_relay(&self, conversation: &Conversation, message: RelayMessage) {
        let _ = self.directory.relays.tell_if_there(conversation, message);
    }

    fn tell_presence(&self, message: PresenceMessage) {
        if let Some(presence) = self.directory.presence() {
            let _ = presence.cast(message);
        }
    }

    fn question(self: &Arc<Self>, from: NodeName, id: u64, within: Duration, question: Question) {
        match question {
            Question::Channel { conversation, wish } => {
                self.wish(from, id, within, &conversation, wish);
            }
            Question::WhereTyped { id: message } => {
                let typed = self.typed_here(message);
                self.reply_with(from, id, within, async {
                    Some(Reply::WhereTyped(typed.await))
                });
            }
            Question::AbandonSignIn { hash } => {
                self.reply_done(from, id, within, self.abandon_sign_in_here(hash));
            }
            Question::EndSignIn { hash } => {
                self.forget_sign_in(hash);
                self.reply_done(from, id, within, self.end_session_here(hash));
            }
            Question::ForgetName { username } => {
                self.forget_name(&username);
                self.reply(from, id, Reply::Done);
            }
            Question::Joined { people } => {
                self.expect(from, &people);
                self.tell_presence(PresenceMessage::Joined { node: from, people });
                self.reply(from, id, Reply::Done);
            }
            Question::EnterImplicitly { hash, channel } => {
                self.reply_done(from, id, within, self.enter_here(hash, channel));
            }
        }
    }

    fn wish(
        self: &Arc<Self>,
        from: NodeName,
        id: u64,
        within: Duration,
        conversation: &Conversation,
        wish: Wish,
    ) {
        if self.lives(conversation) != Lives::Here {
            let version = self.cluster.version();
            return self.reply(from, id, Reply::NotTheOwner { version });
        }
        match wish {
            Wish::Post { post, since } => {
                let (reply, answered) = oneshot();
                let reply = reply.into();
                self.tell_channel(conversation, ChannelMessage::Post { post, since, reply });
                self.carry_back(from, id, within, answered, Reply::Posted);
            }
            Wish::Stroke {
                id: message,
                stroke,
                claim,
                since,
            } => {
                let (reply, answered) = oneshot();
                self.stroke(conversation, message, stroke, claim, since, reply.into());
                self.carry_back(from, id, within, answered, Reply::Patched);
            }
            Wish::Delete { id: message } => {
                let (reply, answered) = oneshot();
                let delete = ChannelMessage::Delete {
                    id: message,
                    reply: reply.into(),
                };
                self.tell_channel(conversation, delete);
                self.carry_back(from, id, within, answered, Reply::Deleted);
            }
            Wish::History { range } => {
                let (reply, answered) = oneshot();
                let history = ChannelMessage::History {
                    range,
                    reply: reply.into(),
                };
                self.tell_channel(conversation, history);
                self.carry_back(from, id, within, answered, Reply::History);
            }
            Wish::Abandon { id: message, by } => {
                let (answer, seen) = awaited();
                let abandon = ChannelMessage::Abandon {
                    id: message,
                    by,
                    answer: Some(answer),
                };
                self.tell_channel(conversation, abandon);
                self.reply_with(from, id, within, async {
                    // Dropped with its answer, it was over already.
                    let _ = seen.await;
                    Some(Reply::Done)
                });
            }
        }
    }

    fn reply(&self, to: NodeName, id: u64, reply: Reply) {
        if let Some(peer) = self.cluster.peer(to) {
            let _ = peer.cast(PeerMessage::say(Body::Answer { id, reply }));
        }
    }

    /// Replies with what an actor of this node answers.
    fn carry_back<T: Send + 'static>(
        self: &Arc<Self>,
        to: NodeName,
        id: u64,
        within: Duration,
        answered: OneshotReceiver<T>,
        reply: fn(T) -> Reply,
    ) {
        self.reply_with(
            to,
            id,
            within,
            async move { answered.await.ok().map(reply) },
        );
    }

    /// Replies when something is done.
    fn reply_done(
        self: &Arc<Self>,
        to: NodeName,
        id: u64,
        within: Duration,
        done: impl Future<Output = ()> + Send + 'static,
    ) {
        self.reply_with(to, id, within, async {
            done.await;
            Some(Reply::Done)
        });
    }

    fn reply_with(
        self: &Arc<Self>,
        to: NodeName,
        id: u64,
        within: Duration,
        answer: impl Future<Output = Option<Reply>> + Send + 'static,
    ) {
        let (node, answering) = (self.clone(), self.answering.begin());
        tokio::spawn(async move {
            let answer = tokio::time::timeout(within, answer).await;
            node.reply(to, id, answer.ok().flatten().unwrap_or(Reply::Unanswered));
            drop(answering);
        });
    }
}
