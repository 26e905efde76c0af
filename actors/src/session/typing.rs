//! What a person types: on its way to the owner, at a pace that viewers can follow.

use super::{PostReply, SessionMessage, State, answer_of};
use crate::channel::{Beginning, ChannelMessage, awaited};
use crate::cluster::Word;
use crate::frame::Belongs;
use crate::pace::Pass;
use crate::relay::RelayMessage;
use crate::requests::{Patch, Patched, Post, TypingError, Via};
use crate::typing_message::{By, PatchReply, Stroke, Typist};
use cql::{ChannelName, Conversation, MessageId, Millis};
use std::time::Duration;
use tokio::time::Instant;

/// Messages of one session that are remembered as begun here; a person who types more at a time
/// is none.
const BEGUN_MAX: usize = 256;

/// Channels on other nodes that a session remembers to have entered; told again beyond that.
const ENTERED_MAX: usize = 256;

/// How often a session's connections on other nodes are told where it types.
const ENTERED_AGAIN: Duration = Duration::from_secs(5);

/// A change that waits for its time.
pub struct Held {
    patch: Box<Patch>,
    since: Millis,
    reply: PatchReply,
}

impl State {
    pub(super) fn post(&mut self, post: Post, since: Millis, reply: PostReply) {
        // What is begun is remembered for a quarter of an hour, also when it is erased at once.
        let share = if post.typing {
            &mut self.begins
        } else {
            &mut self.sends
        };
        if let Err(wait) = share.take(Instant::now()) {
            let _ = reply.send(Err(TypingError::TooFast(wait)));
            return;
        }
        let belongs = self.belongs(post.via);
        self.used_in(&post.to.conversation);
        let conversation = post.to.conversation.clone();
        let beginning = Beginning {
            author: Some(post.by.user),
            username: post.by.username,
            target: post.to.target,
            text: post.text,
            typing: post.typing,
            key: post.key,
            belongs,
            datetime_start: None,
        };
        metrics::counter!("ting_keystrokes_total").increment(1);
        let (answer, answered) = ractor::concurrency::oneshot();
        let _span = tracing::info_span!("post").entered();
        let message = ChannelMessage::Post {
            post: Box::new(beginning),
            since,
            reply: answer.into(),
        };
        self.node.tell_channel(&conversation, message);
        let (myself, open) = (self.myself.clone(), post.typing);
        tokio::spawn(async move {
            let outcome = answer_of(answered)
                .await
                .unwrap_or_else(|error| Err(error.into()));
            if let Ok(posted) = &outcome
                && open
            {
                let id = posted.id;
                let _ = myself.cast(SessionMessage::Stands {
                    id,
                    conversation,
                    belongs,
                    open,
                });
            }
            let _ = reply.send(outcome);
        });
    }

    pub(super) fn patch(&mut self, patch: Box<Patch>, since: Millis, reply: PatchReply) {
        metrics::counter!("ting_keystrokes_total").increment(1);
        let id = patch.id;
        let is_update = patch.typing && patch.text.is_some();
        let held = Held {
            patch,
            since,
            reply,
        };
        if !is_update {
            let sends = !held.patch.typing && held.patch.text.is_some();
            if sends && let Err(wait) = self.sends.take(Instant::now()) {
                let _ = held.reply.send(Err(TypingError::TooFast(wait)));
                return;
            }
            // The end of a message overtakes the update that is held; that one's author learns
            // that it was superseded.
            if let Some(superseded) = self
                .paces
                .remove(&id)
                .and_then(|mut pace| pace.due(Instant::now()))
            {
                // Requests overtake each other: a later state is not dropped for an earlier end.
                if superseded.patch.rev > held.patch.rev {
                    self.forward(superseded);
                } else {
                    let _ = superseded.reply.send(Ok(Patched::Done));
                }
            }
            return self.forward(held);
        }
        let pace = self.paces.entry(id).or_default();
        if let Some(newer) = pace.held()
            && newer.patch.rev > held.patch.rev
        {
            let _ = held.reply.send(Ok(Patched::Done));
            return;
        }
        match pace.offer(held, Instant::now()) {
            Pass::Through(held) => self.forward(held),
            Pass::Held { due, superseded } => {
                if let Some(superseded) = superseded {
                    let _ = superseded.reply.send(Ok(Patched::Done));
                }
                if let Some(due) = due {
                    self.myself
                        .send_after(due, move || SessionMessage::Due { id });
                }
            }
        }
    }

    pub(super) fn due(&mut self, id: MessageId) {
        let held = self
            .paces
            .get_mut(&id)
            .and_then(|pace| pace.due(Instant::now()));
        if let Some(held) = held {
            self.forward(held);
        }
    }

