//! The writer: groups, company that fails, a queue that is full, a disk that is.

use super::*;
use futures::future::join_all;
use futures::{FutureExt, poll};
use std::pin::pin;
use std::sync::mpsc;
use std::task::Poll;

/// Holds the writer in a commit of its own, so that what comes next has to gather.
struct Held<'a> {
    write: std::pin::Pin<Box<dyn Future<Output = Result<(), StoreError>> + 'a>>,
    release: mpsc::Sender<()>,
}

async fn hold(store: &EmbeddedStore) -> Held<'_> {
    let (release, released) = mpsc::channel();
    let (begun, has_begun) = tokio::sync::oneshot::channel();
    let mut write = store
        .write("hold", move |_| {
            let _ = begun.send(());
            let _ = released.recv();
            Ok(())
        })
        .boxed();
    assert!(poll!(&mut write).is_pending());
    has_begun.await.unwrap();
    Held { write, release }
}

impl Held<'_> {
    async fn release(self) {
        self.release.send(()).unwrap();
        self.write.await.unwrap();
    }
}

#[tokio::test]
async fn what_gathers_while_one_commits_is_committed_together() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(&directory);
    let held = hold(&store).await;
    let before = store.writer.commits();
    let names: Vec<_> = (0..64).map(|n| channel(&format!("c{n}"))).collect();
    let mut writes = pin!(join_all(
        names.iter().map(|name| store.create_channel(name, 1))
    ));
    assert!(poll!(&mut writes).is_pending());
    held.release().await;
    for new in writes.await {
        assert!(new.unwrap());
    }
    assert_eq!(
        store.writer.commits() - before,
        2,
        "the held one, and 64 at once"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn sixty_four_writers_share_commits() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(&directory);
    let before = store.writer.commits();
    let conversation = Conversation::Channel(ChannelName::ting());
    join_all((0..64).map(|writer| {
        let (store, conversation) = (&store, &conversation);
        async move {
            for n in 1..=20 {
                let said = message(conversation, writer * 100 + n, "hello");
                assert_eq!(store.append(&said, None).await, Ok(crate::Append::Kept));
            }
        }
    }))
    .await;
    let commits = store.writer.commits() - before;
    assert!(commits < 64 * 20 / 4, "{commits} commits for 1,280 writes");
}

#[tokio::test]
async fn a_write_that_fails_undoes_itself_alone() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(&directory);
    let held = hold(&store).await;
    let names = ["before", "after", "half"].map(channel);
    let [before, after, half] = &names;
    let failing = store.write("fail", |connection| {
        connection.execute("INSERT INTO channels VALUES ('half', 1)", [])?;
        connection.execute("INSERT INTO channels VALUES ('ting', 1)", [])?;
        Ok(())
    });
    let mut writes = pin!(futures::future::join3(
        store.create_channel(before, 1),
        failing,
        store.create_channel(after, 1),
    ));
    assert!(poll!(&mut writes).is_pending());
    held.release().await;
    let (first, failed, last) = writes.await;
    assert_eq!((first, last), (Ok(true), Ok(true)));
    assert!(
        matches!(failed, Err(StoreError::Unavailable(_))),
        "{failed:?}"
    );
    assert_eq!(store.channel_exists(before).await, Ok(true));
    assert_eq!(store.channel_exists(after).await, Ok(true));
    assert_eq!(store.channel_exists(half).await, Ok(false));
}

#[tokio::test]
async fn a_full_queue_refuses_and_loses_nothing_that_was_let_in() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(&directory);
    let held = hold(&store).await;
    let names: Vec<_> = (0..6_000).map(|n| channel(&format!("c{n}"))).collect();
    let mut waiting = Vec::new();
    let mut refused = Vec::new();
    for name in &names {
        let mut write = store.create_channel(name, 1);
        match poll!(&mut write) {
            Poll::Pending => waiting.push((name, write)),
            Poll::Ready(answer) => {
                assert!(
                    matches!(answer, Err(StoreError::Unavailable(_))),
                    "{answer:?}"
                );
                refused.push(name);
            }
        }
    }
    assert!(!refused.is_empty());
    held.release().await;
    for (name, write) in waiting {
        assert_eq!(write.await, Ok(true), "{name}");
    }
    for name in &refused {
        assert_eq!(store.channel_exists(name).await, Ok(false), "{name}");
    }
    let again = refused.iter().map(|name| store.create_channel(name, 1));
    for new in join_all(again).await {
        assert_eq!(new, Ok(true));
    }
}

#[tokio::test]
async fn a_write_that_nobody_waits_for_is_not_begun() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(&directory);
    let held = hold(&store).await;
    let (given_up, name) = (channel("given-up"), channel("wanted"));
    {
        let mut write = store.create_channel(&given_up, 1);
        assert!(poll!(&mut write).is_pending());
    }
    let mut wanted = store.create_channel(&name, 1);
    assert!(poll!(&mut wanted).is_pending());
    held.release().await;
    assert_eq!(wanted.await, Ok(true));
    assert_eq!(store.channel_exists(&given_up).await, Ok(false));
}

#[tokio::test]
async fn a_full_disk_refuses_in_words_and_heals_when_there_is_room() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(&directory);
    let conversation = Conversation::Channel(ChannelName::ting());
    let text = "λ".repeat(2_000);
    let said = |id| message(&conversation, id, &text);
    let pages: i64 = store
        .read("pages", |connection| {
            Ok(connection.pragma_query_value(None, "page_count", |row| row.get(0))?)
        })
        .await
        .unwrap();
    limit_pages(&store, pages + 20).await;

    let mut kept = 0;
    let refusal = loop {
        let writes = [1, 2, 3].map(|n| said(kept + n));
        let answers = join_all(writes.iter().map(|said| store.append(said, None))).await;
        kept += answers.iter().take_while(|answer| answer.is_ok()).count() as u64;
        if let Some(Err(refusal)) = answers.into_iter().find(|answer| answer.is_err()) {
            break refusal;
        }
        assert!(kept < 1_000, "the disk never filled");
    };
    assert!(
        matches!(&refusal, StoreError::Unavailable(why) if why.contains("full")),
        "{refusal}"
    );
    assert!(kept > 0);

    // Reading goes on, and nothing of what was refused is there.
    let range = crate::Range {
        before: None,
        after: None,
        limit: 1_000,
    };
    let page = store.history(&conversation, range).await.unwrap();
    assert_eq!(page.messages.len() as u64, kept);
    assert_eq!(
        store.placed(MessageId(kept + 1)).await,
        Ok(crate::Placed::Nothing)
    );

    limit_pages(&store, pages + 1_000).await;
    for id in 1..=kept + 20 {
        assert_eq!(store.append(&said(id), None).await, Ok(crate::Append::Kept));
    }
    let page = store.history(&conversation, range).await.unwrap();
    assert_eq!(page.messages.len() as u64, kept + 20);
}

async fn limit_pages(store: &EmbeddedStore, pages: i64) {
    let limited = store.write("limit", move |connection| {
        let set: i64 =
            connection.pragma_update_and_check(None, "max_page_count", pages, |row| row.get(0))?;
        assert_eq!(set, pages);
        Ok(())
    });
    limited.await.unwrap();
}
