//! What is sent in a private is shown wherever its people are, though no relay is there yet and
//! nodes, links and owners go.

use super::cluster::Cluster;
use super::memory::Obstacle;
use super::world::{Person, World};
use crate::Destination;
use crate::cluster::Online;
use crate::edge::Wants;
use crate::node::Lives;
use crate::presence::PresenceMessage;
use cql::{SignInHash, Store, UserId, Username};
use std::time::Duration;

/// Somebody on one node, and their private with somebody else, which lives on another one.
async fn private_on(
    cluster: &Cluster,
    owner: usize,
    node: usize,
    with: &Person,
) -> (Person, Destination) {
    for count in 0.. {
        let one = cluster.nodes[node].signed_in(&format!("one{count}")).await;
        let private = one.to(with);
        if cluster.owner(&private.conversation) == owner {
            return (one, private);
        }
    }
    unreachable!("there are names without end")
}

#[tokio::test(start_paused = true)]
async fn a_private_that_is_said_during_a_hand_over_is_shown() {
    let mut cluster = Cluster::of(3).await;
    let bob = cluster.nodes[1].person("bob").await;
    let (eve, private) = private_on(&cluster, 0, 2, &bob).await;
    let drained = cluster.nodes.remove(0);
    let (store, node) = (drained.store.clone(), drained.node().clone());
    store.obstruct(Some(("append", Obstacle::Late)));
    let says = eve
        .system
        .post(eve.post_to(private.clone(), "psst", false, None));
    let hands_over = async {
        // It is on its way to the store by then.
        kept(&cluster.nodes[1], &private).await;
        let draining = tokio::spawn(async move {
            drained.system.drain(Duration::from_millis(100)).await;
            drained.system.stop().await;
        });
        while node.lives(&private.conversation) == Lives::Here {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        store.obstruct(None);
        draining.await.unwrap();
    };
    let (said, ()) = tokio::join!(says, hands_over);
    bob.sees_sent(said.unwrap().id, "psst").await;
    assert_eq!(bob.count("message"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_private_is_shown_to_who_came_among_a_thousand() {
    let cluster = Cluster::of(2).await;
    let bob = cluster.nodes[1].signed_in("bob").await;
    let (eve, private) = private_on(&cluster, 0, 0, &bob).await;
    // Somebody is told of each of them, and that takes its time.
    cluster.nodes[0].person("ada").await;
    let online = |number: u16| {
        let mut hash = [0; 32];
        hash[..2].copy_from_slice(&number.to_be_bytes());
        Online {
            user: UserId(u64::from(number)),
            username: Username::parse(&format!("user{number}")).unwrap(),
            sign_in: SignInHash(hash),
        }
    };
    let people: Vec<Online> = (1..1_000).map(online).collect();
    let node = cluster.name(1);
    cluster.nodes[0].node().expect(node, &people);
    let joined = PresenceMessage::Joined { node, people };
    let presence = cluster.nodes[0].node().directory.presence().unwrap();
    presence.cast(joined).unwrap();
    let bob = cluster.nodes[1].connect(&bob, Wants::default()).await;
    let said = eve.post_to(private, "psst", false, None);
    let said = eve.system.post(said).await.unwrap();
    bob.sees_sent(said.id, "psst").await;
}

#[tokio::test(start_paused = true)]
async fn what_is_said_first_in_a_private_over_a_link_that_is_ending_is_shown() {
    let cluster = Cluster::of(2).await;
    let bob = cluster.nodes[1].person("bob").await;
    let (eve, private) = private_on(&cluster, 0, 0, &bob).await;
    // Nobody knows yet that nothing comes through any more.
    cluster.network.cut(cluster.name(0), cluster.name(1));
    let said = eve.post_to(private, "psst", false, None);
    let said = eve.system.post(said).await.unwrap();
    cluster.network.part(cluster.name(0), cluster.name(1));
    let linked = || !cluster.nodes[0].node().cluster.linked().is_empty();
    cluster.nodes[0]
        .until("the link has ended", || !linked())
        .await;
    cluster.network.heal();
    bob.sees_sent(said.id, "psst").await;
    assert_eq!(bob.count("message"), 1);
}

/// Waits until a message is in the store.
async fn kept(world: &World, private: &Destination) {
    let newest = cql::Range {
        before: None,
        after: None,
        limit: 1,
    };
    let conversation = &private.conversation;
    while world
        .store
        .history(conversation, newest)
        .await
        .unwrap()
        .messages
        .is_empty()
    {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_an_owner_kept_of_a_private_and_never_told_is_shown_by_the_next() {
    let mut cluster = Cluster::of(3).await;
    let bob = cluster.nodes[1].person("bob").await;
    let (eve, private) = private_on(&cluster, 0, 2, &bob).await;
    cluster.nodes[0]
        .store
        .obstruct(Some(("append", Obstacle::Late)));
    let system = eve.system.clone();
    let said = tokio::spawn({
        let post = eve.post_to(private.clone(), "psst", false, None);
        async move { system.post(post).await }
    });
    kept(&cluster.nodes[2], &private).await;
    let _killed = cluster.kill(0);
    assert!(said.await.unwrap().is_err(), "nobody knows");
    // Whoever reads it has the next owner begin.
    let newest = cql::Range {
        before: None,
        after: None,
        limit: 10,
    };
    while cluster.nodes[0]
        .system
        .history(&private.conversation, newest)
        .await
        .is_err()
    {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    bob.waits_for_text("psst").await;
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_eq!(bob.count("message"), 1);
}
