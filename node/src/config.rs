//! Settings: a TOML file, the environment over it, and every reason not to start with them.
//!
//! All of it is read and looked at before anything else happens: an unknown key, a contradiction
//! or a place that can't be written is said in one sentence that names the key.

mod cluster;
mod limits;
mod secret;
mod sources;
mod store;

#[cfg(test)]
mod tests;

pub use cluster::ClusterSettings;
pub use limits::{HttpLimits, Limits};
pub use secret::Secret;
pub use store::StoreSettings;

use crate::client_address::Proxies;
use crate::origin::Origins;
use serde::Deserialize;
use std::ffi::OsString;
use std::io::IsTerminal;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use tracing_subscriber::EnvFilter;
use url::Url;

/// Everything an operator has chosen, and found good.
#[derive(Debug)]
pub struct Settings {
    /// The public port.
    pub http: Http,
    /// Where `/livez`, `/metrics` and their like are.
    pub admin: SocketAddr,
    /// What privileged callers show; without it they are all refused.
    pub secret: Option<Secret>,
    /// Where things are kept.
    pub store: StoreSettings,
    /// How other nodes reach this one; none: it is alone.
    pub cluster: Option<ClusterSettings>,
    /// How much of everything.
    pub limits: Limits,
    /// How the log looks.
    pub log: Log,
    /// The collector of traces.
    pub otel: Option<Url>,
}

/// Section `http`.
#[derive(Debug)]
pub struct Http {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Which pages may use it.
    pub origins: Origins,
    /// Which proxies are believed.
    pub proxies: Proxies,
    /// Certificate chain and key, as files.
    pub tls: Option<(PathBuf, PathBuf)>,
}

/// What is told unless an operator chooses: drivers tell of every connection they make, and of each
/// that fails, every few seconds of an outage. That a database is away is told by us, once.
const FILTER: &str = "info,ractor_cluster=warn,scylla=off";

/// Section `log`.
#[derive(Debug, Clone)]
pub struct Log {
    /// How a line looks.
    pub format: LogFormat,
    /// Which lines there are.
    pub filter: String,
}

/// How a line of the log looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One object a line, for machines.
    Json,
}

/// Why the settings are no good; names the key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {reason}")]
pub struct SettingsError {
    key: String,
    reason: String,
}

impl SettingsError {
    /// About one key.
    pub fn new(key: impl Into<String>, reason: impl Into<String>) -> Self {
        SettingsError {
            key: key.into(),
            reason: reason.into(),
        }
    }
}

/// The settings as they are written, before anything is looked at together.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Written {
    http: WrittenHttp,
    admin: WrittenAdmin,
    api: WrittenApi,
    store: store::Written,
    cluster: cluster::Written,
    limits: toml::Table,
    log: WrittenLog,
    otel: WrittenOtel,
}

#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct WrittenHttp {
    listen: SocketAddr,
    origins: Vec<String>,
    trusted_proxies: Vec<String>,
    tls_certificate: Option<PathBuf>,
    tls_key: Option<PathBuf>,
}

impl Default for WrittenHttp {
    fn default() -> Self {
        WrittenHttp {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            origins: Vec::new(),
            trusted_proxies: Vec::new(),
            tls_certificate: None,
            tls_key: None,
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct WrittenAdmin {
    listen: SocketAddr,
}

impl Default for WrittenAdmin {
    fn default() -> Self {
        WrittenAdmin {
            listen: SocketAddr::from(([127, 0, 0, 1], 8081)),
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct WrittenApi {
    secret: Option<Secret>,
    secret_file: Option<PathBuf>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct WrittenLog {
    format: Option<LogFormat>,
    filter: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct WrittenOtel {
    endpoint: Option<String>,
}

impl Settings {
    /// Reads the file, if one is named, and the environment, which wins.
    pub fn load(
        file: Option<&Path>,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self, SettingsError> {
        let table = sources::gather(file, environment)?;
        let written: Written =
            serde_path_to_error::deserialize(table).map_err(|error| sources::told(&error))?;
        Settings::look_at(written)
    }

    fn look_at(written: Written) -> Result<Self, SettingsError> {
        let Written {
            http,
            admin,
            api,
            store,
            cluster,
            limits,
            log,
            otel,
        } = written;
        if http.listen == admin.listen && http.listen.port() != 0 {
            return Err(SettingsError::new(
                "admin.listen",
                "is the same address as http.listen, and must be another",
            ));
        }
        let store = store.look_at()?;
        let cluster = cluster.look_at()?;
        if cluster.is_some() && matches!(store, StoreSettings::Embedded { .. }) {
            return Err(SettingsError::new(
                "cluster.listen",
                "needs a store that nodes share, and the embedded one can't be: set store.kind = \"cql\"",
            ));
        }
        Ok(Settings {
            http: Http::look_at(http)?,
            admin: admin.listen,
            secret: secret::one_of("api.secret", api.secret, api.secret_file)?,
            store,
            cluster,
            limits: Limits::look_at(limits)?,
            log: Log::look_at(log)?,
            otel: otel.endpoint.map(collector).transpose()?,
        })
    }
}

impl Http {
    fn look_at(written: WrittenHttp) -> Result<Self, SettingsError> {
        let tls = match (written.tls_certificate, written.tls_key) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            (Some(_), None) => {
                return Err(SettingsError::new(
                    "http.tls_key",
                    "is missing, and http.tls_certificate needs it",
                ));
            }
            (None, Some(_)) => {
                return Err(SettingsError::new(
                    "http.tls_certificate",
                    "is missing, and http.tls_key needs it",
                ));
            }
        };
        Ok(Http {
            listen: written.listen,
            origins: Origins::parse(&written.origins)
                .map_err(|error| SettingsError::new("http.origins", error.to_string()))?,
            proxies: Proxies::parse(&written.trusted_proxies)
                .map_err(|error| SettingsError::new("http.trusted_proxies", error.to_string()))?,
            tls,
        })
    }
}

impl Log {
    fn look_at(written: WrittenLog) -> Result<Self, SettingsError> {
        let filter = written.filter.unwrap_or_else(|| FILTER.to_owned());
        EnvFilter::builder()
            .parse(&filter)
            .map_err(|error| SettingsError::new("log.filter", error.to_string()))?;
        let format = written
            .format
            .unwrap_or(if std::io::stdout().is_terminal() {
                LogFormat::Text
            } else {
                LogFormat::Json
            });
        Ok(Log { format, filter })
    }
}

/// A collector beside the node takes traces on over TLS where they leave the machine; speaking
/// it ourselves would double the binary's TLS.
fn collector(endpoint: String) -> Result<Url, SettingsError> {
    let url = Url::parse(&endpoint).ok();
    url.filter(|url| url.scheme() == "http" && url.has_host())
        .ok_or_else(|| SettingsError::new("otel.endpoint", "must be of the form http://host:4318"))
}
