//! Files that are not opened: each is refused in words and stays as it was, byte for byte.

use super::*;
use rusqlite::Connection;
use std::collections::BTreeMap;
use std::fs;

/// Everything in the file's directory but the lock, which says nothing, and what SQLite shares
/// in memory.
fn contents(path: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(path.parent().unwrap()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.to_string_lossy().into_owned();
        if !name.ends_with(".lock") && !name.ends_with("-shm") && path.is_file() {
            found.insert(path.clone(), fs::read(&path).unwrap());
        }
    }
    found
}

/// Opening, checking and migrating say the same, and change nothing.
fn refused(path: &Path, words: &[&str]) {
    let before = contents(path);
    let errors = [
        EmbeddedStore::check(path).map(drop).unwrap_err(),
        EmbeddedStore::open(path, None).map(drop).unwrap_err(),
        EmbeddedStore::migrate(path).unwrap_err(),
        EmbeddedStore::check(path).map(drop).unwrap_err(),
    ];
    for error in errors {
        let said = error.to_string();
        for word in words {
            assert!(said.contains(word), "{word:?} in {said:?}");
        }
    }
    assert!(contents(path) == before, "the file was changed");
}

/// A store that was in use and is closed.
fn used(directory: &tempfile::TempDir) -> PathBuf {
    let store = open(directory);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(async {
        let conversation = Conversation::Channel(ChannelName::ting());
        for id in 1..200 {
            let said = message(&conversation, id, &"hello ".repeat(50));
            store.append(&said, None).await.unwrap();
        }
        store.close().await;
    });
    file(directory)
}

#[test]
fn a_newer_store() {
    let directory = tempfile::tempdir().unwrap();
    let path = used(&directory);
    let newer = Connection::open(&path).unwrap();
    let sql = "INSERT INTO migrations VALUES (2, 'of tomorrow', 'abc')";
    newer.execute(sql, []).unwrap();
    newer.close().unwrap();
    refused(&path, &["ting.db", "newer ting", "version 2", "knows 1"]);
}

#[test]
fn a_newer_store_that_was_not_closed() {
    let directory = tempfile::tempdir().unwrap();
    let path = used(&directory);
    let newer = Connection::open(&path).unwrap();
    let sql = "INSERT INTO migrations VALUES (2, 'of tomorrow', 'abc')";
    newer.execute(sql, []).unwrap();
    // As after a crash: what is newer stands in the log alone.
    let crashed = tempfile::tempdir().unwrap();
    for (from, bytes) in contents(&path) {
        fs::write(crashed.path().join(from.file_name().unwrap()), bytes).unwrap();
    }
    assert!(crashed.path().join("ting.db-wal").metadata().unwrap().len() > 0);
    refused(
        &crashed.path().join("ting.db"),
        &["ting.db", "newer ting", "version 2"],
    );
}

#[test]
fn a_store_whose_schema_was_made_otherwise() {
    let directory = tempfile::tempdir().unwrap();
    let path = used(&directory);
    let other = Connection::open(&path).unwrap();
    let sql = "UPDATE migrations SET checksum = 'abc'";
    other.execute(sql, []).unwrap();
    other.close().unwrap();
    refused(&path, &["ting.db", "not a store of ting's", "version 1"]);
}

#[test]
fn a_file_that_is_no_database() {
    let directory = tempfile::tempdir().unwrap();
    for bytes in [&b"x"[..], &[0; 40_000], b"SQLite format 3", &[b'a'; 4_096]] {
        let path = directory.path().join("ting.db");
        fs::write(&path, bytes).unwrap();
        refused(&path, &["ting.db", "damaged"]);
    }
}

