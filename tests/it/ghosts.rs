//! A ghost goes with its author's connection, and with nobody else's.

use serde_json::json;
use tests::{Person, Ting};

#[tokio::test]
async fn a_ghost_ends_with_its_authors_last_connection_then_comes_the_part() {
    let ting = Ting::shared().await;
    let room = ting.room().await;
    let bob = room.seed_person("bob").await;
    for ada in [room.seed_person("seed").await, room.person("full").await] {
        let ghost = ada.types("going").await;
        bob.sees(&ghost, "going").await;
        ada.closes().await;
        bob.no_longer_sees(&ghost).await;
        let parted = bob.hears("part", &ada.name, 0).await;
        let events = bob.events();
        let erased = events.iter().position(|event| {
            tests::connection::entry(event, ghost.id).is_some_and(|entry| entry["text"] == "")
        });
        assert!(
            erased.unwrap() < parted,
            "the erasing update, then the part"
        );
        assert!(bob.reads("").await.iter().all(|m| m["id"] != ghost.id));
    }
}

#[tokio::test]
async fn a_message_belongs_to_the_socket_that_typed_it_last() {
    let ting = Ting::shared().await;
    let room = ting.room().await;
    let [bob, tab] = room.people(["bob", "ada"]).await;
    let login = tests::Login::full().channels(&[room.name()]);
    let other_tab = tab.again(&login).await;
    let moved = tab.types("begun in one tab").await;
    let stays = tab.types("stays in one tab").await;
    other_tab.goes_on(&moved, "continued in the other").await;
    bob.sees(&moved, "continued in the other").await;
    bob.sees(&stays, "stays in one tab").await;
    tab.closes().await;
    bob.no_longer_sees(&stays).await;
    // The other one is alive and is typed on.
    other_tab.goes_on(&moved, "and on").await;
    bob.sees(&moved, "and on").await;
    assert!(
        bob.entries(moved.id)
            .iter()
            .all(|entry| entry["text"] != "")
    );
    other_tab.closes().await;
    bob.no_longer_sees(&moved).await;
}

#[tokio::test]
async fn a_message_typed_by_http_stays_until_the_sign_ins_last_socket_is_gone() {
    let ting = Ting::shared().await;
    let room = ting.room().await;
    let bob = room.person("bob").await;
    let tab = room.seed_person("ada").await;
    let other_tab = tab.again(&tests::Login::seed()).await;
    let ghost = tab.types("by HTTP").await;
    bob.sees(&ghost, "by HTTP").await;
    tab.closes().await;
    other_tab.goes_on(&ghost, "still by HTTP").await;
    bob.sees(&ghost, "still by HTTP").await;
    assert!(
        bob.entries(ghost.id)
            .iter()
            .all(|entry| entry["text"] != "")
    );
    other_tab.closes().await;
    bob.no_longer_sees(&ghost).await;
}

#[tokio::test]
async fn two_sign_ins_of_one_person_keep_their_own_ghosts() {
    let ting = Ting::shared().await;
    let room = ting.room().await;
    let bob = room.person("bob").await;
    let laptop = room.seed_person("ada").await;
    laptop.sets_password("correct horse").await;
    let auth = ting.signs_in_again(&laptop.name, "correct horse").await;
    let phone = Person::with(&room, laptop.name.clone(), auth, &tests::Login::seed()).await;
    let [on_laptop, on_phone] = [laptop.types("laptop").await, phone.types("phone").await];
    bob.sees(&on_laptop, "laptop").await;
    bob.sees(&on_phone, "phone").await;
    let from = bob.count();
    laptop.closes().await;
    bob.no_longer_sees(&on_laptop).await;
    phone.goes_on(&on_phone, "phone on").await;
    bob.sees(&on_phone, "phone on").await;
    let parted = bob.events()[from..]
        .iter()
        .any(|e| e.name == "part" && e.args[0] == *phone.name);
    assert!(!parted, "the phone is still there");
    assert!(
        bob.entries(on_phone.id)
            .iter()
            .all(|entry| entry["text"] != "")
    );
}

/// Takes a minute, so it is part of the long run.
#[tokio::test]
#[ignore = "waits a minute for a message to expire"]
async fn a_message_typed_by_http_without_a_socket_is_erased_after_a_minute() {
    let ting = Ting::shared().await;
    let room = ting.room().await;
    let bob = room.person("bob").await;
    let (_, auth) = ting.signs_in("ada").await;
    let body = json!({ "type": "channel", "target": room.name(), "text": "nobody keeps me" });
    let answer = ting
        .post("/api/v1/message")
        .cookie(&auth)
        .json(&body)
        .await
        .is(200);
    let ghost = tests::Ghost::of(answer.messageid(), "", &room.target());
    bob.sees(&ghost, "nobody keeps me").await;
    let began = tokio::time::Instant::now();
    let erased = async {
        while bob
            .entries(ghost.id)
            .iter()
            .all(|entry| entry["text"] != "")
        {
            tokio::time::sleep(std::time::Duration::from_millis(250)).await;
        }
    };
    let limit = std::time::Duration::from_secs(60) + tests::LIMIT;
    tokio::time::timeout(limit, erased)
        .await
        .expect("it is erased after a minute");
    assert!(
        began.elapsed() > std::time::Duration::from_secs(45),
        "it was erased too early"
    );
}
