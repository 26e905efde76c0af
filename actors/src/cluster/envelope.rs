//! What nodes say to each other, as it goes over a link.
//!
//! A batch of envelopes is one JSON object. It is additive: a field that is not known is passed
//! over, one that is missing has a default, and an envelope of a kind that is not known is
//! counted and dropped while the rest of its batch is heard. So nodes of neighbouring versions
//! serve one conversation while a cluster is upgraded.

use crate::channel::{Beginning, ChannelMessage};
use crate::frame::{Belongs, End, Epoch, Frame, Ghost, Snapshot};
use crate::requests::{History, Patched, Posted, TypingError, Unanswered};
use crate::typing_message::{Stroke, Whereabouts};
use cluster_config::{NodeName, View};
use cql::{ChannelName, Conversation, MessageId, Millis, Range, SignInHash, UserId, Username};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::sync::Arc;
use std::time::Duration;

/// The version of what is written here. A reader of another one reads it all the same; only what
/// neither can do without raises [`cluster_config`]'s least version.
pub const VERSION: u16 = 1;

/// What one node says to another at once.
#[derive(Debug, Serialize, Deserialize)]
struct Batch {
    v: u16,
    from: NodeName,
    /// Bytes of batches that were received since this was last said.
    #[serde(default, skip_serializing_if = "is_zero")]
    received: usize,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    envelopes: Vec<Box<RawValue>>,
}

fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// A batch that was received.
#[derive(Debug)]
pub struct Received {
    /// Who says it.
    pub from: NodeName,
    /// Bytes of ours that the other side has taken in.
    pub received: usize,
    /// What is to be acknowledged for this one.
    pub bytes: usize,
    /// What is said.
    pub envelopes: Vec<Envelope>,
}

/// One thing said.
#[derive(Debug, Serialize, Deserialize)]
pub struct Envelope {
    /// The version of the view by which the sender speaks.
    pub view: u64,
    /// The W3C `traceparent` of what this is part of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<String>,
    /// What.
    pub body: Body,
}

/// What is said.
#[derive(Debug, Serialize, Deserialize)]
pub enum Body {
    /// A question; no answer is of use after `within`.
    Ask {
        id: u64,
        within: Duration,
        question: Question,
    },
    /// The answer to one.
    Answer { id: u64, reply: Reply },
    /// Something that needs no answer.
    Tell(Word),
}

/// What is asked.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Question {
    /// Of a conversation's owner.
    Channel {
        conversation: Conversation,
        wish: Wish,
    },
    /// Where a message is being typed, if that is here.
    WhereTyped { id: MessageId },
    /// End this sign-in here.
    EndSignIn { hash: SignInHash },
    /// A sign-in has no connection any more: what it typed by HTTP is erased.
    AbandonSignIn { hash: SignInHash },
    /// Forget who had this name.
    ForgetName { username: Username },
    /// These people are on the asking node now.
    Joined { people: Vec<Online> },
    /// This sign-in's connections that named no channels enter this one.
    EnterImplicitly {
        hash: SignInHash,
        channel: ChannelName,
    },
}

/// What is asked of a conversation's owner.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Wish {
    Post {
        post: Box<Beginning>,
        since: Millis,
    },
    Stroke {
        id: MessageId,
        stroke: Stroke,
        claim: Option<String>,
        since: Millis,
    },
    Delete {
        id: MessageId,
    },
    History {
        range: Range,
    },
    Abandon {
        id: MessageId,
        by: Belongs,
    },
}

/// An answer.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Reply {
    Posted(Result<Posted, TypingError>),
    Patched(Result<Patched, TypingError>),
    Deleted(Result<(), TypingError>),
    History(Result<History, Unanswered>),
    Done,
    WhereTyped(Option<Whereabouts>),
    /// Whoever is asked does not own it, by this version of the view.
    NotTheOwner {
        version: u64,
    },
    /// There was no answer in time.
    Unanswered,
}

/// One sign-in that is connected somewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Online {
    /// Whose.
    pub user: UserId,
    /// The name.
    pub username: Username,
    /// Which.
    pub sign_in: SignInHash,
}

/// What is told.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Word {
    /// To a conversation's owner, by a relay.
    Watch {
        conversation: Conversation,
        from: Option<MessageId>,
    },
    /// To a conversation's owner, by a relay: is what it shows what there is?
    Confirm {
        conversation: Conversation,
        ask: u64,
    },
    /// To a relay: this was the last frame when it asked that.
    Confirmed {
        conversation: Conversation,
        ask: u64,
        epoch: Epoch,
        n: u64,
    },
    /// To a conversation's owner: what a relay kept, or nothing.
    Announced {
        conversation: Conversation,
        ghosts: Vec<Ghost>,
        ended: Vec<(MessageId, End)>,
    },
    /// To a conversation's owner, by the last one: what that knew when it left.
    HandedOver {
        conversation: Conversation,
        ghosts: Vec<Ghost>,
        ended: Vec<(MessageId, End)>,
    },
    /// To a conversation's owner: a relay has that frame.
    Seen { conversation: Conversation, n: u64 },
    /// To a relay.
    Frame(Arc<Frame>),
    /// To a relay.
    Snapshot {
        conversation: Conversation,
        snapshot: Snapshot,
    },
    /// To a relay, which is started for it: somebody here is to see this private.
    Show {
        conversation: Conversation,
        snapshot: Snapshot,
    },
    /// To a relay: frames for it were dropped.
    Gap { conversation: Conversation },
    /// To a relay: the teller owns this now and knows nothing.
    OwnerChanged { conversation: Conversation },
    /// Shards that the teller has finished with, and for how long what it owed is owed still.
    Released { shards: Vec<(u16, Duration)> },
    /// Sign-ins that have no connection on the teller's node any more.
    Parted { sign_ins: Vec<SignInHash> },
    /// Everybody who is on the teller's node.
    Everybody { people: Vec<Online> },
    /// This sign-in's connections that named no channels enter this one.
    EnterImplicitly {
        hash: SignInHash,
        channel: ChannelName,
    },
    /// The view has changed; how it is now, for those who don't reach the store.
    NewView {
        version: u64,
        #[serde(default)]
        view: Option<View>,
    },
    /// Are you there? I hold my lease, or not.
    Ping {
        n: u64,
        #[serde(default)]
        lease: bool,
    },
    /// Yes.
    Pong { n: u64 },
}

