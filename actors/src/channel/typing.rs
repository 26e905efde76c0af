//! How messages go on where no actor stands for them, and come back.

use super::beginning::being_typed;
use super::{Answer, ChannelMessage, State, StoreAnswer, entry};
use crate::frame::{Belongs, End, Ghost};
use crate::requests::{Patched, TypingError, Unanswered};
use crate::timeline::{Known, TYPED_AT_MOST};
use crate::typing_message::{By, PatchReply, Stroke, TypingMessageMessage, Typist};
use cql::{Ended, Message, MessageId, MessageText, Millis, Placed, StoreError, UserId};

/// A change that waits to know what stands at its id.
pub struct Looking {
    pub(super) stroke: Stroke,
    pub(super) claim: Option<String>,
    pub(super) since: Millis,
    pub(super) reply: PatchReply,
}

impl State {
    pub(super) async fn stroke(
        &mut self,
        id: MessageId,
        stroke: Stroke,
        claim: Option<String>,
        since: Millis,
        reply: PatchReply,
    ) {
        if stroke
            .conversation
            .as_ref()
            .is_some_and(|named| *named != self.conversation)
        {
            let _ = reply.send(Err(TypingError::Conversation));
            return;
        }
        let (end, author, clean, author_rev) = match self.timeline.known(id) {
            Known::Typing(ghost) => {
                let ghost = ghost.clone();
                return self.hand_over(ghost, stroke, since, reply).await;
            }
            Known::Nothing => {
                return self.look(
                    id,
                    Looking {
                        stroke,
                        claim,
                        since,
                        reply,
                    },
                );
            }
            Known::Ended {
                end,
                author,
                clean,
                author_rev,
            } => (end, author, clean, author_rev),
        };
        let typist = match &stroke.by {
            By::Person(typist) => Some(typist.user),
            By::Privileged { .. } => None,
        };
        // What a relay announced has no author here; the claim or the row will tell.
        if typist.is_some() && author.is_some() && author != typist {
            let _ = reply.send(Err(TypingError::Forbidden));
            return;
        }
        let own = author.filter(|author| typist == Some(*author));
        // Requests overtake each other: an older state than that it ended with changes nothing.
        if author == typist && stroke.rev.is_some_and(|rev| rev < author_rev) {
            let _ = reply.send(Ok(Patched::Done));
            return;
        }
        match (end, own) {
            (End::Erased, _) if stroke.text.is_none() => {
                let _ = reply.send(Ok(Patched::Done));
            }
            (End::Erased | End::Deleted, _) => {
                let _ = reply.send(Err(TypingError::NotFound));
            }
            (End::Expired, Some(author)) if clean => {
                self.anew(author, id, stroke, since, reply);
            }
            (End::Absent, Some(_)) if clean => {
                // This life of the owner knows whose it is and that no row can stand there.
                self.revive(id, id.time(), stroke, since, reply).await;
            }
            (End::Sent | End::Expired | End::Absent, _) => {
                self.look(
                    id,
                    Looking {
                        stroke,
                        claim,
                        since,
                        reply,
                    },
                );
            }
        }
    }

    /// Hands a change to the actor of its message, which is started again if it failed.
    pub(super) async fn hand_over(
        &mut self,
        ghost: Ghost,
        stroke: Stroke,
        since: Millis,
        reply: PatchReply,
    ) {
        let id = ghost.entry.id;
        let message = TypingMessageMessage::Stroke {
            stroke,
            since,
            reply,
        };
        let Err(message) = self
            .node
            .directory
            .typing_messages
            .tell_if_there(&id, message)
        else {
            return;
        };
        // It may have failed while it was sending.
        if self.start(ghost, true).await.is_ok() {
            let _ = self
                .node
                .directory
                .typing_messages
                .tell_if_there(&id, message);
        }
    }

    /// Asks the store what stands at an id; changes of one id wait for each other.
    pub(super) fn look(&mut self, id: MessageId, looking: Looking) {
        let waiting = self.looking.entry(id).or_default();
        waiting.push(looking);
        if waiting.len() > 1 {
            return;
        }
        self.ask_what_stands_at(id);
    }

