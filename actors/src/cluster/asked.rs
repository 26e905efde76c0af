//! Questions that other nodes have been asked, and those that wait for an owner who can be.

use super::{Body, KeeperMessage, PeerMessage, Question, Reply, Wish, heard};
use crate::channel::ChannelMessage;
use crate::locks::lock;
use crate::node::{ASK_TIMEOUT, Lives, Node};
use cluster_config::NodeName;
use cql::Conversation;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::Instant;

/// How much less than the asker an owner elsewhere may take: the way there and back.
const STEP: Duration = Duration::from_millis(200);

/// Questions that wait for an owner; beyond that they are refused at once.
const PARKED_MAX: usize = 10_000;

/// Something for a conversation's owner, with whoever waits for the answer.
struct About {
    conversation: Conversation,
    message: ChannelMessage,
    until: Instant,
    /// Whether somebody has said already that it does not own this.
    again: bool,
}

enum Asked {
    Owner(Box<About>),
    Other(oneshot::Sender<Reply>),
}

struct Pending {
    of: NodeName,
    until: Instant,
    asked: Asked,
}

/// All that waits for other nodes.
#[derive(Default)]
pub struct Waiting {
    last: AtomicU64,
    pending: Mutex<HashMap<u64, Pending>>,
    parked: Mutex<Vec<About>>,
}

impl std::fmt::Debug for Waiting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Waiting")
            .field("pending", &lock(&self.pending).len())
            .field("parked", &lock(&self.parked).len())
            .finish_non_exhaustive()
    }
}

impl Waiting {
    /// How many questions wait, for an answer or for an owner.
    pub fn count(&self) -> usize {
        lock(&self.pending).len() + lock(&self.parked).len()
    }

    fn note(&self, of: NodeName, until: Instant, asked: Asked) -> u64 {
        let id = self.last.fetch_add(1, Ordering::Relaxed) + 1;
        lock(&self.pending).insert(id, Pending { of, until, asked });
        id
    }

    /// Keeps a question until there is an owner. What asks nothing is dropped: whoever told it
    /// tells the next owner by itself.
    fn park(&self, about: About) {
        let mut parked = lock(&self.parked);
        // Dropped with its reply port, it is answered *not answered*.
        if parked.len() < PARKED_MAX && Wish::of(&about.message).is_some() {
            parked.push(about);
        }
    }

    /// Forgets what nobody waits for any more.
    pub fn expire(&self, now: Instant) {
        lock(&self.pending).retain(|_, pending| pending.until > now);
        lock(&self.parked).retain(|about| about.until > now);
    }
}

impl Node {
    /// Says something to a conversation's owner on another node, or to whoever will own it soon.
    pub(super) fn tell_owner(
        self: &Arc<Self>,
        owner: Option<NodeName>,
        conversation: &Conversation,
        message: ChannelMessage,
    ) {
        let about = About {
            conversation: conversation.clone(),
            message,
            until: Instant::now() + ASK_TIMEOUT - STEP,
            again: false,
        };
        self.tell_or_ask(owner, about);
    }

    fn tell_or_ask(&self, owner: Option<NodeName>, about: About) {
        let link = owner.and_then(|owner| Some((owner, self.cluster.peer(owner)?)));
        let Some((owner, peer)) = link else {
            return self.cluster.waiting.park(about);
        };
        let Some(wish) = Wish::of(&about.message) else {
            if let Some(word) = heard::word_of(&about.conversation, about.message) {
                let _ = peer.cast(PeerMessage::say(Body::Tell(word)));
            }
            return;
        };
        let within = about.until.saturating_duration_since(Instant::now());
        let conversation = about.conversation.clone();
        let waiting = &self.cluster.waiting;
        let id = waiting.note(owner, about.until, Asked::Owner(Box::new(about)));
        let question = Question::Channel { conversation, wish };
        let _ = peer.cast(PeerMessage::say(Body::Ask {
            id,
            within,
            question,
        }));
    }

