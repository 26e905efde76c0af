//! A connection in a task of its own: one half sends, the other hears.
//!
//! Acknowledgements arrive whether or not anyone is listening to the events.

use std::{collections::HashMap, time::Duration};

use serde::Serialize;
use serde_json::Value;
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{Instant, timeout},
};
use tokio_tungstenite::tungstenite::Message;

use super::{Closed, Connection, packet, packet::Packet};

/// How many commands may wait for the socket before their senders do.
const COMMANDS_MAX: usize = 64;

/// An event as it arrived.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// When it had been read whole.
    pub at: Instant,
    /// Its name.
    pub name: String,
    /// Its arguments.
    pub args: Vec<Value>,
}

/// Why there is no acknowledgement.
#[derive(Debug, Clone, PartialEq)]
pub enum AckError {
    /// None came within the limit.
    Late(Duration),
    /// The connection ended first.
    Closed(Closed),
}

impl std::fmt::Display for AckError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            AckError::Late(limit) => write!(f, "no acknowledgement within {limit:?}"),
            AckError::Closed(closed) => write!(f, "no acknowledgement: {closed}"),
        }
    }
}

impl std::error::Error for AckError {}

enum Command {
    Send(Message),
    Ask(u64, String, oneshot::Sender<Value>),
    Reading(bool),
    Close,
}

/// The half that sends; clones share the socket. When the last is dropped, the socket closes.
#[derive(Debug, Clone)]
pub struct Sender {
    commands: mpsc::Sender<Command>,
    closed: watch::Receiver<Option<Closed>>,
    sid: String,
    next_ack: std::sync::Arc<std::sync::atomic::AtomicU64>,
}

impl Sender {
    /// The id that the server gave this connection.
    pub fn sid(&self) -> &str {
        &self.sid
    }

    /// Sends an event with one argument.
    pub async fn emit(&self, name: &str, argument: impl Serialize) -> anyhow::Result<()> {
        self.send_raw(packet::event(name, &argument, None)?).await
    }

    /// Sends an event with one argument and waits for the first value of its acknowledgement.
    pub async fn emit_with_ack(
        &self,
        name: &str,
        argument: impl Serialize,
        limit: Duration,
    ) -> anyhow::Result<Value> {
        let id = self
            .next_ack
            .fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let text = packet::event(name, &argument, Some(id))?;
        let (reply, answer) = oneshot::channel();
        let asking = async {
            self.command(Command::Ask(id, text, reply)).await.ok()?;
            answer.await.ok()
        };
        match timeout(limit, asking).await {
            Err(_) => Err(AckError::Late(limit).into()),
            Ok(Some(value)) => Ok(value),
            Ok(None) => Err(AckError::Closed(self.closed().await).into()),
        }
    }

    /// Sends any text as one frame, well formed or not.
    pub async fn send_raw(&self, text: impl Into<String>) -> anyhow::Result<()> {
        self.send_message(Message::text(text.into())).await
    }

    /// Sends any WebSocket message: binary, ping, close.
    pub async fn send_message(&self, message: Message) -> anyhow::Result<()> {
        Ok(self.command(Command::Send(message)).await?)
    }

    /// Stops reading from the socket, pings included, as a stalled browser does.
    pub async fn stop_reading(&self) -> anyhow::Result<()> {
        Ok(self.command(Command::Reading(false)).await?)
    }

    /// Reads again.
    pub async fn read_again(&self) -> anyhow::Result<()> {
        Ok(self.command(Command::Reading(true)).await?)
    }

    /// Leaves the namespace and closes the socket; returns when it is closed.
    pub async fn close(&self) {
        // An error says that it is closed already.
        let _ = self.command(Command::Close).await;
        self.closed().await;
    }

    /// Waits until the connection is over, and says why.
    pub async fn closed(&self) -> Closed {
        wait_closed(self.closed.clone()).await
    }

    async fn command(&self, command: Command) -> Result<(), Closed> {
        match self.commands.send(command).await {
            Ok(()) => Ok(()),
            Err(_) => Err(self.closed().await),
        }
    }
}

/// The half that hears. Events wait here until they are taken.
#[derive(Debug)]
pub struct Events {
    events: mpsc::UnboundedReceiver<Event>,
    closed: watch::Receiver<Option<Closed>>,
}

impl Events {
    /// The next event; `None` when the connection is over and all of its events are taken.
    pub async fn next(&mut self) -> Option<Event> {
        self.events.recv().await
    }

