//! Channels: whether there is one, and making one.

use crate::app::App;
use crate::client_address::Client;
use crate::http::At;
use crate::http::body::Body;
use crate::http::error::{Error, Failure};
use crate::refusal::Refusal;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use cql::ChannelName;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// A channel.
#[derive(Debug, Serialize, ToSchema)]
pub struct Channel {
    /// Its name.
    name: String,
}

/// A channel that is to be.
#[derive(Debug, Deserialize, ToSchema)]
pub struct Make {
    /// Its name.
    #[schema(min_length = 1, max_length = 20, pattern = "^[A-Za-z0-9_.-]+$")]
    name: String,
}

/// Which channel.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Named {
    /// Its name.
    #[param(required = true)]
    name: Option<String>,
}

/// A channel, by its path.
#[utoipa::path(
    get, path = "/channels/{name}", tag = "channels",
    params(("name" = String, Path, description = "Its name")),
    responses(
        (status = 200, description = "There is one", body = Channel),
        (status = 404, description = "There is none", body = Error),
    )
)]
pub async fn channel(
    State(app): State<App>,
    At(name): At<String>,
) -> Result<Json<Channel>, Failure> {
    find(&app, &name).await
}

/// A channel, by its name.
#[utoipa::path(
    get, path = "/channels", tag = "channels",
    params(Named),
    responses(
        (status = 200, description = "There is one", body = Channel),
        (status = 400, description = "None is named", body = Error),
        (status = 404, description = "There is none", body = Error),
    )
)]
pub async fn named(
    State(app): State<App>,
    asked: Result<Query<Named>, axum::extract::rejection::QueryRejection>,
) -> Result<Json<Channel>, Failure> {
    let Query(Named { name }) = asked.map_err(|_| Refusal::INVALID)?;
    find(&app, &name.ok_or(Refusal::INVALID)?).await
}

async fn find(app: &App, name: &str) -> Result<Json<Channel>, Failure> {
    // What can't be a name is nobody's.
    let name = ChannelName::parse(name).map_err(|_| Refusal::NOT_FOUND)?;
    if app.system.channel_exists(&name).await? {
        Ok(Json(Channel {
            name: name.to_string(),
        }))
    } else {
        Err(Refusal::NOT_FOUND.into())
    }
}

/// Makes a channel.
#[utoipa::path(
    post, path = "/channels", tag = "channels",
    request_body(content((Make = "application/json"), (Make = "application/x-www-form-urlencoded"))),
    responses(
        (status = 204, description = "There is one now"),
        (status = 400, description = "That is no name", body = Error),
        (status = 403, description = "From a page that may not", body = Error),
        (status = 409, description = "There is one already", body = Error),
        (status = 429, description = "Too many from this address", body = Error),
    )
)]
pub async fn make(
    State(app): State<App>,
    Extension(client): Extension<Client>,
    Body(asked): Body<Make>,
) -> Result<StatusCode, Failure> {
    let name = ChannelName::parse(&asked.name)?;
    app.channels.take(&client)?;
    if app.store.create_channel(&name, app.system.now()).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Refusal::new(409, "exists").into())
    }
}
