//! The way to the database: five kinds of statements, and what their failures mean.
//!
//! | kind | consistency | repeated by the driver |
//! |---|---|---|
//! | read | LOCAL_QUORUM | yes |
//! | patient read | LOCAL_QUORUM | yes, but never asked of two at once |
//! | serial read | LOCAL_SERIAL: sees every lightweight transaction that came through | yes |
//! | write | LOCAL_QUORUM, with the timestamp bound | yes: once more is the same |
//! | compare-and-set | LOCAL_SERIAL, then LOCAL_QUORUM | never: once more is another one |
//!
//! A failure of a read changed nothing. A failure of a write is [`StoreError::Unavailable`] only
//! if [`Attempts`] has seen that nothing left this node or all of it was refused at the door;
//! whatever else happened, the outcome is [`StoreError::Unknown`]. A compare-and-set that met too
//! few replicas is such a thing: it may have met them at its last step, when all was decided.

use super::clock::Clock;
use crate::StoreError;
use scylla::client::execution_profile::{ExecutionProfile, ExecutionProfileHandle};
use scylla::client::session::Session;
use scylla::deserialize::row::DeserializeRow;
use scylla::errors::{DbError, ExecutionError, PrepareError, RequestAttemptError, RequestError};
use scylla::frame::response::result::TableSpec;
use scylla::observability::history::{AttemptId, HistoryListener, RequestId, SpeculativeId};
use scylla::policies::load_balancing::LoadBalancingPolicy;
use scylla::policies::retry::{FallthroughRetryPolicy, RetryDecision};
use scylla::policies::speculative_execution::SimpleSpeculativeExecutionPolicy;
use scylla::response::query_result::{QueryResult, QueryRowsResult};
use scylla::serialize::batch::BatchValues;
use scylla::serialize::row::SerializeRow;
use scylla::statement::batch::Batch;
use scylla::statement::prepared::PreparedStatement;
use scylla::statement::{Consistency, SerialConsistency};
use scylla::value::{CqlValue, Row};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::sync::{Mutex, MutexGuard};

/// How long one statement may take in all; the request it serves has 1.95 s.
const TIMEOUT: Duration = Duration::from_millis(1_200);

/// When a second node is asked the same: a healthy answer takes a tenth of it, and two more fit
/// into [`TIMEOUT`].
const SECOND_OPINION: Duration = Duration::from_millis(300);

/// How long a page may take of a read that nobody waits for.
const PATIENCE: Duration = Duration::from_secs(30);

/// How many things one node changes at a time by compare-and-set: enough that two which have
/// nothing to do with each other seldom wait for one another.
const TURNS: usize = 1_024;

/// A session, and the profiles its statements run with.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) session: Session,
    pub(super) clock: Clock,
    turns: Box<[Mutex<()>]>,
    plain: ExecutionProfileHandle,
    patient: ExecutionProfileHandle,
    compare: ExecutionProfileHandle,
}

/// What became of a compare-and-set. Which of several refused it, and whether it was one's own
/// that came through unseen, tells a serial read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Compared {
    Applied,
    Refused,
    Unknown(String),
}

impl Compared {
    /// After the serial read has shown that it is not there: refused for sure, or nobody knows.
    pub(super) fn or_unknown(self) -> Result<(), StoreError> {
        match self {
            // It may still be on its way.
            Compared::Unknown(why) => Err(StoreError::Unknown(why)),
            Compared::Applied | Compared::Refused => Ok(()),
        }
    }

    /// When the serial read failed as well: what was unknown stays so.
    pub(super) fn unread(self, error: StoreError) -> StoreError {
        match self {
            Compared::Unknown(why) => StoreError::Unknown(why),
            Compared::Applied | Compared::Refused => error,
        }
    }
}

