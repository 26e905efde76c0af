//! The schema, one additive file after another.
//!
//! - A file that was carried out is written down with its checksum, and never changes again.
//! - One at a time: who migrates holds a row with a time to live. A migrator that dies loses it
//!   within [`LOCK_SECONDS`]; the next one goes on where that one was, for every statement of a
//!   file may be carried out twice.
//! - A schema one version newer than this program's is run on, so that nodes can be replaced one
//!   by one; two versions newer is refused, and so is an older one, which wants migrating.

use super::open;
use super::settings::{ConnectError, CqlSettings};
use scylla::client::execution_profile::{ExecutionProfile, ExecutionProfileHandle};
use scylla::client::session::Session;
use scylla::errors::{DbError, ExecutionError, RequestAttemptError};
use scylla::policies::load_balancing::{NodeIdentifier, SingleTargetLoadBalancingPolicy};
use scylla::serialize::row::SerializeRow;
use scylla::statement::{Consistency, SerialConsistency, Statement};
use scylla::value::{CqlValue, Row};
use sha2::{Digest, Sha256};
use std::time::Duration;
use tokio::time::Instant;

/// One file of `cql/schema`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Migration {
    pub(super) version: i32,
    pub(super) name: &'static str,
    pub(super) text: &'static str,
}

/// All of them, oldest first.
pub(super) const MIGRATIONS: &[Migration] = &[
    Migration {
        version: 1,
        name: "001_first.cql",
        text: include_str!("../../schema/001_first.cql"),
    },
    Migration {
        version: 2,
        name: "002_members.cql",
        text: include_str!("../../schema/002_members.cql"),
    },
    Migration {
        version: 3,
        name: "003_inbox_order.cql",
        text: include_str!("../../schema/003_inbox_order.cql"),
    },
    Migration {
        version: 4,
        name: "004_copies.cql",
        text: include_str!("../../schema/004_copies.cql"),
    },
];

const KEYSPACE: &str = include_str!("../../schema/keyspace.cql");
const BOOKKEEPING: &str = include_str!("../../schema/bookkeeping.cql");
const RETENTION: &str = include_str!("../../schema/retention.cql");

/// How long the lock is held without a sign of life: a statement takes its time, then all agree on
/// the schema, and before both the answer to the lock's own renewal may take as long as any.
const LOCK_SECONDS: i32 = (2 * STATEMENT.as_secs() + open::AGREEMENT.as_secs()) as i32 + 10;
/// How long one statement may take; three nodes with one processor take two seconds for a table.
const STATEMENT: Duration = Duration::from_secs(30);
/// How long another migrator is waited for, its death included.
const PATIENCE: Duration = Duration::from_secs(180);
/// How long the lock may do nothing but fail: not all nodes know its table at once, and many who
/// want it at once make each other wait.
const HEARSAY: Duration = Duration::from_secs(10);
/// How often it is looked whether it is done.
const LOOK: Duration = Duration::from_millis(200);

const APPLIED: &str = "SELECT version, checksum FROM migrations WHERE part = 0";
const WRITE_DOWN: &str = "INSERT INTO migrations (part, version, name, checksum) \
     VALUES (0, ?, ?, ?) IF NOT EXISTS";
const LOCK: &str =
    "INSERT INTO migration_lock (part, holder) VALUES (0, ?) IF NOT EXISTS USING TTL ?";
const LOCK_RENEW: &str =
    "UPDATE migration_lock USING TTL ? SET holder = ? WHERE part = 0 IF holder = ?";
const LOCK_FREE: &str = "DELETE FROM migration_lock WHERE part = 0 IF holder = ?";

