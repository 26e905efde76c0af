//! A run in progress: what typists, viewers and company share.
//!
//! Time here is counted from the start of typing, and everything before it is zero.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{OnceCell, Semaphore, watch},
    task::JoinSet,
    time::{Instant, sleep_until},
};

use crate::{
    http::{Http, SignIn},
    judge::{Tally, Viewer},
    latency::{Latencies, Seconds},
    ledger::Ledger,
    outcome::Outcome,
    plan::{Company, Plan},
    roster::Roster,
};

/// How many viewers of the crowd that comes before typing may be on their way in at a time.
const JOINING_MAX: usize = 64;

/// How many notes of a kind are kept; all are counted.
const NOTES_MAX: usize = 10;

/// Where the run has got to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Viewers come in.
    Joining,
    /// People type.
    Typing,
    /// Nobody types any more; what is under way arrives.
    Settling,
    /// All is counted.
    Over,
}

/// What everyone in a run shares.
pub struct Run {
    /// What is to happen.
    pub plan: Plan,
    /// What was typed.
    pub ledger: Ledger,
    /// One client for each server.
    pub servers: Vec<Http>,
    /// The viewers' memories, by pool.
    pub pools: Vec<Mutex<Pool>>,
    /// Who came and went, if that is watched.
    pub roster: Mutex<Roster>,
    /// What is counted beside deliveries.
    pub notes: Mutex<Notes>,
    /// Lets a bounded number of early viewers in at once.
    pub door: Semaphore,
    /// How many typists are at it.
    pub typists_busy: AtomicUsize,
    /// How many visitors have come and not gone yet.
    pub visitors: AtomicUsize,
    /// How often all viewers were told to drop their connections.
    pub drops: watch::Sender<u32>,
    phase: watch::Sender<Phase>,
    clock: OnceLock<Instant>,
    disturbed: OnceLock<Duration>,
    people: Mutex<HashMap<String, Arc<OnceCell<SignIn>>>>,
    counters: Counters,
    stopping: AtomicBool,
    open: Mutex<Vec<JoinSet<()>>>,
    outcome: OnceLock<Outcome>,
}

/// The viewers of one goose user.
#[derive(Debug)]
pub struct Pool {
    /// What they were shown.
    pub tally: Tally,
    /// Their memories, in the order of the plan; none before they have joined.
    pub viewers: Vec<Option<Viewer>>,
    /// When each was first shown a key struck after the disturbance.
    pub recovered: Vec<Option<Duration>>,
}

/// What goose users number themselves with.
#[derive(Debug, Default)]
struct Counters {
    pools: AtomicUsize,
    typists: AtomicUsize,
    others: AtomicU32,
}

/// What is counted beside deliveries.
#[derive(Debug, Default)]
pub struct Notes {
    /// How long joining took, from dialling to `login-response`.
    pub joins: Latencies,
    /// How long coming back took, from the loss of the connection.
    pub rejoins: Latencies,
    /// How late typists woke.
    pub lag: Latencies,
    /// How late the canary woke.
    pub canary: Latencies,
    /// How late, by the second.
    pub canary_seconds: Seconds,
    /// How long requests of the company took, by name.
    pub company: BTreeMap<&'static str, Latencies>,
    /// What went wrong, by kind: how often, and a few in words.
    pub troubles: BTreeMap<Trouble, (u64, Vec<String>)>,
    /// Requests to send that were answered.
    pub keys: u64,
}

/// What can go wrong beside deliveries.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Trouble {
    /// A viewer could not join.
    Join,
    /// A viewer's connection was lost while it should not be.
    Connection,
    /// A viewer could not come back.
    Rejoin,
    /// The server refused what a typist may do.
    Refused,
    /// The server did not answer a typist, who gave up.
    Unanswered,
    /// The server asked a typist to slow down.
    SlowedDown,
    /// A request of the company failed.
    Company,
    /// A frame could not be read.
    Unreadable,
    /// The history could not be read.
    History,
}

impl Notes {
    /// Adds what another process noted.
    pub fn add(&mut self, joins: &Latencies, troubles: &[(Trouble, u64, Vec<String>)]) {
        self.joins.merge(joins);
        for (trouble, others, words) in troubles {
            let (count, examples) = self.troubles.entry(*trouble).or_default();
            *count += others;
            let room = NOTES_MAX.saturating_sub(examples.len());
            examples.extend(words.iter().take(room).cloned());
        }
    }
}

impl Run {
    /// A run that has not begun.
    pub fn new(plan: Plan) -> anyhow::Result<Arc<Self>> {
        let servers = plan
            .urls
            .iter()
            .map(|url| Http::new(url))
            .collect::<anyhow::Result<_>>()?;
        let ledger = Ledger::new(
            plan.seed,
            plan.rhythm.clone(),
            plan.typing,
            plan.typists.clone(),
        );
        let sample_every = sample_every(&plan);
        let pools = (0..plan.pools())
            .map(|pool| {
                let size = plan.pool(pool).len();
                Mutex::new(Pool {
                    tally: Tally::new(plan.limits.late, sample_every),
                    viewers: (0..size).map(|_| None).collect(),
                    recovered: vec![None; size],
                })
            })
            .collect();
        Ok(Arc::new(Run {
            ledger,
            servers,
            pools,
            roster: Mutex::default(),
            notes: Mutex::default(),
            door: Semaphore::new(JOINING_MAX),
            typists_busy: AtomicUsize::new(0),
            visitors: AtomicUsize::new(0),
            drops: watch::Sender::new(0),
            phase: watch::Sender::new(Phase::Joining),
            clock: OnceLock::new(),
            disturbed: OnceLock::new(),
            people: Mutex::default(),
            counters: Counters::default(),
            stopping: AtomicBool::new(false),
            open: Mutex::default(),
            outcome: OnceLock::new(),
            plan,
        }))
    }

