//! A viewer: one connection that joins, watches, and comes back when it is lost.
//!
//! What it is shown goes to the judge at once; all that is kept is the judge's memory of it.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, bail};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout};

use crate::{
    frames::{self, Said},
    http::SignIn,
    judge::{Fault, Viewer},
    machine,
    plan::{Client, Conversation, Joins},
    run::{Phase, Pool, Run, Trouble, lock},
    socket::{Closed, Connect, Connection, Received},
};

/// How long one attempt to join may take.
const JOIN_LIMIT: Duration = Duration::from_secs(15);

/// How often joining is tried, each time at the next server.
const ATTEMPTS_MAX: usize = 40;

/// The pause before another attempt; clients wait about as long.
const PAUSE: Duration = Duration::from_millis(250);

/// Which viewer, and where its memory is.
#[derive(Debug, Clone, Copy)]
struct Seat {
    /// Its number in the plan.
    number: usize,
    pool: usize,
    index: usize,
}

/// Watches until the run is over. `pool` and `index` say where its memory is kept.
pub async fn watch(run: Arc<Run>, pool: usize, index: usize) {
    let number = run.plan.pool(pool).start + index;
    let seat = Seat {
        number,
        pool,
        index,
    };
    let plan = &run.plan.viewers[number];
    let signed_in = match run.sign_in(&plan.username, number).await {
        Ok(signed_in) => signed_in,
        Err(error) => return run.trouble(Trouble::Join, || format!("{error:#}")),
    };
    let mut joined = match plan.joins {
        Joins::Before => {
            // The semaphore is never closed, so an error can't be.
            let _permit = run.door.acquire().await;
            join(&run, seat, &signed_in, Trouble::Join).await
        }
        Joins::At(time) => {
            run.until(time).await;
            join(&run, seat, &signed_in, Trouble::Join).await
        }
    };
    let mut drops = run.drops.subscribe();
    loop {
        let Some(connection) = joined else {
            return;
        };
        let closed = tokio::select! {
            closed = read(&run, seat, connection) => closed,
            // Dropped without a word, as a network does.
            _ = drops.changed() => Closed::Ours,
        };
        let lost = Instant::now();
        if run.phase() == Phase::Over {
            return;
        }
        if run.disturbed().is_none() {
            run.trouble(Trouble::Connection, || closed.to_string());
        }
        {
            let mut pool = lock(&run.pools[seat.pool]);
            if let Some(viewer) = &mut pool.viewers[seat.index] {
                viewer.reconnected();
            }
        }
        joined = join(&run, seat, &signed_in, Trouble::Rejoin).await;
        if joined.is_some() {
            lock(&run.notes).rejoins.record(lost.elapsed());
            if let Err(error) = catch_up(&run, seat, &signed_in).await {
                run.trouble(Trouble::History, || format!("{error:#}"));
            }
        }
    }
}

/// Joins at some server, however often it takes within reason.
async fn join(
    run: &Arc<Run>,
    seat: Seat,
    signed_in: &SignIn,
    trouble: Trouble,
) -> Option<Connection> {
    let mut last = None;
    for attempt in 0..ATTEMPTS_MAX {
        if run.phase() >= Phase::Settling {
            break;
        }
        let server = seat.number + attempt;
        let started = Instant::now();
        match timeout(JOIN_LIMIT, join_once(run, seat, server, signed_in)).await {
            Ok(Ok(connection)) => {
                if trouble == Trouble::Join {
                    lock(&run.notes).joins.record(started.elapsed());
                }
                return Some(connection);
            }
            Ok(Err(error)) => last = Some(error),
            Err(_) => last = Some(anyhow::anyhow!("no login-response within {JOIN_LIMIT:?}")),
        }
        sleep(PAUSE).await;
    }
    let error = last.unwrap_or_else(|| anyhow::anyhow!("the run was over first"));
    run.trouble(trouble, || format!("viewer {}: {error:#}", seat.number));
    None
}

async fn join_once(
    run: &Arc<Run>,
    seat: Seat,
    server: usize,
    signed_in: &SignIn,
) -> anyhow::Result<Connection> {
    let url = run.plan.url(server);
    let mut connect = Connect::to(url)?;
    if let Some(source) = machine::source(machine::is_loopback(url), seat.number) {
        connect = connect.from(source);
    }
    let mut connection = connect.open().await?;
    connection
        .emit("login", &login(run, seat, signed_in))
        .await?;
    loop {
        let received = connection.next().await?;
        let said = frames::read(&received).map_err(anyhow::Error::msg)?;
        match said {
            Said::LoginResponse(answer) if answer.success => break,
            Said::LoginResponse(answer) => {
                bail!("login was refused: {}", answer.error.unwrap_or_default());
            }
            _ => hear(run, seat, &received),
        }
    }
    if run.plan.client == Client::Seed {
        enter_by_reading(run, seat, server, signed_in).await?;
    }
    let plan = &run.plan.viewers[seat.number];
    let since = run.now();
    lock(&run.pools[seat.pool]).viewers[seat.index]
        .get_or_insert_with(|| Viewer::new(plan.conversations.clone(), since));
    if run.company().churn_per_second > 0.0 {
        lock(&run.roster).watches(seat.number);
    }
    Ok(connection)
}

