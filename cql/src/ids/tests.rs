use super::*;
use proptest::prelude::*;

#[test]
fn an_id_tells_its_time_and_its_slot() {
    let mut places = Places::new(93, EPOCH);
    let id = places
        .next(EPOCH + 12_345, MessageId(0), Millis::MAX)
        .unwrap();
    assert_eq!(id.time(), EPOCH + 12_345);
    assert_eq!(id.slot(), 93);
    assert!(id.0 < 1 << 53);
}

#[test]
fn no_id_is_given_past_the_reserved_time() {
    let mut places = Places::new(1, EPOCH);
    assert_eq!(places.next(EPOCH + 100, MessageId(0), EPOCH + 100), None);
    assert!(places.next(EPOCH + 99, MessageId(0), EPOCH + 100).is_some());
    assert_eq!(
        places.next(EPOCH + 1, MessageId::at(EPOCH + 99 + 1), EPOCH + 100),
        None
    );
}

proptest! {
    #[test]
    fn ids_rise_whatever_the_clock_does(
        steps in prop::collection::vec((0i64..5_000, 0u64..1 << 40), 1..300),
        slot in 0u8..128,
    ) {
        let mut places = Places::new(slot, EPOCH);
        let mut last = MessageId(0);
        for (now, above) in steps {
            let above = MessageId(above);
            let id = places.next(EPOCH + now, above, Millis::MAX).unwrap();
            prop_assert!(id > last);
            prop_assert!(id > above);
            prop_assert!(id.time() >= EPOCH + now);
            prop_assert_eq!(id.slot(), slot);
            last = id;
        }
    }

    #[test]
    fn two_slots_never_give_the_same_id(
        nows in prop::collection::vec(0i64..50, 1..200),
        (a, b) in (0u8..128, 0u8..128).prop_filter("apart", |(a, b)| a != b),
    ) {
        let (mut left, mut right) = (Places::new(a, EPOCH), Places::new(b, EPOCH));
        let mut seen = std::collections::HashSet::new();
        for now in nows {
            prop_assert!(seen.insert(left.next(EPOCH + now, MessageId(0), Millis::MAX)));
            prop_assert!(seen.insert(right.next(EPOCH + now, MessageId(0), Millis::MAX)));
        }
    }
}
