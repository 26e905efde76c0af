//! A socket's events, in the order they came.
//!
//! The library hands over each event inside its reading loop, so here it is only counted, read
//! and queued. A task that lives as long as the queue is not empty takes them one by one: names
//! are resolved, the actors told, and the answers awaited beside it, so that a slow one holds up
//! nobody.

use super::SocketSettings;
use super::backend::Backend;
use super::bucket::{Bucket, Refused};
use super::connection::{Connection, Why, lock};
use super::login;
use super::metric;
use super::payload::{Inbound, Patch, Place, Post};
use super::registry::Registry;
use crate::http::message::or_nowhere;
use crate::refusal::Refusal;
use actors::edge::Kill;
use actors::{Patched, Posted, Via};
use cql::{MessageId, MessageText, SignIn, TextError};
use serde_json::{Value as Json, json};
use socketioxide::adapter::LocalAdapter;
use socketioxide::extract::AckSender;
use socketioxide::handler::{FromMessageParts, MessageHandler, Value};
use socketioxide::socket::Socket;
use socketioxide::{SendError, SocketError};
use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

/// Messages of one socket of which an update may be held; more are not typed at a time.
const HELD_MAX: usize = 3;

/// How long an update is held at least: the pace at which they are carried on anyway.
const HELD_FOR: Duration = Duration::from_millis(50);

/// What a socket has sent and nobody has taken yet.
#[derive(Debug)]
pub struct Queue {
    bucket: Bucket,
    waiting: VecDeque<Operation>,
    is_worked: bool,
    /// Of each message the newest update that came too fast: a flood collapses to it.
    held: HashMap<MessageId, Operation>,
    is_held: bool,
}

/// One event and where its answer goes.
#[derive(Debug)]
pub struct Operation {
    inbound: Inbound,
    answer: Answer,
}

impl Queue {
    /// An empty one.
    pub fn new(settings: &SocketSettings, now: Instant) -> Self {
        Queue {
            bucket: Bucket::new(settings.events_per_second, settings.events_burst, now),
            waiting: VecDeque::new(),
            is_worked: false,
            held: HashMap::new(),
            is_held: false,
        }
    }

    /// Puts an event behind those that wait, in place of an older update of its message that is
    /// held, which comes back. Says whether somebody has to begin to work.
    fn take(&mut self, operation: Operation) -> (Option<Operation>, bool) {
        let superseded = operation.changes().and_then(|id| {
            let is_newer = |held: &Operation| operation.is_older_than(held);
            if self.held.get(&id).is_some_and(is_newer) {
                return None;
            }
            self.held.remove(&id)
        });
        self.waiting.push_back(operation);
        (superseded, self.begins())
    }

    /// Puts the updates that were held behind those that wait. In one step, under one lock: a
    /// newer update finds its older one held, or ahead of itself, and never behind.
    fn let_go(&mut self) -> bool {
        self.is_held = false;
        let held = self.held.drain().map(|(_, operation)| operation);
        self.waiting.extend(held);
        !self.waiting.is_empty() && self.begins()
    }

    fn begins(&mut self) -> bool {
        !std::mem::replace(&mut self.is_worked, true)
    }
}

impl Operation {
    /// The message that it changes.
    fn changes(&self) -> Option<MessageId> {
        match &self.inbound {
            Inbound::Patch(patch) => Some(patch.messageid),
            _ => None,
        }
    }

    /// Whether a newer one of the same message makes it needless.
    fn is_update(&self) -> bool {
        matches!(&self.inbound, Inbound::Patch(patch) if patch.typing && !patch.text.trim().is_empty())
    }

    /// Whether it is of an earlier state of its message than another, by the author's count:
    /// requests overtake each other.
    fn is_older_than(&self, other: &Operation) -> bool {
        match (&self.inbound, &other.inbound) {
            (Inbound::Patch(one), Inbound::Patch(other)) => one.rev < other.rev,
            _ => false,
        }
    }

    /// A newer state of its message came.
    fn superseded(self) {
        self.answer.acknowledge(&json!({"status": 204}));
    }
}

/// Takes a socket's events from the library.
pub struct Inbox {
    registry: Arc<Registry>,
    /// Weak, because the socket that owns this is owned by the connection.
    connection: Weak<Connection>,
}

impl Inbox {
    /// For this socket.
    pub fn new(registry: Arc<Registry>, connection: &Arc<Connection>) -> Self {
        Inbox {
            registry,
            connection: Arc::downgrade(connection),
        }
    }

