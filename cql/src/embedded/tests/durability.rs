//! `kill -9` at any moment: what was acknowledged is there, once, and nothing is half there.

use super::*;
use crate::{Append, Placed, Range, UserId};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};

/// Tells the child where its store is; without it the child has nothing to do.
const STORE: &str = "TING_TEST_KILLED_STORE";

/// How many times, where five are not enough.
const ROUNDS: &str = "TING_TEST_KILLS";

const WRITERS: u64 = 8;

/// Ids of a round and a writer begin at a number of their own.
fn ids(round: u64, writer: u64) -> impl Iterator<Item = u64> {
    let first = round * 100_000_000 + writer * 1_000_000 + 1;
    first..first + 900_000
}

/// Writers take turns between a channel and one private each.
fn said(round: u64, writer: u64, id: u64) -> Message {
    let conversation = if id.is_multiple_of(2) {
        Conversation::Channel(ChannelName::ting())
    } else {
        Conversation::private(UserId(1), UserId(100 + writer))
    };
    Message {
        author: Some(UserId(1)),
        datetime_sent: i64::try_from(id).unwrap(),
        ..message(&conversation, id, &format!("{round} {writer} {id}"))
    }
}

#[test]
fn what_was_acknowledged_survives_kill_9() {
    let rounds = std::env::var(ROUNDS).map_or(5, |rounds| rounds.parse().unwrap());
    let directory = tempfile::tempdir().unwrap();
    let mut acknowledged = Vec::new();
    for round in 0..rounds {
        let wanted = rand::random_range(1..600);
        let mut child = begin(&file(&directory), round);
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let of_round = lines
            .by_ref()
            .map_while(Result::ok)
            .filter_map(|line| kept(&line))
            .take(wanted)
            .collect::<Vec<_>>();
        assert_eq!(of_round.len(), wanted, "the child ended by itself");
        child.kill().unwrap();
        child.wait().unwrap();
        acknowledged.extend(of_round);
        // What it acknowledged before the kill reached it.
        acknowledged.extend(lines.map_while(Result::ok).filter_map(|line| kept(&line)));
        whole(&directory, &acknowledged);
    }
}

/// How a connection's commits reach the disk: by which journal, and when it is synced.
fn journal(db: &Connection) -> Result<(String, u8), StoreError> {
    let journal = db.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
    let synchronous = db.pragma_query_value(None, "synchronous", |row| row.get(0))?;
    Ok((journal, synchronous))
}

/// A killed process loses nothing that it wrote, so only a machine without power would show it.
#[tokio::test]
async fn a_commit_is_synced_before_it_is_answered() {
    let directory = tempfile::tempdir().unwrap();
    // A file keeps its journal's mode, and of syncing nothing.
    for when in ["made", "opened again"] {
        let store = open(&directory);
        // 2 is "full": with 1, "normal", the log is synced at checkpoints only.
        let full = Ok(("wal".to_owned(), 2));
        assert_eq!(store.write("journal", journal).await, full, "{when}");
        let reads = store.read("journal", journal).await.unwrap();
        assert_eq!(reads.0, "wal", "{when}");
        store.close().await;
    }
}

/// An acknowledgement: `kept <round> <writer> <id>` and a full stop, so that half a line is none.
fn kept(line: &str) -> Option<(u64, u64, u64)> {
    let line = line.split_once("kept ")?.1.strip_suffix('.')?;
    let mut numbers = line.split(' ').map(|number| number.parse().unwrap());
    Some((numbers.next()?, numbers.next()?, numbers.next()?))
}

fn begin(path: &Path, round: u64) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--ignored", "--nocapture"])
        .arg("embedded::tests::durability::the_child_that_is_killed")
        .env(STORE, format!("{round} {}", path.display()))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

#[tokio::main(flavor = "current_thread")]
async fn whole(directory: &tempfile::TempDir, acknowledged: &[(u64, u64, u64)]) {
    let store = open(directory);
    for &(round, writer, id) in acknowledged {
        let there = Placed::Message(Box::new(said(round, writer, id)));
        assert_eq!(store.placed(MessageId(id)).await, Ok(there));
    }
    for writer in 0..WRITERS {
        let other = UserId(100 + writer);
        let newest = Range {
            before: None,
            after: None,
            limit: 1,
        };
        let private = Conversation::private(UserId(1), other);
        let page = store.history(&private, newest).await.unwrap();
        let Some(newest) = page.messages.first() else {
            assert_eq!(store.inbox(other, 10).await.unwrap(), []);
            continue;
        };
        // The message and both lists came together or not at all.
        for (one, two) in [(other, UserId(1)), (UserId(1), other)] {
            let inbox = store.inbox(one, 50).await.unwrap();
            let listed = inbox.iter().find(|private| private.other == two).unwrap();
            assert_eq!(listed.datetime_sent, newest.datetime_sent);
        }
    }
    store.close().await;
    let found = EmbeddedStore::check(&file(directory)).unwrap();
    assert!(matches!(found, Checked::Store { .. }), "{found:?}");
}

#[test]
#[ignore = "started and killed by what_was_acknowledged_survives_kill_9"]
fn the_child_that_is_killed() {
    let Ok(work) = std::env::var(STORE) else {
        return;
    };
    let (round, path) = work.split_once(' ').unwrap();
    keep_on(round.parse().unwrap(), Path::new(path));
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn keep_on(round: u64, path: &Path) {
    let store = EmbeddedStore::open(path, None).unwrap();
    let recipient = Username::parse("bob").unwrap();
    let writers = (0..WRITERS).map(|writer| {
        let (store, recipient) = (&store, &recipient);
        async move {
            for id in ids(round, writer) {
                let kept = store
                    .append(&said(round, writer, id), Some(recipient))
                    .await;
                assert_eq!(kept, Ok(Append::Kept));
                // An error means that whoever started us is gone.
                writeln!(std::io::stdout(), "kept {round} {writer} {id}.").unwrap();
            }
        }
    });
    futures::future::join_all(writers).await;
}
