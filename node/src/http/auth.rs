//! Who asks: the cookie `ting_auth`, a bearer token, or the secret of privileged callers.

use crate::app::App;
use crate::http::error::Failure;
use crate::refusal::Refusal;
use axum::extract::{FromRequestParts, OptionalFromRequestParts};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, header};
use cookie::{Cookie, SameSite};
use cql::{SessionToken, SignIn};

/// The cookie's name.
pub const COOKIE: &str = "ting_auth";

/// A person with a session; who has none is refused.
#[derive(Debug)]
pub struct SignedIn(pub SignIn);

/// A caller that showed the shared secret; who did not is refused before anything is looked up.
#[derive(Debug)]
pub struct Privileged;

impl FromRequestParts<App> for SignedIn {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Failure> {
        match who(&parts.headers, app).await? {
            Some(sign_in) => Ok(SignedIn(sign_in)),
            None => Err(Refusal::FORBIDDEN.into()),
        }
    }
}

impl OptionalFromRequestParts<App> for SignedIn {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Option<Self>, Failure> {
        Ok(who(&parts.headers, app).await?.map(SignedIn))
    }
}

impl FromRequestParts<App> for Privileged {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Failure> {
        let shown = parts.headers.get(header::AUTHORIZATION);
        match (&app.secret, shown) {
            (Some(secret), Some(shown)) if secret.is(shown.as_bytes()) => Ok(Privileged),
            _ => Err(Refusal::new(401, "unauthorized").into()),
        }
    }
}

async fn who(headers: &HeaderMap, app: &App) -> Result<Option<SignIn>, Failure> {
    match token(headers) {
        None => Ok(None),
        Some(token) => Ok(app.system.who(&token).await?),
    }
}

/// The token that a request shows; one in `Authorization` was meant more than a cookie.
pub fn token(headers: &HeaderMap) -> Option<SessionToken> {
    bearer(headers).or_else(|| cookie_token(headers))
}

/// The token in the cookies: of several with the name, the first that holds one.
pub fn cookie_token(headers: &HeaderMap) -> Option<SessionToken> {
    cookies(headers).find_map(|value| SessionToken::parse(&value))
}

/// Whether a browser may have sent it on its own.
pub fn has_cookie(headers: &HeaderMap) -> bool {
    cookies(headers).next().is_some()
}

fn bearer(headers: &HeaderMap) -> Option<SessionToken> {
    let shown = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = shown.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then(|| SessionToken::parse(token.trim()))
        .flatten()
}

fn cookies(headers: &HeaderMap) -> impl Iterator<Item = String> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|header| header.to_str().ok())
        .flat_map(Cookie::split_parse)
        .filter_map(Result::ok)
        .filter(|cookie| cookie.name() == COOKIE)
        .map(|cookie| cookie.value_trimmed().to_owned())
}

/// `Set-Cookie` with this token, for as long as a sign-in lasts unused.
pub fn set_cookie(token: &SessionToken, secure: bool) -> HeaderValue {
    cookie(token.reveal(), SignIn::LIFETIME / 1_000, secure)
}

/// `Set-Cookie` that makes the browser forget it.
pub fn clear_cookie(secure: bool) -> HeaderValue {
    cookie(String::new(), 0, secure)
}

fn cookie(value: String, max_age_seconds: i64, secure: bool) -> HeaderValue {
    let cookie = Cookie::build((COOKIE, value))
        .path("/")
        .http_only(true)
        .same_site(SameSite::Lax)
        .secure(secure)
        .max_age(cookie::time::Duration::seconds(max_age_seconds))
        .build();
    // A token is base64 and the rest are constants of ours.
    HeaderValue::try_from(cookie.to_string()).unwrap_or(HeaderValue::from_static(""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| {
                let value = HeaderValue::from_str(value).unwrap();
                (header::HeaderName::from_static(name), value)
            })
            .collect()
    }

    #[test]
    fn a_token_is_found_among_other_cookies() {
        let ours = SessionToken::random();
        let shown = ours.reveal();
        for line in [
            format!("ting_auth={shown}"),
            format!("theme=dark; ting_auth={shown}; x=y"),
            format!("x; =; ting_auth={shown};"),
            format!("ting_auth=old; ting_auth={shown}"),
            format!("a=1;ting_auth=\"{shown}\" ; c=3"),
        ] {
            assert_eq!(token(&headers(&[("cookie", &line)])), Some(ours.clone()));
        }
        let other = format!("not_ting_auth={shown}");
        assert_eq!(token(&headers(&[("cookie", &other)])), None);
        assert!(!has_cookie(&headers(&[("cookie", &other)])));
        assert!(has_cookie(&headers(&[("cookie", "a=b; ting_auth=wrong")])));
    }

    #[test]
    fn a_bearer_token_goes_before_a_cookie() {
        let (bearer, cookie) = (SessionToken::random(), SessionToken::random());
        let cookie_line = format!("ting_auth={}", cookie.reveal());
        for scheme in ["Bearer", "bearer", "BEARER"] {
            let line = format!("{scheme} {}", bearer.reveal());
            let both = headers(&[("authorization", &line), ("cookie", &cookie_line)]);
            assert_eq!(token(&both), Some(bearer.clone()));
        }
        // A shared secret is none, and leaves the cookie to count.
        let both = headers(&[("authorization", "s3cret"), ("cookie", &cookie_line)]);
        assert_eq!(token(&both), Some(cookie));
        let basic = format!("Basic {}", bearer.reveal());
        assert_eq!(token(&headers(&[("authorization", &basic)])), None);
    }

    #[test]
    fn the_cookie_is_kept_from_scripts_and_other_pages() {
        let token = SessionToken::random();
        let set = set_cookie(&token, true);
        let set = set.to_str().unwrap();
        assert!(set.starts_with(&format!("ting_auth={}; ", token.reveal())));
        for part in [
            "HttpOnly",
            "SameSite=Lax",
            "Secure",
            "Path=/",
            "Max-Age=2592000",
        ] {
            assert!(
                set.split("; ").any(|given| given == part),
                "{part} in {set}"
            );
        }
        assert!(
            !set_cookie(&token, false)
                .to_str()
                .unwrap()
                .contains("Secure")
        );
        assert!(clear_cookie(false).to_str().unwrap().contains("Max-Age=0"));
    }

    proptest! {
        #[test]
        fn any_header_is_read_or_left(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            if let Ok(value) = HeaderValue::from_bytes(&bytes) {
                let mut headers = HeaderMap::new();
                headers.insert(header::COOKIE, value.clone());
                headers.insert(header::AUTHORIZATION, value);
                prop_assert_eq!(token(&headers), None);
            }
        }
    }
}