    fn take(&self, connection: &Arc<Connection>, packet: &Value, ack: Option<AckSender>) {
        let answer = Answer {
            registry: self.registry.clone(),
            connection: connection.clone(),
            ack,
        };
        let waiting = connection.pending.fetch_add(1, Ordering::Relaxed);
        let too_fast = match lock(&connection.queue).bucket.take(Instant::now()) {
            Ok(()) if waiting >= connection.settings.events_pending => Some((None, "pending")),
            Ok(()) => None,
            Err(Refused::Wait(after)) => Some((Some(after), "rate")),
            Err(Refused::Deaf) => return self.registry.cut(connection, Why::Deaf),
        };
        let packet = packet.as_str().ok_or(Refusal::MALFORMED);
        let operation = match packet.and_then(|packet| Inbound::read(packet)) {
            Ok(inbound) => Operation { inbound, answer },
            Err(refusal) => return answer.refuse(refusal, "malformed"),
        };
        match too_fast {
            None => self.queue(operation),
            Some((after, _)) if operation.is_update() => self.hold(operation, after),
            Some((after, why)) => operation.answer.refuse(Refusal::too_many(after), why),
        }
    }

    /// Keeps the newest of the updates that come too fast, until there is time for it.
    fn hold(&self, operation: Operation, after: Option<Duration>) {
        let connection = operation.answer.connection.clone();
        let Some(id) = operation.changes() else {
            return;
        };
        let mut queue = lock(&connection.queue);
        if queue.held.len() >= HELD_MAX && !queue.held.contains_key(&id) {
            drop(queue);
            return operation.answer.refuse(Refusal::too_many(after), "rate");
        }
        if queue
            .held
            .get(&id)
            .is_some_and(|held| operation.is_older_than(held))
        {
            drop(queue);
            return operation.superseded();
        }
        let superseded = queue.held.insert(id, operation);
        let is_first = !std::mem::replace(&mut queue.is_held, true);
        drop(queue);
        if let Some(superseded) = superseded {
            superseded.superseded();
        }
        if is_first {
            let inbox = Inbox::new(self.registry.clone(), &connection);
            let wait = after.unwrap_or_default().max(HELD_FOR);
            tokio::spawn(async move {
                tokio::time::sleep(wait).await;
                let begins = lock(&connection.queue).let_go();
                inbox.work_if(begins, connection);
            });
        }
    }

    /// Takes an event in its turn.
    fn queue(&self, operation: Operation) {
        let connection = operation.answer.connection.clone();
        let (superseded, begins) = lock(&connection.queue).take(operation);
        if let Some(superseded) = superseded {
            superseded.superseded();
        }
        self.work_if(begins, connection);
    }

    fn work_if(&self, begins: bool, connection: Arc<Connection>) {
        if begins {
            tokio::spawn(work(self.registry.clone(), connection));
        }
    }
}

impl MessageHandler<LocalAdapter, Inbox> for Inbox {
    fn call(&self, socket: Arc<Socket>, mut packet: Value, ack_id: Option<i64>) {
        let Some(connection) = self.connection.upgrade() else {
            return;
        };
        let ack =
            ack_id.and_then(|_| AckSender::from_message_parts(&socket, &mut packet, &ack_id).ok());
        self.take(&connection, &packet, ack);
    }
}

async fn work(registry: Arc<Registry>, connection: Arc<Connection>) {
    loop {
        let operation = {
            let mut queue = lock(&connection.queue);
            let operation = queue.waiting.pop_front();
            if operation.is_none() {
                queue.is_worked = false;
                queue.waiting.shrink_to_fit();
            }
            operation
        };
        let Some(Operation { inbound, answer }) = operation else {
            return;
        };
        if connection.is_over() {
            continue;
        }
        let Some(backend) = registry.backend().cloned() else {
            answer.refuse(Refusal::UNAVAILABLE, "unavailable");
            continue;
        };
        carry_out(&backend, inbound, answer).await;
    }
}

/// Returns when the actors have been told.
async fn carry_out(backend: &Arc<dyn Backend>, inbound: Inbound, answer: Answer) {
    let told = match inbound {
        Inbound::Login(login) => return login::log_in(backend, login, answer).await,
        _ => answer.connection.sign_in().ok_or(Refusal::FORBIDDEN),
    };
    let told = match told {
        Ok(by) => tell(backend, inbound, &by, &answer).await,
        Err(refusal) => Err(refusal),
    };
    match told {
        Ok(outcome) => {
            tokio::spawn(async move { answer.send(outcome.await) });
        }
        Err(refusal) => answer.refuse(refusal, "refused"),
    }
}

