//! What goes on in every test: people watch, type and send; then a fault.

use crate::client::{Client, read};
use crate::crowd::Crowd;
use crate::figures::Figures;
use crate::judge::{History, Violation, settled, told, violations};
use crate::log::{Kind, Log, Shared, What};
use crate::people::{self, Actor};
use crate::rounds;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tests::{Lab, Ting, names};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// How often the log is looked at.
const LOOKS: Duration = Duration::from_millis(100);

/// How old a message or ghost is that everybody is to have seen.
const SETTLED: Duration = Duration::from_secs(2);

/// How long all may take to be well; longer than what is promised, so that a judge can say so.
const WELL: Duration = Duration::from_secs(60);

/// A lab with people.
pub struct Story {
    /// Where they are.
    pub lab: Lab,
    /// Who owns the first channel at the beginning.
    pub owner: usize,
    /// What they do and see.
    pub log: Shared,
    /// The command that repeats it.
    pub again: String,
    nodes: Vec<Ting>,
    /// Who may read each conversation.
    readers: Vec<Client>,
    over: watch::Sender<bool>,
    /// The longest time that it took until everybody was served.
    recovery: Mutex<Duration>,
    actors: Vec<JoinHandle<()>>,
    viewers: Vec<JoinHandle<()>>,
}

impl Story {
    /// People come, and everything goes well, until each has sent, typed and seen something.
    pub async fn begins(lab: Lab) -> Story {
        Story::of(lab, Crowd::Few).await
    }

    /// With these people.
    pub async fn of(lab: Lab, crowd: Crowd) -> Story {
        let nodes = lab.nodes().to_vec();
        let (over, ended) = watch::channel(false);
        let thread = std::thread::current();
        let test = thread.name().and_then(|name| name.rsplit("::").next());
        let mut story = Story {
            owner: 0,
            again: format!("tests/chaos/run --fault {}", test.unwrap_or_default()),
            log: Shared::default(),
            readers: Vec::new(),
            over,
            recovery: Mutex::default(),
            actors: Vec::new(),
            viewers: Vec::new(),
            nodes,
            lab,
        };
        crowd.gathers(&mut story, &ended).await;
        story.all_are_served(Duration::ZERO).await;
        story
    }

    /// The nodes.
    pub fn nodes(&self) -> &[Ting] {
        &self.nodes
    }

    /// A conversation that this one may read.
    pub fn talks(&mut self, conversation: usize, reader: &Client) {
        assert_eq!(conversation, self.readers.len(), "in their order");
        self.readers.push(reader.clone());
    }

    /// Somebody who watches; what is given makes this one stop reading, and read again.
    pub fn watches(
        &mut self,
        role: String,
        client: Client,
        conversations: &[usize],
    ) -> watch::Sender<bool> {
        let who = (self.log.open()).person(&client.name, &role, conversations, false);
        let (stalls, stalled) = watch::channel(false);
        let (log, conversations) = (self.log.clone(), conversations.to_vec());
        let watching = people::watches(client, log, who, conversations, stalled);
        self.viewers.push(tokio::spawn(watching));
        stalls
    }

    /// Something that goes on until the end, and that nobody judges.
    pub fn goes_on(&mut self, what: impl Future<Output = ()> + Send + 'static) {
        self.viewers.push(tokio::spawn(what));
    }

