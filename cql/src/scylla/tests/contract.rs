//! The suite that every store must pass.

use super::store;
use crate::contract::{Scale, store_contract};

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
