//! How a message that was typed for too long begins anew, in a place of now.

use super::beginning::bind_key;
use super::typing::Looking;
use super::{State, StoreAnswer};
use crate::requests::{Patched, Posted, TypingError, Unanswered};
use crate::timeline::Known;
use crate::typing_message::{By, PatchReply, Stroke};
use cql::{KeyClaim, MessageId, Millis, StoreError, UserId};

impl State {
    /// It begins anew. For a day the old id stands for the new one, which is a durable key before
    /// it is answered.
    pub(super) fn anew(
        &mut self,
        author: UserId,
        old: MessageId,
        stroke: Stroke,
        since: Millis,
        reply: PatchReply,
    ) {
        let Ok(fresh) = self.node.clock.next_id(self.timeline.last()) else {
            let _ = reply.send(Err(Unanswered.into()));
            return;
        };
        self.timeline.saw(fresh);
        let node = self.node.clone();
        let claim = KeyClaim {
            id: fresh,
            conversation: self.conversation.clone(),
        };
        let key = anew_key(old);
        self.ask(
            async move { bind_key(&node, author, &key, claim).await },
            move |bound| StoreAnswer::Bound {
                fresh,
                bound,
                stroke,
                since,
                reply,
            },
        );
    }

    /// Who knows the first protocol alone has no claim: that it was begun anew is known by the key.
    pub(super) fn look_for_anew(
        &mut self,
        author: UserId,
        old: MessageId,
        stroke: Stroke,
        since: Millis,
        reply: PatchReply,
    ) {
        let store = self.node.store.clone();
        let (key, now) = (anew_key(old), self.node.clock.now());
        self.ask(
            async move { store.key(author, &key, now).await },
            move |begun| StoreAnswer::BegunAnew {
                old,
                begun,
                stroke,
                since,
                reply,
            },
        );
    }

    pub(super) async fn begun_anew(
        &mut self,
        old: MessageId,
        begun: Result<Option<KeyClaim>, StoreError>,
        stroke: Stroke,
        since: Millis,
        reply: PatchReply,
    ) {
        match (begun, &stroke.by) {
            (Ok(Some(bound)), _) if bound.conversation == self.conversation => {
                self.bound(old, Ok(bound), stroke, since, reply).await;
            }
            (Ok(Some(_)), _) => drop(reply.send(Err(TypingError::Conversation))),
            (Ok(None), By::Person(typist)) => self.nowhere_here(old, typist.user, reply),
            (Ok(None), By::Privileged { .. }) => drop(reply.send(Err(TypingError::NotFound))),
            (Err(_), _) => drop(reply.send(Err(Unanswered.into()))),
        }
    }

    pub(super) async fn bound(
        &mut self,
        fresh: MessageId,
        bound: Result<KeyClaim, StoreError>,
        stroke: Stroke,
        since: Millis,
        reply: PatchReply,
    ) {
        let (Ok(bound), By::Person(typist)) = (bound, &stroke.by) else {
            let _ = reply.send(Err(Unanswered.into()));
            return;
        };
        let id = bound.id;
        let posted = self.posted(Some(typist.user), id, id.time());
        let reply = answer_with(reply, posted);
        if id == fresh {
            self.revive(id, id.time(), stroke, since, reply).await;
            return;
        }
        // An earlier attempt began it, here or elsewhere: the author is known by the key.
        let claim = self
            .node
            .claims
            .mint(typist.user, &self.conversation, id, id.time());
        match self.timeline.known(id) {
            Known::Typing(ghost) => {
                let ghost = ghost.clone();
                self.hand_over(ghost, stroke, since, reply).await;
            }
            _ => self.look(
                id,
                Looking {
                    stroke,
                    claim: Some(claim),
                    since,
                    reply,
                },
            ),
        }
    }
}

/// A reply that turns *done* into *begun anew as this*.
fn answer_with(reply: PatchReply, posted: Posted) -> PatchReply {
    let (answer, answered) = ractor::concurrency::oneshot();
    tokio::spawn(async move {
        let Ok(outcome) = answered.await else { return };
        let _ = reply.send(match outcome {
            Ok(Patched::Done) => Ok(Patched::Anew(posted)),
            other => other,
        });
    });
    answer.into()
}

/// By which key a message that was typed for too long stands for the one that it began anew as.
fn anew_key(old: MessageId) -> String {
    format!("anew:{old}")
}
