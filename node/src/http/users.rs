//! What a person has told of oneself, and changing it.

use crate::app::App;
use crate::client_address::Client;
use crate::http::At;
use crate::http::auth::SignedIn;
use crate::http::body::Body;
use crate::http::error::{Error, Failure};
use crate::refusal::Refusal;
use axum::extract::{FromRequestParts, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::{Extension, Json};
use cql::{
    Birthday, Email, Gender, Millis, Profile, ProfileChanges, ProfileError, SignIn, StoreError,
    Username,
};
use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use tracing::Instrument;
use utoipa::ToSchema;

/// Longer ones are no safer, and somebody has to hash them.
const PASSWORD_BYTES_MAX: usize = 128;

/// A person, as others see them: only what was given.
#[derive(Debug, Serialize, ToSchema)]
pub struct Person {
    /// The name.
    username: String,
    /// Whether they have a connection anywhere.
    online: bool,
    /// `male` or `female`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    gender: Option<&'static str>,
    /// Whole years.
    #[serde(skip_serializing_if = "Option::is_none")]
    age: Option<u32>,
}

/// A person.
#[utoipa::path(
    get, path = "/users/{username}", tag = "users",
    params(("username" = String, Path, description = "The name")),
    responses(
        (status = 200, description = "What is known", body = Person),
        (status = 404, description = "Nobody has that name", body = Error),
    )
)]
pub async fn person(
    State(app): State<App>,
    At(username): At<String>,
) -> Result<Json<Person>, Failure> {
    let username = Username::parse(&username).map_err(|_| Refusal::NOT_FOUND)?;
    let now = app.system.now();
    let user = app
        .store
        .user_named(&username)
        .await?
        .filter(|user| !user.is_released(now))
        .ok_or(Refusal::NOT_FOUND)?;
    Ok(Json(Person {
        username: user.username.to_string(),
        online: app.system.online(user.id).await,
        gender: match user.profile.gender {
            Gender::NotGiven => None,
            given => Some(given.as_str()),
        },
        age: user.profile.birthday.map(|birthday| birthday.age(now)),
    }))
}

/// Who asks about oneself, as the path says; others are refused, whatever they ask.
#[derive(Debug)]
pub struct Oneself(SignIn);

impl FromRequestParts<App> for Oneself {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Failure> {
        let At(username) = At::<String>::from_request_parts(parts, app).await?;
        let SignedIn(by) =
            <SignedIn as FromRequestParts<App>>::from_request_parts(parts, app).await?;
        if Username::parse(&username).ok().as_ref() != Some(&by.username) {
            return Err(Refusal::FORBIDDEN.into());
        }
        Ok(Oneself(by))
    }
}

/// What may be changed; what is not named stays.
#[derive(Debug, ToSchema)]
#[schema(as = ProfileChanges)]
#[allow(dead_code)]
pub struct Wished {
    /// Where mail reaches the person; empty: nowhere.
    email: Option<String>,
    /// 1 to 128 bytes.
    #[schema(min_length = 1, max_length = 128)]
    password: Option<String>,
    /// `YYYY-MM-DD`, past, from 1900-01-01 on.
    #[schema(value_type = Option<String>, format = "date")]
    birthday: Option<String>,
    /// `male`, `female` or `-`.
    #[schema(pattern = "^(male|female|-)$")]
    gender: Option<String>,
}

/// Changes oneself: all of it or nothing. A new password ends the other sessions.
#[utoipa::path(
    patch, path = "/users/{username}", tag = "users",
    params(("username" = String, Path, description = "One's own name")),
    request_body(content((Wished = "application/json"), (Wished = "application/x-www-form-urlencoded"))),
    responses(
        (status = 204, description = "Changed"),
        (status = 400, description = "Not an object", body = Error),
        (status = 403, description = "Somebody else, or no session", body = Error),
        (status = 422, description = "What is wrong with which field", body = Error),
        (status = 429, description = "Too many passwords from this address", body = Error),
    ),
    security(("cookie" = []), ("bearer" = []))
)]
pub async fn change(
    State(app): State<App>,
    Extension(client): Extension<Client>,
    Oneself(by): Oneself,
    Body(asked): Body<Map<String, Value>>,
) -> Result<StatusCode, Failure> {
    let wishes = Wishes::read(asked, app.system.now()).map_err(Failure::Fields)?;
    if wishes.password.is_some() {
        app.sign_ins.take(&client)?;
    }
    // Finished also when the caller has hung up: half of it must not stay undone.
    let work = async move { apply(&app, &by, wishes).await };
    tokio::spawn(work.in_current_span())
        .await
        .map_err(|_| Refusal::UNAVAILABLE)??;
    Ok(StatusCode::NO_CONTENT)
}

