//! A person's list of privates.

use super::bench::{Person, words};
use super::{Bench, Broken, Held, list_cases, same};
use crate::{Append, Conversation, Inbox, Message, Millis, User, UserId};

list_cases!("inbox":
    a_private_is_in_both_lists,
    a_channel_is_in_no_list,
    the_latest_activity_is_first,
    of_two_sent_at_one_time_the_higher_id_is_first,
    the_list_ends_at_its_limit,
    a_name_is_as_the_last_message_had_it,
    what_is_kept_late_does_not_look_newer,
    what_found_its_place_taken_is_no_activity,
    a_private_with_oneself_is_one_and_read,
    who_is_deleted_leaves_no_list_behind,
);

async fn a_private_is_in_both_lists(bench: &Bench<'_>) -> Held {
    let (ada, bob) = (bench.person("ada").await?, bench.person("bob").await?);
    let message = said(bench, &ada, &bob, "hello", bench.now).await?;
    let datetime_sent = message.datetime_sent;
    let with_bob = entry(&bob, datetime_sent, 0);
    let inbox = bench.store.inbox(ada.id, 50).await?;
    same("the author's", inbox, vec![with_bob])?;
    let with_ada = entry(&ada, datetime_sent, 1);
    let inbox = bench.store.inbox(bob.id, 50).await?;
    same("the other's", inbox, vec![with_ada])
}

async fn a_channel_is_in_no_list(bench: &Bench<'_>) -> Held {
    let ada = bench.person("ada").await?;
    let channel = bench.channel().await?;
    let message = bench.message(&ada, &channel, "to all");
    bench.store.append(&message, None).await?;
    let inbox = bench.store.inbox(ada.id, 50).await?;
    same("the author's", inbox, vec![])
}

async fn the_latest_activity_is_first(bench: &Bench<'_>) -> Held {
    let now = bench.now;
    let ada = bench.person("ada").await?;
    let (bob, eve, zoe) = (
        bench.person("bob").await?,
        bench.person("eve").await?,
        bench.person("zoe").await?,
    );
    said(bench, &ada, &bob, "first", now + 10).await?;
    said(bench, &eve, &ada, "second", now + 20).await?;
    said(bench, &ada, &zoe, "third", now + 30).await?;
    same(
        "others",
        others(bench, &ada, 50).await?,
        [&zoe, &eve, &bob].map(|p| p.id).to_vec(),
    )?;
    said(bench, &bob, &ada, "fourth", now + 40).await?;
    same(
        "others",
        others(bench, &ada, 50).await?,
        [&bob, &zoe, &eve].map(|p| p.id).to_vec(),
    )
}

async fn of_two_sent_at_one_time_the_higher_id_is_first(bench: &Bench<'_>) -> Held {
    let ada = bench.person("ada").await?;
    let mut latest = Vec::new();
    for _ in 0..8 {
        let other = bench.person("other").await?;
        said(bench, &other, &ada, "at one time", bench.now).await?;
        latest.insert(0, other.id);
    }
    same("others", others(bench, &ada, 50).await?, latest)
}

async fn the_list_ends_at_its_limit(bench: &Bench<'_>) -> Held {
    let ada = bench.person("ada").await?;
    let mut latest = Vec::new();
    for n in 0..4 {
        let other = bench.person("other").await?;
        said(bench, &other, &ada, "hello", bench.now + n).await?;
        latest.insert(0, other.id);
    }
    for limit in [0, 1, 3, 4, 5, 1_000] {
        let listed = others(bench, &ada, limit).await?;
        let wanted = latest[..limit.min(latest.len())].to_vec();
        same(&format!("with limit {limit}"), listed, wanted)?;
    }
    Ok(())
}

async fn a_name_is_as_the_last_message_had_it(bench: &Bench<'_>) -> Held {
    let (ada, bob) = (bench.person("ada").await?, bench.person("bob").await?);
    said(bench, &bob, &ada, "as bob", bench.now).await?;
    let renamed = Person {
        name: bench.username("bill"),
        ..bob
    };
    said(bench, &renamed, &ada, "as bill", bench.now + 1).await?;
    let inbox = bench.store.inbox(ada.id, 50).await?;
    same(
        "after the other's",
        inbox,
        vec![entry(&renamed, bench.now + 1, 2)],
    )?;
    let renamed = Person {
        name: bench.username("billy"),
        ..renamed
    };
    said(bench, &ada, &renamed, "to billy", bench.now + 2).await?;
    let inbox = bench.store.inbox(ada.id, 50).await?;
    same(
        "after one's own",
        inbox,
        vec![entry(&renamed, bench.now + 2, 2)],
    )
}