    fn forward(&mut self, held: Held) {
        let Held {
            patch,
            since,
            reply,
        } = held;
        let Patch {
            by,
            via,
            to,
            id,
            text,
            typing,
            rev,
            claim,
        } = *patch;
        let belongs = self.belongs(via);
        self.used_in(&to.conversation);
        let conversation = to.conversation;
        let stays_open = typing && text.is_some();
        let typist = Typist {
            user: by.user,
            username: by.username,
            target: to.target,
            belongs,
            began: (self.begun.get(&id)).is_some_and(|(_, begun)| *begun == conversation),
        };
        let stroke = Stroke {
            by: By::Person(typist),
            conversation: Some(conversation.clone()),
            text,
            typing,
            rev,
        };
        let (answer, answered) = ractor::concurrency::oneshot();
        let _span = tracing::info_span!("patch").entered();
        self.node
            .stroke(&conversation, id, stroke, claim, since, answer.into());
        let myself = self.myself.clone();
        tokio::spawn(async move {
            let outcome = answer_of(answered)
                .await
                .unwrap_or_else(|error| Err(error.into()));
            let stands = |id, open| SessionMessage::Stands {
                id,
                conversation: conversation.clone(),
                belongs,
                open,
            };
            match &outcome {
                Ok(Patched::Done) => drop(myself.cast(stands(id, stays_open))),
                Ok(Patched::Anew(posted)) => {
                    drop(myself.cast(stands(id, false)));
                    drop(myself.cast(stands(posted.id, stays_open)));
                }
                Err(TypingError::NotFound | TypingError::Sent) => {
                    drop(myself.cast(stands(id, false)));
                }
                Err(_) => {}
            }
            let _ = reply.send(outcome);
        });
    }

    /// Whose going ends what is typed now.
    pub(super) fn belongs(&self, via: Via) -> Belongs {
        match via {
            Via::Connection(connection) => Belongs::Connection(self.node.name(), connection),
            Via::Http if self.node.roster().is_connected(self.hash) => Belongs::SignIn(self.hash),
            Via::Http => Belongs::Nobody,
        }
    }

    /// Somebody types there: this node keeps what is typed, and who is signed in hears it.
    pub(super) fn used_in(&mut self, conversation: &Conversation) {
        self.node.tell_relay_here(conversation, RelayMessage::Keep);
        if let Conversation::Channel(channel) = conversation {
            self.enter_implicitly(channel.clone(), None);
            self.enter_elsewhere(channel);
        }
    }

    /// This sign-in's connections on other nodes enter it, too.
    fn enter_elsewhere(&mut self, channel: &ChannelName) {
        let nodes = self.node.roster().nodes_of_sign_in(self.hash);
        if self.entered_elsewhere.len() > ENTERED_MAX {
            self.entered_elsewhere.clear();
        }
        let now = Instant::now();
        for node in nodes {
            // Its connections there come and go, so it is said again now and then.
            let told = self.entered_elsewhere.get(&(node, channel.clone()));
            if told.is_none_or(|told| now.duration_since(*told) >= ENTERED_AGAIN) {
                let (hash, channel) = (self.hash, channel.clone());
                self.entered_elsewhere.insert((node, channel.clone()), now);
                self.node
                    .tell_node(node, Word::EnterImplicitly { hash, channel });
            }
        }
    }

    pub(super) fn stands(
        &mut self,
        id: MessageId,
        conversation: Conversation,
        belongs: Belongs,
        open: bool,
    ) {
        if !open {
            self.begun.remove(&id);
            self.paces.remove(&id);
            return;
        }
        // The connection may have gone while its message began.
        let gone = match belongs {
            Belongs::Connection(_, connection) => !self.connections.contains(connection),
            Belongs::SignIn(_) => !self.node.roster().is_connected(self.hash),
            Belongs::Nobody => false,
        };
        if gone {
            self.abandon(id, belongs, &conversation);
            return;
        }
        if self.begun.len() >= BEGUN_MAX
            && let Some(oldest) = self.begun.keys().min().copied()
        {
            self.begun.remove(&oldest);
            self.paces.remove(&oldest);
        }
        self.begun.insert(id, (belongs, conversation));
    }

    /// Has a ghost erased, if it still hangs on what has gone; the receiver fires when viewers
    /// know.
    fn abandon(
        &self,
        id: MessageId,
        by: Belongs,
        conversation: &Conversation,
    ) -> tokio::sync::oneshot::Receiver<()> {
        let (answer, seen) = awaited();
        let message = ChannelMessage::Abandon {
            id,
            by,
            answer: Some(answer),
        };
        self.node.tell_channel(conversation, message);
        seen
    }

    /// Has all ghosts erased that hang on something that has gone.
    pub(super) fn abandon_all(
        &mut self,
        gone: impl Fn(Belongs) -> bool,
    ) -> Vec<tokio::sync::oneshot::Receiver<()>> {
        let ids: Vec<(MessageId, Belongs, Conversation)> = self
            .begun
            .iter()
            .filter(|(_, (belongs, _))| gone(*belongs))
            .map(|(id, (belongs, conversation))| (*id, *belongs, conversation.clone()))
            .collect();
        ids.into_iter()
            .map(|(id, belongs, conversation)| {
                self.begun.remove(&id);
                if let Some(held) = self
                    .paces
                    .remove(&id)
                    .and_then(|mut pace| pace.due(Instant::now()))
                {
                    let _ = held.reply.send(Ok(Patched::Done));
                }
                self.abandon(id, belongs, &conversation)
            })
            .collect()
    }
}
