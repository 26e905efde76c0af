//! Refusals as HTTP tells them: a status, `{"error": code}`, and when to come again.

use crate::refusal::Refusal;
use axum::Json;
use axum::extract::RawPathParams;
use axum::extract::rejection::RawPathParamsRejection;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// The body of every refusal.
#[derive(Debug, Serialize, ToSchema)]
pub struct Error {
    /// The reason, in one word.
    #[schema(example = "not_found")]
    pub error: &'static str,
    /// With 422: what is wrong with which field.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<BTreeMap<String, String>>)]
    pub fields: Option<BTreeMap<String, &'static str>>,
}

/// Why a handler did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// Refused as a whole.
    Refused(Refusal),
    /// Refused for some fields.
    Fields(BTreeMap<String, &'static str>),
}

impl<E: Into<Refusal>> From<E> for Failure {
    fn from(error: E) -> Self {
        Failure::Refused(error.into())
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let (status, body, retry_after) = match self {
            Failure::Refused(refusal) => {
                let body = Error {
                    error: refusal.code,
                    fields: None,
                };
                (refusal.status, body, refusal.retry_after_seconds())
            }
            Failure::Fields(fields) => {
                let body = Error {
                    error: "invalid",
                    fields: Some(fields),
                };
                (422, body, None)
            }
        };
        // Statuses are constants of ours.
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(body)).into_response();
        if let Some(seconds) = retry_after {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

/// No such path.
pub async fn not_found() -> Failure {
    Refusal::NOT_FOUND.into()
}

/// A path that knows other methods. The path of a message is one only with an id in it.
pub async fn method_not_allowed(
    parameters: Result<RawPathParams, RawPathParamsRejection>,
) -> Failure {
    let is_no_id = |(name, value): (&str, &str)| {
        name == "id" && !value.bytes().all(|byte| byte.is_ascii_digit())
    };
    if parameters.is_ok_and(|parameters| parameters.iter().any(is_no_id)) {
        return Refusal::NOT_FOUND.into();
    }
    Refusal::new(405, "method_not_allowed").into()
}

/// What is answered when a handler panicked: nothing of what it had in hand.
pub fn broken(_: Box<dyn std::any::Any + Send>) -> Response {
    Failure::from(Refusal::new(500, "internal")).into_response()
}
