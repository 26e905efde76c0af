//! The admin port: is it alive, is it ready, how is it, and go.
//!
//! Liveness never depends on the store, and readiness only until it was reached once: else an
//! outage of the store would take away the node that answers 503 for it. A node of a cluster
//! that may not acknowledge is not ready while another one may.

use crate::http::error;
use crate::http::error::Failure;
use crate::lifecycle::{Lifecycle, Phase};
use crate::refusal::Refusal;
use actors::System;
use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use cql::{ChannelName, Conversation, UserId, Username};
use metrics_exporter_prometheus::PrometheusHandle;
use serde::Deserialize;
use serde_json::{Value, json};

/// All that the admin port answers.
pub fn router(lifecycle: Lifecycle, metrics: PrometheusHandle) -> Router {
    Router::new()
        .route("/livez", get(|| async { Json(json!({"live": true})) }))
        .route("/readyz", get(ready))
        .route("/cluster", get(cluster))
        .route("/drain", post(drain))
        .with_state(lifecycle)
        .route("/metrics", get(move || async move { shown(&metrics) }))
        .method_not_allowed_fallback(error::method_not_allowed)
        .fallback(error::not_found)
}

async fn ready(State(lifecycle): State<Lifecycle>) -> (StatusCode, Json<Value>) {
    let phase = lifecycle.phase();
    let ready = phase == Phase::Serving && lifecycle.is_of_use();
    let status = if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let body = json!({"ready": ready, "phase": phase.as_str(), "store": lifecycle.store()});
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

/// Answers when all connections have gone. Goes on also when who asked has not waited.
async fn drain(State(lifecycle): State<Lifecycle>) -> Result<Json<Value>, Failure> {
    tokio::spawn(async move { lifecycle.drain().await })
        .await
        .map_err(|_| Refusal::UNAVAILABLE)?;
    Ok(Json(json!({"drained": true})))
}

fn shown(metrics: &PrometheusHandle) -> Response {
    let kind = [(
        header::CONTENT_TYPE,
        "text/plain; version=0.0.4; charset=utf-8",
    )];
    (kind, metrics.render()).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::{Body, to_bytes};
    use axum::http::Request;
    use std::time::Duration;
    use tower::ServiceExt;

    async fn ask(lifecycle: &Lifecycle, method: &str, path: &str) -> (StatusCode, String) {
        let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
        metrics::with_local_recorder(&recorder, || {
            metrics::counter!("ting_test_total").increment(1);
        });
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
}