impl Link {
    pub(super) fn new(
        session: Session,
        clock: Clock,
        balancing: Arc<dyn LoadBalancingPolicy>,
    ) -> Self {
        let profile = ExecutionProfile::builder()
            .consistency(Consistency::LocalQuorum)
            .serial_consistency(Some(SerialConsistency::LocalSerial))
            .request_timeout(Some(TIMEOUT))
            .load_balancing_policy(balancing);
        let patient = profile.clone().request_timeout(Some(PATIENCE));
        let plain = profile.clone().speculative_execution_policy(Some(Arc::new(
            SimpleSpeculativeExecutionPolicy {
                max_retry_count: 2,
                retry_interval: SECOND_OPINION,
            },
        )));
        let compare = profile.retry_policy(Arc::new(FallthroughRetryPolicy::new()));
        Link {
            session,
            clock,
            turns: std::iter::repeat_with(Mutex::default).take(TURNS).collect(),
            plain: plain.build().into_handle(),
            patient: patient.build().into_handle(),
            compare: compare.build().into_handle(),
        }
    }

    // --- preparing

    pub(super) async fn prepare_read(&self, cql: &str) -> Result<PreparedStatement, PrepareError> {
        let mut statement = self.session.prepare(cql).await?;
        statement.set_execution_profile_handle(Some(self.plain.clone()));
        statement.set_is_idempotent(true);
        Ok(statement)
    }

    /// A read of very many rows, that nobody waits for: it has its time, and no second node is
    /// made to read as much meanwhile.
    pub(super) async fn prepare_patient_read(
        &self,
        cql: &str,
    ) -> Result<PreparedStatement, PrepareError> {
        let mut statement = self.prepare_read(cql).await?;
        statement.set_execution_profile_handle(Some(self.patient.clone()));
        Ok(statement)
    }

    pub(super) async fn prepare_serial_read(
        &self,
        cql: &str,
    ) -> Result<PreparedStatement, PrepareError> {
        let mut statement = self.prepare_read(cql).await?;
        statement.set_consistency(Consistency::LocalSerial);
        Ok(statement)
    }

    pub(super) async fn prepare_write(&self, cql: &str) -> Result<PreparedStatement, PrepareError> {
        debug_assert!(cql.contains("TIMESTAMP"), "no timestamp bound: {cql}");
        let mut statement = self.session.prepare(cql).await?;
        statement.set_execution_profile_handle(Some(self.plain.clone()));
        statement.set_is_idempotent(true);
        Ok(statement)
    }

    pub(super) async fn prepare_compare(
        &self,
        cql: &str,
    ) -> Result<PreparedStatement, PrepareError> {
        debug_assert!(cql.contains(" IF "), "compares nothing: {cql}");
        let mut statement = self.session.prepare(cql).await?;
        statement.set_execution_profile_handle(Some(self.compare.clone()));
        statement.set_is_idempotent(false);
        Ok(statement)
    }

    /// A part of a batch; another part compares.
    pub(super) async fn prepare_compared(
        &self,
        cql: &str,
    ) -> Result<PreparedStatement, PrepareError> {
        let mut statement = self.session.prepare(cql).await?;
        statement.set_is_idempotent(false);
        Ok(statement)
    }

    // --- executing

    /// All rows of a read.
    pub(super) async fn rows<R>(
        &self,
        statement: &PreparedStatement,
        values: impl SerializeRow,
    ) -> Result<Vec<R>, StoreError>
    where
        R: for<'row> DeserializeRow<'row, 'row>,
    {
        let answer = self
            .session
            .execute_unpaged(statement, values)
            .await
            .map_err(|error| StoreError::Unavailable(error.to_string()))?;
        parse(&into_rows(answer)?)
    }

    /// The only row of a read, if there is one.
    pub(super) async fn row<R>(
        &self,
        statement: &PreparedStatement,
        values: impl SerializeRow,
    ) -> Result<Option<R>, StoreError>
    where
        R: for<'row> DeserializeRow<'row, 'row>,
    {
        Ok(self.rows(statement, values).await?.pop())
    }

