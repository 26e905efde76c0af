//! What the store answers when the wire to the database loses something. The wire has one end,
//! so these tests run on one node alone. Changes
//! of the members' view are the store's only batches.

use super::proxy::{Fault, LATE, Proxy, Wire};
use super::{message, server, store, unique};
use crate::scylla::CqlStore;
use crate::{
    Append, ChannelName, ClaimedName, Conversation, KeyClaim, Members, MessageId, NewUser, Range,
    Store, StoreError, Swapped, User, UserId, Username,
};
use std::time::{Duration, Instant};

/// A store behind the proxy, the same without it, and the proxy.
pub(super) async fn behind() -> Option<(CqlStore, CqlStore, Proxy)> {
    let direct = store().await?;
    let keyspace = direct.link.session.get_keyspace()?;
    let mut settings = server(&keyspace)?;
    if settings.nodes.len() > 1 {
        println!("skipped: the wire that loses things has one end, several nodes are named");
        return None;
    }
    let proxy = Proxy::start(settings.nodes[0].clone()).await;
    settings.nodes = vec![proxy.address.to_string()];
    let store = CqlStore::connect(settings).await;
    Some((store.unwrap(), direct, proxy))
}

fn is_unknown<T: std::fmt::Debug>(answer: Result<T, StoreError>) {
    assert!(matches!(answer, Err(StoreError::Unknown(_))), "{answer:?}");
}

pub(super) fn is_unavailable<T: std::fmt::Debug>(answer: Result<T, StoreError>) {
    assert!(
        matches!(answer, Err(StoreError::Unavailable(_))),
        "{answer:?}"
    );
}

async fn count(store: &CqlStore, conversation: &Conversation) -> usize {
    let range = Range {
        before: None,
        after: None,
        limit: 10,
    };
    let page = store.history(conversation, range).await;
    page.unwrap().messages.len()
}

