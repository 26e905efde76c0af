//! Migrations on a real server, in keyspaces of their own.

use super::*;
use crate::scylla::CqlStore;
use crate::scylla::tests::{server, settings, unique};

const ONE: Migration = Migration {
    version: 1,
    name: "001_one.cql",
    text: "-- a comment; with a semicolon\nCREATE TABLE IF NOT EXISTS one (id int PRIMARY KEY);\n\
        CREATE TABLE IF NOT EXISTS other (id int PRIMARY KEY);\n",
};
const TWO: Migration = Migration {
    version: 2,
    name: "002_two.cql",
    text: "ALTER TABLE one ADD more text;\nCREATE TABLE IF NOT EXISTS two (id int PRIMARY KEY);",
};
const THREE: Migration = Migration {
    version: 3,
    name: "003_three.cql",
    text: "CREATE TABLE IF NOT EXISTS three (id int PRIMARY KEY);",
};
const CHANGED: Migration = Migration {
    text: "CREATE TABLE IF NOT EXISTS one (id bigint PRIMARY KEY);",
    ..ONE
};

async fn inspected(
    settings: &CqlSettings,
    files: &'static [Migration],
) -> Result<Schema, ConnectError> {
    let session = open::session(settings).await?;
    inspect(&session, &settings.keyspace, files).await
}

async fn drop_keyspace(settings: &CqlSettings) {
    let session = open::session(settings).await.unwrap();
    let cql = format!("DROP KEYSPACE {}", settings.keyspace);
    session.query_unpaged(cql, ()).await.unwrap();
}

#[test]
fn a_file_is_split_into_its_statements() {
    assert_eq!(split(ONE.text).len(), 2);
    let real: usize = MIGRATIONS.iter().map(|file| split(file.text).len()).sum();
    let tables: usize = MIGRATIONS
        .iter()
        .map(|file| file.text.matches(" TABLE ").count())
        .sum();
    assert_eq!(real, tables);
}

#[test]
fn a_keyspace_is_made_as_the_settings_say() {
    let mut settings = settings("127.0.0.1:9042");
    settings.keyspace = "chat".to_owned();
    settings.datacenter = "eu-west.1".to_owned();
    settings.replication = 3;
    let made = "CREATE KEYSPACE IF NOT EXISTS chat\n\
        WITH replication = {'class': 'NetworkTopologyStrategy', 'eu-west.1': 3}\n\
        AND durable_writes = true";
    for (tablets, said) in [
        (None, ""),
        (Some(true), " AND tablets = {'enabled': true}"),
        (Some(false), " AND tablets = {'enabled': false}"),
    ] {
        settings.tablets = tablets;
        assert_eq!(split(&keyspace_of(&settings)), [format!("{made}{said}")]);
    }
}

#[test]
fn versions_count_up_by_one() {
    for (version, file) in (1..).zip(MIGRATIONS) {
        assert_eq!(file.version, version, "{}", file.name);
        assert!(file.name.starts_with(&format!("{version:03}_")));
    }
}

#[test]
fn a_lock_outlives_the_slowest_statement_and_is_outlived_by_who_waits() {
    let lock = Duration::from_secs(LOCK_SECONDS.unsigned_abs().into());
    assert!(lock > STATEMENT + STATEMENT + open::AGREEMENT);
    assert!(PATIENCE > lock + STATEMENT);
}

#[test]
fn who_has_long_waited_for_a_lock_is_not_ended_by_one_failure() {
    let begun = Instant::now();
    let mut waiting = Waiting::since(begun);
    let mut at = |seconds, attempt| waiting.after(attempt, begun + Duration::from_secs(seconds));
    let failed = || Err(ConnectError::Unreachable("too many at once".to_owned()));
    assert_eq!(at(0, failed()), None);
    assert_eq!(at(9, failed()), None);
    assert_eq!(at(11, Ok(false)), None);
    // Each is the first one since there was an answer.
    assert_eq!(at(60, failed()), None);
    assert_eq!(at(61, Ok(false)), None);
    assert_eq!(at(80, failed()), None);
    assert_eq!(at(90, failed()), Some(failed().map(drop)));
    assert_eq!(at(91, Ok(true)), Some(Ok(())));
    let locked = Err(SchemaError::Locked.into());
    assert_eq!(at(PATIENCE.as_secs(), Ok(false)), Some(locked));
}

