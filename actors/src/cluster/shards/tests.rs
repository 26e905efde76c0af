use super::*;
use cql::ChannelName;

const OTHER: NodeName = NodeName { slot: 3, since: 77 };

const LAST: NodeName = NodeName { slot: 2, since: 55 };

fn shard() -> Shard {
    Shard::all().next().unwrap()
}

fn ting() -> Conversation {
    Conversation::Channel(ChannelName::ting())
}

fn word(n: u64) -> ChannelMessage {
    ChannelMessage::Seen { node: OTHER, n }
}

fn counts(held: &Held) -> Vec<u64> {
    let counts = held.iter().filter_map(|(_, message)| match message {
        ChannelMessage::Seen { n, .. } => Some(*n),
        _ => None,
    });
    counts.collect()
}

#[tokio::test(start_paused = true)]
async fn what_comes_waits_in_order_until_the_last_owner_has_finished() {
    let (shards, now) = (Shards::default(), Instant::now());
    assert!(
        shards.pass(shard(), &ting(), word(0)).is_some(),
        "nothing is known of it"
    );
    shards.gained(shard(), Last::There(LAST), now);
    assert!(shards.pass(shard(), &ting(), word(1)).is_none());
    assert!(shards.pass(shard(), &ting(), word(2)).is_none());
    assert_eq!(shards.owed_until(shard(), now), None);
    let held = shards.released(shard(), LAST, Duration::ZERO, now);
    assert_eq!(counts(&held), [1, 2]);
    assert!(shards.pass(shard(), &ting(), word(3)).is_some());
    assert_eq!(
        shards.owed_until(shard(), now),
        None,
        "nothing may come late"
    );
    assert!(
        shards
            .released(shard(), LAST, Duration::ZERO, now)
            .is_empty(),
        "told twice"
    );
}

#[tokio::test(start_paused = true)]
async fn an_owner_that_went_without_a_word_leaves_a_read_owed() {
    let (shards, now) = (Shards::default(), Instant::now());
    shards.gained(shard(), Last::Gone, now);
    assert!(
        shards.pass(shard(), &ting(), word(1)).is_some(),
        "it is served at once"
    );
    let owed = shards.owed_until(shard(), now).unwrap();
    assert!(owed >= now + LEASE);
    assert_eq!(shards.owed_until(shard(), owed), None);
}

#[tokio::test(start_paused = true)]
async fn an_owner_that_takes_too_long_counts_as_gone() {
    let (shards, now) = (Shards::default(), Instant::now());
    shards.gained(shard(), Last::There(LAST), now);
    assert!(shards.pass(shard(), &ting(), word(1)).is_none());
    let (held, next) = shards.give_up(now);
    assert!(held.is_empty());
    let next = next.unwrap();
    let (held, next) = shards.give_up(next);
    assert_eq!(counts(&held), [1]);
    assert_eq!(next, None);
    assert!(shards.owed_until(shard(), now).is_some());
    let late = shards.released(shard(), LAST, Duration::ZERO, now);
    assert!(late.is_empty());
    assert!(
        shards.owed_until(shard(), now).is_some(),
        "a late word takes nothing back"
    );
}

#[tokio::test(start_paused = true)]
async fn only_the_last_owner_says_that_it_has_finished() {
    let (shards, now) = (Shards::default(), Instant::now());
    shards.gained(shard(), Last::There(LAST), now);
    assert!(shards.pass(shard(), &ting(), word(1)).is_none());
    // It had it before the last one, and never heard of that.
    let held = shards.released(shard(), OTHER, Duration::ZERO, now);
    assert!(held.is_empty());
    let owed = Duration::from_secs(3);
    let held = shards.released(shard(), LAST, owed, now);
    assert_eq!(counts(&held), [1]);
    assert_eq!(shards.owed_until(shard(), now), Some(now + owed));
}

