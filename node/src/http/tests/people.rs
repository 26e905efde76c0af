//! Names that come and go, and the privates with those who had them.

use super::*;
use cql::{Conversation, Message, MessageId, MessageText, NewUser, ProfileChanges, User, Username};
use std::time::Duration;

fn name(name: &str) -> Username {
    Username::parse(name).unwrap()
}

impl Node {
    /// Says something in the private with somebody.
    async fn says(&self, cookie: &str, target: &str) -> Answer {
        let by = [(header::COOKIE, cookie)];
        let body = json!({"type": "user", "target": target, "text": "psst", "typing": false});
        self.ask(Method::POST, "/api/v1/message", &by, Some(body))
            .await
    }

    async fn privates(&self, cookie: &str) -> Value {
        let by = [(header::COOKIE, cookie)];
        let path = "/api/v1/conversations";
        self.ask(Method::GET, path, &by, None).await.body
    }

    async fn tries(&self, body: Value) -> Answer {
        self.ask(Method::POST, "/restapi/v1/sessions", &[], Some(body))
            .await
    }
}

#[tokio::test]
async fn a_name_that_was_claimed_for_nobody_is_given_back() {
    let node = Node::start().await;
    let ada = json!({"username": "ada"});
    node.store.silent.lock().unwrap().replace("claim_name");
    node.tries(ada.clone()).await.is(503, "unavailable");
    node.store.silent.lock().unwrap().take();
    let again = async {
        while node.tries(ada.clone()).await.status != StatusCode::OK {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let again = tokio::time::timeout(Duration::from_secs(20), again).await;
    again.expect("the name is free again");
}

#[tokio::test]
async fn signing_out_while_the_sign_ins_cannot_be_read_ends_nothing() {
    let node = Node::start().await;
    let cookie = node.signs_in("ada").await;
    let by = [(header::COOKIE, cookie.as_str())];
    let path = "/restapi/v1/sessions";
    node.store.silent.lock().unwrap().replace("sign_ins_of");
    let refused = node.ask(Method::DELETE, path, &by, None).await;
    refused.is(503, "unavailable");
    node.store.silent.lock().unwrap().take();
    let who = node.ask(Method::GET, path, &by, None).await;
    assert_eq!(who.body, json!({"username": "ada"}));
    let done = node.ask(Method::DELETE, path, &by, None).await;
    assert_eq!(done.status, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn a_password_is_looked_at_whoever_has_the_name() {
    // Nobody finds a place to wait for it, so who is answered otherwise has not waited.
    let none = HttpLimits {
        password_workers: 0,
        password_queue: 0,
        ..HttpLimits::default()
    };
    let node = Node::with(&none).await;
    for known in ["ada", "bob"] {
        node.signs_in(known).await;
    }
    let ada = node.store.user_named(&name("ada")).await.unwrap().unwrap();
    let changes = ProfileChanges {
        password_hash: Some("$argon2id$".to_owned()),
        profile: None,
    };
    assert!(node.store.change_user(ada.id, &changes).await.unwrap());
    for username in ["ada", "bob", "nobody"] {
        let guess = json!({"username": username, "password": "guess"});
        node.tries(guess).await.is(503, "unavailable");
    }
}

#[tokio::test]
async fn who_has_a_released_name_is_not_there() {
    let node = Node::start().await;
    let cookie = node.signs_in("ada").await;
    let new = NewUser {
        id: node.system.new_user_id().unwrap(),
        username: name("eve"),
        now: node.system.now() - User::RELEASED_AFTER - 24 * 3_600_000,
    };
    node.store.claim_name(&new).await.unwrap();
    let by = [(header::COOKIE, cookie.as_str())];
    node.get("/restapi/v1/users/eve").await.is(404, "not_found");
    let with_password = json!({"username": "eve", "password": "guess"});
    node.tries(with_password).await.is(404, "not_found");
    node.says(&cookie, "eve").await.is(404, "not_found");
    let history = "/api/v1/messages/user/eve";
    let history = node.ask(Method::GET, history, &by, None).await;
    history.is(404, "not_found");
    let secret = [(header::AUTHORIZATION, "s3cret")];
    let brought = json!({"text": "x", "username": "eve"});
    let path = "/restapi/v1/messages/user/ada";
    let brought = node.ask(Method::POST, path, &secret, Some(brought)).await;
    brought.is(404, "not_found");
    // And the name is anybody's.
    node.signs_in("eve").await;
    assert_eq!(node.says(&cookie, "eve").await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_private_with_somebody_who_is_gone_is_not_in_the_list() {
    let node = Node::start().await;
    let (ada, bob) = (node.signs_in("ada").await, node.signs_in("bob").await);
    assert_eq!(node.says(&bob, "ada").await.status, StatusCode::OK);
    assert_eq!(node.privates(&ada).await[0]["target"], "bob");
    let by = [(header::COOKIE, bob.as_str())];
    let path = "/restapi/v1/sessions";
    let out = node.ask(Method::DELETE, path, &by, None).await;
    assert_eq!(out.status, StatusCode::NO_CONTENT);
    assert_eq!(node.privates(&ada).await, json!([]));
    let bob = node.signs_in("bob").await;
    assert_eq!(node.privates(&ada).await, json!([]));
    for _ in 0..2 {
        assert_eq!(node.says(&bob, "ada").await.status, StatusCode::OK);
    }
    let privates = node.privates(&ada).await;
    let shown: Vec<_> = privates.as_array().unwrap().iter().collect();
    assert_eq!(shown.len(), 1, "{privates}");
    assert_eq!(
        (&shown[0]["target"], &shown[0]["unread"]),
        (&json!("bob"), &json!(2))
    );
}

#[tokio::test]
async fn what_was_kept_by_a_clock_that_is_ahead_is_read_all_the_same() {
    let node = Node::start().await;
    let ada = node.signs_in("ada").await;
    node.signs_in("bob").await;
    let named = async |name: &Username| node.store.user_named(name).await.unwrap().unwrap().id;
    let (ada_id, bob_id) = (named(&name("ada")).await, named(&name("bob")).await);
    let now = node.system.now();
    let message = Message {
        id: MessageId(node.system.new_user_id().unwrap().0),
        conversation: Conversation::private(ada_id, bob_id),
        author: Some(bob_id),
        username: name("bob"),
        text: MessageText::parse("psst").unwrap(),
        datetime_start: now,
        datetime_sent: now + 60_000,
    };
    let kept = node.store.append(&message, Some(&name("ada"))).await;
    assert_eq!(kept, Ok(cql::Append::Kept));
    assert_eq!(node.privates(&ada).await[0]["unread"], 1);
    let by = [(header::COOKIE, ada.as_str())];
    let read = json!({"type": "user", "target": "bob"});
    let path = "/api/v1/conversations/read";
    let read = node.ask(Method::POST, path, &by, Some(read)).await;
    assert_eq!(read.status, StatusCode::NO_CONTENT);
    assert_eq!(node.privates(&ada).await[0]["unread"], 0);
}