/// Why a schema can't be run on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SchemaError {
    /// Older than this program's.
    #[error("the schema is of version {have}, this ting needs {want}: run `ting migrate`")]
    Old {
        /// What the database has; 0 is nothing.
        have: i32,
        /// What this program needs.
        want: i32,
    },
    /// More than one version newer.
    #[error("the schema is of version {have}, which this ting does not know (it knows {want})")]
    New {
        /// What the database has.
        have: i32,
        /// What this program knows.
        want: i32,
    },
    /// A file that was carried out reads otherwise now.
    #[error("{0} is not the file that made this schema: undo the change and add a new file")]
    Changed(&'static str),
    /// Somebody else migrates and does not come to an end.
    #[error("another ting has been migrating for {} s", PATIENCE.as_secs())]
    Locked,
    /// This migrator was paused for so long that another one has gone on in its place.
    #[error("another ting has taken over the migration")]
    LockLost,
}

/// What a schema is, beside what this program knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schema {
    /// The newest file that was carried out; 0 is none.
    pub have: i32,
    /// The newest file that this program knows.
    pub want: i32,
}

/// Brings the schema to this program's version; makes the keyspace, if there is none.
pub(super) async fn migrate(
    settings: &CqlSettings,
    files: &'static [Migration],
) -> Result<Schema, ConnectError> {
    let session = open::session(settings).await?;
    let migrator = Migrator::new(settings, session);
    migrator.ensure_keyspace().await?;
    migrator.lock().await?;
    let outcome = migrator.run(files).await;
    migrator.free().await;
    outcome
}

/// What the schema is, or why it can't be run on.
pub(super) async fn inspect(
    session: &Session,
    keyspace: &str,
    files: &'static [Migration],
) -> Result<Schema, ConnectError> {
    let want = files.last().map_or(0, |file| file.version);
    let tables = format!(
        "SELECT table_name FROM system_schema.tables \
         WHERE keyspace_name = '{keyspace}' AND table_name = 'migrations'"
    );
    let there: Option<(String,)> = open::ask_once(session, &tables).await?;
    if there.is_none() {
        return Err(SchemaError::Old { have: 0, want }.into());
    }
    session
        .use_keyspace(keyspace, false)
        .await
        .map_err(|error| ConnectError::Unreachable(error.to_string()))?;
    let applied = applied(session).await?;
    let schema = judge(&applied, files)?;
    if let Some(missing) = files.iter().find(|file| !has(&applied, file)) {
        let have = missing.version - 1;
        return Err(SchemaError::Old { have, want }.into());
    }
    Ok(schema)
}

/// A version that was carried out, and the checksum of its file.
type Applied = (i32, Vec<u8>);

async fn applied(session: &Session) -> Result<Vec<Applied>, ConnectError> {
    let mut statement = open::in_time(STATEMENT, session.prepare(APPLIED)).await??;
    statement.set_consistency(Consistency::LocalSerial);
    statement.set_is_idempotent(true);
    let rows = session.execute_unpaged(&statement, ()).await?;
    let unreadable = |error: &dyn std::fmt::Display| ConnectError::Unreachable(error.to_string());
    let rows = rows.into_rows_result().map_err(|e| unreadable(&e))?;
    let rows = rows.rows::<Applied>().map_err(|e| unreadable(&e))?;
    rows.collect::<Result<_, _>>().map_err(|e| unreadable(&e))
}

fn has(applied: &[Applied], file: &Migration) -> bool {
    applied.iter().any(|(version, _)| *version == file.version)
}

fn judge(applied: &[Applied], files: &[Migration]) -> Result<Schema, SchemaError> {
    let have = applied
        .iter()
        .map(|(version, _)| *version)
        .max()
        .unwrap_or(0);
    let want = files.last().map_or(0, |file| file.version);
    if have > want + 1 {
        return Err(SchemaError::New { have, want });
    }
    for file in files {
        let found = applied.iter().find(|(version, _)| *version == file.version);
        if found.is_some_and(|(_, checksum)| *checksum != checksum_of(file)) {
            return Err(SchemaError::Changed(file.name));
        }
    }
    Ok(Schema { have, want })
}

fn checksum_of(file: &Migration) -> Vec<u8> {
    Sha256::digest(file.text).to_vec()
}

struct Migrator<'a> {
    settings: &'a CqlSettings,
    session: Session,
    one_node: ExecutionProfileHandle,
    /// Whose the lock is, while it is ours.
    holder: i64,
}

