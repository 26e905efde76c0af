//! What holds for every request, whatever it asks.

use crate::app::App;
use crate::http::Encrypted;
use crate::http::auth::has_cookie;
use crate::http::error::Failure;
use crate::http::metric;
use crate::listener::Peer;
use crate::refusal::Refusal;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderName, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures::StreamExt;
use metrics::counter;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

/// How long a request may take in all, once it is here; a person notices more. The actors give
/// up a little earlier, and their answer is the better one.
const DEADLINE: Duration = Duration::from_millis(1_950);

/// How long a client may take to send a body: a phone with a bad line.
const BODY_TIME: Duration = Duration::from_secs(10);

/// Thirty of the longest messages.
const BODY_BYTES_MAX: usize = 64 * 1_024;

/// Read and thrown away beyond that, so that who sent a little too much reads the refusal
/// instead of a broken connection.
const BODY_BYTES_DRAINED: usize = 1_024 * 1_024;

const TOO_LARGE: Refusal = Refusal::new(413, "too_large");

/// Where people sign in, which puts a cookie where there was none.
const SESSIONS: &str = "/restapi/v1/sessions";

/// Why there is no body. It is told by who wants one, after all that is refused without.
#[derive(Debug, Clone, Copy)]
pub struct NoBody(pub Refusal);

/// Reads the body, so that no handler waits for one.
pub async fn whole_body(request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    // Told beforehand, it need not be sent.
    let read = if body.size_hint().lower() > BODY_BYTES_DRAINED as u64 {
        Err(TOO_LARGE)
    } else {
        let read = tokio::time::timeout(BODY_TIME, collect(body)).await;
        read.unwrap_or(Err(Refusal::new(408, "malformed")))
    };
    let bytes = read.unwrap_or_else(|refusal| {
        parts.extensions.insert(NoBody(refusal));
        Bytes::new()
    });
    next.run(Request::from_parts(parts, bytes.into())).await
}

async fn collect(body: Body) -> Result<Bytes, Refusal> {
    let mut stream = body.into_data_stream();
    let (mut held, mut read) = (Vec::new(), 0);
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(|_| Refusal::MALFORMED)?;
        read += chunk.len();
        if read > BODY_BYTES_DRAINED {
            return Err(TOO_LARGE);
        }
        if read <= BODY_BYTES_MAX {
            held.extend_from_slice(&chunk);
        }
    }
    if read > BODY_BYTES_MAX {
        return Err(TOO_LARGE);
    }
    Ok(held.into())
}

/// Answers in time, also when nobody else does: the outcome is then unknown.
pub async fn deadline(request: Request, next: Next) -> Response {
    match tokio::time::timeout(DEADLINE, next.run(request)).await {
        Ok(response) => response,
        Err(_) => {
            counter!(metric::DEADLINES).increment(1);
            Failure::from(Refusal::UNAVAILABLE).into_response()
        }
    }
}

/// Finds out who asks, and refuses writes from pages that may not.
pub async fn who_asks(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let (address, tls) = match request.extensions().get::<ConnectInfo<Peer>>() {
        Some(ConnectInfo(peer)) => (peer.address.ip(), peer.tls),
        // Without a connection there is nobody to tell apart.
        None => (IpAddr::V4(Ipv4Addr::UNSPECIFIED), false),
    };
    let client = app.proxies.client(address, request.headers());
    client.tell_of_distrust();
    let encrypted = tls || client.https;
    if writes(&request)
        && !app
            .origins
            .allows(origin(&request), host(&request), encrypted)
    {
        counter!(metric::FOREIGN_ORIGINS).increment(1);
        return Failure::from(Refusal::FORBIDDEN).into_response();
    }
    request.extensions_mut().insert(client);
    request.extensions_mut().insert(Encrypted(encrypted));
    let mut response = next.run(request).await;
    if encrypted {
        response.headers_mut().insert(
            header::STRICT_TRANSPORT_SECURITY,
            HeaderValue::from_static("max-age=31536000"),
        );
    }
    response
}

/// A write that a browser may have been made to send: with its cookie, or for one.
fn writes(request: &Request) -> bool {
    let safe = matches!(
        *request.method(),
        Method::GET | Method::HEAD | Method::OPTIONS
    );
    !safe && (has_cookie(request.headers()) || request.uri().path() == SESSIONS)
}

fn origin(request: &Request) -> Option<&HeaderValue> {
    request.headers().get(header::ORIGIN)
}

/// HTTP/2 says it in the URI.
fn host(request: &Request) -> &str {
    let named = request.headers().get(header::HOST);
    named
        .and_then(|host| host.to_str().ok())
        .or_else(|| {
            request
                .uri()
                .authority()
                .map(|authority| authority.as_str())
        })
        .unwrap_or_default()
}

/// What browsers are told of every answer; the web client's own come with its files.
const HEADERS: [(HeaderName, HeaderValue); 5] = [
    (
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    ),
    (
        header::REFERRER_POLICY,
        HeaderValue::from_static("no-referrer"),
    ),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        HeaderValue::from_static("same-origin"),
    ),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        HeaderValue::from_static("same-origin"),
    ),
];

/// For answers that are no pages.
const DATA_HEADERS: [(HeaderName, HeaderValue); 2] = [
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"),
    ),
];

/// Puts them on.
pub async fn security_headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.extend(HEADERS);
    for (name, value) in DATA_HEADERS {
        headers.entry(name).or_insert(value);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_body_is_read_to_its_limit_and_not_beyond() {
        let just = vec![b'a'; BODY_BYTES_MAX];
        assert_eq!(
            collect(just.clone().into()).await.unwrap().len(),
            just.len()
        );
        for more in [BODY_BYTES_MAX + 1, BODY_BYTES_DRAINED + 1] {
            let refusal = collect(vec![b'a'; more].into()).await.unwrap_err();
            assert_eq!((refusal.status, refusal.code), (413, "too_large"));
        }
    }

    #[test]
    fn a_write_is_one_with_a_cookie_or_a_sign_in() {
        let is_write = |method: Method, path: &str, headers: &[(HeaderName, &str)]| {
            let mut request = Request::builder().method(method).uri(path);
            for (name, value) in headers {
                request = request.header(name, *value);
            }
            writes(&request.body(Body::empty()).unwrap())
        };
        let cookie = [(header::COOKIE, "ting_auth=x")];
        let bearer = [(header::AUTHORIZATION, "Bearer x")];
        assert!(is_write(Method::PATCH, "/api/v1/message", &cookie));
        assert!(!is_write(Method::PATCH, "/api/v1/message", &bearer));
        assert!(!is_write(Method::GET, SESSIONS, &cookie));
        assert!(is_write(Method::POST, SESSIONS, &[]));
        // Somebody may be called so.
        let path = "/restapi/v1/users/sessions";
        assert!(!is_write(Method::PATCH, path, &bearer));
        assert!(is_write(Method::PATCH, path, &cookie));
    }
}
