//! What two people say to each other reaches these two only.

use serde_json::{Value, json};
use tests::{Login, Person, Room, Target, Ting, names};

struct Three {
    room: Room,
    ada: Person,
    bob: Person,
    eve: Person,
}

/// Ada turned to bob, and eve in the same channel as both.
async fn three(ting: &Ting) -> Three {
    let room = ting.room().await;
    let [mut ada, mut bob, eve] = room.people(["ada", "bob", "eve"]).await;
    ada.turns_to(&bob);
    bob.turns_to(&ada);
    Three {
        room,
        ada,
        bob,
        eve,
    }
}

#[tokio::test]
async fn a_private_is_seen_by_its_two_people_while_it_is_typed() {
    let ting = Ting::shared().await;
    let Three { ada, bob, .. } = three(&ting).await;
    let ghost = ada.types("psst").await;
    let shown = bob.sees(&ghost, "psst").await;
    assert_eq!(
        (&shown["type"], &shown["target"]),
        (&json!("user"), &json!(bob.name))
    );
    assert_eq!(shown["username"], ada.name);
    let own = ada.sees(&ghost, "psst").await;
    assert_eq!(
        (&own["type"], &own["target"]),
        (&json!("user"), &json!(bob.name))
    );
    ada.goes_on(&ghost, "psst!").await;
    bob.sees(&ghost, "psst!").await;
    let answer = bob.types("yes?").await;
    ada.sees(&answer, "yes?").await;
    ada.erases(&ghost).await;
    bob.no_longer_sees(&ghost).await;
    bob.sends(&answer, "yes?").await;
    ada.sees_sent(&answer, "yes?").await;
}

#[tokio::test]
async fn the_message_goes_to_the_target_only_and_the_author_sees_the_update() {
    let ting = Ting::shared().await;
    let room = Room::of(&ting, "ting");
    // Clients of the seed, who want messages.
    let mut ada = ting.seed_person("ada").await;
    let other_tab = ada.again(&Login::seed()).await;
    let bob = Person::arrives(&room, "bob", &Login::seed()).await;
    ada.turns_to(&bob);
    let said = ada.says("between us").await;
    let told = bob.is_told(&said).await;
    assert_eq!(told["username"], ada.name);
    assert_eq!(
        (&told["type"], &told["target"]),
        (&json!("user"), &json!(bob.name))
    );
    assert_eq!(told["text"], "between us");
    for tab in [&*ada, &*other_tab] {
        let sent = tab.sees_sent(&said, "between us").await;
        assert_eq!(sent["typing"], false);
    }
    // What is said in `ting` afterwards is heard by all of them.
    let marker = bob.says("marker").await;
    for tab in [&*ada, &*other_tab] {
        tab.is_told(&marker).await;
        assert!(tab.messages().iter().all(|m| m["messageid"] != said.id));
    }
}

#[tokio::test]
async fn a_third_person_sees_nothing_of_it() {
    let ting = Ting::shared().await;
    let Three {
        room,
        ada,
        bob,
        eve,
    } = three(&ting).await;
    let secret = names::text("secret");
    let ghost = ada.types(&secret).await;
    bob.sees(&ghost, &secret).await;
    ada.sends(&ghost, &secret).await;
    bob.is_told(&ghost).await;
    let erased = bob.types(&secret).await;
    ada.sees(&erased, &secret).await;
    bob.erases(&erased).await;
    ada.no_longer_sees(&erased).await;
    let open = ada.types(&secret).await;
    bob.sees(&open, &secret).await;
    // Not when she asks for it, either.
    for name in [&ada.name, &bob.name] {
        eve.enters("user", name).await;
        assert!(
            ting.history(&eve.auth, &Target::user(name), "")
                .await
                .is_empty()
        );
    }
    let patch = json!({
        "type": "user", "target": bob.name, "messageid": open.id, "text": "x", "typing": true,
    });
    let patched = eve.patches(patch).await;
    assert!(
        matches!(patched["status"].as_u64(), Some(400 | 403 | 404)),
        "{patched}"
    );
    let marker = ada.types_to(&room.target(), "marker").await;
    eve.sees(&marker, "marker").await;
    let late = room.person("late").await;
    late.sees(&marker, "marker").await;
    for third in [&eve, &late] {
        let told = format!("{:?}", third.events());
        assert!(!told.contains(&secret), "{told}");
        for id in [ghost.id, erased.id, open.id] {
            assert!(!told.contains(&id.to_string()), "{told}");
        }
    }
    assert!(
        room.ting()
            .history(&eve.auth, &room.target(), "")
            .await
            .len()
            == 1
    );
}