async fn apply(app: &App, by: &SignIn, wishes: Wishes) -> Result<(), Failure> {
    let password_hash = match wishes.password.clone() {
        Some(password) => Some(app.passwords.hash(password).await?),
        None => None,
    };
    let new_password = password_hash.is_some();
    {
        let _alone = app.profile(by.user).await;
        let user = app.store.user(by.user).await?.ok_or(Refusal::FORBIDDEN)?;
        let changes = ProfileChanges {
            password_hash,
            profile: wishes.profile(user.profile),
        };
        if !app.store.change_user(by.user, &changes).await? {
            return Err(Refusal::FORBIDDEN.into());
        }
    }
    if new_password {
        end_others(app, by).await?;
    }
    Ok(())
}

async fn end_others(app: &App, by: &SignIn) -> Result<(), StoreError> {
    for other in app.store.sign_ins_of(by.user).await? {
        if other != by.hash {
            app.system.end_sign_in(other).await?;
        }
    }
    Ok(())
}

/// What is to change, found good.
#[derive(Default)]
struct Wishes {
    email: Option<Option<Email>>,
    password: Option<String>,
    birthday: Option<Birthday>,
    gender: Option<Gender>,
}

impl Wishes {
    /// Looks at all fields, so that everything wrong is told at once.
    fn read(
        asked: Map<String, Value>,
        now: Millis,
    ) -> Result<Self, BTreeMap<String, &'static str>> {
        let mut wishes = Wishes::default();
        let mut wrong = BTreeMap::new();
        for (field, value) in asked {
            if let Err(code) = wishes.take(&field, value, now) {
                wrong.insert(field, code);
            }
        }
        if wrong.is_empty() {
            Ok(wishes)
        } else {
            Err(wrong)
        }
    }

    fn take(&mut self, field: &str, value: Value, now: Millis) -> Result<(), &'static str> {
        if !matches!(field, "email" | "password" | "birthday" | "gender") {
            return Err("unknown");
        }
        let Value::String(text) = value else {
            return Err("invalid");
        };
        match field {
            "email" if text.is_empty() => self.email = Some(None),
            "email" => self.email = Some(Some(Email::parse(&text).map_err(code)?)),
            "birthday" => self.birthday = Some(Birthday::parse(&text, now).map_err(code)?),
            "gender" => self.gender = Some(Gender::parse(&text).map_err(code)?),
            _ if (1..=PASSWORD_BYTES_MAX).contains(&text.len()) => self.password = Some(text),
            _ => return Err("length"),
        }
        Ok(())
    }

    /// The whole profile with what changes in it, if anything does.
    fn profile(self, old: Profile) -> Option<Profile> {
        let changes = self.email.is_some() || self.birthday.is_some() || self.gender.is_some();
        changes.then(|| Profile {
            email: self.email.unwrap_or(old.email),
            birthday: self.birthday.or(old.birthday),
            gender: self.gender.unwrap_or(old.gender),
        })
    }
}

fn code(error: ProfileError) -> &'static str {
    match error {
        ProfileError::Invalid => "invalid",
        ProfileError::Length => "length",
        ProfileError::Future => "future",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// 2026-11-22T00:00:00Z
    const NOW: Millis = 1_795_305_600_000;

    fn read(asked: Value) -> Result<Wishes, BTreeMap<String, &'static str>> {
        match asked {
            Value::Object(fields) => Wishes::read(fields, NOW),
            other => panic!("{other} is no object"),
        }
    }

    #[test]
    fn everything_wrong_is_told_at_once() {
        let wrong = read(json!({
            "email": "ada",
            "password": "",
            "birthday": "2999-01-01",
            "gender": 5,
            "shoe_size": 42,
        }))
        .err()
        .unwrap();
        let expected = [
            ("birthday", "future"),
            ("email", "invalid"),
            ("gender", "invalid"),
            ("password", "length"),
            ("shoe_size", "unknown"),
        ];
        let expected: BTreeMap<_, _> = expected
            .into_iter()
            .map(|(field, code)| (field.to_owned(), code))
            .collect();
        assert_eq!(wrong, expected);
        assert!(read(json!({"password": "x".repeat(129)})).is_err());
        assert!(read(json!({"password": "x".repeat(128)})).is_ok());
    }

    #[test]
    fn what_is_not_named_stays() {
        let old = Profile {
            email: Some(Email::parse("ada@example.org").unwrap()),
            birthday: None,
            gender: Gender::Female,
        };
        let profile = |asked| read(asked).unwrap().profile(old.clone());
        assert_eq!(profile(json!({})), None);
        assert_eq!(profile(json!({"password": "x"})), None);
        let changed = profile(json!({"birthday": "2000-02-29"})).unwrap();
        assert_eq!(changed.email, old.email);
        assert_eq!(changed.gender, Gender::Female);
        assert!(changed.birthday.is_some());
        assert_eq!(profile(json!({"email": ""})).unwrap().email, None);
    }
}
