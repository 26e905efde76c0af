//! History, and the messages that privileged callers bring in, change and delete.

use crate::app::App;
use crate::destination::{self, resolve_for};
use crate::http::At;
use crate::http::auth::{Privileged, SignedIn};
use crate::http::body::Body;
use crate::http::error::{Error, Failure};
use crate::refusal::Refusal;
use actors::edge::Entry;
use actors::{Destination, PrivilegedPatch, PrivilegedPost};
use axum::Json;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{AppendHeaders, IntoResponse};
use cql::{Conversation, MessageId, MessageText, Millis, Range, TextError, Username};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// How many messages are returned when nothing is said: two screens.
const LIMIT_DEFAULT: usize = 100;

/// And at most; more is asked page by page.
const LIMIT_MAX: usize = 1_000;

/// Ids and times a client can read exactly lie below.
pub const INTEGER_END: u64 = 1 << 53;

/// A message as history shows it.
#[derive(Debug, Serialize, ToSchema)]
pub struct Message {
    /// Its id, which is its place.
    pub id: u64,
    /// The text; of one being typed, as far as it is.
    pub text: String,
    /// Who wrote it.
    pub username: String,
    /// When typing began.
    pub datetime_start: Millis,
    /// When it was sent; null while it is typed.
    pub datetime_sent: Option<Millis>,
    /// Whether it is being typed.
    pub typing: bool,
}

impl From<&Entry> for Message {
    fn from(entry: &Entry) -> Self {
        Message {
            id: entry.id.0,
            text: entry.text.to_string(),
            username: entry.username.to_string(),
            datetime_start: entry.datetime_start,
            datetime_sent: entry.datetime_sent,
            typing: entry.typing,
        }
    }
}

/// Which part of a history.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Part {
    /// At most so many; above 1,000 is 1,000.
    #[param(value_type = Option<u64>, example = 100)]
    lim: Option<String>,
    /// Only ids below.
    #[param(value_type = Option<u64>, maximum = 9007199254740991u64)]
    before: Option<String>,
    /// Only ids above.
    #[param(value_type = Option<u64>, maximum = 9007199254740991u64)]
    after: Option<String>,
}

impl Part {
    fn range(&self) -> Result<Range, Refusal> {
        Ok(Range {
            before: self.before.as_deref().map(place).transpose()?,
            after: self.after.as_deref().map(place).transpose()?,
            limit: self.lim.as_deref().map_or(Ok(LIMIT_DEFAULT), limit)?,
        })
    }
}

/// Digits alone: neither a sign nor a blank is part of a number here.
fn digits(written: &str) -> Result<&str, Refusal> {
    let all = !written.is_empty() && written.bytes().all(|byte| byte.is_ascii_digit());
    all.then_some(written).ok_or(Refusal::INVALID)
}

fn limit(written: &str) -> Result<usize, Refusal> {
    // Digits that are no usize are more than enough.
    Ok(digits(written)?.parse().unwrap_or(LIMIT_MAX).min(LIMIT_MAX))
}

fn place(written: &str) -> Result<MessageId, Refusal> {
    digits(written)?
        .parse()
        .ok()
        .filter(|id| *id < INTEGER_END)
        .map(MessageId)
        .ok_or(Refusal::INVALID)
}

/// In a path, what cannot be is not there.
fn there(refusal: destination::Refusal) -> Refusal {
    match refusal {
        destination::Refusal::Invalid => Refusal::NOT_FOUND,
        other => other.into(),
    }
}

/// The newest messages of a channel, or of the private with a person.
///
/// Messages being typed are among them. Whoever reads a channel signed in enters it.
#[utoipa::path(
    get, path = "/messages/{type}/{target}", tag = "messages",
    params(
        ("type" = inline(Kind), Path, description = "`channel` or `user`"),
        ("target" = String, Path, description = "The channel, or the other person"),
        Part
    ),
    responses(
        (status = 200, description = "Newest first", body = [Message],
         headers(("Ting-More" = bool, description = "Whether older ones match too"))),
        (status = 400, description = "Not a number", body = Error),
        (status = 403, description = "A private needs a session", body = Error),
        (status = 404, description = "No such channel or person", body = Error),
    ),
    security((), ("cookie" = []), ("bearer" = []))
)]
pub async fn history(
    State(app): State<App>,
    At((kind, target)): At<(String, String)>,
    part: Result<Query<Part>, axum::extract::rejection::QueryRejection>,
    by: Option<SignedIn>,
) -> Result<impl IntoResponse, Failure> {
    let Query(part) = part.map_err(|_| Refusal::INVALID)?;
    let range = part.range()?;
    let by = by.map(|SignedIn(by)| by);
    let Destination { conversation, .. } =
        destination::resolve(&app.system, by.as_ref(), &kind, &target)
            .await
            .map_err(there)?;
    if let (Some(by), Conversation::Channel(channel)) = (&by, &conversation) {
        app.system.enter_implicitly(by, channel).await;
    }
    // To say whether any match, one has to be looked for.
    let asked = Range {
        limit: range.limit.max(1),
        ..range
    };
    let history = app.system.history(&conversation, asked).await?;
    let shown: Vec<Message> = history
        .entries
        .iter()
        .take(range.limit)
        .map(Message::from)
        .collect();
    let more = history.more || shown.len() < history.entries.len();
    let more = if more { "true" } else { "false" };
    Ok((AppendHeaders([("ting-more", more)]), Json(shown)))
}

