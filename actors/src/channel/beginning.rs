//! How messages begin: as a ghost, or said at once.

use super::{Beginning, ChannelMessage, State};
use crate::edge::{Entry, Target};
use crate::frame::Ghost;
use crate::node::{Node, STORE_TIMEOUT};
use crate::requests::{Posted, TypingError, Unanswered};
use crate::timeline::TYPED_AT_MOST;
use crate::typing_message::{Begin, TypingMessage, recipient};
use cql::{
    Append, Conversation, KeyClaim, Message, MessageId, Millis, Placed, StoreError, UserId,
    Username,
};
use ractor::{Actor, RpcReplyPort};
use std::sync::Arc;

impl State {
    pub(super) async fn post(
        &mut self,
        post: Beginning,
        since: Millis,
        reply: RpcReplyPort<Result<Posted, TypingError>>,
    ) {
        self.note_names(post.author, &post.username, &post.target);
        let open = post
            .author
            .zip(post.key.as_deref())
            .and_then(|(author, key)| self.timeline.with_key(author, key));
        if let Some(id) = open.filter(|_| post.typing) {
            let _ = reply.send(Ok(self.posted(post.author, id, id.time())));
            return;
        }
        if post.typing
            && let Err(refused) = self.one_more(post.author)
        {
            let _ = reply.send(Err(refused));
            return;
        }
        let Ok(id) = self.node.clock.next_id(self.timeline.last()) else {
            let _ = reply.send(Err(Unanswered.into()));
            return;
        };
        self.timeline.saw(id);
        let start = post
            .datetime_start
            .map_or(id.time(), |start| start.min(id.time()));
        if post.typing {
            let posted = self.posted(post.author, id, start);
            let text = post.text.as_str();
            let entry = being_typed(id, start, post.author, post.username, post.target, text);
            let ghost = Ghost {
                entry,
                belongs: post.belongs,
                key: post.key,
                author_rev: 0,
            };
            let answer = self.begin(ghost, false, since).await.map(|()| posted);
            let _ = reply.send(answer);
        } else {
            self.say(id, start, post, reply);
        }
    }

    /// Types and sends in one: the message is never a ghost.
    fn say(
        &mut self,
        id: MessageId,
        start: Millis,
        post: Beginning,
        reply: RpcReplyPort<Result<Posted, TypingError>>,
    ) {
        let Some(writing) = self.node.writing() else {
            let _ = reply.send(Err(Unanswered.into()));
            return;
        };
        let message = Message {
            id,
            conversation: self.conversation.clone(),
            author: post.author,
            username: post.username,
            text: post.text,
            datetime_start: start,
            // What a privileged caller brings in was sent when it began.
            datetime_sent: match post.datetime_start {
                Some(_) => start,
                None => self.outgoing.next(self.node.clock.now()),
            },
        };
        let key = post.author.zip(post.key);
        let (node, myself) = (self.node.clone(), self.myself.clone());
        let to = recipient(&post.target);
        let under_way = self.outgoing.begin();
        tokio::spawn(async move {
            let mut reply = Some(reply);
            let kept = keep(&node, message, to, key);
            tokio::pin!(kept);
            // A request waits no longer than it may; what is written late is shown all the same.
            let outcome = match tokio::time::timeout(STORE_TIMEOUT, &mut kept).await {
                Ok(outcome) => outcome,
                Err(_) => {
                    if let Some(reply) = reply.take() {
                        let _ = reply.send(Err(Unanswered.into()));
                    }
                    kept.await
                }
            };
            node.note(&outcome);
            let answer = match outcome {
                Ok((message, is_new)) => {
                    let may_answer = node.may_acknowledge(&message.conversation);
                    let posted = posted(
                        &node,
                        message.author,
                        &message.conversation,
                        message.id,
                        message.datetime_start,
                    );
                    if is_new {
                        let sent = ChannelMessage::Sent {
                            message: Box::new(message),
                            author_rev: 0,
                            since: node.clock.now(),
                        };
                        let _ = myself.cast(sent);
                    }
                    // It is in the history, but whether the next owner will know is not certain.
                    may_answer.then_some(posted).ok_or(Unanswered.into())
                }
                Err(_) => Err(Unanswered.into()),
            };
            if let Some(reply) = reply {
                let _ = reply.send(answer);
            }
            drop((writing, under_way));
        });
    }

