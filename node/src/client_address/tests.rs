use super::*;
use http::HeaderValue;
use proptest::prelude::*;

fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        headers.append(*name, HeaderValue::from_str(value).unwrap());
    }
    headers
}

fn ip(written: &str) -> IpAddr {
    written.parse().unwrap()
}

#[test]
fn nobody_is_believed_unless_named() {
    let client = Proxies::default().client(
        ip("203.0.113.7"),
        &headers(&[
            ("x-forwarded-for", "198.51.100.1"),
            ("x-forwarded-proto", "https"),
        ]),
    );
    assert_eq!(client.ip, ip("203.0.113.7"));
    assert!(client.forwarded && client.distrusted && !client.https);
}

#[test]
fn a_proxy_is_believed_for_what_it_wrote_itself() {
    let proxies = Proxies::parse(&["10.0.0.0/8", "::1"]).unwrap();
    let client = proxies.client(
        ip("10.0.0.2"),
        &headers(&[
            ("x-forwarded-for", "1.2.3.4, 198.51.100.1"),
            ("x-forwarded-for", "10.0.0.9"),
            ("x-forwarded-proto", "http, https"),
        ]),
    );
    assert_eq!(client.ip, ip("198.51.100.1"));
    assert!(client.forwarded && client.https && !client.distrusted);
}

#[test]
fn addresses_come_in_many_spellings() {
    let proxies = Proxies::parse(&["127.0.0.1"]).unwrap();
    for (written, meant) in [
        ("198.51.100.1:4711", "198.51.100.1"),
        ("[2001:db8::1]:4711", "2001:db8::1"),
        ("2001:db8::1", "2001:db8::1"),
        ("::ffff:198.51.100.1", "198.51.100.1"),
        ("unknown", "127.0.0.1"),
        ("8.8.8.8, unknown, 127.0.0.1", "127.0.0.1"),
        ("", "127.0.0.1"),
    ] {
        let client = proxies.client(ip("127.0.0.1"), &headers(&[("x-forwarded-for", written)]));
        assert_eq!(client.ip, ip(meant), "{written}");
    }
}

#[test]
fn this_machine_is_not_limited_unless_it_speaks_for_others() {
    let proxies = Proxies::default();
    let limited = |peer, lines: &[(&'static str, &str)]| {
        proxies.client(ip(peer), &headers(lines)).is_limited()
    };
    assert!(!limited("127.0.0.1", &[]));
    assert!(!limited("::ffff:127.0.0.1", &[]));
    assert!(!limited("::1", &[]));
    assert!(limited("127.0.0.1", &[("x-forwarded-for", "127.0.0.1")]));
    assert!(limited("127.0.0.1", &[("forwarded", "for=1.2.3.4")]));
    assert!(limited("203.0.113.7", &[]));
}

#[test]
fn what_is_no_network_is_refused_with_its_name() {
    for wrong in ["proxy.example", "10.0.0.0/33", "10.0.0.1:80", ""] {
        let refused = Proxies::parse(&[wrong]).unwrap_err();
        assert!(refused.to_string().contains(wrong), "{wrong}");
    }
}

proptest! {
    #[test]
    fn no_header_ever_panics_nor_hides_an_untrusted_peer(value in any::<Vec<u8>>()) {
        let Ok(value) = HeaderValue::from_bytes(&value) else { return Ok(()) };
        let mut headers = HeaderMap::new();
        headers.append("x-forwarded-for", value);
        let proxies = Proxies::parse(&["10.0.0.0/8"]).unwrap();
        proxies.client(ip("10.0.0.1"), &headers);
        prop_assert_eq!(proxies.client(ip("9.9.9.9"), &headers).ip, ip("9.9.9.9"));
    }
}