    pub(super) fn ask_what_stands_at(&mut self, id: MessageId) {
        let store = self.node.store.clone();
        self.ask(async move { store.placed(id).await }, move |placed| {
            StoreAnswer::Placed { id, placed }
        });
    }

    pub(super) async fn looked(&mut self, id: MessageId, placed: Result<Placed, StoreError>) {
        let placed = placed.map(|placed| match placed {
            // Deleted while the store was asked.
            Placed::Message(message) if self.timeline.was_deleted(id) => Placed::Ended(Ended {
                conversation: message.conversation,
            }),
            placed => placed,
        });
        if let Ok(Placed::Message(message)) = &placed
            && message.conversation == self.conversation
            && self.tail.get(id).is_none()
        {
            self.note_sent((**message).clone(), 0);
            self.changed(self.node.clock.now());
        }
        // Deleted by an earlier owner.
        if matches!(placed, Ok(Placed::Ended(_)))
            && let Some(message) = self.tail.remove(id)
        {
            let target = self.target_of(&message);
            self.timeline.delete_sent(entry(&message, target));
            self.changed(self.node.clock.now());
        }
        for looking in self.looking.remove(&id).unwrap_or_default() {
            // One of those before it may have brought the message back.
            if let Known::Typing(ghost) = self.timeline.known(id) {
                let ghost = ghost.clone();
                self.hand_over(ghost, looking.stroke, looking.since, looking.reply)
                    .await;
                continue;
            }
            match &placed {
                Ok(Placed::Message(message)) => {
                    let _ = looking.reply.send(self.against(message, &looking.stroke));
                }
                Ok(Placed::Ended(_)) => {
                    if looking.stroke.text.is_none() && is_person(&looking.stroke) {
                        self.end_again(id, looking.reply);
                    } else {
                        let _ = looking.reply.send(Err(TypingError::NotFound));
                    }
                }
                Ok(Placed::Nothing) => self.nothing_there(id, looking).await,
                Err(_) => drop(looking.reply.send(Err(Unanswered.into()))),
            }
        }
    }

    /// An id that was ended may have left its row behind, if the store failed between the two.
    fn end_again(&mut self, id: MessageId, reply: PatchReply) {
        let (node, conversation) = (self.node.clone(), self.conversation.clone());
        let under_way = self.outgoing.begin();
        tokio::spawn(async move {
            let ending = node.store.end_message(&conversation, id, node.clock.now());
            let ended = node.ask_store(ending).await;
            let answer = match ended {
                Ok(_) if node.may_acknowledge(&conversation) => Ok(Patched::Done),
                _ => Err(Unanswered.into()),
            };
            let _ = reply.send(answer);
            drop(under_way);
        });
    }

    /// What a change means for a message that is in the history.
    fn against(&self, message: &Message, stroke: &Stroke) -> Result<Patched, TypingError> {
        let By::Person(typist) = &stroke.by else {
            return Err(TypingError::Sent);
        };
        let own = message.author == Some(typist.user);
        if message.conversation != self.conversation {
            // Who is not its author is not told that there is such a message.
            return Err(if own {
                TypingError::Conversation
            } else {
                TypingError::NotFound
            });
        }
        if !own {
            return Err(TypingError::Forbidden);
        }
        if stroke.text.as_ref() == Some(&message.text) {
            Ok(Patched::Done)
        } else {
            Err(TypingError::Sent)
        }
    }

    /// No row and no mark: the message may come back, if this is its author.
    async fn nothing_there(&mut self, id: MessageId, looking: Looking) {
        let Looking {
            stroke,
            claim,
            since,
            reply,
        } = looking;
        let By::Person(typist) = &stroke.by else {
            let _ = reply.send(Err(TypingError::NotFound));
            return;
        };
        let claimed = claim.as_deref().and_then(|claim| {
            self.node
                .claims
                .start_of(claim, typist.user, &self.conversation, id)
        });
        let known = match self.timeline.known(id) {
            Known::Ended { author, .. } => author == Some(typist.user),
            _ => false,
        };
        let unknown = claimed.is_none() && !known && !typist.began;
        if unknown && id.time() + TYPED_AT_MOST <= self.node.clock.now() {
            self.look_for_anew(typist.user, id, stroke, since, reply);
        } else if unknown {
            self.nowhere_here(id, typist.user, reply);
        } else if id.time() + TYPED_AT_MOST <= self.node.clock.now() {
            self.anew(typist.user, id, stroke, since, reply);
        } else if claimed.is_some() || known {
            self.revive(id, claimed.unwrap_or(id.time()), stroke, since, reply)
                .await;
        } else {
            self.nowhere_here(id, typist.user, reply);
        }
    }

