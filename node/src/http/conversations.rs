//! A person's privates, and how far they are read.

use crate::app::App;
use crate::destination::resolve;
use crate::http::auth::SignedIn;
use crate::http::body::Body;
use crate::http::error::{Error, Failure};
use crate::http::messages::Kind;
use crate::refusal::Refusal;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use cql::{Inbox, Millis};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// More privates than anybody scrolls through.
const PRIVATES_MAX: usize = 50;

/// A private in a person's list.
#[derive(Debug, Serialize, ToSchema)]
pub struct Private {
    /// `user`
    r#type: Kind,
    /// The other person.
    target: String,
    /// When the last message was sent.
    datetime_sent: Millis,
    /// How many of the other's messages were sent since it was read; counts to 99.
    #[schema(maximum = 99)]
    unread: u32,
}

impl From<Inbox> for Private {
    fn from(inbox: Inbox) -> Self {
        Private {
            r#type: Kind::User,
            target: inbox.username.to_string(),
            datetime_sent: inbox.datetime_sent,
            unread: inbox.unread,
        }
    }
}

/// The caller's privates, latest activity first.
#[utoipa::path(
    get, path = "/conversations", tag = "conversations",
    responses(
        (status = 200, description = "At most 50", body = [Private]),
        (status = 403, description = "No session", body = Error),
    ),
    security(("cookie" = []), ("bearer" = []))
)]
pub async fn list(
    State(app): State<App>,
    SignedIn(by): SignedIn,
) -> Result<Json<Vec<Private>>, Failure> {
    let privates = app.store.inbox(by.user, PRIVATES_MAX).await?;
    Ok(Json(privates.into_iter().map(Private::from).collect()))
}

/// What was read.
#[derive(Debug, Deserialize, ToSchema)]
pub struct Read {
    /// `user`
    #[schema(value_type = Kind)]
    r#type: String,
    /// The other person.
    target: String,
}

/// Notes that a private is read.
#[utoipa::path(
    post, path = "/conversations/read", tag = "conversations",
    request_body(content((Read = "application/json"), (Read = "application/x-www-form-urlencoded"))),
    responses(
        (status = 204, description = "Noted"),
        (status = 400, description = "Not a private", body = Error),
        (status = 403, description = "No session", body = Error),
        (status = 404, description = "No such person", body = Error),
    ),
    security(("cookie" = []), ("bearer" = []))
)]
pub async fn read(
    State(app): State<App>,
    SignedIn(by): SignedIn,
    Body(asked): Body<Read>,
) -> Result<StatusCode, Failure> {
    let to = resolve(&app.system, Some(&by), &asked.r#type, &asked.target).await?;
    let other = to.conversation.other(by.user).ok_or(Refusal::INVALID)?;
    app.store
        .mark_read(by.user, other, app.system.now())
        .await?;
    Ok(StatusCode::NO_CONTENT)
}
