//! Signing in and out, and who one is.
//!
//! A name without a password belongs to whoever has it until they sign out; signing in makes
//! it. What is begun here is finished also when the caller has hung up, and a name whose owner
//! never heard of it is given back.

use crate::app::App;
use crate::client_address::Client;
use crate::http::auth::{Privileged, SignedIn, clear_cookie, set_cookie, token};
use crate::http::body::Body;
use crate::http::error::{Error, Failure};
use crate::http::{At, Encrypted, metric};
use crate::refusal::Refusal;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{AppendHeaders, IntoResponse};
use axum::{Extension, Json};
use cql::{
    ClaimedName, NewUser, SessionToken, SignIn, SignInHash, StoreError, User, UserId, Username,
};
use metrics::counter;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use tokio::sync::oneshot;
use tracing::{Instrument, warn};
use utoipa::ToSchema;

/// Who wants to sign in.
#[derive(Debug, Deserialize, ToSchema)]
pub struct Credentials {
    /// The name.
    #[schema(required = true, value_type = String, min_length = 1, max_length = 20)]
    username: Option<String>,
    /// The password of a name that has one.
    password: Option<String>,
}

/// A session, as its owner sees it.
#[derive(Debug, Serialize, ToSchema)]
pub struct Session {
    /// The name.
    username: String,
    /// The token, as the cookie has it.
    ting_auth: String,
}

/// Somebody with a session.
#[derive(Debug, Serialize, ToSchema)]
pub struct Who {
    /// The name.
    username: String,
}

/// Signs in; a name that nobody has is taken.
#[utoipa::path(
    post, path = "/sessions", tag = "sessions",
    request_body(content((Credentials = "application/json"), (Credentials = "application/x-www-form-urlencoded"))),
    responses(
        (status = 200, description = "Signed in", body = Session,
         headers(("Set-Cookie" = String, description = "`ting_auth`"))),
        (status = 400, description = "`empty`, `length` or `chars`: that is no name", body = Error),
        (status = 403, description = "`password_required`, `wrong_password` or `username_reserved`", body = Error),
        (status = 404, description = "A password for a name that nobody has", body = Error),
        (status = 429, description = "Too many from this address", body = Error),
    )
)]
pub async fn sign_in(
    State(app): State<App>,
    Extension(client): Extension<Client>,
    Extension(Encrypted(encrypted)): Extension<Encrypted>,
    Body(asked): Body<Credentials>,
) -> Result<impl IntoResponse, Failure> {
    let username = Username::parse(&asked.username.unwrap_or_default())?;
    // A password has at least one character.
    let password = asked.password.filter(|password| !password.is_empty());
    app.sign_ins.take(&client)?;
    let (told, heard) = oneshot::channel();
    let work = async move {
        let outcome = enter(&app, username, password).await;
        if let Err(Ok(unheard)) = told.send(outcome) {
            give_back(&app, unheard.sign_in.into());
        }
    };
    tokio::spawn(work.in_current_span());
    let entered = heard.await.map_err(|_| Refusal::UNAVAILABLE)??;
    let session = Session {
        username: entered.sign_in.username.to_string(),
        ting_auth: entered.token.reveal(),
    };
    let cookie = set_cookie(&entered.token, encrypted);
    Ok((AppendHeaders([(header::SET_COOKIE, cookie)]), Json(session)))
}

#[derive(Debug)]
struct Entered {
    token: SessionToken,
    sign_in: SignIn,
}

async fn enter(
    app: &App,
    username: Username,
    password: Option<String>,
) -> Result<Entered, Failure> {
    let entered = match password {
        None => claim(app, username).await,
        Some(password) => prove(app, username, password).await,
    };
    let outcome = if entered.is_ok() { "done" } else { "refused" };
    counter!(metric::SIGN_INS, "outcome" => outcome).increment(1);
    entered
}

