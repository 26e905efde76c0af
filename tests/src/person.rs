//! A person with a client: types, sends, erases, and sees what others do.
//!
//! A seed-only person types by HTTP with a cookie, as the seed's text says; the other one types
//! on the socket, with revisions, and keeps the claims.

use crate::{
    Answer, Connection, Login, Room, Target, Ting, http::RETRY_AFTER, names, within_limit,
};
use serde_json::{Value, json};
use std::{
    ops::Deref,
    sync::atomic::{AtomicU64, Ordering},
};

/// Somebody signed in and online.
#[derive(Debug)]
pub struct Person {
    /// The name.
    pub name: String,
    /// The sign-in's token.
    pub auth: String,
    ting: Ting,
    here: Target,
    login: Login,
    connection: Connection,
}

/// A message that somebody began.
#[derive(Debug)]
pub struct Ghost {
    /// Its place.
    pub id: u64,
    /// What brings it back.
    pub claim: String,
    /// Where it is.
    pub to: Target,
    rev: AtomicU64,
}

impl Ghost {
    /// A message by its id and place.
    pub fn of(id: u64, claim: &str, to: &Target) -> Ghost {
        Ghost {
            id,
            claim: claim.to_owned(),
            to: to.clone(),
            rev: AtomicU64::new(0),
        }
    }

    /// The author's next count.
    pub fn next_rev(&self) -> u64 {
        self.rev.fetch_add(1, Ordering::Relaxed) + 1
    }
}

impl Person {
    /// Signs in under a new name, connects and logs in.
    pub async fn arrives(room: &Room, start: &str, login: &Login) -> Person {
        let (name, auth) = room.ting().signs_in(start).await;
        Person::with(room, name, auth, login).await
    }

    /// Connects and logs in with a sign-in that there is already.
    pub async fn with(room: &Room, name: String, auth: String, login: &Login) -> Person {
        let connection = room.ting().connection().await;
        connection.logs_in(&name, &auth, login).await;
        Person {
            name,
            auth,
            ting: room.ting().clone(),
            here: room.target(),
            login: login.clone(),
            connection,
        }
    }

    /// Another connection of the same sign-in.
    pub async fn again(&self, login: &Login) -> Person {
        let connection = self.ting.connection().await;
        connection.logs_in(&self.name, &self.auth, login).await;
        Person {
            name: self.name.clone(),
            auth: self.auth.clone(),
            ting: self.ting.clone(),
            here: self.here.clone(),
            login: login.clone(),
            connection,
        }
    }

    /// Connects anew after the connection was lost, and logs in as before.
    pub async fn reconnects(&mut self) {
        let connection = self.ting.connection().await;
        connection
            .logs_in(&self.name, &self.auth, &self.login)
            .await;
        self.connection = connection;
    }

    /// The server.
    pub fn ting(&self) -> &Ting {
        &self.ting
    }

    /// Where this person types.
    pub fn here(&self) -> &Target {
        &self.here
    }

    /// From now on types to somebody alone.
    pub fn turns_to(&mut self, other: &Person) {
        self.here = Target::user(&other.name);
    }

    /// Sets a password.
    pub async fn sets_password(&self, password: &str) {
        let path = format!("/restapi/v1/users/{}", names::segment(&self.name));
        let set = self.ting.patch(&path).cookie(&self.auth);
        set.json(&json!({ "password": password })).await.is(204);
    }

    /// Begins a message here.
    pub async fn types(&self, text: &str) -> Ghost {
        self.types_to(&self.here, text).await
    }

    /// Begins a message there.
    pub async fn types_to(&self, to: &Target, text: &str) -> Ghost {
        self.begins(json!({ "type": to.kind, "target": to.target, "text": text }))
            .await
    }

    /// Says all at once.
    pub async fn says(&self, text: &str) -> Ghost {
        let to = &self.here;
        if self.login.is_seed() {
            let ghost = self.types(text).await;
            self.sends(&ghost, text).await;
            return ghost;
        }
        // With a key, since what was not answered is repeated.
        let key = names::unique("says");
        let body = json!({
            "type": to.kind, "target": to.target, "text": text, "typing": false, "key": key,
        });
        self.begins(body).await
    }

