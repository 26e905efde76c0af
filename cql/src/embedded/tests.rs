//! The embedded store by itself: what the contract can't see from outside.

use super::*;
use crate::{ChannelName, Conversation, Message, MessageId, MessageText, Store, Username};
use std::path::PathBuf;

mod durability;
mod refusals;
mod sweeping;
mod writing;

fn file(directory: &tempfile::TempDir) -> PathBuf {
    directory.path().join("data").join("ting.db")
}

fn open(directory: &tempfile::TempDir) -> EmbeddedStore {
    EmbeddedStore::open(&file(directory), None).unwrap()
}

fn channel(name: &str) -> ChannelName {
    ChannelName::parse(name).unwrap()
}

fn message(conversation: &Conversation, id: u64, text: &str) -> Message {
    let id = MessageId(id);
    Message {
        id,
        conversation: conversation.clone(),
        author: None,
        username: Username::parse("ada").unwrap(),
        text: MessageText::parse(text).unwrap(),
        datetime_start: id.time(),
        datetime_sent: id.time(),
    }
}

#[tokio::test]
async fn what_was_kept_is_there_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(&directory);
    assert!(store.create_channel(&channel("kept"), 1).await.unwrap());
    store.close().await;
    drop(store);
    let store = open(&directory);
    assert!(store.channel_exists(&channel("kept")).await.unwrap());
}

#[tokio::test]
async fn a_closed_store_leaves_one_whole_file_and_refuses() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(&directory);
    store.create_channel(&channel("kept"), 1).await.unwrap();
    store.close().await;
    let log = directory.path().join("data").join("ting.db-wal");
    assert!(!log.exists(), "the log is folded into the file");
    for answer in [
        store.channel_exists(&channel("kept")).await,
        store.create_channel(&channel("new"), 1).await,
    ] {
        assert!(
            matches!(answer, Err(StoreError::Unavailable(_))),
            "{answer:?}"
        );
    }
    // Whoever comes next need not wait for this value to go.
    drop(open(&directory));
    assert!(!log.exists(), "dropping a store closes it as well");
}

#[test]
fn directories_are_made_however_deep() {
    let directory = tempfile::tempdir().unwrap();
    let deep = directory.path().join("a/b/c/ting.db");
    drop(EmbeddedStore::open(&deep, None).unwrap());
    assert!(deep.exists());
}

#[test]
fn only_the_owner_may_read_what_lies_there() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let _store = open(&directory);
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&file(&directory)), 0o600);
    assert_eq!(mode(&directory.path().join("data")), 0o700);
    for beside in ["data/ting.db-wal", "data/ting.db.lock"] {
        assert_eq!(mode(&directory.path().join(beside)), 0o600, "{beside}");
    }
}

#[test]
fn operations_are_measured_by_name() {
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    let shown = recorder.handle();
    metrics::with_local_recorder(&recorder, || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        runtime.block_on(async {
            let directory = tempfile::tempdir().unwrap();
            let store = open(&directory);
            store.create_channel(&channel("timed"), 1).await.unwrap();
            store.close().await;
            store.channel_exists(&channel("timed")).await.unwrap_err();
        });
    });
    let shown = shown.render();
    for line in [
        r#"ting_store_seconds_count{operation="create_channel"} 1"#,
        r#"ting_store_failures_total{operation="channel_exists"} 1"#,
        "ting_store_in_flight 0",
    ] {
        assert!(shown.contains(line), "{line} in {shown}");
    }
    assert!(!shown.contains("timed"));
}
