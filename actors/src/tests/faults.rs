use super::cluster::Cluster;
use super::memory::{Mood, Obstacle};
use super::world::{Person, World, text, ting};
use crate::channel::{Beginning, ChannelMessage};
use crate::cluster::KeeperMessage;
use crate::edge::{Entry, Kill};
use crate::frame::{Belongs, Epoch, Snapshot};
use crate::node::WRITES_MAX;
use crate::relay::RelayMessage;
use crate::session::SessionMessage;
use crate::tail::TAIL_LENGTH;
use crate::{Patched, TypingError, Unanswered};
use cql::{Message, MessageId, Store};
use ractor::{ActorRef, ActorStatus};
use std::time::Duration;

#[tokio::test(start_paused = true)]
async fn a_channel_that_fails_comes_back_with_its_history_and_its_ghosts() {
    let world = World::new().await;
    let (ada, bob) = (world.person("ada").await, world.person("bob").await);
    let said = ada.says("said").await.id;
    let typed = ada.types("typed").await.id;
    bob.sees_sent(said, "said").await;
    bob.sees(typed, "typed").await;
    for round in 0..5 {
        world
            .node()
            .tell_channel(&ting().conversation, ChannelMessage::Break);
        let text = format!("typed {round}");
        // What was on its way may be unanswered; repeated, it finds its message.
        while let Err(error) = ada.types_on(typed, &text).await {
            assert_eq!(error, TypingError::Unanswered(Unanswered));
        }
        bob.sees(typed, &text).await;
        let more = ada.says(&text).await.id;
        bob.sees_sent(more, &text).await;
    }
    ada.sends(typed, "typed!").await.unwrap();
    bob.sees_sent(typed, "typed!").await;
    // The second read is over by then, and has shown nothing twice.
    tokio::time::sleep(Duration::from_secs(10)).await;
    let shown = bob.shown();
    assert_eq!(shown.sent.len(), 7);
    assert!(shown.sent.values().all(|times| times.len() == 1));
    assert_eq!(world.history().await.entries.len(), 7);
}

#[tokio::test(start_paused = true)]
async fn a_node_whose_keeper_of_the_view_fails_goes_out() {
    let cluster = Cluster::of(2).await;
    let node = &cluster.nodes[0];
    node.node().cluster.tell_keeper(KeeperMessage::Break);
    let out = tokio::time::timeout(Duration::from_secs(1), node.system.put_out()).await;
    assert!(out.is_ok());
}

#[tokio::test(start_paused = true)]
async fn what_another_owner_did_meanwhile_is_shown_and_relays_follow_again() {
    let world = World::new().await;
    let (ada, bob) = (world.person("ada").await, world.person("bob").await);
    let typed = ada.types("typed").await.id;
    bob.sees(typed, "typed").await;
    // Somebody owned it after this node, who sent a message and whom the relay followed.
    let node = world.node();
    let by_other = node.clock.next_id(typed).unwrap();
    let message = Message {
        id: by_other,
        conversation: ting().conversation,
        author: Some(ada.sign_in.user),
        username: ada.sign_in.username.clone(),
        text: text("by the other"),
        datetime_start: by_other.time(),
        datetime_sent: by_other.time(),
    };
    world.store.append(&message, None).await.unwrap();
    let epoch = Epoch {
        version: node.cluster.version(),
        id: by_other,
    };
    let snapshot = Snapshot {
        epoch,
        n: 40,
        low: MessageId::default(),
        ghosts: Vec::new(),
        sent: Vec::new(),
        deleted: Vec::new(),
    };
    let conversation = ting().conversation;
    let shown = RelayMessage::Snapshot(snapshot);
    assert!(node.tell_relay(node.name(), &conversation, shown).is_ok());
    bob.no_longer_sees(typed).await;
    ada.types_on(typed, "typed on").await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(bob.shown().ghosts.is_empty(), "it follows the other");
    node.tell_channel(&conversation, ChannelMessage::HadByOthers);
    bob.sees(typed, "typed on").await;
    bob.sees_sent(by_other, "by the other").await;
    assert_eq!(bob.shown().sent[&by_other].len(), 1);
    ada.types_on(typed, "typed further").await.unwrap();
    bob.sees(typed, "typed further").await;
}