type Outcome = futures::future::BoxFuture<'static, Result<Json, Refusal>>;

async fn tell(
    backend: &Arc<dyn Backend>,
    inbound: Inbound,
    by: &SignIn,
    answer: &Answer,
) -> Result<Outcome, Refusal> {
    let connection = answer.connection.id;
    match inbound {
        Inbound::Enter(Place { r#type, target }) => {
            let to = backend.destination(by, &r#type, &target).await?;
            Ok(done(backend.enter(connection, to)))
        }
        Inbound::Leave(Place { r#type, target }) => {
            let to = backend.destination(by, &r#type, &target).await?;
            Ok(done(backend.leave(connection, to)))
        }
        Inbound::Post(post) => {
            let Post {
                r#type,
                target,
                text,
                typing,
                key,
            } = post;
            let text = MessageText::parse(text)?;
            let to = backend.destination(by, &r#type, &target).await?;
            let (by, via) = (by.clone(), Via::Connection(connection));
            let posted = backend.post(actors::Post {
                by,
                via,
                to,
                text,
                typing: typing.unwrap_or(true),
                key,
            });
            Ok(Box::pin(async move { Ok(begun(posted.await?)) }))
        }
        Inbound::Patch(patch) => {
            let Patch {
                messageid: id,
                r#type,
                target,
                text,
                typing,
                rev,
                claim,
            } = patch;
            let text = match MessageText::parse(text) {
                Ok(text) => Some(text),
                // Blank text erases.
                Err(TextError::Empty) => None,
                Err(error @ TextError::Length) => return Err(error.into()),
            };
            let found = backend.destination(by, &r#type, &target).await;
            let to = found.or_else(|refusal| or_nowhere(by, refusal))?;
            let (by, via) = (by.clone(), Via::Connection(connection));
            let patch = actors::Patch {
                by,
                via,
                to,
                id,
                text,
                typing,
                rev,
                claim,
            };
            let patched = backend.patch(patch);
            Ok(Box::pin(async move {
                Ok(match patched.await? {
                    Patched::Done => json!({"status": 204}),
                    Patched::Anew(posted) => begun(posted),
                })
            }))
        }
        // Carried out before.
        Inbound::Login(_) => Err(Refusal::FORBIDDEN),
    }
}

fn begun(posted: Posted) -> Json {
    json!({"status": 200, "messageid": posted.id, "claim": posted.claim})
}

fn done<E: Into<Refusal>>(
    answered: impl Future<Output = Result<(), E>> + Send + 'static,
) -> Outcome {
    Box::pin(async move {
        answered.await.map_err(Into::into)?;
        Ok(json!({"status": 204}))
    })
}

/// Where an event's answer goes, if the client asked for one. Holds the event's place among those
/// that wait.
pub struct Answer {
    pub registry: Arc<Registry>,
    pub connection: Arc<Connection>,
    ack: Option<AckSender>,
}

impl Answer {
    /// What became of it.
    pub fn send(self, outcome: Result<Json, Refusal>) {
        match outcome {
            Ok(body) => self.acknowledge(&body),
            Err(refusal) => self.refuse(refusal, "refused"),
        }
    }

    /// Refuses; `why` is the metric's label.
    pub fn refuse(self, refusal: Refusal, why: &'static str) {
        metrics::counter!(metric::REFUSED, "why" => why).increment(1);
        let mut body = json!({"status": refusal.status, "error": refusal.code});
        if let Some(seconds) = refusal.retry_after_seconds() {
            body["retry_after"] = seconds.into();
        }
        self.acknowledge(&body);
    }

    fn acknowledge(mut self, body: &Json) {
        let Some(ack) = self.ack.take() else {
            return;
        };
        if let Err(SendError::Socket(SocketError::InternalChannelFull)) = ack.send(body) {
            self.registry
                .cut(&self.connection, Why::Told(Kill::Stalled));
        }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.connection.pending.fetch_sub(1, Ordering::Relaxed);
    }
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Answer")
            .field("connection", &self.connection.id)
            .field("is_asked_for", &self.ack.is_some())
            .finish()
    }
}