impl<'a> Migrator<'a> {
    fn new(settings: &'a CqlSettings, session: Session) -> Self {
        // All migrators change the schema through one node, where it is connected: Cassandra's
        // nodes can each make a table of the same name at the same time, one node does not.
        let state = session.get_cluster_state();
        let first = state
            .get_nodes_info()
            .iter()
            .filter(|node| node.is_connected())
            .filter(|node| node.datacenter.as_ref() == Some(&settings.datacenter))
            .min_by_key(|node| node.host_id);
        let balancing = match first {
            Some(node) => {
                let node = NodeIdentifier::HostId(node.host_id);
                SingleTargetLoadBalancingPolicy::new(node, None)
            }
            None => open::balancing(settings),
        };
        let one_node = ExecutionProfile::builder()
            .consistency(Consistency::LocalQuorum)
            .serial_consistency(Some(SerialConsistency::LocalSerial))
            .request_timeout(Some(STATEMENT))
            .load_balancing_policy(balancing)
            .build()
            .into_handle();
        Migrator {
            settings,
            one_node,
            holder: rand::random(),
            session,
        }
    }

    async fn ensure_keyspace(&self) -> Result<(), ConnectError> {
        let keyspace = &self.settings.keyspace;
        let found = format!(
            "SELECT keyspace_name FROM system_schema.keyspaces WHERE keyspace_name = '{keyspace}'"
        );
        let found: Option<(String,)> = open::ask_once(&self.session, &found).await?;
        // Whoever runs Ting may not be allowed to make keyspaces, so one that is there is taken.
        if found.is_none() {
            self.statements(&keyspace_of(self.settings)).await?;
        }
        self.enter_keyspace().await?;
        self.statements(BOOKKEEPING).await
    }

    async fn enter_keyspace(&self) -> Result<(), ConnectError> {
        // One that another migrator makes right now is listed a moment before it can be used.
        let until = Instant::now() + STATEMENT;
        loop {
            let entered = self.session.use_keyspace(&self.settings.keyspace, false);
            match entered.await {
                Ok(()) => return Ok(()),
                Err(_) if Instant::now() < until => tokio::time::sleep(LOOK).await,
                Err(error) => return Err(ConnectError::Unreachable(error.to_string())),
            }
        }
    }

    async fn run(&self, files: &'static [Migration]) -> Result<Schema, ConnectError> {
        let applied = applied(&self.session).await?;
        let mut schema = judge(&applied, files)?;
        for file in files.iter().filter(|file| !has(&applied, file)) {
            self.statements_of(file.text).await?;
            let values = (file.version, file.name, checksum_of(file));
            // Refused: it is written down already, by whoever held the lock before us.
            self.compare(WRITE_DOWN, values).await?;
            schema.have = schema.have.max(file.version);
            tracing::info!(schema.version = file.version, "schema migrated");
        }
        if let Some(retention) = self.settings.retention {
            let hours = (retention.as_secs() / 3_600 / 30).max(1);
            let cql = RETENTION.replace("{window_hours}", &hours.to_string());
            self.statements_of(&cql).await?;
        }
        Ok(schema)
    }

    /// Under the lock, which is renewed before each.
    async fn statements_of(&self, file: &str) -> Result<(), ConnectError> {
        for statement in split(file) {
            let values = (LOCK_SECONDS, self.holder, self.holder);
            if !self.compare(LOCK_RENEW, values).await? {
                return Err(SchemaError::LockLost.into());
            }
            match self.execute(&statement).await {
                Err(error) if is_there_already(&error) => {}
                other => other?,
            }
        }
        Ok(())
    }

    /// Before there is a lock.
    async fn statements(&self, cql: &str) -> Result<(), ConnectError> {
        for statement in split(cql) {
            self.execute(&statement).await?;
        }
        Ok(())
    }

