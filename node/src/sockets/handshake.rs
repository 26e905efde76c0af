//! Who gets a socket, and what is kept of the request that asked for it.
//!
//! Stands before the socket library: refuses pages of other origins and addresses with too many
//! sockets that nobody logged in on, turns away requests for sockets that were hung up and bodies
//! that the library can't be trusted with ([`framing`]), and passes on a copy of the request's
//! head. The library keeps that head as long as the socket lives, and the original is a slice of
//! a read buffer of 16 KB.

use super::connection::lock;
use super::framing;
use super::line::Line;
use super::{Edge, Inner, PACKET_MAX};
use crate::http::auth::cookie_token;
use crate::listener::{Admitted, Peer};
use crate::refusal::Refusal;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::ConnectInfo;
use axum::response::{IntoResponse, Response};
use cql::SessionToken;
use futures::future::{BoxFuture, Either};
use http::header::{CONTENT_TYPE, HOST, ORIGIN, RETRY_AFTER, SEC_WEBSOCKET_KEY};
use http::request::Parts;
use http::{HeaderValue, Method, Request, StatusCode, Uri};
use http_body::Body as _;
use hyper::upgrade::OnUpgrade;
use socketioxide::socket::Sid;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;
use tower::util::BoxCloneSyncService;
use tower::{Layer, Service, ServiceExt};

/// Where sockets are.
const PATH: &str = "/socket.io";

/// How long a polling request may take: several times the pause between pings, each of which
/// answers one.
const POLL_LIMIT: Duration = Duration::from_secs(30);

/// The `Content-Type` that makes the library read a body of Engine.IO 3 as bytes, not as text.
const BINARY: &[u8] = b"application/octet-stream";

/// How long to wait when too many sockets of one address wait to log in.
const RETRY_WAITING: Duration = Duration::from_secs(10);

/// What is kept of the request that asked for a socket.
#[derive(Debug)]
pub struct Handshake {
    token: Option<SessionToken>,
    websocket: Option<Peer>,
    /// Its place among those that wait to log in.
    waiting: Mutex<Option<Admitted>>,
}

impl Handshake {
    /// The cookie `ting_auth`.
    pub fn token(&self) -> Option<&SessionToken> {
        self.token.as_ref()
    }

    /// The connection, if it becomes a WebSocket's.
    pub fn websocket(&self) -> Option<Peer> {
        self.websocket.clone()
    }

    /// Gives back its place among those that wait.
    pub fn signed_in(&self) {
        lock(&self.waiting).take();
    }
}

/// The socket library, as a service.
pub struct Engine(BoxCloneSyncService<Request<Body>, Response, Infallible>);

impl Engine {
    /// Hides the types of its bodies.
    pub fn new<S, B>(service: S) -> Self
    where
        S: Service<Request<Body>, Response = http::Response<B>, Error = Infallible>,
        S: Clone + Send + Sync + 'static,
        S::Future: Send + 'static,
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<axum::BoxError>,
    {
        let service = service.map_response(|response: http::Response<B>| response.map(Body::new));
        Engine(BoxCloneSyncService::new(service))
    }

    async fn answer(&self, request: Request<Body>) -> Response {
        match self.0.clone().oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }
}

/// Answers `/socket.io/` and passes on the rest.
#[derive(Debug, Clone)]
pub struct EdgeLayer(pub(super) Edge);

impl EdgeLayer {
    /// The router with the sockets before it, and before all its layers.
    pub fn before(self, router: Router) -> Router {
        Router::new().fallback_service(self.layer(router))
    }
}

/// A router with the sockets before it.
#[derive(Debug, Clone)]
pub struct EdgeService<S> {
    edge: Edge,
    router: S,
}

impl<S> Layer<S> for EdgeLayer {
    type Service = EdgeService<S>;

    fn layer(&self, router: S) -> Self::Service {
        EdgeService {
            edge: self.0.clone(),
            router,
        }
    }
}

impl<S> Service<Request<Body>> for EdgeService<S>
where
    S: Service<Request<Body>, Response = Response, Error = Infallible>,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Either<S::Future, BoxFuture<'static, Result<Response, Infallible>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.router.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let rest = request.uri().path().strip_prefix(PATH);
        if !rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/')) {
            return Either::Left(self.router.call(request));
        }
        let edge = self.edge.0.clone();
        Either::Right(Box::pin(async move { Ok(edge.answer(request).await) }))
    }
}

impl Inner {
    async fn answer(&self, request: Request<Body>) -> Response {
        let (mut parts, body) = request.into_parts();
        let peer = parts.extensions.get::<ConnectInfo<Peer>>().cloned();
        let (Some(attached), Some(ConnectInfo(peer))) = (self.attached.get(), peer) else {
            return refused(Refusal::UNAVAILABLE);
        };
        let client = attached.proxies.client(peer.address.ip(), &parts.headers);
        client.tell_of_distrust();
        let host = parts.headers.get(HOST).and_then(|host| host.to_str().ok());
        let (origin, tls) = (parts.headers.get(ORIGIN), peer.tls || client.https);
        if !attached.origins.allows(origin, host.unwrap_or(""), tls) {
            return refused(Refusal::FORBIDDEN);
        }
        let Asked {
            sid, is_websocket, ..
        } = Asked::read(parts.uri.query().unwrap_or(""));
        if let Some(sid) = sid {
            let line = sid
                .parse::<Sid>()
                .ok()
                .and_then(|sid| self.registry.line(sid));
            let request = Request::from_parts(copied(&mut parts), body);
            return self.go_on(request, is_websocket, line, peer).await;
        }
        let alone = client.is_limited().then_some(client.ip);
        let Some(admitted) = self.waiting.admit(alone) else {
            return refused(Refusal::too_many(Some(RETRY_WAITING)));
        };
        let websocket = (is_websocket && parts.method == Method::GET).then_some(peer);
        websocket.iter().for_each(Peer::becomes_socket);
        let handshake = Handshake {
            token: cookie_token(&parts.headers),
            websocket,
            waiting: Mutex::new(Some(admitted)),
        };
        let mut copied = copied(&mut parts);
        copied.extensions.insert(Arc::new(handshake));
        self.engine.answer(Request::from_parts(copied, body)).await
    }