async fn what_is_kept_late_does_not_look_newer(bench: &Bench<'_>) -> Held {
    let (ada, bob) = (bench.person("ada").await?, bench.person("bob").await?);
    let before = Person {
        name: bench.username("bill"),
        ..bob.clone()
    };
    said(bench, &bob, &ada, "sent second", bench.now + 9).await?;
    said(bench, &before, &ada, "sent first", bench.now + 3).await?;
    let inbox = bench.store.inbox(ada.id, 50).await?;
    same("the list", inbox, vec![entry(&bob, bench.now + 9, 2)])
}

async fn what_found_its_place_taken_is_no_activity(bench: &Bench<'_>) -> Held {
    let (ada, bob) = (bench.person("ada").await?, bench.person("bob").await?);
    let message = said(bench, &ada, &bob, "hello", bench.now).await?;
    let other = Message {
        text: words("other"),
        datetime_sent: bench.now + 5,
        ..message
    };
    let taken = bench.store.append(&other, Some(&bob.name)).await?;
    same("taken", matches!(taken, Append::Taken(_)), true)?;
    let inbox = bench.store.inbox(bob.id, 50).await?;
    same("the list", inbox, vec![entry(&ada, bench.now, 1)])
}

async fn a_private_with_oneself_is_one_and_read(bench: &Bench<'_>) -> Held {
    let ada = bench.person("ada").await?;
    said(bench, &ada, &ada, "milk", bench.now).await?;
    said(bench, &ada, &ada, "bread", bench.now + 1).await?;
    let inbox = bench.store.inbox(ada.id, 50).await?;
    same("the list", inbox, vec![entry(&ada, bench.now + 1, 0)])
}

async fn who_is_deleted_leaves_no_list_behind(bench: &Bench<'_>) -> Held {
    let long_ago = bench.now - User::RELEASED_AFTER - 1;
    let (ada, bob) = (
        bench.person_seen_at("ada", long_ago).await?,
        bench.person("bob").await?,
    );
    let eve = bench.person("eve").await?;
    for gone in [&ada, &eve] {
        // Sent by a clock that is ahead of the store's.
        said(bench, gone, &bob, "to bob", bench.now + 5_000).await?;
        said(bench, &bob, gone, "from bob", bench.now + 5_001).await?;
        bench
            .store
            .mark_read(gone.id, bob.id, bench.now + 6_000)
            .await?;
    }
    let deleted = bench.store.delete_user_without_password(eve.id).await?;
    same("deleted", deleted, true)?;
    bench.store.claim_name(&bench.wish(&ada.name)).await?;
    for gone in [&eve, &ada] {
        let listed = bench.store.inbox(gone.id, 50).await?;
        same("the list of who is gone", listed, vec![])?;
    }
    let mut listed = others(bench, &bob, 50).await?;
    listed.sort();
    let mut both = vec![ada.id, eve.id];
    both.sort();
    same("the list of who stays", listed, both)
}

/// What one person said to another, sent at that time.
pub(super) async fn said(
    bench: &Bench<'_>,
    author: &Person,
    to: &Person,
    text: &str,
    datetime_sent: Millis,
) -> Result<Message, Broken> {
    let private = Conversation::private(author.id, to.id);
    let message = Message {
        datetime_sent,
        ..bench.message(author, &private, text)
    };
    let kept = bench.store.append(&message, Some(&to.name)).await?;
    same("a message", kept, Append::Kept)?;
    Ok(message)
}

fn entry(other: &Person, datetime_sent: Millis, unread: u32) -> Inbox {
    Inbox {
        other: other.id,
        username: other.name.clone(),
        datetime_sent,
        unread,
    }
}

async fn others(bench: &Bench<'_>, person: &Person, limit: usize) -> Result<Vec<UserId>, Broken> {
    let inbox = bench.store.inbox(person.id, limit).await?;
    Ok(inbox.iter().map(|private| private.other).collect())
}