    /// Writes; when it answers, a quorum has it.
    pub(super) async fn write(
        &self,
        statement: &PreparedStatement,
        values: impl SerializeRow,
    ) -> Result<(), StoreError> {
        let attempts = Arc::new(Attempts::of(Kind::Write));
        let mut statement = statement.clone();
        statement.set_history_listener(attempts.clone());
        match self.session.execute_unpaged(&statement, values).await {
            Ok(_) => Ok(()),
            Err(error) if attempts.changed_nothing() => {
                Err(StoreError::Unavailable(error.to_string()))
            }
            Err(error) => Err(StoreError::Unknown(error.to_string())),
        }
    }

    /// Compares and sets. [`StoreError::Unavailable`] where nothing can have been set.
    pub(super) async fn compare(
        &self,
        statement: &PreparedStatement,
        values: impl SerializeRow,
    ) -> Result<Compared, StoreError> {
        let partition = statement.compute_partition_key(&values).map_err(damaged)?;
        let table = statement.get_table_spec().map(TableSpec::table_name);
        let _alone = self.alone(&turn_with(table, &partition)).await;
        let attempts = Arc::new(Attempts::of(Kind::Compare));
        let mut statement = statement.clone();
        statement.set_history_listener(attempts.clone());
        let answer = self.session.execute_unpaged(&statement, values).await;
        compared(answer, &attempts)
    }

    /// Compares and sets several rows of one partition, all or nothing.
    pub(super) async fn compare_batch(
        &self,
        mut batch: Batch,
        values: impl BatchValues,
    ) -> Result<Compared, StoreError> {
        let attempts = Arc::new(Attempts::of(Kind::Compare));
        batch.set_history_listener(attempts.clone());
        batch.set_execution_profile_handle(Some(self.compare.clone()));
        batch.set_is_idempotent(false);
        let answer = self.session.batch(&batch, values).await;
        compared(answer, &attempts)
    }
}

/// What became of it.
fn compared(
    answer: Result<QueryResult, ExecutionError>,
    attempts: &Attempts,
) -> Result<Compared, StoreError> {
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) if attempts.changed_nothing() => {
            return Err(StoreError::Unavailable(error.to_string()));
        }
        Err(error) => return Ok(Compared::Unknown(error.to_string())),
    };
    // The databases differ in what they send beside it, so only `[applied]` is read.
    let row: Option<Row> = parse(&into_rows(answer)?)?.into_iter().next();
    match row.and_then(|row| row.columns.into_iter().next().flatten()) {
        Some(CqlValue::Boolean(true)) => Ok(Compared::Applied),
        Some(CqlValue::Boolean(false)) => Ok(Compared::Refused),
        _ => Err(damaged("a compare-and-set answered without [applied]")),
    }
}

impl Link {
    /// Waits for one's turn with that thing, on this node.
    ///
    /// Nothing rests on it but speed: transactions that meet in the database begin again and
    /// again, those that wait here go through one after the other.
    pub(super) async fn alone(&self, thing: &impl Hash) -> MutexGuard<'_, ()> {
        self.turns[turn_of(thing)].lock().await
    }
}

/// The thing one waits for to change a row: tables whose keys are alike have nothing to do with
/// each other.
fn turn_with<'a>(table: Option<&'a str>, partition: &'a [u8]) -> (Option<&'a str>, &'a [u8]) {
    (table, partition)
}

/// Which of the turns is that thing's.
fn turn_of(thing: &impl Hash) -> usize {
    let mut hasher = DefaultHasher::new();
    thing.hash(&mut hasher);
    // Below TURNS, which is a usize.
    (hasher.finish() % TURNS as u64) as usize
}

/// What is stored does not read as what it should be.
pub(super) fn damaged(what: impl std::fmt::Display) -> StoreError {
    StoreError::Damaged(what.to_string())
}