    /// A request for a socket that there is already, as far as the client knows.
    async fn go_on(
        &self,
        request: Request<Body>,
        is_websocket: bool,
        line: Option<Arc<Line>>,
        peer: Peer,
    ) -> Response {
        let Some(line) = line else {
            // A transport without a socket yet, or unknown: the library tells them apart.
            return self.within_limit(request).await;
        };
        if line.is_cut() || (is_websocket && !line.upgrade(peer)) {
            return session_unknown();
        }
        if is_websocket {
            return self.engine.answer(request).await;
        }
        let poll = (request.method() == Method::GET).then(|| line.poll());
        let response = tokio::select! {
            biased;
            () = line.until_cut() => session_unknown(),
            response = self.within_limit(request) => response,
        };
        if let Some(poll) = poll
            && response.status() == StatusCode::OK
        {
            poll.answered(response.body().size_hint().lower());
        }
        response
    }

    async fn within_limit(&self, request: Request<Body>) -> Response {
        let answered = async {
            match framed(request).await {
                Ok(request) => self.engine.answer(request).await,
                Err(status) => status.into_response(),
            }
        };
        match tokio::time::timeout(POLL_LIMIT, answered).await {
            Ok(response) => response,
            Err(_) => StatusCode::REQUEST_TIMEOUT.into_response(),
        }
    }
}

/// What a request's query says, as far as it matters here, and as the library reads it.
#[derive(Debug, PartialEq)]
struct Asked<'a> {
    sid: Option<&'a str>,
    is_websocket: bool,
    /// Clients 4.x and 3.x, whose packets have no lengths before them.
    is_version_4: bool,
}

impl<'a> Asked<'a> {
    fn read(query: &'a str) -> Self {
        let first = |key| {
            let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            pairs.find(|(name, _)| *name == key).map(|(_, value)| value)
        };
        // Of these the library drops what follows another equals sign.
        let word = |key| first(key).and_then(|value| value.split('=').next());
        Asked {
            sid: first("sid"),
            is_websocket: word("transport") == Some("websocket"),
            is_version_4: word("EIO") == Some("4"),
        }
    }
}

/// The same request, if the library can be given it: what clients 2.x post as text is read whole
/// and goes on packet by packet.
async fn framed(request: Request<Body>) -> Result<Request<Body>, StatusCode> {
    let asked = Asked::read(request.uri().query().unwrap_or(""));
    let kind = request.headers().get(CONTENT_TYPE);
    let is_binary = kind.is_some_and(|kind| kind.as_bytes() == BINARY);
    if request.method() != Method::POST || asked.is_version_4 || is_binary {
        return Ok(request);
    }
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, PACKET_MAX)
        .await
        // If it broke off instead, nobody reads the answer.
        .map_err(|_| StatusCode::PAYLOAD_TOO_LARGE)?;
    let packets = framing::packets(&body).ok_or(StatusCode::BAD_REQUEST)?;
    let packets = futures::stream::iter(packets.into_iter().map(Ok::<_, Infallible>));
    Ok(Request::from_parts(parts, Body::from_stream(packets)))
}

/// A head with what the library needs of it, in memory of its own.
fn copied(parts: &mut Parts) -> Parts {
    let (mut copied, ()) = Request::new(()).into_parts();
    copied.method = parts.method.clone();
    copied.version = parts.version;
    let query = parts.uri.query().unwrap_or("");
    // A query that came in one address fits into another.
    copied.uri = Uri::try_from(format!("{PATH}/?{query}")).unwrap_or_default();
    for name in [SEC_WEBSOCKET_KEY, CONTENT_TYPE] {
        let value = parts.headers.get(&name);
        if let Some(Ok(value)) = value.map(|value| HeaderValue::from_bytes(value.as_bytes())) {
            copied.headers.insert(name, value);
        }
    }
    if let Some(upgrade) = parts.extensions.remove::<OnUpgrade>() {
        copied.extensions.insert(upgrade);
    }
    copied
}

fn refused(refusal: Refusal) -> Response {
    let status = StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::BAD_REQUEST);
    let body = axum::Json(serde_json::json!({"error": refusal.code}));
    let mut response = (status, body).into_response();
    if let Some(seconds) = refusal.retry_after_seconds() {
        let headers = response.headers_mut();
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// As the library answers for a socket that it does not know: clients connect anew.
fn session_unknown() -> Response {
    let body = serde_json::json!({"code": 1, "message": "Session ID unknown"});
    (StatusCode::BAD_REQUEST, axum::Json(body)).into_response()
}

#[cfg(test)]
mod tests;