fn fresh_id() -> u64 {
    rand::random_range(1 << 40..1 << 53)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_send_whose_outcome_is_unknown_is_there_once_or_not_at_all() {
    let Some((store, direct, proxy)) = behind().await else {
        return;
    };
    for (fault, arrives) in [
        (Fault::LoseRequest, Some(0)),
        (Fault::LoseAnswer, Some(1)),
        // The server may notice the end first.
        (Fault::Cut, None),
    ] {
        let name = ChannelName::parse(&unique("fault")).unwrap();
        let channel = Conversation::Channel(name);
        let text = format!("{fault:?} {}", fresh_id());
        let said = message(MessageId(fresh_id()), &channel, &text);
        proxy.set(text.as_bytes(), 0, fault);
        let begun = Instant::now();
        is_unknown(store.append(&said, None).await);
        assert!(begun.elapsed() < Duration::from_secs(2), "{fault:?}");
        assert!(proxy.sprung(), "{fault:?} was not met");
        if let Some(arrives) = arrives {
            assert_eq!(count(&direct, &channel).await, arrives, "{fault:?}");
        }
        // The same once more: it is there, and there once.
        assert_eq!(until_answered(&store, &said).await, Append::Kept);
        assert_eq!(count(&direct, &channel).await, 1, "{fault:?}");
    }
}

/// Sends until there is an answer: after a cut the driver needs a moment to connect again.
async fn until_answered(store: &CqlStore, said: &crate::Message) -> Append {
    let begun = Instant::now();
    loop {
        match store.append(said, None).await {
            Ok(answer) => return answer,
            Err(error) if begun.elapsed() > Duration::from_secs(30) => panic!("{error}"),
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_told_that_nothing_changed_of_a_message_that_is_there() {
    let Some((store, direct, proxy)) = behind().await else {
        return;
    };
    // As `message` has it, the author is 7.
    let bob = UserId(fresh_id());
    let private = Conversation::private(UserId(7), bob);
    let name = Username::parse("bob").unwrap();
    let said = message(MessageId(fresh_id()), &private, "said");
    for time in ["sent", "sent again"] {
        // The message's own rows don't hold who receives it, the lists of privates do.
        proxy.set(&bob.as_i64().to_be_bytes(), 0, Fault::Refuse);
        is_unknown(store.append(&said, Some(&name)).await);
        assert!(proxy.sprung(), "{time}");
        assert_eq!(count(&direct, &private).await, 1, "{time}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_row_without_its_message_is_nothing() {
    let Some((store, direct, proxy)) = behind().await else {
        return;
    };
    let name = ChannelName::parse(&unique("index")).unwrap();
    let channel = Conversation::Channel(name);
    // From here on the buckets are known, so the index row is the first to name the channel.
    assert_eq!(count(&store, &channel).await, 0);
    for fault in [Fault::LoseRequest, Fault::LoseAnswer] {
        let said = message(MessageId(fresh_id()), &channel, "said");
        proxy.set(channel.key().as_bytes(), 0, fault);
        is_unknown(store.append(&said, None).await);
        assert!(proxy.sprung(), "{fault:?} was not met");
        let placed = direct.placed(said.id).await;
        assert_eq!(placed, Ok(crate::Placed::Nothing), "{fault:?}");
        assert_eq!(count(&direct, &channel).await, 0, "{fault:?}");
    }
}

/// How many requests of an end hold its id before the mark: what is read of the index, and of the
/// row.
const BEFORE_MARK: usize = 2;

#[tokio::test(flavor = "multi_thread")]
async fn an_end_that_came_as_far_as_its_mark_is_ended_by_the_next_one() {
    let Some((store, direct, proxy)) = behind().await else {
        return;
    };
    let name = ChannelName::parse(&unique("end")).unwrap();
    let channel = Conversation::Channel(name);
    let said = message(MessageId(fresh_id()), &channel, "half ended");
    assert_eq!(store.append(&said, None).await, Ok(Append::Kept));
    let marker = said.id.as_i64().to_be_bytes();
    proxy.set(&marker, BEFORE_MARK + 1, Fault::LoseRequest);
    is_unknown(store.end_message(&channel, said.id, 0).await);
    assert!(proxy.sprung());
    let placed = direct.placed(said.id).await.unwrap();
    assert!(matches!(placed, crate::Placed::Ended(_)), "{placed:?}");
    assert_eq!(count(&direct, &channel).await, 1);

    assert_eq!(direct.end_message(&channel, said.id, 0).await, Ok(true));
    assert_eq!(count(&direct, &channel).await, 0);
    assert_eq!(direct.end_message(&channel, said.id, 0).await, Ok(false));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_that_nobody_waits_for_any_more_comes_to_its_end() {
    let Some((store, direct, proxy)) = behind().await else {
        return;
    };
    let name = ChannelName::parse(&unique("end")).unwrap();
    let channel = Conversation::Channel(name);
    let said = message(MessageId(fresh_id()), &channel, "ended by nobody");
    assert_eq!(store.append(&said, None).await, Ok(Append::Kept));
    let marker = said.id.as_i64().to_be_bytes();
    // The mark is there, and whoever ends it has not heard so when the asker goes away.
    proxy.set(&marker, BEFORE_MARK, Fault::DelayAnswer);
    let end = store.end_message(&channel, said.id, 0);
    assert!(tokio::time::timeout(LATE / 2, end).await.is_err());
    assert!(proxy.sprung());
    let begun = Instant::now();
    while count(&direct, &channel).await > 0 {
        assert!(begun.elapsed() < Duration::from_secs(10), "the row stays");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_can_not_be_counted_is_followed_by_another_all_the_same() {
    let Some((store, direct, proxy)) = behind().await else {
        return;
    };
    let name = ChannelName::parse(&unique("count")).unwrap();
    let channel = Conversation::Channel(name);
    let buckets = store.messages.buckets();
    buckets.of_rows(5);
    // The list of buckets, the index, the message, and then the count.
    proxy.set(channel.key().as_bytes(), 3, Fault::LoseRequest);
    let now = direct.now().await.unwrap();
    let begun = Instant::now();
    // Long before the count is given up, and no message waits for it.
    for n in 0.. {
        let sent = Instant::now();
        let said = message(MessageId(MessageId::at(now).0 + n), &channel, "more");
        assert_eq!(store.append(&said, None).await, Ok(Append::Kept));
        assert!(sent.elapsed() < Duration::from_secs(1));
        let plan = direct.messages.buckets().read(&channel).await.unwrap();
        if plan.of(MessageId(u64::MAX >> 11)) != 0 {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "none is opened");
    }
    assert!(proxy.sprung());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compare_and_set_that_came_through_unseen_is_seen_in_the_end() {
    let Some((store, direct, proxy)) = behind().await else {
        return;
    };
    let now = store.now().await.unwrap();
    // Too few replicas for the last step is no refusal: it may have been decided before.
    for fault in [Fault::LoseAnswer, Fault::Refuse, Fault::LoseAnswer] {
        let name = ChannelName::parse(&unique("cas")).unwrap();
        proxy.set(name.as_str().as_bytes(), 0, fault);
        assert_eq!(store.create_channel(&name, now).await, Ok(true));
        assert!(proxy.sprung());

        let claim = KeyClaim {
            id: MessageId(fresh_id()),
            conversation: Conversation::Channel(name),
        };
        let (user, key) = (UserId(fresh_id()), unique("key"));
        proxy.set(key.as_bytes(), 0, fault);
        let bound = store.claim_key(user, &key, &claim, now).await;
        assert_eq!(bound, Ok(claim));
        assert!(proxy.sprung());

        let wish = NewUser {
            id: UserId(fresh_id()),
            username: Username::parse(&unique("cas")).unwrap(),
            now,
        };
        // Its two skeletons, and then the person.
        for skip in [0, 1, 2] {
            let wish = NewUser {
                id: UserId(fresh_id()),
                username: Username::parse(&unique("cas")).unwrap(),
                ..wish
            };
            proxy.set(&wish.id.as_i64().to_be_bytes(), skip, fault);
            let claimed = store.claim_name(&wish).await;
            assert_eq!(claimed, Ok(ClaimedName::Claimed { released: vec![] }));
            assert!(proxy.sprung());
            let named = direct.user_named(&wish.username).await.unwrap();
            assert_eq!(named.map(|user| user.id), Some(wish.id));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_stands_though_the_rows_of_who_was_before_can_not_be_freed() {
    let Some((store, direct, proxy)) = behind().await else {
        return;
    };
    let now = store.now().await.unwrap();
    let number = format!("{:012}", rand::random_range(0..1_000_000_000_000u64));
    let wish = |letter: &str, now| NewUser {
        id: UserId(fresh_id()),
        username: Username::parse(&format!("{letter}{number}")).unwrap(),
        now,
    };
    // A large eta looks like the one, a small one like the other.
    let long_ago = now - User::RELEASED_AFTER - 1;
    let [one, other] = ["H", "n"].map(|letter| wish(letter, long_ago));
    for old in [&one, &other] {
        let claimed = store.claim_name(old).await;
        assert_eq!(claimed, Ok(ClaimedName::Claimed { released: vec![] }));
    }
    let next = wish("η", now);
    // Who was before is looked at, released and taken over from; then what is left is freed.
    proxy.set(&one.id.as_i64().to_be_bytes(), 3, Fault::Refuse);
    let claimed = store.claim_name(&next).await;
    assert!(proxy.sprung());
    match claimed {
        Ok(ClaimedName::Claimed { mut released }) => {
            released.sort();
            let mut both = [one.id, other.id];
            both.sort();
            assert_eq!(released, both);
        }
        other => panic!("{other:?}"),
    }
    let named = direct.user_named(&next.username).await.unwrap();
    assert_eq!(named.map(|user| user.id), Some(next.id));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compare_and_set_that_may_still_come_is_unknown() {
    let Some((store, direct, proxy)) = behind().await else {
        return;
    };
    let now = store.now().await.unwrap();
    let name = ChannelName::parse(&unique("cas")).unwrap();
    proxy.set(name.as_str().as_bytes(), 0, Fault::LoseRequest);
    is_unknown(store.create_channel(&name, now).await);
    assert_eq!(direct.channel_exists(&name).await, Ok(false));
    assert_eq!(store.create_channel(&name, now).await, Ok(true));

    let username = Username::parse(&unique("cas")).unwrap();
    let wish = |id| NewUser {
        id: UserId(id),
        username: username.clone(),
        now,
    };
    let (first, second) = (wish(fresh_id()), wish(fresh_id()));
    proxy.set(&first.id.as_i64().to_be_bytes(), 2, Fault::LoseRequest);
    is_unknown(store.claim_name(&first).await);
    assert!(proxy.sprung());
    // Whoever comes next gets the name, and the first can't come through any more.
    let claimed = direct.claim_name(&second).await;
    assert_eq!(claimed, Ok(ClaimedName::Claimed { released: vec![] }));
    assert_eq!(store.users.add(&first).await, Ok(false));
    let named = direct.user_named(&username).await.unwrap();
    assert_eq!(named.map(|user| user.id), Some(second.id));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_the_view_that_came_through_unseen_is_seen_in_the_end() {
    let Some((store, direct, proxy)) = behind().await else {
        return;
    };
    let store: &dyn Members = &store;
    let direct: &dyn Members = &direct;
    let name = unique("member");
    // No other test changes the view of this keyspace.
    let mut version = direct.members().await.unwrap().version;
    proxy.set(name.as_bytes(), 0, Fault::LoseAnswer);
    let change = store.change(version, Some((&name, "1")), &[]).await;
    assert_eq!(change, Ok(Swapped::Done));
    assert!(proxy.sprung());
    version += 1;
    proxy.set(name.as_bytes(), 0, Fault::LoseAnswer);
    assert_eq!(store.renew(version, &name, "2").await, Ok(Swapped::Done));
    assert!(proxy.sprung());
    let row = direct.members().await.unwrap().rows.remove(&name);
    assert_eq!(row.as_deref(), Some("2"));

    // What never arrived may still come, for all that anybody knows.
    proxy.set(name.as_bytes(), 0, Fault::LoseRequest);
    is_unknown(store.renew(version, &name, "3").await);
    proxy.set(name.as_bytes(), 0, Fault::LoseRequest);
    is_unknown(
        store
            .change(version, None, std::slice::from_ref(&name))
            .await,
    );
    assert!(proxy.sprung());
    let view = direct.members().await.unwrap();
    assert_eq!((view.version, view.rows[&name].as_str()), (version, "2"));

    // It was refused, whoever heard of it: a version never comes back.
    let change = direct.change(version, Some((&name, "4")), &[]).await;
    assert_eq!(change, Ok(Swapped::Done));
    let newer = Ok(Swapped::Newer(version + 1));
    proxy.set(name.as_bytes(), 0, Fault::LoseAnswer);
    assert_eq!(store.renew(version, &name, "5").await, newer);
    assert!(proxy.sprung());
    proxy.set(name.as_bytes(), 0, Fault::LoseAnswer);
    let stale = store.change(version, Some((&name, "6")), &[]).await;
    assert_eq!(stale, newer);
    assert!(proxy.sprung());
    let row = direct.members().await.unwrap().rows.remove(&name);
    assert_eq!(row.as_deref(), Some("4"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_away_is_said_to_be_and_comes_back_by_itself() {
    let Some((store, direct, proxy)) = behind().await else {
        return;
    };
    let name = ChannelName::parse(&unique("away")).unwrap();
    let channel = Conversation::Channel(name.clone());
    let now = direct.now().await.unwrap();
    for (round, wire) in [Wire::Cut, Wire::Hung].into_iter().enumerate() {
        proxy.turn(wire);
        for _ in 0..3 {
            let said = message(MessageId(fresh_id()), &channel, "unheard");
            let begun = Instant::now();
            is_unavailable(store.append(&said, None).await);
            assert!(begun.elapsed() < Duration::from_secs(2), "{wire:?}");
        }
        // Its outcome may be unknown, but it is not said to have been done.
        let create = store.create_channel(&name, now).await;
        assert!(create.is_err(), "{wire:?}: {create:?}");
        assert_eq!(count(&direct, &channel).await, round);
        proxy.turn(Wire::Whole);
        let said = message(MessageId(fresh_id()), &channel, "heard again");
        assert_eq!(until_answered(&store, &said).await, Append::Kept);
    }
}
