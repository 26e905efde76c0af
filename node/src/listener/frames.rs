//! Reads along what a library writes to a WebSocket: where a frame ends, and what it began with.
//!
//! Only the heads are looked at. What is not understood is never understood again: then nobody
//! but the library may write.

/// How the answer that opens a WebSocket begins and ends.
const SWITCHING: &[u8] = b"HTTP/1.1 101";
const HEAD_END: &[u8] = b"\r\n\r\n";

/// How the payload of a socket.io event begins, and the word that the socket is open.
const EVENT: &[u8] = b"42";
const OPEN: &[u8] = b"40";

/// A frame's head at most, and the beginning of its payload.
const START_MAX: usize = 12;

/// How far the library has come.
#[derive(Debug, Default)]
pub struct Frames {
    place: Place,
    is_open: bool,
    events: u64,
}

#[derive(Debug)]
enum Place {
    /// In the answer's beginning; so much of it was seen.
    Before(usize),
    /// In the answer's head; so much of its end was seen.
    Head(usize),
    /// Before a frame, or in its beginning.
    Start([u8; START_MAX], usize),
    /// In a frame's payload; so much is left.
    Payload(u64),
    /// Beyond our understanding.
    Lost,
}

impl Default for Place {
    fn default() -> Self {
        Place::Before(0)
    }
}

/// Before the first byte of a frame.
const BETWEEN: Place = Place::Start([0; START_MAX], 0);

impl Frames {
    /// These bytes were written.
    pub fn read(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            bytes = match &mut self.place {
                Place::Before(seen) => {
                    let is_its = bytes[0] == SWITCHING[*seen];
                    *seen += 1;
                    if !is_its {
                        self.place = Place::Lost;
                    } else if *seen == SWITCHING.len() {
                        self.place = Place::Head(0);
                    }
                    &bytes[1..]
                }
                Place::Head(seen) => {
                    // A carriage return that does not go on may begin anew.
                    *seen = match bytes[0] {
                        byte if byte == HEAD_END[*seen] => *seen + 1,
                        b'\r' => 1,
                        _ => 0,
                    };
                    if *seen == HEAD_END.len() {
                        self.place = BETWEEN;
                    }
                    &bytes[1..]
                }
                Place::Start(start, length) => {
                    start[*length] = bytes[0];
                    *length += 1;
                    let start = &start[..*length];
                    if let Some(place) = after(start) {
                        let is_text = start[0] == 0x81;
                        self.is_open |= is_text && start.ends_with(OPEN);
                        self.events += u64::from(is_text && start.ends_with(EVENT));
                        self.place = place;
                    }
                    &bytes[1..]
                }
                Place::Payload(left) => {
                    let here = (bytes.len() as u64).min(*left);
                    *left -= here;
                    if *left == 0 {
                        self.place = BETWEEN;
                    }
                    &bytes[here as usize..]
                }
                Place::Lost => return,
            };
        }
    }

    /// Whether the socket is open, so many events were written, and nothing is half written.
    pub fn is_between(&self, events: u64) -> bool {
        self.is_open && self.events == events && matches!(self.place, Place::Start(_, 0))
    }
}

/// Where a frame is after its head and the beginning of its payload; none before.
fn after(start: &[u8]) -> Option<Place> {
    // Text, binary, ping or pong, whole and unmasked: all that a server writes but its farewell.
    if !matches!(start[0], 0x81 | 0x82 | 0x89 | 0x8a) {
        return Some(Place::Lost);
    }
    let (head, payload) = match *start.get(1)? {
        length @ 0..=125 => (2, u64::from(length)),
        126 => (
            4,
            u64::from(u16::from_be_bytes(start.get(2..4)?.try_into().ok()?)),
        ),
        127 => (10, u64::from_be_bytes(start.get(2..10)?.try_into().ok()?)),
        _ => return Some(Place::Lost),
    };
    let begun = payload.min(EVENT.len() as u64);
    if (start.len() as u64) < head + begun {
        return None;
    }
    Some(match payload - begun {
        0 => BETWEEN,
        left => Place::Payload(left),
    })
}

