//! What clients 2.x post as text: each packet behind its length, in UTF-16 units.
//!
//! It is looked at before the library gets it, because the library takes the lengths at their
//! word: where one ends inside a character and something follows, it looks for that end for ever,
//! without a pause in which a time limit could stop it. It also copies all that follows anew for
//! each packet, so they go on one by one.

use axum::body::Bytes;

/// The packets of a body, each with its length before it; none if it is not made of such alone.
pub fn packets(body: &Bytes) -> Option<Vec<Bytes>> {
    let mut rest = std::str::from_utf8(body).ok()?;
    let mut packets = Vec::new();
    while !rest.is_empty() {
        let (length, packet) = rest.split_once(':')?;
        let end = length.len() + 1 + end_of(units(length)?, packet)?;
        packets.push(body.slice_ref(&rest.as_bytes()[..end]));
        rest = &rest[end..];
    }
    Some(packets)
}

/// A length, of which no packet has none.
fn units(length: &str) -> Option<usize> {
    let is_number = length.bytes().all(|byte| byte.is_ascii_digit());
    let units: usize = length.parse().ok().filter(|_| is_number)?;
    (units > 0).then_some(units)
}

/// Where so many UTF-16 units end, in bytes; none inside a character or beyond the text.
fn end_of(units: usize, text: &str) -> Option<usize> {
    let mut left = units;
    for (at, letter) in text.char_indices() {
        if left == 0 {
            return Some(at);
        }
        left = left.checked_sub(letter.len_utf16())?;
    }
    (left == 0).then_some(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// As the library writes packets, and clients do.
    fn written(packet: &str) -> String {
        format!("{}:{packet}", packet.encode_utf16().count())
    }

    fn read(body: &[u8]) -> Option<Vec<Bytes>> {
        packets(&Bytes::copy_from_slice(body))
    }

    #[test]
    fn packets_are_found_by_their_lengths() {
        for (body, expected) in [
            ("", vec![]),
            ("1:2", vec!["1:2"]),
            ("3:4€:2:40", vec!["3:4€:", "2:40"]),
            ("3:4𝕊3:4ab", vec!["3:4𝕊", "3:4ab"]),
            ("0001:21:3", vec!["0001:2", "1:3"]),
        ] {
            let expected: Vec<Bytes> = expected.into_iter().map(Bytes::from).collect();
            assert_eq!(read(body.as_bytes()), Some(expected), "{body}");
        }
    }

    #[test]
    fn a_length_that_is_not_its_packets_is_refused() {
        for body in [
            // The end is inside a character, with and without something behind it.
            "2:4𝕊x",
            "2:4𝕊",
            "1:𝕊2:40",
            // There is less than that.
            "5:4ab",
            "1:",
            "1:21:",
            "10000000:4",
            "18446744073709551615:4",
            "99999999999999999999999999:4",
            // There is more.
            "1:4a",
            "2:40x",
            // It is no length.
            "40",
            "1",
            "x",
            ":",
            ":4",
            "0:",
            "0:1:2",
            "+1:2",
            "-1:2",
            " 1:2",
            "1 :2",
            "1.0:2",
            "٣:4ab",
        ] {
            assert_eq!(read(body.as_bytes()), None, "{body}");
        }
        for body in [&b"2:4\xff"[..], b"\xff", b"1:2\xf0\x9f\x99", b"2:4\xf0x"] {
            assert_eq!(read(body), None, "{body:?}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_written_is_read(
            packets in prop::collection::vec("[0-6b](\\PC|[:0-9𝕊🙂]){0,20}", 0..8),
        ) {
            let written: Vec<String> = packets.iter().map(|packet| written(packet)).collect();
            let expected: Vec<Bytes> = written.iter().cloned().map(Bytes::from).collect();
            prop_assert_eq!(read(written.concat().as_bytes()), Some(expected));
        }

        #[test]
        fn whatever_is_read_is_the_whole_body_in_packets_as_they_are_written(
            body in "([0-9]{1,2}:|4|𝕊|a){0,12}",
        ) {
            if let Some(packets) = read(body.as_bytes()) {
                prop_assert_eq!(packets.concat(), body.as_bytes());
                for packet in packets {
                    let packet = std::str::from_utf8(&packet).unwrap();
                    let (_, content) = packet.split_once(':').unwrap();
                    let told = packet.trim_start_matches('0');
                    prop_assert_eq!(told, written(content));
                }
            }
        }
    }
}
