//! What goes on while the cluster changes: people watch, type one message all the time and send,
//! through the Service, and two talk in private; then all of it is held against what is promised.

use crate::client::{Client, read};
use crate::dice::Dice;
use crate::figures::{Figures, closes, connected_again};
use crate::judge::{History, settled, told};
use crate::kube::{Installed, LOOKS, PATIENCE, Pod};
use crate::log::{Conversation, Kind, Shared, What};
use crate::people::{Actor, Way, sends, types, watches};
use crate::said::Said;
use std::collections::BTreeSet;
use std::time::Duration;
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

/// People in a channel, and two who talk in private.
pub struct Crowd {
    /// What they do and see.
    pub log: Shared,
    /// Where they talk, and who may read it.
    talks: Vec<(usize, Client)>,
    steps: Vec<Step>,
    /// What pods say in their logs.
    said: Said,
    over: watch::Sender<bool>,
    senders: Vec<JoinHandle<()>>,
    viewers: Vec<JoinHandle<()>>,
}

/// A pod is told to end: the next step of whatever is done to the cluster.
pub struct Step {
    /// Which.
    pub pod: String,
    /// When that was seen.
    pub began: Instant,
    /// What was in the log before.
    from: usize,
}

impl Crowd {
    /// People come, until each has sent, typed and seen something.
    pub async fn comes(installed: &Installed) -> Crowd {
        let service = installed.service();
        let channel = service.room().await.name().to_owned();
        let nodes = [service];
        let log = Shared::default();
        let conversation = log.open().conversation(Conversation::Channel(channel));
        let (over, ended) = watch::channel(false);
        let mut crowd = Crowd {
            log: log.clone(),
            talks: vec![(conversation, Client::new(&nodes, 0, "reader").await)],
            steps: Vec::new(),
            said: Said::nothing(&installed.namespace),
            over,
            senders: Vec::new(),
            viewers: Vec::new(),
        };
        crowd.said.follow(&installed.pods());
        for place in 0..VIEWERS {
            let start = if place % 2 == 0 { "seed" } else { "full" };
            let client = Client::new(&nodes, 0, start).await;
            crowd.watches(format!("{start} viewer {place}"), client, conversation);
        }
        let actor = |role: &str, client: &Client, conversation: usize| {
            let mut open = log.open();
            let who = open.person(&client.name, role, &[], true);
            let target = open.conversations[conversation].seen_by(&client.name);
            Actor {
                client: client.clone(),
                log: log.clone(),
                who,
                conversation,
                target,
                over: ended.clone(),
            }
        };
        for _ in 0..TYPISTS {
            let client = Client::new(&nodes, 0, "typist").await;
            let typing = types(actor("typist", &client, conversation), None);
            crowd.senders.push(tokio::spawn(typing));
        }
        for stream in 0..SENDERS {
            let client = Client::new(&nodes, 0, "sender").await;
            let me = actor("sender", &client, conversation);
            let sending = sends(me, SENDS, Way::Nearest, Dice::of(0, stream));
            crowd.senders.push(tokio::spawn(sending));
        }
        let author = Client::new(&nodes, 0, "author").await;
        let reader = Client::new(&nodes, 0, "full").await;
        let private = Conversation::between(&author.name, &reader.name);
        let private = log.open().conversation(private);
        crowd.watches("reader of the private".to_owned(), reader, private);
        let typing = types(actor("author of the private", &author, private), None);
        crowd.senders.push(tokio::spawn(typing));
        let me = actor("the same, who sends", &author, private);
        let sending = sends(me, SENDS, Way::Nearest, Dice::of(0, SENDERS));
        crowd.senders.push(tokio::spawn(sending));
        crowd.talks.push((private, author));
        crowd.is_served(Instant::now()).await;
        crowd
    }

