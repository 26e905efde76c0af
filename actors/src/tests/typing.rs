use super::memory::{Mood, Obstacle};
use super::world::{Person, World, text, ting};
use crate::edge::Wants;
use crate::tail::TAIL_LENGTH;
use crate::{Patched, PrivilegedPatch, TypingError, Unanswered};
use cql::{Message, MessageId, Placed, Range, Store};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test(start_paused = true)]
async fn everybody_reads_the_letters_and_the_place_is_kept() {
    let world = World::new().await;
    let (ada, bob, eve) = (
        world.person("ada").await,
        world.person("bob").await,
        world.person("eve").await,
    );
    let first = ada.types("h").await.id;
    let second = bob.types("y").await.id;
    eve.sees(first, "h").await;
    ada.types_on(first, "he").await.unwrap();
    eve.sees(first, "he").await;
    bob.sends(second, "yes").await.unwrap();
    ada.sends(first, "hey").await.unwrap();
    eve.sees_sent(second, "yes").await;
    eve.sees_sent(first, "hey").await;
    let ids: Vec<MessageId> = world
        .history()
        .await
        .entries
        .iter()
        .map(|entry| entry.id)
        .collect();
    assert_eq!(ids, [second, first]);
    assert_eq!(eve.count("message"), 2);
}

#[tokio::test(start_paused = true)]
async fn erasing_leaves_no_trace() {
    let world = World::new().await;
    let (ada, bob) = (world.person("ada").await, world.person("bob").await);
    let id = ada.types("oops").await.id;
    bob.sees(id, "oops").await;
    ada.erases(id).await.unwrap();
    bob.no_longer_sees(id).await;
    assert!(world.history().await.entries.is_empty());
    assert_eq!(ada.sends(id, "oops").await, Err(TypingError::NotFound));
    assert_eq!(ada.erases(id).await, Ok(Patched::Done));
}