    /// A ghost appears: its actor starts, and viewers are told.
    pub(super) async fn begin(
        &mut self,
        ghost: Ghost,
        unknown: bool,
        since: Millis,
    ) -> Result<(), TypingError> {
        self.timeline.begin(ghost.clone());
        self.start(ghost, unknown).await?;
        self.changed(since);
        Ok(())
    }

    pub(super) async fn start(&mut self, ghost: Ghost, unknown: bool) -> Result<(), Unanswered> {
        let id = ghost.entry.id;
        let begin = Begin {
            node: self.node.clone(),
            conversation: self.conversation.clone(),
            channel: self.myself.clone(),
            outgoing: self.outgoing.clone(),
            ghost,
            unknown,
        };
        let started =
            TypingMessage::spawn_linked(None, TypingMessage, begin, self.myself.get_cell()).await;
        let (actor, _) = started.map_err(|_| Unanswered)?;
        self.node.directory.typing_messages.insert(id, actor);
        Ok(())
    }

    /// Whether this person may type one more message here.
    pub(super) fn one_more(&self, author: Option<UserId>) -> Result<(), TypingError> {
        let most = self.node.limits.typing_messages_per_conversation;
        let typed = author.map_or(0, |author| self.timeline.typed_by(author));
        if typed >= most {
            Err(TypingError::TooMany(typed))
        } else {
            Ok(())
        }
    }

    pub(super) fn posted(&self, author: Option<UserId>, id: MessageId, start: Millis) -> Posted {
        posted(&self.node, author, &self.conversation, id, start)
    }
}

/// Keeps a message that is said at once; says what stands there now, and whether viewers may not
/// know of it.
async fn keep(
    node: &Node,
    mut message: Message,
    to: Option<Username>,
    key: Option<(UserId, String)>,
) -> Result<(Message, bool), StoreError> {
    if let Some((user, key)) = key {
        let claim = KeyClaim {
            id: message.id,
            conversation: message.conversation.clone(),
        };
        let bound = bind_key(node, user, &key, claim).await?;
        if bound.id != message.id {
            message.id = bound.id;
            message.datetime_start = bound.id.time();
            if bound.conversation != message.conversation {
                // The key's first use was elsewhere: that answer is repeated, nothing is said.
                message.conversation = bound.conversation;
                return Ok((message, false));
            }
        }
    }
    match node.store.append(&message, to.as_ref()).await? {
        Append::Kept => Ok((message, true)),
        Append::Taken(stands) if stands.conversation != message.conversation => {
            tracing::error!(id = %message.id, "the place is another conversation's");
            Err(StoreError::Unavailable("the place is taken".into()))
        }
        Append::Taken(stands) => Ok((*stands, true)),
        Append::Ended => Ok((message, false)),
    }
}

/// Binds a key to a fresh id; what it stood for already holds, unless that is too old to be
/// written and never was.
pub(super) async fn bind_key(
    node: &Node,
    user: UserId,
    key: &str,
    claim: KeyClaim,
) -> Result<KeyClaim, StoreError> {
    let now = node.clock.now();
    let bound = node.store.claim_key(user, key, &claim, now).await?;
    if bound.id == claim.id || bound.id.time() + TYPED_AT_MOST > now {
        return Ok(bound);
    }
    let store = &node.store;
    match store.placed(bound.id).await? {
        Placed::Nothing => {
            let old = bound;
            let bound = store.rebind_key(user, key, old.id, &claim, now).await?;
            // Also what a minority of replicas may have of it; once nothing stands for it.
            store.end_message(&old.conversation, old.id, now).await?;
            Ok(bound)
        }
        // Whoever bound it anew meanwhile has ended it.
        Placed::Ended(_) => Ok(store.key(user, key, now).await?.unwrap_or(bound)),
        Placed::Message(_) => Ok(bound),
    }
}

fn posted(
    node: &Node,
    author: Option<UserId>,
    conversation: &Conversation,
    id: MessageId,
    start: Millis,
) -> Posted {
    // Nobody who exists has nothing to claim.
    let claim = author.map(|author| node.claims.mint(author, conversation, id, start));
    Posted {
        id,
        claim: claim.unwrap_or_default(),
    }
}

pub(super) fn being_typed(
    id: MessageId,
    start: Millis,
    author: Option<UserId>,
    username: Username,
    target: Target,
    text: &str,
) -> Entry {
    Entry {
        id,
        author,
        username,
        target,
        text: Arc::from(text),
        typing: true,
        datetime_start: start,
        datetime_sent: None,
        rev: 0,
    }
}
