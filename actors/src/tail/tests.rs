use super::*;
use cql::{ChannelName, Conversation, MessageText, UserId, Username};
use proptest::prelude::*;

fn message(id: u64) -> Message {
    Message {
        id: MessageId(id),
        conversation: Conversation::Channel(ChannelName::ting()),
        author: Some(UserId(1)),
        username: Username::parse("ada").unwrap(),
        text: MessageText::parse("a").unwrap(),
        datetime_start: 0,
        datetime_sent: 0,
    }
}

/// What a store would answer.
fn answer(stored: &BTreeMap<u64, ()>, range: Range) -> Page {
    let mut messages: Vec<Message> = stored
        .keys()
        .rev()
        .filter(|id| range.before.is_none_or(|before| **id < before.0))
        .filter(|id| range.after.is_none_or(|after| **id > after.0))
        .take(range.limit + 1)
        .map(|id| message(*id))
        .collect();
    let more = messages.len() > range.limit;
    messages.truncate(range.limit);
    Page { messages, more }
}

fn newest(limit: usize) -> Range {
    Range {
        before: None,
        after: None,
        limit,
    }
}

#[test]
fn the_newest_are_served_and_what_lies_further_back_is_not_guessed() {
    let stored: BTreeMap<u64, ()> = (1..=1_000).map(|id| (id, ())).collect();
    let mut tail = Tail::default();
    assert_eq!(tail.page(newest(1)), None);
    tail.load(answer(&stored, newest(TAIL_LENGTH)));
    assert_eq!(tail.page(newest(100)), Some(answer(&stored, newest(100))));
    assert_eq!(tail.page(newest(TAIL_LENGTH)), None);
    let after = Range {
        after: Some(MessageId(990)),
        ..newest(100)
    };
    assert_eq!(tail.page(after), Some(answer(&stored, after)));
    let before = Range {
        before: Some(MessageId(700)),
        ..newest(10)
    };
    assert_eq!(tail.page(before), None);
}

proptest! {
    /// Whatever was stored and sent since, a page from the tail is the page of the store.
    #[test]
    fn a_page_of_the_tail_is_the_page_of_the_store(
        before_load in prop::collection::btree_set(1u64..2_000, 0..400),
        since in prop::collection::vec(1u64..2_400, 0..300),
        removed in prop::collection::vec(1u64..2_400, 0..20),
        ranges in prop::collection::vec(
            (prop::option::of(0u64..2_400), prop::option::of(0u64..2_400), 0usize..150), 1..20),
    ) {
        let mut stored: BTreeMap<u64, ()> = before_load.into_iter().map(|id| (id, ())).collect();
        let mut tail = Tail::default();
        tail.load(answer(&stored, newest(TAIL_LENGTH)));
        for id in since {
            stored.insert(id, ());
            tail.insert(message(id));
        }
        for id in removed {
            stored.remove(&id);
            tail.remove(MessageId(id));
        }
        for (before, after, limit) in ranges {
            let range = Range { before: before.map(MessageId), after: after.map(MessageId), limit };
            let expected = answer(&stored, range);
            if let Some(page) = tail.page(range) {
                prop_assert_eq!(&page, &expected);
            }
            prop_assert_eq!(tail.freshen(expected.clone(), range, &[]), expected);
        }
    }

    /// A page that was read before some were sent is, with these, the page as it is then.
    #[test]
    fn an_older_page_with_what_was_noted_since_is_the_newer_page(
        stored in prop::collection::btree_set(1u64..2_000, 0..600),
        since in prop::collection::vec(1u64..2_400, 0..400),
        ranges in prop::collection::vec(
            (prop::option::of(0u64..2_400), prop::option::of(0u64..2_400), 0usize..150), 1..20),
    ) {
        let older: BTreeMap<u64, ()> = stored.into_iter().map(|id| (id, ())).collect();
        let mut newer = older.clone();
        let mut tail = Tail::default();
        tail.load(answer(&older, newest(TAIL_LENGTH)));
        let noted: Vec<Message> = since.into_iter().map(message).collect();
        for message in &noted {
            newer.insert(message.id.0, ());
            tail.insert(message.clone());
        }
        for (before, after, limit) in ranges {
            let range = Range { before: before.map(MessageId), after: after.map(MessageId), limit };
            let page = tail.freshen(answer(&older, range), range, &noted);
            prop_assert_eq!(page, answer(&newer, range));
        }
    }
}
