//! Nodes and the network have less than they need.

use super::suffers;
use crate::crowd::Crowd;
use crate::faults::Fault;
use std::time::Duration;
use tests::quota;

/// How long it lasts.
const LASTS: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread")]
async fn the_owner_gets_a_tenth_of_a_core() {
    if quota::is_there() {
        suffers(
            "a tenth of a core",
            Crowd::Greedy(1),
            |(owner, _)| vec![Fault::Slow(owner)],
            LASTS,
        )
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn three_of_ten_packets_to_the_owner_are_lost() {
    suffers(
        "30 % loss",
        Crowd::Few,
        |(owner, _)| vec![Fault::Lossy(owner)],
        LASTS,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "half a minute in which little happens"]
async fn the_owner_has_no_descriptor_left() {
    let chosen = |(owner, _)| vec![Fault::NoDescriptors(owner)];
    if let Some(figures) = suffers("no descriptors", Crowd::Few, chosen, LASTS).await {
        assert_ne!(figures.attempts, (0, 0), "it took connections all the same");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "ends as a kill does"]
async fn the_owner_has_no_memory_left() {
    if quota::is_there() {
        let chosen = |(owner, _)| vec![Fault::NoMemory(owner)];
        suffers("no memory", Crowd::Few, chosen, LASTS).await;
    }
}
