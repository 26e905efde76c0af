//! Viewers in processes of their own, where one process may not have enough descriptors.
//!
//! Scripts follow from the seed, so another process can judge what it is shown without having
//! been told what is typed. It is told when typing began and, at the end, what the server had
//! confirmed; it answers with its counts. All of it goes over its standard input and output, a
//! line each.

use std::{process::Stdio, sync::Arc, time::Duration};

use anyhow::{Context, anyhow, bail, ensure};
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines, Stdin},
    process::{Child, ChildStdin, ChildStdout, Command},
    task::JoinSet,
    time::{sleep, timeout},
};

use crate::{
    conduct,
    judge::Tally,
    latency::Latencies,
    ledger::Written,
    machine,
    plan::Plan,
    run::{Phase, Run, Trouble, lock},
    script::MessageKey,
    viewer,
};

/// How often a process says how many have joined.
const LOOK: Duration = Duration::from_millis(100);

/// What a process may take beyond the settling of all, to count and to answer.
const ANSWER: Duration = Duration::from_secs(60);

/// What a process is told.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Order {
    /// Typing began at this time, in microseconds since 1970.
    Begin(u64),
    /// Typing is over, and this is what became of each message.
    End(Vec<Fate>),
}

/// What a process tells.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Report {
    /// How many viewers have joined, and how many can't.
    Joined(usize, u64),
    /// All that was counted.
    Counted(Box<Part>),
}

/// What became of a message.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Fate {
    key: MessageKey,
    confirmed: u32,
    id: Option<u64>,
}

/// What the viewers of one process were shown.
#[derive(Debug, Serialize, Deserialize)]
pub struct Part {
    /// How many had joined.
    pub joined: usize,
    /// What they were shown.
    pub tally: Tally,
    /// How long joining took.
    pub joins: Latencies,
    /// What went wrong.
    pub troubles: Vec<(Trouble, u64, Vec<String>)>,
    /// Of each message, how many viewers each step reached, and when the last.
    fans: Vec<(MessageKey, Vec<(u32, Duration)>)>,
}

/// The other processes, as the first one sees them.
#[derive(Debug, Default)]
pub struct Processes(Vec<Other>);

#[derive(Debug)]
struct Other {
    // Held, so that it ends with us.
    _child: Child,
    orders: ChildStdin,
    reports: Lines<BufReader<ChildStdout>>,
    viewers: usize,
    joined: usize,
    failed: u64,
}

impl Processes {
    /// Starts this program again for each part but the first, with the same arguments.
    pub fn start(plan: &Plan) -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("finding our own program")?;
        let arguments: Vec<_> = std::env::args_os().skip(1).collect();
        let mut others = Vec::new();
        for (viewers, part) in plan.other_parts().into_iter().zip(1..) {
            let options = arguments.iter().position(|argument| argument == "--");
            let (ours, _goose) = arguments.split_at(options.unwrap_or(arguments.len()));
            let mut child = Command::new(&program)
                .args(ours)
                .args([
                    "--seed",
                    &plan.seed.to_string(),
                    "--part",
                    &format!("{part}"),
                ])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .kill_on_drop(true)
                .spawn()
                .context("starting another process")?;
            let orders = child.stdin.take().context("its input")?;
            let reports = BufReader::new(child.stdout.take().context("its output")?).lines();
            others.push(Other {
                _child: child,
                orders,
                reports,
                viewers,
                joined: 0,
                failed: 0,
            });
        }
        Ok(Processes(others))
    }

    /// How many viewers they have.
    pub fn viewers(&self) -> usize {
        self.0.iter().map(|other| other.viewers).sum()
    }

    /// Waits until all of their viewers have joined or can't.
    pub async fn joined(&mut self) -> anyhow::Result<()> {
        for other in &mut self.0 {
            while other.joined + (other.failed as usize) < other.viewers {
                match other.report().await? {
                    Report::Joined(joined, failed) => {
                        (other.joined, other.failed) = (joined, failed);
                    }
                    Report::Counted(_) => bail!("another process has counted too early"),
                }
            }
        }
        Ok(())
    }

    /// Typing began this long ago.
    pub async fn begin(&mut self, ago: Duration) -> anyhow::Result<()> {
        let began = unix_time()?.saturating_sub(ago);
        for other in &mut self.0 {
            other.order(&Order::Begin(began.as_micros() as u64)).await?;
        }
        Ok(())
    }

    /// Tells all what became of the messages, and returns what they counted.
    pub async fn end(
        &mut self,
        written: &[Arc<Written>],
        settle: Duration,
    ) -> anyhow::Result<Vec<Part>> {
        let fates: Vec<Fate> = written
            .iter()
            .map(|written| Fate {
                key: written.script.key,
                confirmed: written.confirmed(),
                id: written.id(),
            })
            .collect();
        let order = Order::End(fates);
        for other in &mut self.0 {
            other.order(&order).await?;
        }
        let mut parts = Vec::new();
        for other in &mut self.0 {
            let part = timeout(settle + ANSWER, other.counted());
            let part = part.await.context("another process doesn't answer")??;
            part.add_fans(written);
            parts.push(part);
        }
        Ok(parts)
    }
}

