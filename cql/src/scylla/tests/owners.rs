//! Two nodes that take a conversation over from one another, with old copies and wrong clocks.

use super::faults::{behind, is_unavailable};
use super::proxy::{Fault, LATE};
use super::{message, store, store_ahead, unique};
use crate::{Append, ChannelName, Conversation, MessageId, Page, Placed, Range, Store, StoreError};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

const ALL: Range = Range {
    before: None,
    after: None,
    limit: 1_000,
};

fn channel() -> Conversation {
    Conversation::Channel(ChannelName::parse(&unique("own")).unwrap())
}

async fn texts(store: &dyn Store, conversation: &Conversation) -> Vec<String> {
    let page: Result<Page, StoreError> = store.history(conversation, ALL).await;
    let messages = page.unwrap().messages;
    messages
        .iter()
        .map(|m| m.text.as_str().to_owned())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_fast_owner_sent_is_deleted_by_the_next_for_good() {
    let (Some(fast), Some(next)) = (store_ahead(5_000).await, store().await) else {
        return;
    };
    let channel = channel();
    let now = next.now().await.unwrap();
    let sent = message(MessageId::at(now), &channel, "sent by the fast one");
    assert_eq!(fast.append(&sent, None).await, Ok(Append::Kept));
    assert_eq!(next.end_message(&channel, sent.id, now).await, Ok(true));
    for store in [&fast, &next] {
        assert!(texts(store, &channel).await.is_empty());
        let placed = store.placed(sent.id).await.unwrap();
        assert!(matches!(placed, Placed::Ended(_)), "{placed:?}");
        assert_eq!(store.append(&sent, None).await, Ok(Append::Ended));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_fast_owner_has_under_way_does_not_come_back_either() {
    let (Some(fast), Some(next)) = (store_ahead(5_000).await, store().await) else {
        return;
    };
    let channel = channel();
    let now = next.now().await.unwrap();
    // The fast one holds a slot, as every owner does, by its own clock.
    take_slot(&fast, now + 5_000 + 120_000).await;
    let sent = message(MessageId::at(now), &channel, "under way");
    // Its write has its timestamp and is not yet there when the next owner ends the message.
    let timestamp = fast.link.clock.above(0);
    assert_eq!(next.end_message(&channel, sent.id, now).await, Ok(false));
    fast.messages.arrive_late(&sent, timestamp).await;
    assert!(texts(&next, &channel).await.is_empty());
    let placed = next.placed(sent.id).await.unwrap();
    assert!(matches!(placed, Placed::Ended(_)), "{placed:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_send_that_arrives_late_does_not_cover_the_one_that_followed_it() {
    let (Some(fast), Some(next)) = (store_ahead(5_000).await, store().await) else {
        return;
    };
    let channel = channel();
    let now = next.now().await.unwrap();
    let id = MessageId::at(now);
    // The fast one's index row is there, its message still under way.
    let first = message(id, &channel, "first, unanswered");
    let timestamp = fast.link.clock.above(0);
    fast.messages.index_for_test(&first, timestamp).await;
    let second = message(id, &channel, "second, acknowledged");
    assert_eq!(next.append(&second, None).await, Ok(Append::Kept));
    fast.messages.arrive_late(&first, timestamp).await;
    assert_eq!(texts(&next, &channel).await, ["second, acknowledged"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_that_was_paused_on_its_way_covers_nothing_that_was_done_meanwhile() {
    let Some((paused, next, proxy)) = behind().await else {
        return;
    };
    let paused = std::sync::Arc::new(paused);
    let channel = channel();
    let now = next.now().await.unwrap();
    for (n, ends) in [(0, false), (1, true)] {
        let id = MessageId(MessageId::at(now).0 + n);
        let first = message(id, &channel, "decided before the pause");
        // The answer to its first question, which is whether the index knows the id.
        proxy.set(&id.as_i64().to_be_bytes(), 0, Fault::DelayAnswer);
        let (store, said) = (paused.clone(), first.clone());
        let asleep = tokio::spawn(async move { store.append(&said, None).await });
        // Longer than the clocks of the two differ, and before the answer comes.
        tokio::time::sleep(LATE / 4).await;
        assert!(proxy.sprung());
        let second = message(id, &channel, "acknowledged meanwhile");
        assert_eq!(next.append(&second, None).await, Ok(Append::Kept));
        if ends {
            assert_eq!(next.end_message(&channel, id, now).await, Ok(true));
        }
        // What it is told is nobody's concern any more.
        let _ = asleep.await.unwrap();
        let placed = next.placed(id).await.unwrap();
        if ends {
            assert!(matches!(placed, Placed::Ended(_)), "{placed:?}");
        } else {
            assert_eq!(placed, Placed::Message(Box::new(second)));
        }
        assert_eq!(texts(&next, &channel).await, ["acknowledged meanwhile"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_that_was_paused_deletes_nothing_that_was_sent_meanwhile() {
    let (Some(paused), Some(next)) = (store().await, store().await) else {
        return;
    };
    let channel = channel();
    let now = next.now().await.unwrap();
    let sent = message(MessageId::at(now), &channel, "sent meanwhile");
    let mut standing = paused.messages.standing(&channel, sent.id).await.unwrap();
    assert_eq!(next.append(&sent, None).await, Ok(Append::Kept));
    standing.asked -= Duration::from_secs(3);
    let ended = paused
        .messages
        .carry_out_end(&channel, sent.id, standing)
        .await;
    is_unavailable(ended);
    assert_eq!(texts(&next, &channel).await, ["sent meanwhile"]);
    let placed = next.placed(sent.id).await.unwrap();
    assert_eq!(placed, Placed::Message(Box::new(sent)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_opened_by_another_owner_hides_nothing_from_an_old_copy() {
    let (Some(one), Some(other)) = (store().await, store().await) else {
        return;
    };
    let channel = channel();
    let now = one.now().await.unwrap();
    let at = |millis: i64| MessageId::at(now + millis);
    // Both have a copy; then the other takes over and opens the next bucket.
    for store in [&one, &other] {
        assert!(texts(store, &channel).await.is_empty());
    }
    let early = message(at(0), &channel, "before");
    assert_eq!(one.append(&early, None).await, Ok(Append::Kept));
    other
        .messages
        .buckets()
        .open_next(&channel, 0)
        .await
        .unwrap();

    // The one with the old copy goes on for as long as a copy may be old.
    let old = message(at(59_000), &channel, "by the old copy");
    assert_eq!(one.append(&old, None).await, Ok(Append::Kept));
    // The other writes on both sides of the line.
    let line = message(at(60_000), &channel, "in the old bucket");
    let beyond = message(at(400_000), &channel, "in the new bucket");
    for message in [&line, &beyond] {
        assert_eq!(other.append(message, None).await, Ok(Append::Kept));
    }
    let wanted = [
        "in the new bucket",
        "in the old bucket",
        "by the old copy",
        "before",
    ];
    assert_eq!(texts(&other, &channel).await, wanted);
    // A third one, who never saw the old plan, sees the same, and pages through it.
    let third = store().await.unwrap();
    assert_eq!(texts(&third, &channel).await, wanted);
    let mut before = None;
    let mut seen = Vec::new();
    for _ in 0..4 {
        let range = Range {
            before,
            after: None,
            limit: 1,
        };
        let page = third.history(&channel, range).await.unwrap();
        before = page.messages.last().map(|message| message.id);
        seen.extend(page.messages.iter().map(|m| m.text.as_str().to_owned()));
        assert_eq!(page.more, seen.len() < 4);
    }
    assert_eq!(seen, wanted);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_bucket_is_followed_by_one_above_every_id_given() {
    let Some(store) = store().await else { return };
    let channel = channel();
    let now = store.now().await.unwrap();
    take_slot(&store, now + 300_000).await;
    store.messages.buckets().of_rows(20);
    let last = AtomicU64::new(0);
    // Filled until the next one is seen; it is opened while nobody waits for it.
    let plan = tokio::time::timeout(Duration::from_secs(30), async {
        loop {
            let n = last.fetch_add(1, Ordering::Relaxed);
            let id = MessageId(MessageId::at(now).0 + n);
            let said = message(id, &channel, "more");
            assert_eq!(store.append(&said, None).await, Ok(Append::Kept));
            let plan = store.messages.buckets().plan(&channel).await.unwrap();
            if plan.of(MessageId(u64::MAX >> 11)) != 0 {
                break plan;
            }
        }
    })
    .await
    .expect("a full bucket is followed by another");
    let first = MessageId(u64::try_from(plan.of(MessageId(u64::MAX >> 11))).unwrap());
    assert!(first.time() >= now + 300_000 + 120_000);
    let rows = last.load(Ordering::Relaxed);
    assert!(rows >= 20, "opened after {rows}");
    assert_eq!(texts(&store, &channel).await.len() as u64, rows);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_bucket_is_opened_by_what_was_known_before_a_pause() {
    let Some(store) = store().await else { return };
    let channel = channel();
    let now = store.now().await.unwrap();
    let buckets = store.messages.buckets();
    let before = Instant::now().checked_sub(Duration::from_secs(61)).unwrap();
    let refused = buckets.open_above(&channel, now, before).await;
    is_unavailable(refused);
    let highest = MessageId(u64::MAX >> 11);
    assert_eq!(buckets.read(&channel).await.unwrap().of(highest), 0);
    let opened = buckets.open_above(&channel, now, Instant::now()).await;
    assert_eq!(opened, Ok(()));
    assert_ne!(buckets.read(&channel).await.unwrap().of(highest), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_go_through_forty_buckets_and_miss_nothing() {
    let Some(store) = store().await else { return };
    let channel = channel();
    let now = store.now().await.unwrap();
    // Some with one message alone, and some with none.
    let mut sent = Vec::new();
    for bucket in 0..40 {
        let first = MessageId(MessageId::at(now).0 + bucket * 1_000_000);
        let buckets = store.messages.buckets();
        buckets.open(&channel, first).await.unwrap();
        for n in 0..[30, 1, 0, 9][bucket as usize % 4] {
            let id = MessageId(first.0 + n * 1_000);
            let said = message(id, &channel, &format!("{bucket}:{n}"));
            assert_eq!(store.append(&said, None).await, Ok(Append::Kept));
            sent.insert(0, id);
        }
    }
    for limit in [1, 7, 100, 399] {
        let mut before = None;
        let mut seen = Vec::new();
        loop {
            let range = Range {
                before,
                after: None,
                limit,
            };
            let page = store.history(&channel, range).await.unwrap();
            assert_eq!(page.messages.len(), limit.min(sent.len() - seen.len()));
            before = page.messages.last().map(|message| message.id);
            seen.extend(page.messages.iter().map(|message| message.id));
            if !page.more {
                break;
            }
        }
        assert_eq!(seen, sent, "pages of {limit}");
    }
    // From the middle on: what lies below is not looked at.
    let range = Range {
        before: None,
        after: Some(sent[200]),
        limit: 1_000,
    };
    let page = store.history(&channel, range).await.unwrap();
    let ids: Vec<_> = page.messages.iter().map(|message| message.id).collect();
    assert_eq!(ids, sent[..200]);
    assert!(!page.more);
}

/// Takes a slot that nobody has, up to that time.
async fn take_slot(store: &dyn Store, high_water: i64) {
    for number in 0..crate::SLOTS {
        if store.reserve_slot(number, None, high_water).await.unwrap() {
            return;
        }
    }
    panic!("no slot is free");
}
