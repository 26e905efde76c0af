//! Clients that misbehave: others go on typing, and memory is bounded.

use crate::others::Others;
use loadtest::socket::Connect;
use serde_json::json;
use std::time::Duration;
use tests::{
    Answer, Login, Person, Room, Ting, names,
    raw::{self, RawSocket},
    size, within_limit,
};
use tokio::{
    sync::watch,
    task::{JoinHandle, JoinSet},
    time::Instant,
};

/// People who fill every frame of a room, until they are stopped.
async fn fills_every_frame(people: Vec<Person>) {
    let mut ghosts = Vec::new();
    for person in &people {
        for _ in 0..3 {
            ghosts.push((person, person.types("🙂").await));
        }
    }
    for n in 0_u64.. {
        let text = format!("{n}{}", "🙂".repeat(1_900));
        for (person, ghost) in &ghosts {
            person.goes_on(ghost, &text).await;
        }
    }
}

async fn people(room: &Room, count: usize) -> Vec<Person> {
    let login = Login::seed()
        .channels(&[])
        .with("presence", "batched")
        .with("resume", true);
    futures::future::join_all((0..count).map(|_| Person::arrives(room, "flood", &login))).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_viewer_that_stops_reading_is_ended() {
    let ting = Ting::alone().await;
    let room = ting.room().await;
    let others = Others::in_room(&room).await;
    let stalled = room.person("stalled").await;
    others.viewer.hears("join", &stalled.name, 0).await;
    stalled.sender().stop_reading().await.unwrap();
    let flood = tokio::spawn(fills_every_frame(people(&room, 4).await));
    others.go_on("a viewer does not read").await;
    others.viewer.hears("part", &stalled.name, 0).await;
    flood.abort();
    others.go_on("it is gone").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_viewer_that_reads_a_byte_a_second_is_ended() {
    let ting = Ting::alone().await;
    let room = ting.room().await;
    let others = Others::in_room(&room).await;
    let (name, auth) = ting.signs_in("slow").await;
    let login = json!({ "username": name, "ting_auth": auth, "channels": [room.name()] });
    let mut slow = RawSocket::logged_in(&ting.address(), &login).await.unwrap();
    others.viewer.hears("join", &name, 0).await;
    let reading = tokio::spawn(async move {
        let mut second = tokio::time::interval(Duration::from_secs(1));
        loop {
            second.tick().await;
            // It says that it is alive, whatever it has been asked.
            if slow.read_byte().await.is_err() || slow.text("3").await.is_err() {
                break;
            }
        }
    });
    let flood = tokio::spawn(fills_every_frame(people(&room, 4).await));
    others.go_on("a viewer reads a byte a second").await;
    others.viewer.hears("part", &name, 0).await;
    flood.abort();
    reading.abort();
}

#[tokio::test]
async fn a_silent_clients_ghost_is_gone_soon() {
    let ting = Ting::shared().await;
    let room = ting.room().await;
    let [ada, bob] = room.people(["ada", "bob"]).await;
    let ghost = ada.types("frozen").await;
    bob.sees(&ghost, "frozen").await;
    ada.sender().stop_reading().await.unwrap();
    let silent = Instant::now();
    bob.no_longer_sees(&ghost).await;
    // 15 seconds are promised; a busy machine has some more.
    assert!(
        silent.elapsed() < Duration::from_secs(20),
        "{:?}",
        silent.elapsed()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sockets_that_never_log_in_are_closed() {
    let ting = Ting::alone().await;
    let room = ting.room().await;
    let others = Others::in_room(&room).await;
    let count = size("TING_TEST_SILENT", 100);
    let (tell, mut closed) = watch::channel(());
    let ting = Ting::at(&ting.address(), None);
    let flood = tokio::spawn(async move {
        // More come as soon as those before them are closed.
        loop {
            let silent = (0..count).map(|_| ting.connection());
            let silent = futures::future::join_all(silent).await;
            let closing = silent.iter().map(|connection| connection.is_closed());
            futures::future::join_all(closing).await;
            tell.send_replace(());
        }
    });
    others.go_on("sockets never log in").await;
    closed.changed().await.expect("all of them are closed");
    flood.abort();
}

#[tokio::test]
async fn half_open_connections_are_closed() {
    use tokio::io::AsyncWriteExt;
    let ting = Ting::alone().await;
    let room = ting.room().await;
    let others = Others::in_room(&room).await;
    let mut streams = Vec::new();
    for head in [
        "GET /restapi/v1/channels/ting HTTP/1.1\r\nHost: x",
        "GET /resta",
        "POST /restapi/v1/sessions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
         Content-Length: 100\r\n\r\n{\"user",
    ] {
        for _ in 0..20 {
            let mut stream = raw::dial(&ting.address()).await;
            stream.write_all(head.as_bytes()).await.unwrap();
            streams.push(stream);
        }
    }
    others.go_on("connections are half open").await;
    let closing = streams.iter_mut().map(raw::ends);
    let all = futures::future::join_all(closing);
    within_limit("the end of half-open connections", all).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_updates_a_second_from_one_typist_disturb_nobody() {
    let ting = Ting::alone().await;
    let room = ting.room().await;
    let others = Others::in_room(&room).await;
    let flooding = room.person("flood").await;
    let ghost = flooding.types("0").await;
    let target = room.name().to_owned();
    let flood = tokio::spawn(async move {
        let mut pace = tokio::time::interval(Duration::from_millis(10));
        for n in 0.. {
            pace.tick().await;
            for _ in 0..10 {
                let patch = json!({
                    "type": "channel", "target": target, "messageid": ghost.id, "typing": true,
                    "text": n.to_string(),
                });
                // It may be ended for this.
                if flooding
                    .sender()
                    .emit("patch-message", patch)
                    .await
                    .is_err()
                {
                    return;
                }
            }
        }
    });
    others.go_on("a thousand updates a second").await;
    flood.abort();
}

#[tokio::test]
async fn frames_of_64_mib_are_refused() {
    let ting = Ting::alone().await;
    let room = ting.room().await;
    let others = Others::in_room(&room).await;
    let chunk = vec![b'x'; 1 << 20];
    for first in [0x81, 0x82, 0x01] {
        let mut socket = RawSocket::open(&ting.address()).await.unwrap();
        socket.text("40").await.unwrap();
        // It may end as soon as it has read how long the frame is to be.
        let mut sent = socket.write(&raw::head(first, 64 << 20)).await;
        for _ in 0..64 {
            if sent.is_err() {
                break;
            }
            sent = socket.write(&chunk).await;
        }
        socket.ends().await;
        others.go_on("a frame of 64 MiB").await;
    }
}

#[tokio::test]
async fn an_endless_message_in_small_frames_is_refused() {
    let ting = Ting::alone().await;
    let room = ting.room().await;
    let others = Others::in_room(&room).await;
    let mut socket = RawSocket::open(&ting.address()).await.unwrap();
    let part = [b'x'; 16 << 10];
    let mut sent = socket.write(&raw::frame(0x01, &part)).await;
    for _ in 0..(64 << 20) / part.len() {
        if sent.is_err() {
            break;
        }
        sent = socket.write(&raw::frame(0x00, &part)).await;
    }
    assert!(sent.is_err(), "64 MiB in parts were taken");
    others.go_on("a message without an end").await;
}

/// Wrong passwords for one name, at a pace that does not wait for the answers.
struct Guesses {
    answered: watch::Receiver<usize>,
    flood: JoinHandle<()>,
    over: watch::Sender<bool>,
}

impl Guesses {
    fn begin(ting: &Ting, name: &str, per_second: u32) -> Guesses {
        let (tell, answered) = watch::channel(0);
        let (over, mut is_over) = watch::channel(false);
        // The test alone holds the process, whose log is shown when it fails.
        let (ting, name) = (Ting::at(&ting.address(), None), name.to_owned());
        let flood = tokio::spawn(async move {
            let mut pace = tokio::time::interval(Duration::from_secs(1) / per_second);
            let mut asked = JoinSet::new();
            while !*is_over.borrow_and_update() {
                pace.tick().await;
                let body = json!({ "username": name, "password": names::unique("guess") });
                let ask = ting.post("/restapi/v1/sessions").json(&body);
                let tell = tell.clone();
                asked.spawn(async move {
                    is_a_refused_guess(&ask.try_send().await.unwrap());
                    tell.send_modify(|answered| *answered += 1);
                });
                while let Some(guess) = asked.try_join_next() {
                    guess.unwrap();
                }
            }
            asked.join_all().await;
        });
        Guesses {
            answered,
            flood,
            over,
        }
    }

    fn answered(&self) -> usize {
        *self.answered.borrow()
    }

    /// Waits until the last is answered, too.
    async fn end(self) {
        self.over.send_replace(true);
        within_limit("the answers to all guesses", self.flood)
            .await
            .unwrap();
    }
}

fn is_a_refused_guess(answer: &Answer) {
    assert!(
        matches!(answer.status, 403 | 429 | 503),
        "{}",
        answer.status
    );
    if answer.status != 403 {
        assert!(
            answer.header("retry-after").is_some(),
            "it says when to try again"
        );
    }
    answer.json();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_wrong_passwords_disturbs_nobody_who_types() {
    let ting = Ting::alone().await;
    let room = ting.room().await;
    let others = Others::in_room(&room).await;
    let ada = room.person("ada").await;
    ada.sets_password("correct horse").await;
    let per_second = size("TING_TEST_GUESSES", 60) as u32;
    let mut guesses = Guesses::begin(&ting, &ada.name, per_second);
    guesses.answered.changed().await.unwrap();
    let (before, began) = (guesses.answered(), Instant::now());
    others.go_on("a flood of wrong passwords").await;
    let answered = (guesses.answered() - before) as f64;
    let rate = answered / began.elapsed().as_secs_f64();
    println!("{rate:.0} guesses a second were answered meanwhile, of {per_second}");
    assert!(rate > f64::from(per_second) / 2.0, "{rate} is no flood");
    guesses.end().await;
    // Who knows it still gets in.
    let right = json!({ "username": ada.name, "password": "correct horse" });
    within_limit("a sign-in after the flood", async {
        while ting.post("/restapi/v1/sessions").json(&right).await.status != 200 {
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    })
    .await;
}

/// So many sockets of one person, that only answer pings; each is logged in when awaited.
async fn idles(ting: &Ting, count: usize) -> Vec<impl Future<Output = AbortOnDrop>> {
    let (name, auth) = ting.signs_in("idle").await;
    let login =
        json!({ "username": name, "ting_auth": auth, "channels": [], "presence": "batched" });
    let one = || {
        let (url, login) = (ting.url(), login.clone());
        async move {
            let mut socket = Connect::to(&url).unwrap().open().await.unwrap();
            socket.emit("login", &login).await.unwrap();
            socket.next().await.unwrap();
            let reading = async move { while socket.next().await.is_ok() {} };
            AbortOnDrop(tokio::spawn(reading))
        }
    };
    (0..count).map(|_| one()).collect()
}

/// A task that ends with the test.
struct AbortOnDrop(JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_sockets_stay_and_cost_little() {
    let count = size("TING_TEST_IDLE", 500);
    let ting = Ting::alone().await;
    let room = ting.room().await;
    let others = Others::in_room(&room).await;
    let before = ting.process().resident_bytes();
    let mut idle = Vec::new();
    while idle.len() < count {
        let more = (count - idle.len()).min(10);
        idle.extend(futures::future::join_all(idles(&ting, more).await).await);
    }
    let each = ting.process().resident_bytes().saturating_sub(before) / count as u64;
    println!("{count} idle sockets, {each} bytes each");
    others.go_on("many are idle").await;
    assert!(
        idle.iter().all(|socket| !socket.0.is_finished()),
        "all stay"
    );
    assert!(each < 128 << 10, "{each} bytes for an idle socket");
    assert_eq!(ting.metrics().await.sum("ting_sockets"), count as f64 + 2.0);
}
