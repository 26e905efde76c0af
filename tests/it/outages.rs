//! The database is away: nobody who types notices, who sends is told at once, and all of it
//! heals by itself.

use reqwest::Method;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::time::{Duration, Instant};
use tests::process::Process;
use tests::wire::{Flow, Wire};
use tests::{Answer, Settings, Ting, names, within_limit};

/// How long the database is away.
const AWAY: Duration = Duration::from_secs(30);

/// How long an answer may take, whatever it is.
const ANSWER: Duration = Duration::from_secs(2);

/// Sends that are under way at once while it is away.
const AT_ONCE: usize = 16;

/// Between two keystrokes of an unhurried person; other tests want the machine too.
const KEYSTROKE: Duration = Duration::from_millis(250);

/// Settings that lead to the database through that wire.
fn through(wire: &Wire) -> Settings {
    Settings::default()
        .set("store.nodes", &format!("[{:?}]", wire.address()))
        .set("limits.sends_per_second", "100000")
        .set("limits.sends_burst", "100000")
}

async fn store_of(ting: &Ting) -> Value {
    let ready = ting.admin(Method::GET, "/readyz").try_send().await;
    ready.unwrap().json()
}

/// Sends, once, a message that no other test sends; what was sent, and the answer.
async fn send(ting: &Ting, auth: &str, room: &str) -> (String, Answer, Duration) {
    let text = names::text("sent");
    let body = json!({
        "type": "channel", "target": room, "text": text, "typing": false,
        "key": names::unique("key"),
    });
    let asked = Instant::now();
    let post = ting.post("/api/v1/message").bearer(auth).json(&body);
    let answer = post.try_send().await.unwrap();
    (text, answer, asked.elapsed())
}

fn is_told_to_come_again((_, answer, took): &(String, Answer, Duration)) {
    assert!(*took < ANSWER, "{took:?}: {}", answer.what);
    let answer = answer.clone().refused(503, "unavailable");
    assert!(answer.header("retry-after").is_some(), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_hangs_for_30_s_stops_no_typing_and_heals_by_itself() {
    stops_no_typing_and_heals_by_itself(Flow::Frozen).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_gone_for_30_s_stops_no_typing_and_heals_by_itself() {
    stops_no_typing_and_heals_by_itself(Flow::Cut).await;
}

async fn stops_no_typing_and_heals_by_itself(away: Flow) {
    if !tests::settings::is_cql() {
        println!("skipped: this run's store is the embedded one, which is never away");
        return;
    }
    let wire = Wire::to_database(Flow::Open).await;
    let ting = Ting::with(through(&wire)).await;
    let room = ting.room().await;
    let [ada, bob] = room.people(["ada", "bob"]).await;
    let before = ada.says(&names::text("before")).await;
    let ghost = ada.types("it").await;
    bob.sees(&ghost, "it").await;

    wire.turn(away);
    let since = Instant::now();
    let mut refused = Vec::new();
    let mut keystrokes = 0;
    while since.elapsed() < AWAY {
        let text = format!("it goes on, {keystrokes}");
        ada.goes_on(&ghost, &text).await;
        bob.sees(&ghost, &text).await;
        keystrokes += 1;
        tokio::time::sleep(KEYSTROKE).await;
        // Somebody begins in the midst of it.
        let another = bob.types("so does this").await;
        ada.sees(&another, "so does this").await;
        bob.erases(&another).await;
        let sends = (0..AT_ONCE).map(|_| send(&ting, &ada.auth, room.name()));
        let sent = futures::future::join_all(sends).await;
        sent.iter().for_each(is_told_to_come_again);
        refused.extend(sent);
        assert_eq!(
            store_of(&ting).await["ready"],
            true,
            "it serves all the same"
        );
    }
    assert_eq!(store_of(&ting).await["store"], "away");
    let waiting = ting.metrics().await.sum("ting_store_in_flight");
    assert!(waiting < AT_ONCE as f64, "{waiting} operations wait");

    wire.turn(Flow::Open);
    let since = Instant::now();
    let healed = async {
        loop {
            let (text, answer, _) = send(&ting, &ada.auth, room.name()).await;
            if answer.status == 200 {
                return text;
            }
            answer.refused(503, "unavailable");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let healed = within_limit("a send that is kept", healed).await;
    println!(
        "{away:?}: {keystrokes} keystrokes were seen and {} sends refused; the first was kept {:?} after",
        refused.len(),
        since.elapsed()
    );
    assert_eq!(store_of(&ting).await["store"], "reached");
    // The ghost is still there, and is sent in its place.
    let text = names::text("at last");
    ada.sends(&ghost, &text).await;
    let history = ada.reads("?lim=1000").await;
    let mut times: HashMap<&str, usize> = HashMap::new();
    for message in &history {
        *times.entry(message["text"].as_str().unwrap()).or_default() += 1;
    }
    let times = |text: &String| times.get(text.as_str()).copied().unwrap_or(0);
    assert_eq!((times(&healed), times(&text)), (1, 1));
    for (text, ..) in &refused {
        assert!(times(text) <= 1, "{text:?} was refused and is there twice");
    }
    assert!(
        history.iter().any(|m| m["id"] == before.id),
        "what was kept stays"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_its_database_it_waits_and_says_so_once() {
    if !tests::settings::is_cql() {
        println!("skipped: this run's store is the embedded one, which is never away");
        return;
    }
    let wire = Wire::to_database(Flow::Cut).await;
    let process = Process::begin(through(&wire)).unwrap_or_else(|error| panic!("{error}"));
    let is_wait = |line: &Value| line["message"] == "waiting for the store";
    let waits = process.wait_for_log("it waits", 0, is_wait);
    assert_eq!(waits.unwrap()["level"], "WARN");
    let ting = Ting::of(vec![process.into()]);
    // It tries again, and again.
    for tries in [4, 8] {
        wire.dialled(tries).await;
        let ready = ting.admin(Method::GET, "/readyz").try_send().await.unwrap();
        let told = json!({ "ready": false, "phase": "starting", "store": "unknown" });
        assert_eq!((ready.status, ready.json()), (503, told));
        ting.admin(Method::GET, "/livez").await.is(200);
        let asked = ting.get("/restapi/v1/channels/ting").try_send().await;
        let answer = asked.unwrap().refused(503, "unavailable");
        assert!(answer.header("retry-after").is_some(), "{answer:?}");
    }
    wire.turn(Flow::Open);
    let ready = ting
        .process()
        .wait_for_log("it is ready", 0, |line| line["message"] == "ready");
    ready.unwrap();
    let ready = ting.admin(Method::GET, "/readyz").await.is(200);
    assert_eq!(ready.field("store"), "reached");
    let room = ting.room().await;
    room.person("ada").await.says("hello").await;
    let log = ting.process().log();
    let waits = log
        .iter()
        .filter(|line| line.contains("waiting for the store"));
    assert_eq!(waits.count(), 1, "{log:?}");
}
