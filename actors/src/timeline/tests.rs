use super::*;
use cql::{ChannelName, Username};
use proptest::prelude::*;
use std::collections::HashMap;

fn ghost(id: u64, author: u64, text: &str) -> Ghost {
    Ghost {
        entry: Entry {
            id: MessageId(id),
            author: Some(UserId(author)),
            username: Username::parse("ada").unwrap(),
            target: crate::edge::Target::Channel(ChannelName::ting()),
            text: Arc::from(text),
            typing: true,
            datetime_start: 0,
            datetime_sent: None,
            rev: 0,
        },
        belongs: Belongs::Nobody,
        key: None,
        author_rev: 0,
    }
}

fn sent(id: u64, text: &str) -> Entry {
    Entry {
        typing: false,
        datetime_sent: Some(1),
        ..ghost(id, 1, text).entry
    }
}

fn ids(changes: &[Change]) -> Vec<u64> {
    changes.iter().map(|change| change.id().0).collect()
}

#[test]
fn a_tick_tells_the_latest_state_of_each_message_once() {
    let mut timeline = Timeline::default();
    timeline.begin(ghost(9, 1, "h"));
    timeline.begin(ghost(4, 2, "y"));
    timeline.change(MessageId(9), Arc::from("he"), Belongs::Nobody, 1);
    timeline.change(MessageId(9), Arc::from("hey"), Belongs::Nobody, 2);
    let changes = timeline.take_changes();
    assert_eq!(ids(&changes), [4, 9]);
    let Change::Typing(nine) = &changes[1] else {
        panic!()
    };
    assert_eq!(
        (&*nine.entry.text, nine.entry.rev, nine.author_rev),
        ("hey", 3, 2)
    );
    assert!(timeline.take_changes().is_empty());
}

#[test]
fn what_is_sent_keeps_its_place_and_is_told_once() {
    let mut timeline = Timeline::default();
    timeline.begin(ghost(4, 1, "a"));
    timeline.begin(ghost(9, 2, "b"));
    assert!(timeline.sent(sent(9, "b"), 0));
    assert!(!timeline.sent(sent(9, "b"), 0));
    assert!(timeline.sent(sent(4, "a"), 0));
    assert_eq!(timeline.last(), MessageId(9));
    assert_eq!(timeline.ghosts().count(), 0);
    assert_eq!(ids(&timeline.take_changes()), [4, 9]);
}

#[test]
fn what_one_relay_knows_as_sent_is_told_to_the_others() {
    let mut timeline = Timeline::default();
    timeline.announced(vec![ghost(4, 1, "a")], Vec::new());
    timeline.announced(Vec::new(), vec![(MessageId(4), End::Sent)]);
    assert_eq!(timeline.ghosts().count(), 0);
    assert!(timeline.take_changes().is_empty());
    // Found by a later read than the first one.
    assert!(timeline.sent(sent(4, "a"), 0));
    assert_eq!(ids(&timeline.take_changes()), [4]);
    assert!(!timeline.sent(sent(4, "a"), 0));
}

#[test]
fn an_erased_message_leaves_an_empty_text_and_no_ghost() {
    let mut timeline = Timeline::default();
    timeline.begin(ghost(4, 1, "a"));
    timeline.end(MessageId(4), End::Erased, true, 0);
    let changes = timeline.take_changes();
    let [Change::Ended(entry, End::Erased)] = &changes[..] else {
        panic!("{changes:?}")
    };
    assert_eq!((&*entry.text, entry.typing, entry.rev), ("", true, 2));
    assert!(matches!(
        timeline.known(MessageId(4)),
        Known::Ended {
            end: End::Erased,
            ..
        }
    ));
}

#[test]
fn an_absent_message_comes_back_with_a_higher_revision() {
    let mut timeline = Timeline::default();
    timeline.begin(ghost(4, 1, "a"));
    timeline.end(MessageId(4), End::Absent, true, 0);
    timeline.begin(ghost(4, 1, "ab"));
    let Known::Typing(back) = timeline.known(MessageId(4)) else {
        panic!()
    };
    assert_eq!(back.entry.rev, 3);
}

#[test]
fn ends_are_forgotten_below_low_and_low_never_falls() {
    let mut timeline = Timeline::default();
    let id = MessageId::at(cql::EPOCH + 1_000);
    timeline.begin(ghost(id.0, 1, "a"));
    timeline.end(id, End::Erased, true, 0);
    timeline.take_changes();
    assert!(!timeline.is_idle());
    timeline.pass(cql::EPOCH + 1_000 + REMEMBERED + 1);
    assert_eq!(timeline.known(id), Known::Nothing);
    assert!(timeline.is_idle());
    let low = timeline.low();
    timeline.pass(cql::EPOCH);
    assert_eq!(timeline.low(), low);
}

#[test]
fn a_person_is_counted_by_what_is_open() {
    let mut timeline = Timeline::default();
    for id in 1..=3 {
        timeline.begin(ghost(id, 1, "a"));
    }
    timeline.begin(ghost(7, 2, "a"));
    assert_eq!(timeline.typed_by(UserId(1)), 3);
    timeline.end(MessageId(2), End::Erased, true, 0);
    assert_eq!(timeline.typed_by(UserId(1)), 2);
}

#[test]
fn who_knows_how_a_message_ended_is_believed_before_who_saw_it_gone() {
    let words = [End::Absent, End::Erased];
    for words in [words, [words[1], words[0]]] {
        let mut timeline = Timeline::default();
        for end in words {
            timeline.announced(Vec::new(), vec![(MessageId(4), end)]);
        }
        let ended: Vec<_> = timeline.ended().collect();
        assert_eq!(ended, [(MessageId(4), End::Erased)], "{words:?}");
    }
}

#[derive(Debug, Clone)]
enum Kept {
    Open(u64, u64),
    Over(u64),
}

fn kept() -> impl Strategy<Value = Kept> {
    prop_oneof![
        (1u64..6, 1u64..6).prop_map(|(id, rev)| Kept::Open(id, rev)),
        (1u64..6).prop_map(Kept::Over),
    ]
}

proptest! {
    /// Ended beats open, then the higher revision: whichever relay's word comes first.
    #[test]
    fn announcements_merge_to_the_same_in_any_order(
        words in prop::collection::vec(kept(), 0..24),
        seed in any::<u64>(),
    ) {
        let announce = |words: &[Kept]| {
            let mut timeline = Timeline::default();
            for word in words {
                match word {
                    Kept::Open(id, rev) => {
                        let mut open = ghost(*id, 1, &format!("{rev}"));
                        open.entry.rev = *rev;
                        timeline.announced(vec![open], Vec::new());
                    }
                    Kept::Over(id) => {
                        timeline.announced(Vec::new(), vec![(MessageId(*id), End::Sent)]);
                    }
                }
            }
            let open: HashMap<u64, u64> =
                timeline.ghosts().map(|ghost| (ghost.entry.id.0, ghost.entry.rev)).collect();
            (open, timeline.last())
        };
        let mut shuffled = words.clone();
        let mut state = seed | 1;
        for place in (1..shuffled.len()).rev() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            shuffled.swap(place, (state >> 33) as usize % (place + 1));
        }
        let (open, last) = announce(&words);
        prop_assert_eq!((open.clone(), last), announce(&shuffled));
        for word in &words {
            match word {
                Kept::Over(id) => prop_assert!(!open.contains_key(id)),
                Kept::Open(id, rev) => {
                    let over = words.iter().any(|word| matches!(word, Kept::Over(over) if over == id));
                    prop_assert!(over || open[id] >= *rev);
                }
            }
        }
    }
}
