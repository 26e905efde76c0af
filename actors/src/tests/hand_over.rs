//! What the last owner of a conversation knew is known to the next one.

use super::cluster::{Cluster, history};
use super::memory::{Mood, Obstacle};
use super::world::{Person, World, ting};
use crate::channel::ChannelMessage;
use crate::edge::{Entry, Target, Wants};
use crate::frame::{Belongs, End, Ghost};
use crate::node::{Lives, Node};
use crate::{Destination, Patched};
use cql::{ChannelName, Conversation, MessageId};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// A node hands over what it has, and ends.
fn drains(drained: World) -> JoinHandle<()> {
    tokio::spawn(async move {
        drained.system.drain(Duration::from_millis(100)).await;
        drained.system.stop().await;
    })
}

#[tokio::test(start_paused = true)]
async fn draining_hands_over_and_fails_no_send() {
    let mut cluster = Cluster::of(3).await;
    let (owner, one, other) = cluster.around_ting();
    let ada = cluster.nodes[one].person("ada").await;
    let bob = cluster.nodes[other].person("bob").await;
    let typed = ada.types("h").await;
    bob.sees(typed.id, "h").await;
    let drained = cluster.nodes.remove(owner);
    let draining = drains(drained);
    let mut said = Vec::new();
    for count in 0..40 {
        said.push(ada.says(&format!("message {count}")).await.id);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    draining.await.unwrap();
    assert_eq!(ada.sends(typed.id, "hey").await, Ok(Patched::Done));
    bob.sees_sent(typed.id, "hey").await;
    for id in &said {
        assert_eq!(bob.shown().sent[id].len(), 1);
    }
    let entries = history(&cluster.nodes[0], &ting().conversation).await;
    assert_eq!(entries.len(), 41);
    assert_eq!(entries.last().unwrap().1, "hey", "in its place");
}

#[tokio::test(start_paused = true)]
async fn the_last_letters_before_a_hand_over_are_seen() {
    for pause in [1, 7, 30, 60, 99] {
        let mut cluster = Cluster::of(3).await;
        let (owner, one, other) = cluster.around_ting();
        let ada = cluster.nodes[one].person("ada").await;
        let bob = cluster.nodes[other].person("bob").await;
        let typed = ada.types("0").await.id;
        let erased = ada.types("to be erased").await.id;
        bob.sees(erased, "to be erased").await;
        let before = cluster.nodes[one].node().cluster.version();
        let drained = cluster.nodes.remove(owner);
        let draining = drains(drained);
        let mut last = 0;
        let seen = |cluster: &Cluster| cluster.versions().into_iter().max().unwrap();
        while seen(&cluster) == before {
            last += 1;
            ada.types_on(typed, &last.to_string()).await.unwrap();
            tokio::time::sleep(Duration::from_millis(pause)).await;
        }
        ada.erases(erased).await.unwrap();
        draining.await.unwrap();
        bob.sees(typed, &last.to_string()).await;
        bob.no_longer_sees(erased).await;
    }
}

/// Waits until a node, which drains, owns a conversation no more.
async fn lost_by(node: &Arc<Node>, conversation: &Conversation) {
    while node.lives(conversation) == Lives::Here {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_on_its_way_to_the_store_at_a_hand_over_is_acknowledged() {
    let mut cluster = Cluster::of(3).await;
    let (owner, one, other) = cluster.around_ting();
    let ada = cluster.nodes[one].person("ada").await;
    let bob = cluster.nodes[other].person("bob").await;
    let typed = ada.types("typ").await.id;
    bob.sees(typed, "typ").await;
    let drained = cluster.nodes.remove(owner);
    let (store, node) = (drained.store.clone(), drained.node().clone());
    store.obstruct(Some(("append", Obstacle::Late)));
    let sends = ada.sends(typed, "typed");
    let says = ada.system.post(ada.post_to(ting(), "said", false, None));
    let hands_over = async {
        let draining = drains(drained);
        lost_by(&node, &ting().conversation).await;
        store.obstruct(None);
        draining.await.unwrap();
    };
    let (sent, said, ()) = tokio::join!(sends, says, hands_over);
    assert_eq!(sent, Ok(Patched::Done));
    bob.sees_sent(typed, "typed").await;
    bob.sees_sent(said.unwrap().id, "said").await;
}

#[tokio::test(start_paused = true)]
async fn a_node_with_nobody_on_it_goes_when_it_has_answered_the_others() {
    let mut cluster = Cluster::of(3).await;
    let (owner, one, _) = cluster.around_ting();
    let ada = cluster.nodes[one].signed_in("ada").await;
    let drained = cluster.nodes.remove(owner);
    let says = ada.system.post(ada.post_to(ting(), "said", false, None));
    let (said, drained) = tokio::join!(says, drains(drained));
    drained.unwrap();
    assert!(said.is_ok());
}

#[tokio::test(start_paused = true)]
async fn what_is_deleted_during_a_hand_over_is_shown_to_be_gone() {
    let mut cluster = Cluster::of(3).await;
    let (owner, one, other) = cluster.around_ting();
    let ada = cluster.nodes[one].person("ada").await;
    let bob = cluster.nodes[other].person("bob").await;
    let said = ada.says("said").await.id;
    bob.sees_sent(said, "said").await;
    let drained = cluster.nodes.remove(owner);
    let (store, node) = (drained.store.clone(), drained.node().clone());
    store.obstruct(Some(("end_message", Obstacle::Late)));
    let deletes = ada.system.delete(said);
    let hands_over = async {
        // It has been asked for by then.
        tokio::time::sleep(Duration::from_millis(50)).await;
        let draining = drains(drained);
        lost_by(&node, &ting().conversation).await;
        store.obstruct(None);
        draining.await.unwrap();
    };
    let (deleted, ()) = tokio::join!(deletes, hands_over);
    assert_eq!(deleted, Ok(()));
    let gone = |(event, body): &(&str, Value)| {
        let entries = body.as_array().into_iter().flatten();
        let mut its = entries.filter(|entry| entry["id"] == json!(said));
        *event == "update-typing-messages" && its.any(|entry| entry["text"] == "")
    };
    cluster.nodes[0]
        .until("it is shown to be gone", || bob.heard().iter().any(gone))
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_ghost_that_is_deleted_during_a_hand_over_does_not_live_on() {
    let mut cluster = Cluster::of(3).await;
    let (owner, one, _) = cluster.around_ting();
    // Nobody watches, so no relay knows of it.
    let ada = cluster.nodes[one].signed_in("ada").await;
    let ghost = ada.types("typed").await.id;
    let drained = cluster.nodes.remove(owner);
    let (store, node) = (drained.store.clone(), drained.node().clone());
    store.obstruct(Some(("end_message", Obstacle::Late)));
    let deletes = ada.system.delete(ghost);
    let hands_over = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let draining = drains(drained);
        lost_by(&node, &ting().conversation).await;
        store.obstruct(None);
        draining.await.unwrap();
    };
    let (deleted, ()) = tokio::join!(deletes, hands_over);
    assert_eq!(deleted, Ok(()));
    let entries = history(&cluster.nodes[0], &ting().conversation).await;
    assert!(entries.is_empty(), "{entries:?}");
}

/// What Ada types there, for all that a relay knows.
fn ghost(world: &World, ada: &Person, target: &Target) -> Ghost {
    let id = world.node().clock.next_id(MessageId::default()).unwrap();
    let entry = Entry {
        id,
        author: Some(ada.sign_in.user),
        username: ada.sign_in.username.clone(),
        target: target.clone(),
        text: "the last letters".into(),
        typing: true,
        datetime_start: id.time(),
        datetime_sent: None,
        rev: 9,
    };
    Ghost {
        entry,
        belongs: Belongs::Connection(world.node().name(), ada.connection.unwrap()),
        key: None,
        author_rev: 3,
    }
}

#[tokio::test(start_paused = true)]
async fn a_relay_that_was_not_heard_in_time_is_heard() {
    let world = World::new().await;
    let (ada, bob) = (world.person("ada").await, world.person("bob").await);
    let ghost = ghost(&world, &ada, &ting().target);
    let id = ghost.entry.id;
    world.history().await;
    let announces = |ghosts: Vec<Ghost>, ended| {
        let node = world.node().name();
        let announced = ChannelMessage::Announced {
            node,
            ghosts,
            ended,
        };
        world.node().tell_channel(&ting().conversation, announced);
    };
    announces(vec![ghost.clone()], Vec::new());
    bob.sees(id, "the last letters").await;
    // Another one has seen it erased, which is for good.
    announces(Vec::new(), vec![(id, End::Erased)]);
    bob.no_longer_sees(id).await;
    announces(vec![ghost.clone()], Vec::new());
    // Who comes much later knows nothing better.
    tokio::time::sleep(Duration::from_secs(6)).await;
    let mut late = ghost;
    late.entry.id = MessageId(id.0 + 1);
    announces(vec![late], Vec::new());
    let last = ada.types("the last").await.id;
    bob.sees(last, "the last").await;
    let shown: Vec<MessageId> = bob.shown().ghosts.into_keys().collect();
    assert_eq!(shown, [last]);
}

#[tokio::test(start_paused = true)]
async fn an_owner_that_goes_before_it_served_passes_on_what_it_was_told() {
    let world = World::new().await;
    let (ada, bob) = (world.person("ada").await, world.person("bob").await);
    let name = ChannelName::parse("room").unwrap();
    let (target, conversation) = (Target::Channel(name.clone()), Conversation::Channel(name));
    let ghost = ghost(&world, &ada, &target);
    let id = ghost.entry.id;
    // It waits for the store, and so does all that is said to it; until it is to go.
    world.store.set_mood(Mood::Silent);
    let handed_over = ChannelMessage::HandedOver {
        ghosts: vec![ghost],
        ended: Vec::new(),
    };
    for said in [handed_over, ChannelMessage::Release] {
        world.node().tell_channel(&conversation, said);
    }
    let to = Destination {
        conversation,
        target,
    };
    world.store.set_mood(Mood::Answers);
    world
        .system
        .enter(bob.connection.unwrap(), to)
        .await
        .unwrap();
    bob.sees(id, "the last letters").await;
}

#[tokio::test(start_paused = true)]
async fn who_comes_back_from_a_node_that_goes_neither_parts_nor_joins() {
    let mut cluster = Cluster::of(3).await;
    let ada = cluster.nodes[0].person("ada").await;
    let gone = cluster.nodes[0].person("gone").await;
    let bob = cluster.nodes[1].person("bob").await;
    let drained = cluster.nodes.remove(0);
    let draining = drains(drained);
    let told = || ada.killed().is_some() && gone.killed().is_some();
    cluster.nodes[0].until("they are told to go", told).await;
    let told = Instant::now();
    ada.disconnects();
    gone.disconnects();
    let ada = cluster.nodes[1].connect(&ada, Wants::default()).await;
    draining.await.unwrap();
    // Who does not come back is missed in the end.
    bob.hears("part", json!("gone")).await;
    let held = told.elapsed();
    let right = Duration::from_secs(9)..Duration::from_secs(12);
    assert!(right.contains(&held), "{held:?}");
    let of_ada = |(event, name): &(&str, Value)| *event != "login-response" && *name == "ada";
    let heard = bob.heard();
    assert!(!heard.iter().any(of_ada), "{heard:?}");
    assert!(ada.system.online(ada.sign_in.user).await);
    // By then she is there as everybody else is, and missed at once.
    ada.disconnects();
    let left = Instant::now();
    bob.hears("part", json!("ada")).await;
    assert!(left.elapsed() < Duration::from_secs(1));
}
