//! Everybody reads every message while it is typed.
//!
//! Each story is told twice: by a client that knows the seed alone, over HTTP, and by one that
//! uses all there is, on the socket.

use serde_json::json;
use tests::{Person, Room, Ting, names};

/// The two clients: of the seed, and the full one.
async fn typists(room: &Room) -> [Person; 2] {
    [room.seed_person("seed").await, room.person("full").await]
}

#[tokio::test]
async fn letters_are_seen_while_they_are_typed_until_the_message_is_sent() {
    let ting = Ting::shared().await;
    let room = ting.room().await;
    let [seed, full] = typists(&room).await;
    for (ada, bob) in [(&seed, &full), (&full, &seed)] {
        let ghost = ada.types("h").await;
        let shown = bob.sees(&ghost, "h").await;
        assert_eq!(shown["username"], ada.name);
        assert_eq!(shown["type"], "channel");
        assert_eq!(shown["target"], room.name());
        for text in ["he", "hel", "help", "hel", "hello"] {
            ada.goes_on(&ghost, text).await;
            bob.sees(&ghost, text).await;
            ada.sees(&ghost, text).await;
        }
        ada.sends(&ghost, "hello!").await;
        let sent = bob.sees_sent(&ghost, "hello!").await;
        assert_eq!(sent["datetime_start"], shown["datetime_start"]);
        let told = bob.is_told(&ghost).await;
        assert_eq!(told["username"], ada.name);
        assert_eq!(told["type"], "channel");
        assert_eq!(told["target"], room.name());
        assert_eq!(told["text"], "hello!");
        assert_eq!(told["datetime_start"], shown["datetime_start"]);
        assert_eq!(
            bob.finds(&ghost).await["datetime_sent"],
            told["datetime_sent"]
        );
    }
}

#[tokio::test]
async fn a_message_is_told_of_once() {
    let ting = Ting::shared().await;
    let room = ting.room().await;
    let [seed, full] = typists(&room).await;
    let said = full.says("once").await;
    // What is said later is heard later.
    let after = full.says("later").await;
    seed.is_told(&after).await;
    let messages = seed.messages();
    let told = messages
        .iter()
        .filter(|m| m["messageid"] == said.id)
        .count();
    assert_eq!(told, 1, "{messages:?}");
    let sent = seed
        .entries(said.id)
        .iter()
        .filter(|e| e["typing"] == false)
        .count();
    assert_eq!(sent, 1);
}

#[tokio::test]
async fn blank_text_erases() {
    let ting = Ting::shared().await;
    let room = ting.room().await;
    for ada in typists(&room).await {
        let bob = room.seed_person("bob").await;
        let ghost = ada.types("never mind").await;
        bob.sees(&ghost, "never mind").await;
        ada.goes_on(&ghost, " \t").await;
        bob.no_longer_sees(&ghost).await;
        ada.no_longer_sees(&ghost).await;
        // It has ended: nothing brings it back.
        let body = json!({
            "type": "channel", "target": room.name(), "messageid": ghost.id, "text": "again",
            "typing": true,
        });
        let answer = ada.patches(body).await;
        assert_eq!(answer["status"], 404, "{answer}");
        assert!(bob.messages().iter().all(|m| m["messageid"] != ghost.id));
    }
}

#[tokio::test]
async fn erasing_by_a_send_of_blank_text_is_erasing() {
    let ting = Ting::shared().await;
    let room = ting.room().await;
    let [seed, full] = typists(&room).await;
    for ada in [&seed, &full] {
        let ghost = ada.types("never mind").await;
        full.sees(&ghost, "never mind").await;
        ada.sends(&ghost, "\n").await;
        full.no_longer_sees(&ghost).await;
    }
    assert!(full.reads("").await.is_empty());
}

#[tokio::test]
async fn repeating_a_send_is_one_message_and_another_text_is_refused() {
    let ting = Ting::shared().await;
    let room = ting.room().await;
    for ada in typists(&room).await {
        let ghost = ada.types("hello").await;
        ada.sends(&ghost, "hello").await;
        ada.sends(&ghost, "hello").await;
        let body = json!({
            "type": "channel", "target": room.name(), "messageid": ghost.id, "text": "goodbye",
            "typing": false,
        });
        let other = ada.patches(body).await;
        assert_eq!(
            (&other["status"], &other["error"]),
            (&json!(400), &json!("sent"))
        );
        assert_eq!(ada.finds(&ghost).await["text"], "hello");
    }
}

