//! The scenarios: each writes the plan of a run from a few sizes with sensible defaults.

use std::{path::PathBuf, time::Duration};

use anyhow::ensure;
use clap::{Args, ValueEnum};

use crate::{
    ledger::Author,
    plan::{Client, Company, Conversation, Disturbance, Event, Joins, Limits, Plan, ViewerPlan},
    processes,
    script::Rhythm,
};

/// Different people among the viewers; beyond, people have several connections. Everyone who
/// logs in is told everyone's name, so a crowd of strangers measures that and nothing else.
const PEOPLE_MAX: usize = 2_000;

/// Viewers of one goose user.
const POOL: usize = 250;

/// What is tested.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Scenario {
    /// 20 people type into one channel, 1,000 watch.
    Sentence,
    /// Many small conversations at once.
    Rooms,
    /// Pairs who type to each other; nobody else may see a letter.
    Privates,
    /// One channel, with as many viewers as this process may have descriptors.
    Crowd,
    /// A crowd joins at once while people type.
    JoinStorm,
    /// All viewers lose their connections at once, or the node that they are on.
    ReconnectStorm,
    /// People come and go while others type.
    PresenceChurn,
    /// Histories are read while people type.
    History,
    /// People sign in and log in while others type.
    LoginFlood,
    /// Connections that stop reading must not slow the others.
    SlowViewers,
    /// Messages are sent as fast as they are acknowledged; the server's limits must allow it.
    Sends,
    /// A small load for a long time.
    Soak,
}

/// Sizes and limits; what is left out, the scenario decides.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// A server; several are spread over a cluster
    #[arg(long = "url", default_value = "http://127.0.0.1:8080")]
    pub urls: Vec<String>,
    /// How many people type
    #[arg(long)]
    pub typists: Option<usize>,
    /// How many connections watch
    #[arg(long)]
    pub viewers: Option<usize>,
    /// How many different people watch; beyond, people have several connections
    #[arg(long, default_value_t = PEOPLE_MAX)]
    pub people: usize,
    /// How many channels or pairs
    #[arg(long)]
    pub conversations: Option<usize>,
    /// Keys a second of each typist
    #[arg(long)]
    pub keys: Option<f64>,
    /// Seconds of typing
    #[arg(long)]
    pub time: Option<f64>,
    /// Reads, logins or visits a second, where the scenario has them
    #[arg(long)]
    pub pace: Option<f64>,
    /// Connections that stop reading
    #[arg(long)]
    pub slow: Option<usize>,
    /// People who send, where the scenario has them
    #[arg(long)]
    pub senders: Option<usize>,
    /// Kill this process, the owner of the conversation, in the midst of typing
    #[arg(long, value_name = "PID")]
    pub kill_owner: Option<i32>,
    /// Seconds of typing before the storm or the kill
    #[arg(long)]
    pub at: Option<f64>,
    /// Which client the viewers are like
    #[arg(long, value_enum, default_value = "web")]
    pub client: Client,
    /// A process of the server, to measure its processor time and memory
    #[arg(long = "pid")]
    pub pids: Vec<i32>,
    /// An admin address of the server, to measure where there is no process to look at
    #[arg(long = "admin", value_name = "URL")]
    pub admins: Vec<String>,
    /// Leave goose's reports, delivery.json and a latency plot in this folder
    #[arg(long, value_name = "DIR")]
    pub report: Option<PathBuf>,
    /// An update shown later than this is late, in milliseconds
    #[arg(long, value_name = "MS")]
    pub late: Option<u64>,
    /// Late deliveries that are accepted
    #[arg(long, value_name = "N")]
    pub late_max: Option<u64>,
    /// Stalled seconds that are accepted
    #[arg(long, value_name = "N")]
    pub stalled_max: Option<usize>,
    /// Ask that half of the deliveries take no longer, in milliseconds
    #[arg(long, value_name = "MS")]
    pub p50: Option<u64>,
    /// Ask that 99 % of the deliveries take no longer, in milliseconds
    #[arg(long, value_name = "MS")]
    pub p99: Option<u64>,
    /// Ask that the server uses no more processors while people type
    #[arg(long, value_name = "N")]
    pub cores: Option<f64>,
    /// Ask that all viewers agree again so soon after a kill or storm, in milliseconds
    #[arg(long, value_name = "MS")]
    pub recovery: Option<u64>,
    /// How late our own tasks may wake, at the 99th percentile, in milliseconds
    #[arg(long, value_name = "MS")]
    pub lag: Option<u64>,
    /// Spread the viewers over so many processes
    #[arg(long, default_value_t = 1)]
    pub processes: usize,
    /// Which of them this one is; given by the first to the others
    #[arg(long, hide = true, default_value_t = 0)]
    pub part: usize,
    /// The share of their wish to run that we and the server may wait for a processor
    #[arg(long, value_name = "0..1")]
    pub wait_share: Option<f64>,
    /// The number that makes this run's texts and names its own
    #[arg(long)]
    pub seed: Option<u32>,
    /// Options for goose, after `--`: thresholds, test plans, baselines, reports
    #[arg(last = true)]
    pub goose: Vec<String>,
}

