//! Ting's HTTP interface as one person uses it: sign in, type, read.
//!
//! Typists of a load test go through goose's own client; this one serves what surrounds them:
//! signing viewers in, creating channels, reading the history back.

use std::time::Duration;

use anyhow::{Context, bail};
use reqwest::{Response, StatusCode};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

/// Far longer than the server allows itself, so that its own answer is seen, and on a busy
/// machine too.
const LIMIT: Duration = Duration::from_secs(30);

/// A server, and the connections kept open to it.
#[derive(Debug, Clone)]
pub struct Http {
    base: String,
    client: reqwest::Client,
}

/// What signing in gives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignIn {
    /// The name asked for.
    pub username: String,
    /// The token, as cookie, bearer and in `login`.
    pub ting_auth: String,
}

/// A message as the history shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryMessage {
    /// Its id, which is its place.
    pub id: u64,
    /// Its text, or what is typed of it.
    pub text: String,
    /// Its author.
    pub username: String,
    /// When typing began.
    pub datetime_start: u64,
    /// When it was sent; none while it is typed.
    pub datetime_sent: Option<u64>,
    /// Whether it is still being typed.
    pub typing: bool,
}

/// A conversation as the protocol names it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Target {
    /// `channel` or `user`.
    #[serde(rename = "type")]
    pub kind: TargetKind,
    /// The channel's name or the other person's.
    pub target: String,
}

/// What a conversation's name is the name of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TargetKind {
    /// A channel.
    Channel,
    /// The other person of a private.
    User,
}

impl TargetKind {
    /// The word in paths and bodies.
    pub fn as_str(self) -> &'static str {
        match self {
            TargetKind::Channel => "channel",
            TargetKind::User => "user",
        }
    }
}

impl Target {
    /// The channel of this name.
    pub fn channel(name: impl Into<String>) -> Self {
        Target {
            kind: TargetKind::Channel,
            target: name.into(),
        }
    }

    /// The private with this person.
    pub fn user(name: impl Into<String>) -> Self {
        Target {
            kind: TargetKind::User,
            target: name.into(),
        }
    }

    /// Where its history is read.
    pub fn history_path(&self) -> String {
        let target: String = url::form_urlencoded::byte_serialize(self.target.as_bytes()).collect();
        // A path keeps the plus sign, so a space is spelt out.
        format!(
            "/api/v1/messages/{}/{}",
            self.kind.as_str(),
            target.replace('+', "%20")
        )
    }
}

impl Http {
    /// A client of the server at this `http://host:port` address.
    pub fn new(base: &str) -> anyhow::Result<Self> {
        let client = reqwest::Client::builder()
            .timeout(LIMIT)
            .no_proxy()
            .build()?;
        Ok(Http {
            base: base.trim_end_matches('/').to_owned(),
            client,
        })
    }

    /// The address of the server.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// Signs in a person who has no password.
    pub async fn sign_in(&self, username: &str) -> anyhow::Result<SignIn> {
        let request = self.client.post(self.url("/restapi/v1/sessions"));
        let answer = request.json(&json!({ "username": username })).send().await;
        body(answer, "signing in")
            .await
            .with_context(|| format!("user {username:?}"))
    }

    /// Creates a channel; one that exists already is as good.
    pub async fn create_channel(&self, name: &str) -> anyhow::Result<()> {
        let request = self.client.post(self.url("/restapi/v1/channels"));
        let answer = request.json(&json!({ "name": name })).send().await?;
        match answer.status() {
            status if status.is_success() || status == StatusCode::CONFLICT => Ok(()),
            _ => bail!(
                "channel {name:?} was not created: {}",
                refusal(answer).await
            ),
        }
    }

    /// Reads one page of a history, newest first, and whether there is more before it.
    pub async fn history(
        &self,
        who: &SignIn,
        of: &Target,
        lim: u32,
        before: Option<u64>,
    ) -> anyhow::Result<(Vec<HistoryMessage>, bool)> {
        let mut path = format!("{}?lim={lim}", of.history_path());
        if let Some(before) = before {
            path.push_str(&format!("&before={before}"));
        }
        let answer = self
            .client
            .get(self.url(&path))
            .bearer_auth(&who.ting_auth)
            .send()
            .await?;
        let more = answer
            .headers()
            .get("ting-more")
            .is_some_and(|more| more == "true");
        Ok((body(Ok(answer), "reading a history").await?, more))
    }

    /// Begins a message; answers its id.
    pub async fn post_message(
        &self,
        who: &SignIn,
        to: &Target,
        text: &str,
        typing: bool,
    ) -> anyhow::Result<u64> {
        #[derive(Deserialize)]
        struct Begun {
            messageid: u64,
        }
        let message =
            json!({ "type": to.kind, "target": to.target, "text": text, "typing": typing });
        let request = self
            .client
            .post(self.url("/api/v1/message"))
            .bearer_auth(&who.ting_auth);
        let begun: Begun = body(request.json(&message).send().await, "beginning a message").await?;
        Ok(begun.messageid)
    }

    /// Updates a message, sends it or, with blank text, erases it.
    pub async fn patch_message(
        &self,
        who: &SignIn,
        to: &Target,
        messageid: u64,
        text: &str,
        typing: bool,
    ) -> anyhow::Result<()> {
        let message = json!({
            "type": to.kind, "target": to.target, "text": text, "typing": typing,
            "messageid": messageid,
        });
        let request = self
            .client
            .patch(self.url("/api/v1/message"))
            .bearer_auth(&who.ting_auth);
        let answer = request.json(&message).send().await?;
        if answer.status().is_success() {
            return Ok(());
        }
        bail!(
            "message {messageid} was not updated: {}",
            refusal(answer).await
        )
    }

    /// Reads any page as text, such as metrics.
    pub async fn text(&self, path: &str) -> anyhow::Result<String> {
        let answer = self
            .client
            .get(self.url(path))
            .send()
            .await?
            .error_for_status()?;
        Ok(answer.text().await?)
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }
}

async fn body<T: DeserializeOwned>(
    answer: reqwest::Result<Response>,
    what: &str,
) -> anyhow::Result<T> {
    let answer = answer.with_context(|| what.to_owned())?;
    if !answer.status().is_success() {
        bail!("{what}: {}", refusal(answer).await);
    }
    answer
        .json()
        .await
        .with_context(|| format!("{what}: the answer"))
}

async fn refusal(answer: Response) -> String {
    let status = answer.status();
    let body: Value = answer.json().await.unwrap_or_default();
    format!("{status} {body}")
}