/// Without a password only a name that nobody has is given.
async fn claim(app: &App, username: Username) -> Result<Entered, Failure> {
    let new = NewUser {
        id: app.system.new_user_id()?,
        username,
        now: app.system.now(),
    };
    match app.store.claim_name(&new).await {
        Ok(ClaimedName::Claimed { released }) => {
            for released in released {
                if let Err(error) = app.system.end_user(released, &new.username).await {
                    // Nobody has used it for two weeks, so hardly anything is alive.
                    warn!(%error, "what is left of a released user was not ended");
                }
            }
            begin(app, new.id, new.username).await
        }
        Ok(ClaimedName::Exists(user)) if user.password_hash.is_some() => {
            Err(Refusal::new(403, "password_required").into())
        }
        Ok(ClaimedName::Exists(_) | ClaimedName::Alike) => Err(RESERVED.into()),
        // Nothing was changed.
        Err(error @ StoreError::Unavailable(_)) => Err(error.into()),
        Err(error) => {
            let unheard = Unheard {
                user: new.id,
                username: new.username,
                hash: None,
            };
            give_back(app, unheard);
            Err(error.into())
        }
    }
}

const RESERVED: Refusal = Refusal::new(403, "username_reserved");

const WRONG_PASSWORD: Refusal = Refusal::new(403, "wrong_password");

/// With a password only a name that has it is given. Each answer takes as long as the others.
async fn prove(app: &App, username: Username, password: String) -> Result<Entered, Failure> {
    let now = app.system.now();
    let user = app.store.user_named(&username).await?;
    let user: Option<User> = user.filter(|user| !user.is_released(now));
    let hash = user.as_ref().and_then(|user| user.password_hash.as_deref());
    let right = app.passwords.is(password, hash).await?;
    match user {
        None => Err(Refusal::NOT_FOUND.into()),
        Some(user) if user.password_hash.is_none() => Err(RESERVED.into()),
        Some(_) if !right => Err(WRONG_PASSWORD.into()),
        Some(user) => {
            app.store.touch_user(user.id, now).await?;
            let entered = begin(app, user.id, user.username).await?;
            still_right(app, entered, user.password_hash.as_deref()).await
        }
    }
}

/// A password that was changed while it was looked at ends this sign-in as it ends the others:
/// either whoever changed it has found it among them, or the change is seen here.
async fn still_right(app: &App, entered: Entered, was: Option<&str>) -> Result<Entered, Failure> {
    let refused = match app.store.user(entered.sign_in.user).await {
        Ok(Some(user)) if user.password_hash.as_deref() == was => return Ok(entered),
        Ok(_) => WRONG_PASSWORD.into(),
        Err(error) => error.into(),
    };
    give_back(app, entered.sign_in.into());
    Err(refused)
}

async fn begin(app: &App, user: UserId, username: Username) -> Result<Entered, Failure> {
    let token = SessionToken::random();
    let sign_in = SignIn {
        hash: token.hash(),
        user,
        username,
        used_at: app.system.now(),
    };
    match app.store.add_sign_in(&sign_in).await {
        Ok(true) => Ok(Entered { token, sign_in }),
        // Deleted in between.
        Ok(false) => Err(Refusal::UNAVAILABLE.into()),
        Err(error) => {
            give_back(app, sign_in.into());
            Err(error.into())
        }
    }
}

/// Pauses before the attempts to give a name back, within the time of a restart of the store.
const GIVING_BACK: [Duration; 5] = [
    Duration::ZERO,
    Duration::from_secs(1),
    Duration::from_secs(5),
    Duration::from_secs(20),
    Duration::from_secs(60),
];

/// A name or a sign-in of somebody who will never know of it.
#[derive(Debug)]
struct Unheard {
    user: UserId,
    username: Username,
    /// None: not even the user may be there.
    hash: Option<SignInHash>,
}

