//! Channels.

use super::bench::{digits, together};
use super::{Bench, Held, list_cases, same};
use crate::ChannelName;

list_cases!("channels":
    ting_always_exists,
    a_channel_is_created_once,
    names_that_differ_in_case_are_two_channels,
    of_many_who_create_a_channel_one_does,
);

async fn ting_always_exists(bench: &Bench<'_>) -> Held {
    let ting = ChannelName::ting();
    let exists = bench.store.channel_exists(&ting).await?;
    same("ting exists", exists, true)?;
    let new = bench.store.create_channel(&ting, bench.now).await?;
    same("ting is new", new, false)
}

async fn a_channel_is_created_once(bench: &Bench<'_>) -> Held {
    let name = bench.channel_name("once.-_");
    let exists = bench.store.channel_exists(&name).await?;
    same("exists before it is created", exists, false)?;
    let new = bench.store.create_channel(&name, bench.now).await?;
    same("is new", new, true)?;
    let new = bench.store.create_channel(&name, bench.now + 1).await?;
    same("is new a second time", new, false)?;
    let exists = bench.store.channel_exists(&name).await?;
    same("exists afterwards", exists, true)
}

async fn names_that_differ_in_case_are_two_channels(bench: &Bench<'_>) -> Held {
    let number = digits();
    for name in [format!("case{number}"), format!("CASE{number}")] {
        let Ok(name) = ChannelName::parse(&name) else {
            return same("a channel's name is right", name, String::new());
        };
        let new = bench.store.create_channel(&name, bench.now).await?;
        same("is new", new, true)?;
    }
    Ok(())
}

async fn of_many_who_create_a_channel_one_does(bench: &Bench<'_>) -> Held {
    let name = bench.channel_name("race");
    let wishes = (0..bench.scale.competitors).map(|_| bench.store.create_channel(&name, bench.now));
    let created = together(wishes).await?;
    let created = created.into_iter().filter(|new| *new).count();
    same("how many created it", created, 1)
}
