//! The order of a run: everyone joins, people type, what is under way arrives, all is counted.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use tokio::{
    process::Command,
    time::{Instant, sleep, timeout},
};

use crate::{
    company,
    history::{self, Kept},
    judge::Tally,
    latency::Latencies,
    ledger::Written,
    measure::{self, Servers},
    outcome::{Ourselves, Outcome, ServerUse},
    plan::{Client, Conversation, Disturbance, Event},
    processes::Processes,
    run::{Phase, Run, Trouble, lock},
};

/// How often the conductor looks around.
const LOOK: Duration = Duration::from_millis(50);

/// Presence and page caches settle before typing begins.
const CALM: Duration = Duration::from_millis(300);

/// After everything has arrived, what should not come is waited for.
const LINGER: Duration = Duration::from_millis(500);

/// Typists who were all idle this long have gone, where goose says when they go.
const IDLE: Duration = Duration::from_secs(2);

/// How long typists may take to give up, beyond what they were to type.
const GIVING_UP: Duration = Duration::from_secs(30);

/// Conducts a run to its end. `led_by_goose` says that goose starts and stops the users.
pub async fn conduct(
    run: Arc<Run>,
    mut others: Processes,
    servers: Servers,
    led_by_goose: bool,
) -> anyhow::Result<Outcome> {
    let before = servers.usage().await;
    let elsewhere = others.viewers();
    joining(&run, &mut others, led_by_goose).await?;
    let (begun, ours_begun) = (servers.usage().await, measure::ours()?);
    run.begin();
    others.begin(run.now()).await?;
    tokio::spawn(company::canary(Arc::clone(&run)));
    if let Some(disturbance) = run.plan.disturbance {
        tokio::spawn(disturb(Arc::clone(&run), disturbance));
    }
    typing(&run, led_by_goose).await;
    let typed_for = run.now();
    let (ended, ours_ended) = (servers.usage().await, measure::ours()?);
    run.enter(Phase::Settling);
    let written = run.ledger.all();
    let settle = run.plan.limits.settle;
    let (parts, ()) = tokio::join!(others.end(&written, settle), settling(&run, &written));
    let parts = parts?;
    let mut tally = count(&run, &written);
    parts.iter().for_each(|part| tally.merge(&part.tally));
    let kept = read_histories(&run, &written).await;
    let joined = run.joined() + parts.iter().map(|part| part.joined).sum::<usize>();
    let (fan_out, fan_out_incomplete) = fan_out(&run, &written);
    let ours = ours_ended.since(&ours_begun);
    let mut notes = lock(&run.notes);
    for part in &parts {
        notes.add(&part.joins, &part.troubles);
    }
    let outcome = Outcome {
        scenario: run.plan.scenario.clone(),
        urls: run.plan.urls.clone(),
        limits: run.plan.limits.clone(),
        typed_for,
        typists: run.plan.typists.len(),
        keys: notes.keys,
        messages: written.len() as u64,
        asked: run.plan.viewers.len() + elsewhere,
        joined,
        fan_out,
        fan_out_incomplete,
        kept,
        presence: (run.company().churn_per_second > 0.0).then(|| lock(&run.roster).finish()),
        joins: notes.joins.clone(),
        rejoins: notes.rejoins.clone(),
        company: notes.company.clone(),
        troubles: notes.troubles.clone(),
        disturbed: run.plan.disturbance.zip(run.disturbed()),
        recovery: recovery(&run),
        servers: (!servers.is_empty())
            .then(|| ServerUse::of(before, begun, ended, typed_for, &tally, joined)),
        tally,
        ourselves: Ourselves {
            lag: notes.lag.clone(),
            canary: notes.canary.clone(),
            blind_seconds: notes.canary_seconds.stalled(run.plan.limits.canary),
            cores: ours.cpu.as_secs_f64() / typed_for.as_secs_f64().max(0.001),
            resident_bytes: ours.resident_bytes,
            wait_share: ours.wait_share(typed_for),
        },
        thresholds: Vec::new(),
    };
    drop(notes);
    Ok(outcome)
}

/// Waits until every early viewer and every typist is there or has given up.
async fn joining(run: &Run, others: &mut Processes, led_by_goose: bool) -> anyhow::Result<()> {
    let limit = run.plan.limits.join;
    let wanted = if led_by_goose {
        run.plan.early_viewers().min(1)
    } else {
        run.plan.early_viewers()
    };
    let typists = if led_by_goose {
        0
    } else {
        run.plan.typists.len()
    };
    let everyone = async {
        while run.joined() + (run.troubles(Trouble::Join) as usize) < wanted
            || run.typists_busy.load(Ordering::Acquire) + (run.troubles(Trouble::Refused) as usize)
                < typists
        {
            sleep(LOOK).await;
        }
        others.joined().await
    };
    // Who is not there by then is counted as never joined.
    if let Ok(joined) = timeout(limit, everyone).await {
        joined?;
    }
    sleep(CALM).await;
    Ok(())
}

