//! What a run consists of. Scenarios write plans, everything else reads them.

use std::{ops::Range, time::Duration};

use serde::Serialize;

use crate::{http::Target, ledger::Author, script::Rhythm};

/// A whole run.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The scenario's name.
    pub scenario: String,
    /// The servers, over which everyone is spread.
    pub urls: Vec<String>,
    /// What makes this run's texts and names its own.
    pub seed: u32,
    /// Where people type.
    pub conversations: Vec<Conversation>,
    /// Who types where.
    pub typists: Vec<Author>,
    /// Who watches what.
    pub viewers: Vec<ViewerPlan>,
    /// Early viewers of each conversation, in all processes.
    pub watched_by: Vec<u32>,
    /// Processes over which viewers are spread.
    pub processes: usize,
    /// Viewers in one pool, that is, of one goose user.
    pub pool_size: usize,
    /// How people type.
    pub rhythm: Rhythm,
    /// For how long.
    pub typing: Duration,
    /// Which client the viewers are like.
    pub client: Client,
    /// What else goes on meanwhile.
    pub company: Company,
    /// What happens to the servers or their clients meanwhile.
    pub disturbance: Option<Disturbance>,
    /// What is asked of the server, and of ourselves.
    pub limits: Limits,
    /// Processes of the server on this machine, to be measured.
    pub pids: Vec<i32>,
    /// Admin addresses of the server, to be measured where there is no process to look at.
    pub admins: Vec<String>,
}

/// Where messages belong to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum Conversation {
    /// A channel of this name.
    Channel(String),
    /// The private of these two.
    Private(String, String),
}

impl Conversation {
    /// The conversation's name in the mouth of this person.
    pub fn target(&self, speaker: &str) -> Target {
        match self {
            Conversation::Channel(name) => Target::channel(name),
            Conversation::Private(one, other) if one == speaker => Target::user(other),
            Conversation::Private(one, _) => Target::user(one),
        }
    }
}

/// One viewer.
#[derive(Debug, Clone, PartialEq)]
pub struct ViewerPlan {
    /// Whose connection it is.
    pub username: String,
    /// What it is in; privates need no entering.
    pub conversations: Vec<usize>,
    /// When it comes.
    pub joins: Joins,
}

/// When a viewer comes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Joins {
    /// Before typing begins.
    Before,
    /// This long after typing began.
    At(Duration),
}

/// Which client a viewer is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Client {
    /// The web client of today: names its channels, wants presence in batches, a cursor, and
    /// no `message` events.
    Web,
    /// A client that knows the first protocol alone: reads a channel's history to enter it,
    /// and gets every event.
    Seed,
}

/// What goes on beside typing and watching.
#[derive(Debug, Clone, Default)]
pub struct Company {
    /// Histories read a second.
    pub reads_per_second: f64,
    /// People who sign in and log in a second, for the first time, and leave again at once.
    pub logins_per_second: f64,
    /// People who come online a second, and go offline a second later; watched.
    pub churn_per_second: f64,
    /// Connections that stop reading.
    pub slow_viewers: usize,
    /// People who send one message after the other, each when the last was acknowledged.
    pub senders: usize,
}

/// What happens in the midst of typing.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Disturbance {
    /// When, after typing began.
    pub at: Duration,
    /// What.
    pub event: Event,
}

/// What happens.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub enum Event {
    /// This process is killed (SIGKILL).
    Kill(i32),
    /// All viewers lose their connections and come back.
    DropConnections,
}

/// What is asked of the server, and of ourselves.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Limits {
    /// An update shown later than this after its key is late.
    pub late: Duration,
    /// How many late deliveries are accepted.
    pub late_max: u64,
    /// A second in which a quarter of the keys took longer than this is a stalled one.
    pub stall: Duration,
    /// How many stalled seconds are accepted.
    pub stalled_max: usize,
    /// The most that half of the deliveries may take.
    pub p50: Option<Duration>,
    /// The most that 99 % of the deliveries may take.
    pub p99: Option<Duration>,
    /// The most server CPU, in cores, while people type.
    pub cores: Option<f64>,
    /// After a disturbance, the most until every viewer is shown new keys.
    pub recovery: Option<Duration>,
    /// How long viewers may take to join, all of them.
    pub join: Duration,
    /// How long everything may take to arrive after the last key.
    pub settle: Duration,
    /// How late our own typists may wake, at the 99th percentile.
    pub lag: Duration,
    /// How late our own canary may wake, at the 99th percentile.
    pub canary: Duration,
    /// The share of its wish to run that our process may spend waiting for a processor.
    pub wait_share: f64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            late: Duration::from_secs(1),
            late_max: 0,
            stall: Duration::from_millis(250),
            stalled_max: 0,
            p50: None,
            p99: None,
            cores: None,
            recovery: None,
            join: Duration::from_secs(60),
            settle: Duration::from_secs(5),
            lag: Duration::from_millis(100),
            canary: Duration::from_millis(100),
            wait_share: 0.5,
        }
    }
}

impl Plan {
    /// Keeps the viewers of one process, of several over which they are spread.
    pub fn keep_part(&mut self, part: usize) {
        let parts = self.processes;
        let viewers = std::mem::take(&mut self.viewers).into_iter().enumerate();
        let mine = viewers.filter(|(number, _)| number % parts == part);
        self.viewers = mine.map(|(_, viewer)| viewer).collect();
        // A name can be signed in once; the next process needs others.
        if parts > 1 {
            for viewer in &mut self.viewers {
                viewer.username = format!("{}-{part}", viewer.username);
            }
        }
    }

    /// How many viewers each of the other processes has, of all of these.
    pub fn other_parts(&self) -> Vec<usize> {
        let parts = self.processes;
        (1..parts)
            .map(|part| (part..self.viewers.len()).step_by(parts).count())
            .collect()
    }

    /// How many pools there are.
    pub fn pools(&self) -> usize {
        self.viewers.len().div_ceil(self.pool_size.max(1))
    }

    /// The viewers of a pool.
    pub fn pool(&self, pool: usize) -> Range<usize> {
        let begin = pool * self.pool_size.max(1);
        begin.min(self.viewers.len())..(begin + self.pool_size.max(1)).min(self.viewers.len())
    }

    /// The server of the n-th of anything.
    pub fn url(&self, number: usize) -> &str {
        &self.urls[number % self.urls.len()]
    }

    /// How many viewers are there before typing begins.
    pub fn early_viewers(&self) -> usize {
        self.viewers
            .iter()
            .filter(|viewer| viewer.joins == Joins::Before)
            .count()
    }
}