#[tokio::test(start_paused = true)]
async fn a_thousand_updates_a_second_become_ten_frames_and_the_last_is_shown() {
    let world = World::new().await;
    let (ada, bob) = (world.person("ada").await, world.person("bob").await);
    let id = ada.types("0").await.id;
    bob.sees(id, "0").await;
    let (updates, encoded) = (
        bob.count("update-typing-messages"),
        world.sockets.encoded.load(Ordering::Relaxed),
    );
    for count in 1..=1_000 {
        tokio::spawn(
            world
                .system
                .patch(ada.stroke(id, Some(&count.to_string()), true)),
        );
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    bob.sees(id, "1000").await;
    let updates = bob.count("update-typing-messages") - updates;
    let encoded = world.sockets.encoded.load(Ordering::Relaxed) - encoded;
    assert!((8..=13).contains(&updates), "{updates}");
    assert_eq!(encoded, updates, "one encode a frame, for two viewers");
}

#[tokio::test(start_paused = true)]
async fn twenty_typists_share_a_frame() {
    let world = World::new().await;
    let viewer = world.person("viewer").await;
    let mut typists = Vec::new();
    for typist in 0..20 {
        let person = world.person(&format!("typist{typist}")).await;
        let id = person.types("a").await.id;
        typists.push((person, id));
    }
    viewer.sees(typists[19].1, "a").await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let before = viewer.count("update-typing-messages");
    for (typist, id) in &typists {
        typist.types_on(*id, "ab").await.unwrap();
    }
    for (_, id) in &typists {
        viewer.sees(*id, "ab").await;
    }
    let frames = viewer.count("update-typing-messages") - before;
    assert!(
        frames <= 2,
        "{frames}: the first change leaves at once, all others at the tick"
    );
}

#[tokio::test(start_paused = true)]
async fn an_update_that_was_overtaken_changes_nothing() {
    let world = World::new().await;
    let (ada, bob) = (world.person("ada").await, world.person("bob").await);
    let id = ada.types("a").await.id;
    let mut newer = ada.stroke(id, Some("abc"), true);
    newer.rev = Some(3);
    world.system.patch(newer).await.unwrap();
    let mut older = ada.stroke(id, Some("ab"), true);
    older.rev = Some(2);
    assert_eq!(world.system.patch(older).await, Ok(Patched::Done));
    bob.sees(id, "abc").await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    bob.sees(id, "abc").await;
}

#[tokio::test(start_paused = true)]
async fn an_update_that_the_send_has_overtaken_changes_nothing() {
    let world = World::new().await;
    let ada = world.person("ada").await;
    let id = ada.types("a").await.id;
    let rev = |text, typing, rev| {
        let mut patch = ada.stroke(id, Some(text), typing);
        patch.rev = Some(rev);
        world.system.patch(patch)
    };
    assert_eq!(rev("abc", false, 8).await, Ok(Patched::Done));
    assert_eq!(rev("ab", true, 5).await, Ok(Patched::Done));
    assert_eq!(rev("abcd", true, 9).await, Err(TypingError::Sent));
}

#[tokio::test(start_paused = true)]
async fn what_was_typed_before_a_refused_send_is_shown() {
    let world = World::new().await;
    let (ada, bob) = (world.person("ada").await, world.person("bob").await);
    let id = ada.types("a").await.id;
    loop {
        let post = ada.post_to(ting(), "spent", false, None);
        if world.system.post(post).await.is_err() {
            break;
        }
    }
    ada.types_on(id, "ab").await.unwrap();
    let (held, refused) = tokio::join!(ada.types_on(id, "abc"), ada.sends(id, "abcd"));
    assert_eq!(held, Ok(Patched::Done));
    assert!(
        matches!(refused, Err(TypingError::TooFast(_))),
        "{refused:?}"
    );
    bob.sees(id, "abc").await;
}

#[tokio::test(start_paused = true)]
async fn a_sent_message_may_be_repeated_but_not_changed() {
    let world = World::new().await;
    let (ada, bob) = (world.person("ada").await, world.person("bob").await);
    let id = ada.types("a").await.id;
    ada.sends(id, "ab").await.unwrap();
    assert_eq!(ada.sends(id, "ab").await, Ok(Patched::Done));
    assert_eq!(ada.sends(id, "abc").await, Err(TypingError::Sent));
    assert_eq!(bob.sends(id, "ab").await, Err(TypingError::Forbidden));
    assert_eq!(
        ada.sends(MessageId(id.0 + 1), "x").await,
        Err(TypingError::NotFound)
    );
    bob.sees_sent(id, "ab").await;
    assert_eq!(bob.shown().sent.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn another_authors_message_is_not_ones_own() {
    let world = World::new().await;
    let (ada, bob) = (world.person("ada").await, world.person("bob").await);
    let id = ada.types("a").await.id;
    assert_eq!(bob.types_on(id, "b").await, Err(TypingError::Forbidden));
    assert_eq!(bob.erases(id).await, Err(TypingError::Forbidden));
    let mut elsewhere = ada.stroke(id, Some("b"), true);
    elsewhere.to = ada.to(&bob);
    assert_eq!(
        world.system.patch(elsewhere).await,
        Err(TypingError::Conversation)
    );
    // Another is not told that there is such a message, while it is typed or when it is sent.
    let mut guessed = bob.stroke(id, Some("b"), true);
    guessed.to = ada.to(&bob);
    assert_eq!(
        world.system.patch(guessed.clone()).await,
        Err(TypingError::NotFound)
    );
    ada.sends(id, "a").await.unwrap();
    assert_eq!(
        world.system.patch(guessed).await,
        Err(TypingError::NotFound)
    );
}

#[tokio::test(start_paused = true)]
async fn three_messages_are_typed_at_a_time() {
    let world = World::new().await;
    let ada = world.person("ada").await;
    for _ in 0..3 {
        ada.types("a").await;
    }
    let fourth = world
        .system
        .post(ada.post_to(ting(), "a", true, None))
        .await;
    assert_eq!(fourth, Err(TypingError::TooMany(3)));
}

#[tokio::test(start_paused = true)]
async fn a_key_gives_the_first_answer_again() {
    let world = World::new().await;
    let (ada, bob) = (world.person("ada").await, world.person("bob").await);
    let typed = world
        .system
        .post(ada.post_to(ting(), "a", true, Some("k1")))
        .await
        .unwrap();
    let again = world
        .system
        .post(ada.post_to(ting(), "a", true, Some("k1")))
        .await
        .unwrap();
    assert_eq!(typed, again);
    let said = world
        .system
        .post(ada.post_to(ting(), "said", false, Some("k2")))
        .await
        .unwrap();
    let (one, other) = tokio::join!(
        world
            .system
            .post(ada.post_to(ting(), "said", false, Some("k2"))),
        world
            .system
            .post(ada.post_to(ting(), "said", false, Some("k2"))),
    );
    assert_eq!((one.unwrap(), other.unwrap()), (said.clone(), said.clone()));
    bob.sees_sent(said.id, "said").await;
    let theirs = world
        .system
        .post(bob.post_to(ting(), "said", false, Some("k2")))
        .await
        .unwrap();
    assert_ne!(theirs.id, said.id, "a key is one user's own");
    // Also after everything was started anew.
    let again = World::on(world.store.clone()).await;
    let ada = again.connect(&ada, Wants::default()).await;
    let answer = again
        .system
        .post(ada.post_to(ting(), "said", false, Some("k2")))
        .await
        .unwrap();
    assert_eq!(answer.id, said.id);
}

#[tokio::test(start_paused = true)]
async fn more_sends_than_one_may_are_refused_with_a_time() {
    let world = World::new().await;
    let ada = world.person("ada").await;
    let mut refused = 0;
    for count in 0..60 {
        let post = ada.post_to(ting(), &count.to_string(), false, None);
        if let Err(TypingError::TooFast(wait)) = world.system.post(post).await {
            assert!(wait <= Duration::from_millis(100));
            refused += 1;
        }
    }
    assert!((8..=10).contains(&refused), "{refused}");
    tokio::time::sleep(Duration::from_secs(1)).await;
    ada.says("again").await;
}

#[tokio::test(start_paused = true)]
async fn who_begins_and_erases_without_end_is_told_to_wait_and_may_send() {
    let world = World::new().await;
    let ada = world.person("ada").await;
    let begins = || world.system.post(ada.post_to(ting(), "h", true, None));
    let mut begun = 0;
    let refused = loop {
        // Many at once: one after the other is slower than what is allowed.
        let tried = futures::future::join_all((0..3).map(|_| begins())).await;
        let posted: Vec<_> = tried.iter().flatten().map(|posted| posted.id).collect();
        begun += posted.len();
        futures::future::join_all(posted.into_iter().map(|id| ada.erases(id))).await;
        if let Some(Err(error)) = tried.into_iter().find(Result::is_err) {
            break error;
        }
        assert!(begun < 1_000, "never refused");
    };
    assert!(matches!(refused, TypingError::TooFast(_)), "{refused:?}");
    ada.says("still").await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    ada.types("again").await;
}

#[tokio::test(start_paused = true)]
async fn a_message_is_typed_for_fifteen_minutes_and_then_begins_anew() {
    let world = World::new().await;
    let (ada, bob) = (world.person("ada").await, world.person("bob").await);
    let old = ada.types("a").await.id;
    bob.sees(old, "a").await;
    tokio::time::sleep(15 * MINUTE + Duration::from_secs(1)).await;
    bob.no_longer_sees(old).await;
    let Ok(Patched::Anew(anew)) = ada.types_on(old, "ab").await else {
        panic!("not anew")
    };
    assert!(anew.id > old);
    bob.sees(anew.id, "ab").await;
    // A client that knows the old id alone meets the same message.
    let again = ada.sends(old, "abc").await;
    assert!(matches!(again, Ok(Patched::Anew(posted)) if posted.id == anew.id));
    bob.sees_sent(anew.id, "abc").await;
    let again = ada.sends(old, "abc").await;
    assert!(matches!(again, Ok(Patched::Anew(posted)) if posted.id == anew.id));
    assert_eq!(world.history().await.entries.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_privileged_change_of_a_message_that_was_typed_for_too_long_finds_none() {
    let world = World::new().await;
    let (ada, bob) = (world.person("ada").await, world.person("bob").await);
    let changes = async |id, said, typing| {
        let patch = PrivilegedPatch {
            id,
            text: Some(text(said)),
            datetime_sent: None,
            typing,
        };
        world.system.patch_privileged(patch).await
    };
    let old = ada.types("a").await.id;
    changes(old, "ab", true).await.unwrap();
    bob.sees(old, "ab").await;
    tokio::time::sleep(15 * MINUTE + Duration::from_secs(1)).await;
    bob.no_longer_sees(old).await;
    for typing in [true, false] {
        let found = changes(old, "abc", typing).await;
        assert_eq!(found, Err(TypingError::NotFound));
    }
    // The old id stands for the new message to its author alone.
    let Ok(Patched::Anew(anew)) = ada.types_on(old, "abc").await else {
        panic!("not anew")
    };
    for typing in [true, false] {
        let found = changes(old, "abcd", typing).await;
        assert_eq!(found, Err(TypingError::NotFound));
    }
    bob.sees(anew.id, "abc").await;
    changes(anew.id, "abcd", false).await.unwrap();
    bob.sees_sent(anew.id, "abcd").await;
}

#[tokio::test(start_paused = true)]
async fn an_expired_message_that_is_sent_begins_anew_even_after_it_was_forgotten() {
    let world = World::new().await;
    let (ada, bob) = (world.person("ada").await, world.person("bob").await);
    let old = ada.types("a").await;
    tokio::time::sleep(40 * MINUTE).await;
    let mut send = ada.stroke(old.id, Some("late"), false);
    send.claim = Some(old.claim);
    let Ok(Patched::Anew(anew)) = world.system.patch(send).await else {
        panic!("not anew")
    };
    bob.sees_sent(anew.id, "late").await;
    let claimed_by_another = bob.sends(old.id, "late").await;
    assert_eq!(claimed_by_another, Err(TypingError::NotFound));
}

#[tokio::test(start_paused = true)]
async fn who_has_no_claim_meets_the_message_that_was_begun_anew() {
    let world = World::new().await;
    let (ada, bob) = (world.person("ada").await, world.person("bob").await);
    let old = ada.types("a").await.id;
    tokio::time::sleep(20 * MINUTE).await;
    let Ok(Patched::Anew(anew)) = ada.types_on(old, "ab").await else {
        panic!("not anew")
    };
    bob.sees(anew.id, "ab").await;
    let sent = ada.sends(old, "abc").await;
    assert!(matches!(sent, Ok(Patched::Anew(posted)) if posted.id == anew.id));
    bob.sees_sent(anew.id, "abc").await;
    assert_eq!(bob.sends(old, "abc").await, Err(TypingError::NotFound));
    let elsewhere = ada.post_to(ada.to(&bob), "psst", true, None);
    world.system.post(elsewhere).await.unwrap();
    let mut moved = ada.stroke(old, Some("abcd"), true);
    moved.to = ada.to(&bob);
    assert_eq!(
        world.system.patch(moved).await,
        Err(TypingError::Conversation)
    );
}

#[tokio::test(start_paused = true)]
async fn a_ghost_of_nobodys_socket_is_erased_after_a_minute_without_a_change() {
    let world = World::new().await;
    let (ada, bob) = (world.signed_in("ada").await, world.person("bob").await);
    let id = ada.types("a").await.id;
    bob.sees(id, "a").await;
    tokio::time::sleep(Duration::from_secs(50)).await;
    ada.types_on(id, "ab").await.unwrap();
    tokio::time::sleep(Duration::from_secs(50)).await;
    bob.sees(id, "ab").await;
    tokio::time::sleep(Duration::from_secs(11)).await;
    bob.no_longer_sees(id).await;
    // Its author brings it back.
    ada.types_on(id, "abc").await.unwrap();
    bob.sees(id, "abc").await;
}

#[tokio::test(start_paused = true)]
async fn a_ghost_begun_without_a_socket_is_not_kept_by_one_that_comes_later() {
    let world = World::new().await;
    let (ada, bob) = (world.signed_in("ada").await, world.person("bob").await);
    let id = ada.types("a").await.id;
    tokio::time::sleep(Duration::from_secs(10)).await;
    let _late = world.connect(&ada, Wants::default()).await;
    tokio::time::sleep(Duration::from_secs(30)).await;
    // Nor when it is typed on meanwhile.
    ada.types_on(id, "ab").await.unwrap();
    tokio::time::sleep(Duration::from_secs(55)).await;
    bob.sees(id, "ab").await;
    tokio::time::sleep(Duration::from_secs(6)).await;
    bob.no_longer_sees(id).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_older_than_how_a_message_ended_changes_nothing() {
    let world = World::new().await;
    let (ada, bob) = (world.person("ada").await, world.person("bob").await);
    let patch = async |id, rev, said| {
        let mut stroke = ada.stroke(id, said, true);
        stroke.rev = Some(rev);
        world.system.patch(stroke).await
    };
    let erased = ada.types("a").await.id;
    assert_eq!(patch(erased, 5, None).await, Ok(Patched::Done));
    let expired = ada.types("b").await.id;
    assert_eq!(patch(expired, 5, Some("bc")).await, Ok(Patched::Done));
    bob.sees(expired, "bc").await;
    tokio::time::sleep(Duration::from_secs(15 * 60)).await;
    bob.no_longer_sees(expired).await;
    for id in [erased, expired] {
        assert_eq!(patch(id, 4, Some("late")).await, Ok(Patched::Done));
        bob.no_longer_sees(id).await;
    }
    assert_eq!(
        patch(erased, 6, Some("anew")).await,
        Err(TypingError::NotFound)
    );
    let anew = patch(expired, 6, Some("anew")).await;
    assert!(matches!(anew, Ok(Patched::Anew(_))), "{anew:?}");
}

#[tokio::test(start_paused = true)]
async fn a_ghost_goes_with_its_socket_before_its_author_parts() {
    let world = World::new().await;
    let (ada, bob) = (world.person("ada").await, world.person("bob").await);
    let id = ada.types("a").await.id;
    bob.sees(id, "a").await;
    ada.disconnects();
    bob.hears("part", json!("ada")).await;
    let heard = bob.heard();
    let erased = heard
        .iter()
        .rposition(|(event, _)| *event == "update-typing-messages")
        .unwrap();
    let parted = heard
        .iter()
        .position(|(event, _)| *event == "part")
        .unwrap();
    assert!(erased < parted);
    assert!(bob.shown().ghosts.is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_is_typed_by_http_goes_with_the_sign_ins_last_socket() {
    let world = World::new().await;
    let (phone, bob) = (world.person("ada").await, world.person("bob").await);
    let tablet = world.connect(&phone, Wants::default()).await;
    let by_http = phone.by_http();
    let id = by_http.types("a").await.id;
    phone.disconnects();
    tokio::time::sleep(Duration::from_secs(2)).await;
    bob.sees(id, "a").await;
    tablet.disconnects();
    bob.no_longer_sees(id).await;
}

#[tokio::test(start_paused = true)]
async fn a_claim_brings_a_message_back_after_everything_was_started_anew() {
    let world = World::new().await;
    let (ada, bob) = (world.person("ada").await, world.person("bob").await);
    let lost = ada.types("a").await;
    let later = bob.types("b").await;
    let world = World::on(world.store.clone()).await;
    let ada = world.connect(&ada, Wants::default()).await;
    let bob = world.connect(&bob, Wants::default()).await;
    assert_eq!(
        ada.types_on(lost.id, "ab").await,
        Err(TypingError::NotFound)
    );
    let mut back = ada.stroke(lost.id, Some("ab"), true);
    back.claim = Some(lost.claim.clone());
    assert_eq!(world.system.patch(back).await, Ok(Patched::Done));
    bob.sees(lost.id, "ab").await;
    let mut stolen = bob.stroke(lost.id, Some("x"), true);
    stolen.claim = Some(lost.claim);
    assert_eq!(
        world.system.patch(stolen).await,
        Err(TypingError::Forbidden)
    );
    let mut send = bob.stroke(later.id, Some("bb"), false);
    send.claim = Some(later.claim);
    assert_eq!(world.system.patch(send).await, Ok(Patched::Done));
    ada.sends(lost.id, "abc").await.unwrap();
    let ids: Vec<MessageId> = world
        .history()
        .await
        .entries
        .iter()
        .map(|entry| entry.id)
        .collect();
    assert_eq!(ids, [later.id, lost.id], "each in its old place");
}

#[tokio::test(start_paused = true)]
async fn a_send_that_the_store_is_slow_about_is_answered_in_time_and_shown_once() {
    let world = World::new().await;
    let (ada, bob) = (world.person("ada").await, world.person("bob").await);
    let id = ada.types("a").await.id;
    world.store.set_mood(Mood::Silent);
    let asked = tokio::time::Instant::now();
    assert_eq!(
        ada.sends(id, "ab").await,
        Err(TypingError::Unanswered(Unanswered))
    );
    assert!(asked.elapsed() < Duration::from_millis(1_800));
    // It stays a ghost meanwhile.
    bob.sees(id, "a").await;
    world.store.set_mood(Mood::Answers);
    bob.sees_sent(id, "ab").await;
    assert_eq!(ada.sends(id, "ab").await, Ok(Patched::Done));
    assert_eq!(bob.shown().sent[&id].len(), 1);
}

#[tokio::test(start_paused = true)]
async fn typing_goes_on_while_the_store_is_away_and_the_send_may_be_repeated() {
    let world = World::new().await;
    let (ada, bob) = (world.person("ada").await, world.person("bob").await);
    let id = ada.types("a").await.id;
    world.store.set_mood(Mood::Refuses);
    assert_eq!(
        ada.sends(id, "ab").await,
        Err(TypingError::Unanswered(Unanswered))
    );
    ada.types_on(id, "abc").await.unwrap();
    bob.sees(id, "abc").await;
    let another = bob.types("b").await.id;
    ada.sees(another, "b").await;
    assert_eq!(world.system.store_health(), crate::StoreHealth::Away);
    world.store.set_mood(Mood::Answers);
    ada.sends(id, "abcd").await.unwrap();
    bob.sees_sent(id, "abcd").await;
}

#[tokio::test(start_paused = true)]
async fn erasing_what_may_have_been_sent_takes_it_out_of_the_store() {
    let world = World::new().await;
    let (ada, bob) = (world.person("ada").await, world.person("bob").await);
    // Started anew, the owner can't know what an earlier life of it had asked for.
    let id = types_with_an_owner_that_failed(&world, &ada).await.id;
    world.store.set_mood(Mood::Refuses);
    assert_eq!(
        ada.erases(id).await,
        Err(TypingError::Unanswered(Unanswered))
    );
    world.store.set_mood(Mood::Answers);
    assert_eq!(ada.erases(id).await, Ok(Patched::Done));
    bob.no_longer_sees(id).await;
    assert!(matches!(world.store.placed(id).await, Ok(Placed::Ended(_))));
}

/// A message whose send may have reached the store, for all its owner knows.
async fn types_with_an_owner_that_failed(world: &World, ada: &Person) -> Message {
    let id = ada.types("a").await.id;
    let broken = crate::channel::ChannelMessage::Break;
    world.node().tell_channel(&ting().conversation, broken);
    world
        .until("it is back", || {
            world.node().directory.typing_messages.get(&id).is_some()
        })
        .await;
    Message {
        id,
        conversation: ting().conversation,
        author: Some(ada.sign_in.user),
        username: ada.sign_in.username.clone(),
        text: text("ab"),
        datetime_start: id.time(),
        datetime_sent: world.node().clock.now(),
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_found_in_the_store_is_sent_and_not_erased_any_more() {
    let world = World::new().await;
    let (ada, bob) = (world.person("ada").await, world.person("bob").await);
    let message = types_with_an_owner_that_failed(&world, &ada).await;
    world.store.append(&message, None).await.unwrap();
    bob.sees_sent(message.id, "ab").await;
    assert_eq!(ada.erases(message.id).await, Err(TypingError::Sent));
    assert_eq!(world.history().await.entries.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_may_have_been_sent_does_not_begin_anew_before_the_store_was_asked() {
    let world = World::new().await;
    let (ada, bob) = (world.person("ada").await, world.person("bob").await);
    let message = types_with_an_owner_that_failed(&world, &ada).await;
    tokio::time::sleep(15 * MINUTE + Duration::from_secs(1)).await;
    bob.no_longer_sees(message.id).await;
    world.store.append(&message, None).await.unwrap();
    assert_eq!(ada.sends(message.id, "ab").await, Ok(Patched::Done));
    let all = Range {
        before: None,
        after: None,
        limit: 10,
    };
    let page = world
        .store
        .history(&ting().conversation, all)
        .await
        .unwrap();
    assert_eq!(page.messages, [message], "there once");
}

#[tokio::test(start_paused = true)]
async fn a_privileged_delete_is_told_to_viewers_sent_or_not() {
    let world = World::new().await;
    let (ada, bob) = (world.person("ada").await, world.person("bob").await);
    let (typed, said) = (ada.types("typed").await.id, ada.says("said").await.id);
    bob.sees(typed, "typed").await;
    bob.sees_sent(said, "said").await;
    world.system.delete(typed).await.unwrap();
    world.system.delete(said).await.unwrap();
    bob.no_longer_sees(typed).await;
    let last = |id: MessageId| {
        let heard = bob.heard();
        let mut entries = heard
            .iter()
            .filter_map(|(_, body)| body.as_array())
            .flatten();
        entries.rfind(|entry| entry["id"] == json!(id)).cloned()
    };
    let world = Arc::new(world);
    world
        .until("it is erased", || {
            last(said).is_some_and(|entry| entry["text"] == "")
        })
        .await;
    assert!(world.history().await.entries.is_empty());
    assert_eq!(world.system.delete(said).await, Err(TypingError::NotFound));
    assert_eq!(ada.sends(typed, "typed").await, Err(TypingError::NotFound));
    assert_eq!(
        world.system.delete(MessageId(5)).await,
        Err(TypingError::NotFound)
    );
}

#[tokio::test(start_paused = true)]
async fn viewers_are_told_of_an_old_message_whose_deletion_was_answered_late() {
    let world = World::new().await;
    let ada = world.signed_in("ada").await;
    let mut ids = Vec::new();
    // The first of them is not among the newest that its owner keeps.
    for _ in 0..=TAIL_LENGTH {
        let last = ids.last().copied().unwrap_or_default();
        let id = world.node().clock.next_id(last).unwrap();
        ids.push(id);
        let message = Message {
            id,
            conversation: ting().conversation,
            author: Some(ada.sign_in.user),
            username: ada.sign_in.username.clone(),
            text: text("said"),
            datetime_start: id.time(),
            datetime_sent: id.time(),
        };
        world.store.append(&message, None).await.unwrap();
    }
    let bob = world.person("bob").await;
    world.store.obstruct(Some(("end_message", Obstacle::Late)));
    let late = world.system.delete(ids[0]).await;
    assert_eq!(late, Err(TypingError::Unanswered(Unanswered)));
    world.store.obstruct(None);
    assert_eq!(world.system.delete(ids[0]).await, Ok(()));
    let erased = |(_, body): &(&str, Value)| body[0]["id"] == json!(ids[0]);
    let told = || bob.heard().iter().any(erased);
    world.until("bob is told", told).await;
}
