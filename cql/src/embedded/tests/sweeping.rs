//! Forgetting: what has outlived its time goes, and nothing else.

use super::*;
use crate::{
    Append, ClaimedName, Ended, KeyClaim, Millis, NewUser, Placed, Range, SessionToken, SignIn,
    UserId,
};
use std::time::Duration;

const DAY: Millis = 24 * 3_600_000;

/// Some time in 2026, with room for months before it.
const NOW: Millis = crate::EPOCH + 300 * DAY;

async fn person(store: &EmbeddedStore, id: u64, name: &str) -> Username {
    let username = Username::parse(name).unwrap();
    let new = NewUser {
        id: UserId(id),
        username: username.clone(),
        now: NOW,
    };
    let claimed = store.claim_name(&new).await.unwrap();
    assert_eq!(claimed, ClaimedName::Claimed { released: vec![] });
    username
}

#[tokio::test]
async fn sign_ins_keys_and_marks_go_when_their_time_has_come() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(&directory);
    let username = person(&store, 1, "ada").await;
    let conversation = Conversation::Channel(ChannelName::ting());
    let sign_in = |used_at| SignIn {
        hash: SessionToken::random().hash(),
        user: UserId(1),
        username: username.clone(),
        used_at,
    };
    let (old, young) = (sign_in(NOW - 30 * DAY), sign_in(NOW - 30 * DAY + 1));
    for sign_in in [&old, &young] {
        assert!(store.add_sign_in(sign_in).await.unwrap());
    }
    let claim = KeyClaim {
        id: MessageId(7),
        conversation: conversation.clone(),
    };
    for (key, bound_at) in [("old", NOW - DAY), ("young", NOW - DAY + 1)] {
        store
            .claim_key(UserId(1), key, &claim, bound_at)
            .await
            .unwrap();
    }
    let hour = Ended::LIFETIME;
    for (id, ended_at) in [(1, NOW - hour), (2, NOW - hour + 1)] {
        store
            .end_message(&conversation, MessageId(id), ended_at)
            .await
            .unwrap();
    }

    store.sweep(NOW).await.unwrap();
    assert_eq!(store.sign_ins_of(UserId(1)).await.unwrap(), [young.hash]);
    let kept = store.key(UserId(1), "young", NOW).await.unwrap();
    assert_eq!(kept, Some(claim));
    // Asked as of an earlier time, so that the answer can't come from the key's age.
    let gone = store.key(UserId(1), "old", NOW - DAY).await.unwrap();
    assert_eq!(gone, None);
    assert_eq!(store.placed(MessageId(1)).await.unwrap(), Placed::Nothing);
    let mark = Placed::Ended(Ended { conversation });
    assert_eq!(store.placed(MessageId(2)).await.unwrap(), mark);
}

#[tokio::test]
async fn messages_stay_for_ever_unless_a_retention_is_set() {
    let directory = tempfile::tempdir().unwrap();
    let everything = Range {
        before: None,
        after: None,
        limit: 5_000,
    };
    let conversation = Conversation::private(UserId(1), UserId(2));
    let cut = MessageId::at(NOW - 10 * DAY).0;
    let store = open(&directory);
    let (ada, bob) = (
        person(&store, 1, "ada").await,
        person(&store, 2, "bob").await,
    );
    // More than go in one write, so that it takes several.
    for id in (cut - 1_200..cut).chain([cut, cut + 1]) {
        let said = Message {
            author: Some(UserId(1)),
            ..message(&conversation, id, "hello")
        };
        assert_eq!(store.append(&said, Some(&bob)).await, Ok(Append::Kept));
    }
    let early = Message {
        author: Some(UserId(3)),
        ..message(
            &Conversation::private(UserId(1), UserId(3)),
            cut - 5_000,
            "long ago",
        )
    };
    store.append(&early, Some(&ada)).await.unwrap();
    store.sweep(NOW).await.unwrap();
    let page = store.history(&conversation, everything).await.unwrap();
    assert_eq!(page.messages.len(), 1_202);
    store.close().await;

    let retention = Some(Duration::from_secs(10 * 24 * 3_600));
    let store = EmbeddedStore::open(&file(&directory), retention).unwrap();
    store.sweep(NOW).await.unwrap();
    let page = store.history(&conversation, everything).await.unwrap();
    let left: Vec<_> = page.messages.iter().map(|message| message.id.0).collect();
    assert_eq!(left, [cut + 1, cut]);
    assert_eq!(store.placed(MessageId(cut - 1)).await, Ok(Placed::Nothing));
    let inbox = store.inbox(UserId(1), 50).await.unwrap();
    let others: Vec<_> = inbox.iter().map(|private| private.other).collect();
    assert_eq!(
        others,
        [UserId(2)],
        "a private of which nothing is left is not listed"
    );
}
