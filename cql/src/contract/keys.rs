//! Idempotency keys.

use super::bench::together;
use super::{Bench, Held, list_cases, same};
use crate::{ChannelName, Conversation, KeyClaim};

list_cases!("keys":
    a_key_stands_for_what_came_first,
    a_key_is_its_users_own,
    a_key_is_bound_for_a_day,
    a_key_is_bound_anew_where_it_stands_for_the_old,
    a_key_whose_day_has_ended_is_bound_anew,
    of_many_who_bind_a_key_all_meet_one_message,
    of_many_who_bind_a_key_anew_all_meet_one_message,
);

async fn a_key_stands_for_what_came_first(bench: &Bench<'_>) -> Held {
    let (user, now) = (bench.user_id(), bench.now);
    let private = Conversation::private(user, bench.user_id());
    let (first, second) = (bench.key_claim(&private), bench.key_claim(&ting()));
    let unbound = bench.store.key(user, "k", now).await?;
    same("before it is bound", unbound, None)?;
    for wish in [&first, &second, &first] {
        let bound = bench.store.claim_key(user, "k", wish, now).await?;
        same("what it stands for", bound, first.clone())?;
    }
    let bound = bench.store.key(user, "k", now).await?;
    same("read", bound, Some(first))
}

async fn a_key_is_its_users_own(bench: &Bench<'_>) -> Held {
    let (ada, bob) = (bench.user_id(), bench.user_id());
    let longest = "'λ\u{1F600} ".repeat(16);
    let mut bound = Vec::new();
    for (user, key) in [
        (ada, "k"),
        (bob, "k"),
        (ada, "K"),
        (ada, "k "),
        (ada, &longest),
    ] {
        let wish = bench.key_claim(&ting());
        let answer = bench.store.claim_key(user, key, &wish, bench.now).await?;
        same(&format!("{key:?}"), answer, wish.clone())?;
        bound.push((user, key, wish));
    }
    for (user, key, wish) in bound {
        let read = bench.store.key(user, key, bench.now).await?;
        same(&format!("{key:?} read"), read, Some(wish))?;
    }
    Ok(())
}

async fn a_key_is_bound_for_a_day(bench: &Bench<'_>) -> Held {
    let (user, store) = (bench.user_id(), bench.store);
    let wish = bench.key_claim(&ting());
    store.claim_key(user, "k", &wish, bench.now).await?;
    let last = bench.now + KeyClaim::LIFETIME - 1;
    let bound = store.key(user, "k", last).await?;
    same("in the last moment", bound, Some(wish))?;
    let bound = store.key(user, "k", last + 1).await?;
    same("after it", bound, None)
}

async fn a_key_is_bound_anew_where_it_stands_for_the_old(bench: &Bench<'_>) -> Held {
    let (user, store, now) = (bench.user_id(), bench.store, bench.now);
    let [old, new, late] = [1, 2, 3].map(|_| bench.key_claim(&ting()));
    store.claim_key(user, "k", &old, now).await?;
    let bound = store.rebind_key(user, "k", old.id, &new, now).await?;
    same("where it stood for the old", bound, new.clone())?;
    let bound = store.rebind_key(user, "k", old.id, &late, now).await?;
    same("where it does not", bound, new.clone())?;
    let bound = store.rebind_key(user, "k", late.id, &late, now).await?;
    same("where it never did", bound, new.clone())?;
    let bound = store.key(user, "k", now).await?;
    same("read", bound, Some(new.clone()))?;
    let bound = store.claim_key(user, "k", &old, now).await?;
    same("claimed once more", bound, new)
}

async fn a_key_whose_day_has_ended_is_bound_anew(bench: &Bench<'_>) -> Held {
    let (user, store, now) = (bench.user_id(), bench.store, bench.now);
    let yesterday = now - KeyClaim::LIFETIME - 1_000;
    let [old, new] = [1, 2].map(|_| bench.key_claim(&ting()));
    for key in ["claimed", "rebound"] {
        store.claim_key(user, key, &old, yesterday).await?;
    }
    let bound = store.claim_key(user, "claimed", &new, now).await?;
    same("claimed", bound, new.clone())?;
    let bound = store.rebind_key(user, "rebound", old.id, &new, now).await?;
    same("bound anew", bound, new.clone())?;
    for key in ["claimed", "rebound"] {
        let bound = store.key(user, key, now).await?;
        same(&format!("{key} read"), bound, Some(new.clone()))?;
    }
    Ok(())
}

async fn of_many_who_bind_a_key_all_meet_one_message(bench: &Bench<'_>) -> Held {
    let user = bench.user_id();
    let wishes = wishes(bench);
    let binding = wishes
        .iter()
        .map(|wish| bench.store.claim_key(user, "k", wish, bench.now));
    let bound = together(binding).await?;
    all_met_one(bench, user, &wishes, bound).await
}

async fn of_many_who_bind_a_key_anew_all_meet_one_message(bench: &Bench<'_>) -> Held {
    let (user, store, now) = (bench.user_id(), bench.store, bench.now);
    let old = bench.key_claim(&ting());
    store.claim_key(user, "k", &old, now).await?;
    let wishes = wishes(bench);
    let binding = wishes
        .iter()
        .map(|wish| store.rebind_key(user, "k", old.id, wish, now));
    let bound = together(binding).await?;
    all_met_one(bench, user, &wishes, bound).await
}

async fn all_met_one(
    bench: &Bench<'_>,
    user: crate::UserId,
    wishes: &[KeyClaim],
    bound: Vec<KeyClaim>,
) -> Held {
    let stands = bench.store.key(user, "k", bench.now).await?;
    let wished = wishes.iter().any(|wish| Some(wish) == stands.as_ref());
    same("it stands for one of the wishes", wished, true)?;
    for answer in bound {
        same("what each met", Some(answer), stands.clone())?;
    }
    Ok(())
}

fn wishes(bench: &Bench<'_>) -> Vec<KeyClaim> {
    let ting = ting();
    (0..bench.scale.competitors)
        .map(|_| bench.key_claim(&ting))
        .collect()
}

fn ting() -> Conversation {
    Conversation::Channel(ChannelName::ting())
}