/// What a conversation is.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[allow(dead_code)]
pub enum Kind {
    /// A room that anybody may enter.
    Channel,
    /// The private with a person.
    User,
}

/// A message brought in.
#[derive(Debug, Deserialize, ToSchema)]
pub struct Bring {
    /// What is said.
    #[schema(min_length = 1, max_length = 2000)]
    text: String,
    /// Who is named as its author.
    username: String,
    /// When it is said to have begun.
    #[schema(minimum = 0, maximum = 9007199254740991u64)]
    datetime_start: Option<u64>,
    /// Whether it is still being typed.
    typing: Option<bool>,
}

/// Brings a message in: privileged.
#[utoipa::path(
    post, path = "/messages/{type}/{target}", tag = "messages",
    params(
        ("type" = inline(Kind), Path, description = "`channel` or `user`"),
        ("target" = String, Path, description = "The channel, or the other person")
    ),
    request_body(content((Bring = "application/json"), (Bring = "application/x-www-form-urlencoded"))),
    responses(
        (status = 200, description = "The id of the message", body = u64, content_type = "application/json"),
        (status = 400, description = "The text or a name is none", body = Error),
        (status = 401, description = "Not privileged", body = Error),
        (status = 403, description = "From a page that may not", body = Error),
        (status = 404, description = "No such channel or person", body = Error),
    ),
    security(("secret" = []))
)]
pub async fn bring(
    State(app): State<App>,
    _: Privileged,
    At((kind, target)): At<(String, String)>,
    Body(asked): Body<Bring>,
) -> Result<Json<u64>, Failure> {
    let text = MessageText::parse(asked.text)?;
    let username = Username::parse(&asked.username)?;
    let start = asked.datetime_start.map(time).transpose()?;
    let author = app.system.user_named(&username).await?;
    if kind == "user" && author.is_none() {
        return Err(Refusal::NOT_FOUND.into());
    }
    let to = resolve_for(&app.system, author, &kind, &target)
        .await
        .map_err(there)?;
    let id = app
        .system
        .post_privileged(PrivilegedPost {
            to,
            author,
            username,
            text,
            datetime_start: start.unwrap_or_else(|| app.system.now()),
            typing: asked.typing.unwrap_or(false),
        })
        .await?;
    Ok(Json(id.0))
}

/// Times are whole milliseconds that a client can read exactly.
fn time(written: u64) -> Result<Millis, Refusal> {
    Some(written)
        .filter(|time| *time < INTEGER_END)
        .and_then(|time| Millis::try_from(time).ok())
        .ok_or(Refusal::INVALID)
}

/// A message changed.
#[derive(Debug, Deserialize, ToSchema)]
pub struct Change {
    /// The whole text; blank erases.
    #[schema(max_length = 2000)]
    text: String,
    /// When it is said to have been sent.
    #[schema(minimum = 0, maximum = 9007199254740991u64)]
    datetime_sent: Option<u64>,
    /// Whether it is still being typed.
    typing: bool,
}

