//! Which web pages may use this node: browsers say where a page came from, and a cookie alone
//! would let any page act for the person who visits it.
//!
//! The comparison is exact: scheme, host and port. CORS does not cover WebSockets, so the socket
//! edge asks here as well as the HTTP one.

use http::HeaderValue;
use url::Url;

/// The origins that may use this node; with none named, its own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origins(Vec<String>);

/// Why a list of origins is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an origin like https://ting.example or http://localhost:8080")]
pub struct OriginError(String);

impl Origins {
    /// Reads `http.origins`.
    pub fn parse<S: AsRef<str>>(list: &[S]) -> Result<Self, OriginError> {
        list.iter()
            .map(|written| {
                let written = written.as_ref();
                normal(written).ok_or_else(|| OriginError(written.to_owned()))
            })
            .collect::<Result<_, _>>()
            .map(Origins)
    }

    /// Whether a request with this `Origin` may write here.
    ///
    /// One without `Origin` comes from no browser and passes; `null` is nobody and does not.
    /// `host` is the request's own, `tls` whether the client reached it encrypted.
    pub fn allows(&self, origin: Option<&HeaderValue>, host: &str, tls: bool) -> bool {
        let Some(origin) = origin else {
            return true;
        };
        let Some(origin) = origin.to_str().ok().and_then(normal) else {
            return false;
        };
        if self.0.is_empty() {
            let scheme = if tls { "https" } else { "http" };
            normal(&format!("{scheme}://{host}")).is_some_and(|own| own == origin)
        } else {
            self.0.contains(&origin)
        }
    }
}

/// An origin in its one spelling: lower case, default port left out.
fn normal(written: &str) -> Option<String> {
    let url = Url::parse(written).ok()?;
    let bare = matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && url.username().is_empty()
        && url.password().is_none()
        && matches!(url.path(), "" | "/")
        && url.query().is_none()
        && url.fragment().is_none();
    bare.then(|| url.origin().ascii_serialization())
}

#[cfg(test)]
#[path = "origin/tests.rs"]
mod tests;
