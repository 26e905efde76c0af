//! Where a connection is, and what it hears there.

use serde_json::{Value, json};
use tests::{Connection, Ghost, Login, Person, Room, Ting, names};

/// Waits until this connection, which is in `ting`, has heard something said after all else.
async fn hears_what_is_said_after(connection: &Connection, ting: &Ting) {
    let marker = ting.seed_person("marker").await.says("marker").await;
    connection.sees_sent(&marker, "marker").await;
}

/// Has somebody type where nobody else is, and see it.
async fn typed_in(room: &Room) -> (Person, Ghost) {
    let ada = room.person("ada").await;
    let ghost = ada.types("to whom it concerns").await;
    ada.sees(&ghost, "to whom it concerns").await;
    (ada, ghost)
}

#[tokio::test]
async fn who_logs_in_is_in_ting() {
    let ting = Ting::shared().await;
    let bob = ting.seed_person("bob").await;
    let ada = ting.seed_person("ada").await;
    let ghost = ada.types("hello, ting").await;
    bob.sees(&ghost, "hello, ting").await;
    ada.erases(&ghost).await;
}

#[tokio::test]
async fn who_is_not_in_a_channel_hears_nothing_of_it() {
    let ting = Ting::shared().await;
    let bob = ting.seed_person("bob").await;
    let (ada, ghost) = typed_in(&ting.room().await).await;
    ada.sends(&ghost, "sent").await;
    hears_what_is_said_after(&bob, &ting).await;
    bob.never_saw(&ghost);
}

#[tokio::test]
async fn reading_a_channel_enters_it_with_all_the_sign_ins_connections() {
    let ting = Ting::shared().await;
    let room = ting.room().await;
    let (ada, ghost) = typed_in(&room).await;
    let bob = ting.seed_person("bob").await;
    let other_tab = bob.again(&Login::seed()).await;
    // Either API, either proof of who one is.
    let path = room.target().history_path().replace("/api/", "/restapi/");
    ting.get(&path).bearer(&bob.auth).await.is(200);
    for tab in [&bob, &other_tab] {
        tab.sees(&ghost, "to whom it concerns").await;
        ada.goes_on(&ghost, "more").await;
        tab.sees(&ghost, "more").await;
        ada.goes_on(&ghost, "to whom it concerns").await;
    }
}

#[tokio::test]
async fn once_a_channel_is_read_nothing_of_it_is_missed() {
    let ting = Ting::shared().await;
    let room = ting.room().await;
    let ada = room.person("ada").await;
    let bob = ting.seed_person("bob").await;
    // Sent without a pause around the moment of the reading: each is in the one or in the other.
    let mut said = Vec::new();
    for n in 0..5 {
        said.push(ada.says(&format!("before {n}")).await);
    }
    let here = room.target();
    let (read, during) = tokio::join!(ting.history(&bob.auth, &here, ""), async {
        let mut said = Vec::new();
        for n in 0..15 {
            said.push(ada.says(&format!("during {n}")).await);
        }
        said
    });
    said.extend(during);
    let last = ada.says("after").await;
    bob.sees_sent(&last, "after").await;
    for ghost in &said {
        let in_history = read
            .iter()
            .any(|m| m["id"] == ghost.id && m["typing"] == false);
        let live = bob
            .entries(ghost.id)
            .iter()
            .any(|entry| entry["typing"] == false);
        assert!(in_history || live, "{} was missed", ghost.id);
    }
}

#[tokio::test]
async fn typing_in_a_channel_enters_it() {
    let ting = Ting::shared().await;
    let room = ting.room().await;
    let bob = ting.seed_person("bob").await;
    let own = bob.types_to(&room.target(), "hello").await;
    bob.sees(&own, "hello").await;
    let (_ada, ghost) = typed_in(&room).await;
    bob.sees(&ghost, "to whom it concerns").await;
}

