//! A client that knows the seed's text alone works in full, and is told nothing it cannot know.
//!
//! The shapes of all events are held against the protocol on every connection of the suite; here
//! is the whole story of two such clients, with the order of all they hear.

use serde_json::json;
use tests::{Login, Person, Room, Ting};

/// What a connection heard of these people and messages, in order, as words.
fn story(person: &Person, names: &[&str], ids: &[u64]) -> Vec<String> {
    let mut told = Vec::new();
    for event in person.events() {
        let argument = &event.args[0];
        match event.name.as_str() {
            "join" | "part" if names.contains(&argument.as_str().unwrap()) => {
                told.push(format!("{} {}", event.name, argument.as_str().unwrap()));
            }
            "message" if ids.contains(&argument["messageid"].as_u64().unwrap()) => {
                told.push(format!("message {}", argument["text"]));
            }
            "update-typing-messages" => {
                for (_, entry) in ids
                    .iter()
                    .filter_map(|id| Some((id, argument.get(id.to_string())?)))
                {
                    let state = if entry["typing"] == true {
                        "typing"
                    } else {
                        "sent"
                    };
                    told.push(format!("{state} {}", entry["text"]));
                }
            }
            _ => {}
        }
    }
    told
}

#[tokio::test]
async fn the_seeds_story_is_told_in_the_seeds_order() {
    let ting = Ting::alone().await;
    let room = Room::of(&ting, "ting");
    let bob = Person::arrives(&room, "bob", &Login::seed()).await;
    let ada = Person::arrives(&room, "ada", &Login::seed()).await;
    bob.hears("join", &ada.name, 0).await;
    let said = ada.types("h").await;
    bob.sees(&said, "h").await;
    ada.goes_on(&said, "hi").await;
    bob.sees(&said, "hi").await;
    ada.sends(&said, "hi!").await;
    bob.is_told(&said).await;
    bob.sees_sent(&said, "hi!").await;
    let left = ada.types("bye").await;
    bob.sees(&left, "bye").await;
    ada.closes().await;
    bob.hears("part", &ada.name, 0).await;
    let told = story(&bob, &[&ada.name, &bob.name], &[said.id, left.id]);
    // The update and the `message` of a send leave together, in either order.
    let mut expected: Vec<String> = [
        format!("join {}", bob.name),
        format!("join {}", ada.name),
        "typing \"h\"".to_owned(),
        "typing \"hi\"".to_owned(),
        "sent \"hi!\"".to_owned(),
        "message \"hi!\"".to_owned(),
        "typing \"bye\"".to_owned(),
        "typing \"\"".to_owned(),
        format!("part {}", ada.name),
    ]
    .into();
    if told.get(4) != expected.get(4) {
        expected.swap(4, 5);
    }
    // An erasing may be told as typing or not: its text is what counts.
    let told: Vec<_> = told
        .into_iter()
        .map(|t| {
            if t == "sent \"\"" {
                "typing \"\"".into()
            } else {
                t
            }
        })
        .collect();
    assert_eq!(told, expected);
}

#[tokio::test]
async fn a_client_that_does_not_type_live_sends_whole_messages_by_http() {
    let ting = Ting::shared().await;
    let bob = ting.seed_person("bob").await;
    let (_, auth) = ting.signs_in("ada").await;
    let post = json!({ "type": "channel", "target": "ting", "text": "all at once" });
    let id = ting
        .post("/api/v1/message")
        .cookie(&auth)
        .json(&post)
        .await
        .is(200)
        .messageid();
    let patch = json!({
        "type": "channel", "target": "ting", "text": "all at once", "typing": false,
        "messageid": id,
    });
    ting.patch("/api/v1/message")
        .cookie(&auth)
        .json(&patch)
        .await
        .is(204);
    let ghost = tests::Ghost::of(id, "", &tests::Target::channel("ting"));
    bob.is_told(&ghost).await;
    assert_eq!(bob.finds(&ghost).await["text"], "all at once");
}

#[tokio::test]
async fn only_what_login_asked_for_is_heard() {
    let ting = Ting::alone().await;
    let room = ting.room().await;
    let bob = room.seed_person("bob").await;
    // Full clients all around, who use everything.
    let [ada, cyd] = room.people(["ada", "cyd"]).await;
    let ghost = ada.types("he").await;
    bob.sees(&ghost, "he").await;
    cyd.says("hello").await;
    ada.sends(&ghost, "hey").await;
    bob.is_told(&ghost).await;
    cyd.closes().await;
    bob.hears("part", &cyd.name, 0).await;
    let mut heard: Vec<String> = bob.events().into_iter().map(|event| event.name).collect();
    heard.sort();
    heard.dedup();
    let seed = [
        "join",
        "login-response",
        "message",
        "part",
        "update-typing-messages",
    ];
    assert_eq!(heard, seed);
}
