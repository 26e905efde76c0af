//! A typist: a goose user who types scripts through goose's own client, key by key.
//!
//! Like the web client it has one request under way and then sends its newest text, so a slow
//! server is shown fewer texts, later. What that costs viewers is counted from the times at
//! which the keys were to be struck, whatever the server did to the typist.

use std::{sync::atomic::Ordering, time::Duration};

use anyhow::{Context, anyhow};
use goose::prelude::*;
use reqwest::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::{
    http::{SignIn, Target},
    ledger::Written,
    run::{Phase, Run, Trouble, lock},
    script::{Ending, MessageKey},
};

/// How long one request may take; the server allows itself less.
const REQUEST_LIMIT: Duration = Duration::from_secs(4);

/// How long a message is tried before its typist gives it up: what a fault may take.
const PATIENCE: Duration = Duration::from_secs(25);

/// The pause after a request that failed.
const PAUSE: Duration = Duration::from_millis(100);

/// One message on its way.
struct Typing<'a> {
    run: &'a Run,
    signed_in: &'a SignIn,
    target: Target,
    written: &'a Written,
    /// The server's id and claim, once it has answered.
    begun: Option<Begun>,
    server: usize,
    /// How often this message was given to the server, for its `rev`.
    rev: u64,
}

#[derive(Debug, Clone, Deserialize)]
struct Begun {
    messageid: u64,
    #[serde(default)]
    claim: Option<String>,
}

/// What came of one request.
enum Answer {
    Done,
    /// No answer, or one that says to try again.
    Again(String),
    Refused(String),
}

/// Which requests goose tells apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Move {
    Begin,
    Update,
    Send,
    Erase,
}

/// Types one message after another from this one on, or only this one if `once`; returns the
/// number of the next.
pub async fn work(run: &Run, user: &mut GooseUser, typist: usize, from: u32, once: bool) -> u32 {
    let author = &run.ledger.authors()[typist];
    let signed_in = match run.sign_in(&author.username, typist).await {
        Ok(signed_in) => signed_in,
        Err(error) => {
            run.trouble(Trouble::Refused, || format!("{error:#}"));
            return from;
        }
    };
    run.typists_busy.fetch_add(1, Ordering::AcqRel);
    run.reaches(Phase::Typing).await;
    // Where goose says who comes when, a typist may come late.
    if once {
        run.ledger.arrives(typist, run.now());
    }
    let mut number = from;
    while !run.is_stopping() {
        let key = MessageKey {
            typist: typist as u32,
            number,
        };
        let Some(written) = run.ledger.written(key) else {
            break;
        };
        type_message(run, user, &signed_in, &written, typist).await;
        number += 1;
        if once {
            break;
        }
    }
    run.typists_busy.fetch_sub(1, Ordering::AcqRel);
    number
}

async fn type_message(
    run: &Run,
    user: &mut GooseUser,
    signed_in: &SignIn,
    written: &Written,
    typist: usize,
) {
    let conversation = &run.plan.conversations[written.conversation];
    let target = conversation.target(&signed_in.username);
    let mut typing = Typing {
        run,
        signed_in,
        target,
        written,
        begun: None,
        server: typist,
        rev: 0,
    };
    let script = &written.script;
    let mut given = 0;
    let mut failing: Option<Instant> = None;
    loop {
        wake_at(run, script.intended(given), failing.is_some()).await;
        let now = run.now();
        let due = script.states.partition_point(|state| state.at <= now) as u32;
        // The last text is given before its end, however late it is.
        let ends = given + 1 == script.steps();
        let step = if ends { given } else { due.max(given + 1) - 1 };
        written.offer(step + 1);
        match typing.give(user, step).await {
            Ok(Answer::Done) => {
                written.confirm(step + 1);
                lock(&run.notes).keys += u64::from(step + 1 - given);
                given = step + 1;
                failing = None;
                if ends {
                    return;
                }
            }
            Ok(Answer::Again(why)) => {
                let since = *failing.get_or_insert_with(Instant::now);
                if since.elapsed() > PATIENCE {
                    return run.trouble(Trouble::Unanswered, || format!("{:?}: {why}", script.key));
                }
                sleep(PAUSE).await;
            }
            Ok(Answer::Refused(why)) => {
                return run.trouble(Trouble::Refused, || format!("{:?}: {why}", script.key));
            }
            Err(error) => {
                return run.trouble(Trouble::Refused, || format!("{:?}: {error:#}", script.key));
            }
        }
    }
}

