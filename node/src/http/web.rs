//! The web client, embedded in the binary: its files as they were built, and `index.html` for
//! every path that is the client's own matter.

use crate::http::error::Failure;
use crate::refusal::Refusal;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use rust_embed::{EmbeddedFile, RustEmbed};
use std::borrow::Cow;

/// Nothing but what the client is made of, nothing inline, and no string becomes a page.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
     font-src 'self'; connect-src 'self' ws: wss:; manifest-src 'self'; base-uri 'none'; \
     form-action 'self'; frame-ancestors 'none'; require-trusted-types-for 'script'; \
     trusted-types 'none'",
);

/// Files here have their content's hash in their name.
const HASHED: &str = "assets/";

/// Encodings the files are kept in beside themselves, the better one first.
const ENCODINGS: [(&str, &str); 2] = [("br", ".br"), ("gzip", ".gz")];

const INDEX: &str = "index.html";

/// What is shown where Ting was built without its client.
const ABSENT: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Ting</title>\
<h1>Ting</h1><p>This Ting was built without its web client. Any socket.io client can talk to it.</p>";

#[derive(RustEmbed)]
#[folder = "$OUT_DIR/web"]
struct Files;

/// The file that is meant, or the client's one page.
pub fn serve(request: &Request) -> Result<Response<Body>, Failure> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return Err(Refusal::new(405, "method_not_allowed").into());
    }
    let path = request.uri().path().trim_start_matches('/');
    let kept = ENCODINGS.iter().any(|(_, suffix)| path.ends_with(suffix));
    if !path.is_empty() && !kept && Files::get(path).is_some() {
        return Ok(answer(path, request.headers()));
    }
    // Of a file that went with an older version, a page would be a broken script.
    if path.starts_with(HASHED) {
        return Err(Refusal::NOT_FOUND.into());
    }
    Ok(answer(INDEX, request.headers()))
}

fn answer(path: &str, asked: &HeaderMap) -> Response<Body> {
    let (file, encoding) = match best(path, asked) {
        Some(found) => found,
        None => return page(StatusCode::OK, Cow::Borrowed(ABSENT.as_bytes())),
    };
    let tag = tag(&file, encoding);
    let same = asked
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|tags| tags.to_str().ok())
        .flat_map(|tags| tags.split(','))
        .any(|known| matches!(known.trim(), "*") || known.trim().trim_start_matches("W/") == tag);
    let mut response = if same {
        page(StatusCode::NOT_MODIFIED, Cow::Borrowed(&[]))
    } else {
        page(StatusCode::OK, file.data)
    };
    let headers = response.headers_mut();
    let kind = Files::get(path).map(|plain| plain.metadata.mimetype().to_owned());
    if let Some(kind) = kind.and_then(|kind| content_type(&kind)) {
        headers.insert(header::CONTENT_TYPE, kind);
    }
    if let Ok(tag) = HeaderValue::try_from(tag) {
        headers.insert(header::ETAG, tag);
    }
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    headers.insert(header::CACHE_CONTROL, cached(path));
    if let (Some(encoding), false) = (encoding, same) {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(encoding));
    }
    response
}

fn page(status: StatusCode, body: Cow<'static, [u8]>) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, POLICY);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/html; charset=utf-8"),
    );
    response
}

fn content_type(kind: &str) -> Option<HeaderValue> {
    let text = kind.starts_with("text/") || kind.ends_with("/javascript");
    let kind = if text {
        format!("{kind}; charset=utf-8")
    } else {
        kind.to_owned()
    };
    HeaderValue::try_from(kind).ok()
}

/// What has its hash in its name never changes; the rest is asked for each time and mostly has
/// not.
fn cached(path: &str) -> HeaderValue {
    if path.starts_with(HASHED) {
        HeaderValue::from_static("public, max-age=31536000, immutable")
    } else {
        HeaderValue::from_static("no-cache")
    }
}

/// The file in the smallest form that the client takes.
fn best(path: &str, asked: &HeaderMap) -> Option<(EmbeddedFile, Option<&'static str>)> {
    ENCODINGS
        .iter()
        .filter(|(encoding, _)| accepts(asked, encoding))
        .find_map(|(encoding, suffix)| {
            Some((Files::get(&format!("{path}{suffix}"))?, Some(*encoding)))
        })
        .or_else(|| Some((Files::get(path)?, None)))
}

fn accepts(asked: &HeaderMap, encoding: &str) -> bool {
    asked
        .get_all(header::ACCEPT_ENCODING)
        .iter()
        .filter_map(|list| list.to_str().ok())
        .flat_map(|list| list.split(','))
        .any(|offer| {
            let (name, quality) = offer.split_once(';').unwrap_or((offer, ""));
            let refused = quality
                .trim()
                .strip_prefix("q=")
                .and_then(|quality| quality.parse::<f32>().ok())
                .is_some_and(|quality| quality == 0.0);
            name.trim().eq_ignore_ascii_case(encoding) && !refused
        })
}

fn tag(file: &EmbeddedFile, encoding: Option<&str>) -> String {
    let hash: String = file.metadata.sha256_hash()[..12]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("\"{hash}{}\"", encoding.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asks(method: Method, path: &str, headers: &[(header::HeaderName, &str)]) -> Request {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(name, *value);
        }
        request.body(Body::empty()).unwrap()
    }

    #[test]
    fn every_path_of_the_client_is_its_one_page() {
        for path in ["/", "/channel/ting", "/user/ada", "/index.html"] {
            let response = serve(&asks(Method::GET, path, &[])).unwrap();
            assert_eq!(response.status(), StatusCode::OK);
            let headers = response.headers();
            assert_eq!(headers[header::CONTENT_TYPE], "text/html; charset=utf-8");
            assert_eq!(headers[header::CONTENT_SECURITY_POLICY], POLICY);
            assert_eq!(headers[header::CACHE_CONTROL], "no-cache");
        }
        assert!(serve(&asks(Method::GET, "/assets/old-1234.js", &[])).is_err());
        assert!(serve(&asks(Method::POST, "/", &[])).is_err());
    }

    #[test]
    fn what_a_client_has_is_not_sent_again() {
        for path in Files::iter().filter(|path| !path.ends_with(".br") && !path.ends_with(".gz")) {
            let path = format!("/{path}");
            let first = serve(&asks(Method::GET, &path, &[])).unwrap();
            let tag = first.headers()[header::ETAG].to_str().unwrap();
            let again = asks(Method::GET, &path, &[(header::IF_NONE_MATCH, tag)]);
            assert_eq!(serve(&again).unwrap().status(), StatusCode::NOT_MODIFIED);
        }
    }

    #[test]
    fn an_encoding_is_taken_only_where_it_is_offered() {
        let offers = |list: &str| {
            let request = asks(Method::GET, "/", &[(header::ACCEPT_ENCODING, list)]);
            accepts(request.headers(), "br")
        };
        assert!(offers("br") && offers("gzip, BR;q=0.5") && offers("deflate , br"));
        assert!(!offers("gzip") && !offers("br;q=0") && !offers("br;q=0.000") && !offers("brr"));
    }
}