#[tokio::test]
async fn who_named_channels_is_in_these_only_and_enters_none_implicitly() {
    let ting = Ting::shared().await;
    let [one, other, third] = [ting.room().await, ting.room().await, ting.room().await];
    let login = Login::seed().channels(&[one.name(), other.name()]);
    let bob = Person::arrives(&one, "bob", &login).await;
    for room in [&one, &other] {
        let (_ada, ghost) = typed_in(room).await;
        bob.sees(&ghost, "to whom it concerns").await;
    }
    ting.history(&bob.auth, &third.target(), "").await;
    let (_ada, unseen) = typed_in(&third).await;
    let in_ting = ting.seed_person("cyd").await.types("in ting").await;
    let (_ada, marker) = typed_in(&one).await;
    bob.sees(&marker, "to whom it concerns").await;
    bob.never_saw(&unseen);
    bob.never_saw(&in_ting);
}

#[tokio::test]
async fn a_channel_that_is_gone_keeps_nobody_out_and_what_is_no_name_is_refused() {
    let ting = Ting::shared().await;
    let room = ting.room().await;
    let gone = names::unique("none");
    let login = Login::seed().channels(&[&gone, room.name()]);
    let bob = Person::arrives(&room, "bob", &login).await;
    let (_ada, ghost) = typed_in(&room).await;
    bob.sees(&ghost, "to whom it concerns").await;
    for channels in [json!("ting"), json!([7]), json!({})] {
        let connection = ting.connection().await;
        let login = json!({ "username": bob.name, "ting_auth": bob.auth, "channels": channels });
        let answer = connection.asks("login", login).await;
        assert!(answer["error"].is_string(), "{channels}: {answer}");
    }
}

#[tokio::test]
async fn entering_and_leaving_are_acknowledged_and_do_so() {
    let ting = Ting::shared().await;
    let room = ting.room().await;
    let bob = ting.seed_person("bob").await;
    let (ada, ghost) = typed_in(&room).await;
    let entered = bob.enters("channel", room.name()).await;
    assert!(entered.get("error").is_none(), "{entered}");
    bob.sees(&ghost, "to whom it concerns").await;
    let left = bob.leaves("channel", room.name()).await;
    assert!(left.get("error").is_none(), "{left}");
    ada.goes_on(&ghost, "to nobody").await;
    ada.sees(&ghost, "to nobody").await;
    hears_what_is_said_after(&bob, &ting).await;
    assert!(
        bob.entries(ghost.id)
            .iter()
            .all(|entry| entry["text"] != "to nobody")
    );
    // And back.
    bob.enters("channel", room.name()).await;
    bob.sees(&ghost, "to nobody").await;
}

#[tokio::test]
async fn the_snapshot_comes_before_the_acknowledgement_of_entering() {
    let ting = Ting::shared().await;
    let room = ting.room().await;
    let (_ada, ghost) = typed_in(&room).await;
    let bob = ting.seed_person("bob").await;
    bob.enters("channel", room.name()).await;
    bob.sees(&ghost, "to whom it concerns").await;
    let updates = bob.entries(ghost.id).len();
    assert_eq!(updates, 1, "one update at entering");
}

#[tokio::test]
async fn what_cannot_be_entered_or_left_is_refused() {
    let ting = Ting::shared().await;
    let bob = ting.seed_person("bob").await;
    let ada = ting.seed_person("ada").await;
    for (kind, target) in [
        ("channel", names::unique("none")),
        ("channel", "a b".to_owned()),
        ("user", names::unique("nobody")),
        ("group", "ting".to_owned()),
    ] {
        let answer = bob.enters(kind, &target).await;
        assert!(answer["error"].is_string(), "{kind} {target}: {answer}");
    }
    let entered = bob.enters("user", &ada.name).await;
    assert!(entered.get("error").is_none(), "{entered}");
    let left = bob.leaves("user", &ada.name).await;
    assert!(left["error"].is_string(), "{left}");
}