    /// The next event if it has arrived already.
    pub fn try_next(&mut self) -> Option<Event> {
        self.events.try_recv().ok()
    }

    /// Waits until the connection is over, and says why.
    pub async fn closed(&self) -> Closed {
        wait_closed(self.closed.clone()).await
    }
}

impl futures::Stream for Events {
    type Item = Event;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Event>> {
        self.events.poll_recv(cx)
    }
}

async fn wait_closed(mut closed: watch::Receiver<Option<Closed>>) -> Closed {
    let over = closed.wait_for(Option::is_some).await;
    // The task always says why it ends, unless its runtime ended first.
    over.ok()
        .and_then(|over| over.clone())
        .unwrap_or(Closed::Ours)
}

pub(super) fn split(connection: Connection) -> (Sender, Events) {
    let (commands, orders) = mpsc::channel(COMMANDS_MAX);
    let (heard, events) = mpsc::unbounded_channel();
    let (ended, closed) = watch::channel(None);
    let sid = connection.sid().to_owned();
    tokio::spawn(async move {
        let why = drive(connection, orders, heard).await;
        ended.send_replace(Some(why));
    });
    let sender = Sender {
        commands,
        closed: closed.clone(),
        sid,
        next_ack: Default::default(),
    };
    (sender, Events { events, closed })
}

async fn drive(
    mut connection: Connection,
    mut orders: mpsc::Receiver<Command>,
    heard: mpsc::UnboundedSender<Event>,
) -> Closed {
    let mut waiting: HashMap<u64, oneshot::Sender<Value>> = HashMap::new();
    let mut reading = true;
    loop {
        tokio::select! {
            order = orders.recv() => {
                let sent = match order {
                    Some(Command::Send(message)) => connection.send_message(message).await,
                    Some(Command::Ask(id, text, reply)) => {
                        waiting.retain(|_, reply| !reply.is_closed());
                        waiting.insert(id, reply);
                        connection.send_raw(text).await
                    }
                    Some(Command::Reading(read)) => {
                        reading = read;
                        Ok(())
                    }
                    Some(Command::Close) | None => {
                        connection.close().await;
                        return Closed::Ours;
                    }
                };
                // What the server still had to say explains more than a failed write does.
                if let Err(lost) = sent {
                    return drain(&mut connection, &mut waiting, &heard).await.unwrap_or(lost);
                }
            }
            received = connection.next(), if reading => match received {
                Ok(received) => {
                    if let Err(closed) = deliver(&received, &mut waiting, &heard) {
                        return closed;
                    }
                }
                Err(closed) => return closed,
            },
        }
    }
}

/// Reads what had arrived before the connection broke.
async fn drain(
    connection: &mut Connection,
    waiting: &mut HashMap<u64, oneshot::Sender<Value>>,
    heard: &mpsc::UnboundedSender<Event>,
) -> Option<Closed> {
    let reading = async {
        loop {
            match connection.next().await {
                Ok(received) => deliver(&received, waiting, heard)
                    .err()
                    .map_or(Ok(()), Err)?,
                Err(closed) => return Err::<(), Closed>(closed),
            }
        }
    };
    timeout(Duration::from_secs(1), reading).await.ok()?.err()
}

fn deliver(
    received: &super::Received,
    waiting: &mut HashMap<u64, oneshot::Sender<Value>>,
    heard: &mpsc::UnboundedSender<Event>,
) -> Result<(), Closed> {
    match received.packet() {
        Some(Packet::Event(_, payload)) => {
            let mut args = array(payload)?;
            let Some(Value::String(name)) = (!args.is_empty()).then(|| args.remove(0)) else {
                return Err(Closed::Malformed("an event without a name".to_owned()));
            };
            // A test that has dropped its events still wants its acknowledgements.
            let _ = heard.send(Event {
                at: received.at,
                name,
                args,
            });
        }
        Some(Packet::Ack(id, payload)) => {
            if let Some(reply) = waiting.remove(&id) {
                // Who asked may have stopped waiting.
                let _ = reply.send(array(payload)?.into_iter().next().unwrap_or(Value::Null));
            }
        }
        _ => {}
    }
    Ok(())
}

fn array(payload: &str) -> Result<Vec<Value>, Closed> {
    serde_json::from_str(payload).map_err(|error| Closed::Malformed(error.to_string()))
}
