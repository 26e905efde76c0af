//! From settings to a session with the database.
//!
//! Requests go to the replicas of their partition, in the named datacenter alone: a quorum is
//! counted there. A node that hangs is noticed by keep-alives within some five seconds and left
//! out; what was asked of it meanwhile is asked of another.

use super::settings::{ConnectError, CqlSettings};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use scylla::client::session::Session;
use scylla::client::session_builder::SessionBuilder;
use scylla::errors::{
    ConnectionError, ConnectionPoolError, ExecutionError, MetadataError, NewSessionError,
    PrepareError,
};
use scylla::policies::load_balancing::{DefaultPolicy, LoadBalancingPolicy};
use scylla::statement::Consistency;
use std::sync::Arc;
use std::time::Duration;

/// How long one node may take to open a connection.
const CONNECT: Duration = Duration::from_secs(2);
/// How often a connection is tried while nothing comes back on it, and how long that may take.
const KEEP_ALIVE: Duration = Duration::from_millis(1_000);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(4);
/// The same for a connection that is still being secured, on which only the system asks.
const TCP_KEEP_ALIVE: Duration = Duration::from_secs(10);
/// How long it may take to come to a session, and to have all nodes know all statements: enough for
/// dozens of nodes of which each is tried for [`CONNECT`].
pub(super) const OPENING: Duration = Duration::from_secs(60);
/// How long the database's nodes may take to agree on a changed schema.
pub(super) const AGREEMENT: Duration = Duration::from_secs(30);

/// Opens a session and sees that the datacenter is one of the database's.
pub(super) async fn session(settings: &CqlSettings) -> Result<Session, ConnectError> {
    settings.validate()?;
    let mut builder = SessionBuilder::new()
        .known_nodes(&settings.nodes)
        .prefer_datacenter(settings.datacenter.clone())
        .connection_timeout(CONNECT)
        .tcp_keepalive_interval(TCP_KEEP_ALIVE)
        .keepalive_interval(KEEP_ALIVE)
        .keepalive_timeout(KEEP_ALIVE_TIMEOUT)
        .schema_agreement_timeout(AGREEMENT)
        .tls_context(tls(settings)?);
    if let (Some(user), Some(password)) = (&settings.user, &settings.password) {
        builder = builder.user(user, password);
    }
    let built = in_time(OPENING, builder.build()).await?;
    let session = built.map_err(|error| match error {
        NewSessionError::IllegalConfig(why) => ConnectError::Setting {
            key: "store.nodes",
            why: why.to_string(),
        },
        other => ConnectError::Unreachable(match &settings.tls_ca {
            // Its certificate may be as wrong as the setting, and then it is another one later.
            Some(path) if is_distrust(&other) => {
                format!("{other}, by store.tls_ca ({})", path.display())
            }
            _ => other.to_string(),
        }),
    })?;
    let state = session.get_cluster_state();
    let mut known: Vec<_> = state
        .get_nodes_info()
        .iter()
        .filter_map(|node| node.datacenter.as_deref())
        .collect();
    known.sort_unstable();
    known.dedup();
    if known.is_empty() {
        let why = "no node has told which others there are";
        return Err(ConnectError::Unreachable(why.to_owned()));
    }
    if !known.contains(&settings.datacenter.as_str()) {
        return Err(ConnectError::Setting {
            key: "store.datacenter",
            why: format!(
                "the database has no {:?}, but {}",
                settings.datacenter,
                known.join(", ")
            ),
        });
    }
    Ok(session)
}

/// What takes no longer than that: the driver waits for a connection that is being secured, and
/// for every node to know a statement, without an end.
pub(super) async fn in_time<T>(
    limit: Duration,
    work: impl Future<Output = T>,
) -> Result<T, ConnectError> {
    let ended = tokio::time::timeout(limit, work).await;
    ended.map_err(|_| {
        let why = format!("no answer within {} s", limit.as_secs());
        ConnectError::Unreachable(why)
    })
}

/// Which nodes are asked: the partition's replicas first, of those the ones in the named rack, and
/// none of another datacenter.
pub(super) fn balancing(settings: &CqlSettings) -> Arc<dyn LoadBalancingPolicy> {
    let datacenter = settings.datacenter.clone();
    let policy = DefaultPolicy::builder();
    let policy = match &settings.rack {
        Some(rack) => policy.prefer_datacenter_and_rack(datacenter, rack.clone()),
        None => policy.prefer_datacenter(datacenter),
    };
    policy.token_aware(true).permit_dc_failover(false).build()
}

/// The database's time, in milliseconds since 1970, as the node that is asked has it.
pub(super) const NOW: &str = "SELECT toUnixTimestamp(now()) FROM system.local";

/// Asks something once, without a profile of its own.
pub(super) async fn ask_once<R>(session: &Session, cql: &str) -> Result<Option<R>, ConnectError>
where
    R: for<'row> scylla::deserialize::row::DeserializeRow<'row, 'row>,
{
    let mut statement = in_time(OPENING, session.prepare(cql)).await??;
    statement.set_consistency(Consistency::LocalOne);
    statement.set_is_idempotent(true);
    statement.set_request_timeout(Some(Duration::from_secs(5)));
    let answer = session.execute_unpaged(&statement, ()).await?;
    let unreadable = |error: &dyn std::fmt::Display| {
        ConnectError::Unreachable(format!("{cql} answers what can't be read: {error}"))
    };
    let rows = answer.into_rows_result().map_err(|e| unreadable(&e))?;
    rows.maybe_first_row::<R>().map_err(|e| unreadable(&e))
}

fn tls(settings: &CqlSettings) -> Result<Option<Arc<rustls::ClientConfig>>, ConnectError> {
    let Some(path) = &settings.tls_ca else {
        return Ok(None);
    };
    let refuse = |why: &dyn std::fmt::Display| ConnectError::Setting {
        key: "store.tls_ca",
        why: format!("{}: {why}", path.display()),
    };
    let mut roots = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(|e| refuse(&e))? {
        let certificate = certificate.map_err(|e| refuse(&e))?;
        roots.add(certificate).map_err(|e| refuse(&e))?;
    }
    if roots.is_empty() {
        return Err(refuse(&"holds no certificate"));
    }
    // Named, because two providers are linked in and neither is the process's own.
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| refuse(&e))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Some(Arc::new(config)))
}

/// Whether somebody answers, and the certificate is not one that is believed.
fn is_distrust(error: &NewSessionError) -> bool {
    let NewSessionError::MetadataError(MetadataError::ConnectionPoolError(
        ConnectionPoolError::Broken {
            last_connection_error: ConnectionError::IoError(error),
        },
    )) = error
    else {
        return false;
    };
    let error = error.get_ref().and_then(|error| error.downcast_ref());
    matches!(error, Some(rustls::Error::InvalidCertificate(_)))
}

impl From<PrepareError> for ConnectError {
    fn from(error: PrepareError) -> Self {
        ConnectError::Unreachable(error.to_string())
    }
}

impl From<ExecutionError> for ConnectError {
    fn from(error: ExecutionError) -> Self {
        ConnectError::Unreachable(error.to_string())
    }
}