    async fn begins(&self, body: Value) -> Ghost {
        let answer = self.insists(true, &body).await;
        let id = answer["messageid"].as_u64();
        let id = id.unwrap_or_else(|| panic!("{body} is answered by {answer}"));
        let claim = answer["claim"].as_str().expect("a claim with every id");
        Ghost {
            id,
            claim: claim.to_owned(),
            to: serde_json::from_value(body).expect("a conversation in the body"),
            rev: AtomicU64::new(0),
        }
    }

    /// Repeats what the store did not answer in time, as clients do.
    async fn insists(&self, begins: bool, body: &Value) -> Value {
        let asking = async {
            loop {
                let answer = match begins {
                    true => self.posts(body.clone()).await,
                    false => self.patches(body.clone()).await,
                };
                if answer["status"] != 503 {
                    return answer;
                }
                tokio::time::sleep(RETRY_AFTER).await;
            }
        };
        within_limit("an answer of the store", asking).await
    }

    /// A `POST` as this person's client makes it; the answer with its `status`.
    pub async fn posts(&self, body: Value) -> Value {
        if self.login.is_seed() {
            let asked = self.ting.post("/api/v1/message").cookie(&self.auth);
            return with_status(asked.json(&body).await);
        }
        self.connection.asks("post-message", body).await
    }

    /// A `PATCH` as this person's client makes it; the answer with its `status`.
    pub async fn patches(&self, body: Value) -> Value {
        if self.login.is_seed() {
            let asked = self.ting.patch("/api/v1/message").cookie(&self.auth);
            return with_status(asked.json(&body).await);
        }
        self.connection.asks("patch-message", body).await
    }

    async fn changes(&self, ghost: &Ghost, text: &str, typing: bool) -> Value {
        let mut body = json!({
            "type": ghost.to.kind, "target": ghost.to.target, "messageid": ghost.id,
            "text": text, "typing": typing,
        });
        if !self.login.is_seed() {
            body["rev"] = ghost.next_rev().into();
            body["claim"] = ghost.claim.clone().into();
        }
        self.insists(false, &body).await
    }

    /// Types on.
    pub async fn goes_on(&self, ghost: &Ghost, text: &str) {
        let answer = self.changes(ghost, text, true).await;
        assert_eq!(answer["status"], 204, "typing {text:?} on: {answer}");
    }

    /// Sends.
    pub async fn sends(&self, ghost: &Ghost, text: &str) {
        let answer = self.changes(ghost, text, false).await;
        assert_eq!(answer["status"], 204, "sending {text:?}: {answer}");
    }

    /// Erases what was typed.
    pub async fn erases(&self, ghost: &Ghost) {
        let answer = self.changes(ghost, "", true).await;
        assert_eq!(answer["status"], 204, "erasing: {answer}");
    }

    /// Reads the history here.
    pub async fn reads(&self, query: &str) -> Vec<Value> {
        self.ting.history(&self.auth, &self.here, query).await
    }

    /// Reads the history here until it shows this message, or fails.
    pub async fn finds(&self, ghost: &Ghost) -> Value {
        let history = self.ting.history(&self.auth, &ghost.to, "").await;
        let found: Vec<&Value> = history.iter().filter(|m| m["id"] == ghost.id).collect();
        let [message] = found[..] else {
            panic!(
                "{} is in the history {} times: {history:?}",
                ghost.id,
                found.len()
            );
        };
        message.clone()
    }
}

impl Deref for Person {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.connection
    }
}

/// An answer over HTTP in the shape of an acknowledgement.
fn with_status(answer: Answer) -> Value {
    let mut body = if answer.text.is_empty() {
        json!({})
    } else {
        answer.json()
    };
    body["status"] = answer.status.into();
    body
}
