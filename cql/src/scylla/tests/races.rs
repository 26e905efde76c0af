//! Two nodes that want the same thing at the same time. Two stores stand for them.

use super::{size, store, unique};
use crate::{
    ChannelName, ClaimedName, Conversation, KeyClaim, MessageId, NewUser, Store, StoreError,
    UserId, Username,
};

/// How often; every time one and only one may win. A long run asks for a thousand.
fn times() -> u64 {
    size("TING_TEST_RACES", 20)
}

fn id() -> u64 {
    rand::random_range(1..1 << 53)
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_who_claim_one_name_one_gets_it() {
    let (Some(one), Some(other)) = (store().await, store().await) else {
        return;
    };
    let mut won = [0, 0];
    for _ in 0..times() {
        let name = format!("race{:012}", rand::random_range(0..1_000_000_000_000u64));
        let now = one.now().await.unwrap();
        let wish = || NewUser {
            id: UserId(id()),
            username: Username::parse(&name).unwrap(),
            now,
        };
        let (ada, bob) = (wish(), wish());
        let claims = tokio::join!(one.claim_name(&ada), other.claim_name(&bob));
        let (winner, loser) = match claims {
            (Ok(ClaimedName::Claimed { released }), Ok(refused)) if released.is_empty() => {
                (0, refused)
            }
            (Ok(refused), Ok(ClaimedName::Claimed { released })) if released.is_empty() => {
                (1, refused)
            }
            other => panic!("{name}: {other:?}"),
        };
        let id = [ada.id, bob.id][winner];
        match loser {
            ClaimedName::Exists(user) => assert_eq!(user.id, id, "{name}"),
            other => panic!("{name}: {other:?}"),
        }
        won[winner] += 1;
    }
    println!("names: {won:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_who_bind_one_key_agree_on_what_it_is_bound_to() {
    let (Some(one), Some(other)) = (store().await, store().await) else {
        return;
    };
    let conversation = Conversation::Channel(ChannelName::ting());
    let user = UserId(id());
    let now = one.now().await.unwrap();
    let mut won = [0, 0];
    for time in 0..times() {
        let key = format!("k{time}");
        let claims = [id(), id()].map(|id| KeyClaim {
            id: MessageId(id),
            conversation: conversation.clone(),
        });
        let (a, b) = tokio::join!(
            one.claim_key(user, &key, &claims[0], now),
            other.claim_key(user, &key, &claims[1], now),
        );
        let (a, b): (Result<_, StoreError>, Result<_, StoreError>) = (a, b);
        let (a, b) = (a.unwrap(), b.unwrap());
        assert_eq!(a, b, "{key}");
        let winner = claims.iter().position(|claim| *claim == a);
        won[winner.expect("one of the two")] += 1;
    }
    println!("keys: {won:?}");
}

#[tokio::test]
async fn a_name_whose_claimant_died_is_free_after_a_moment() {
    let Some(store) = store().await else { return };
    let name = Username::parse(&unique("dead")).unwrap();
    let now = store.now().await.unwrap();
    // It came as far as its first skeleton.
    let [first, _] = name.skeletons();
    let dead = UserId(id());
    store.names.take_for_test(&first, dead).await;
    let wish = NewUser {
        id: UserId(id()),
        username: name.clone(),
        now,
    };
    let claimed = store.claim_name(&wish).await.unwrap();
    assert_eq!(claimed, ClaimedName::Claimed { released: vec![] });
    let named = store.user_named(&name).await.unwrap();
    assert_eq!(named.map(|user| user.id), Some(wish.id));
    // And if it was not dead but asleep, it has lost.
    let late = NewUser { id: dead, ..wish };
    assert_eq!(store.users.add(&late).await, Ok(false));
    assert_eq!(store.user(dead).await, Ok(None));
}
