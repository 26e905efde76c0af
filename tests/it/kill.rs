//! `kill -9` at random moments: what was acknowledged is there once, in its place, with its
//! text; what was not, once or not at all; and ghosts come back to their places by their claims.

use rand::{Rng, SeedableRng, rngs::StdRng};
use serde_json::{Value, json};
use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};
use tests::{Ghost, Person, Room, Settings, Ting, names, size};
use tokio::sync::watch;

const SENDERS: usize = 8;

/// What one sender knows of one message.
#[derive(Debug)]
struct Sent {
    text: String,
    /// The id, where an answer has brought it.
    id: Option<u64>,
    acknowledged: bool,
}

/// What all senders of a round have in common.
#[derive(Debug, Default)]
struct Round {
    acknowledged: watch::Sender<usize>,
    over: AtomicBool,
}

/// Sends without a pause until the server is gone, half in one request, half typed before.
async fn sends_until_the_end(
    ting: Ting,
    auth: String,
    room: String,
    round: Arc<Round>,
) -> Vec<Sent> {
    let mut all = Vec::new();
    for n in 0.. {
        if round.over.load(Ordering::Relaxed) {
            break;
        }
        let mut sent = Sent {
            text: names::text(&n.to_string()),
            id: None,
            acknowledged: false,
        };
        let at_once = n % 2 == 0;
        let body = json!({
            "type": "channel", "target": room, "text": sent.text, "typing": !at_once,
            "key": names::unique("key"),
        });
        let posted = ting
            .post("/api/v1/message")
            .bearer(&auth)
            .json(&body)
            .try_send()
            .await;
        let mut gone = posted.is_err();
        let posted = posted.ok().filter(|answer| answer.status == 200);
        sent.id = posted.as_ref().map(tests::Answer::messageid);
        sent.acknowledged = at_once && sent.id.is_some();
        if let (false, Some(id)) = (at_once, sent.id) {
            let body = json!({
                "type": "channel", "target": room, "text": sent.text, "typing": false,
                "messageid": id,
            });
            let patched = ting
                .patch("/api/v1/message")
                .bearer(&auth)
                .json(&body)
                .try_send()
                .await;
            gone = patched.is_err();
            sent.acknowledged = patched.is_ok_and(|answer| answer.status == 204);
        }
        round
            .acknowledged
            .send_modify(|all| *all += usize::from(sent.acknowledged));
        all.push(sent);
        if gone {
            break;
        }
    }
    all
}

/// All of a room's history, page by page, newest first.
pub async fn whole_history(ting: &Ting, auth: &str, room: &Room) -> Vec<Value> {
    let mut all: Vec<Value> = Vec::new();
    loop {
        let query = match all.last() {
            Some(last) => format!("?lim=1000&before={}", last["id"]),
            None => "?lim=1000".to_owned(),
        };
        let page = ting.history(auth, &room.target(), &query).await;
        if page.is_empty() {
            return all;
        }
        all.extend(page);
    }
}

