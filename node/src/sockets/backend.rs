//! What the edge asks of the actors, as a trait, so that the edge can be tried without them.

use crate::destination;
use crate::refusal::Refusal;
use actors::edge::ConnectionId;
use actors::{
    Destination, EnterError, Login, Patch, Patched, Post, Posted, System, TypingError, Unanswered,
};
use async_trait::async_trait;
use cql::{ChannelName, SessionToken, SignIn, StoreError};
use futures::FutureExt;
use futures::future::BoxFuture;

/// What was asked for is on its way when a function returns a future; awaiting brings the answer.
pub type Answer<T, E> = BoxFuture<'static, Result<T, E>>;

/// The actors, as far as sockets need them: see the methods of [`System`].
#[async_trait]
pub trait Backend: Send + Sync + 'static {
    async fn who(&self, token: &SessionToken) -> Result<Option<SignIn>, StoreError>;
    async fn channel_exists(&self, name: &ChannelName) -> Result<bool, StoreError>;
    async fn destination(
        &self,
        by: &SignIn,
        kind: &str,
        target: &str,
    ) -> Result<Destination, Refusal>;
    async fn login(&self, login: Login) -> Result<(), Unanswered>;
    fn disconnected(&self, connection: ConnectionId);
    fn enter(&self, connection: ConnectionId, to: Destination) -> Answer<(), EnterError>;
    fn leave(&self, connection: ConnectionId, to: Destination) -> Answer<(), EnterError>;
    fn post(&self, post: Post) -> Answer<Posted, TypingError>;
    fn patch(&self, patch: Patch) -> Answer<Patched, TypingError>;
}

#[async_trait]
impl Backend for System {
    async fn who(&self, token: &SessionToken) -> Result<Option<SignIn>, StoreError> {
        System::who(self, token).await
    }

    async fn channel_exists(&self, name: &ChannelName) -> Result<bool, StoreError> {
        System::channel_exists(self, name).await
    }

    async fn destination(
        &self,
        by: &SignIn,
        kind: &str,
        target: &str,
    ) -> Result<Destination, Refusal> {
        Ok(destination::resolve(self, Some(by), kind, target).await?)
    }

    async fn login(&self, login: Login) -> Result<(), Unanswered> {
        System::login(self, login).await
    }

    fn disconnected(&self, connection: ConnectionId) {
        System::disconnected(self, connection);
    }

    fn enter(&self, connection: ConnectionId, to: Destination) -> Answer<(), EnterError> {
        System::enter(self, connection, to).boxed()
    }

    fn leave(&self, connection: ConnectionId, to: Destination) -> Answer<(), EnterError> {
        System::leave(self, connection, to).boxed()
    }

    fn post(&self, post: Post) -> Answer<Posted, TypingError> {
        System::post(self, post).boxed()
    }

    fn patch(&self, patch: Patch) -> Answer<Patched, TypingError> {
        System::patch(self, patch).boxed()
    }
}