async fn typing(run: &Run, led_by_goose: bool) {
    let mut idle = Instant::now();
    let mut seen = false;
    loop {
        sleep(LOOK).await;
        let busy = run.typists_busy.load(Ordering::Acquire) > 0;
        seen |= busy;
        if busy || !seen {
            idle = Instant::now();
        }
        let patience = if led_by_goose { IDLE } else { Duration::ZERO };
        let quiet = seen && !busy && idle.elapsed() >= patience;
        let overdue = run.now() > run.plan.typing + GIVING_UP;
        let nobody = !seen && run.now() > GIVING_UP;
        if quiet || overdue || nobody {
            return;
        }
    }
}

/// Waits until everyone has been shown what they are owed, or the limit is over.
pub async fn settling(run: &Run, written: &[Arc<Written>]) {
    let gone = async {
        while run.visitors.load(Ordering::Acquire) > 0 {
            sleep(LOOK).await;
        }
    };
    // Visitors have limits of their own; this one is for those who are lost.
    let _ = timeout(GIVING_UP, gone).await;
    let settled = async {
        loop {
            let arrived = run.pools.iter().all(|pool| {
                let pool = lock(pool);
                let owed = |(covered, owed): (u64, u64)| covered < owed;
                !pool
                    .viewers
                    .iter()
                    .flatten()
                    .any(|viewer| owed(viewer.progress(written)))
            });
            if arrived && lock(&run.roster).owed() == 0 {
                return;
            }
            sleep(LOOK * 2).await;
        }
    };
    // What has not come by then is missing.
    let _ = timeout(run.plan.limits.settle, settled).await;
    sleep(LINGER).await;
}

/// Counts what the viewers of this process were owed, and shown.
pub fn count(run: &Run, written: &[Arc<Written>]) -> Tally {
    let mut all = Tally::new(run.plan.limits.late, 0);
    for (number, pool) in run.pools.iter().enumerate() {
        let mut pool = lock(pool);
        let pool = &mut *pool;
        for (index, viewer) in pool.viewers.iter().enumerate() {
            let Some(viewer) = viewer else {
                continue;
            };
            viewer.finish(written, &mut pool.tally);
            if run.plan.client == Client::Seed {
                let username = &run.plan.viewers[run.plan.pool(number).start + index].username;
                // The author of a private sees the update alone.
                let told = |written: &&Arc<Written>| {
                    let place = &run.plan.conversations[written.conversation];
                    matches!(place, Conversation::Channel(_)) || written.username != *username
                };
                let told: Vec<_> = written.iter().filter(told).cloned().collect();
                viewer.finish_announced(&told, &mut pool.tally);
            }
        }
        all.merge(&pool.tally);
    }
    all
}

/// How long each step took to reach all viewers who were there from the start.
fn fan_out(run: &Run, written: &[Arc<Written>]) -> (Latencies, u64) {
    let (mut complete, mut incomplete) = (Latencies::default(), 0);
    for written in written {
        for step in 0..written.confirmed() {
            let (reached, last) = written.fan(step);
            if reached >= run.plan.watched_by[written.conversation] {
                complete.record(last.saturating_sub(written.script.intended(step)));
            } else {
                incomplete += 1;
            }
        }
    }
    (complete, incomplete)
}

async fn read_histories(run: &Run, written: &[Arc<Written>]) -> Kept {
    let mut kept = Kept::default();
    for (number, conversation) in run.plan.conversations.iter().enumerate() {
        let here = |written: &&Arc<Written>| written.conversation == number;
        let written: Vec<_> = written.iter().filter(here).cloned().collect();
        let Some(author) = run
            .plan
            .typists
            .iter()
            .find(|author| author.conversation == number)
        else {
            continue;
        };
        let target = conversation.target(&author.username);
        let mut answer = Err(anyhow::anyhow!("no server"));
        for (server, http) in run.servers.iter().enumerate() {
            answer = match run.sign_in(&author.username, server).await {
                Ok(signed_in) => history::read(http, &signed_in, &target).await,
                Err(error) => Err(error),
            };
            if answer.is_ok() {
                break;
            }
        }
        match answer {
            Ok(rows) => kept.check(&rows, &written, run.plan.seed),
            Err(error) => run.trouble(Trouble::History, || format!("{target:?}: {error:#}")),
        }
    }
    kept
}

async fn disturb(run: Arc<Run>, disturbance: Disturbance) {
    run.until(disturbance.at).await;
    run.disturbed_now();
    match disturbance.event {
        Event::DropConnections => run.drops.send_modify(|drops| *drops += 1),
        Event::Kill(pid) => {
            let killed = Command::new("kill")
                .args(["-KILL", &pid.to_string()])
                .status()
                .await;
            if !killed.as_ref().is_ok_and(std::process::ExitStatus::success) {
                run.trouble(Trouble::Company, || format!("killing {pid}: {killed:?}"));
            }
        }
    }
}

/// From the disturbance until the last viewer was shown a key struck after it.
fn recovery(run: &Run) -> Option<Duration> {
    let disturbed = run.disturbed()?;
    let mut last = Duration::ZERO;
    for pool in &run.pools {
        let pool = lock(pool);
        for (viewer, recovered) in pool.viewers.iter().zip(&pool.recovered) {
            if viewer.is_some() {
                last = last.max((*recovered)?.saturating_sub(disturbed));
            }
        }
    }
    Some(last)
}
