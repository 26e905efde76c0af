//! The admin port: is it alive, is it ready, how is it, and go.
//!
//! Liveness never depends on the store, and readiness only until it was reached once: else an
//! outage of the store would take away the node that answers 503 for it. A node of a cluster
//! that may not acknowledge is not ready while another one may.

use crate::http::error;
use crate::http::error::Failure;
use crate::lifecycle::Lifecycle;
use crate::refusal::Refusal;
use actors::System;
use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use cql::{ChannelName, Conversation, UserId, Username};
use metrics::{describe_gauge, gauge};
use metrics_exporter_prometheus::PrometheusHandle;
use serde::Deserialize;
use serde_json::{Value, json};

/// What `/readyz` says, as a number.
const READY: &str = "ting_ready";

/// All that the admin port answers.
pub fn router(lifecycle: Lifecycle, metrics: PrometheusHandle) -> Router {
    describe_gauge!(READY, "1 while this node is ready, else 0");
    Router::new()
        .route("/livez", get(|| async { Json(json!({"live": true})) }))
        .route("/readyz", get(ready))
        .route("/cluster", get(cluster))
        .route("/drain", post(drain))
        .route(
            "/metrics",
            get(move |State(lifecycle): State<Lifecycle>| async move {
                shown(&lifecycle, &metrics)
            }),
        )
        .with_state(lifecycle)
        .method_not_allowed_fallback(error::method_not_allowed)
        .fallback(error::not_found)
}

async fn ready(State(lifecycle): State<Lifecycle>) -> (StatusCode, Json<Value>) {
    let ready = lifecycle.is_ready();
    let status = if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let phase = lifecycle.phase().as_str();
    let body = json!({"ready": ready, "phase": phase, "store": lifecycle.store()});
    (status, Json(body))
}

#[derive(Debug, Deserialize)]
struct Whose {
    channel: Option<String>,
    user: Option<String>,
    other: Option<String>,
}

/// With `?channel=name`, also who owns that channel; with `?user=name&other=name`, that private.
async fn cluster(
    State(lifecycle): State<Lifecycle>,
    Query(whose): Query<Whose>,
) -> Result<Json<Value>, Failure> {
    let system = lifecycle.system().ok_or(Refusal::UNAVAILABLE)?;
    let mut status = system.status().await;
    if let Some(conversation) = whose.conversation(system).await? {
        status["owner"] = json!(system.owner(&conversation));
    }
    Ok(Json(status))
}

impl Whose {
    async fn conversation(&self, system: &System) -> Result<Option<Conversation>, Failure> {
        match (&self.channel, &self.user, &self.other) {
            (None, None, None) => Ok(None),
            (Some(name), None, None) => {
                let name = ChannelName::parse(name).map_err(|_| Refusal::MALFORMED)?;
                Ok(Some(Conversation::Channel(name)))
            }
            (None, Some(one), Some(other)) => {
                let (one, other) = (id_of(system, one).await?, id_of(system, other).await?);
                Ok(Some(Conversation::private(one, other)))
            }
            _ => Err(Refusal::MALFORMED.into()),
        }
    }
}

async fn id_of(system: &System, name: &str) -> Result<UserId, Failure> {
    let name = Username::parse(name).map_err(|_| Refusal::MALFORMED)?;
    Ok(system.user_named(&name).await?.ok_or(Refusal::NOT_FOUND)?)
}

/// Answers when all connections have gone; then the node ends. Goes on also when who asked has not
/// waited.
async fn drain(State(lifecycle): State<Lifecycle>) -> Result<Json<Value>, Failure> {
    tokio::spawn(async move { lifecycle.drain().await })
        .await
        .map_err(|_| Refusal::UNAVAILABLE)?;
    Ok(Json(json!({"drained": true})))
}

fn shown(lifecycle: &Lifecycle, metrics: &PrometheusHandle) -> Response {
    // It changes by other nodes' leases, too, of which nothing here is told: asked for when shown.
    gauge!(READY).set(if lifecycle.is_ready() { 1.0 } else { 0.0 });
    let kind = [(
        header::CONTENT_TYPE,
        "text/plain; version=0.0.4; charset=utf-8",
    )];
    (kind, metrics.render()).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sockets::{Edge, SocketSettings};
    use actors::{Limits, Start};
    use axum::body::{Body, to_bytes};
    use axum::http::Request;
    use cql::embedded::EmbeddedStore;
    use std::sync::Arc;
    use std::time::Duration;
    use tower::ServiceExt;

    async fn ask(lifecycle: &Lifecycle, method: &str, path: &str) -> (StatusCode, String) {
        let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
        // All of it is on this thread.
        let _here = metrics::set_default_local_recorder(&recorder);
        metrics::counter!("ting_test_total").increment(1);
        let request = Request::builder().method(method).uri(path);
        let response = router(lifecycle.clone(), recorder.handle())
            .oneshot(request.body(Body::empty()).unwrap())
            .await
            .unwrap();
        let status = response.status();
        let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn a_node_that_waits_for_its_store_is_alive_and_not_ready() {
        let lifecycle = Lifecycle::new(Duration::ZERO);
        assert_eq!(ask(&lifecycle, "GET", "/livez").await.0, StatusCode::OK);
        let (status, body) = ask(&lifecycle, "GET", "/readyz").await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(
            body,
            json!({"ready": false, "phase": "starting", "store": "unknown"})
        );
        let (status, _) = ask(&lifecycle, "GET", "/cluster").await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    }

    #[tokio::test]
    async fn who_is_told_to_go_says_so() {
        let lifecycle = Lifecycle::new(Duration::ZERO);
        let (status, _) = ask(&lifecycle, "GET", "/drain").await;
        assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(ask(&lifecycle, "POST", "/drain").await.0, StatusCode::OK);
        let (_, body) = ask(&lifecycle, "GET", "/readyz").await;
        assert!(body.contains("draining"), "{body}");
    }

    #[tokio::test]
    async fn what_was_counted_is_shown() {
        let lifecycle = Lifecycle::new(Duration::ZERO);
        let (status, body) = ask(&lifecycle, "GET", "/metrics").await;
        assert_eq!(status, StatusCode::OK);
        assert!(body.contains("ting_test_total 1"), "{body}");
        assert_eq!(ask(&lifecycle, "GET", "/x").await.0, StatusCode::NOT_FOUND);
    }

    async fn shows_ready_as(number: u8, lifecycle: &Lifecycle) {
        let (_, body) = ask(lifecycle, "GET", "/metrics").await;
        let line = format!("ting_ready {number}");
        assert!(body.lines().any(|shown| shown == line), "{body}");
    }

    #[tokio::test]
    async fn whether_a_node_is_ready_is_shown_from_its_start_to_its_end() {
        let lifecycle = Lifecycle::new(Duration::ZERO);
        shows_ready_as(0, &lifecycle).await;
        let folder = tempfile::tempdir().unwrap();
        let store = EmbeddedStore::open(&folder.path().join("ting.db"), None).unwrap();
        let start = Start {
            store: Arc::new(store),
            sockets: Edge::new(&SocketSettings::default()).sockets(),
            limits: Limits::default(),
            links: None,
        };
        lifecycle.started(System::start(start).await.unwrap());
        shows_ready_as(1, &lifecycle).await;
        lifecycle.drain().await;
        shows_ready_as(0, &lifecycle).await;
    }
}