    /// Changes the schema; answers when the database's nodes agree on it.
    async fn execute(&self, cql: &str) -> Result<(), ExecutionError> {
        let mut statement = Statement::new(cql);
        statement.set_execution_profile_handle(Some(self.one_node.clone()));
        self.session.query_unpaged(statement, ()).await?;
        Ok(())
    }

    async fn lock(&self) -> Result<(), ConnectError> {
        let mut waiting = Waiting::since(Instant::now());
        loop {
            let attempt = self.try_lock().await;
            if let Some(end) = waiting.after(attempt, Instant::now()) {
                return end;
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn try_lock(&self) -> Result<bool, ConnectError> {
        // Or it is held by an attempt of one's own that was not answered.
        let renew = (LOCK_SECONDS, self.holder, self.holder);
        Ok(self.compare(LOCK, (self.holder, LOCK_SECONDS)).await?
            || self.compare(LOCK_RENEW, renew).await?)
    }

    async fn free(&self) {
        if let Err(error) = self.compare(LOCK_FREE, (self.holder,)).await {
            tracing::info!(error = %error, "the migration's lock ends by itself");
        }
    }

    async fn compare(&self, cql: &str, values: impl SerializeRow) -> Result<bool, ConnectError> {
        let mut statement = open::in_time(STATEMENT, self.session.prepare(cql)).await??;
        statement.set_execution_profile_handle(Some(self.one_node.clone()));
        let answer = self.session.execute_unpaged(&statement, values).await?;
        let unreadable = |why: &dyn std::fmt::Display| ConnectError::Unreachable(why.to_string());
        let rows = answer.into_rows_result().map_err(|e| unreadable(&e))?;
        let row: Row = rows.first_row().map_err(|e| unreadable(&e))?;
        match row.columns.first() {
            Some(Some(CqlValue::Boolean(applied))) => Ok(*applied),
            _ => Err(unreadable(&"a compare-and-set answered without [applied]")),
        }
    }
}

/// What makes the keyspace of these settings.
fn keyspace_of(settings: &CqlSettings) -> String {
    let tablets = settings.tablets;
    let tablets = tablets.map(|on| format!(" AND tablets = {{'enabled': {on}}}"));
    KEYSPACE
        .replace("{keyspace}", &settings.keyspace)
        .replace("{datacenter}", &settings.datacenter)
        .replace("{replication}", &settings.replication.to_string())
        .replace("{tablets}", &tablets.unwrap_or_default())
}

/// How long the lock has been waited for.
struct Waiting {
    begun: Instant,
    /// Since when no attempt was answered.
    failing: Option<Instant>,
}

impl Waiting {
    fn since(begun: Instant) -> Self {
        let failing = None;
        Waiting { begun, failing }
    }

    /// What an attempt ends it with; none: there is to be another one.
    fn after(
        &mut self,
        attempt: Result<bool, ConnectError>,
        now: Instant,
    ) -> Option<Result<(), ConnectError>> {
        match attempt {
            Ok(true) => Some(Ok(())),
            Ok(false) if now - self.begun >= PATIENCE => Some(Err(SchemaError::Locked.into())),
            Ok(false) => {
                self.failing = None;
                None
            }
            Err(error) => {
                let failing = *self.failing.get_or_insert(now);
                (now - failing >= HEARSAY).then_some(Err(error))
            }
        }
    }
}

/// Whether a column is there that was to be added: tables know `IF NOT EXISTS`, columns don't
/// everywhere. Cassandra's words and ScyllaDB's.
fn is_there_already(error: &ExecutionError) -> bool {
    let ExecutionError::LastAttemptError(RequestAttemptError::DbError(DbError::Invalid, why)) =
        error
    else {
        return false;
    };
    why.contains("already exists") || why.contains("conflicts with an existing column")
}

/// The statements of a file, without its comments.
fn split(text: &str) -> Vec<String> {
    let code: Vec<_> = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("--"))
        .collect();
    code.join("\n")
        .split(';')
        .map(|statement| statement.trim().to_owned())
        .filter(|statement| !statement.is_empty())
        .collect()
}

#[cfg(test)]
#[path = "migrations/tests.rs"]
mod tests;