#[test]
fn a_store_that_is_damaged() {
    let directory = tempfile::tempdir().unwrap();
    let path = used(&directory);
    let whole = fs::read(&path).unwrap();
    assert!(whole.len() > 40_000);
    let mut ends_early = whole.clone();
    ends_early.truncate(whole.len() / 2);
    let mut has_a_hole = whole.clone();
    has_a_hole[12_288..32_768].fill(0xA5);
    let mut has_no_schema = whole.clone();
    has_no_schema[100..4_096].fill(0);
    for bytes in [ends_early, has_a_hole, has_no_schema] {
        fs::write(&path, bytes).unwrap();
        refused(&path, &["ting.db", "damaged"]);
    }
    fs::write(&path, whole).unwrap();
    drop(open(&directory));
}

#[test]
fn another_programs_database() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ting.db");
    let other = Connection::open(&path).unwrap();
    other.execute_batch("CREATE TABLE messages (id)").unwrap();
    other.close().unwrap();
    refused(&path, &["ting.db", "another program"]);
}

#[test]
fn a_directory() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ting.db");
    fs::create_dir(&path).unwrap();
    refused(&path, &["ting.db", "directory"]);
}

#[test]
fn a_place_below_a_file() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("data"), "a file").unwrap();
    let path = file(&directory);
    for error in [
        EmbeddedStore::check(&path).map(drop).unwrap_err(),
        EmbeddedStore::open(&path, None).map(drop).unwrap_err(),
    ] {
        let said = error.to_string();
        assert!(
            said.contains("data") && said.contains("can't be used"),
            "{said}"
        );
    }
    assert_eq!(fs::read(directory.path().join("data")).unwrap(), b"a file");
}

/// Whose rights don't count may write anywhere on a disk, so the place is one where nobody
/// may: what the kernel shows of itself.
#[test]
fn a_place_where_nothing_may_be_written() {
    for place in ["/proc/ting.db", "/proc/ting-data/ting.db"] {
        let error = EmbeddedStore::open(Path::new(place), None).unwrap_err();
        let said = error.to_string();
        assert!(said.contains("/proc/ting"), "{said}");
        assert!(said.contains("can't be used"), "{said}");
    }
    let directory = tempfile::tempdir().unwrap();
    let closed = directory.path().join("closed");
    fs::create_dir(&closed).unwrap();
    let mut rights = fs::metadata(&closed).unwrap().permissions();
    rights.set_readonly(true);
    fs::set_permissions(&closed, rights).unwrap();
    let error = EmbeddedStore::check(&closed.join("ting.db")).unwrap_err();
    assert!(
        error.to_string().contains("closed can't be used"),
        "{error}"
    );
}

#[test]
fn a_store_that_is_in_use() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(&directory);
    refused(&file(&directory), &["ting.db", "in use"]);
    drop(store);
    drop(open(&directory));
}

#[test]
fn a_check_tells_what_is_there_and_makes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = file(&directory);
    assert_eq!(EmbeddedStore::check(&path).unwrap(), Checked::Absent);
    assert!(!path.parent().unwrap().exists());
    EmbeddedStore::migrate(&path).unwrap();
    let before = contents(&path);
    let found = EmbeddedStore::check(&path).unwrap();
    let current = migrations::CURRENT;
    let version = current;
    assert_eq!(found, Checked::Store { version, current });
    assert!(contents(&path) == before);
    assert!(!path.with_file_name("ting.db-shm").exists());
}

#[test]
fn a_first_start_that_was_interrupted_is_made_good() {
    let directory = tempfile::tempdir().unwrap();
    fs::create_dir(directory.path().join("data")).unwrap();
    fs::write(file(&directory), "").unwrap();
    drop(open(&directory));
    let bare = tempfile::tempdir().unwrap();
    fs::create_dir(bare.path().join("data")).unwrap();
    let connection = Connection::open(file(&bare)).unwrap();
    connection
        .pragma_update(None, "application_id", 0x5469_6e67)
        .unwrap();
    connection
        .pragma_update(None, "journal_mode", "wal")
        .unwrap();
    connection.close().unwrap();
    drop(open(&bare));
}
