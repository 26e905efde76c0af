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
use cql::{Inbox, Millis, StoreError};
use futures::{StreamExt, TryStreamExt};
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

/// How many rows of a person's inbox are looked at for them: most of the others are of people
/// who came without a password and went.
const ROWS_MAX: usize = 16 * PRIVATES_MAX;

/// Names that one list asks the store for at the same time.
const LOOKED_UP_AT_ONCE: usize = 10;

/// The caller's privates with people who are still there, latest activity first.
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
    let mut rows = PRIVATES_MAX;
    let privates = loop {
        let inbox = app.store.inbox(by.user, rows).await?;
        let is_all = inbox.len() < rows || rows >= ROWS_MAX;
        let privates = with_somebody(&app, inbox).await?;
        if is_all || privates.len() >= PRIVATES_MAX {
            break privates;
        }
        rows *= 2;
    };
    let privates = privates.into_iter().take(PRIVATES_MAX);
    Ok(Json(privates.map(Private::from).collect()))
}

/// Those whose other person still has the name: it may be nobody's by now, or somebody else's.
async fn with_somebody(app: &App, inbox: Vec<Inbox>) -> Result<Vec<Inbox>, StoreError> {
    let looked = inbox.into_iter().map(|row| async move {
        let has = app.system.user_named(&row.username).await?;
        Ok::<_, StoreError>((has == Some(row.other)).then_some(row))
    });
    let looked: Vec<_> = futures::stream::iter(looked)
        .buffered(LOOKED_UP_AT_ONCE)
        .try_collect()
        .await?;
    Ok(looked.into_iter().flatten().collect())
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
    let inbox = app.store.inbox(by.user, PRIVATES_MAX).await?;
    let newest = inbox.iter().find(|row| row.other == other);
    // What is being sent to them this moment they have not seen.
    let up_to = newest.map_or_else(|| app.system.now(), |row| row.datetime_sent);
    app.store.mark_read(by.user, other, up_to).await?;
    Ok(StatusCode::NO_CONTENT)
}
