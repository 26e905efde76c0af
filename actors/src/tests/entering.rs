//! Who comes to watch is shown what there is, though the relay may not have heard of it yet.

use super::cluster::Cluster;
use super::memory::Mood;
use super::world::ting;
use crate::Destination;
use crate::channel::ChannelMessage;
use crate::edge::{Kill, Target, Wants};
use crate::tail::TAIL_LENGTH;
use cql::{ChannelName, Conversation, MessageId, Range, Store};
use serde_json::json;
use std::time::Duration;
use tokio::time::Instant;

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

fn channel(name: &str) -> Destination {
    let name = ChannelName::parse(name).unwrap();
    Destination {
        conversation: Conversation::Channel(name.clone()),
        target: Target::Channel(name),
    }
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

#[tokio::test(start_paused = true)]
async fn a_private_is_shown_to_who_comes_when_its_relay_has_ended() {
    let cluster = Cluster::of(2).await;
    let ada = cluster.nodes[0].person("ada").await;
    let bob = cluster.nodes[1].person("bob").await;
    let private = ada.to(&bob).conversation;
    let says = |text| {
        ada.system
            .post(ada.post_to(ada.to(&bob), text, false, None))
    };
    says("one").await.unwrap();
    bob.waits_for_text("one").await;
    bob.disconnects();
    let relays = &cluster.nodes[1].node().directory.relays;
    while relays.get(&private).is_some() {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let bob = cluster.nodes[1].connect(&bob, Wants::default()).await;
    says("two").await.unwrap();
    bob.waits_for_text("two").await;
    assert_eq!(bob.count("message"), 1);
}

#[tokio::test(start_paused = true)]
async fn what_was_said_in_a_private_long_ago_is_no_news_where_its_reader_comes() {
    let cluster = Cluster::of(2).await;
    let ada = cluster.nodes[0].person("ada").await;
    let bob = cluster.nodes[1].signed_in("bob").await;
    let says = |text: String| {
        ada.system
            .post(ada.post_to(ada.to(&bob), &text, false, None))
    };
    // More than an owner keeps: it gives the rest when the store has answered.
    for count in 0..TAIL_LENGTH + 10 {
        says(format!("{count}")).await.unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    tokio::time::sleep(Duration::from_secs(120)).await;
    let bob = cluster.nodes[1].connect(&bob, Wants::default()).await;
    for text in ["one", "two"] {
        says(text.to_owned()).await.unwrap();
        bob.waits_for_text(text).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert_eq!(bob.count("message"), 2);
}

#[tokio::test(start_paused = true)]
async fn who_types_by_http_on_one_node_enters_with_a_socket_on_another_each_time() {
    let cluster = Cluster::of(2).await;
    let room = channel("room");
    let mut ada = cluster.nodes[0].signed_in("ada").await;
    let bob = cluster.nodes[0].person("bob").await;
    for text in ["one", "two"] {
        ada = cluster.nodes[1].connect(&ada, Wants::default()).await;
        let by_http = cluster.nodes[0].signs_in_as(&ada);
        let typed = by_http.post_to(room.clone(), "h", true, None);
        by_http.system.post(typed).await.unwrap();
        let said = bob.post_to(room.clone(), text, false, None);
        bob.system.post(said).await.unwrap();
        ada.waits_for_text(text).await;
        ada.disconnects();
        tokio::time::sleep(Duration::from_secs(10)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn who_reads_has_entered_on_all_nodes_or_has_waited_a_second() {
    let cluster = Cluster::of(2).await;
    let bob = cluster.nodes[0].person("bob").await;
    let ada = cluster.nodes[1].person("ada").await;
    bob.hears("join", json!("ada")).await;
    let reads = async |name: &str| {
        let asked = Instant::now();
        let name = ChannelName::parse(name).unwrap();
        let reading = cluster.nodes[0]
            .system
            .enter_implicitly(&ada.sign_in, &name);
        reading.await;
        asked.elapsed()
    };
    let types_in = async |name| {
        let typed = bob.post_to(channel(name), "h", true, None);
        bob.system.post(typed).await.unwrap().id
    };
    let answered = types_in("answered").await;
    let took = reads("answered").await;
    assert!(took < Duration::from_secs(1), "{took:?}");
    assert!(ada.shown().ghosts.contains_key(&answered), "not entered");
    let unanswered = types_in("unanswered").await;
    // The question does not arrive.
    cluster.network.cut(cluster.name(0), cluster.name(1));
    let took = reads("unanswered").await;
    let second = Duration::from_secs(1)..Duration::from_millis(1_100);
    assert!(second.contains(&took), "{took:?}");
    assert!(!ada.shown().ghosts.contains_key(&unanswered));
    cluster.network.heal();
    reads("unanswered").await;
    ada.sees(unanswered, "h").await;
}

#[tokio::test(start_paused = true)]
async fn a_sign_in_that_ended_without_a_word_ends_by_itself() {
    let cluster = Cluster::of(2).await;
    let ada = cluster.nodes[1].person("ada").await;
    let (here, there) = (cluster.name(0), cluster.name(1));
    cluster.network.cut(here, there);
    let ended = cluster.nodes[0].system.end_sign_in(ada.sign_in.hash).await;
    assert!(ended.unwrap());
    cluster.network.heal();
    assert_eq!(ada.killed(), None, "nobody told its node");
    tokio::time::sleep(Duration::from_secs(660)).await;
    assert_eq!(ada.killed(), Some(Kill::SignedOut));
}

#[tokio::test(start_paused = true)]
async fn what_is_sent_while_a_relay_starts_is_in_the_history_or_shown() {
    let cluster = Cluster::of(2).await;
    let owner = cluster.owner(&ting().conversation);
    let ada = cluster.nodes[owner].person("ada").await;
    ada.says("before").await;
    // An owner that was started anew reads the store for each relay that comes.
    let node = cluster.nodes[owner].node();
    node.tell_channel_here(&ting().conversation, ChannelMessage::Break);
    ada.says("it serves").await;
    cluster.nodes[owner].store.set_mood(Mood::ReadsLate);
    let says = ada.clone();
    let said = tokio::spawn(async move {
        let mut said = Vec::new();
        for count in 0..40 {
            said.push(says.says(&count.to_string()).await.id);
            tokio::time::sleep(Duration::from_millis(17)).await;
        }
        said
    });
    tokio::time::sleep(Duration::from_millis(90)).await;
    let newest = Range {
        before: None,
        after: None,
        limit: 100,
    };
    let store = &cluster.nodes[1 - owner].store;
    let read = store.history(&ting().conversation, newest).await.unwrap();
    let carol = cluster.nodes[1 - owner].person("carol").await;
    let said = said.await.unwrap();
    ada.says("last").await;
    carol.waits_for_text("last").await;
    let shown = carol.shown().sent;
    for id in said {
        let once = shown.get(&id).is_some_and(|texts| texts.len() == 1);
        let was_read = read.messages.iter().any(|message| message.id == id);
        assert!(once || was_read, "{id} is nowhere");
    }
}
