//! Logging in on a socket.

use super::backend::Backend;
use super::connection::Why;
use super::encoding;
use super::inbox::Answer;
use super::payload::Login;
use crate::refusal::Refusal;
use actors::edge::Sockets;
use cql::{ChannelName, NameError, SessionToken, SignIn, StoreError, Username};
use serde_json::json;
use std::sync::Arc;

/// Why a login does not succeed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refused {
    /// Not a name; the client may try another.
    Name(&'static str),
    /// The token is not this user's.
    Taken,
    /// The store or the actors did not answer.
    Unavailable,
}

/// Logs in, and returns when the actors have told the client so: events that came after it on the
/// same socket find it logged in.
pub async fn log_in(backend: &Arc<dyn Backend>, login: Login, answer: Answer) {
    let connection = answer.connection.clone();
    if let Err(refusal) = connection.begin_login() {
        return answer.refuse(refusal, "refused");
    }
    connection.wait_connected().await;
    if connection.is_over() {
        return;
    }
    match attempt(backend, login, &answer).await {
        Ok(()) => answer.send(Ok(json!({"status": 200}))),
        Err(Refused::Name(code)) => {
            connection.login_failed();
            refuse(answer, Refusal::new(400, code));
        }
        Err(Refused::Taken) => {
            refuse(answer, Refusal::new(403, "taken"));
            connection.dismiss();
        }
        Err(Refused::Unavailable) => {
            let registry = answer.registry.clone();
            answer.refuse(Refusal::UNAVAILABLE, "unavailable");
            // `login-response` has no word for it, and who reconnects logs in again.
            registry.cut(&connection, Why::Unavailable);
        }
    }
}

fn refuse(answer: Answer, refusal: Refusal) {
    let packet = encoding::login_refused(refusal.code);
    answer.registry.emit(answer.connection.id, &[packet]);
    answer.refuse(refusal, "refused");
}

async fn attempt(backend: &Arc<dyn Backend>, login: Login, answer: &Answer) -> Result<(), Refused> {
    let connection = &answer.connection;
    let username = Username::parse(&login.username)?;
    let shown = match &login.ting_auth {
        Some(shown) => SessionToken::parse(shown),
        None => connection.handshake.token().cloned(),
    };
    let sign_in = signed_in(backend, username, shown).await?;
    let channels = match &login.channels {
        Some(names) => Some(existing(backend, names).await?),
        None => None,
    };
    let id = connection.id;
    let wanted = actors::Login {
        connection: id,
        sign_in: sign_in.clone(),
        wants: login.wants(),
        channels,
    };
    let logged_in = backend.login(wanted).await;
    // The socket may have ended while the actors took it in: then nobody has told them yet.
    if !connection.login_succeeded(sign_in) {
        backend.disconnected(id);
    }
    logged_in.map_err(|_| Refused::Unavailable)
}

async fn signed_in(
    backend: &Arc<dyn Backend>,
    username: Username,
    shown: Option<SessionToken>,
) -> Result<SignIn, Refused> {
    let sign_in = match shown {
        Some(token) => backend.who(&token).await?,
        None => None,
    };
    sign_in
        .filter(|sign_in| sign_in.username == username)
        .ok_or(Refused::Taken)
}

/// The channels that are named and there. One that is gone must not keep a person out.
async fn existing(
    backend: &Arc<dyn Backend>,
    names: &[String],
) -> Result<Vec<ChannelName>, Refused> {
    let mut existing = Vec::new();
    for name in names
        .iter()
        .filter_map(|name| ChannelName::parse(name).ok())
    {
        if !existing.contains(&name) && backend.channel_exists(&name).await? {
            existing.push(name);
        }
    }
    Ok(existing)
}

impl From<NameError> for Refused {
    fn from(error: NameError) -> Self {
        Refused::Name(Refusal::from(error).code)
    }
}

impl From<StoreError> for Refused {
    fn from(_: StoreError) -> Self {
        Refused::Unavailable
    }
}
