//! What a retention ends, and when.

use super::{message, server, unique};
use crate::scylla::{CqlStore, open};
use crate::{Append, Conversation, MessageId, Placed, Range, Store, UserId, Username};
use std::time::Duration;

const TWO_HOURS: Duration = Duration::from_secs(7_200);

#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_privates_lives_as_long_as_its_messages() {
    let Some(mut settings) = server(&unique("kept")) else {
        return;
    };
    settings.retention = Some(TWO_HOURS);
    CqlStore::migrate(&settings).await.unwrap();
    let store = CqlStore::connect(settings).await.unwrap();
    let now = store.now().await.unwrap();
    // As `message` has it, the author is 7.
    let (ada, bob) = (UserId(7), UserId(8));
    let private = Conversation::private(ada, bob);
    let name = Username::parse("bob").unwrap();
    let said = message(MessageId::at(now), &private, "kept for two hours");
    assert_eq!(store.append(&said, Some(&name)).await, Ok(Append::Kept));
    store.mark_read(bob, ada, now).await.unwrap();
    for (user, reads) in [(ada, false), (bob, true)] {
        let cql = format!("SELECT TTL(last_sent), TTL(read_up_to) FROM inbox WHERE user = {user}");
        let row = open::ask_once::<(Option<i32>, Option<i32>)>(&store.link.session, &cql).await;
        let (sent, read) = row.unwrap().unwrap();
        assert!(sent.is_some_and(|ttl| ttl <= 7_200), "{sent:?}");
        assert_eq!(read.is_some_and(|ttl| ttl <= 7_200), reads, "{read:?}");
    }

    // Its place was taken too long ago, so it is not looked for, though its row is still there.
    let three_hours = 3 * 3_600_000;
    let old = message(MessageId::at(now - three_hours), &private, "old");
    assert_eq!(store.append(&old, Some(&name)).await, Ok(Append::Kept));
    assert_eq!(store.placed(old.id).await, Ok(Placed::Nothing));
    let all = Range {
        before: None,
        after: None,
        limit: 10,
    };
    let page = store.history(&private, all).await.unwrap();
    assert_eq!((page.messages, page.more), (vec![said], false));
}