#[tokio::test(start_paused = true)]
async fn what_was_erased_stays_erased_when_the_channel_fails() {
    let world = World::new().await;
    let (ada, bob) = (world.person("ada").await, world.person("bob").await);
    let posted = ada.types("oops").await;
    bob.sees(posted.id, "oops").await;
    ada.erases(posted.id).await.unwrap();
    world
        .node()
        .tell_channel(&ting().conversation, ChannelMessage::Break);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let mut back = ada.stroke(posted.id, Some("oops"), true);
    back.claim = Some(posted.claim);
    assert_eq!(world.system.patch(back).await, Err(TypingError::NotFound));
    bob.no_longer_sees(posted.id).await;
}

#[tokio::test(start_paused = true)]
async fn a_relay_that_fails_ends_its_sockets_so_that_they_catch_up() {
    let world = World::new().await;
    let (ada, bob) = (world.person("ada").await, world.person("bob").await);
    world
        .node()
        .tell_relay_here(&ting().conversation, RelayMessage::Break);
    world
        .until("both are ended", || {
            ada.killed().is_some() && bob.killed().is_some()
        })
        .await;
    assert_eq!(bob.killed(), Some(Kill::Restarted));
    bob.disconnects();
    let again = world.connect(&bob, Default::default()).await;
    let id = again.types("again").await.id;
    again.sees(id, "again").await;
}

#[tokio::test(start_paused = true)]
async fn a_session_that_fails_ends_its_own_sockets_only() {
    let world = World::new().await;
    let (ada, bob) = (world.person("ada").await, world.person("bob").await);
    world
        .node()
        .tell_session(bob.sign_in.hash, SessionMessage::Break);
    world.until("bob is ended", || bob.killed().is_some()).await;
    assert_eq!((ada.killed(), bob.killed()), (None, Some(Kill::Restarted)));
    world
        .until("bob is offline", || {
            !world.node().roster().is_online(bob.sign_in.user)
        })
        .await;
}

/// An actor fails, and the root learns of that long after others do.
async fn fails_unheard<M: ractor::Message>(world: &World, actor: Option<ActorRef<M>>, broken: M) {
    let actor = actor.unwrap();
    let root = world.node().directory.system.get().unwrap();
    actor.unlink(root.get_cell());
    assert!(actor.cast(broken).is_ok());
    let ended = || actor.get_status() == ActorStatus::Stopped;
    world.until("it has failed", ended).await;
}

#[tokio::test(start_paused = true)]
async fn a_relay_that_is_found_dead_ends_its_sockets() {
    let world = World::new().await;
    let bob = world.person("bob").await;
    let relay = world.node().directory.relays.get(&ting().conversation);
    fails_unheard(&world, relay, RelayMessage::Break).await;
    world.person("ada").await.says("said").await;
    world.until("bob is ended", || bob.killed().is_some()).await;
}

#[tokio::test(start_paused = true)]
async fn a_session_that_is_found_dead_ends_its_sockets() {
    let world = World::new().await;
    let (ada, bob) = (world.person("ada").await, world.person("bob").await);
    let session = world.node().directory.sessions.get(&bob.sign_in.hash);
    fails_unheard(&world, session, SessionMessage::Break).await;
    bob.by_http().says("said").await;
    world.until("bob is ended", || bob.killed().is_some()).await;
    assert_eq!(ada.killed(), None);
}

#[tokio::test(start_paused = true)]
async fn a_channel_that_is_found_dead_reads_once_more_what_its_last_life_sent() {
    let world = World::new().await;
    let (ada, bob) = (world.person("ada").await, world.person("bob").await);
    world.store.obstruct(Some(("append", Obstacle::Held)));
    let late = ada.post_to(ting(), "late", false, None);
    assert!(world.system.post(late).await.is_err());
    let channel = world.node().directory.channels.get(&ting().conversation);
    fails_unheard(&world, channel, ChannelMessage::Break).await;
    assert!(world.history().await.entries.is_empty());
    world.store.obstruct(None);
    bob.waits_for_text("late").await;
}