impl Body {
    /// Whether it is for an owner, and so can't be understood by an older view than its own.
    pub fn needs_view(&self) -> bool {
        match self {
            Body::Ask { question, .. } => matches!(question, Question::Channel { .. }),
            Body::Answer { .. } => false,
            Body::Tell(word) => matches!(
                word,
                Word::Watch { .. }
                    | Word::Confirm { .. }
                    | Word::Announced { .. }
                    | Word::HandedOver { .. }
                    | Word::Seen { .. }
                    | Word::OwnerChanged { .. }
                    | Word::Released { .. }
            ),
        }
    }

    /// The conversation it is about: what is about one keeps its order.
    pub fn conversation(&self) -> Option<&Conversation> {
        match self {
            Body::Ask {
                question: Question::Channel { conversation, .. },
                ..
            } => Some(conversation),
            Body::Ask { .. } | Body::Answer { .. } => None,
            Body::Tell(word) => word.conversation(),
        }
    }
}

impl Word {
    /// The conversation it is about.
    pub fn conversation(&self) -> Option<&Conversation> {
        match self {
            Word::Frame(frame) => Some(&frame.conversation),
            Word::Watch { conversation, .. }
            | Word::Confirm { conversation, .. }
            | Word::Confirmed { conversation, .. }
            | Word::Announced { conversation, .. }
            | Word::HandedOver { conversation, .. }
            | Word::Seen { conversation, .. }
            | Word::Snapshot { conversation, .. }
            | Word::Show { conversation, .. }
            | Word::Gap { conversation }
            | Word::OwnerChanged { conversation } => Some(conversation),
            _ => None,
        }
    }
}

impl Wish {
    /// What a message to a channel asks; none if it is no question.
    pub fn of(message: &ChannelMessage) -> Option<Wish> {
        Some(match message {
            ChannelMessage::Post { post, since, .. } => Wish::Post {
                post: post.clone(),
                since: *since,
            },
            ChannelMessage::Stroke {
                id,
                stroke,
                claim,
                since,
                ..
            } => Wish::Stroke {
                id: *id,
                stroke: stroke.clone(),
                claim: claim.clone(),
                since: *since,
            },
            ChannelMessage::Delete { id, .. } => Wish::Delete { id: *id },
            ChannelMessage::History { range, .. } => Wish::History { range: *range },
            ChannelMessage::Abandon { id, by, .. } => Wish::Abandon { id: *id, by: *by },
            _ => return None,
        })
    }
}

/// Writes envelopes down, one by one.
pub fn write(envelope: &Envelope) -> Box<RawValue> {
    serde_json::value::to_raw_value(envelope)
        .expect("an envelope has no map with other keys than strings")
}

/// A batch as it goes over the link.
pub fn batch(from: NodeName, received: usize, envelopes: Vec<Box<RawValue>>) -> Vec<u8> {
    let batch = Batch {
        v: VERSION,
        from,
        received,
        envelopes,
    };
    serde_json::to_vec(&batch).expect("a batch is made of what is written already")
}

/// Reads a batch; none if it is none. Never panics, whatever it is given.
pub fn read(bytes: &[u8]) -> Option<Received> {
    let batch: Batch = match serde_json::from_slice(bytes) {
        Ok(batch) => batch,
        Err(error) => {
            metrics::counter!("ting_envelopes_refused_total").increment(1);
            tracing::warn!(error = %error.classify_as_text(), "a batch of envelopes can't be read");
            return None;
        }
    };
    let said = batch.envelopes.len();
    let envelopes: Vec<Envelope> = batch
        .envelopes
        .iter()
        .filter_map(|envelope| serde_json::from_str(envelope.get()).ok())
        .collect();
    if envelopes.len() < said {
        let unknown = said - envelopes.len();
        metrics::counter!("ting_envelopes_refused_total").increment(unknown as u64);
        tracing::debug!(unknown, from = %batch.from, "envelopes of a kind that is not known");
    }
    Some(Received {
        from: batch.from,
        received: batch.received,
        bytes: if said == 0 { 0 } else { bytes.len() },
        envelopes,
    })
}

/// The kind of an error alone: its text may quote what people wrote.
trait Classified {
    fn classify_as_text(&self) -> &'static str;
}

impl Classified for serde_json::Error {
    fn classify_as_text(&self) -> &'static str {
        match self.classify() {
            serde_json::error::Category::Io => "io",
            serde_json::error::Category::Syntax => "syntax",
            serde_json::error::Category::Data => "data",
            serde_json::error::Category::Eof => "end of input",
        }
    }
}

#[cfg(test)]
#[path = "envelope/tests.rs"]
mod tests;
