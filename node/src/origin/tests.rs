use super::*;
use proptest::prelude::*;

fn allows(origins: &Origins, origin: &str, host: &str, tls: bool) -> bool {
    origins.allows(Some(&HeaderValue::from_str(origin).unwrap()), host, tls)
}

#[test]
fn with_no_list_a_page_may_use_the_node_it_came_from() {
    let own = Origins::default();
    assert!(allows(
        &own,
        "http://127.0.0.1:8080",
        "127.0.0.1:8080",
        false
    ));
    assert!(allows(&own, "https://ting.example", "ting.example", true));
    assert!(allows(
        &own,
        "https://ting.example",
        "TING.example:443",
        true
    ));
    assert!(allows(&own, "http://[::1]:8080", "[::1]:8080", false));
    for (origin, host, tls) in [
        ("http://ting.example", "ting.example", true),
        ("https://ting.example", "ting.example", false),
        ("http://ting.example:81", "ting.example", false),
        ("http://evil.example", "ting.example", false),
        ("http://ting.example.evil.example", "ting.example", false),
        ("null", "ting.example", false),
        ("", "", false),
        ("file://", "ting.example", false),
    ] {
        assert!(!allows(&own, origin, host, tls), "{origin} at {host}");
    }
}

#[test]
fn a_list_replaces_the_default() {
    let listed = Origins::parse(&["https://ting.example", "http://localhost:3000"]).unwrap();
    assert!(allows(&listed, "https://ting.example:443", "any", false));
    assert!(allows(&listed, "http://localhost:3000", "any", false));
    assert!(!allows(&listed, "http://any", "any", false));
    assert!(!allows(&listed, "https://a.ting.example", "any", true));
    assert!(!allows(&listed, "null", "any", true));
}

#[test]
fn who_is_no_browser_passes() {
    assert!(Origins::default().allows(None, "ting.example", false));
    let listed = Origins::parse(&["https://ting.example"]).unwrap();
    assert!(listed.allows(None, "other.example", true));
}

#[test]
fn what_is_no_origin_is_refused_with_its_name() {
    for wrong in [
        "*",
        "ting.example",
        "https://ting.example/chat",
        "https://ada@ting.example",
        "ws://ting.example",
        "null",
        "",
    ] {
        let refused = Origins::parse(&[wrong]).unwrap_err();
        assert!(refused.to_string().contains(wrong), "{wrong}");
    }
}

proptest! {
    #[test]
    fn no_header_and_no_host_ever_panics(origin in any::<Vec<u8>>(), host in ".*", tls: bool) {
        if let Ok(origin) = HeaderValue::from_bytes(&origin) {
            Origins::default().allows(Some(&origin), &host, tls);
        }
    }
}
