//! One message at its place.

use super::bench::{together, words};
use super::{Bench, Broken, Held, list_cases, same};
use crate::{Append, Conversation, Ended, Message, Placed, Range};

list_cases!("messages":
    a_kept_message_is_at_its_place_to_the_letter,
    a_text_of_any_kind_comes_back_as_it_was,
    a_message_may_name_nobody_who_exists,
    keeping_it_again_changes_nothing,
    of_many_who_keep_it_again_all_are_told_it_is_kept,
    another_text_finds_the_place_taken,
    nothing_is_known_of_a_fresh_id,
    a_deleted_message_is_gone_and_leaves_a_mark,
    a_deleted_message_does_not_come_back,
    an_id_that_was_never_kept_can_be_used_up,
    a_delete_takes_one_message_alone,
    a_delete_elsewhere_touches_nothing,
    nothing_is_swept_before_its_time,
);

async fn a_kept_message_is_at_its_place_to_the_letter(bench: &Bench<'_>) -> Held {
    let (ada, bob) = (bench.person("ada").await?, bench.person("bob").await?);
    let private = Conversation::private(ada.id, bob.id);
    for (conversation, recipient) in [(bench.channel().await?, None), (private, Some(&bob.name))] {
        let mut message = bench.message(&ada, &conversation, "hello");
        message.datetime_start -= 3;
        message.datetime_sent += 77_000;
        let kept = bench.store.append(&message, recipient).await?;
        same("a message", kept, Append::Kept)?;
        let placed = bench.store.placed(message.id).await?;
        same("its place", placed, there(&message))?;
        same(
            "its history",
            history(bench, &conversation).await?,
            vec![message],
        )?;
    }
    Ok(())
}

async fn a_text_of_any_kind_comes_back_as_it_was(bench: &Bench<'_>) -> Held {
    let ada = bench.person("ada").await?;
    let channel = bench.channel().await?;
    let longest = "\u{1F600}".repeat(2_000);
    let texts = [
        "  two lines\r\n\tand a blank ",
        "'; DROP TABLE messages; -- %s \\ \"",
        "α\u{0301} is not ά, \u{202E}nor this",
        "a\0b",
        "null",
        &longest,
    ];
    for text in texts {
        let message = bench.message(&ada, &channel, text);
        let kept = bench.store.append(&message, None).await?;
        same("a message", kept, Append::Kept)?;
        let placed = bench.store.placed(message.id).await?;
        // Compared by hand: a text shows itself to nobody who prints it.
        let text_is_back = matches!(placed, Placed::Message(back) if back.text.as_str() == text);
        same(&format!("{text:.40} came back"), text_is_back, true)?;
    }
    Ok(())
}

async fn a_message_may_name_nobody_who_exists(bench: &Bench<'_>) -> Held {
    let ada = bench.person("ada").await?;
    let channel = bench.channel().await?;
    let message = Message {
        author: None,
        username: bench.username("bot"),
        ..bench.message(&ada, &channel, "deployed")
    };
    let kept = bench.store.append(&message, None).await?;
    same("a message", kept, Append::Kept)?;
    same(
        "its history",
        history(bench, &channel).await?,
        vec![message],
    )
}

async fn keeping_it_again_changes_nothing(bench: &Bench<'_>) -> Held {
    let (ada, bob) = (bench.person("ada").await?, bench.person("bob").await?);
    let private = Conversation::private(ada.id, bob.id);
    let message = bench.message(&ada, &private, "once");
    for _ in 0..3 {
        let kept = bench.store.append(&message, Some(&bob.name)).await?;
        same("a message", kept, Append::Kept)?;
    }
    same(
        "its history",
        history(bench, &private).await?,
        vec![message],
    )?;
    let inbox = bench.store.inbox(bob.id, 10).await?;
    let unread: Vec<_> = inbox.iter().map(|private| private.unread).collect();
    same("what is unread", unread, vec![1])
}

async fn of_many_who_keep_it_again_all_are_told_it_is_kept(bench: &Bench<'_>) -> Held {
    let ada = bench.person("ada").await?;
    let channel = bench.channel().await?;
    let message = bench.message(&ada, &channel, "once");
    let keeping = (0..bench.scale.competitors).map(|_| bench.store.append(&message, None));
    for kept in together(keeping).await? {
        same("a message", kept, Append::Kept)?;
    }
    same(
        "its history",
        history(bench, &channel).await?,
        vec![message],
    )
}

async fn another_text_finds_the_place_taken(bench: &Bench<'_>) -> Held {
    let ada = bench.person("ada").await?;
    let channel = bench.channel().await?;
    let first = bench.message(&ada, &channel, "first");
    bench.store.append(&first, None).await?;
    let second = Message {
        text: words("second"),
        datetime_sent: first.datetime_sent + 1,
        ..first.clone()
    };
    for _ in 0..2 {
        let taken = bench.store.append(&second, None).await?;
        same(
            "another text",
            taken,
            Append::Taken(Box::new(first.clone())),
        )?;
        same(
            "its place",
            bench.store.placed(first.id).await?,
            there(&first),
        )?;
    }
    let kept = bench.store.append(&first, None).await?;
    same("the first again", kept, Append::Kept)?;
    same("its history", history(bench, &channel).await?, vec![first])
}

