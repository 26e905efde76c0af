use super::*;
use crate::edge::{Entry, Target};
use cql::{ChannelName, UserId};
use proptest::prelude::*;
use serde_json::json;

const FROM: NodeName = NodeName { slot: 3, since: 77 };

fn ting() -> Conversation {
    Conversation::Channel(ChannelName::ting())
}

fn frame(text: &str) -> Frame {
    let entry = Entry {
        id: MessageId(500),
        author: Some(UserId(7)),
        username: Username::parse("ada").unwrap(),
        target: Target::Channel(ChannelName::ting()),
        text: Arc::from(text),
        typing: true,
        datetime_start: 1,
        datetime_sent: None,
        rev: 4,
    };
    Frame {
        conversation: ting(),
        epoch: crate::frame::Epoch {
            version: 2,
            id: MessageId(9),
        },
        n: 3,
        low: MessageId(1),
        since: 12,
        acknowledge: true,
        changes: vec![crate::frame::Change::Typing(Ghost {
            entry,
            belongs: Belongs::Connection(FROM, crate::edge::ConnectionId(5)),
            key: Some("k".to_owned()),
            author_rev: 2,
        })],
    }
}

fn envelope(body: Body) -> Envelope {
    Envelope {
        view: 9,
        trace: None,
        body,
    }
}

#[test]
fn what_is_said_is_heard() {
    let said = [
        Body::Tell(Word::Frame(Arc::new(frame("héllo \u{1f409}\n\"")))),
        Body::Ask {
            id: 4,
            within: Duration::from_millis(1_400),
            question: Question::Channel {
                conversation: ting(),
                wish: Wish::Delete { id: MessageId(8) },
            },
        },
        Body::Answer {
            id: 4,
            reply: Reply::NotTheOwner { version: 10 },
        },
    ];
    let written = said.into_iter().map(|body| write(&envelope(body)));
    let bytes = batch(FROM, 17, written.collect());
    let received = read(&bytes).unwrap();
    assert_eq!((received.from, received.received), (FROM, 17));
    assert_eq!(received.bytes, bytes.len());
    assert_eq!(received.envelopes.len(), 3);
    let Body::Tell(Word::Frame(heard)) = &received.envelopes[0].body else {
        panic!("another word");
    };
    assert_eq!(heard.changes, frame("héllo \u{1f409}\n\"").changes);
    assert_eq!(received.envelopes[0].view, 9);
}

#[test]
fn an_acknowledgement_alone_asks_for_none() {
    let received = read(&batch(FROM, 5, Vec::new())).unwrap();
    assert_eq!((received.bytes, received.received), (0, 5));
}

#[test]
fn a_newer_node_says_more_and_the_rest_is_heard() {
    let known = write(&envelope(Body::Tell(Word::NewView {
        version: 3,
        view: None,
    })));
    let known: serde_json::Value = serde_json::from_str(known.get()).unwrap();
    let mut more = known.clone();
    more["colour"] = json!("red");
    more["body"]["Tell"]["NewView"]["since"] = json!(5);
    let unknown = json!({"view": 9, "body": {"Tell": {"Dance": {"wild": true}}}});
    let bytes = serde_json::to_vec(&json!({
        "v": 2, "from": FROM, "envelopes": [unknown, more, known], "weather": "fine",
    }))
    .unwrap();
    let received = read(&bytes).unwrap();
    let heard = received.envelopes.iter();
    let heard = heard
        .filter(|envelope| matches!(envelope.body, Body::Tell(Word::NewView { version: 3, .. })));
    assert_eq!(heard.count(), 2);
    assert_eq!(received.envelopes.len(), 2);
    // It is acknowledged as a whole all the same.
    assert_eq!(received.bytes, bytes.len());
}

#[test]
fn a_ping_of_a_node_that_says_nothing_of_its_lease_is_a_ping() {
    let bytes = serde_json::to_vec(&json!({
        "v": 1, "from": FROM, "envelopes": [{"view": 1, "body": {"Tell": {"Ping": {"n": 8}}}}],
    }))
    .unwrap();
    let body = &read(&bytes).unwrap().envelopes[0].body;
    assert!(matches!(
        body,
        Body::Tell(Word::Ping { n: 8, lease: false })
    ));
}

proptest! {
    #[test]
    fn whatever_comes_is_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = read(&bytes);
    }

    #[test]
    fn a_damaged_batch_is_read_or_refused(place in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let said = write(&envelope(Body::Tell(Word::Frame(Arc::new(frame("hello"))))));
        let mut bytes = batch(FROM, 17, vec![said]);
        let place = place.index(bytes.len());
        bytes[place] = byte;
        let _ = read(&bytes);
    }
}