/// Changes a message that is not sent yet, sends or erases it: privileged.
#[utoipa::path(
    patch, path = "/messages/{id}", tag = "messages",
    params(("id" = u64, Path, description = "The message")),
    request_body(content((Change = "application/json"), (Change = "application/x-www-form-urlencoded"))),
    responses(
        (status = 204, description = "Done"),
        (status = 400, description = "It is sent already", body = Error),
        (status = 401, description = "Not privileged", body = Error),
        (status = 403, description = "From a page that may not", body = Error),
        (status = 404, description = "No such message", body = Error),
    ),
    security(("secret" = []))
)]
pub async fn change(
    State(app): State<App>,
    _: Privileged,
    At(id): At<String>,
    Body(asked): Body<Change>,
) -> Result<StatusCode, Failure> {
    let patch = PrivilegedPatch {
        id: place(&id).map_err(|_| Refusal::NOT_FOUND)?,
        text: text_or_erased(asked.text)?,
        datetime_sent: asked.datetime_sent.map(time).transpose()?,
        typing: asked.typing,
    };
    app.system.patch_privileged(patch).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Blank text erases.
pub fn text_or_erased(text: String) -> Result<Option<MessageText>, Refusal> {
    match MessageText::parse(text) {
        Ok(text) => Ok(Some(text)),
        Err(TextError::Empty) => Ok(None),
        Err(long @ TextError::Length) => Err(long.into()),
    }
}

/// Deletes a message, sent or not: privileged.
#[utoipa::path(
    delete, path = "/messages/{id}", tag = "messages",
    params(("id" = u64, Path, description = "The message")),
    responses(
        (status = 204, description = "It is gone"),
        (status = 401, description = "Not privileged", body = Error),
        (status = 403, description = "From a page that may not", body = Error),
        (status = 404, description = "No such message", body = Error),
    ),
    security(("secret" = []))
)]
pub async fn delete(
    State(app): State<App>,
    _: Privileged,
    At(id): At<String>,
) -> Result<StatusCode, Failure> {
    let id = place(&id).map_err(|_| Refusal::NOT_FOUND)?;
    app.system.delete(id).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::Uri;
    use proptest::prelude::*;

    /// What a query asks for, the way it comes in.
    fn asked(query: &str) -> Result<Range, Refusal> {
        let uri = Uri::try_from(format!("/?{query}")).unwrap();
        let part = Query::<Part>::try_from_uri(&uri).map_err(|_| Refusal::INVALID)?;
        part.range()
    }

    /// As a number is written, or nearly.
    fn number() -> impl Strategy<Value = String> {
        prop_oneof![
            "0{0,3}[0-9]{0,25}",
            (INTEGER_END - 2..INTEGER_END + 2).prop_map(|id| id.to_string()),
            "[0-9+. a-fxλ٣-]{0,5}",
        ]
    }

    proptest! {
        #[test]
        fn numbers_of_digits_alone_are_a_range_and_nothing_else_is(
            lim in prop::option::of(number()),
            before in prop::option::of(number()),
            after in prop::option::of(number()),
        ) {
            let fields = [("lim", &lim), ("before", &before), ("after", &after)];
            let query: Vec<_> = fields
                .iter()
                .filter_map(|(name, value)| {
                    let value = value.as_deref()?.as_bytes();
                    let all = percent_encoding::NON_ALPHANUMERIC;
                    Some(format!("{name}={}", percent_encoding::percent_encode(value, all)))
                })
                .collect();
            // Twenty-five digits fit.
            let read = |text: &Option<String>| match text {
                None => Some(None),
                Some(text) if text.bytes().all(|byte| byte.is_ascii_digit()) => {
                    text.parse::<u128>().ok().map(Some)
                }
                Some(_) => None,
            };
            let exact = |id: &Option<u128>| id.is_none_or(|id| id < u128::from(INTEGER_END));
            let id = |id: Option<u128>| id.map(|id| MessageId(id as u64));
            let expected = match (read(&lim), read(&before), read(&after)) {
                (Some(lim), Some(before), Some(after)) if exact(&before) && exact(&after) => {
                    let limit = lim.map_or(100, |lim| lim.min(1_000) as usize);
                    Ok(Range { before: id(before), after: id(after), limit })
                }
                _ => Err(Refusal::INVALID),
            };
            prop_assert_eq!(asked(&query.join("&")), expected);
        }

        #[test]
        fn any_query_is_a_range_that_reads_as_it_is_written_or_is_refused(
            query in prop_oneof![
                "[!$-;=?-_a-z~%&]{0,60}",
                "((lim|before|after|more)=[0-9%+]{0,6}&?){0,5}",
            ],
        ) {
            match asked(&query) {
                Ok(range) => {
                    prop_assert!(range.limit <= 1_000);
                    let mut written = format!("lim={}", range.limit);
                    for (name, id) in [("before", range.before), ("after", range.after)] {
                        if let Some(id) = id {
                            prop_assert!(id.0 < INTEGER_END);
                            written += &format!("&{name}={id}");
                        }
                    }
                    prop_assert_eq!(asked(&written), Ok(range));
                }
                Err(refusal) => prop_assert_eq!(refusal, Refusal::INVALID),
            }
        }
    }

    fn range(lim: Option<&str>, before: Option<&str>) -> Result<Range, Refusal> {
        Part {
            lim: lim.map(str::to_owned),
            before: before.map(str::to_owned),
            after: None,
        }
        .range()
    }

    #[test]
    fn a_page_is_a_hundred_and_at_most_a_thousand() {
        for (lim, limit) in [
            (None, 100),
            (Some("0"), 0),
            (Some("7"), 7),
            (Some("1001"), 1_000),
            (Some("99999999999999999999999999"), 1_000),
        ] {
            assert_eq!(range(lim, None).unwrap().limit, limit);
        }
        for wrong in ["", "-1", "+1", "1.5", "x", "1 "] {
            assert_eq!(range(Some(wrong), None), Err(Refusal::INVALID), "{wrong:?}");
        }
    }

    #[test]
    fn a_place_is_below_what_a_client_reads_exactly() {
        let last = (INTEGER_END - 1).to_string();
        assert!(range(None, Some(&last)).is_ok());
        assert_eq!(
            range(None, Some(&INTEGER_END.to_string())),
            Err(Refusal::INVALID)
        );
    }
}