#[tokio::test]
async fn who_comes_online_is_shown_the_open_ghosts_of_the_privates() {
    let ting = Ting::shared().await;
    let Three { room, ada, bob, .. } = three(&ting).await;
    let ghost = ada.types("are you there").await;
    bob.sees(&ghost, "are you there").await;
    // Even to a connection that is in no channel.
    for login in [Login::seed(), Login::full().channels(&[])] {
        let other_tab = Person::with(&room, bob.name.clone(), bob.auth.clone(), &login).await;
        other_tab.sees(&ghost, "are you there").await;
        ada.goes_on(&ghost, "still there").await;
        other_tab.sees(&ghost, "still there").await;
        ada.goes_on(&ghost, "are you there").await;
    }
}

#[tokio::test]
async fn somebody_offline_finds_the_private_later() {
    let ting = Ting::shared().await;
    let room = ting.room().await;
    let (name, auth) = ting.signs_in("bob").await;
    let ada = room.person("ada").await;
    let ghost = ada
        .types_to(&Target::user(&name), "when you are back")
        .await;
    ada.sees(&ghost, "when you are back").await;
    let bob = Person::with(&room, name, auth, &Login::seed()).await;
    bob.sees(&ghost, "when you are back").await;
    ada.sends(&ghost, "when you are back").await;
    bob.is_told(&ghost).await;
}

#[tokio::test]
async fn the_history_of_a_private_has_both_directions() {
    let ting = Ting::shared().await;
    let Three { ada, bob, .. } = three(&ting).await;
    let one = ada.says("from ada").await;
    let other = bob.says("from bob").await;
    let open = ada.types("being typed").await;
    for person in [&ada, &bob] {
        let history = person.reads("").await;
        let shown: Vec<(&Value, &Value)> =
            history.iter().map(|m| (&m["id"], &m["username"])).collect();
        let expected = [
            (&json!(open.id), &json!(ada.name)),
            (&json!(other.id), &json!(bob.name)),
            (&json!(one.id), &json!(ada.name)),
        ];
        assert_eq!(shown, expected);
    }
}

#[tokio::test]
async fn a_private_needs_a_session_and_somebody_to_talk_to() {
    let ting = Ting::shared().await;
    let (name, auth) = ting.signs_in("ada").await;
    for api in ["api", "restapi"] {
        let path = format!("/{api}/v1/messages/user/{name}");
        ting.get(&path).await.refused(403, "forbidden");
        ting.get(&path)
            .cookie("wrong")
            .await
            .refused(403, "forbidden");
        let nobody = format!("/{api}/v1/messages/user/{}", names::unique("nobody"));
        ting.get(&nobody).await.refused(403, "forbidden");
        ting.get(&nobody)
            .cookie(&auth)
            .await
            .refused(404, "not_found");
        // The secret reads no privates.
        ting.get(&path).privileged().await.refused(403, "forbidden");
    }
}

#[tokio::test]
async fn an_author_without_a_socket_types_a_private_too() {
    let ting = Ting::shared().await;
    let bob = ting.seed_person("bob").await;
    let (_, auth) = ting.signs_in("ada").await;
    let post = json!({ "type": "user", "target": bob.name, "text": "by HTTP alone" });
    let id = ting
        .post("/api/v1/message")
        .bearer(&auth)
        .json(&post)
        .await
        .is(200)
        .messageid();
    let ghost = tests::Ghost::of(id, "", &Target::user(&bob.name));
    bob.sees(&ghost, "by HTTP alone").await;
}

#[tokio::test]
async fn entering_a_private_repeats_what_is_being_typed_in_it() {
    let ting = Ting::shared().await;
    let Three { ada, bob, .. } = three(&ting).await;
    let ghost = ada.types("are you there").await;
    bob.sees(&ghost, "are you there").await;
    let seen = bob.count();
    let entered = bob.enters("user", &ada.name).await;
    assert_eq!(entered["status"], 204, "{entered}");
    bob.until("the open ghost again", |events| {
        let again = tests::connection::last_entry(&events[seen..], ghost.id)?;
        (again["text"] == "are you there").then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_cursor_gives_each_of_the_two_the_others_name() {
    let ting = Ting::shared().await;
    let Three { ada, bob, .. } = three(&ting).await;
    let ghost = ada.types("psst").await;
    for (person, other) in [(&ada, &bob), (&bob, &ada)] {
        let cursor = person
            .until("the cursor of the private", |events| {
                let mut cursors = events.iter().filter(|e| e.name == "cursor");
                let cursor = cursors.find(|e| e.args[0]["type"] == "user")?;
                Some(cursor.args[0].clone())
            })
            .await;
        assert_eq!(cursor["target"], other.name, "told to {}", person.name);
        let low = cursor["low"].as_u64().unwrap();
        assert!(low <= ghost.id, "{low} is above what is being typed");
    }
}
