//! What is asked of this node and of all others: where something is typed, and what a sign-in
//! has everywhere.

use super::{Question, Reply};
use crate::channel::awaited;
use crate::frame::Belongs;
use crate::node::{CONFIRM_TIMEOUT, Node};
use crate::session::SessionMessage;
use crate::typing_message::{TypingMessageMessage, Whereabouts};
use cql::{ChannelName, MessageId, SignInHash};
use ractor::concurrency::{OneshotReceiver, oneshot};
use std::future::Future;

impl Node {
    /// Where a message is being typed, if this node owns that.
    pub(super) fn typed_here(
        &self,
        id: MessageId,
    ) -> impl Future<Output = Option<Whereabouts>> + Send + use<> {
        let (reply, answered) = oneshot();
        let where_is_it = TypingMessageMessage::Whereabouts {
            reply: reply.into(),
        };
        let typing_messages = &self.directory.typing_messages;
        let _ = typing_messages.tell_if_there(&id, where_is_it);
        async { answered.await.ok() }
    }

    /// Where a message is being typed, on whatever node.
    pub async fn where_typed(&self, id: MessageId) -> Option<Whereabouts> {
        if let Some(here) = self.typed_here(id).await {
            return Some(here);
        }
        let question = Question::WhereTyped { id };
        let answers = self.ask_all(question, CONFIRM_TIMEOUT).await;
        answers.into_iter().find_map(|answer| match answer {
            Reply::WhereTyped(found) => found,
            _ => None,
        })
    }

    /// Erases what a sign-in typed by HTTP and this node owns; done when viewers know, or after
    /// half a second.
    pub(super) fn abandon_sign_in_here(
        &self,
        hash: SignInHash,
    ) -> impl Future<Output = ()> + Send + use<> {
        let typed = self.directory.typed_by().get(&hash).cloned();
        let erased = typed.into_iter().flatten().map(|id| {
            let (answer, seen) = awaited();
            let abandoned = TypingMessageMessage::Abandoned {
                by: Belongs::SignIn(hash),
                answer: Some(answer),
            };
            let typing_messages = &self.directory.typing_messages;
            let _ = typing_messages.tell_if_there(&id, abandoned);
            seen
        });
        let erased: Vec<_> = erased.collect();
        async move {
            let erased = futures::future::join_all(erased);
            let _ = tokio::time::timeout(CONFIRM_TIMEOUT, erased).await;
        }
    }

    /// Erases what a sign-in typed by HTTP, on all nodes; done when viewers know, or after half a
    /// second.
    pub async fn abandon_sign_in(&self, hash: SignInHash) {
        let here = self.abandon_sign_in_here(hash);
        let there = self.ask_all(Question::AbandonSignIn { hash }, CONFIRM_TIMEOUT);
        tokio::join!(here, there);
    }

    /// Ends a sign-in's session on this node; done when its sockets are, or after a second.
    pub fn end_session_here(&self, hash: SignInHash) -> impl Future<Output = ()> + Send + use<> {
        let (reply, ended) = oneshot();
        let reply = reply.into();
        self.session_does(hash, SessionMessage::End { reply }, ended)
    }

    /// A sign-in's connections on this node that named no channels enter this one; done when
    /// they have, or after a second.
    pub fn enter_here(
        &self,
        hash: SignInHash,
        channel: ChannelName,
    ) -> impl Future<Output = ()> + Send + use<> {
        let (reply, entered) = oneshot();
        let reply = reply.into();
        let enter = SessionMessage::EnterImplicitly { channel, reply };
        self.session_does(hash, enter, entered)
    }

    /// Asks a sign-in's session on this node, if there is one, and gives it a second.
    fn session_does(
        &self,
        hash: SignInHash,
        what: SessionMessage,
        done: OneshotReceiver<()>,
    ) -> impl Future<Output = ()> + Send + use<> {
        // Dropped with its reply port if there is none: then nothing is waited for.
        let _ = self.directory.sessions.tell_if_there(&hash, what);
        async {
            let _ = tokio::time::timeout(CONFIRM_TIMEOUT * 2, done).await;
        }
    }
}
