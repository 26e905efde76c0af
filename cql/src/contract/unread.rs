//! What is unread in a private: counted in the order of sending, which is not that of places.

use super::bench::{Person, together};
use super::inbox::said;
use super::{Bench, Broken, Held, list_cases, same};
use crate::{Conversation, Message, Millis};

list_cases!("unread":
    what_the_other_sent_counts_and_ones_own_does_not,
    what_was_read_counts_no_more,
    a_low_place_that_is_sent_late_counts,
    a_high_place_that_was_read_does_not_count,
    reading_is_noted_and_never_backwards,
    reading_is_one_persons_own,
    reading_where_nobody_talked_notes_nothing,
    it_counts_to_ninety_nine,
    what_was_deleted_counts_no_more,
);

async fn what_the_other_sent_counts_and_ones_own_does_not(bench: &Bench<'_>) -> Held {
    let (ada, bob, now) = pair(bench).await?;
    said(bench, &ada, &bob, "one", now).await?;
    said(bench, &bob, &ada, "two", now + 1).await?;
    said(bench, &ada, &bob, "three", now + 2).await?;
    same("bob's", unread(bench, &bob, &ada).await?, Some(2))?;
    same("ada's", unread(bench, &ada, &bob).await?, Some(1))
}

async fn what_was_read_counts_no_more(bench: &Bench<'_>) -> Held {
    let (ada, bob, now) = pair(bench).await?;
    for n in 0..5 {
        said(bench, &ada, &bob, "hello", now + n).await?;
    }
    for (read, left) in [(1, 3), (3, 1), (4, 0)] {
        bench.store.mark_read(bob.id, ada.id, now + read).await?;
        let what = format!("read up to {read}");
        same(&what, unread(bench, &bob, &ada).await?, Some(left))?;
    }
    said(bench, &ada, &bob, "one more", now + 5).await?;
    same("one more", unread(bench, &bob, &ada).await?, Some(1))
}

async fn a_low_place_that_is_sent_late_counts(bench: &Bench<'_>) -> Held {
    let (ada, bob, now) = pair(bench).await?;
    let private = Conversation::private(ada.id, bob.id);
    let early = bench.message(&ada, &private, "typed first, sent last");
    said(bench, &ada, &bob, "typed last, sent first", now + 1_000).await?;
    bench.store.mark_read(bob.id, ada.id, now + 1_000).await?;
    let late = Message {
        datetime_sent: now + 2_000,
        ..early
    };
    bench.store.append(&late, Some(&bob.name)).await?;
    same("unread", unread(bench, &bob, &ada).await?, Some(1))
}

async fn a_high_place_that_was_read_does_not_count(bench: &Bench<'_>) -> Held {
    let (ada, bob, now) = pair(bench).await?;
    let private = Conversation::private(ada.id, bob.id);
    let low = bench.message(&ada, &private, "typed first, sent last");
    said(bench, &ada, &bob, "typed last, sent first", now + 1_000).await?;
    let late = Message {
        datetime_sent: now + 2_000,
        ..low
    };
    bench.store.append(&late, Some(&bob.name)).await?;
    same("nothing read", unread(bench, &bob, &ada).await?, Some(2))?;
    bench.store.mark_read(bob.id, ada.id, now + 1_999).await?;
    same("the first read", unread(bench, &bob, &ada).await?, Some(1))?;
    bench.store.mark_read(bob.id, ada.id, now + 2_000).await?;
    same("both read", unread(bench, &bob, &ada).await?, Some(0))
}

async fn reading_is_noted_and_never_backwards(bench: &Bench<'_>) -> Held {
    let (ada, bob, now) = pair(bench).await?;
    for n in 0..4 {
        said(bench, &ada, &bob, "hello", now + n).await?;
    }
    for read in [2, 0, 1, -100] {
        bench.store.mark_read(bob.id, ada.id, now + read).await?;
        let what = format!("read up to {read} after 2");
        same(&what, unread(bench, &bob, &ada).await?, Some(1))?;
    }
    let reads = (0..3).map(|n| bench.store.mark_read(bob.id, ada.id, now + n));
    together(reads).await?;
    same("read at once", unread(bench, &bob, &ada).await?, Some(1))
}

async fn reading_is_one_persons_own(bench: &Bench<'_>) -> Held {
    let (ada, bob, now) = pair(bench).await?;
    let eve = bench.person("eve").await?;
    said(bench, &ada, &bob, "hello", now).await?;
    said(bench, &bob, &ada, "hello", now).await?;
    said(bench, &eve, &bob, "hello", now).await?;
    bench.store.mark_read(bob.id, ada.id, now).await?;
    same("bob's of ada", unread(bench, &bob, &ada).await?, Some(0))?;
    same("bob's of eve", unread(bench, &bob, &eve).await?, Some(1))?;
    same("ada's of bob", unread(bench, &ada, &bob).await?, Some(1))
}

async fn reading_where_nobody_talked_notes_nothing(bench: &Bench<'_>) -> Held {
    let (ada, bob, now) = pair(bench).await?;
    bench.store.mark_read(bob.id, ada.id, now).await?;
    let inbox = bench.store.inbox(bob.id, 50).await?;
    same("the list", inbox, vec![])?;
    said(bench, &ada, &bob, "hello", now + 1).await?;
    same("unread", unread(bench, &bob, &ada).await?, Some(1))
}

async fn it_counts_to_ninety_nine(bench: &Bench<'_>) -> Held {
    let (ada, bob, now) = pair(bench).await?;
    let private = Conversation::private(ada.id, bob.id);
    let messages: Vec<_> = (0..101)
        .map(|n| Message {
            datetime_sent: now + n,
            ..bench.message(&ada, &private, "hello")
        })
        .collect();
    let keeping = messages
        .iter()
        .map(|message| bench.store.append(message, Some(&bob.name)));
    together(keeping).await?;
    for (read, left) in [(-1, 99), (0, 99), (1, 99), (2, 98), (100, 0)] {
        bench.store.mark_read(bob.id, ada.id, now + read).await?;
        let what = format!("read up to {read}");
        same(&what, unread(bench, &bob, &ada).await?, Some(left))?;
    }
    Ok(())
}

async fn what_was_deleted_counts_no_more(bench: &Bench<'_>) -> Held {
    let (ada, bob, now) = pair(bench).await?;
    let first = said(bench, &ada, &bob, "first", now).await?;
    said(bench, &ada, &bob, "second", now + 1).await?;
    let end = bench
        .store
        .end_message(&first.conversation, first.id, now + 2);
    same("there was a message", end.await?, true)?;
    same("unread", unread(bench, &bob, &ada).await?, Some(1))
}

async fn pair(bench: &Bench<'_>) -> Result<(Person, Person, Millis), Broken> {
    let (ada, bob) = (bench.person("ada").await?, bench.person("bob").await?);
    Ok((ada, bob, bench.now))
}

async fn unread(bench: &Bench<'_>, person: &Person, other: &Person) -> Result<Option<u32>, Broken> {
    let inbox = bench.store.inbox(person.id, 50).await?;
    let private = inbox.iter().find(|private| private.other == other.id);
    Ok(private.map(|private| private.unread))
}
