//! The embedded store under the contract, and a contract that notices a store that breaks it.

use super::*;
use crate::embedded::EmbeddedStore;

#[tokio::test(flavor = "multi_thread")]
async fn the_embedded_store_holds_the_contract() {
    let directory = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::open(&directory.path().join("ting.db"), None).unwrap();
    let held = store_contract(&store, Scale::default()).await;
    assert!(held.is_ok(), "{}", held.unwrap_err());
}

#[tokio::test]
async fn a_store_that_holds_other_data_is_no_obstacle() {
    let directory = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::open(&directory.path().join("ting.db"), None).unwrap();
    let small = Scale {
        competitors: 8,
        messages: 40,
    };
    for _ in 0..2 {
        let held = store_contract(&store, small).await;
        assert!(held.is_ok(), "{}", held.unwrap_err());
    }
}

#[tokio::test]
async fn a_store_that_is_closed_breaks_every_case_by_name() {
    let directory = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::open(&directory.path().join("ting.db"), None).unwrap();
    store.close().await;
    let ContractBroken(broken) = store_contract(&store, Scale::default()).await.unwrap_err();
    let named: Vec<_> = broken.iter().map(|(name, _)| *name).collect();
    let all: Vec<_> = cases().iter().map(|case| case.name).collect();
    assert_eq!(named, all);
}

#[test]
fn every_case_has_a_name_of_its_own() {
    let mut names: Vec<_> = cases().iter().map(|case| case.name).collect();
    let all = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all);
}

#[tokio::test]
async fn the_view_in_memory_holds_the_contract() {
    let view = MemoryMembers::default();
    let held = members_contract(&[&view, &view]).await;
    assert!(held.is_ok(), "{}", held.unwrap_err());
}

#[tokio::test]
async fn views_that_are_not_one_break_the_contract() {
    let (one, other) = (MemoryMembers::default(), MemoryMembers::default());
    let ContractBroken(broken) = members_contract(&[&one, &other]).await.unwrap_err();
    assert!(broken.len() > 3, "{broken:?}");
}