#[tokio::test]
async fn a_schema_one_version_newer_is_run_on_and_two_are_not() {
    let Some(settings) = server(&unique("versions")) else {
        return;
    };
    let old = SchemaError::Old { have: 0, want: 1 };
    assert_eq!(inspected(&settings, &[ONE]).await, Err(old.into()));
    let schema = migrate(&settings, &[ONE]).await.unwrap();
    assert_eq!(schema, Schema { have: 1, want: 1 });
    assert_eq!(inspected(&settings, &[ONE]).await, Ok(schema));
    let old = SchemaError::Old { have: 1, want: 2 };
    assert_eq!(inspected(&settings, &[ONE, TWO]).await, Err(old.into()));

    migrate(&settings, &[ONE, TWO]).await.unwrap();
    let newer = Schema { have: 2, want: 1 };
    assert_eq!(inspected(&settings, &[ONE]).await, Ok(newer));
    assert_eq!(migrate(&settings, &[ONE]).await, Ok(newer));

    migrate(&settings, &[ONE, TWO, THREE]).await.unwrap();
    let new = ConnectError::from(SchemaError::New { have: 3, want: 1 });
    assert_eq!(inspected(&settings, &[ONE]).await, Err(new.clone()));
    assert_eq!(migrate(&settings, &[ONE]).await, Err(new));

    let changed = ConnectError::from(SchemaError::Changed("001_one.cql"));
    let files: &[Migration] = &[CHANGED, TWO, THREE];
    assert_eq!(inspected(&settings, files).await, Err(changed.clone()));
    assert_eq!(migrate(&settings, files).await, Err(changed));
    drop_keyspace(&settings).await;
}

#[tokio::test]
async fn two_that_start_at_once_take_turns() {
    let Some(settings) = server(&unique("turns")) else {
        return;
    };
    let both = tokio::join!(CqlStore::migrate(&settings), CqlStore::migrate(&settings));
    let want = MIGRATIONS.last().unwrap().version;
    let done = Schema { have: want, want };
    assert_eq!(both, (Ok(done), Ok(done)));
    // Had both made a table, one of the two would not be what the other's rows lie in.
    CqlStore::connect(settings.clone()).await.unwrap();
    drop_keyspace(&settings).await;
}

#[tokio::test]
async fn a_migrator_that_was_killed_is_followed_by_the_next() {
    let Some(settings) = server(&unique("killed")) else {
        return;
    };
    // Killed in the midst of a file: one of its two tables is there, and the lock is held.
    let session = open::session(&settings).await.unwrap();
    let killed = Migrator::new(&settings, session);
    killed.ensure_keyspace().await.unwrap();
    let held = killed.compare(LOCK, (killed.holder, 3)).await;
    assert_eq!(held, Ok(true));
    killed.execute(&split(ONE.text)[0]).await.unwrap();

    let next = migrate(&settings, &[ONE]).await;
    assert_eq!(next, Ok(Schema { have: 1, want: 1 }));
    // In the midst of the next file, which adds a column.
    let held = killed.compare(LOCK, (killed.holder, 3)).await;
    assert_eq!(held, Ok(true));
    killed.execute(&split(TWO.text)[0]).await.unwrap();
    let next = migrate(&settings, &[ONE, TWO]).await;
    assert_eq!(next, Ok(Schema { have: 2, want: 2 }));
    // Not killed, only paused: it does not go on with what is another's now.
    let late = killed.statements_of(ONE.text).await;
    assert_eq!(late, Err(SchemaError::LockLost.into()));
    drop_keyspace(&settings).await;
}
