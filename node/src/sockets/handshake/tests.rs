use super::*;
use proptest::prelude::*;

fn head(uri: &str, headers: &[(&'static str, &str)]) -> Parts {
    let mut request = Request::builder().uri(uri);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap().into_parts().0
}

#[test]
fn a_query_tells_old_sockets_from_new_ones() {
    let asked = Asked::read("EIO=4&transport=websocket&sid=abc&t=1");
    let expected = Asked {
        sid: Some("abc"),
        is_websocket: true,
        is_version_4: true,
    };
    assert_eq!(asked, expected);
    let asked = Asked::read("EIO=3&transport=polling");
    let expected = Asked {
        sid: None,
        is_websocket: false,
        is_version_4: false,
    };
    assert_eq!(asked, expected);
    // As the library reads it: there is a name, though no socket has it.
    assert_eq!(Asked::read("sid=&EIO=4").sid, Some(""));
    assert!(Asked::read("EIO=4&transport=websocket=x").is_websocket);
    assert!(!Asked::read("EIO=3=4&transport=polling").is_version_4);
    assert!(!Asked::read("EIO=3&EIO=4&transport=polling").is_version_4);
}

#[test]
fn nothing_of_the_original_head_is_kept_alive() {
    let mut parts = head(
        "/socket.io/?EIO=4&transport=websocket",
        &[
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
            ("cookie", "ting_auth=secret"),
            ("user-agent", "a browser"),
        ],
    );
    parts.extensions.insert("of the router");
    let copied = copied(&mut parts);
    assert_eq!(copied.uri, "/socket.io/?EIO=4&transport=websocket");
    assert_eq!(copied.headers.len(), 1);
    let (copy, original) = (
        &copied.headers["sec-websocket-key"],
        &parts.headers["sec-websocket-key"],
    );
    assert_eq!(copy, original);
    assert_ne!(copy.as_bytes().as_ptr(), original.as_bytes().as_ptr());
    assert!(copied.extensions.is_empty());
    assert!(!format!("{copied:?}").contains("secret"));
}

proptest! {
    #[test]
    fn any_query_is_passed_on_as_it_is(query in "[!-~&&[^#<>\"`{}|\\\\^]]{0,200}") {
        if let Ok(uri) = format!("/socket.io/?{query}").parse::<Uri>() {
            let mut parts = head("/", &[]);
            parts.uri = uri.clone();
            prop_assert_eq!(copied(&mut parts).uri, uri);
        }
    }
}