    /// Somebody who types or sends; whether all is well without them is said by `waited`.
    pub fn acts<F: Future<Output = ()> + Send + 'static>(
        &mut self,
        role: String,
        client: Client,
        conversation: usize,
        waited: bool,
        over: &watch::Receiver<bool>,
        act: impl FnOnce(Actor) -> F,
    ) {
        let mut log = self.log.open();
        let who = log.person(&client.name, &role, &[], waited);
        let target = log.conversations[conversation].seen_by(&client.name);
        drop(log);
        let actor = Actor {
            client,
            log: self.log.clone(),
            who,
            conversation,
            target,
            over: over.clone(),
        };
        self.actors.push(tokio::spawn(act(actor)));
    }

    /// A fault begins now.
    pub fn fault(&self, name: &str) -> Instant {
        self.log.begins(name, Kind::Other)
    }

    /// Nodes end now, while others serve.
    pub fn crash(&self, name: &str) -> Instant {
        self.log.begins(name, Kind::Crash)
    }

    /// It ends now.
    pub fn end_of(&self, name: &str) -> Instant {
        self.log.ends(name)
    }

    /// Since the log began.
    pub fn since(&self, at: Instant) -> Duration {
        at.saturating_duration_since(self.log.open().began)
    }

    /// Waits until, after this moment, every sender and typist was acknowledged, and every viewer
    /// was shown all that was acknowledged or typed a moment ago.
    pub async fn all_are_served_since(&self, since: Instant) {
        self.all_are_served(self.since(since)).await;
        let mut recovery = self.recovery.lock().unwrap_or_else(PoisonError::into_inner);
        *recovery = recovery.max(since.elapsed());
    }

    async fn all_are_served(&self, since: Duration) {
        let began = Instant::now();
        self.waits("everybody is served, and sees all", |story| {
            // What is acknowledged at once and never shown is not to be missed.
            let waits = story.log.open().waits(since, SETTLED);
            match began.elapsed() > SETTLED || since > Duration::ZERO {
                true => waits,
                false => vec!["it has just begun".to_owned()],
            }
        })
        .await;
    }

    async fn waits(&self, what: &str, waits: impl Fn(&Story) -> Vec<String>) {
        let looks = (LOOKS, WELL);
        self.log.waits(what, looks, || waits(self)).await;
    }

    /// All goes well again; then everybody ends, and what the log says is held against what is
    /// promised. What it cost.
    pub async fn ends(self, name: &str) -> Figures {
        let again = self.again.clone();
        let (figures, found) = self.judged(name).await;
        println!("{name}: {figures}");
        if let Some(told) = found {
            panic!("{name}: {told}\nagain: {again}");
        }
        figures
    }

    /// The same; what is contradicted, told.
    pub async fn judged(self, name: &str) -> (Figures, Option<String>) {
        let began = Instant::now();
        self.all_are_served_since(began).await;
        println!("{name}: all served {:.1?} after the end", began.elapsed());
        self.over.send_replace(true);
        self.waits("all that was begun is sent", |story| {
            let busy = story.actors.iter().filter(|task| !task.is_finished());
            busy.map(|_| "somebody is busy".to_owned()).collect()
        })
        .await;
        let histories = self.histories().await;
        self.says_nothing();
        let found = settled(&self.log, &histories).await;
        for task in self.viewers.iter().chain(&self.actors) {
            task.abort();
        }
        let log = self.log.open();
        let told = (!found.is_empty()).then(|| {
            let kept = log.keep(name);
            format!("{}the log is kept: {kept:?}", told(&log, &found))
        });
        let figures = Figures::of(&log);
        let recovery = *self.recovery.lock().unwrap_or_else(PoisonError::into_inner);
        rounds::notes(name, recovery, &figures, &found);
        (figures, told)
    }

    /// No text is in a log of a node.
    fn says_nothing(&self) {
        for place in 0..self.nodes.len() {
            let lines = self.lab.cluster().process(place).log();
            let mut log = self.log.open();
            for line in lines.iter().filter(|line| names::has_text(line)) {
                let leak = format!("node {place} wrote into its log: {line}");
                log.add(Some(0), What::Leaks(leak));
            }
        }
    }

    /// What every node gives of every conversation.
    async fn histories(&self) -> Vec<History> {
        let mut histories = Vec::new();
        for (conversation, reader) in self.readers.iter().enumerate() {
            let target = {
                let log = self.log.open();
                log.conversations[conversation].seen_by(&reader.name)
            };
            for (node, ting) in self.nodes.iter().enumerate() {
                let read = tests::within_limit("a history", async {
                    loop {
                        match read(ting, &reader.auth, &target, Some(0)).await {
                            Some(read) => return read,
                            None => tokio::time::sleep(LOOKS).await,
                        }
                    }
                });
                let read = read.await;
                let mut log = self.log.open();
                histories.push(History::of(&mut log, node, conversation, &read));
            }
        }
        histories
    }

    /// What is contradicted so far, without histories.
    pub fn so_far(&self) -> (Log, Vec<Violation>) {
        // Nobody is to wait for the judge.
        let log = self.log.open().clone();
        let found = tokio::task::block_in_place(|| violations(&log, &[]));
        (log, found)
    }
}

impl Drop for Story {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("again: {}", self.again);
            // Those who watch and type hold on to the nodes, which so don't show their logs.
            for place in 0..self.nodes.len() {
                let lines = self.lab.cluster().process(place).log();
                let kept = tests::log::keep(&format!("node {place}"), &lines);
                eprintln!("what node {place} said is kept: {kept:?}");
            }
        }
        for task in self.viewers.iter().chain(&self.actors) {
            task.abort();
        }
    }
}