/// What this viewer says at login.
fn login(run: &Run, seat: Seat, signed_in: &SignIn) -> Value {
    let mut login = json!({
        "username": signed_in.username,
        "ting_auth": signed_in.ting_auth,
    });
    if run.plan.client == Client::Web {
        let channels: Vec<&str> = run.plan.viewers[seat.number]
            .conversations
            .iter()
            .filter_map(|number| match &run.plan.conversations[*number] {
                Conversation::Channel(name) => Some(name.as_str()),
                Conversation::Private(..) => None,
            })
            .collect();
        login["channels"] = json!(channels);
        login["messages"] = json!(false);
        login["presence"] = json!("batched");
        login["resume"] = json!(true);
    }
    login
}

/// A client of the first protocol enters a channel by showing its history.
async fn enter_by_reading(
    run: &Run,
    seat: Seat,
    server: usize,
    signed_in: &SignIn,
) -> anyhow::Result<()> {
    let http = &run.servers[server % run.servers.len()];
    for number in &run.plan.viewers[seat.number].conversations {
        if let conversation @ Conversation::Channel(_) = &run.plan.conversations[*number] {
            let target = conversation.target(&signed_in.username);
            http.history(signed_in, &target, 1, None)
                .await
                .context("entering")?;
        }
    }
    Ok(())
}

async fn read(run: &Arc<Run>, seat: Seat, mut connection: Connection) -> Closed {
    loop {
        match connection.next().await {
            Ok(received) => hear(run, seat, &received),
            Err(closed) => return closed,
        }
    }
}

/// Tells the judge what was received.
fn hear(run: &Run, seat: Seat, received: &Received) {
    let at = run.at(received.at);
    let said = match frames::read(received) {
        Ok(said) => said,
        Err(error) => return run.trouble(Trouble::Unreadable, || error),
    };
    match said {
        Said::Typing(messages) => {
            let mut pool = lock(&run.pools[seat.pool]);
            let pool = &mut *pool;
            pool.tally.counts.frames += 1;
            pool.tally.counts.bytes += received.bytes() as u64;
            let Some(viewer) = &mut pool.viewers[seat.index] else {
                return;
            };
            for (id, typed) in &messages {
                viewer.shown(at, typed.shown(*id), &run.ledger, &mut pool.tally);
            }
            note_recovery(run, pool, seat, at);
        }
        Said::Message(sent) => {
            let mut pool = lock(&run.pools[seat.pool]);
            let pool = &mut *pool;
            pool.tally.counts.bytes += received.bytes() as u64;
            let Some(viewer) = &mut pool.viewers[seat.index] else {
                return;
            };
            if run.plan.client == Client::Web {
                return pool
                    .tally
                    .fault(Fault::Foreign, || "a message event".to_owned());
            }
            viewer.announced(sent.shown(), &run.ledger, &mut pool.tally);
        }
        Said::Joined(people) => people.iter().for_each(|name| came(run, seat, name, at)),
        Said::Parted(people) => people.iter().for_each(|name| went(run, seat, name, at)),
        Said::Presence(presence) => {
            presence
                .joined
                .iter()
                .for_each(|name| came(run, seat, name, at));
            presence
                .parted
                .iter()
                .for_each(|name| went(run, seat, name, at));
        }
        Said::LoginResponse(_) | Said::Other => {}
    }
}

fn came(run: &Run, seat: Seat, username: &str, at: Duration) {
    if run.company().churn_per_second > 0.0 {
        lock(&run.roster).joined(seat.number, username, at);
    }
}

fn went(run: &Run, seat: Seat, username: &str, at: Duration) {
    if run.company().churn_per_second > 0.0 {
        lock(&run.roster).parted(seat.number, username, at);
    }
}

/// Reads what was sent while the connection was lost.
async fn catch_up(run: &Run, seat: Seat, signed_in: &SignIn) -> anyhow::Result<()> {
    let http = &run.servers[seat.number % run.servers.len()];
    let mut rows = Vec::new();
    for number in &run.plan.viewers[seat.number].conversations {
        let target = run.plan.conversations[*number].target(&signed_in.username);
        let mut answer = http.history(signed_in, &target, 1_000, None).await;
        for other in run
            .servers
            .iter()
            .filter(|other| other.base() != http.base())
        {
            if answer.is_ok() {
                break;
            }
            answer = other.history(signed_in, &target, 1_000, None).await;
        }
        rows.extend(answer?.0);
    }
    let at = run.now();
    let mut pool = lock(&run.pools[seat.pool]);
    let pool = &mut *pool;
    if let Some(viewer) = &mut pool.viewers[seat.index] {
        viewer.caught_up(at, &rows, &run.ledger, &mut pool.tally);
    }
    note_recovery(run, pool, seat, at);
    Ok(())
}

/// Notes when the viewer first knew a key struck after the disturbance.
fn note_recovery(run: &Run, pool: &mut Pool, seat: Seat, at: Duration) {
    if let Some(disturbed) = run.disturbed()
        && let Some(viewer) = &pool.viewers[seat.index]
        && viewer.newest() > disturbed
    {
        pool.recovered[seat.index].get_or_insert(at);
    }
}