    /// Nothing is known of it here; its author is told if it is being typed in another
    /// conversation.
    pub(super) fn nowhere_here(&self, id: MessageId, author: UserId, reply: PatchReply) {
        let node = self.node.clone();
        tokio::spawn(async move {
            let typed = node.where_typed(id).await;
            let own = typed.is_some_and(|typed| typed.author == Some(author));
            let _ = reply.send(Err(if own {
                TypingError::Conversation
            } else {
                TypingError::NotFound
            }));
        });
    }

    /// The message is back in its old place.
    pub(super) async fn revive(
        &mut self,
        id: MessageId,
        start: Millis,
        stroke: Stroke,
        since: Millis,
        reply: PatchReply,
    ) {
        let By::Person(typist) = &stroke.by else {
            return;
        };
        self.note_names(Some(typist.user), &typist.username, &typist.target);
        if stroke.text.is_some()
            && let Err(refused) = self.one_more(Some(typist.user))
        {
            let _ = reply.send(Err(refused));
            return;
        }
        // Erasing brings it back for a moment that nobody sees, so that there is one way to end.
        let text = stroke.text.clone();
        let ghost = ghost_of(
            id,
            start,
            typist,
            text.as_ref().map_or("", MessageText::as_str),
        );
        let begun = self.begin(ghost.clone(), true, since).await;
        match begun {
            Ok(()) => self.hand_over(ghost, stroke, since, reply).await,
            Err(refused) => drop(reply.send(Err(refused))),
        }
    }

    /// Ghosts that were announced have no actor yet; those that hung on a node that is no member
    /// any more, or on a sign-in that is connected nowhere, have nobody.
    pub(super) async fn start_announced(&mut self, ids: &[MessageId]) {
        let map = self.node.cluster.map();
        for id in ids {
            let Known::Typing(ghost) = self.timeline.known(*id) else {
                continue;
            };
            let ghost = ghost.clone();
            let entry = &ghost.entry;
            self.note_names(entry.author, &entry.username, &entry.target);
            let has_somebody = match ghost.belongs {
                Belongs::Connection(node, _) => map.view.member(node).is_some(),
                Belongs::SignIn(hash) => self.node.roster().is_connected(hash),
                Belongs::Nobody => true,
            };
            if has_somebody {
                let _ = self.start(ghost, true).await;
            } else {
                self.timeline.end(ghost.entry.id, End::Absent, false, 0);
            }
        }
    }

    /// What hung on something that has gone is erased.
    pub(super) fn abandon(&mut self, id: MessageId, by: Belongs, answer: Option<Answer>) {
        let abandoned = TypingMessageMessage::Abandoned { by, answer };
        // Dropped with its answer if the message is over already.
        let _ = self
            .node
            .directory
            .typing_messages
            .tell_if_there(&id, abandoned);
    }

    /// What waited for the store is asked of the next owner.
    pub(super) fn hand_on_what_waits(&mut self) {
        for (id, waiting) in std::mem::take(&mut self.looking) {
            for Looking {
                stroke,
                claim,
                since,
                reply,
            } in waiting
            {
                self.hand_on(ChannelMessage::Stroke {
                    id,
                    stroke,
                    claim,
                    since,
                    reply,
                });
            }
        }
        for (range, reading) in std::mem::take(&mut self.reading) {
            for reply in reading.readers {
                self.hand_on(ChannelMessage::History { range, reply });
            }
        }
    }
}

fn is_person(stroke: &Stroke) -> bool {
    matches!(stroke.by, By::Person(_))
}

fn ghost_of(id: MessageId, start: Millis, typist: &Typist, text: &str) -> Ghost {
    let (username, target) = (typist.username.clone(), typist.target.clone());
    let entry = being_typed(id, start, Some(typist.user), username, target, text);
    Ghost {
        entry,
        belongs: typist.belongs,
        key: None,
        author_rev: 0,
    }
}
