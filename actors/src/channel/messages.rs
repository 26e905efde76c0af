//! What a conversation is asked and told, and what it waits for.

use crate::edge::Target;
use crate::frame::{Belongs, End, Ghost};
use crate::requests::{History, Posted, TypingError, Unanswered};
use crate::typing_message::{PatchReply, Stroke};
use crate::under_way::UnderWay;
use cluster_config::NodeName;
use cql::{
    KeyClaim, Message, MessageId, MessageText, Millis, Page, Placed, Range, StoreError, UserId,
    Username,
};
use ractor::RpcReplyPort;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use tokio::sync::oneshot;

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
    /// Asked by a node's relay: whether what it shows is what there is.
    Confirm { node: NodeName, ask: u64 },
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
    /// Told: another node may have owned this meanwhile.
    HadByOthers,
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
        author_rev: u64,
        since: Millis,
    },
    /// Reported: it is over; `answer` is for when viewers know.
    Ended {
        id: MessageId,
        end: End,
        clean: bool,
        author_rev: u64,
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
        ask: u64,
        node: NodeName,
        from: MessageId,
        messages: Result<Vec<Message>, StoreError>,
    },
    /// The second read after the actor was started anew, and what it had before.
    Again {
        had: Vec<MessageId>,
        messages: Result<Vec<Message>, StoreError>,
    },
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
    /// As what a message was begun anew, if it was.
    BegunAnew {
        old: MessageId,
        begun: Result<Option<KeyClaim>, StoreError>,
        stroke: Stroke,
        since: Millis,
        reply: PatchReply,
    },
    /// A deletion.
    Deleted {
        id: MessageId,
        /// What was there before, as far as that is known.
        stood: Option<Box<Message>>,
        deleted: Result<(), StoreError>,
        reply: RpcReplyPort<Result<(), TypingError>>,
        /// Until viewers are told, so that the next owner begins no earlier.
        under_way: UnderWay,
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
