//! The description of the HTTP interface that a server gives of itself.

use serde_json::Value;
use tests::Ting;

#[tokio::test]
async fn the_description_names_every_operation() {
    let ting = Ting::shared().await;
    let description = ting.get("/api/openapi.json").await.is(200).json();
    let version = description["openapi"].as_str().unwrap();
    assert!(version.starts_with("3.1"), "{version}");
    // Paths with the names of their parameters left out.
    let described: Vec<(String, &Value)> = description["paths"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(path, operations)| {
            let parts = path
                .split('/')
                .map(|part| if part.starts_with('{') { "*" } else { part });
            (parts.collect::<Vec<_>>().join("/"), operations)
        })
        .collect();
    for (path, methods) in [
        ("/restapi/v1/sessions", &["get", "post", "delete"][..]),
        ("/restapi/v1/sessions/*", &["get"]),
        ("/restapi/v1/users/*", &["get", "patch"]),
        ("/restapi/v1/channels", &["get", "post"]),
        ("/restapi/v1/channels/*", &["get"]),
        ("/restapi/v1/messages/*/*", &["get", "post"]),
        ("/restapi/v1/messages/*", &["patch", "delete"]),
        ("/api/v1/message", &["post", "patch"]),
        ("/api/v1/conversations", &["get"]),
        ("/api/v1/conversations/read", &["post"]),
    ] {
        let operations: Vec<_> = described
            .iter()
            .filter(|(known, _)| known == path)
            .collect();
        assert!(!operations.is_empty(), "{path} is not described");
        for method in methods {
            let named = operations
                .iter()
                .any(|(_, operations)| operations.get(*method).is_some());
            assert!(named, "{method} {path} is not described");
        }
    }
}