impl From<SignIn> for Unheard {
    fn from(sign_in: SignIn) -> Self {
        Unheard {
            user: sign_in.user,
            username: sign_in.username,
            hash: Some(sign_in.hash),
        }
    }
}

impl Unheard {
    /// Says whether it is certain that nothing is left.
    async fn end(&self, app: &App) -> Result<bool, StoreError> {
        if app.system.take_back(self.user, &self.username).await? {
            return Ok(true);
        }
        // The user has a password, or is not there, or not yet.
        if let Some(hash) = self.hash {
            app.system.end_sign_in(hash).await?;
        }
        Ok(self.hash.is_some())
    }
}

/// Gives back what somebody will never know of, beside the request, whose time may be over.
fn give_back(app: &App, unheard: Unheard) {
    let app = app.clone();
    let work = async move {
        let mut failed = None;
        for pause in GIVING_BACK {
            tokio::time::sleep(pause).await;
            failed = match unheard.end(&app).await {
                Ok(true) => return,
                Ok(false) => None,
                Err(error) => Some(error),
            };
        }
        if let Some(error) = failed {
            warn!(%error, "a sign-in that nobody heard of could not be ended");
        }
    };
    tokio::spawn(work.in_current_span());
}

/// Ends a sign-in, and with it the user who has no password.
async fn end(app: &App, sign_in: &SignIn) -> Result<(), StoreError> {
    let deleted = app
        .system
        .delete_user(sign_in.user, &sign_in.username)
        .await?;
    if !deleted {
        app.system.end_sign_in(sign_in.hash).await?;
    }
    Ok(())
}

/// Signs out. A user who has no password is deleted.
#[utoipa::path(
    delete, path = "/sessions", tag = "sessions",
    responses(
        (status = 204, description = "Signed out"),
        (status = 403, description = "No session", body = Error),
    ),
    security(("cookie" = []), ("bearer" = []))
)]
pub async fn sign_out(
    State(app): State<App>,
    Extension(Encrypted(encrypted)): Extension<Encrypted>,
    SignedIn(by): SignedIn,
) -> Result<impl IntoResponse, Failure> {
    let work = async move { end(&app, &by).await };
    tokio::spawn(work.in_current_span())
        .await
        .map_err(|_| Refusal::UNAVAILABLE)??;
    let cookie = clear_cookie(encrypted);
    Ok((
        StatusCode::NO_CONTENT,
        AppendHeaders([(header::SET_COOKIE, cookie)]),
    ))
}

/// Who one is. The cookie is given anew, so that it lasts as long as the sign-in.
#[utoipa::path(
    get, path = "/sessions", tag = "sessions",
    responses(
        (status = 200, description = "Whose session it is", body = Who),
        (status = 403, description = "No session", body = Error),
    ),
    security(("cookie" = []), ("bearer" = []))
)]
pub async fn who(
    Extension(Encrypted(encrypted)): Extension<Encrypted>,
    SignedIn(by): SignedIn,
    headers: HeaderMap,
) -> impl IntoResponse {
    let cookie = token(&headers).map(|token| (header::SET_COOKIE, set_cookie(&token, encrypted)));
    let who = Who {
        username: by.username.to_string(),
    };
    (AppendHeaders(cookie), Json(who))
}

/// Whether a session is this person's: privileged.
#[utoipa::path(
    get, path = "/sessions/{username}", tag = "sessions",
    params(("username" = String, Path, description = "The name")),
    responses(
        (status = 204, description = "It is"),
        (status = 401, description = "Not privileged", body = Error),
        (status = 403, description = "It is not", body = Error),
    ),
    security(("secret" = [], "cookie" = []))
)]
pub async fn check(
    _: Privileged,
    At(username): At<String>,
    SignedIn(by): SignedIn,
) -> Result<StatusCode, Failure> {
    match Username::parse(&username) {
        Ok(username) if username == by.username => Ok(StatusCode::NO_CONTENT),
        _ => Err(Refusal::FORBIDDEN.into()),
    }
}