#[tokio::test]
async fn a_connection_is_in_50_channels_and_the_oldest_implied_one_leaves_first() {
    let ting = Ting::shared().await;
    let rooms = futures::future::join_all((0..51).map(|_| ting.room())).await;
    let named: Vec<&str> = rooms[..50].iter().map(Room::name).collect();
    let full = Person::arrives(&rooms[0], "full", &Login::seed().channels(&named)).await;
    let too_many = full.enters("channel", rooms[50].name()).await;
    assert!(too_many["error"].is_string(), "{too_many}");
    // One who is in `ting` and reads 50 more leaves `ting`.
    let bob = ting.seed_person("bob").await;
    for room in &rooms[..50] {
        ting.history(&bob.auth, &room.target(), "").await;
    }
    let in_ting = ting.seed_person("cyd").await.says("in ting").await;
    let (_ada, ghost) = typed_in(&rooms[49]).await;
    bob.sees(&ghost, "to whom it concerns").await;
    let (_ada, ghost) = typed_in(&rooms[0]).await;
    bob.sees(&ghost, "to whom it concerns").await;
    bob.never_saw(&in_ting);
}

#[tokio::test]
async fn who_wants_no_messages_is_told_all_by_the_updates() {
    let ting = Ting::shared().await;
    let room = ting.room().await;
    let login = Login::seed()
        .channels(&[room.name()])
        .with("messages", false);
    let bob = Person::arrives(&room, "bob", &login).await;
    let ada = room.person("ada").await;
    // The shapes know of no `message` here.
    let said = ada.says("hello").await;
    bob.sees_sent(&said, "hello").await;
    let next = ada.says("again").await;
    bob.sees_sent(&next, "again").await;
}

#[tokio::test]
async fn who_resumes_gets_a_cursor_with_every_update() {
    let ting = Ting::shared().await;
    let room = ting.room().await;
    let [ada, bob] = room.people(["ada", "bob"]).await;
    let mut lows = Vec::new();
    for text in ["one", "two", "three"] {
        let said = ada.says(text).await;
        bob.sees_sent(&said, text).await;
        let low = bob
            .until("a cursor after the update", |events| {
                let shown = events
                    .iter()
                    .rposition(|e| tests::connection::entry(e, said.id).is_some())?;
                let around = &events[shown.saturating_sub(2)..];
                let cursor = around.iter().find(|e| e.name == "cursor")?;
                assert_eq!(cursor.args[0]["type"], "channel");
                assert_eq!(cursor.args[0]["target"], room.name());
                cursor.args[0]["low"].as_u64()
            })
            .await;
        assert!(low < said.id, "{low} is below all that may yet be filled");
        lows.push(low);
    }
    assert!(lows.is_sorted(), "{lows:?} never falls");
    let events = bob.events();
    let about_room = |name: &str| events.iter().filter(|e| e.name == name).count();
    assert!(about_room("cursor") >= about_room("update-typing-messages").min(3));
}

#[tokio::test]
async fn after_a_break_entering_and_reading_from_the_cursor_tells_all() {
    let ting = Ting::shared().await;
    let room = ting.room().await;
    let [ada, mut bob] = room.people(["ada", "bob"]).await;
    let open = ada.types("begun before").await;
    let before = ada.says("before").await;
    bob.sees_sent(&before, "before").await;
    let low = bob
        .until("a cursor", |events| {
            let cursor = events.iter().rev().find(|e| e.name == "cursor")?;
            cursor.args[0]["low"].as_u64()
        })
        .await;
    bob.closes().await;
    let missed = ada.says("missed").await;
    ada.sends(&open, "begun before, sent meanwhile").await;
    bob.reconnects().await;
    let read = bob.reads(&format!("?after={low}&lim=1000")).await;
    let ids: Vec<_> = read.iter().map(|m| m["id"].as_u64().unwrap()).collect();
    assert_eq!(ids, [missed.id, before.id, open.id]);
    assert_eq!(read[2]["text"], "begun before, sent meanwhile");
}

#[tokio::test]
async fn an_update_tells_what_changed_since_the_last() {
    let ting = Ting::shared().await;
    let room = ting.room().await;
    let [ada, bob] = room.people(["ada", "bob"]).await;
    let quiet = ada.types("quiet").await;
    bob.sees(&quiet, "quiet").await;
    let lively = ada.types("l").await;
    for text in ["li", "liv", "live"] {
        ada.goes_on(&lively, text).await;
        bob.sees(&lively, text).await;
    }
    let updates: Vec<Value> = bob.entries(quiet.id);
    assert_eq!(
        updates.len(),
        1,
        "what did not change is not told again: {updates:?}"
    );
}