    /// Somebody who watches a conversation.
    fn watches(&mut self, role: String, client: Client, conversation: usize) {
        let mut log = self.log.open();
        let who = log.person(&client.name, &role, &[conversation], false);
        drop(log);
        // Nobody makes them stop reading.
        let (_, stalled) = watch::channel(false);
        let watching = watches(client, self.log.clone(), who, vec![conversation], stalled);
        self.viewers.push(tokio::spawn(watching));
    }

    /// What there is of pods now: with each that is told to end a step begins.
    pub fn sees(&mut self, pods: &[Pod]) {
        self.said.follow(pods);
        for pod in pods.iter().filter(|pod| pod.ends) {
            if self.steps.iter().all(|step| step.pod != pod.name) {
                self.steps.push(Step {
                    pod: pod.name.clone(),
                    began: Instant::now(),
                    from: self.log.open().events.len(),
                });
            }
        }
    }

    /// The steps so far.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// A fault begins now.
    pub fn begins(&self, what: &str) -> Instant {
        self.log.begins(what, Kind::Other)
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
    /// promised. What it cost.
    pub async fn goes(self, name: &str, installed: &Installed) -> Figures {
        self.is_served(Instant::now()).await;
        // Who types ends the connection when all is over.
        let end = self.log.open().events.len();
        self.over.send_replace(true);
        self.waits("all that was begun is sent", |crowd| {
            let busy = crowd.senders.iter().filter(|task| !task.is_finished());
            busy.map(|_| "somebody is busy".to_owned()).collect()
        })
        .await;
        let histories = self.histories(installed).await;
        let found = settled(&self.log, &histories).await;
        for task in self.viewers.iter().chain(&self.senders) {
            task.abort();
        }
        let log = self.log.open();
        let most = |stretch| closes(&log, stretch).into_values().max();
        let most = most(0..end).unwrap_or_default();
        let figures = Figures::of(&log);
        println!("{name}: {figures}; {most} reconnects of one client at most");
        let ends = self.steps.iter().skip(1).map(|step| step.from).chain([end]);
        let steps = self.steps.iter().zip(ends);
        let again: Vec<String> = steps
            .flat_map(|(step, end)| {
                let again = connected_again(&log, step.from..end).into_iter();
                again.map(|who| format!("{who} as {} ended", step.pod))
            })
            .collect();
        if !found.is_empty() || !again.is_empty() {
            let kept = log.keep(name);
            let found = told(&log, &found);
            panic!("{name}: {again:#?} {found}the log is kept: {kept:?}");
        }
        figures
    }

    /// What every pod gives of each conversation; what it says in its own log is to be no text, and
    /// what those said that ended was none.
    async fn histories(&self, installed: &Installed) -> Vec<History> {
        let pods = installed.pods().into_iter().filter(|pod| pod.ready);
        let pods: Vec<Pod> = pods.collect();
        assert!(!pods.is_empty(), "nobody gives a history");
        let mut histories = Vec::new();
        let mut leaks = BTreeSet::new();
        let mut hears = |said: String| {
            let leaked = said.lines().filter(|line| tests::names::has_text(line));
            leaks.extend(leaked.map(str::to_owned));
        };
        for (node, pod) in pods.iter().enumerate() {
            let ting = pod.ting();
            for (conversation, reader) in &self.talks {
                let target = self.log.open().conversations[*conversation].seen_by(&reader.name);
                let reading = async {
                    loop {
                        match read(&ting, &reader.auth, &target, Some(0)).await {
                            Some(read) => return read,
                            None => tokio::time::sleep(LOOKS).await,
                        }
                    }
                };
                let read = tests::within_limit("a history", reading).await;
                let history = History::of(&mut self.log.open(), node, *conversation, &read);
                histories.push(history);
            }
            hears(installed.kubectl(&["logs", &pod.name]));
        }
        self.said.all().for_each(hears);
        let mut log = self.log.open();
        for line in leaks {
            log.add(Some(0), What::Leaks(line));
        }
        histories
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        for task in self.viewers.iter().chain(&self.senders) {
            task.abort();
        }
    }
}