/// Sleeps until a key is due, and notes how late that woke us: that part is our own fault.
async fn wake_at(run: &Run, time: Duration, trying_again: bool) {
    if run.now() >= time {
        return;
    }
    run.until(time).await;
    if !trying_again {
        let lag = run.now().saturating_sub(time);
        lock(&run.notes).lag.record(lag);
    }
}

impl Typing<'_> {
    /// Gives the server one step, whatever it takes: a text, or the end.
    async fn give(&mut self, user: &mut GooseUser, step: u32) -> anyhow::Result<Answer> {
        let script = &self.written.script;
        let kind = match (&self.begun, step + 1 == script.steps(), script.ending) {
            (None, ..) => Move::Begin,
            (Some(_), false, _) => Move::Update,
            (Some(_), true, Ending::Sent) => Move::Send,
            (Some(_), true, Ending::Erased) => Move::Erase,
        };
        let text = match (kind, script.states.get(step as usize)) {
            (Move::Erase, _) => "",
            (_, Some(state)) => &state.text,
            (_, None) => script.text(),
        };
        self.rev += 1;
        let mut body = json!({
            "type": self.target.kind, "target": self.target.target, "text": text,
            "typing": kind != Move::Send,
        });
        match &self.begun {
            None => {
                // The same key again gets the first answer again.
                let key = script.key;
                let seed = self.run.ledger.seed();
                body["key"] = json!(format!("{seed:x}-{}-{}", key.typist, key.number));
            }
            Some(begun) => {
                body["messageid"] = json!(begun.messageid);
                body["rev"] = json!(self.rev);
                if let Some(claim) = &begun.claim {
                    body["claim"] = json!(claim);
                }
            }
        }
        let answer = self.request(user, kind, &body).await?;
        if matches!(answer, Answer::Again(_)) {
            self.server += 1;
        }
        Ok(answer)
    }

    async fn request(
        &mut self,
        user: &mut GooseUser,
        kind: Move,
        body: &Value,
    ) -> anyhow::Result<Answer> {
        let (method, name) = match kind {
            Move::Begin => (GooseMethod::Post, "begin"),
            Move::Update => (GooseMethod::Patch, "update"),
            Move::Send => (GooseMethod::Patch, "send"),
            Move::Erase => (GooseMethod::Patch, "erase"),
        };
        user.set_base_url(self.run.plan.url(self.server))
            .map_err(|error| anyhow!("{error}"))?;
        let builder = user
            .get_request_builder(&method, "/api/v1/message")
            .map_err(|error| anyhow!("{error}"))?
            .bearer_auth(&self.signed_in.ting_auth)
            .header("content-type", "application/json")
            .body(body.to_string())
            .timeout(REQUEST_LIMIT);
        let request = GooseRequest::builder()
            .name(name)
            .set_request_builder(builder)
            .method(method)
            .build();
        let answer = user
            .request(request)
            .await
            .map_err(|error| anyhow!("{error}"))?;
        let response = match answer.response {
            Ok(response) => response,
            Err(error) => return Ok(Answer::Again(error.to_string())),
        };
        let status = response.status().as_u16();
        let retry_after = response
            .headers()
            .get("retry-after")
            .and_then(|after| after.to_str().ok()?.parse::<u64>().ok());
        // An answer that breaks off is none.
        let Ok(answer) = response.text().await else {
            return Ok(Answer::Again("the answer broke off".to_owned()));
        };
        match StatusCode::from_u16(status)? {
            StatusCode::OK => {
                let begun: Begun = serde_json::from_str(&answer)
                    .with_context(|| format!("{name} was answered with {answer:?}"))?;
                self.run.ledger.identify(begun.messageid, self.written);
                self.begun = Some(begun);
                Ok(Answer::Done)
            }
            StatusCode::NO_CONTENT if kind != Move::Begin => Ok(Answer::Done),
            StatusCode::TOO_MANY_REQUESTS => {
                self.run
                    .trouble(Trouble::SlowedDown, || format!("{name}: {answer}"));
                sleep(Duration::from_secs(retry_after.unwrap_or(0).min(10))).await;
                Ok(Answer::Again(answer))
            }
            status if status.is_server_error() => Ok(Answer::Again(format!("{status} {answer}"))),
            status => Ok(Answer::Refused(format!("{name}: {status} {answer}"))),
        }
    }
}