    /// Asks another node something; nothing is received if there is no link, or no answer.
    pub fn ask_node(
        &self,
        name: NodeName,
        question: Question,
        within: Duration,
    ) -> oneshot::Receiver<Reply> {
        let (answer, answered) = oneshot::channel();
        if let Some(peer) = self.cluster.peer(name) {
            let until = Instant::now() + within;
            let waiting = &self.cluster.waiting;
            let id = waiting.note(name, until, Asked::Other(answer));
            let _ = peer.cast(PeerMessage::say(Body::Ask {
                id,
                within,
                question,
            }));
        }
        answered
    }

    /// Asks all nodes there are links with, and waits for all answers that come in time.
    pub async fn ask_all(&self, question: Question, within: Duration) -> Vec<Reply> {
        let names = self.cluster.linked().into_iter();
        let asked = names.map(|name| {
            let answered = self.ask_node(name, question.clone(), within);
            tokio::time::timeout(within, answered)
        });
        let answers = futures::future::join_all(asked).await.into_iter();
        answers.filter_map(|answer| answer.ok()?.ok()).collect()
    }

    /// An answer came.
    pub(super) fn answered(self: &Arc<Self>, id: u64, reply: Reply) {
        let Some(pending) = lock(&self.cluster.waiting.pending).remove(&id) else {
            return;
        };
        match (pending.asked, reply) {
            (Asked::Other(answer), reply) => drop(answer.send(reply)),
            (Asked::Owner(mut about), Reply::NotTheOwner { version }) => {
                let again = std::mem::replace(&mut about.again, true);
                if again {
                    return;
                }
                if version > self.cluster.version() {
                    // Asked again when that version is read.
                    self.cluster.waiting.park(*about);
                    self.cluster.tell_keeper(KeeperMessage::Newer { version });
                } else {
                    self.route_again(*about);
                }
            }
            (Asked::Owner(about), reply) => give(about.message, reply),
        }
    }

    /// The link with a node has ended: what may be said twice is said again to whoever owns it
    /// then; the rest was perhaps heard, so its outcome is unknown.
    pub(super) fn lost_answers_of(self: &Arc<Self>, peer: NodeName) {
        let mut lost = Vec::new();
        let mut kept = HashMap::new();
        let mut pending = lock(&self.cluster.waiting.pending);
        for (id, asked) in pending.drain() {
            if asked.of == peer {
                lost.push((id, asked.asked));
            } else {
                kept.insert(id, asked);
            }
        }
        *pending = kept;
        drop(pending);
        // Said again as it was said: the strokes of a message follow each other.
        lost.sort_unstable_by_key(|(id, _)| *id);
        for (_, asked) in lost {
            if let Asked::Owner(about) = asked
                && matches!(
                    about.message,
                    ChannelMessage::Stroke { .. }
                        | ChannelMessage::History { .. }
                        | ChannelMessage::Abandon { .. }
                )
            {
                self.cluster.waiting.park(*about);
            }
        }
    }

    /// The view or the links have changed: what waited for an owner is tried again.
    pub(super) fn retry_parked(self: &Arc<Self>) {
        let parked = std::mem::take(&mut *lock(&self.cluster.waiting.parked));
        let now = Instant::now();
        for about in parked.into_iter().filter(|about| about.until > now) {
            self.route_again(about);
        }
    }

    fn route_again(self: &Arc<Self>, about: About) {
        match self.lives(&about.conversation) {
            Lives::Here => self.tell_channel(&about.conversation, about.message),
            Lives::There(owner) => self.tell_or_ask(Some(owner), about),
            Lives::Nowhere => self.cluster.waiting.park(about),
        }
    }
}

/// Answers whoever asked with what another node replied.
fn give(message: ChannelMessage, reply: Reply) {
    match (message, reply) {
        (ChannelMessage::Post { reply, .. }, Reply::Posted(posted)) => drop(reply.send(posted)),
        (ChannelMessage::Stroke { reply, .. }, Reply::Patched(patched)) => {
            let _ = reply.send(patched);
        }
        (ChannelMessage::Delete { reply, .. }, Reply::Deleted(deleted)) => {
            let _ = reply.send(deleted);
        }
        (ChannelMessage::History { reply, .. }, Reply::History(history)) => {
            let _ = reply.send(history);
        }
        (
            ChannelMessage::Abandon {
                answer: Some(answer),
                ..
            },
            Reply::Done,
        ) => answer(),
        // Dropped with its reply port: not answered.
        _ => {}
    }
}