#[tokio::test(start_paused = true)]
async fn who_missed_views_reads_once_more_for_owners_that_it_never_heard_of() {
    let (shards, now) = (Shards::default(), Instant::now());
    shards.gained(shard(), Last::ThereOnce(LAST), now);
    assert!(shards.pass(shard(), &ting(), word(1)).is_none());
    let held = shards.released(shard(), LAST, Duration::ZERO, now);
    assert_eq!(counts(&held), [1]);
    let owed = shards.owed_until(shard(), now).unwrap();
    assert!(owed >= now + LEASE);
}

#[tokio::test(start_paused = true)]
async fn what_is_owed_is_handed_on() {
    let (shards, now) = (Shards::default(), Instant::now());
    shards.gained(shard(), Last::Gone, now);
    let held = shards.lost(shard(), Some(OTHER), HashSet::from([ting()]), LEASE, now);
    assert!(held.is_empty());
    assert!(shards.is_releasing(shard(), now));
    assert!(
        shards.take_finished(now).is_empty(),
        "a conversation is being finished"
    );
    shards.finished_with(shard(), &ting());
    let later = now + Duration::from_secs(2);
    let finished = shards.take_finished(later);
    assert_eq!(finished.len(), 1);
    assert_eq!((finished[0].shard, finished[0].to), (shard(), OTHER));
    assert!(finished[0].owed >= LEASE - Duration::from_secs(2));
    assert!(!shards.is_releasing(shard(), later));
    shards.released_all().await;
}

#[tokio::test(start_paused = true)]
async fn what_waited_for_a_shard_goes_with_it() {
    let (shards, now) = (Shards::default(), Instant::now());
    shards.gained(shard(), Last::There(LAST), now);
    assert!(shards.pass(shard(), &ting(), word(1)).is_none());
    let held = shards.lost(shard(), None, HashSet::new(), LEASE, now);
    assert_eq!(counts(&held), [1]);
    assert!(
        shards.take_finished(now).is_empty(),
        "there is nobody to tell"
    );
}

#[tokio::test(start_paused = true)]
async fn a_conversation_that_never_finishes_is_not_acknowledged_for_ever() {
    let (shards, now) = (Shards::default(), Instant::now());
    shards.gained(shard(), Last::Gone, now);
    shards.lost(shard(), Some(OTHER), HashSet::from([ting()]), LEASE, now);
    let in_time = now + FINISHED_WITHIN - Duration::from_millis(1);
    assert!(shards.is_releasing(shard(), in_time));
    assert!(shards.take_finished(in_time).is_empty());
    let later = now + FINISHED_WITHIN;
    assert!(!shards.is_releasing(shard(), later));
    assert!(
        shards.take_finished(later).is_empty(),
        "nobody is told that it finished"
    );
    shards.released_all().await;
}

#[tokio::test(start_paused = true)]
async fn what_an_owner_before_may_still_write_is_owed_by_the_one_after() {
    let (shards, now) = (Shards::default(), Instant::now());
    shards.gained(shard(), Last::There(LAST), now);
    // It goes on to another before the last owner has said that it has finished.
    shards.lost(shard(), Some(OTHER), HashSet::new(), LEASE, now);
    let finished = shards.take_finished(now);
    assert!(finished[0].owed >= LEASE, "{finished:?}");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_acknowledged_by_a_lease_that_the_next_owner_does_not_reckon_with() {
    let (shards, now) = (Shards::default(), Instant::now());
    shards.gained(shard(), Last::Gone, now);
    let left = Duration::from_millis(300);
    shards.lost(shard(), Some(OTHER), HashSet::from([ting()]), left, now);
    assert!(shards.is_releasing(shard(), now + left - Duration::from_millis(1)));
    assert!(!shards.is_releasing(shard(), now + left));
}

#[tokio::test(start_paused = true)]
async fn what_others_may_have_had_meanwhile_is_read_again() {
    let (shards, now) = (Shards::default(), Instant::now());
    shards.gained(shard(), Last::There(LAST), now);
    assert!(shards.pass(shard(), &ting(), word(1)).is_none());
    shards.had_by_others(shard(), now);
    assert!(shards.owed_until(shard(), now).unwrap() >= now + LEASE);
    let (held, _) = shards.give_up(now + RELEASED_WITHIN);
    assert_eq!(counts(&held), [1], "what waits is not lost by it");
}