    /// The part of a run that watches while another process types.
    pub fn elsewhere(plan: Plan) -> anyhow::Result<Arc<Self>> {
        let mut run = Self::new(plan)?;
        if let Some(run) = Arc::get_mut(&mut run) {
            let ledger = Ledger::new(
                run.plan.seed,
                run.plan.rhythm.clone(),
                run.plan.typing,
                run.plan.typists.clone(),
            );
            run.ledger = ledger.foreseen();
        }
        Ok(run)
    }

    /// Typing began this long ago.
    pub fn begin_at(&self, ago: Duration) {
        let now = Instant::now();
        self.clock
            .get_or_init(|| now.checked_sub(ago).unwrap_or(now));
        self.phase.send_replace(Phase::Typing);
    }

    /// Typing begins now.
    pub fn begin(&self) {
        self.clock.get_or_init(Instant::now);
        self.phase.send_replace(Phase::Typing);
    }

    /// The next phase has come.
    pub fn enter(&self, phase: Phase) {
        self.phase.send_replace(phase);
    }

    /// Where the run is.
    pub fn phase(&self) -> Phase {
        *self.phase.borrow()
    }

    /// Waits until the run has come this far.
    pub async fn reaches(&self, phase: Phase) {
        // The sender lives as long as the run, so this ends only by the phase.
        let _ = self.phase.subscribe().wait_for(|now| *now >= phase).await;
    }

    /// Typists are to begin no further message.
    pub fn stop_typing(&self) {
        self.stopping.store(true, Ordering::Release);
    }

    /// Whether typists are to begin no further message.
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire) || self.phase() >= Phase::Settling
    }

    /// Keeps these viewers connected as long as the run is kept.
    pub fn keep_open(&self, viewers: JoinSet<()>) {
        lock(&self.open).push(viewers);
    }

    /// Closes all of them.
    pub fn close_all(&self) {
        lock(&self.open).clear();
    }

    /// The run has found this.
    pub fn conclude(&self, outcome: Outcome) {
        self.outcome.get_or_init(|| outcome);
    }

    /// What the run has found, once it has.
    pub fn concluded(&self) -> Option<&Outcome> {
        self.outcome.get()
    }

    /// A moment in the time of the run.
    pub fn at(&self, moment: Instant) -> Duration {
        self.clock.get().map_or(Duration::ZERO, |clock| {
            moment.saturating_duration_since(*clock)
        })
    }

    /// Now, in the time of the run.
    pub fn now(&self) -> Duration {
        self.at(Instant::now())
    }

    /// Waits for a time of the run; returns at once when it is past, and never before typing.
    pub async fn until(&self, time: Duration) {
        self.reaches(Phase::Typing).await;
        if let Some(clock) = self.clock.get() {
            sleep_until(*clock + time).await;
        }
    }

    /// The disturbance has happened.
    pub fn disturbed_now(&self) {
        self.disturbed.get_or_init(|| self.now());
    }

    /// When the disturbance happened.
    pub fn disturbed(&self) -> Option<Duration> {
        self.disturbed.get().copied()
    }

    /// The sign-in of this person, made when first asked for.
    pub async fn sign_in(&self, username: &str, server: usize) -> anyhow::Result<SignIn> {
        let person = Arc::clone(lock(&self.people).entry(username.to_owned()).or_default());
        let http = &self.servers[server % self.servers.len()];
        Ok(person
            .get_or_try_init(|| http.sign_in(username))
            .await?
            .clone())
    }

    /// A number for a pool, or none if all are taken.
    pub fn next_pool(&self) -> Option<usize> {
        let pool = self.counters.pools.fetch_add(1, Ordering::Relaxed);
        (pool < self.pools.len()).then_some(pool)
    }

    /// A number for a typist, or none if all are at work.
    pub fn next_typist(&self) -> Option<usize> {
        let typist = self.counters.typists.fetch_add(1, Ordering::Relaxed);
        (typist < self.plan.typists.len()).then_some(typist)
    }

    /// A number that nobody else has.
    pub fn next_other(&self) -> u32 {
        self.counters.others.fetch_add(1, Ordering::Relaxed)
    }

    /// Notes that something went wrong.
    pub fn trouble(&self, trouble: Trouble, describe: impl FnOnce() -> String) {
        let mut notes = lock(&self.notes);
        let (count, examples) = notes.troubles.entry(trouble).or_default();
        *count += 1;
        if examples.len() < NOTES_MAX {
            examples.push(describe());
        }
    }

    /// How often something went wrong.
    pub fn troubles(&self, trouble: Trouble) -> u64 {
        lock(&self.notes)
            .troubles
            .get(&trouble)
            .map_or(0, |(count, _)| *count)
    }

    /// How many viewers have joined.
    pub fn joined(&self) -> usize {
        self.pools
            .iter()
            .map(|pool| lock(pool).viewers.iter().flatten().count())
            .sum()
    }

    /// What goes on beside typing.
    pub fn company(&self) -> &Company {
        &self.plan.company
    }
}

/// Goose is told of one delivery in so many: telling it of each would be most of the work.
fn sample_every(plan: &Plan) -> u64 {
    /// Samples a second, over all pools.
    const RATE: f64 = 500.0;
    let viewers = plan.viewers.len() as f64 / plan.conversations.len().max(1) as f64;
    let keys = plan.typists.len() as f64 * plan.rhythm.keys_per_second;
    ((viewers * keys / RATE) as u64).max(1)
}

/// Locks; whoever panicked while holding it left counters, which are whole at any time.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
