//! Bodies, JSON or form by `Content-Type`, read into the same values.
//!
//! A form knows text alone. One word stands for one thing in the whole protocol, so a field's
//! name says whether it is text, a number or a yes or no.

use crate::http::error::Failure;
use crate::http::guard::NoBody;
use crate::refusal::Refusal;
use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, header};
use percent_encoding::percent_decode;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// A request's body, read.
#[derive(Debug)]
pub struct Body<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Self, Failure> {
        if let Some(NoBody(refusal)) = request.extensions().get::<NoBody>() {
            return Err((*refusal).into());
        }
        let format = Format::of(request.headers()).ok_or(Refusal::MALFORMED)?;
        let bytes = Bytes::from_request(request, state)
            .await
            .map_err(|_| Refusal::MALFORMED)?;
        let fields = read(format, &bytes)?;
        serde_json::from_value(Value::Object(fields))
            .map(Body)
            .map_err(|_| Refusal::INVALID.into())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Json,
    Form,
}

impl Format {
    fn of(headers: &HeaderMap) -> Option<Self> {
        let kind = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
        let kind = kind.split(';').next()?.trim();
        if kind.eq_ignore_ascii_case("application/json") {
            Some(Format::Json)
        } else if kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            Some(Format::Form)
        } else {
            None
        }
    }
}

fn read(format: Format, bytes: &[u8]) -> Result<Map<String, Value>, Refusal> {
    match format {
        Format::Form => form(bytes).ok_or(Refusal::MALFORMED),
        Format::Json => match serde_json::from_slice(bytes) {
            Ok(Value::Object(fields)) => Ok(fields),
            Ok(_) => Err(Refusal::INVALID),
            Err(_) => Err(Refusal::MALFORMED),
        },
    }
}

fn form(bytes: &[u8]) -> Option<Map<String, Value>> {
    bytes
        .split(|byte| *byte == b'&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let mut parts = pair.splitn(2, |byte| *byte == b'=');
            let name = decoded(parts.next().unwrap_or_default())?;
            let value = decoded(parts.next().unwrap_or_default())?;
            let value = typed(&name, value);
            Some((name, value))
        })
        .collect()
}

/// Nothing is replaced: what is not UTF-8 is not what anybody typed.
fn decoded(part: &[u8]) -> Option<String> {
    let spaced: Vec<u8> = part
        .iter()
        .map(|byte| if *byte == b'+' { b' ' } else { *byte })
        .collect();
    percent_decode(&spaced)
        .decode_utf8()
        .ok()
        .map(|text| text.into_owned())
}

/// What is not of its field's kind stays text, and is refused where the field is read.
fn typed(name: &str, value: String) -> Value {
    match name {
        "typing" => match value.as_str() {
            "true" | "1" => Value::Bool(true),
            "false" | "0" => Value::Bool(false),
            _ => Value::String(value),
        },
        "messageid" | "rev" | "datetime_start" | "datetime_sent" => value
            .parse::<i64>()
            .map_or(Value::String(value), Value::from),
        _ => Value::String(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[derive(Debug, PartialEq, serde::Deserialize)]
    struct Asked {
        text: String,
        typing: Option<bool>,
        messageid: Option<u64>,
    }

    async fn ask(kind: Option<&str>, body: &[u8]) -> Result<Asked, Failure> {
        let mut request = Request::builder().method("POST").uri("/");
        if let Some(kind) = kind {
            request = request.header(header::CONTENT_TYPE, kind);
        }
        let request = request.body(body.to_vec().into()).unwrap();
        Body::<Asked>::from_request(request, &())
            .await
            .map(|Body(asked)| asked)
    }

    fn asked(text: &str, typing: Option<bool>, messageid: Option<u64>) -> Asked {
        Asked {
            text: text.to_owned(),
            typing,
            messageid,
        }
    }

    #[tokio::test]
    async fn json_and_form_say_the_same() {
        let json = json!({"text": "a & λ", "typing": false, "messageid": 7}).to_string();
        let expected = asked("a & λ", Some(false), Some(7));
        for kind in ["application/json", "Application/JSON; charset=utf-8"] {
            assert_eq!(ask(Some(kind), json.as_bytes()).await.unwrap(), expected);
        }
        let form = "text=a+%26+%CE%BB&typing=0&messageid=7&&";
        let kind = "application/x-www-form-urlencoded; charset=UTF-8";
        assert_eq!(ask(Some(kind), form.as_bytes()).await.unwrap(), expected);
    }

    #[tokio::test]
    async fn what_cannot_be_read_is_told_from_what_has_the_wrong_type() {
        let json = Some("application/json");
        let form = Some("application/x-www-form-urlencoded");
        for (kind, body, refusal) in [
            (json, "", Refusal::MALFORMED),
            (json, "{\"text\": \"a\"", Refusal::MALFORMED),
            (json, "{\"text\": \"\\ud800\"}", Refusal::MALFORMED),
            (form, "text=%FF", Refusal::MALFORMED),
            (None, "{\"text\": \"a\"}", Refusal::MALFORMED),
            (Some("text/plain"), "text=a", Refusal::MALFORMED),
            (json, "[\"a\", true, 7]", Refusal::INVALID),
            (json, "null", Refusal::INVALID),
            (json, "{}", Refusal::INVALID),
            (json, "{\"text\": 5}", Refusal::INVALID),
            (
                json,
                "{\"text\": \"a\", \"typing\": \"true\"}",
                Refusal::INVALID,
            ),
            (
                json,
                "{\"text\": \"a\", \"messageid\": \"7\"}",
                Refusal::INVALID,
            ),
            (
                json,
                "{\"text\": \"a\", \"messageid\": 7.5}",
                Refusal::INVALID,
            ),
            (
                json,
                "{\"text\": \"a\", \"messageid\": -7}",
                Refusal::INVALID,
            ),
            (form, "text=a&typing=maybe", Refusal::INVALID),
            (form, "text=a&messageid=seven", Refusal::INVALID),
            (form, "", Refusal::INVALID),
        ] {
            assert_eq!(
                ask(kind, body.as_bytes()).await,
                Err(Failure::Refused(refusal)),
                "{body}"
            );
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            for format in [Format::Json, Format::Form] {
                if let Err(refusal) = read(format, &bytes) {
                    prop_assert_eq!(refusal.status, 400);
                }
            }
        }

        #[test]
        fn a_form_carries_any_text(text in "\\PC{0,40}") {
            let encoded = percent_encoding::utf8_percent_encode(
                &text,
                percent_encoding::NON_ALPHANUMERIC,
            );
            let fields = form(format!("text={encoded}").as_bytes()).unwrap();
            prop_assert_eq!(&fields["text"], &Value::String(text));
        }
    }
}
