//! The store on a real server.
//!
//! `TING_TEST_CQL=127.0.0.1:9042` names it (several nodes: with commas between); without it
//! these tests say so and pass. `tests/cassandra/run` fetches, starts and stops one.

mod cluster;
mod contract;
mod copies;
mod faults;
mod owners;
mod proxy;
mod races;
mod retention;
mod routing;
mod sizes;
mod tls;

use super::{CqlSettings, CqlStore, Millis, open};
use crate::{Conversation, Message, MessageId, MessageText, UserId, Username};
use tokio::sync::OnceCell;

/// The settings of a test.
pub(super) fn settings(nodes: &str) -> CqlSettings {
    CqlSettings {
        nodes: nodes.split(',').map(str::to_owned).collect(),
        datacenter: "dc1".to_owned(),
        rack: None,
        keyspace: "ting".to_owned(),
        replication: 1,
        tablets: None,
        user: None,
        password: None,
        tls_ca: None,
        retention: None,
        migrate: true,
    }
}

/// The server, if one is named, and a keyspace there.
pub(super) fn server(keyspace: &str) -> Option<CqlSettings> {
    let Ok(nodes) = std::env::var("TING_TEST_CQL") else {
        println!("skipped: TING_TEST_CQL names no server");
        return None;
    };
    let mut settings = settings(&nodes);
    settings.keyspace = keyspace.to_owned();
    if settings.nodes.len() > 1 {
        settings.replication = 3;
    }
    Some(settings)
}

/// How much of something: what the variable says, if it is set.
pub(super) fn size(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).map_or(otherwise, |size| size.parse().unwrap())
}

/// A keyspace's name that no other test has.
pub(super) fn unique(beginning: &str) -> String {
    format!("{beginning}_{:08x}", rand::random::<u32>())
}

/// A store in the keyspace that the tests of one run share.
pub(super) async fn store() -> Option<CqlStore> {
    store_ahead(0).await
}

/// Another one, whose clock is so many milliseconds ahead.
pub(super) async fn store_ahead(ahead: Millis) -> Option<CqlStore> {
    static KEYSPACE: OnceCell<String> = OnceCell::const_new();
    let shared = KEYSPACE.get_or_init(|| async {
        let keyspace = unique("ting");
        if let Some(settings) = server(&keyspace) {
            CqlStore::migrate(&settings).await.unwrap();
        }
        keyspace
    });
    let settings = server(shared.await)?;
    let balancing = open::balancing(&settings);
    let store = CqlStore::connect_with(settings, ahead, balancing).await;
    Some(store.unwrap())
}

/// What somebody says in a channel that no other test has.
pub(super) fn message(id: MessageId, conversation: &Conversation, text: &str) -> Message {
    Message {
        id,
        conversation: conversation.clone(),
        author: Some(UserId(7)),
        username: Username::parse("ada").unwrap(),
        text: MessageText::parse(text).unwrap(),
        datetime_start: id.time(),
        datetime_sent: id.time(),
    }
}
