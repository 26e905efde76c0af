//! Typing: a message begins, goes on, is sent or erased.

use crate::app::App;
use crate::destination::resolve;
use crate::http::auth::SignedIn;
use crate::http::body::Body;
use crate::http::error::{Error, Failure};
use crate::http::messages::{INTEGER_END, Kind, text_or_erased};
use crate::refusal::Refusal;
use actors::edge::Target;
use actors::{Destination, Patch, Patched, Post, Posted, Via};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use cql::{Conversation, MessageId, MessageText, SignIn, UserId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A key has to be told from others, not to carry anything.
const KEY_LENGTH_MAX: usize = 64;

/// A message that begins.
#[derive(Debug, Deserialize, ToSchema)]
pub struct Begin {
    /// `channel` or `user`.
    #[schema(value_type = Kind)]
    r#type: String,
    /// The channel or the person it is for.
    target: String,
    /// The text typed so far.
    #[schema(min_length = 1, max_length = 2000)]
    text: String,
    /// False types and sends in one.
    typing: Option<bool>,
    /// The client's own idempotency key: while the message is typed, known in its conversation;
    /// once it was sent with `typing: false`, everywhere for a day.
    #[schema(min_length = 1, max_length = 64)]
    key: Option<String>,
}

/// A message has begun.
#[derive(Debug, Serialize, ToSchema)]
pub struct Begun {
    /// Its id, which is its place.
    messageid: u64,
    /// With this, any node takes it up again.
    claim: String,
}

impl From<Posted> for Begun {
    fn from(posted: Posted) -> Self {
        Begun {
            messageid: posted.id.0,
            claim: posted.claim,
        }
    }
}

/// Begins a message.
#[utoipa::path(
    post, path = "/message", tag = "typing",
    request_body(content((Begin = "application/json"), (Begin = "application/x-www-form-urlencoded"))),
    responses(
        (status = 200, description = "It has a place", body = Begun),
        (status = 400, description = "The text, the key or the target is none", body = Error),
        (status = 403, description = "No session", body = Error),
        (status = 404, description = "No such channel or person", body = Error),
        (status = 429, description = "Too many are being typed, or sent too fast", body = Error),
    ),
    security(("cookie" = []), ("bearer" = []))
)]
pub async fn begin(
    State(app): State<App>,
    SignedIn(by): SignedIn,
    Body(asked): Body<Begin>,
) -> Result<Json<Begun>, Failure> {
    let text = MessageText::parse(asked.text)?;
    let fits = |key: &String| (1..=KEY_LENGTH_MAX).contains(&key.chars().count());
    if !asked.key.iter().all(fits) {
        return Err(Refusal::INVALID.into());
    }
    let to = resolve(&app.system, Some(&by), &asked.r#type, &asked.target).await?;
    let posted = app
        .system
        .post(Post {
            by,
            via: Via::Http,
            to,
            text,
            typing: asked.typing.unwrap_or(true),
            key: asked.key,
        })
        .await?;
    Ok(Json(posted.into()))
}

/// A message that goes on.
#[derive(Debug, Deserialize, ToSchema)]
pub struct GoOn {
    /// `channel` or `user`.
    #[schema(value_type = Kind)]
    r#type: String,
    /// The channel or the person it is for.
    target: String,
    /// The whole text so far; blank erases.
    #[schema(max_length = 2000)]
    text: String,
    /// False sends.
    typing: bool,
    /// Which message.
    #[schema(maximum = 9007199254740991u64)]
    messageid: u64,
    /// The client's own count of its changes.
    #[schema(maximum = 9007199254740991u64)]
    rev: Option<u64>,
    /// What the beginning was answered with.
    claim: Option<String>,
}

/// Goes on with a message, sends or erases it.
#[utoipa::path(
    patch, path = "/message", tag = "typing",
    request_body(content((GoOn = "application/json"), (GoOn = "application/x-www-form-urlencoded"))),
    responses(
        (status = 200, description = "It had expired and begins anew", body = Begun),
        (status = 204, description = "Done; if it was sent, it is durable"),
        (status = 400, description = "Too long, sent with another text, or begun elsewhere", body = Error),
        (status = 403, description = "No session, or another's message", body = Error),
        (status = 404, description = "No such message", body = Error),
        (status = 429, description = "Sent too fast", body = Error),
    ),
    security(("cookie" = []), ("bearer" = []))
)]
pub async fn go_on(
    State(app): State<App>,
    SignedIn(by): SignedIn,
    Body(asked): Body<GoOn>,
) -> Result<Response, Failure> {
    let exact = |number: &u64| *number < INTEGER_END;
    if !exact(&asked.messageid) || !asked.rev.iter().all(exact) {
        return Err(Refusal::INVALID.into());
    }
    let text = text_or_erased(asked.text)?;
    let found = resolve(&app.system, Some(&by), &asked.r#type, &asked.target).await;
    let to = found
        .map_err(Refusal::from)
        .or_else(|refusal| or_nowhere(&by, refusal))?;
    let patched = app
        .system
        .patch(Patch {
            by,
            via: Via::Http,
            to,
            id: MessageId(asked.messageid),
            text,
            typing: asked.typing,
            rev: asked.rev,
            claim: asked.claim,
        })
        .await?;
    Ok(match patched {
        Patched::Done => StatusCode::NO_CONTENT.into_response(),
        Patched::Anew(posted) => Json(Begun::from(posted)).into_response(),
    })
}

/// Where a change goes that names a conversation nobody knows: to one that holds nothing, which
/// answers as each does for a message that is not there, and tells one that is elsewhere from one
/// that is nowhere.
pub fn or_nowhere(by: &SignIn, refusal: Refusal) -> Result<Destination, Refusal> {
    if refusal != Refusal::NOT_FOUND {
        return Err(refusal);
    }
    Ok(Destination {
        // Ids say when they were given, so nobody has this one.
        conversation: Conversation::private(by.user, UserId(0)),
        target: Target::User(by.username.clone()),
    })
}
