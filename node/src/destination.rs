//! From what clients call `type` and `target` to the conversation that is meant.

use crate::refusal;
use actors::edge::Target;
use actors::{Destination, System};
use cql::{ChannelName, Conversation, SignIn, StoreError, UserId, Username};

/// Why there is no such conversation for this person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Neither `channel` nor `user`, or a name that nobody can have.
    Invalid,
    /// Nobody has that name.
    NotFound,
    /// A private needs somebody who asks.
    Forbidden,
    /// The store did not answer.
    Unavailable,
}

impl From<Refusal> for refusal::Refusal {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Invalid => refusal::Refusal::INVALID,
            Refusal::NotFound => refusal::Refusal::NOT_FOUND,
            Refusal::Forbidden => refusal::Refusal::FORBIDDEN,
            Refusal::Unavailable => refusal::Refusal::UNAVAILABLE,
        }
    }
}

impl From<StoreError> for Refusal {
    fn from(_: StoreError) -> Self {
        Refusal::Unavailable
    }
}

/// The conversation that the person of a sign-in means.
pub async fn resolve(
    system: &System,
    by: Option<&SignIn>,
    kind: &str,
    target: &str,
) -> Result<Destination, Refusal> {
    resolve_for(system, by.map(|by| by.user), kind, target).await
}

/// The conversation that a person means.
pub async fn resolve_for(
    system: &System,
    by: Option<UserId>,
    kind: &str,
    target: &str,
) -> Result<Destination, Refusal> {
    match kind {
        "channel" => {
            let name = ChannelName::parse(target).map_err(|_| Refusal::Invalid)?;
            if !system.channel_exists(&name).await? {
                return Err(Refusal::NotFound);
            }
            Ok(Destination {
                conversation: Conversation::Channel(name.clone()),
                target: Target::Channel(name),
            })
        }
        "user" => {
            let by = by.ok_or(Refusal::Forbidden)?;
            let name = Username::parse(target).map_err(|_| Refusal::Invalid)?;
            let other = system.user_named(&name).await?.ok_or(Refusal::NotFound)?;
            Ok(Destination {
                conversation: Conversation::private(by, other),
                target: Target::User(name),
            })
        }
        _ => Err(Refusal::Invalid),
    }
}
