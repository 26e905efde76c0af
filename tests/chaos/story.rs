//! What goes on in every test: on each node somebody with the seed's client and somebody with the
//! full one watch, somebody types one message all the time, somebody sends; then a fault.

use crate::client::{Client, read};
use crate::judge::{AFTER_FAULT, Figures, violations};
use crate::log::{Screen, Shared};
use crate::people::{sends, types, watches};
use serde_json::json;
use std::time::Duration;
use tests::{Lab, Ting, names};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// How often the log is looked at.
const LOOKS: Duration = Duration::from_millis(100);

/// A lab with people.
pub struct Story {
    /// Where they are.
    pub lab: Lab,
    /// Who owns the channel at the beginning.
    pub owner: usize,
    /// What they do and see.
    pub log: Shared,
    nodes: Vec<Ting>,
    reader: String,
    channel: String,
    over: watch::Sender<bool>,
    senders: Vec<JoinHandle<()>>,
    viewers: Vec<JoinHandle<()>>,
}

impl Story {
    /// People come, and everything goes well, until each has sent, typed and seen something.
    pub async fn begins(lab: Lab) -> Story {
        Story::of(lab, None).await
    }

    /// The same, with one more who sends to this node alone, whatever it answers.
    pub async fn with_stubborn(lab: Lab, place: usize) -> Story {
        Story::of(lab, Some(place)).await
    }

    async fn of(lab: Lab, stubborn: Option<usize>) -> Story {
        let nodes = lab.nodes().to_vec();
        let (channel, owner) = channel_of(&lab, &nodes, stubborn).await;
        let log = Shared::default();
        let (over, ended) = watch::channel(false);
        let (mut senders, mut viewers) = (Vec::new(), Vec::new());
        for home in 0..nodes.len() {
            for start in ["seed", "full"] {
                let client = Client::new(&nodes, home, &channel, start).await;
                let place = {
                    let mut log = log.open();
                    let who = format!("{start} viewer of node {home}");
                    log.screens.push(Screen {
                        who,
                        ..Screen::default()
                    });
                    log.screens.len() - 1
                };
                viewers.push(tokio::spawn(watches(client, log.clone(), place)));
            }
            let sender = Client::new(&nodes, home, &channel, "sender").await;
            senders.push(tokio::spawn(sends(
                sender,
                log.clone(),
                ended.clone(),
                false,
            )));
            let typist = Client::new(&nodes, home, &channel, "typist").await;
            log.open().typed.push(Vec::new());
            senders.push(tokio::spawn(types(
                typist,
                log.clone(),
                home,
                ended.clone(),
            )));
        }
        if let Some(home) = stubborn {
            let sender = Client::new(&nodes, home, &channel, "stays").await;
            senders.push(tokio::spawn(sends(sender, log.clone(), ended, true)));
        }
        let (_, reader) = nodes[0].signs_in("reader").await;
        let story = Story {
            lab,
            owner,
            log,
            nodes,
            reader,
            channel,
            over,
            senders,
            viewers,
        };
        story.all_are_served(Instant::now()).await;
        story
    }

    /// Something begins or ends now.
    pub fn now(&self, what: &str) -> Instant {
        let now = Instant::now();
        self.log.open().edges.push((what.to_owned(), now));
        now
    }

    /// Waits until, after this moment, every sender and typist was acknowledged, and every viewer
    /// was shown all that was acknowledged a moment ago.
    pub async fn all_are_served(&self, since: Instant) {
        let people = self.nodes.len();
        let served = |story: &Story| {
            let log = story.log.open();
            let typed = log
                .typed
                .iter()
                .all(|times| times.last().is_some_and(|at| *at > since));
            let sent = log.sends.iter().filter(|send| send.asked > since);
            let sent = sent.filter(|send| send.acknowledged.is_some()).count() >= 2 * people;
            let settled = |at: Instant| at + Duration::from_secs(2) < Instant::now();
            let settled = log
                .sends
                .iter()
                .filter_map(|send| send.acknowledged)
                .filter(|sent| settled(sent.0));
            let ids: Vec<u64> = settled.map(|sent| sent.1).collect();
            let seen = log.screens.iter().all(|screen| {
                ids.iter().all(|id| screen.sent.contains_key(id)) && screen.ghosts.len() == people
            });
            typed && sent && !ids.is_empty() && seen
        };
        self.waits("everybody is served, and sees all", served)
            .await;
    }

    async fn waits(&self, what: &str, shown: impl Fn(&Story) -> bool) {
        let until = Instant::now() + tests::LIMIT + Duration::from_secs(10);
        while !shown(self) {
            if Instant::now() > until {
                let log = self.log.open();
                let screens = log.screens.iter();
                let screens: Vec<_> = screens
                    .map(|s| (&s.who, s.sent.len(), s.closed, &s.ghosts))
                    .collect();
                let typed: Vec<_> = log
                    .typed
                    .iter()
                    .map(|t| t.last().map(Instant::elapsed))
                    .collect();
                let open = log.sends.iter().filter(|send| send.acknowledged.is_none());
                let open: Vec<_> = open.map(|send| send.asked.elapsed()).collect();
                panic!(
                    "{what}: not within {:?}; screens {screens:#?}, typed {typed:?} ago, \
                     not acknowledged since {open:?}, sent {}, wrong {:?}",
                    tests::LIMIT,
                    log.sends.len(),
                    log.wrong
                );
            }
            tokio::time::sleep(LOOKS).await;
        }
    }

    /// All goes well again; then everybody ends, and what the log says is held against what is
    /// promised. What it cost.
    pub async fn ends(self, name: &str) -> Figures {
        let last = self.log.open().edges.last().map(|(_, at)| *at);
        let last = last.unwrap_or_else(Instant::now);
        self.all_are_served(last).await;
        println!(
            "{name}: all served {:.1?} after the last change",
            last.elapsed()
        );
        self.over.send_replace(true);
        self.waits("all that was begun is sent", |story| {
            story.senders.iter().all(JoinHandle::is_finished)
        })
        .await;
        let until = Instant::now() + AFTER_FAULT;
        let mut histories = Vec::new();
        for node in &self.nodes {
            let history = read(node, &self.reader, &self.channel).await;
            histories.push(history.unwrap_or_else(|| panic!("no history")));
        }
        // The last ones are on their way to the screens.
        while Instant::now() < until && !violations(&self.log.open(), &histories).is_empty() {
            tokio::time::sleep(LOOKS).await;
        }
        for task in self.viewers.iter().chain(&self.senders) {
            task.abort();
        }
        let log = self.log.open();
        let found = violations(&log, &histories);
        let figures = Figures::of(&log);
        println!("{name}: {figures}");
        assert!(
            found.is_empty(),
            "{name}: {} violations, first {:#?}",
            found.len(),
            found.iter().take(12).collect::<Vec<_>>()
        );
        figures
    }
}

impl Drop for Story {
    fn drop(&mut self) {
        for task in self.viewers.iter().chain(&self.senders) {
            task.abort();
        }
    }
}

/// A new channel, and the node that owns it; this one, if one is named.
async fn channel_of(lab: &Lab, nodes: &[Ting], owner: Option<usize>) -> (String, usize) {
    loop {
        let channel = names::unique("room");
        let owned_by = lab.cluster().owner(&channel).await;
        if owner.is_none_or(|owner| owner == owned_by) {
            let post = nodes[owned_by].post("/restapi/v1/channels");
            post.json(&json!({ "name": channel })).await.is(204);
            return (channel, owned_by);
        }
    }
}