/// A message that is typed, and whose place is no longer among the newest, which the owner keeps.
async fn typed_for_long(ada: &Person) -> MessageId {
    let id = ada.types("typed for long").await.id;
    for count in 0..TAIL_LENGTH {
        ada.says(&count.to_string()).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    id
}

#[tokio::test(start_paused = true)]
async fn what_is_sent_while_the_store_is_asked_what_a_relay_has_missed_is_shown() {
    let world = World::new().await;
    let (ada, bob) = (world.person("ada").await, world.person("bob").await);
    let id = typed_for_long(&ada).await;
    bob.sees(id, "typed for long").await;
    world.store.obstruct(Some(("history", Obstacle::Late)));
    world
        .node()
        .tell_channel(&ting().conversation, ChannelMessage::HadByOthers);
    tokio::time::sleep(Duration::from_millis(50)).await;
    ada.sends(id, "sent").await.unwrap();
    world.store.obstruct(None);
    bob.sees_sent(id, "sent").await;
    assert_eq!(bob.shown().sent[&id], ["sent"]);
}

#[tokio::test(start_paused = true)]
async fn what_is_sent_while_others_read_is_in_the_history_that_is_asked_for_after_it() {
    let world = World::new().await;
    let ada = world.person("ada").await;
    let id = typed_for_long(&ada).await;
    world.store.obstruct(Some(("history", Obstacle::Late)));
    let later = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        ada.sends(id, "sent").await.unwrap();
        let opens = async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            world.store.obstruct(None);
        };
        tokio::join!(world.history(), opens).0
    };
    let (_, later) = tokio::join!(world.history(), later);
    let sent = |entry: &Entry| entry.id == id && !entry.typing;
    assert!(later.entries.iter().any(sent));
}

#[tokio::test(start_paused = true)]
async fn presence_that_fails_starts_from_nobody() {
    let world = World::new().await;
    let ada = world.person("ada").await;
    let presence = world.node().directory.presence().unwrap();
    presence
        .cast(crate::presence::PresenceMessage::Break)
        .unwrap();
    world.until("ada is ended", || ada.killed().is_some()).await;
    ada.disconnects();
    let again = world.connect(&ada, Default::default()).await;
    assert_eq!(again.heard()[0].1, serde_json::json!(["ada"]));
}

#[tokio::test(start_paused = true)]
async fn privates_outlive_presence() {
    let world = World::new().await;
    let (ada, bob) = (world.person("ada").await, world.person("bob").await);
    let psst = ada.post_to(ada.to(&bob), "psst", false, None);
    world.system.post(psst).await.unwrap();
    bob.waits_for_text("psst").await;
    let presence = world.node().directory.presence().unwrap();
    let broken = presence.cast(crate::presence::PresenceMessage::Break);
    broken.unwrap();
    world.until("bob is ended", || bob.killed().is_some()).await;
    for person in [&ada, &bob] {
        person.disconnects();
    }
    let (ada, bob) = (
        world.connect(&ada, Default::default()).await,
        world.connect(&bob, Default::default()).await,
    );
    let again = ada.post_to(ada.to(&bob), "again", false, None);
    world.system.post(again).await.unwrap();
    bob.waits_for_text("again").await;
}

#[tokio::test(start_paused = true)]
async fn a_private_names_its_people_though_the_store_was_away_when_it_began() {
    let world = World::new().await;
    let ada = world.person("ada").await;
    let bob = world.person("bob").await;
    world.store.set_mood(Mood::Refuses);
    let post = ada.post_to(ada.to(&bob), "psst", true, None);
    let typed = world.system.post(post).await.unwrap();
    bob.sees(typed.id, "psst").await;
    world.store.set_mood(Mood::Answers);
    let mut send = ada.stroke(typed.id, Some("psst!"), false);
    send.to = ada.to(&bob);
    assert_eq!(world.system.patch(send).await, Ok(Patched::Done));
    bob.sees_sent(typed.id, "psst!").await;
    let heard = bob.heard();
    let message = heard.iter().find(|(event, _)| *event == "message");
    assert_eq!(message.unwrap().1["target"], "bob");
}

#[tokio::test(start_paused = true)]
async fn what_is_deleted_while_the_newest_are_read_stays_deleted() {
    let world = World::new().await;
    let (ada, bob) = (world.person("ada").await, world.person("bob").await);
    let id = ada.says("said").await.id;
    bob.sees_sent(id, "said").await;
    world.store.obstruct(Some(("history", Obstacle::Late)));
    world
        .node()
        .tell_channel(&ting().conversation, ChannelMessage::HadByOthers);
    tokio::time::sleep(Duration::from_millis(50)).await;
    world.system.delete(id).await.unwrap();
    world.store.obstruct(None);
    // What comes after it is shown after it.
    let next = ada.says("next").await.id;
    bob.sees_sent(next, "next").await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(bob.shown().sent[&id], ["said"], "and gone");
    assert!(
        !world
            .history()
            .await
            .entries
            .iter()
            .any(|entry| entry.id == id)
    );
}

