//! The description of the HTTP API, made from the handlers themselves.
//!
//! Each handler says what it answers; what every one may answer is added here, so that it is
//! said once.

use crate::http::error::Error;
use utoipa::openapi::content::ContentBuilder;
use utoipa::openapi::path::Operation;
use utoipa::openapi::response::{Response, ResponseBuilder};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{OpenApi, PathItem, Ref, RefOr};
use utoipa::{Modify, OpenApi as _};

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Ting",
        description = "Everyone in a conversation reads every message while it is typed. What happens live comes over socket.io."
    ),
    components(schemas(Error)),
    modifiers(&Security)
)]
struct Head;

struct Security;

impl Modify for Security {
    fn modify(&self, openapi: &mut OpenApi) {
        let components = openapi.components.get_or_insert_default();
        components.add_security_scheme(
            "cookie",
            SecurityScheme::ApiKey(ApiKey::Cookie(ApiKeyValue::new("ting_auth"))),
        );
        components.add_security_scheme(
            "bearer",
            SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build()),
        );
        components.add_security_scheme(
            "secret",
            SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::with_description(
                "Authorization",
                "The shared secret of privileged callers, as it is.",
            ))),
        );
    }
}

/// The description before any route is in it.
pub fn head() -> OpenApi {
    Head::openapi()
}

/// With what holds for all routes.
pub fn completed(mut described: OpenApi) -> OpenApi {
    for (path, item) in &mut described.paths.paths {
        for (method, operation) in operations(item) {
            operation.operation_id = Some(operation_id(method, path));
            complete(operation);
        }
    }
    described
}

/// The same handler answers under two prefixes, and an id may stand only once.
fn operation_id(method: &str, path: &str) -> String {
    let words = path
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty());
    std::iter::once(method)
        .chain(words)
        .collect::<Vec<_>>()
        .join("_")
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = (&'static str, &mut Operation)> {
    [
        ("get", &mut item.get),
        ("post", &mut item.post),
        ("patch", &mut item.patch),
        ("delete", &mut item.delete),
    ]
    .into_iter()
    .filter_map(|(method, operation)| Some((method, operation.as_mut()?)))
}

fn complete(operation: &mut Operation) {
    let takes_body = operation.request_body.is_some();
    let mut may = vec![
        ("408", "The body did not come in time"),
        ("413", "The body is too large"),
        (
            "503",
            "The store or another node did not answer in time; may be repeated",
        ),
    ];
    if takes_body {
        may.push(("400", "The body can't be read"));
    }
    for (status, description) in may {
        operation
            .responses
            .responses
            .entry(status.to_owned())
            .or_insert_with(|| RefOr::T(refusal(description)));
    }
}

fn refusal(description: &str) -> Response {
    let body = ContentBuilder::new()
        .schema(Some(Ref::from_schema_name("Error")))
        .build();
    ResponseBuilder::new()
        .description(description)
        .content("application/json", body)
        .build()
}

#[cfg(test)]
mod tests {
    use crate::http::api;
    use std::collections::HashSet;

    #[test]
    fn every_operation_has_an_id_of_its_own_and_is_in_the_description() {
        let (_, described) = api();
        let described = serde_json::to_value(&described).unwrap();
        assert!(described["openapi"].as_str().unwrap().starts_with("3.1"));
        let mut ids = HashSet::new();
        for (path, item) in described["paths"].as_object().unwrap() {
            for operation in item.as_object().unwrap().values() {
                let id = operation["operationId"].as_str().unwrap();
                assert!(ids.insert(id.to_owned()), "{id} twice, at {path}");
                assert!(operation["responses"]["503"].is_object());
            }
        }
        for path in [
            "/api/v1/message",
            "/api/v1/messages/{type}/{target}",
            "/restapi/v1/messages/{type}/{target}",
            "/restapi/v1/messages/{id}",
            "/restapi/v1/sessions",
            "/restapi/v1/sessions/{username}",
            "/restapi/v1/users/{username}",
            "/restapi/v1/channels",
            "/api/v1/channels/{name}",
            "/api/v1/conversations/read",
        ] {
            assert!(described["paths"][path].is_object(), "{path}");
        }
        assert!(described["paths"]["/api/v1/sessions"].is_null());
        assert!(described["paths"]["/restapi/v1/message"].is_null());
    }
}