#[tokio::test]
async fn a_message_cannot_be_typed_by_another() {
    let ting = Ting::shared().await;
    let room = ting.room().await;
    let [seed, full] = typists(&room).await;
    for (ada, bob) in [(&seed, &full), (&full, &seed)] {
        let ghost = ada.types("mine").await;
        let body = json!({
            "type": "channel", "target": room.name(), "messageid": ghost.id, "text": "yours",
            "typing": true,
        });
        let answer = bob.patches(body).await;
        assert_eq!(
            (&answer["status"], &answer["error"]),
            (&json!(403), &json!("forbidden"))
        );
        let now = ada.finds(&ghost).await;
        assert_eq!(now["text"], "mine");
        ada.erases(&ghost).await;
    }
}

#[tokio::test]
async fn an_unknown_message_is_404_and_another_conversation_is_400() {
    let ting = Ting::shared().await;
    let room = ting.room().await;
    for ada in typists(&room).await {
        let ghost = ada.types("here").await;
        let patches = async |kind: &str, target: &str, id: u64| {
            let body = json!({
                "type": kind, "target": target, "messageid": id, "text": "there", "typing": true,
            });
            let answer = ada.patches(body.clone()).await;
            let (status, error) = (answer["status"].as_u64(), answer["error"].clone());
            assert!(error.is_string(), "{body}: {answer}");
            (status.unwrap(), error.as_str().unwrap().to_owned())
        };
        let nowhere = names::unique("none");
        for (kind, target) in [
            ("channel", "ting"),
            ("channel", &nowhere),
            ("user", &nowhere),
            ("user", &ada.name),
        ] {
            let refused = patches(kind, target, ghost.id).await;
            assert_eq!(refused, (400, "conversation".to_owned()), "{kind} {target}");
            let refused = patches(kind, target, ghost.id - 32).await;
            assert_eq!(refused, (404, "not_found".to_owned()), "{kind} {target}");
        }
        let refused = patches("channel", room.name(), ghost.id - 32).await;
        assert_eq!(refused, (404, "not_found".to_owned()));
        let refused = patches("group", room.name(), ghost.id).await;
        assert_eq!(refused, (400, "invalid".to_owned()));
        // Where it is, it is as it was.
        assert_eq!(ada.finds(&ghost).await["text"], "here");
        ada.sends(&ghost, "here").await;
        for (kind, target) in [("channel", "ting"), ("channel", &nowhere)] {
            let refused = patches(kind, target, ghost.id).await;
            assert_eq!(refused, (400, "conversation".to_owned()), "{kind} {target}");
        }
    }
}

#[tokio::test]
async fn what_cannot_be_begun_is_refused_in_words() {
    let ting = Ting::shared().await;
    let room = ting.room().await;
    for ada in typists(&room).await {
        let here = room.name();
        for (kind, target, text, status, error) in [
            ("channel", here, "", 400, "empty"),
            ("channel", here, " \t\n", 400, "empty"),
            ("channel", &names::unique("none"), "hello", 404, "not_found"),
            ("user", &names::unique("none"), "hello", 404, "not_found"),
            ("group", here, "hello", 400, "invalid"),
        ] {
            let body = json!({ "type": kind, "target": target, "text": text });
            let answer = ada.posts(body.clone()).await;
            assert_eq!(answer["status"], status, "{body}: {answer}");
            assert_eq!(answer["error"], error, "{body}: {answer}");
        }
    }
}

#[tokio::test]
async fn a_text_has_2000_code_points_and_is_never_cut() {
    let ting = Ting::shared().await;
    let room = ting.room().await;
    let full_text = "λ🙂".repeat(1_000);
    for ada in typists(&room).await {
        let body =
            json!({ "type": "channel", "target": room.name(), "text": format!("{full_text}!") });
        let answer = ada.posts(body).await;
        assert_eq!(
            (&answer["status"], &answer["error"]),
            (&json!(400), &json!("length"))
        );
        let ghost = ada.types("λ").await;
        let longer = json!({
            "type": "channel", "target": room.name(), "messageid": ghost.id, "typing": false,
            "text": format!("{full_text}!"),
        });
        let answer = ada.patches(longer).await;
        assert_eq!(
            (&answer["status"], &answer["error"]),
            (&json!(400), &json!("length"))
        );
        ada.sends(&ghost, &full_text).await;
        assert_eq!(ada.finds(&ghost).await["text"], full_text);
    }
}

