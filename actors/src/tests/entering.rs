//! Who comes to watch is shown what there is, though the relay may not have heard of it yet.

use super::cluster::Cluster;
use super::world::ting;
use crate::edge::Wants;
use cql::MessageId;
use serde_json::json;
use std::time::Duration;

/// What an update has shown of a message, over time.
fn states(person: &super::world::Person, id: MessageId) -> Vec<String> {
    let heard = person.heard().into_iter();
    let updates = heard.filter(|(event, _)| *event == "update-typing-messages");
    let entries = updates.flat_map(|(_, body)| body.as_array().cloned().unwrap_or_default());
    entries
        .filter(|entry| entry["id"] == json!(id))
        .map(|entry| entry["text"].as_str().unwrap_or_default().to_owned())
        .collect()
}

#[tokio::test(start_paused = true)]
async fn who_comes_is_not_shown_what_is_over_elsewhere() {
    let cluster = Cluster::of(3).await;
    let (owner, one, other) = cluster.around_ting();
    let ada = cluster.nodes[one].person("ada").await;
    let bob = cluster.nodes[other].person("bob").await;
    let erased = ada.types("over").await.id;
    let typed = ada.types("h").await.id;
    for id in [erased, typed] {
        bob.sees(id, if id == typed { "h" } else { "over" }).await;
    }
    // What the owner says takes long to arrive.
    cluster
        .network
        .cut(cluster.name(owner), cluster.name(other));
    ada.erases(erased).await.unwrap();
    ada.types_on(typed, "he").await.unwrap();
    let carol = cluster.nodes[other].person("carol").await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(carol.shown(), Default::default(), "nobody knows yet");
    cluster.network.heal();
    carol.sees(typed, "he").await;
    bob.sees(typed, "he").await;
    bob.no_longer_sees(erased).await;
    assert!(states(&carol, erased).iter().all(String::is_empty));
    assert_eq!(states(&carol, typed), ["he"]);
}

#[tokio::test(start_paused = true)]
async fn who_waits_to_enter_is_told_what_is_sent_and_what_is_deleted() {
    let cluster = Cluster::of(3).await;
    let (owner, one, other) = cluster.around_ting();
    let ada = cluster.nodes[one].person("ada").await;
    let _bob = cluster.nodes[other].person("bob").await;
    let typed = ada.types("h").await.id;
    let deleted = ada.says("to be deleted").await.id;
    // What the relay asks takes long to arrive.
    cluster
        .network
        .cut(cluster.name(other), cluster.name(owner));
    let carol = cluster.nodes[other].person("carol").await;
    let dora = cluster.nodes[other].signed_in("dora").await;
    let wants = Wants {
        messages: false,
        ..Wants::default()
    };
    let dora = cluster.nodes[other].connect(&dora, wants).await;
    // One who asks twice is told once.
    let again = carol.system.enter(carol.connection.unwrap(), ting());
    let sent = ada.says("sent").await.id;
    ada.types_on(typed, "he").await.unwrap();
    cluster.nodes[one].system.delete(deleted).await.unwrap();
    for person in [&carol, &dora] {
        person.sees_sent(sent, "sent").await;
    }
    assert_eq!(
        states(&carol, typed),
        [""; 0],
        "it may be older than what was seen elsewhere"
    );
    cluster.network.heal();
    drop(again);
    for person in [&carol, &dora] {
        person.sees(typed, "he").await;
        assert_eq!(states(person, deleted), [""]);
        assert_eq!(states(person, sent), ["sent"], "once");
    }
    assert_eq!((carol.count("message"), dora.count("message")), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn who_came_before_the_owner_knew_of_it_is_told_what_was_sent_since() {
    let cluster = Cluster::of(3).await;
    let (owner, one, other) = cluster.around_ting();
    let ada = cluster.nodes[one].person("ada").await;
    let long_ago = ada.says("long ago").await.id;
    tokio::time::sleep(Duration::from_secs(20)).await;
    // The first question is lost, and the history is read elsewhere.
    cluster
        .network
        .cut(cluster.name(other), cluster.name(owner));
    let carol = cluster.nodes[other].person("carol").await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    let missed = ada.says("missed").await.id;
    cluster.network.heal();
    carol.sees_sent(missed, "missed").await;
    let next = ada.says("next").await.id;
    carol.sees_sent(next, "next").await;
    assert_eq!(states(&carol, missed), ["missed"], "once");
    assert_eq!(states(&carol, long_ago), [""; 0]);
}