#[tokio::test(start_paused = true)]
async fn a_store_that_hangs_gets_no_more_than_it_can_hold() {
    let world = World::new().await;
    let ada = world.person("ada").await;
    world.history().await;
    world.store.obstruct(Some(("append", Obstacle::Held)));
    let conversation = &ting().conversation;
    let says = || {
        let (reply, answered) = ractor::concurrency::oneshot();
        let post = Beginning {
            author: Some(ada.sign_in.user),
            username: ada.sign_in.username.clone(),
            target: ting().target,
            text: text("said"),
            typing: false,
            key: None,
            belongs: Belongs::Nobody,
            datetime_start: None,
        };
        let post = ChannelMessage::Post {
            post: Box::new(post),
            since: 0,
            reply: reply.into(),
        };
        world.node().tell_channel(conversation, post);
        answered
    };
    let under_way: Vec<_> = (0..WRITES_MAX).map(|_| says()).collect();
    let began = tokio::time::Instant::now();
    assert!(says().await.unwrap().is_err());
    assert!(began.elapsed() < Duration::from_millis(100), "at once");
    world.store.obstruct(None);
    for answered in under_way {
        assert!(answered.await.unwrap().is_ok());
    }
    assert!(says().await.unwrap().is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_key_that_could_not_be_bound_anew_is_bound_the_next_time() {
    let world = World::new().await;
    let ada = world.person("ada").await;
    let says = || {
        let post = ada.post_to(ting(), "said", false, Some("key"));
        world.system.post(post)
    };
    world.store.obstruct(Some(("append", Obstacle::Refused)));
    assert!(says().await.is_err());
    tokio::time::sleep(Duration::from_secs(16 * 60)).await;
    for hindered in ["rebind_key", "end_message"] {
        world.store.obstruct(Some((hindered, Obstacle::Refused)));
        assert!(says().await.is_err(), "{hindered}");
    }
    world.store.obstruct(None);
    let said = says().await.unwrap().id;
    let entries = world.history().await.entries;
    let ids: Vec<MessageId> = entries.iter().map(|entry| entry.id).collect();
    assert_eq!(ids, [said]);
}

#[tokio::test(start_paused = true)]
async fn who_repeats_while_a_key_is_bound_anew_gets_the_message_that_is_there() {
    let world = World::new().await;
    let ada = world.person("ada").await;
    let says = || {
        let post = ada.post_to(ting(), "said", false, Some("key"));
        world.system.post(post)
    };
    world.store.obstruct(Some(("append", Obstacle::Refused)));
    assert!(says().await.is_err());
    tokio::time::sleep(Duration::from_secs(16 * 60)).await;
    world.store.obstruct(Some(("placed", Obstacle::Held)));
    let overtakes = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        // Only who is held already is held on.
        world.store.obstruct(Some(("nothing", Obstacle::Held)));
        let said = says().await.unwrap().id;
        world.store.obstruct(None);
        said
    };
    let (overtaken, said) = tokio::join!(says(), overtakes);
    assert_eq!(overtaken.unwrap().id, said);
    assert_eq!(world.history().await.entries.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_an_earlier_owner_deletes_after_the_first_read_is_gone() {
    let world = World::new().await;
    let (ada, bob) = (world.person("ada").await, world.person("bob").await);
    let id = ada.says("said").await.id;
    bob.sees_sent(id, "said").await;
    let (node, conversation) = (world.node(), ting().conversation);
    node.tell_channel(&conversation, ChannelMessage::Break);
    // It is read once more when whatever the earlier life began has ended.
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(world.history().await.entries.len(), 1);
    let now = node.clock.now();
    world
        .store
        .end_message(&conversation, id, now)
        .await
        .unwrap();
    let shown_gone = || {
        let last = bob.heard().into_iter().rev();
        let mut entries = last
            .filter_map(|(_, body)| body.as_array().cloned())
            .flatten();
        entries.any(|entry| entry["id"] == serde_json::json!(id) && entry["text"] == "")
    };
    world.until("it is shown to be gone", shown_gone).await;
    assert!(world.history().await.entries.is_empty());
}