fn into_rows(answer: QueryResult) -> Result<QueryRowsResult, StoreError> {
    answer.into_rows_result().map_err(damaged)
}

fn parse<R>(rows: &QueryRowsResult) -> Result<Vec<R>, StoreError>
where
    R: for<'row> DeserializeRow<'row, 'row>,
{
    rows.rows::<R>()
        .map_err(damaged)?
        .collect::<Result<_, _>>()
        .map_err(damaged)
}

/// Watches what the driver does for one write: it repeats and doubles attempts, and tells of the
/// last one only.
#[derive(Debug)]
struct Attempts {
    kind: Kind,
    sent: AtomicU32,
    refused: AtomicU32,
}

/// What is attempted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Write,
    Compare,
}

impl Attempts {
    fn of(kind: Kind) -> Self {
        Attempts {
            kind,
            sent: AtomicU32::new(0),
            refused: AtomicU32::new(0),
        }
    }

    fn changed_nothing(&self) -> bool {
        // Sent is read last: an attempt that begins between the two reads counts as sent.
        let refused = self.refused.load(Ordering::SeqCst);
        self.sent.load(Ordering::SeqCst) == refused
    }
}

impl HistoryListener for Attempts {
    fn log_request_start(&self) -> RequestId {
        RequestId(0)
    }

    fn log_request_success(&self, _: RequestId) {}

    fn log_request_error(&self, _: RequestId, _: &RequestError) {}

    fn log_new_speculative_fiber(&self, _: RequestId) -> SpeculativeId {
        SpeculativeId(0)
    }

    fn log_attempt_start(
        &self,
        _: RequestId,
        _: Option<SpeculativeId>,
        _: SocketAddr,
    ) -> AttemptId {
        self.sent.fetch_add(1, Ordering::SeqCst);
        AttemptId(0)
    }

    fn log_attempt_success(&self, _: AttemptId) {}

    fn log_attempt_error(&self, _: AttemptId, error: &RequestAttemptError, _: &RetryDecision) {
        if refused_at_the_door(self.kind, error) {
            self.refused.fetch_add(1, Ordering::SeqCst);
        }
    }
}

/// Whether no replica can have heard of it.
fn refused_at_the_door(kind: Kind, error: &RequestAttemptError) -> bool {
    match error {
        // Never left this node.
        RequestAttemptError::SerializationError(_)
        | RequestAttemptError::CqlRequestSerialization(_)
        | RequestAttemptError::UnableToAllocStreamId => true,
        // Of a write the coordinator says so before it asks anybody. A compare-and-set asks in
        // rounds, and this may be the last one, in which what was decided is written.
        RequestAttemptError::DbError(DbError::Unavailable { .. }, _) => kind == Kind::Write,
        // The coordinator says so before it asks anybody.
        RequestAttemptError::DbError(error, _) => matches!(
            error,
            DbError::IsBootstrapping
                | DbError::SyntaxError
                | DbError::Invalid
                | DbError::Unauthorized
                | DbError::AuthenticationError
                | DbError::ConfigError
                | DbError::ProtocolError
        ),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_and_members_do_not_wait_for_each_other() {
        // Each has one partition, and they are of the same name.
        let [slots, members] =
            ["slots", "members"].map(|table| turn_of(&turn_with(Some(table), &[0; 4])));
        assert_ne!(slots, members);
    }

    #[test]
    fn too_few_replicas_have_refused_a_write_but_not_a_compare_and_set() {
        let unavailable = DbError::Unavailable {
            consistency: Consistency::LocalQuorum,
            required: 2,
            alive: 1,
        };
        for (error, of_a_compare) in [(unavailable, false), (DbError::Unauthorized, true)] {
            let error = RequestAttemptError::DbError(error, String::new());
            assert!(refused_at_the_door(Kind::Write, &error));
            assert_eq!(refused_at_the_door(Kind::Compare, &error), of_a_compare);
        }
    }
}
