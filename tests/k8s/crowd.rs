//! What goes on while the cluster changes: people watch, type one message all the time and send,
//! through the Service; then all of it is held against what is promised.

use crate::client::{Client, read};
use crate::dice::Dice;
use crate::figures::Figures;
use crate::judge::{History, settled, told};
use crate::kube::{Installed, LOOKS, PATIENCE};
use crate::log::{Conversation, Shared, What};
use crate::people::{Actor, Way, sends, types, watches};
use std::collections::HashMap;
use std::time::Duration;
use tests::Target;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// How many watch; every second one with the seed's client.
const VIEWERS: usize = 24;

/// How many type.
const TYPISTS: usize = 6;

/// How many send.
const SENDERS: u64 = 2;

/// How often each of them does.
const SENDS: Duration = Duration::from_millis(400);

/// How old a message or ghost is that everybody is to have seen.
const SETTLED: Duration = Duration::from_secs(2);

/// People in a channel.
pub struct Crowd {
    /// What they do and see.
    pub log: Shared,
    /// Where they are.
    pub channel: Target,
    conversation: usize,
    reader: Client,
    over: watch::Sender<bool>,
    senders: Vec<JoinHandle<()>>,
    viewers: Vec<JoinHandle<()>>,
}

impl Crowd {
    /// People come, until each has sent, typed and seen something.
    pub async fn comes(installed: &Installed) -> Crowd {
        let service = installed.service();
        let channel = service.room().await.name().to_owned();
        let nodes = [service];
        let log = Shared::default();
        let conversation = log
            .open()
            .conversation(Conversation::Channel(channel.clone()));
        let (over, ended) = watch::channel(false);
        let mut crowd = Crowd {
            log: log.clone(),
            channel: Target::channel(&channel),
            conversation,
            reader: Client::new(&nodes, 0, "reader").await,
            over,
            senders: Vec::new(),
            viewers: Vec::new(),
        };
        for place in 0..VIEWERS {
            let start = if place % 2 == 0 { "seed" } else { "full" };
            let client = Client::new(&nodes, 0, start).await;
            let role = format!("{start} viewer {place}");
            let who = log
                .open()
                .person(&client.name, &role, &[conversation], false);
            // Nobody makes them stop reading.
            let (_, stalled) = watch::channel(false);
            let watching = watches(client, log.clone(), who, vec![conversation], stalled);
            crowd.viewers.push(tokio::spawn(watching));
        }
        let actor = async |role: &str| {
            let client = Client::new(&nodes, 0, role).await;
            let who = log.open().person(&client.name, role, &[], true);
            Actor {
                client,
                log: log.clone(),
                who,
                conversation,
                target: Target::channel(&channel),
                over: ended.clone(),
            }
        };
        for _ in 0..TYPISTS {
            let typing = types(actor("typist").await, None);
            crowd.senders.push(tokio::spawn(typing));
        }
        for stream in 0..SENDERS {
            let dice = Dice::of(0, stream);
            let sending = sends(actor("sender").await, SENDS, Way::Nearest, dice);
            crowd.senders.push(tokio::spawn(sending));
        }
        crowd.is_served(Instant::now()).await;
        crowd
    }

    /// A fault begins now.
    pub fn begins(&self, what: &str) -> Instant {
        self.log.begins(what)
    }

    /// It ends now.
    pub fn ends(&self, what: &str) -> Instant {
        self.log.ends(what)
    }

    /// Waits until, after this moment, every typist and sender was acknowledged, and every viewer
    /// was shown all that was acknowledged or is typed for a while.
    pub async fn is_served(&self, since: Instant) {
        self.waits("everybody is served, and sees all", |crowd| {
            let log = crowd.log.open();
            let since = since.saturating_duration_since(log.began);
            // What is acknowledged at once and never shown is not to be missed.
            match log.now() > since + 2 * SETTLED {
                true => log.waits(since, SETTLED),
                false => vec!["it has just begun".to_owned()],
            }
        })
        .await;
    }

    async fn waits(&self, what: &str, waits: impl Fn(&Crowd) -> Vec<String>) {
        let looks = (LOOKS, PATIENCE);
        self.log.waits(what, looks, || waits(self)).await;
    }

    /// All goes well again; then everybody ends, and what they did and saw is held against what is
    /// promised. What it cost, and how often one viewer reconnected at most.
    pub async fn goes(self, name: &str) -> (Figures, usize) {
        self.is_served(Instant::now()).await;
        self.over.send_replace(true);
        self.waits("all that was begun is sent", |crowd| {
            let busy = crowd.senders.iter().filter(|task| !task.is_finished());
            busy.map(|_| "somebody is busy".to_owned()).collect()
        })
        .await;
        let histories = [self.history().await];
        let found = settled(&self.log, &histories).await;
        for task in self.viewers.iter().chain(&self.senders) {
            task.abort();
        }
        let log = self.log.open();
        let mut closed: HashMap<usize, usize> = HashMap::new();
        for event in log.events.iter().filter(|event| event.what == What::Closes) {
            let viewer = event.who.filter(|who| *who < VIEWERS);
            *closed.entry(viewer.unwrap_or(usize::MAX)).or_default() += 1;
        }
        closed.remove(&usize::MAX);
        let most = closed.into_values().max().unwrap_or_default();
        let figures = Figures::of(&log);
        println!("{name}: {figures}; {most} reconnects of one viewer at most");
        if !found.is_empty() {
            let kept = log.keep(name);
            panic!("{name}: {}the log is kept: {kept:?}", told(&log, &found));
        }
        (figures, most)
    }

    async fn history(&self) -> History {
        let service = &self.reader.nodes[0];
        let read = read(service, &self.reader.auth, &self.channel, Some(0)).await;
        let read = read.unwrap_or_else(|| panic!("no history"));
        History::of(&mut self.log.open(), 0, self.conversation, &read)
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        for task in self.viewers.iter().chain(&self.senders) {
            task.abort();
        }
    }
}