async fn nothing_is_known_of_a_fresh_id(bench: &Bench<'_>) -> Held {
    let placed = bench.store.placed(bench.id()).await?;
    same("a fresh id", placed, Placed::Nothing)
}

async fn a_deleted_message_is_gone_and_leaves_a_mark(bench: &Bench<'_>) -> Held {
    let (ada, bob) = (bench.person("ada").await?, bench.person("bob").await?);
    let private = Conversation::private(ada.id, bob.id);
    for (conversation, recipient) in [(bench.channel().await?, None), (private, Some(&bob.name))] {
        let message = bench.message(&ada, &conversation, "gone");
        bench.store.append(&message, recipient).await?;
        for was_there in [true, false] {
            let end = bench
                .store
                .end_message(&conversation, message.id, bench.now);
            same("there was a message", end.await?, was_there)?;
            let placed = bench.store.placed(message.id).await?;
            same("its place", placed, ended(&conversation))?;
            same("its history", history(bench, &conversation).await?, vec![])?;
        }
    }
    Ok(())
}

async fn a_deleted_message_does_not_come_back(bench: &Bench<'_>) -> Held {
    let ada = bench.person("ada").await?;
    let channel = bench.channel().await?;
    let message = bench.message(&ada, &channel, "gone");
    bench.store.append(&message, None).await?;
    let end = bench.store.end_message(&channel, message.id, bench.now);
    same("there was a message", end.await?, true)?;
    let changed = Message {
        text: words("changed"),
        ..message.clone()
    };
    for again in [&message, &changed] {
        let answer = bench.store.append(again, None).await?;
        same("kept again", answer, Append::Ended)?;
    }
    same(
        "its place",
        bench.store.placed(message.id).await?,
        ended(&channel),
    )?;
    same("its history", history(bench, &channel).await?, vec![])
}

async fn an_id_that_was_never_kept_can_be_used_up(bench: &Bench<'_>) -> Held {
    let (ada, bob) = (bench.person("ada").await?, bench.person("bob").await?);
    let private = Conversation::private(ada.id, bob.id);
    let message = bench.message(&ada, &private, "never sent");
    let end = bench.store.end_message(&private, message.id, bench.now);
    same("there was a message", end.await?, false)?;
    same(
        "its place",
        bench.store.placed(message.id).await?,
        ended(&private),
    )?;
    let answer = bench.store.append(&message, Some(&bob.name)).await?;
    same("kept afterwards", answer, Append::Ended)?;
    same("its history", history(bench, &private).await?, vec![])?;
    let inbox = bench.store.inbox(bob.id, 10).await?;
    same("the recipient's privates", inbox, vec![])
}

async fn a_delete_takes_one_message_alone(bench: &Bench<'_>) -> Held {
    let ada = bench.person("ada").await?;
    let channel = bench.channel().await?;
    let messages = ["one", "two", "three"].map(|text| bench.message(&ada, &channel, text));
    for message in &messages {
        bench.store.append(message, None).await?;
    }
    let [one, two, three] = messages;
    bench.store.end_message(&channel, two.id, bench.now).await?;
    same(
        "the history",
        history(bench, &channel).await?,
        vec![three, one],
    )
}

async fn a_delete_elsewhere_touches_nothing(bench: &Bench<'_>) -> Held {
    let ada = bench.person("ada").await?;
    let (here, elsewhere) = (bench.channel().await?, bench.channel().await?);
    let message = bench.message(&ada, &here, "here");
    bench.store.append(&message, None).await?;
    let end = bench.store.end_message(&elsewhere, message.id, bench.now);
    same("there was a message", end.await?, false)?;
    same(
        "its place",
        bench.store.placed(message.id).await?,
        there(&message),
    )?;
    same("its history", history(bench, &here).await?, vec![message])
}

async fn nothing_is_swept_before_its_time(bench: &Bench<'_>) -> Held {
    let store = bench.store;
    let ada = bench.person("ada").await?;
    let channel = bench.channel().await?;
    let message = bench.message(&ada, &channel, "stays");
    store.append(&message, None).await?;
    let ended_id = bench.id();
    store.end_message(&channel, ended_id, bench.now).await?;
    let sign_in = bench.sign_in(&ada, bench.now - crate::SignIn::LIFETIME + 60_000);
    store.add_sign_in(&sign_in).await?;
    let claim = bench.key_claim(&channel);
    let bound_at = bench.now - crate::KeyClaim::LIFETIME + 60_000;
    store.claim_key(ada.id, "k", &claim, bound_at).await?;

    store.sweep(bench.now).await?;
    same(
        "a message",
        store.placed(message.id).await?,
        there(&message),
    )?;
    same("a mark", store.placed(ended_id).await?, ended(&channel))?;
    let found = store.sign_in(sign_in.hash, bench.now).await?;
    same("a sign-in", found, Some(sign_in))?;
    let bound = store.key(ada.id, "k", bench.now).await?;
    same("a key", bound, Some(claim))
}

fn there(message: &Message) -> Placed {
    Placed::Message(Box::new(message.clone()))
}

fn ended(conversation: &Conversation) -> Placed {
    Placed::Ended(Ended {
        conversation: conversation.clone(),
    })
}

async fn history(bench: &Bench<'_>, conversation: &Conversation) -> Result<Vec<Message>, Broken> {
    let range = Range {
        before: None,
        after: None,
        limit: 100,
    };
    Ok(bench.store.history(conversation, range).await?.messages)
}
