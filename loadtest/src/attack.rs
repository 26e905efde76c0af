//! The run as goose sees it: typists, pools of viewers and company are its users.
//!
//! By default a run lasts as long as its plan says, each user passing once through its scenario.
//! With a test plan or a run time of goose's own, goose starts and stops the users, a message
//! or a second of watching at a time.

use std::{path::Path, sync::Arc, time::Duration};

use anyhow::{Context, anyhow, bail};
use goose::{GooseError, config::GooseConfiguration, goose::TransactionError, prelude::*};
use tokio::{task::JoinSet, time::timeout};

use crate::{
    company, conduct,
    http::Http,
    machine,
    measure::Servers,
    outcome::Outcome,
    plan::{Conversation, Plan},
    processes::Processes,
    run::{Phase, Run, lock},
    typist, viewer,
};

/// How long a pool watches before it tells goose what it saw.
const SLICE: Duration = Duration::from_secs(1);

/// Goose is told of so many faults of a kind; the rest are in our own report.
const FAULTS_MAX: u64 = 1_000;

/// Goose options that put goose in charge of when users come and go.
const LEADING: [&str; 4] = ["--test-plan", "--run-time", "-t", "--iterations"];

/// How long typists go on if goose says when they stop.
const ENDLESS: Duration = Duration::from_secs(86_400);

/// A goose user's place in the run, kept between its transactions.
#[derive(Debug, Clone, Copy)]
struct Place {
    number: usize,
    next: u32,
}

/// Runs a plan, with these options for goose, and says what was found.
pub async fn run(
    mut plan: Plan,
    goose_options: &[String],
    report: Option<&Path>,
) -> anyhow::Result<Outcome> {
    let led_by_goose = goose_options.iter().any(|option| {
        let name = option.split('=').next().unwrap_or_default();
        LEADING.contains(&name) || (name.starts_with("-t") && !name.starts_with("--"))
    });
    if led_by_goose {
        plan.typing = ENDLESS;
    }
    let viewers = plan.viewers.len().div_ceil(plan.processes);
    let company = plan.company.slow_viewers + plan.company.senders;
    let connections = viewers + company + plan.typists.len();
    machine::allow_connections(connections)?;
    if led_by_goose && plan.processes > 1 {
        bail!("goose leads one process only: leave out --processes");
    }
    let others = Processes::start(&plan)?;
    plan.keep_part(0);
    let servers = Servers::new(&plan.pids, &plan.admins)?;
    servers.check().await?;
    create_channels(&plan).await?;
    let run = Run::new(plan)?;
    if run.company().reads_per_second > 0.0 {
        company::fill_histories(&run).await?;
    }
    let options = options(&run.plan, goose_options, report, led_by_goose)?;
    let attack = assemble(&run, options, led_by_goose)?;
    let conductor = tokio::spawn(conduct_and_release(
        Arc::clone(&run),
        others,
        servers,
        led_by_goose,
    ));
    let interrupted = tokio::spawn(stop_when_interrupted(Arc::clone(&run)));
    let finished = attack.execute().await;
    // Goose ends before the conductor only if it could not begin.
    if run.phase() != Phase::Over && finished.is_err() {
        conductor.abort();
    }
    interrupted.abort();
    run.close_all();
    let thresholds = match finished {
        Ok(_) => Vec::new(),
        Err(GooseError::ThresholdsFailed { failed, .. }) => failed
            .iter()
            .map(|rule| format!("{}: {}", rule.rule, rule.observed))
            .collect(),
        Err(error) => bail!("goose: {error}"),
    };
    let mut outcome = conductor.await.context("the conductor")??;
    outcome.thresholds = thresholds;
    Ok(outcome)
}

async fn conduct_and_release(
    run: Arc<Run>,
    others: Processes,
    servers: Servers,
    led_by_goose: bool,
) -> anyhow::Result<Outcome> {
    let outcome = conduct::conduct(Arc::clone(&run), others, servers, led_by_goose).await;
    if let Ok(outcome) = &outcome {
        run.conclude(outcome.clone());
    }
    // Whatever was found, nobody waits any longer.
    run.enter(Phase::Over);
    outcome
}

async fn stop_when_interrupted(run: Arc<Run>) {
    if tokio::signal::ctrl_c().await.is_ok() {
        run.stop_typing();
    }
}

async fn create_channels(plan: &Plan) -> anyhow::Result<()> {
    let http = Http::new(plan.url(0))?;
    for conversation in &plan.conversations {
        if let Conversation::Channel(name) = conversation {
            http.create_channel(name).await?;
        }
    }
    Ok(())
}