/// Sizes of a scenario.
struct Size {
    conversations: usize,
    typists: usize,
    viewers: usize,
    seconds: f64,
}

const fn size(conversations: usize, typists: usize, viewers: usize, seconds: f64) -> Size {
    Size {
        conversations,
        typists,
        viewers,
        seconds,
    }
}

impl Scenario {
    fn size(self) -> Size {
        match self {
            Scenario::Sentence => size(1, 20, 1_000, 60.0),
            Scenario::Rooms => size(100, 100, 500, 60.0),
            Scenario::Privates => size(50, 50, 100, 60.0),
            Scenario::Crowd => size(1, 5, crowd(), 60.0),
            Scenario::JoinStorm => size(1, 10, 1_000, 40.0),
            Scenario::ReconnectStorm => size(1, 10, 1_000, 60.0),
            Scenario::PresenceChurn => size(1, 5, 200, 60.0),
            Scenario::History => size(1, 10, 200, 60.0),
            Scenario::LoginFlood => size(1, 10, 200, 60.0),
            Scenario::SlowViewers => size(1, 10, 200, 60.0),
            Scenario::Sends => size(1, 1, 1, 20.0),
            Scenario::Soak => size(1, 10, 500, 1_200.0),
        }
    }

    /// The scenario's name, as on the command line.
    pub fn name(self) -> String {
        self.to_possible_value()
            .map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// Writes the plan.
    pub fn plan(self, options: &Options) -> anyhow::Result<Plan> {
        let default = self.size();
        let size = Size {
            conversations: options.conversations.unwrap_or(default.conversations),
            typists: options.typists.unwrap_or(default.typists),
            viewers: options.viewers.unwrap_or(default.viewers),
            seconds: options.time.unwrap_or(default.seconds),
        };
        ensure!(size.typists > 0, "somebody has to type: --typists");
        ensure!(options.people > 0, "somebody has to watch: --people");
        ensure!(
            size.conversations > 0,
            "there must be a conversation: --conversations"
        );
        ensure!(
            size.seconds > 0.0 && size.seconds < 86_400.0,
            "--time is in seconds"
        );
        let rhythm = rhythm(options)?;
        let seed = options.seed.unwrap_or_else(rand::random);
        let at = options.at.unwrap_or(size.seconds / 3.0);
        ensure!(
            at >= 0.0 && at < size.seconds,
            "--at lies within the time of typing"
        );
        let at = Duration::from_secs_f64(at);
        let disturbance = self.disturbance(options, at);
        let mut plan = Plan {
            scenario: self.name(),
            urls: options.urls.clone(),
            seed,
            conversations: Vec::new(),
            typists: Vec::new(),
            viewers: Vec::new(),
            watched_by: Vec::new(),
            processes: options.processes,
            pool_size: POOL,
            rhythm,
            typing: Duration::from_secs_f64(size.seconds),
            client: options.client,
            company: self.company(options)?,
            limits: limits(options, disturbance.is_some()),
            disturbance,
            pids: options.pids.clone(),
            admins: options.admins.clone(),
        };
        if self == Scenario::Privates {
            pair_up(&mut plan, &size);
        } else {
            fill_channels(&mut plan, &size, options.people, self.joins(at));
        }
        plan.watched_by = vec![0; plan.conversations.len()];
        for viewer in plan
            .viewers
            .iter()
            .filter(|viewer| viewer.joins == Joins::Before)
        {
            viewer
                .conversations
                .iter()
                .for_each(|number| plan.watched_by[*number] += 1);
        }
        processes::check(&plan, options.processes)?;
        Ok(plan)
    }

    /// When the n-th viewer joins.
    fn joins(self, at: Duration) -> impl Fn(usize) -> Joins {
        // A fifth is there before, so that the others' joining has someone to disturb.
        move |number| match self {
            Scenario::JoinStorm if !number.is_multiple_of(5) => Joins::At(at),
            _ => Joins::Before,
        }
    }

    fn disturbance(self, options: &Options, at: Duration) -> Option<Disturbance> {
        let event = match (self, options.kill_owner) {
            (_, Some(pid)) => Event::Kill(pid),
            (Scenario::ReconnectStorm, None) => Event::DropConnections,
            (_, None) => return None,
        };
        Some(Disturbance { at, event })
    }

    fn company(self, options: &Options) -> anyhow::Result<Company> {
        let pace = |default: f64| options.pace.unwrap_or(default);
        let mut company = Company {
            slow_viewers: options.slow.unwrap_or_default(),
            ..Company::default()
        };
        match self {
            Scenario::History => company.reads_per_second = pace(500.0),
            Scenario::LoginFlood => company.logins_per_second = pace(50.0),
            Scenario::PresenceChurn => company.churn_per_second = pace(20.0),
            Scenario::SlowViewers => company.slow_viewers = options.slow.unwrap_or(100),
            Scenario::Sends => company.senders = options.senders.unwrap_or(64),
            _ => {}
        }
        let paces = [
            company.reads_per_second,
            company.logins_per_second,
            company.churn_per_second,
        ];
        ensure!(
            paces.iter().all(|pace| (0.0..=100_000.0).contains(pace)),
            "--pace is a second's"
        );
        Ok(company)
    }
}

fn rhythm(options: &Options) -> anyhow::Result<Rhythm> {
    let mut rhythm = Rhythm::default();
    if let Some(keys) = options.keys {
        ensure!(
            keys > 0.0 && keys <= 100.0,
            "--keys is a typist's, a second"
        );
        rhythm.keys_per_second = keys;
    }
    Ok(rhythm)
}

fn limits(options: &Options, disturbed: bool) -> Limits {
    let millis = Duration::from_millis;
    let mut limits = Limits::default();
    if disturbed {
        // What the product promises after a fault, rather than what it promises in health.
        limits.late = Duration::from_secs(20);
        limits.stalled_max = 20;
        limits.settle = Duration::from_secs(20);
    }
    limits.late = options.late.map_or(limits.late, millis);
    limits.settle = limits.settle.max(limits.late);
    limits.late_max = options.late_max.unwrap_or(limits.late_max);
    limits.stalled_max = options.stalled_max.unwrap_or(limits.stalled_max);
    limits.p50 = options.p50.map(millis);
    limits.p99 = options.p99.map(millis);
    limits.cores = options.cores;
    limits.wait_share = options.wait_share.unwrap_or(limits.wait_share);
    limits.recovery = options.recovery.map(millis);
    if let Some(lag) = options.lag {
        limits.lag = millis(lag);
        limits.canary = millis(lag);
    }
    limits
}

/// Typists and viewers over channels, in turn.
fn fill_channels(plan: &mut Plan, size: &Size, people: usize, joins: impl Fn(usize) -> Joins) {
    let seed = plan.seed;
    plan.conversations = (0..size.conversations)
        .map(|number| Conversation::Channel(format!("load-{seed:x}-{number}")))
        .collect();
    plan.typists = (0..size.typists)
        .map(|number| Author {
            username: format!("t{seed:x}-{number}"),
            conversation: number % size.conversations,
        })
        .collect();
    plan.viewers = (0..size.viewers)
        .map(|number| ViewerPlan {
            username: format!("v{seed:x}-{}", number % people),
            conversations: vec![number % size.conversations],
            joins: joins(number),
        })
        .collect();
}

/// Pairs of two people, of whom typists are one and the other in turn; both watch.
fn pair_up(plan: &mut Plan, size: &Size) {
    let seed = plan.seed;
    let people = |pair: usize| (format!("a{seed:x}-{pair}"), format!("b{seed:x}-{pair}"));
    plan.conversations = (0..size.conversations)
        .map(|pair| {
            let (one, other) = people(pair);
            Conversation::Private(one, other)
        })
        .collect();
    plan.typists = (0..size.typists)
        .map(|number| {
            let pair = number % size.conversations;
            let (one, other) = people(pair);
            let first = (number / size.conversations).is_multiple_of(2);
            Author {
                username: if first { one } else { other },
                conversation: pair,
            }
        })
        .collect();
    plan.viewers = (0..size.viewers)
        .map(|number| {
            let pair = (number / 2) % size.conversations;
            let (one, other) = people(pair);
            ViewerPlan {
                username: if number.is_multiple_of(2) { one } else { other },
                conversations: vec![pair],
                joins: Joins::Before,
            }
        })
        .collect();
}

/// As many viewers as there are descriptors for, with some to spare.
fn crowd() -> usize {
    let hard = rlimit::Resource::NOFILE
        .get()
        .map_or(1_024, |(_, hard)| hard);
    (hard.saturating_sub(1_024) as usize).clamp(100, 20_000)
}