/// Adds the frame of a text.
pub fn text(parts: &[&str], frame: &mut Vec<u8>) {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    frame.push(0x81);
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(short @ 0..=125), _) => frame.push(short),
        (_, Ok(middle)) => {
            frame.push(126);
            frame.extend(middle.to_be_bytes());
        }
        _ => {
            frame.push(127);
            frame.extend((length as u64).to_be_bytes());
        }
    }
    parts.iter().for_each(|part| frame.extend(part.as_bytes()));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ANSWER: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\n\r\n";

    /// An answer, and the word that the socket is open.
    fn opening() -> Vec<u8> {
        let mut written = ANSWER.to_vec();
        text(&["0{}"], &mut written);
        text(&["40{}"], &mut written);
        written
    }

    /// What was read, in pieces, with a look after each but the last.
    fn pieces(bytes: &[u8], cuts: &[usize], mut between: impl FnMut(&Frames)) -> Frames {
        let mut frames = Frames::default();
        let mut left = bytes;
        for cut in cuts.iter().cycle() {
            let (now, later) = left.split_at((*cut).min(left.len()));
            frames.read(now);
            left = later;
            if left.is_empty() {
                break;
            }
            between(&frames);
        }
        frames
    }

    /// A frame of nearly any kind, with its length written in any of the three ways, and seldom a
    /// length that is not its own.
    fn any_frame() -> impl Strategy<Value = Vec<u8>> {
        let kind = prop_oneof![
            9 => prop::sample::select(&[0x81, 0x82, 0x89, 0x8a][..]),
            1 => any::<u8>(),
        ];
        let payload = prop_oneof!["4[0-4].{0,9}", ".{0,9}", "42x{120,130}"];
        let length = prop_oneof![9 => Just(None), 1 => any::<u64>().prop_map(Some)];
        (kind, 0..3_u8, length, payload).prop_map(|(kind, way, length, payload)| {
            let length = length.unwrap_or(payload.len() as u64);
            let mut frame = vec![kind];
            match way {
                0 => frame.push(length as u8),
                1 => {
                    frame.push(126);
                    frame.extend((length as u16).to_be_bytes());
                }
                _ => {
                    frame.push(127);
                    frame.extend(length.to_be_bytes());
                }
            }
            frame.extend(payload.into_bytes());
            frame
        })
    }

    /// Anything that may be written, most of it nearly right.
    fn anything() -> impl Strategy<Value = Vec<u8>> {
        let frames = prop::collection::vec(any_frame(), 0..8).prop_map(|frames| frames.concat());
        let opened = frames
            .prop_map(|frames| [opening(), frames].concat())
            .boxed();
        let broken = (opened.clone(), any::<prop::sample::Index>(), any::<u8>());
        let broken = broken.prop_map(|(mut written, place, byte)| {
            let place = place.index(written.len());
            written[place] = byte;
            written
        });
        let any_bytes = prop::collection::vec(any::<u8>(), 0..100);
        let after_the_opening = any_bytes
            .clone()
            .prop_map(|bytes| [opening(), bytes].concat());
        prop_oneof![opened, broken, after_the_opening, any_bytes]
    }

    proptest! {
        #[test]
        fn whatever_is_written_is_read_the_same_however_it_is_cut(
            written in anything(),
            cuts in prop::collection::vec(1..60_usize, 1..20),
        ) {
            let whole = pieces(&written, &[written.len()], |_| ());
            for cuts in [&[1][..], &cuts] {
                let cut = pieces(&written, cuts, |_| ());
                // All that it knows.
                prop_assert_eq!(format!("{cut:?}"), format!("{whole:?}"));
            }
            let events = written.windows(2).filter(|two| *two == EVENT).count() as u64;
            prop_assert!(whole.events <= events);
        }

        #[test]
        fn what_is_not_understood_is_never_understood_again(written in anything()) {
            let mut frames = pieces(&written, &[written.len()], |_| ());
            if matches!(frames.place, Place::Lost) {
                let events = frames.events;
                frames.read(&opening());
                let mut more = Vec::new();
                text(&["42"], &mut more);
                frames.read(&more);
                prop_assert!(!(0..=events + 1).any(|events| frames.is_between(events)));
            }
        }

        #[test]
        fn events_are_counted_however_they_are_cut(
            sizes in prop::collection::vec(0..70_000usize, 0..6),
            cuts in prop::collection::vec(1..9_000usize, 1..40),
        ) {
            let mut written = opening();
            let mut events = 0;
            for size in &sizes {
                text(&["2"], &mut written);
                text(&["42", &"x".repeat(*size)], &mut written);
                text(&["", &"4".repeat(*size)], &mut written);
                events += 1;
            }
            let frames = pieces(&written, &cuts, |frames| assert!(!frames.is_between(events + 1)));
            prop_assert!(frames.is_between(events));
        }

        #[test]
        fn a_frame_that_is_cut_is_no_place_between(size in 1..70_000usize, cut in 1..60_000usize) {
            let mut frames = Frames::default();
            frames.read(ANSWER);
            prop_assert!(!frames.is_between(0));
            frames.read(&opening()[ANSWER.len()..]);
            prop_assert!(frames.is_between(0));
            let mut frame = Vec::new();
            text(&["42", &"x".repeat(size)], &mut frame);
            frames.read(&frame[..cut.min(frame.len() - 1)]);
            prop_assert!(!frames.is_between(0) && !frames.is_between(1));
        }
    }

    #[test]
    fn what_is_no_websocket_is_never_one() {
        for bytes in [&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], b"HTTP", b"x"] {
            let mut frames = Frames::default();
            frames.read(bytes);
            frames.read(&opening());
            assert!(!frames.is_between(0));
        }
    }

    #[test]
    fn nothing_follows_a_farewell() {
        let mut frames = Frames::default();
        frames.read(&opening());
        frames.read(&[0x88, 0]);
        assert!(!frames.is_between(0));
    }
}
