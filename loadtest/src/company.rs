//! What goes on beside typing: histories read, people signing in, coming and going, and
//! connections that stop reading. Open loops all: each has its time, kept up with or not.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use anyhow::{Context, anyhow, bail};
use goose::prelude::*;
use serde_json::json;
use tokio::{
    task::JoinSet,
    time::{Instant, sleep, timeout},
};

use crate::{
    frames::{self, Said},
    http::{Http, SignIn, Target},
    run::{Phase, Run, Trouble, lock},
    socket::{Connect, Connection},
};

/// How long a newcomer may take.
const LIMIT: Duration = Duration::from_secs(15);

/// How long those who come and go stay.
const STAY: Duration = Duration::from_secs(1);

/// What a stalled reader's kernel takes in before its server notices.
const STALLED_BUFFER_BYTES: u32 = 16 * 1024;

/// Messages that a history has before it is read: one page of it.
const PAGE: usize = 100;

/// Messages that one person may send at once.
const BURST: usize = 25;

/// Fills a page of each history, so that reading it is worth something.
pub async fn fill_histories(run: &Run) -> anyhow::Result<()> {
    for conversation in &run.plan.conversations {
        for number in 0..PAGE {
            let author = format!("f{:x}-{}", run.plan.seed, number / BURST);
            let signed_in = run.sign_in(&author, 0).await?;
            let target = conversation.target(&author);
            let text = format!("message {number} of those that were there before");
            let sent = run.servers[0].post_message(&signed_in, &target, &text, false);
            sent.await.context("filling a history")?;
        }
    }
    Ok(())
}

/// Sends one message after the other, each when the last was acknowledged.
pub async fn send_on(run: &Run, user: &mut GooseUser) -> anyhow::Result<()> {
    let number = run.next_other() as usize;
    let sender = format!("w{:x}-{number}", run.plan.seed);
    let signed_in = run.sign_in(&sender, number).await?;
    // Viewers judge what is typed in the run's own channels.
    let target = Target::channel("ting");
    let body = json!({
        "type": target.kind, "target": target.target, "typing": false,
        "text": "a sentence of about the length that people write to others",
    });
    user.set_base_url(run.plan.url(number))
        .map_err(|error| anyhow!("{error}"))?;
    run.reaches(Phase::Typing).await;
    while run.phase() == Phase::Typing {
        let builder = user
            .get_request_builder(&GooseMethod::Post, "/api/v1/message")
            .map_err(|error| anyhow!("{error}"))?
            .bearer_auth(&signed_in.ting_auth)
            .header("content-type", "application/json")
            .body(body.to_string());
        let request = GooseRequest::builder()
            .name("send at once")
            .method(GooseMethod::Post)
            .set_request_builder(builder)
            .build();
        let started = Instant::now();
        let answer = user
            .request(request)
            .await
            .map_err(|error| anyhow!("{error}"))?;
        let sent = async { answer.response?.error_for_status()?.bytes().await }.await;
        match sent {
            Ok(_) => took(run, "send", started.elapsed()),
            Err(error) => run.trouble(Trouble::Company, || format!("send: {error}")),
        }
    }
    Ok(())
}

/// Reads histories at a pace, through goose's client, until typing is over.
pub async fn read_histories(run: &Run, user: &mut GooseUser, pace: f64) -> anyhow::Result<()> {
    let reader = format!("r{:x}-{}", run.plan.seed, run.next_other());
    let signed_in = run.sign_in(&reader, 0).await?;
    let mut number = 0;
    while keep_pace(run, number, pace).await {
        let conversation = &run.plan.conversations[number % run.plan.conversations.len()];
        let path = format!("{}?lim=100", conversation.target(&reader).history_path());
        user.set_base_url(run.plan.url(number))
            .map_err(|error| anyhow!("{error}"))?;
        let builder = user
            .get_request_builder(&GooseMethod::Get, &path)
            .map_err(|error| anyhow!("{error}"))?
            .bearer_auth(&signed_in.ting_auth);
        let request = GooseRequest::builder()
            .name("history")
            .set_request_builder(builder)
            .build();
        let started = Instant::now();
        let answer = user
            .request(request)
            .await
            .map_err(|error| anyhow!("{error}"))?;
        let read = async { answer.response?.error_for_status()?.bytes().await }.await;
        match read {
            Ok(_) => took(run, "history", started.elapsed()),
            Err(error) => run.trouble(Trouble::Company, || format!("history: {error}")),
        }
        number += 1;
    }
    Ok(())
}

/// Signs new people in at a pace, through goose's client, and logs them in.
pub async fn sign_people_in(run: &Run, user: &mut GooseUser, pace: f64) -> anyhow::Result<()> {
    let mut number = 0;
    while keep_pace(run, number, pace).await {
        let username = format!("l{:x}-{}", run.plan.seed, run.next_other());
        let url = run.plan.url(number);
        user.set_base_url(url).map_err(|error| anyhow!("{error}"))?;
        let builder = user
            .get_request_builder(&GooseMethod::Post, "/restapi/v1/sessions")
            .map_err(|error| anyhow!("{error}"))?
            .header("content-type", "application/json")
            .body(json!({ "username": username }).to_string());
        let request = GooseRequest::builder()
            .name("sign in")
            .method(GooseMethod::Post)
            .set_request_builder(builder)
            .build();
        let started = Instant::now();
        let answer = user
            .request(request)
            .await
            .map_err(|error| anyhow!("{error}"))?;
        let logged_in = async {
            let body = answer.response?.error_for_status()?.text().await?;
            let signed_in: SignIn = serde_json::from_str(&body).context("the answer")?;
            took(run, "sign in", started.elapsed());
            let connecting = Instant::now();
            let connection = log_in(url, &signed_in, None).await?;
            took(run, "log in", connecting.elapsed());
            connection.close().await;
            anyhow::Ok(())
        };
        if let Err(error) = logged_in.await {
            run.trouble(Trouble::Company, || format!("login: {error:#}"));
        }
        number += 1;
    }
    Ok(())
}

