//! A history read in parts.

use super::bench::together;
use super::{Bench, Broken, Held, list_cases, same};
use crate::{Append, Conversation, MessageId, Page, Range, UserId};
use rand::seq::SliceRandom;

list_cases!("history":
    a_fresh_conversation_has_none,
    it_is_in_the_order_of_places_whatever_was_sent_first,
    pages_miss_nothing_and_double_nothing,
    more_tells_whether_older_ones_match,
    after_and_before_leave_out_their_own_ids,
    no_limit_is_too_small_or_too_large,
    conversations_never_mix,
    what_is_kept_while_paging_disturbs_no_older_page,
);

async fn a_fresh_conversation_has_none(bench: &Bench<'_>) -> Held {
    let channel = bench.channel().await?;
    for limit in [0, 1, 100] {
        let page = read(bench, &channel, None, None, limit).await?;
        same("a page", page, Page::default())?;
    }
    Ok(())
}

async fn it_is_in_the_order_of_places_whatever_was_sent_first(bench: &Bench<'_>) -> Held {
    let (channel, ids) = kept(bench, bench.scale.messages).await?;
    let page = read(bench, &channel, None, None, ids.len() + 1).await?;
    same("more", page.more, false)?;
    same("all", ids_of(&page), newest_first(&ids))
}

async fn pages_miss_nothing_and_double_nothing(bench: &Bench<'_>) -> Held {
    let (channel, ids) = kept(bench, bench.scale.messages).await?;
    for limit in [1, 7, 100].map(|limit: usize| limit.max(ids.len() / 60)) {
        let mut seen = Vec::new();
        let mut before = None;
        loop {
            let page = read(bench, &channel, before, None, limit).await?;
            seen.extend(ids_of(&page));
            let full = page.messages.len() == limit;
            same("a page before the last is full", full || !page.more, true)?;
            before = page.messages.last().map(|message| message.id);
            // A store that tells of more for ever is stopped by what it should have told.
            if !page.more || seen.len() > ids.len() {
                break;
            }
        }
        same(&format!("pages of {limit}"), seen, newest_first(&ids))?;
    }
    Ok(())
}

async fn more_tells_whether_older_ones_match(bench: &Bench<'_>) -> Held {
    let (channel, ids) = kept(bench, 5).await?;
    let after_first = Some(ids[0]);
    for (after, limit, more) in [
        (None, 4, true),
        (None, 5, false),
        (None, 6, false),
        (after_first, 3, true),
        (after_first, 4, false),
        (None, 0, true),
        (Some(ids[4]), 0, false),
    ] {
        let page = read(bench, &channel, None, after, limit).await?;
        same(
            &format!("more with limit {limit} after {after:?}"),
            page.more,
            more,
        )?;
    }
    Ok(())
}

async fn after_and_before_leave_out_their_own_ids(bench: &Bench<'_>) -> Held {
    let (channel, ids) = kept(bench, 10).await?;
    for (from, to) in [(0, 9), (2, 5), (4, 5), (7, 7), (6, 3)] {
        let page = read(bench, &channel, Some(ids[to]), Some(ids[from]), 100).await?;
        let between = ids.get(from + 1..to).unwrap_or(&[]);
        let what = format!("between {from} and {to}");
        same(&what, ids_of(&page), newest_first(between))?;
    }
    let page = read(bench, &channel, None, Some(ids[3]), 2).await?;
    same("the newest after", ids_of(&page), vec![ids[9], ids[8]])?;
    let page = read(bench, &channel, Some(ids[3]), None, 2).await?;
    same("the newest before", ids_of(&page), vec![ids[2], ids[1]])?;
    // Bounds need not be ids of messages: `low` is made of a time.
    let low = Some(MessageId(ids[6].0 - 1));
    let page = read(bench, &channel, None, low, 100).await?;
    same("from a time on", ids_of(&page), newest_first(&ids[6..]))?;
    let page = read(bench, &channel, Some(MessageId(0)), None, 100).await?;
    same("before all", page, Page::default())
}

async fn no_limit_is_too_small_or_too_large(bench: &Bench<'_>) -> Held {
    let (channel, ids) = kept(bench, 3).await?;
    let page = read(bench, &channel, None, None, 0).await?;
    same("none", ids_of(&page), vec![])?;
    // Above what a page of the protocol holds, and far above what there is.
    let page = read(bench, &channel, None, None, 100_000).await?;
    same("all", ids_of(&page), newest_first(&ids))
}

async fn conversations_never_mix(bench: &Bench<'_>) -> Held {
    let (ada, bob) = (bench.person("ada").await?, bench.person("bob").await?);
    let with_others = [
        Conversation::private(ada.id, bob.id),
        Conversation::private(ada.id, ada.id),
        Conversation::private(ada.id, UserId(bob.id.0 * 10)),
        Conversation::private(ada.id, UserId(bob.id.0 / 10)),
        bench.channel().await?,
        bench.channel().await?,
    ];
    let mut said = Vec::new();
    for conversation in &with_others {
        let recipient = matches!(conversation, Conversation::Private(..)).then_some(&bob.name);
        let message = bench.message(&ada, conversation, "here alone");
        bench.store.append(&message, recipient).await?;
        said.push(message);
    }
    for message in said {
        let page = read(bench, &message.conversation, None, None, 100).await?;
        let what = message.conversation.key();
        same(&what, page.messages, vec![message])?;
    }
    Ok(())
}

async fn what_is_kept_while_paging_disturbs_no_older_page(bench: &Bench<'_>) -> Held {
    let (channel, ids) = kept(bench, 40).await?;
    let ada = bench.person("ada").await?;
    let mut seen = Vec::new();
    let mut before = None;
    for _ in 0..4 {
        let new = bench.message(&ada, &channel, "meanwhile");
        let keep = bench.store.append(&new, None);
        let read = read(
            bench,
            &channel,
            before.or(Some(MessageId(ids[39].0 + 1))),
            None,
            10,
        );
        let (kept, page) = futures::future::join(keep, read).await;
        same("a message", kept?, Append::Kept)?;
        let page = page?;
        before = page.messages.last().map(|message| message.id);
        seen.extend(ids_of(&page));
    }
    same("what was there before", seen, newest_first(&ids))
}

/// A channel with so many messages, sent in any order; their ids in the order of their places.
async fn kept(bench: &Bench<'_>, count: usize) -> Result<(Conversation, Vec<MessageId>), Broken> {
    let ada = bench.person("ada").await?;
    let channel = bench.channel().await?;
    let mut messages: Vec<_> = (0..count)
        .map(|n| bench.message(&ada, &channel, &format!("message {n}")))
        .collect();
    let ids = messages.iter().map(|message| message.id).collect();
    messages.shuffle(&mut rand::rng());
    for some in messages.chunks(100) {
        let keeping = some.iter().map(|message| bench.store.append(message, None));
        for kept in together(keeping).await? {
            same("a message", kept, Append::Kept)?;
        }
    }
    Ok((channel, ids))
}

async fn read(
    bench: &Bench<'_>,
    conversation: &Conversation,
    before: Option<MessageId>,
    after: Option<MessageId>,
    limit: usize,
) -> Result<Page, Broken> {
    let range = Range {
        before,
        after,
        limit,
    };
    Ok(bench.store.history(conversation, range).await?)
}

fn ids_of(page: &Page) -> Vec<MessageId> {
    page.messages.iter().map(|message| message.id).collect()
}

fn newest_first(ids: &[MessageId]) -> Vec<MessageId> {
    ids.iter().rev().copied().collect()
}