impl Other {
    async fn order(&mut self, order: &Order) -> anyhow::Result<()> {
        let line = serde_json::to_string(order)? + "\n";
        self.orders
            .write_all(line.as_bytes())
            .await
            .context("another process has gone")
    }

    async fn report(&mut self) -> anyhow::Result<Report> {
        let line = self
            .reports
            .next_line()
            .await?
            .context("another process has ended")?;
        serde_json::from_str(&line).with_context(|| format!("another process said {line:?}"))
    }

    async fn counted(&mut self) -> anyhow::Result<Part> {
        loop {
            if let Report::Counted(part) = self.report().await? {
                return Ok(*part);
            }
        }
    }
}

impl Part {
    fn of(run: &Run, written: &[Arc<Written>], tally: Tally) -> Self {
        let notes = lock(&run.notes);
        let troubles = notes.troubles.iter();
        let fan = |written: &Arc<Written>| {
            let steps = (0..written.script.steps())
                .map(|step| written.fan(step))
                .collect();
            (written.script.key, steps)
        };
        Part {
            joined: run.joined(),
            tally,
            joins: notes.joins.clone(),
            troubles: troubles
                .map(|(trouble, (count, examples))| (*trouble, *count, examples.clone()))
                .collect(),
            fans: written.iter().map(fan).collect(),
        }
    }

    fn add_fans(&self, written: &[Arc<Written>]) {
        let written = written.iter().map(|written| (written.script.key, written));
        let written: std::collections::HashMap<_, _> = written.collect();
        for (key, steps) in &self.fans {
            if let Some(written) = written.get(key) {
                for (step, (viewers, last)) in steps.iter().enumerate() {
                    written.reached_by(step as u32, *viewers, *last);
                }
            }
        }
    }
}

/// Watches as one of the other processes, told what to do by the first.
pub async fn serve(plan: Plan) -> anyhow::Result<()> {
    machine::allow_connections(plan.viewers.len())?;
    let run = Run::elsewhere(plan)?;
    let mut viewers = JoinSet::new();
    for pool in 0..run.pools.len() {
        for index in 0..run.plan.pool(pool).len() {
            viewers.spawn(viewer::watch(Arc::clone(&run), pool, index));
        }
    }
    let mut orders = BufReader::new(tokio::io::stdin()).lines();
    let Order::Begin(began) = wait_for_order(&run, &mut orders).await? else {
        bail!("the end came before the beginning");
    };
    run.begin_at(unix_time()?.saturating_sub(Duration::from_micros(began)));
    let Order::End(fates) = wait_for_order(&run, &mut orders).await? else {
        bail!("typing began twice");
    };
    run.enter(Phase::Settling);
    let written = learn(&run, &fates)?;
    conduct::settling(&run, &written).await;
    let tally = conduct::count(&run, &written);
    say(&Report::Counted(Box::new(Part::of(&run, &written, tally))))?;
    run.enter(Phase::Over);
    Ok(())
}

fn learn(run: &Run, fates: &[Fate]) -> anyhow::Result<Vec<Arc<Written>>> {
    let mut all = Vec::new();
    for fate in fates {
        let written = run.ledger.written(fate.key);
        let written = written.ok_or_else(|| anyhow!("{:?} is no message of ours", fate.key))?;
        written.confirm(fate.confirmed);
        if let Some(id) = fate.id {
            run.ledger.identify(id, &written);
        }
        all.push(written);
    }
    Ok(all)
}

/// Says how many have joined until there is an order.
async fn wait_for_order(run: &Run, orders: &mut Lines<BufReader<Stdin>>) -> anyhow::Result<Order> {
    loop {
        tokio::select! {
            line = orders.next_line() => {
                let line = line?.context("the first process has ended")?;
                return serde_json::from_str(&line).with_context(|| format!("told {line:?}"));
            }
            () = sleep(LOOK) => {
                if run.phase() == Phase::Joining {
                    say(&Report::Joined(run.joined(), run.troubles(Trouble::Join)))?;
                }
            }
        }
    }
}

fn say(report: &Report) -> anyhow::Result<()> {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", serde_json::to_string(report)?)?;
    Ok(out.flush()?)
}

fn unix_time() -> anyhow::Result<Duration> {
    Ok(std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?)
}

/// Refuses what can't be split.
pub fn check(plan: &Plan, parts: usize) -> anyhow::Result<()> {
    ensure!((1..=64).contains(&parts), "--processes is between 1 and 64");
    ensure!(
        parts == 1 || plan.disturbance.is_none(),
        "only one process can tell how viewers come back: leave out --processes"
    );
    ensure!(
        parts == 1 || plan.company.churn_per_second == 0.0,
        "only one process can tell who was told of whom: leave out --processes"
    );
    ensure!(
        parts == 1
            || !plan.viewers.iter().any(|viewer| {
                plan.typists
                    .iter()
                    .any(|typist| typist.username == viewer.username)
            }),
        "people who type can't watch from another process: leave out --processes"
    );
    Ok(())
}
