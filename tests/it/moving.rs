//! Moving up: a whole embedded store, copied into a database.

use serde_json::json;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use tests::keyspaces::Keyspace;
use tests::process::{command, run_to_end};
use tests::{Answer, Login, Person, Room, Settings, Target, Ting, names};

/// Messages of the long channel: some chunks of the copy, so that it can be killed in the midst.
const LONG: usize = 4_000;

/// `ting migrate --from … --to cql` with these settings.
fn migrate(directory: &std::path::Path, file: &std::path::Path, settings: &Settings) -> Command {
    let toml = directory.join("moving.toml");
    std::fs::write(&toml, settings.toml()).unwrap();
    let from = format!("embedded:{}", file.display());
    let mut command = command(directory, settings.variables());
    command.arg("--config").arg(toml);
    command.args(["migrate", "--from", &from, "--to", "cql"]);
    command
}

async fn posts(ting: &Ting, path: &str, name: &str, text: &str) {
    let body = json!({ "text": text, "username": name, "datetime_start": 1, "typing": false });
    let answer: Answer = ting.post(path).privileged().json(&body).await;
    answer.is(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_embedded_store_moves_into_a_database_though_the_copy_was_killed() {
    if !tests::settings::is_cql() {
        println!("skipped: there is no database to move to in this run");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("ting.db");
    let quick = Settings::default()
        .set("limits.sends_per_second", "100000")
        .set("limits.sends_burst", "100000");
    let old = Ting::with(quick.clone().with_file(directory.path())).await;
    let room = old.room().await;
    let [ada, mut bob] = room.people(["ada", "bob"]).await;
    ada.sets_password("correct horse").await;
    let said = ada.says(&names::text("said")).await;
    let erased = bob.says(&names::text("erased")).await;
    old.delete(&format!("/restapi/v1/messages/{}", erased.id))
        .privileged()
        .await
        .is(204);
    bob.turns_to(&ada);
    bob.says("read").await;
    let read = json!({ "type": "user", "target": bob.name });
    let read = old.post("/api/v1/conversations/read").json(&read);
    read.cookie(&ada.auth).await.is(204);
    bob.says("unread").await;
    let key = json!({
        "type": "channel", "target": room.name(), "text": "with a key", "typing": false,
        "key": names::unique("key"),
    });
    let keyed = old.post("/api/v1/message").bearer(&ada.auth).json(&key);
    let keyed = keyed.await.is(200).messageid();
    let long = old.room().await;
    let path = format!("/restapi/v1/messages/channel/{}", long.name());
    for part in (0..LONG).collect::<Vec<_>>().chunks(16) {
        let part = part.iter().map(|n| n.to_string()).collect::<Vec<_>>();
        let posts = part.iter().map(|text| posts(&old, &path, &bob.name, text));
        futures::future::join_all(posts).await;
    }
    let history = whole(&old, &ada, &long.target()).await;
    let conversations = conversations(&old, &ada).await;
    assert_eq!(conversations[0]["unread"], 1);
    old.process().signal("TERM");
    old.process().ended();

    // Killed after its first chunk of messages, and begun again.
    let keyspace = Keyspace::fresh();
    let settings = quick.with_keyspace(keyspace.name());
    let mut killed = migrate(directory.path(), &file, &settings);
    let mut killed = killed.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(killed.stdout.take().unwrap()).lines();
    let first = lines.find(|line| line.as_ref().unwrap().starts_with("messages: "));
    killed.kill().unwrap();
    killed.wait().unwrap();
    let first = first.expect("messages are copied").unwrap();
    assert!(
        !first.contains(&format!("{LONG} of")),
        "killed too late: {first}"
    );
    // Nobody is served a half of it.
    let mut half = command(directory.path(), settings.variables());
    half.arg("--config")
        .arg(directory.path().join("moving.toml"));
    let half = run_to_end(&mut half);
    assert_eq!(half.code, Some(1), "{}", half.said);
    let remedy = "ting migrate --from embedded:PATH --to cql";
    assert!(half.said.contains(remedy), "{}", half.said);
    let ended = run_to_end(&mut migrate(directory.path(), &file, &settings));
    assert_eq!(ended.code, Some(0), "{}", ended.said);
    assert!(!ended.said.contains("NOT"), "{}", ended.said);
    assert!(ended.said.contains("messages: "), "{}", ended.said);
    // It went on, and did not begin anew: 500 are the first chunk.
    assert!(!ended.said.contains("messages: 500 of"), "{}", ended.said);
    // Once more changes nothing.
    let again = run_to_end(&mut migrate(directory.path(), &file, &settings));
    assert_eq!(again.code, Some(0), "{}", again.said);

    let new = Ting::with(settings).await;
    let auth = new.signs_in_again(&ada.name, "correct horse").await;
    let room = Room::of(&new, room.name());
    let moved = Person::with(&room, ada.name.clone(), auth, &Login::full()).await;
    assert_eq!(whole(&new, &moved, &long.target()).await, history);
    assert_eq!(self::conversations(&new, &moved).await, conversations);
    let kept = moved.reads("").await;
    let ids: Vec<_> = kept.iter().map(|m| m["id"].as_u64().unwrap()).collect();
    assert_eq!(ids, [keyed, said.id]);
    // A sign-in and a key go on.
    let again = new.post("/api/v1/message").bearer(&ada.auth).json(&key);
    assert_eq!(again.await.is(200).messageid(), keyed);
    // Names are taken, and what comes is above what was.
    let taken = json!({ "username": bob.name });
    let taken = new.post("/restapi/v1/sessions").json(&taken);
    taken.await.refused(403, "username_reserved");
    let next = moved.says("first in its new place").await;
    assert!(next.id > keyed);
    // A ting has used it: nothing may be copied over that by another file.
    let other = directory.path().join("other.db");
    let made = Ting::with(Settings::default().text("store.path", &other.to_string_lossy())).await;
    made.process().signal("TERM");
    made.process().ended();
    let settings = Settings::default().with_keyspace(keyspace.name());
    let refused = run_to_end(&mut migrate(directory.path(), &other, &settings));
    assert_eq!(refused.code, Some(1), "{}", refused.said);
    assert!(refused.said.contains("another file"), "{}", refused.said);
}

async fn whole(ting: &Ting, person: &Person, of: &Target) -> Vec<serde_json::Value> {
    let mut all = Vec::new();
    let mut query = "?lim=1000".to_owned();
    loop {
        let page = ting.history(&person.auth, of, &query).await;
        let Some(last) = page.last() else { return all };
        query = format!("?lim=1000&before={}", last["id"]);
        all.extend(page);
    }
}

async fn conversations(ting: &Ting, person: &Person) -> Vec<serde_json::Value> {
    let list = ting.get("/api/v1/conversations").cookie(&person.auth).await;
    list.is(200).json().as_array().unwrap().clone()
}
