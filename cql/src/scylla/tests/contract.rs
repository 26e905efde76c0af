//! The suite that every store must pass.

use super::{server, store, unique};
use crate::contract::{Scale, members_contract, store_contract};
use crate::scylla::{CqlSettings, CqlStore};

#[tokio::test(flavor = "multi_thread")]
async fn the_store_over_cql_holds_the_contract() {
    let Some(store) = store().await else { return };
    // Three nodes of the database share one machine with those who compete.
    let three = std::env::var("TING_TEST_CQL").is_ok_and(|nodes| nodes.contains(','));
    let scale = Scale {
        competitors: if three { 10 } else { 50 },
        messages: 300,
    };
    let held = store_contract(&store, scale).await;
    assert!(held.is_ok(), "{}", held.unwrap_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_view_over_cql_holds_the_contract() {
    // A keyspace of its own: the first case wants a view that nobody has changed.
    let Some(settings) = server(&unique("view")) else {
        return;
    };
    CqlStore::migrate(&settings).await.unwrap();
    let one = CqlStore::connect(settings.clone()).await.unwrap();
    // Which replica is asked first makes no difference.
    let racked = CqlSettings {
        rack: Some("rack1".to_owned()),
        ..settings
    };
    let other = CqlStore::connect(racked).await.unwrap();
    let held = members_contract(&[&one, &other]).await;
    assert!(held.is_ok(), "{}", held.unwrap_err());
}
