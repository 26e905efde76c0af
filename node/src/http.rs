//! The public port's HTTP: every route under both prefixes, and what holds for all of them.
//!
//! From the outside in: security headers, a panic's answer, the request's span and metrics, who
//! asks and from which page, the whole body (or a refusal), the deadline, the handler.

pub mod auth;
pub mod body;
pub mod channels;
pub mod conversations;
pub mod error;
pub mod guard;
pub mod limits;
pub mod message;
pub mod messages;
pub mod metric;
pub mod openapi;
pub mod sessions;
pub mod users;
pub mod web;

#[cfg(test)]
mod tests;

use crate::app::App;
use crate::refusal::Refusal;
use crate::telemetry::requests::observe;
use axum::extract::{FromRequestParts, Path, Request};
use axum::http::Uri;
use axum::http::request::Parts;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use error::Failure;
use serde::de::DeserializeOwned;
use std::sync::{Arc, OnceLock};
use tower::ServiceExt;
use tower_http::catch_panic::CatchPanicLayer;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Whether the client reached us encrypted, itself or as a trusted proxy says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Encrypted(pub bool);

/// What a path says; a path that can't be read leads nowhere.
#[derive(Debug)]
pub struct At<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for At<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        match Path::<T>::from_request_parts(parts, state).await {
            Ok(Path(read)) => Ok(At(read)),
            Err(_) => Err(Refusal::NOT_FOUND.into()),
        }
    }
}

/// Answers under both prefixes: the real-time API forwards these as they are.
fn forwarded() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(messages::history, messages::bring))
        .routes(routes!(messages::change, messages::delete))
        .routes(routes!(channels::channel))
        .routes(routes!(channels::named, channels::make))
}

fn real_time() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(message::begin, message::go_on))
        .routes(routes!(conversations::list))
        .routes(routes!(conversations::read))
}

fn restful() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(
            sessions::sign_in,
            sessions::sign_out,
            sessions::who
        ))
        .routes(routes!(sessions::check))
        .routes(routes!(users::person, users::change))
}

fn api() -> (Router<App>, OpenApi) {
    let (router, described) = OpenApiRouter::with_openapi(openapi::head())
        .nest("/api/v1", forwarded().merge(real_time()))
        .nest("/restapi/v1", forwarded().merge(restful()))
        .split_for_parts();
    (router, openapi::completed(described))
}

/// All that the public port answers but sockets.
pub fn router(app: App) -> Router {
    metric::describe();
    let (api, described) = api();
    let described = Arc::new(described);
    api.layer(from_fn(guard::deadline))
        .layer(from_fn(guard::whole_body))
        .route(
            "/api/openapi.json",
            get(move || async move { Json(described) }),
        )
        .method_not_allowed_fallback(error::method_not_allowed)
        .fallback(elsewhere)
        .layer(from_fn_with_state(app.clone(), guard::who_asks))
        .layer(from_fn(observe))
        .layer(CatchPanicLayer::custom(error::broken))
        .layer(from_fn(guard::security_headers))
        .with_state(app)
}

async fn elsewhere(request: Request) -> Response {
    if is_api(request.uri().path()) {
        return error::not_found().await.into_response();
    }
    web::serve(&request).unwrap_or_else(IntoResponse::into_response)
}

fn is_api(path: &str) -> bool {
    ["/api", "/restapi", "/socket.io"].iter().any(|prefix| {
        path.strip_prefix(prefix)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    })
}

/// Stands before the router while that is not there yet, and takes trailing slashes off.
#[derive(Debug, Clone, Default)]
pub struct Gateway(Arc<OnceLock<Router>>);

impl Gateway {
    /// From here on this router answers; before, everything is 503.
    pub fn open(&self, router: Router) {
        // Opened twice, the first one stays.
        let _ = self.0.set(router);
    }

    /// As a router for the listener.
    pub fn router(&self) -> Router {
        let gateway = self.clone();
        Router::new().fallback(move |request: Request| {
            let gateway = gateway.clone();
            async move { gateway.answer(request).await }
        })
    }

    async fn answer(&self, mut request: Request) -> Response {
        let Some(router) = self.0.get() else {
            return Failure::from(Refusal::UNAVAILABLE).into_response();
        };
        if let Some(uri) = without_trailing_slash(request.uri()) {
            *request.uri_mut() = uri;
        }
        match router.clone().oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }
}

/// The same without slashes at the end of an API's path, if there are any.
fn without_trailing_slash(uri: &Uri) -> Option<Uri> {
    let path = uri.path();
    let trimmed = path.trim_end_matches('/');
    if !is_api(path) || trimmed.len() == path.len() {
        return None;
    }
    let path_and_query = match uri.query() {
        Some(query) => format!("{trimmed}?{query}"),
        None => trimmed.to_owned(),
    };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(path_and_query.parse().ok()?);
    Uri::from_parts(parts).ok()
}
