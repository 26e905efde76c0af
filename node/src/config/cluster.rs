//! Section `cluster`: how other nodes reach this one.

use super::SettingsError;
use serde::Deserialize;
use std::net::SocketAddr;

/// How other nodes reach this one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterSettings {
    /// Where it listens for them.
    pub listen: SocketAddr,
    /// What they dial, `host:port`; none: where it listens.
    pub advertise: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Written {
    listen: Option<SocketAddr>,
    advertise: Option<String>,
}

impl Written {
    pub(super) fn look_at(self) -> Result<Option<ClusterSettings>, SettingsError> {
        let Some(listen) = self.listen else {
            return match self.advertise {
                Some(_) => Err(SettingsError::new(
                    "cluster.advertise",
                    "is for a node that others reach, and cluster.listen is not set",
                )),
                None => Ok(None),
            };
        };
        match &self.advertise {
            None if listen.ip().is_unspecified() => {
                return Err(SettingsError::new(
                    "cluster.advertise",
                    "is missing: cluster.listen names no address that others could dial",
                ));
            }
            Some(address) if !is_address(address) => {
                return Err(SettingsError::new(
                    "cluster.advertise",
                    "must be of the form host:port",
                ));
            }
            _ => {}
        }
        Ok(Some(ClusterSettings {
            listen,
            advertise: self.advertise,
        }))
    }
}

/// `host:port`, `[::1]:port`.
fn is_address(written: &str) -> bool {
    let Some((host, port)) = written.rsplit_once(':') else {
        return false;
    };
    !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port != 0)
}
