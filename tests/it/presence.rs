//! Who is online.

use serde_json::{Value, json};
use tests::{Connection, Login, Ting};

fn count(connection: &Connection, event: &str, name: &str) -> usize {
    let events = connection.events();
    events
        .iter()
        .filter(|e| e.name == event && e.args == [json!(name)])
        .count()
}

#[tokio::test]
async fn a_join_is_told_at_the_first_connection_and_a_part_at_the_last() {
    let ting = Ting::shared().await;
    let bob = ting.seed_person("bob").await;
    let ada = ting.seed_person("ada").await;
    bob.hears("join", &ada.name, 0).await;
    let second = ada.again(&Login::seed()).await;
    second.hears("join", &ada.name, 0).await;
    ada.closes().await;
    // What happens after is heard after.
    let cyd = ting.seed_person("cyd").await;
    bob.hears("join", &cyd.name, 0).await;
    assert_eq!(count(&bob, "join", &ada.name), 1);
    assert_eq!(count(&bob, "part", &ada.name), 0);
    second.closes().await;
    bob.hears("part", &ada.name, 0).await;
    assert_eq!(count(&bob, "part", &ada.name), 1);
}

#[tokio::test]
async fn who_comes_back_joins_again() {
    let ting = Ting::shared().await;
    let bob = ting.seed_person("bob").await;
    let mut ada = ting.seed_person("ada").await;
    let joined = bob.hears("join", &ada.name, 0).await;
    ada.closes().await;
    let parted = bob.hears("part", &ada.name, joined).await;
    ada.reconnects().await;
    bob.hears("join", &ada.name, parted).await;
}

#[tokio::test]
async fn a_connection_that_is_cut_parts_as_well() {
    let ting = Ting::shared().await;
    let bob = ting.seed_person("bob").await;
    let (name, auth) = ting.signs_in("ada").await;
    let mut cut = loadtest::socket::Connect::to(&ting.url())
        .unwrap()
        .open()
        .await
        .unwrap();
    cut.emit("login", &json!({ "username": name, "ting_auth": auth }))
        .await
        .unwrap();
    bob.hears("join", &name, 0).await;
    // No farewell: the TCP connection ends.
    drop(cut);
    bob.hears("part", &name, 0).await;
}

#[tokio::test]
async fn all_online_hear_of_everyone_wherever_they_are() {
    let ting = Ting::shared().await;
    let [one, other] = [ting.room().await, ting.room().await];
    let bob = other.person("bob").await;
    let ada = one.person("ada").await;
    bob.hears("join", &ada.name, 0).await;
    ada.closes().await;
    bob.hears("part", &ada.name, 0).await;
}

#[tokio::test]
async fn who_asked_for_it_hears_of_presence_in_batches() {
    let ting = Ting::shared().await;
    let room = ting.room().await;
    let (name, auth) = ting.signs_in("bob").await;
    let bob = ting.connection().await;
    let login = Login::seed().with("presence", "batched");
    bob.logs_in(&name, &auth, &login).await;
    let told = async |list: &str, who: &str| {
        let what = format!("{who} in {list}");
        bob.until(&what, |events| {
            let named = |event: &loadtest::socket::Event| {
                let names = event.args[0][list].as_array();
                names.is_some_and(|names| names.contains(&Value::from(who)))
            };
            events
                .iter()
                .any(|e| e.name == "presence" && named(e))
                .then_some(())
        })
        .await;
    };
    told("joined", &name).await;
    let [ada, cyd] = room.people(["ada", "cyd"]).await;
    told("joined", &ada.name).await;
    told("joined", &cyd.name).await;
    ada.closes().await;
    told("parted", &ada.name).await;
}

#[tokio::test]
async fn lists_agree_after_people_have_come_and_gone() {
    let ting = Ting::alone().await;
    let room = ting.room().await;
    let watcher = room.person("watcher").await;
    let people = room.people(["a", "b", "c", "d", "e", "f"]).await;
    for person in people.iter().step_by(2) {
        person.closes().await;
        watcher.hears("part", &person.name, 0).await;
    }
    let (name, auth) = ting.signs_in("late").await;
    let late = ting.connection().await;
    let mut listed = late.logs_in(&name, &auth, &Login::seed()).await;
    listed.sort();
    let mut expected: Vec<String> = people
        .iter()
        .skip(1)
        .step_by(2)
        .map(|person| person.name.clone())
        .collect();
    expected.extend([watcher.name.clone(), name]);
    expected.sort();
    assert_eq!(listed, expected);
}
