//! Conversations of all sizes: how many questions a page takes, and that paging misses nothing.

use super::faults::behind;
use super::proxy::Proxy;
use super::{message, size};
use crate::scylla::CqlStore;
use crate::{Append, ChannelName, Conversation, MessageId, Millis, Range, Store, UserId};
use futures::StreamExt;
use std::time::{Duration, Instant};

/// Buckets of the largest conversation.
const BUCKETS: u64 = 41;
/// Writes on their way at once.
const AT_ONCE: usize = 96;
/// What a page may take more than the database's shortest answer.
const PAGE: Duration = Duration::from_millis(15);
const DAY: Millis = 86_400_000;

/// How many messages the largest conversation has; a long run asks for two million.
fn messages() -> u64 {
    size("TING_TEST_MESSAGES", 20_000)
}

/// A conversation that no other test has.
fn fresh() -> Conversation {
    Conversation::Channel(ChannelName::parse(&super::unique("size")).unwrap())
}

async fn fill(store: &CqlStore, conversation: &Conversation, ids: impl Iterator<Item = MessageId>) {
    let began = Instant::now();
    let writing = ids.map(async |id| {
        let said = message(
            id,
            conversation,
            "as long as most of what people say to others",
        );
        assert_eq!(store.append(&said, None).await, Ok(Append::Kept));
    });
    let written = futures::stream::iter(writing).buffer_unordered(AT_ONCE);
    let written = written.count().await;
    let rate = written as f64 / began.elapsed().as_secs_f64();
    println!("{written} messages written, {rate:.0}/s");
}

fn range(before: Option<MessageId>, limit: usize) -> Range {
    Range {
        before,
        after: None,
        limit,
    }
}

/// Reads the newest 100 again and again: the questions asked of the database for the first page
/// and for the others, and how long a page took. After each page the database is asked for its
/// time, so that whatever else the machine does makes both late.
async fn newest(what: &str, store: &CqlStore, proxy: &Proxy, conversation: &Conversation) {
    let key = conversation.key();
    let (mut took, mut shortest) = (Vec::new(), Vec::new());
    for n in 0..200 {
        proxy.count(key.as_bytes());
        let began = Instant::now();
        let page = store.history(conversation, range(None, 100)).await.unwrap();
        took.push(began.elapsed());
        let asked = proxy.counted();
        assert!(asked <= 3, "page {n} of {what} took {asked} questions");
        assert!(!page.messages.is_empty());
        let began = Instant::now();
        store.now().await.unwrap();
        shortest.push(began.elapsed());
    }
    let first = took.remove(0);
    let [(p50, p99), (shortest_p50, shortest_p99)] = [took, shortest].map(|mut times| {
        times.sort();
        (times[times.len() / 2], times[times.len() * 99 / 100])
    });
    println!(
        "newest 100 of {what}: first {first:.1?}, then p50 {p50:.1?}, p99 {p99:.1?}; the \
         database's time: p50 {shortest_p50:.1?}, p99 {shortest_p99:.1?}"
    );
    // On a machine that does nothing else, a bound on the time means something.
    if size("TING_TEST_STRICT", 0) > 0 {
        assert!(p99 <= shortest_p99 + PAGE, "a page of {what}: {p99:?}");
    }
}

/// Pages through all of it with `before`; the ids that were seen, newest first.
async fn all(store: &CqlStore, conversation: &Conversation) -> Vec<MessageId> {
    let mut seen: Vec<MessageId> = Vec::new();
    loop {
        let page = range(seen.last().copied(), 1_000);
        let page = store.history(conversation, page).await.unwrap();
        seen.extend(page.messages.iter().map(|message| message.id));
        if !page.more {
            return seen;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newest_take_three_questions_however_long_a_conversation_is() {
    let Some((far, store, proxy)) = behind().await else {
        return;
    };
    let now = store.now().await.unwrap();

    // Full buckets, far apart: what opens one more would be between them.
    let long = fresh();
    let each = messages() / BUCKETS;
    assert!(each < 50_000, "more than {BUCKETS} buckets hold");
    let apart = 120_000;
    let first = |bucket: u64| MessageId::at(now + Millis::try_from(bucket * apart).unwrap());
    for bucket in 1..BUCKETS {
        let buckets = store.messages.buckets();
        buckets.open(&long, first(bucket)).await.unwrap();
    }
    let ids = |bucket: u64| (0..each).map(move |n| MessageId(first(bucket).0 + n));
    let ids = (0..BUCKETS).flat_map(ids);
    fill(&store, &long, ids.clone()).await;
    newest("a long conversation", &far, &proxy, &long).await;
    let began = Instant::now();
    let mut expected: Vec<MessageId> = ids.collect();
    expected.reverse();
    assert!(
        all(&store, &long).await == expected,
        "pages miss or double some"
    );
    println!("all of it in pages of 1,000: {:.1?}", began.elapsed());

    // One message a month for two years, which are to come: ids begin with the product.
    let quiet = Conversation::private(UserId(7), UserId(rand::random_range(8..1 << 40)));
    let month = |n: Millis| MessageId::at(now + DAY + n * 30 * DAY);
    fill(&store, &quiet, (0..24).map(month)).await;
    newest("a quiet conversation", &far, &proxy, &quiet).await;
    let expected: Vec<MessageId> = (0..24).rev().map(month).collect();
    assert_eq!(all(&store, &quiet).await, expected);

    // A thousand a second, as the ids say; the next bucket is opened on the way in a long run.
    let busy = fresh();
    let count = Millis::try_from(messages() * 3 / 100).unwrap();
    let at = |n: Millis| MessageId::at(now - DAY / 2 + n);
    fill(&store, &busy, (0..count).map(at)).await;
    newest("a busy conversation", &far, &proxy, &busy).await;
    let expected: Vec<MessageId> = (0..count).rev().map(at).collect();
    assert!(
        all(&store, &busy).await == expected,
        "pages miss or double some"
    );
}