/// Goose's configuration: what the run needs, then what was asked for.
fn options(
    plan: &Plan,
    asked: &[String],
    report: Option<&Path>,
    led_by_goose: bool,
) -> anyhow::Result<GooseConfiguration> {
    let mut options = vec!["--host".to_owned(), plan.url(0).to_owned()];
    let named = |name: &str| {
        asked
            .iter()
            .any(|option| option.split('=').next() == Some(name))
    };
    let users: usize = crews(plan).iter().map(|(_, users)| users).sum();
    if !named("--test-plan") {
        if !named("--users") && !named("-u") {
            options.extend(["--users".to_owned(), users.to_string()]);
        }
        if !["--increase-rate", "-r", "--increase-time", "-s"]
            .iter()
            .any(|name| named(name))
        {
            options.extend(["--increase-rate".to_owned(), users.to_string()]);
        }
    }
    if !led_by_goose {
        options.extend(["--iterations".to_owned(), "1".to_owned()]);
    }
    // Several runs on one machine would fight for the port of goose's controller.
    for option in ["--no-threshold-abort", "--quiet", "--no-telnet"] {
        if !named(option) {
            options.push(option.to_owned());
        }
    }
    if report.is_none() || !named("--no-print-metrics") {
        options.push("--no-print-metrics".to_owned());
    }
    if let Some(folder) = report {
        for file in ["goose.html", "goose.md", "goose.json"] {
            let file = folder.join(file);
            options.extend(["--report-file".to_owned(), file.display().to_string()]);
        }
    }
    let metrics = |option: &String| option == "--print-metrics";
    if asked.iter().any(metrics) {
        options.retain(|option| option != "--no-print-metrics");
    }
    options.extend(asked.iter().filter(|option| !metrics(option)).cloned());
    GooseConfiguration::parse_args_default(&options).map_err(|error| anyhow!("goose: {error}"))
}

/// Who there is, and how many goose users they are.
fn crews(plan: &Plan) -> Vec<(Crew, usize)> {
    let company = &plan.company;
    let some = |wanted: bool| usize::from(wanted);
    [
        (Crew::Viewers, plan.pools()),
        (Crew::Typists, plan.typists.len()),
        // One reader at a time is slower than the pace asked for may be.
        (
            Crew::Readers,
            (company.reads_per_second / 20.0).ceil() as usize,
        ),
        (
            Crew::Newcomers,
            (company.logins_per_second / 10.0).ceil() as usize,
        ),
        (Crew::Visitors, some(company.churn_per_second > 0.0)),
        (Crew::Stalled, some(company.slow_viewers > 0)),
        (Crew::Senders, company.senders),
    ]
    .into_iter()
    .filter(|(_, users)| *users > 0)
    .collect()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Crew {
    Viewers,
    Typists,
    Readers,
    Newcomers,
    Visitors,
    Stalled,
    Senders,
}

fn assemble(
    run: &Arc<Run>,
    options: GooseConfiguration,
    led_by_goose: bool,
) -> anyhow::Result<GooseAttack> {
    let mut attack =
        GooseAttack::initialize_with_config(options).map_err(|error| anyhow!("goose: {error}"))?;
    for (crew, users) in crews(&run.plan) {
        let name = format!("{crew:?}");
        let mut scenario = Scenario::new(&name)
            .set_weight(users)
            .map_err(|error| anyhow!("goose: {error}"))?;
        let transaction = transaction(Arc::clone(run), crew, users, led_by_goose);
        scenario =
            scenario.register_transaction(Transaction::new(transaction).set_name(crew.does()));
        if crew == Crew::Viewers {
            let stays = stay_until_over(Arc::clone(run));
            let stays = Transaction::new(stays).set_on_stop().set_name("stay");
            scenario = scenario.register_transaction(stays);
        }
        attack = attack.register_scenario(scenario);
    }
    Ok(attack)
}

impl Crew {
    /// What a transaction of theirs is called in reports.
    fn does(self) -> &'static str {
        match self {
            Crew::Viewers => "watch",
            Crew::Typists => "type",
            Crew::Readers => "read",
            Crew::Newcomers => "sign in",
            Crew::Visitors => "come and go",
            Crew::Stalled => "stall",
            Crew::Senders => "send",
        }
    }
}