/// Lets people come and go at a pace, and tells the roster.
pub async fn come_and_go(run: &Arc<Run>, pace: f64) -> anyhow::Result<()> {
    let mut people = JoinSet::new();
    let mut number = 0;
    while keep_pace(run, number, pace).await {
        let run = Arc::clone(run);
        people.spawn(async move {
            let username = format!("c{:x}-{}", run.plan.seed, run.next_other());
            run.visitors.fetch_add(1, Ordering::AcqRel);
            if let Err(error) = visit(&run, number, &username).await {
                lock(&run.roster).stays_away(&username);
                run.trouble(Trouble::Company, || format!("visit: {error:#}"));
            }
            run.visitors.fetch_sub(1, Ordering::AcqRel);
        });
        number += 1;
    }
    people.join_all().await;
    Ok(())
}

async fn visit(run: &Run, number: usize, username: &str) -> anyhow::Result<()> {
    let url = run.plan.url(number);
    let signed_in = Http::new(url)?.sign_in(username).await?;
    lock(&run.roster).comes(username, run.now());
    let mut connection = log_in(url, &signed_in, None).await?;
    let stay = async {
        loop {
            connection.next().await?;
        }
    };
    match timeout(STAY, stay).await {
        Err(_) => {}
        Ok::<anyhow::Result<()>, _>(lost) => lost.context("during the stay")?,
    }
    lock(&run.roster).goes(username, run.now());
    connection.close().await;
    Ok(())
}

/// Opens connections that log in and then stop reading, until the run is over.
pub async fn stall(run: &Arc<Run>, connections: usize) -> anyhow::Result<()> {
    let mut stalled = Vec::with_capacity(connections);
    for number in 0..connections {
        let url = run.plan.url(number);
        let username = format!("s{:x}-{}", run.plan.seed, run.next_other());
        let signed_in = run.sign_in(&username, number).await?;
        let channels: Vec<String> = run
            .plan
            .conversations
            .iter()
            .filter_map(|conversation| match conversation {
                crate::plan::Conversation::Channel(name) => Some(name.clone()),
                crate::plan::Conversation::Private(..) => None,
            })
            .take(50)
            .collect();
        match log_in(url, &signed_in, Some(channels)).await {
            Ok(connection) => stalled.push(connection),
            Err(error) => run.trouble(Trouble::Company, || format!("stalled viewer: {error:#}")),
        }
    }
    run.reaches(Phase::Over).await;
    Ok(())
}

/// Logs in, with a small receive buffer if these channels are to be entered and never read.
async fn log_in(
    url: &str,
    signed_in: &SignIn,
    stalled_in: Option<Vec<String>>,
) -> anyhow::Result<Connection> {
    let mut connect = Connect::to(url)?;
    if stalled_in.is_some() {
        connect = connect.receive_buffer(STALLED_BUFFER_BYTES);
    }
    let channels = stalled_in.unwrap_or_default();
    let login = async {
        let mut connection = connect.open().await?;
        let login = json!({
            "username": signed_in.username, "ting_auth": signed_in.ting_auth,
            "channels": channels, "messages": false, "presence": "batched",
        });
        connection.emit("login", &login).await?;
        loop {
            let received = connection.next().await?;
            match frames::read(&received).map_err(anyhow::Error::msg)? {
                Said::LoginResponse(answer) if answer.success => return Ok(connection),
                Said::LoginResponse(answer) => {
                    bail!("login was refused: {}", answer.error.unwrap_or_default());
                }
                _ => {}
            }
        }
    };
    timeout(LIMIT, login)
        .await
        .unwrap_or_else(|_| bail!("no login within {LIMIT:?}"))
}

/// Waits for the time of the n-th; false when typing is over.
async fn keep_pace(run: &Run, number: usize, pace: f64) -> bool {
    let time = Duration::from_secs_f64(number as f64 / pace);
    tokio::select! {
        () = run.until(time) => run.phase() == Phase::Typing,
        () = run.reaches(Phase::Settling) => false,
    }
}

fn took(run: &Run, what: &'static str, took: Duration) {
    lock(&run.notes)
        .company
        .entry(what)
        .or_default()
        .record(took);
}

/// Wakes every few milliseconds and notes how late; what this one suffers, all of us do.
pub async fn canary(run: Arc<Run>) {
    const NAP: Duration = Duration::from_millis(10);
    run.reaches(Phase::Typing).await;
    while run.phase() < Phase::Settling {
        let due = Instant::now() + NAP;
        sleep(NAP).await;
        let lag = Instant::now().saturating_duration_since(due);
        let mut notes = lock(&run.notes);
        notes.canary.record(lag);
        notes.canary_seconds.record(run.at(due), lag);
    }
}
