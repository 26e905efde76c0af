//! What a run leaves in logs, metrics and traces: what happened, never what was said.

use reqwest::Method;
use serde_json::{Value, json};
use tests::{Connection, Settings, Target, Ting, collector::Collector, names, raw};

/// More than spans may take that wait for a collector; 20,000 would take twice as much.
const SPANS_BYTES: u64 = 4 << 20;

/// Values that are the people's own, made so that they are found anywhere.
struct Secrets {
    all: Vec<(&'static str, String)>,
}

impl Secrets {
    fn fresh(&mut self, what: &'static str) -> String {
        let value = names::unique("s");
        self.all.push((what, value.clone()));
        value
    }

    fn keep(&mut self, what: &'static str, value: &str) {
        self.all.push((what, value.to_owned()));
    }

    fn are_not_in(&self, place: &str, bytes: &[u8]) {
        for (what, value) in &self.all {
            let found = bytes
                .windows(value.len())
                .position(|window| window == value.as_bytes());
            if let Some(at) = found {
                let around = &bytes[at.saturating_sub(200)..bytes.len().min(at + 100)];
                panic!(
                    "{what} is in the {place}: {}",
                    String::from_utf8_lossy(around)
                );
            }
        }
    }
}

/// Everything people do, and everything that is refused, with secrets in every place.
async fn a_whole_run(ting: &Ting, secrets: &mut Secrets) {
    let room = ting.room().await;
    let [mut ada, bob] = room.people(["ada", "bob"]).await;
    let seed = room.seed_person("seed").await;
    for person in [&ada, &bob, &seed] {
        secrets.keep("a token", &person.auth);
    }
    let password = secrets.fresh("a password");
    ada.sets_password(&password).await;
    let second = ting.signs_in_again(&ada.name, &password).await;
    secrets.keep("a token", &second);
    let wrong = json!({ "username": ada.name, "password": secrets.fresh("a wrong password") });
    ting.post("/restapi/v1/sessions").json(&wrong).await.is(403);
    let email = format!("{}@example.org", secrets.fresh("an address"));
    let path = format!("/restapi/v1/users/{}", ada.name);
    ting.patch(&path)
        .cookie(&second)
        .json(&json!({ "email": email }))
        .await
        .is(204);
    let refused = json!({ "email": secrets.fresh("a refused address"), "password": "" });
    ting.patch(&path)
        .cookie(&second)
        .json(&refused)
        .await
        .is(422);
    for typist in [&ada, &seed] {
        let typed = secrets.fresh("what was typed");
        let sent = secrets.fresh("what was sent");
        let ghost = typist.types(&typed).await;
        bob.sees(&ghost, &typed).await;
        typist.sends(&ghost, &sent).await;
        bob.sees_sent(&ghost, &sent).await;
        let erased = secrets.fresh("what was erased");
        let ghost = typist.types(&erased).await;
        bob.sees(&ghost, &erased).await;
        typist.erases(&ghost).await;
        bob.no_longer_sees(&ghost).await;
    }
    ada.turns_to(&bob);
    let private = secrets.fresh("a private");
    let ghost = ada.says(&private).await;
    secrets.keep("a claim", &ghost.claim);
    bob.sees_sent(&ghost, &private).await;
    ting.history(&ada.auth, &Target::user(&bob.name), "").await;
    ting.get("/api/v1/conversations")
        .cookie(&ada.auth)
        .await
        .is(200);
    // What is malformed is not shown, either.
    for text in [
        secrets.fresh("a malformed body"),
        secrets.fresh("another malformed body"),
    ] {
        let ask = ting.post("/api/v1/message").cookie(&ada.auth);
        ask.body("application/json", format!("{{\"text\":\"{text}\""))
            .await
            .is(400);
        let ask = ting.post("/api/v1/message").cookie(&ada.auth);
        ask.json(&json!({ "type": [text], "text": text }))
            .await
            .is(400);
        bob.asks("post-message", json!({ "type": text, "text": text }))
            .await;
        bob.emit("patch-message", json!([text])).await;
        bob.emit(&text, json!(text)).await;
        // A packet that can't be read ends its connection.
        let broken = Connection::open(&ting.url(), &[]).await;
        let packet = format!("42[\"post-message\",{{\"text\":\"{text}\"");
        broken.sender().send_raw(packet).await.unwrap();
        broken.is_closed().await;
    }
    let cookie = secrets.fresh("a wrong cookie");
    ting.get("/restapi/v1/sessions")
        .cookie(&cookie)
        .await
        .is(403);
    let guess = secrets.fresh("a wrong secret");
    ting.delete("/restapi/v1/messages/1")
        .header("authorization", &guess)
        .await
        .is(401);
    let connection =
        Connection::open(&ting.url(), &[("cookie", &format!("ting_auth={cookie}"))]).await;
    let login = json!({ "username": ada.name, "ting_auth": secrets.fresh("a wrong token") });
    connection.tries_to_log_in(login).await;
    connection.is_closed().await;
    secrets.keep("the shared secret", tests::SECRET);
    let privileged = secrets.fresh("what was brought in");
    let body =
        json!({ "text": privileged, "username": "bridge", "datetime_start": 1, "typing": false });
    ting.post(&room.target().history_path())
        .privileged()
        .json(&body)
        .await
        .is(200);
    ting.delete("/restapi/v1/sessions")
        .cookie(&second)
        .await
        .is(204);
}

#[tokio::test]
async fn no_text_password_or_cookie_is_in_logs_metrics_or_traces() {
    let collector = Collector::start().await;
    let settings = Settings::default()
        .text("otel.endpoint", &collector.url())
        .text("log.filter", "debug");
    let ting = Ting::with(settings).await;
    let mut secrets = Secrets { all: Vec::new() };
    a_whole_run(&ting, &mut secrets).await;
    let metrics = ting.metrics().await;
    secrets.are_not_in("metrics", metrics.text.as_bytes());
    collector.until("traces", |bytes| !bytes.is_empty()).await;
    ting.process().signal("TERM");
    let ended = ting.clone();
    tokio::task::spawn_blocking(move || ended.process().ended())
        .await
        .unwrap();
    let log = ting.process().log().join("\n");
    assert!(log.lines().count() > 10, "a run leaves a log: {log}");
    secrets.are_not_in("log", log.as_bytes());
    let traces = collector.bytes();
    assert!(
        collector.paths().iter().all(|path| path == "/v1/traces"),
        "{:?}",
        collector.paths()
    );
    secrets.are_not_in("traces", &traces);
}

#[tokio::test]
async fn a_trace_follows_a_message_from_the_request_on() {
    let collector = Collector::start().await;
    let ting = Ting::with(Settings::default().text("otel.endpoint", &collector.url())).await;
    let room = ting.room().await;
    let (_, auth) = ting.signs_in("ada").await;
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let body = json!({ "type": "channel", "target": room.name(), "text": "x", "typing": false });
    let ask = ting.post("/api/v1/message").bearer(&auth).json(&body);
    ask.header("traceparent", &format!("00-{trace}-00f067aa0ba902b7-01"))
        .await
        .is(200);
    let id: Vec<u8> = (0..16)
        .map(|n| u8::from_str_radix(&trace[2 * n..2 * n + 2], 16).unwrap())
        .collect();
    let holds = |bytes: &[u8]| bytes.windows(16).any(|window| window == id);
    collector.until("the browser's trace", holds).await;
}

#[tokio::test]
async fn a_collector_that_is_away_costs_nothing() {
    let unused = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = unused.local_addr().unwrap();
    drop(unused);
    let settings = Settings::default().text("otel.endpoint", &format!("http://{address}"));
    let ting = Ting::with(settings).await;
    let room = ting.room().await;
    let [ada, bob] = room.people(["ada", "bob"]).await;
    for n in 0..20 {
        let said = ada.says(&n.to_string()).await;
        bob.sees_sent(&said, &n.to_string()).await;
    }
}

/// Requests on one connection, each of which makes a span; all are answered.
async fn asks_for_spans(ting: &Ting, count: usize) {
    const AT_ONCE: usize = 500;
    let request = |last| {
        let end = if last { "Connection: close\r\n" } else { "" };
        format!("GET /restapi/v1/channels/ting HTTP/1.1\r\nHost: x\r\n{end}\r\n")
    };
    let requests = request(false).repeat(AT_ONCE - 1) + &request(true);
    for _ in 0..count / AT_ONCE {
        let said = raw::exchange(&ting.address(), requests.as_bytes(), tests::LIMIT).await;
        let said = String::from_utf8_lossy(&said);
        assert_eq!(said.matches("HTTP/1.1 200 ").count(), AT_ONCE);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_never_answers_costs_no_time_and_little_memory() {
    let collector = Collector::that_never_answers().await;
    let ting = Ting::with(Settings::default().text("otel.endpoint", &collector.url())).await;
    let room = ting.room().await;
    let [ada, bob] = room.people(["ada", "bob"]).await;
    // As many as may wait for a collector.
    asks_for_spans(&ting, 5_000).await;
    collector.until("spans", |bytes| !bytes.is_empty()).await;
    let resident = ting.process().resident_bytes();
    asks_for_spans(&ting, 20_000).await;
    let more = ting.process().resident_bytes().saturating_sub(resident);
    println!("{} KiB more for 20,000 spans that nobody takes", more >> 10);
    assert!(more < SPANS_BYTES, "{more} bytes");
    // Each batch is given three seconds: who waited for them would be too late.
    tests::within_limit("30 sends", async {
        for n in 0..30 {
            let said = ada.says(&n.to_string()).await;
            bob.sees_sent(&said, &n.to_string()).await;
        }
    })
    .await;
    let given_up = |line: &Value| line["message"] == "the collector of traces does not answer";
    let told = ting.process().wait_for_log("it is told", 0, given_up);
    assert_eq!(told.unwrap()["level"], "WARN");
}

#[tokio::test]
async fn logs_are_one_object_a_line() {
    let ting = Ting::alone().await;
    ting.room().await.person("ada").await;
    for line in ting.process().log() {
        let object: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("{line}"));
        assert!(object["message"].is_string(), "{line}");
    }
}

#[tokio::test]
async fn a_header_that_is_not_believed_is_told_once_wherever_it_comes() {
    let ting = Ting::alone().await;
    let path = "/restapi/v1/channels/ting";
    let pretended = ("x-forwarded-for", "203.0.113.7");
    for _ in 0..2 {
        let asked = ting.get(path).header(pretended.0, pretended.1);
        asked.await.is(200);
        Connection::open(&ting.url(), &[pretended]).await;
    }
    let log = ting.process().log();
    let told = log.iter().filter(|line| line.contains("forwarding header"));
    assert_eq!(told.count(), 1, "{log:?}");
}

#[tokio::test]
async fn a_node_that_nobody_has_come_to_says_so() {
    let ting = Ting::alone().await;
    let metrics = ting.metrics().await;
    assert!(metrics.has("ting_sockets"), "{}", metrics.text);
    assert_eq!(metrics.sum("ting_sockets"), 0.0);
}

#[tokio::test]
async fn metrics_count_and_name_nobody() {
    let ting = Ting::alone().await;
    let room = ting.room().await;
    let [ada, bob] = room.people(["ada", "bob"]).await;
    let ghost = ada.types("x").await;
    bob.sees(&ghost, "x").await;
    // Some are counted now and then.
    let counted = async {
        loop {
            let metrics = ting.metrics().await;
            if metrics.sum("ting_typing_messages") == 1.0 {
                return metrics;
            }
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        }
    };
    let metrics = tests::within_limit("ting_typing_messages at 1", counted).await;
    assert_eq!(metrics.sum("ting_sockets"), 2.0, "{}", metrics.text);
    assert!(
        metrics.sum("ting_keystrokes_total") >= 1.0,
        "{}",
        metrics.text
    );
    assert!(
        metrics.sum("ting_keystroke_delivery_seconds_count") >= 1.0,
        "{}",
        metrics.text
    );
    for name in [&ada.name, &bob.name, room.name()] {
        assert!(!metrics.text.contains(name), "{name} is a label");
    }
    assert_eq!(metrics.sum("ting_store_answers"), 1.0, "{}", metrics.text);
    // Counters end in `_total`, and all are Ting's.
    for line in metrics
        .text
        .lines()
        .filter(|line| line.starts_with("# TYPE ting_"))
    {
        let [_, _, name, kind] = line.split(' ').collect::<Vec<_>>()[..] else {
            panic!("{line}");
        };
        assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
        let described = format!("# HELP {name} ");
        assert!(
            metrics.text.contains(&described),
            "{name} has no description"
        );
    }
    let answer = ting.admin(Method::GET, "/metrics").await;
    assert!(
        answer
            .header("content-type")
            .unwrap()
            .starts_with("text/plain")
    );
}