fn hold_against_the_history(sent: &[Sent], history: &[Value]) {
    let ids: Vec<u64> = history.iter().map(|m| m["id"].as_u64().unwrap()).collect();
    assert!(
        ids.is_sorted_by(|newer, older| newer > older),
        "places are in the order of ids"
    );
    let mut found: HashMap<&str, Vec<&Value>> = HashMap::new();
    for message in history {
        found
            .entry(message["text"].as_str().unwrap())
            .or_default()
            .push(message);
    }
    for sent in sent {
        let there = found.get(sent.text.as_str()).map_or(&[][..], Vec::as_slice);
        assert!(there.len() <= 1, "{sent:?} is there twice: {there:?}");
        if sent.acknowledged {
            let [message] = there else {
                panic!("{sent:?} was acknowledged and is not there");
            };
            assert_eq!(message["typing"], false);
            assert_eq!(
                message["id"].as_u64(),
                sent.id,
                "its place is the one it was given"
            );
        }
        if let ([message], Some(id)) = (there, sent.id) {
            assert_eq!(message["id"], id);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_by_kill_9() {
    let rounds = size("TING_TEST_KILLS", 5);
    let seed = size("TING_TEST_SEED", rand::rng().random::<u32>() as usize) as u64;
    println!("rounds {rounds}, seed {seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let settings = Settings::default()
        .set("limits.sends_per_second", "100000")
        .set("limits.sends_burst", "100000");
    let ting = Ting::with(settings).await;
    let room = ting.room().await;
    let mut typist = room.person("typist").await;
    let mut senders = Vec::new();
    for _ in 0..SENDERS {
        senders.push(ting.signs_in("sender").await.1);
    }
    let mut all = Vec::new();
    let mut total = 0;
    for _ in 0..rounds {
        let ghost = typist.types("before the cut").await;
        let round = Arc::new(Round::default());
        let running: Vec<_> = senders
            .iter()
            .map(|auth| {
                let (ting, auth) = (ting.clone(), auth.clone());
                tokio::spawn(sends_until_the_end(
                    ting,
                    auth,
                    room.name().to_owned(),
                    round.clone(),
                ))
            })
            .collect();
        let enough = rng.random_range(1..100);
        let mut acknowledged = round.acknowledged.subscribe();
        let waiting = acknowledged.wait_for(|all| *all >= enough);
        let waited = tests::within_limit("enough acknowledged sends", waiting).await;
        drop(waited.unwrap());
        ting.process().kill();
        round.over.store(true, Ordering::Relaxed);
        for sender in running {
            all.extend(sender.await.unwrap());
        }
        ting.process().start_again();
        typist.reconnects().await;
        comes_back(&typist, &ghost).await;
        total += *round.acknowledged.borrow();
        let history = whole_history(&ting, &typist.auth, &room).await;
        hold_against_the_history(&all, &history);
    }
    println!("{total} sends were acknowledged, {} were tried", all.len());
}

/// A ghost with a claim comes back in its place, and is sent there.
async fn comes_back(typist: &Person, ghost: &Ghost) {
    typist.goes_on(ghost, "after the cut").await;
    typist.sees(ghost, "after the cut").await;
    let text = names::text("sent after the cut");
    typist.sends(ghost, &text).await;
    let query = format!("?before={}&lim=1", ghost.id + 1);
    let kept = typist.ting().history(&typist.auth, &ghost.to, &query).await;
    assert_eq!(
        (&kept[0]["id"], &kept[0]["text"]),
        (&json!(ghost.id), &json!(text))
    );
}

#[tokio::test]
async fn a_send_whose_outcome_is_unknown_may_be_repeated() {
    let ting = Ting::alone().await;
    let room = ting.room().await;
    let ada = room.person("ada").await;
    let ghost = ada.types("perhaps").await;
    let key = names::unique("key");
    let post = json!({
        "type": "channel", "target": room.name(), "text": "at once", "typing": false, "key": key,
    });
    let patch = json!({
        "type": "channel", "target": room.name(), "text": "perhaps", "typing": false,
        "messageid": ghost.id, "claim": ghost.claim,
    });
    let ask = || {
        let post = ting.post("/api/v1/message").bearer(&ada.auth).json(&post);
        let patch = ting.patch("/api/v1/message").bearer(&ada.auth).json(&patch);
        async { tokio::join!(post.try_send(), patch.try_send()) }
    };
    // Killed while both are on their way, whichever way that ends.
    let ((first, _), ()) = tokio::join!(ask(), async {
        tokio::task::yield_now().await;
        ting.process().kill();
    });
    ting.process().start_again();
    let again = async {
        loop {
            let (posted, patched) = ask().await;
            let (posted, patched) = (posted.unwrap(), patched.unwrap());
            if !posted.is_unavailable().await && !patched.is_unavailable().await {
                patched.is(204);
                return posted.is(200).messageid();
            }
        }
    };
    let again = tests::within_limit("both, repeated", again).await;
    if let Some(first) = first.ok().filter(|answer| answer.status == 200) {
        assert_eq!(first.messageid(), again, "the same key, the same answer");
    }
    let history = ada.reads("").await;
    assert_eq!(history.len(), 2, "{history:?}");
}
