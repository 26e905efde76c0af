//! Names that no other test uses, so that all run at once, on one server, also one that was
//! used yesterday.

use rand::Rng;

/// Letters and digits without look-alikes, so that two random names differ for every reader.
const ALPHABET: &[u8] = b"bcdfgh2345678jklmqrs";

/// A name that begins with `start` and that nobody has.
pub fn unique(start: &str) -> String {
    let mut rng = rand::rng();
    let rest: String = (0..9)
        .map(|_| char::from(ALPHABET[rng.random_range(0..ALPHABET.len())]))
        .collect();
    let name = format!("{start}-{rest}");
    assert!(name.chars().count() <= 20, "{name:?} is too long a name");
    name
}

/// A text that occurs nowhere else.
pub fn text(start: &str) -> String {
    format!("{start} {}", unique("t"))
}

/// Whether such a text occurs in this.
pub fn has_text(said: &str) -> bool {
    said.contains(" t-")
}

/// A name as a segment of a path.
pub fn segment(name: &str) -> String {
    name.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => char::from(byte).to_string(),
            other => format!("%{other:02X}"),
        })
        .collect()
}
