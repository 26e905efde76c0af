//! Who is asked first, on a database of three nodes, each of which is a rack.

use super::{server, unique};
use crate::scylla::{CqlSettings, CqlStore};
use ::scylla::observability::history::HistoryCollector;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

/// So many that nobody asks the right nodes by chance.
const PARTITIONS: usize = 20;

const READ: &str = "SELECT created_by FROM channels WHERE name = ?";

/// Who is asked first for that channel. Whoever gives a second opinion does not count.
async fn first_asked(store: &CqlStore, channel: &str) -> IpAddr {
    let mut read = store.link.prepare_read(READ).await.unwrap();
    let history = Arc::new(HistoryCollector::new());
    read.set_history_listener(history.clone());
    let row: Option<(i64,)> = store.link.row(&read, (channel,)).await.unwrap();
    assert_eq!(row, None);
    let asked = history.clone_structured_history();
    let attempts = &asked.requests[0].non_speculative_fiber.attempts;
    attempts[0].node_addr.ip()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_is_asked_first_and_of_several_the_one_in_the_named_rack() {
    let Some(mut settings) = server(&unique("routed")) else {
        return;
    };
    if settings.nodes.len() < 3 {
        println!("skipped: fewer than three nodes are named, and each has every row");
        return;
    }
    // So each rack lacks a third of the rows.
    settings.replication = 2;
    CqlStore::migrate(&settings).await.unwrap();
    for rack in [None, Some("rack1"), Some("rack2"), Some("rack3")] {
        let settings = CqlSettings {
            rack: rack.map(str::to_owned),
            ..settings.clone()
        };
        let store = CqlStore::connect(settings.clone()).await.unwrap();
        let state = store.link.session.get_cluster_state();
        let mut near = 0;
        for _ in 0..PARTITIONS {
            let channel = unique("row");
            let replicas = state.get_endpoints(&settings.keyspace, "channels", &(&channel,));
            let replicas = replicas.unwrap();
            assert_eq!(replicas.len(), 2);
            let address = |node: &::scylla::cluster::Node| node.address.ip();
            let named = replicas
                .iter()
                .find(|(node, _)| node.rack.as_deref() == rack);
            let right: BTreeSet<_> = match named {
                Some((node, _)) => [address(node)].into(),
                None => replicas.iter().map(|(node, _)| address(node)).collect(),
            };
            near += usize::from(named.is_some());
            let asked = first_asked(&store, &channel).await;
            assert!(right.contains(&asked), "{rack:?}: {asked}, not {right:?}");
        }
        println!("{rack:?} has {near} of {PARTITIONS} rows");
        assert_eq!(near > 0, rack.is_some(), "a rack of that name has rows");
    }
}
