//! Whom one talks to in private, and what is unread.

use serde_json::{Value, json};
use tests::{Person, Target, Ting};

async fn conversations(ting: &Ting, person: &Person) -> Vec<Value> {
    let answer = ting
        .get("/api/v1/conversations")
        .cookie(&person.auth)
        .await
        .is(200);
    answer.json().as_array().expect("an array").clone()
}

#[tokio::test]
async fn both_need_a_session() {
    let ting = Ting::shared().await;
    ting.get("/api/v1/conversations")
        .await
        .refused(403, "forbidden");
    let read = ting.post("/api/v1/conversations/read");
    read.json(&json!({ "type": "user", "target": "ada" }))
        .await
        .refused(403, "forbidden");
}

#[tokio::test]
async fn privates_are_listed_with_the_latest_first() {
    let ting = Ting::shared().await;
    let room = ting.room().await;
    let [ada, bob, cyd] = room.people(["ada", "bob", "cyd"]).await;
    assert!(conversations(&ting, &ada).await.is_empty());
    let say = async |from: &Person, to: &Person, text: &str| {
        let ghost = from.types_to(&Target::user(&to.name), text).await;
        from.sends(&ghost, text).await;
        from.finds(&ghost).await["datetime_sent"].clone()
    };
    say(&bob, &ada, "one").await;
    let of_bob = say(&bob, &ada, "two").await;
    let of_cyd = say(&ada, &cyd, "three").await;
    let expected = [
        json!({ "type": "user", "target": cyd.name, "datetime_sent": of_cyd, "unread": 0 }),
        json!({ "type": "user", "target": bob.name, "datetime_sent": of_bob, "unread": 2 }),
    ];
    assert_eq!(conversations(&ting, &ada).await, expected);
    let of_cyds = conversations(&ting, &cyd).await;
    assert_eq!(of_cyds.len(), 1);
    assert_eq!(
        (&of_cyds[0]["target"], &of_cyds[0]["unread"]),
        (&json!(ada.name), &json!(1))
    );
    say(&bob, &ada, "four").await;
    let order: Vec<Value> = conversations(&ting, &ada)
        .await
        .iter()
        .map(|c| c["target"].clone())
        .collect();
    assert_eq!(order, [json!(bob.name), json!(cyd.name)]);
}

#[tokio::test]
async fn reading_a_private_makes_it_read() {
    let ting = Ting::shared().await;
    let room = ting.room().await;
    let [ada, mut bob] = room.people(["ada", "bob"]).await;
    bob.turns_to(&ada);
    bob.says("one").await;
    bob.says("two").await;
    let body = json!({ "type": "user", "target": bob.name });
    let read = ting
        .post("/api/v1/conversations/read")
        .cookie(&ada.auth)
        .json(&body)
        .await;
    assert_eq!(read.is(204).text, "");
    assert_eq!(conversations(&ting, &ada).await[0]["unread"], 0);
    bob.says("three").await;
    assert_eq!(conversations(&ting, &ada).await[0]["unread"], 1);
    let unknown = json!({ "type": "user", "target": "nobody-at-all" });
    let refused = ting
        .post("/api/v1/conversations/read")
        .cookie(&ada.auth)
        .json(&unknown);
    refused.await.refused(404, "not_found");
}

#[tokio::test]
async fn unread_is_counted_in_the_order_of_sending() {
    let ting = Ting::shared().await;
    let room = ting.room().await;
    let [ada, mut bob] = room.people(["ada", "bob"]).await;
    bob.turns_to(&ada);
    let early = bob.types("begun first").await;
    bob.says("sent first").await;
    let body = json!({ "type": "user", "target": bob.name });
    ting.post("/api/v1/conversations/read")
        .cookie(&ada.auth)
        .json(&body)
        .await
        .is(204);
    // Its place is above the one read, and still it is new.
    bob.sends(&early, "begun first").await;
    assert_eq!(conversations(&ting, &ada).await[0]["unread"], 1);
}

#[tokio::test]
async fn what_is_only_typed_is_not_listed() {
    let ting = Ting::shared().await;
    let room = ting.room().await;
    let [ada, mut bob] = room.people(["ada", "bob"]).await;
    bob.turns_to(&ada);
    let ghost = bob.types("thinking").await;
    ada.sees(&ghost, "thinking").await;
    assert!(conversations(&ting, &ada).await.is_empty());
    bob.erases(&ghost).await;
    assert!(conversations(&ting, &ada).await.is_empty());
}

#[tokio::test]
async fn unread_counts_to_99() {
    let ting = Ting::shared().await;
    let room = ting.room().await;
    let [ada, bob] = room.people(["ada", "bob"]).await;
    let path = format!("/restapi/v1/messages/user/{}", ada.name);
    for n in 0..105 {
        let body = json!({
            "text": n.to_string(), "username": bob.name, "datetime_start": 1, "typing": false,
        });
        ting.post(&path).privileged().json(&body).await.is(200);
    }
    assert_eq!(conversations(&ting, &ada).await[0]["unread"], 99);
}

#[tokio::test]
async fn fifty_are_listed_at_most() {
    let ting = Ting::shared().await;
    let ada = ting.seed_person("ada").await;
    let path = format!("/restapi/v1/messages/user/{}", ada.name);
    let mut last = String::new();
    for n in 0..52 {
        let (name, _) = ting.signs_in("friend").await;
        let body = json!({
            "text": n.to_string(), "username": name, "datetime_start": n + 1, "typing": false,
        });
        ting.post(&path).privileged().json(&body).await.is(200);
        last = name;
    }
    let listed = conversations(&ting, &ada).await;
    assert_eq!(listed.len(), 50);
    assert_eq!(listed[0]["target"], last);
}