#[tokio::test]
async fn text_is_shown_as_it_was_typed() {
    let ting = Ting::shared().await;
    let room = ting.room().await;
    let [seed, full] = typists(&room).await;
    for text in [
        " spaces around ",
        "<script>alert(1)</script> & \"quotes\" \\ 'n' %20",
        "two\nlines\ttab",
        "\u{202e}right to left\u{202c} e\u{301} 👩‍👩‍👧 \u{0}nul\u{7f}",
        "{\"typing\":false}",
    ] {
        let ghost = seed.types(text).await;
        full.sees(&ghost, text).await;
        seed.sends(&ghost, text).await;
        full.sees_sent(&ghost, text).await;
        assert_eq!(full.finds(&ghost).await["text"], text);
    }
}

#[tokio::test]
async fn several_type_at_once_and_all_read_one_order() {
    let ting = Ting::shared().await;
    let room = ting.room().await;
    let [ada, bob, cyd] = room.people(["ada", "bob", "cyd"]).await;
    let [a, b, c] = [
        ada.types("a").await,
        bob.types("b").await,
        cyd.types("c").await,
    ];
    assert!(a.id < b.id && b.id < c.id);
    cyd.sends(&c, "c").await;
    ada.sends(&a, "a").await;
    bob.sends(&b, "b").await;
    for reader in [&ada, &bob, &cyd] {
        let history = reader.reads("").await;
        let texts: Vec<&str> = history
            .iter()
            .map(|m| m["text"].as_str().unwrap())
            .collect();
        assert_eq!(texts, ["c", "b", "a"]);
    }
}

#[tokio::test]
async fn the_owners_revision_rises_with_every_state() {
    let ting = Ting::shared().await;
    let room = ting.room().await;
    let [ada, bob] = room.people(["ada", "bob"]).await;
    let ghost = ada.types("1").await;
    let mut revs = vec![bob.sees(&ghost, "1").await["rev"].as_u64().unwrap()];
    for text in ["12", "123"] {
        ada.goes_on(&ghost, text).await;
        revs.push(bob.sees(&ghost, text).await["rev"].as_u64().unwrap());
    }
    ada.sends(&ghost, "1234").await;
    revs.push(bob.sees_sent(&ghost, "1234").await["rev"].as_u64().unwrap());
    assert!(revs.is_sorted_by(|one, next| one < next), "{revs:?}");
}

#[tokio::test]
async fn what_arrives_late_changes_nothing() {
    let ting = Ting::shared().await;
    let room = ting.room().await;
    for by_socket in [true, false] {
        let [ada, bob] = room.people(["ada", "bob"]).await;
        let ghost = ada.types("a").await;
        let patch = async |rev: u64, text: &str, typing: bool| {
            let body = json!({
                "type": "channel", "target": room.name(), "messageid": ghost.id, "rev": rev,
                "text": text, "typing": typing,
            });
            if by_socket {
                return ada.patches(body).await["status"].as_u64().unwrap();
            }
            u64::from(
                ting.patch("/api/v1/message")
                    .bearer(&ada.auth)
                    .json(&body)
                    .await
                    .status,
            )
        };
        assert_eq!(patch(7, "seven", true).await, 204);
        assert_eq!(patch(3, "three", true).await, 204);
        // Blank text that arrives late erases nothing, either.
        assert_eq!(patch(4, "", true).await, 204);
        assert_eq!(bob.finds(&ghost).await["text"], "seven");
        assert_eq!(patch(8, "eight", false).await, 204);
        bob.sees_sent(&ghost, "eight").await;
        let late = bob.entries(ghost.id).iter().any(|e| e["text"] == "three");
        assert!(!late, "an update that came late was shown");
    }
}

#[tokio::test]
async fn who_enters_is_shown_what_is_being_typed() {
    let ting = Ting::shared().await;
    let room = ting.room().await;
    let ada = room.person("ada").await;
    let ghost = ada.types("already here").await;
    ada.sees(&ghost, "already here").await;
    let full = room.person("full").await;
    full.sees(&ghost, "already here").await;
    let seed = room.seed_person("seed").await;
    seed.sees(&ghost, "already here").await;
}