fn transaction(
    run: Arc<Run>,
    crew: Crew,
    users: usize,
    led_by_goose: bool,
) -> goose::goose::TransactionFunction {
    Arc::new(move |user| {
        let run = Arc::clone(&run);
        Box::pin(async move {
            let company = run.company().clone();
            let share = |pace: f64| pace / users as f64;
            let done = match crew {
                Crew::Viewers => watch(&run, user, led_by_goose).await,
                Crew::Typists => type_on(&run, user, led_by_goose).await,
                Crew::Readers => {
                    company::read_histories(&run, user, share(company.reads_per_second)).await
                }
                Crew::Newcomers => {
                    company::sign_people_in(&run, user, share(company.logins_per_second)).await
                }
                Crew::Visitors => company::come_and_go(&run, company.churn_per_second).await,
                Crew::Stalled => company::stall(&run, company.slow_viewers).await,
                Crew::Senders => company::send_on(&run, user).await,
            };
            done.map_err(|error| Box::new(TransactionError::Custom(format!("{error:#}"))))
        })
    })
}

fn stay_until_over(run: Arc<Run>) -> goose::goose::TransactionFunction {
    Arc::new(move |_user| {
        let run = Arc::clone(&run);
        Box::pin(async move {
            run.reaches(Phase::Over).await;
            Ok(())
        })
    })
}

async fn type_on(run: &Arc<Run>, user: &mut GooseUser, once: bool) -> anyhow::Result<()> {
    let place = match user.get_session_data::<Place>() {
        Some(place) => *place,
        None => match run.next_typist() {
            Some(number) => Place { number, next: 0 },
            // Goose was asked for more users than the plan has typists.
            None => {
                run.reaches(Phase::Settling).await;
                return Ok(());
            }
        },
    };
    let next = typist::work(run, user, place.number, place.next, once).await;
    user.set_session_data(Place { next, ..place });
    Ok(())
}

/// Opens the pool's connections when first called, and tells goose a slice at a time what they
/// are shown.
async fn watch(run: &Arc<Run>, user: &mut GooseUser, once: bool) -> anyhow::Result<()> {
    let place = match user.get_session_data::<Place>() {
        Some(place) => *place,
        None => {
            let Some(number) = run.next_pool() else {
                run.reaches(Phase::Over).await;
                return Ok(());
            };
            let mut viewers = JoinSet::new();
            for index in run.plan.pool(number).enumerate().map(|(index, _)| index) {
                viewers.spawn(viewer::watch(Arc::clone(run), number, index));
            }
            run.keep_open(viewers);
            let place = Place { number, next: 0 };
            user.set_session_data(place);
            place
        }
    };
    loop {
        let over = timeout(SLICE, run.reaches(Phase::Over)).await.is_ok();
        let samples = lock(&run.pools[place.number]).tally.take_samples();
        for sample in samples {
            record(
                user,
                &format!("delivery {}", sample.kind),
                sample.took,
                None,
            )
            .await?;
        }
        if over && place.number == 0 {
            tell_the_end(run, user).await?;
        }
        if over || once {
            return Ok(());
        }
    }
}

/// Tells goose what is known only at the end: joins, complete fan-outs, and faults.
async fn tell_the_end(run: &Run, user: &mut GooseUser) -> anyhow::Result<()> {
    let Some(outcome) = run.concluded() else {
        return Ok(());
    };
    for (name, latencies) in [
        ("join", &outcome.joins),
        ("fan-out complete", &outcome.fan_out),
    ] {
        for (took, count) in latencies.iter() {
            // One of the same for many is enough for its percentiles.
            for _ in 0..count.min(FAULTS_MAX) {
                record(user, name, took, None).await?;
            }
        }
    }
    let counts = &outcome.tally.counts;
    for (name, count) in [
        ("delivery missing", counts.missing),
        ("delivery out of order", counts.out_of_order),
        ("delivery corrupt", counts.corrupt),
        ("delivery after the end", counts.after_end),
        ("delivery doubled", counts.doubled),
        ("delivery foreign", counts.foreign),
    ] {
        for _ in 0..count.min(FAULTS_MAX) {
            record(user, name, Duration::ZERO, Some(name)).await?;
        }
    }
    Ok(())
}

async fn record(
    user: &mut GooseUser,
    name: &str,
    took: Duration,
    fault: Option<&str>,
) -> anyhow::Result<()> {
    user.record_custom_request_duration("WS", name, took, fault.is_none(), None, fault)
        .await
        .map_err(|error| anyhow!("{error}"))
}
