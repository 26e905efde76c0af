//! Slots of the id space, and the keys that all nodes share.

use super::bench::{digits, together};
use super::{Bench, Broken, Held, list_cases, same};
use crate::{Millis, SLOTS};
use std::collections::HashSet;

list_cases!("slots":
    a_high_water_moves_from_what_was_seen,
    a_slot_that_was_taken_is_listed_once,
    of_many_who_reserve_a_slot_one_does,
    a_cluster_key_is_made_by_the_first,
    of_many_who_make_a_cluster_key_all_get_one,
);

async fn a_high_water_moves_from_what_was_seen(bench: &Bench<'_>) -> Held {
    let store = bench.store;
    let (number, seen) = free_slot(bench).await?;
    let water = seen.unwrap_or(0) + 1;
    let moved = store.reserve_slot(number, seen, water).await?;
    same("moved from what was seen", moved, true)?;
    let moved = store.reserve_slot(number, seen, water + 1).await?;
    same("moved from what it was before", moved, false)?;
    let moved = store.reserve_slot(number, None, water + 1).await?;
    same("taken as if it never was", moved, false)?;
    let moved = store
        .reserve_slot(number, Some(water + 5), water + 6)
        .await?;
    same("moved from what it never was", moved, false)?;
    same(
        "its high water",
        high_water(bench, number).await?,
        Some(water),
    )?;
    // Given back: a node that ends moves it to where it came to, which may be lower.
    let moved = store.reserve_slot(number, Some(water), water - 1).await?;
    same("given back", moved, true)?;
    let now = high_water(bench, number).await?;
    same("its high water given back", now, Some(water - 1))
}

async fn a_slot_that_was_taken_is_listed_once(bench: &Bench<'_>) -> Held {
    let (number, seen) = free_slot(bench).await?;
    let water = seen.unwrap_or(0) + 1;
    bench.store.reserve_slot(number, seen, water).await?;
    let slots = bench.store.slots().await?;
    let numbers: HashSet<_> = slots.iter().map(|slot| slot.number).collect();
    same("slots listed twice", slots.len() - numbers.len(), 0)?;
    same("is listed", numbers.contains(&number), true)
}

async fn of_many_who_reserve_a_slot_one_does(bench: &Bench<'_>) -> Held {
    let (number, seen) = free_slot(bench).await?;
    let first = seen.unwrap_or(0) + 1;
    let count = bench.scale.competitors as Millis;
    let wishes = (0..count).map(|n| bench.store.reserve_slot(number, seen, first + n));
    let moved = together(wishes).await?;
    let winners: Vec<_> = (first..).zip(moved).filter(|(_, moved)| *moved).collect();
    same("how many reserved it", winners.len(), 1)?;
    let water = winners.first().map(|(water, _)| *water);
    same("the high water", high_water(bench, number).await?, water)
}

async fn a_cluster_key_is_made_by_the_first(bench: &Bench<'_>) -> Held {
    let (name, other) = (key_name(), key_name());
    let made = bench.store.cluster_key(&name, [1; 32]).await?;
    same("the first one's", made, [1; 32])?;
    let read = bench.store.cluster_key(&name, [2; 32]).await?;
    same("the second one's", read, [1; 32])?;
    let made = bench.store.cluster_key(&other, [3; 32]).await?;
    same("another name's", made, [3; 32])
}

async fn of_many_who_make_a_cluster_key_all_get_one(bench: &Bench<'_>) -> Held {
    let name = key_name();
    let fresh = (0..bench.scale.competitors).map(|n| {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&(n as u64).to_be_bytes());
        key
    });
    let keys = together(fresh.map(|key| bench.store.cluster_key(&name, key))).await?;
    let keys: HashSet<_> = keys.into_iter().collect();
    same("how many keys were given", keys.len(), 1)
}

fn key_name() -> String {
    format!("contract-{}", digits())
}

async fn high_water(bench: &Bench<'_>, number: u8) -> Result<Option<Millis>, Broken> {
    let slots = bench.store.slots().await?;
    let slot = slots.iter().find(|slot| slot.number == number);
    Ok(slot.map(|slot| slot.high_water))
}

/// A slot that nobody holds: never taken, or its high water is past as for any node.
async fn free_slot(bench: &Bench<'_>) -> Result<(u8, Option<Millis>), Broken> {
    let taken = bench.store.slots().await?;
    let never = (0..SLOTS).find(|number| taken.iter().all(|slot| slot.number != *number));
    if let Some(number) = never {
        return Ok((number, None));
    }
    // Far enough past that what a case adds to it stays past.
    let past = taken
        .iter()
        .find(|slot| slot.high_water < bench.now - 60_000);
    match past {
        Some(slot) => Ok((slot.number, Some(slot.high_water))),
        None => Err(Broken::Answer {
            what: "a slot is free for the case".to_owned(),
            got: "none".to_owned(),
            wanted: "one".to_owned(),
        }),
    }
}
