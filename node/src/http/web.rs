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
    let same = has(asked, &tag);
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

/// Whether the client has what bears this tag.
fn has(asked: &HeaderMap, tag: &str) -> bool {
    asked
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|tags| tags.to_str().ok())
        .flat_map(|tags| tags.split(','))
        .any(|known| matches!(known.trim(), "*") || known.trim().trim_start_matches("W/") == tag)
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
                .strip_prefix(['q', 'Q'])
                .and_then(|quality| quality.strip_prefix('='))
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
    use proptest::prelude::*;

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

    /// One header in several lines, as a client may send it.
    fn lines(name: header::HeaderName, lines: &[Vec<u8>]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let values = lines.iter().map(|line| HeaderValue::from_bytes(line));
        for value in values.flatten() {
            headers.append(&name, value);
        }
        headers
    }

    /// Members of a list, written with blanks where there may be some.
    fn list(members: &[String], blanks: &[String]) -> Vec<u8> {
        let blanks = blanks.iter().map(String::as_str).cycle();
        let members = members.iter().zip(blanks);
        let written: Vec<_> = members
            .map(|(m, blank)| format!("{blank}{m}{blank}"))
            .collect();
        written.join(",").into_bytes()
    }

    /// Any, or one that these headers are made of.
    fn byte() -> impl Strategy<Value = u8> {
        prop_oneof![any::<u8>(), prop::sample::select(&b"br;q=0,*\"W/ "[..])]
    }

    fn blanks() -> impl Strategy<Value = Vec<String>> {
        prop::collection::vec("[ \t]{0,2}", 1..4)
    }

    proptest! {
        #[test]
        fn an_encoding_is_taken_if_one_offer_names_it_with_any_weight(
            offers in prop::collection::vec(
                ("(?i:br|gzip|brr|b|identity|\\*)", prop::option::of(prop_oneof![Just(0_u32), 0..=1_000_u32]), "[qQ]"),
                0..6,
            ),
            blanks in blanks(),
            cut in 0..6_usize,
        ) {
            let written: Vec<_> = offers
                .iter()
                .map(|(name, weight, q)| match weight {
                    None => name.clone(),
                    Some(weight) => {
                        let (blank, whole, rest) = (&blanks[0], weight / 1_000, weight % 1_000);
                        format!("{name}{blank};{blank}{q}={whole}.{rest:03}")
                    }
                })
                .collect();
            let (one, other) = written.split_at(cut.min(written.len()));
            let written = [list(one, &blanks), list(other, &blanks)];
            let headers = lines(header::ACCEPT_ENCODING, &written);
            for (encoding, _) in ENCODINGS {
                let is_offered = offers.iter().any(|(name, weight, _)| {
                    name.eq_ignore_ascii_case(encoding) && *weight != Some(0)
                });
                prop_assert_eq!(accepts(&headers, encoding), is_offered);
            }
        }

        #[test]
        fn what_a_client_has_is_known_by_its_tag(
            tags in prop::collection::vec(("(W/)?", "\"[a-c]{1,2}\"|\\*|[a-c]|\"\""), 0..6),
            blanks in blanks(),
            cut in 0..6_usize,
        ) {
            let written: Vec<_> = tags.iter().map(|(weak, tag)| format!("{weak}{tag}")).collect();
            let (one, other) = written.split_at(cut.min(written.len()));
            let headers = [list(one, &blanks), list(other, &blanks)];
            let headers = lines(header::IF_NONE_MATCH, &headers);
            let has_any = written.iter().any(|tag| tag == "*");
            for ours in ["\"a\"", "\"ab\"", "\"abc\""] {
                let is_named = tags.iter().any(|(_, tag)| tag == ours);
                prop_assert_eq!(has(&headers, ours), has_any || is_named, "{}", ours);
            }
        }

        #[test]
        fn any_header_is_read_or_passed_over(
            bytes in prop::collection::vec(prop::collection::vec(byte(), 0..40), 0..4),
        ) {
            let contains = |what: &[u8]| {
                let is_there = |line: &Vec<u8>| {
                    line.windows(what.len()).any(|part| part.eq_ignore_ascii_case(what))
                };
                bytes.iter().any(is_there)
            };
            let headers = lines(header::ACCEPT_ENCODING, &bytes);
            prop_assert!(!accepts(&headers, "br") || contains(b"br"));
            let headers = lines(header::IF_NONE_MATCH, &bytes);
            prop_assert!(!has(&headers, "\"b\"") || contains(b"\"b\"") || contains(b"*"));
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
