//! Names that nobody has used for two weeks.

use super::bench::{CLAIMED, Person, digits, together};
use super::names::name;
use super::{Bench, Broken, Held, list_cases, same};
use crate::{
    ClaimedName, Conversation, Millis, Page, ProfileChanges, Range, User, UserId, Username,
};

list_cases!("released names":
    a_released_name_goes_to_the_next_and_its_user_is_gone,
    a_released_name_is_in_nobodys_way_who_is_like_it,
    a_name_like_two_released_ones_ends_both,
    a_name_like_one_in_use_ends_nobody,
    a_name_is_kept_for_two_weeks,
    a_name_with_a_password_is_kept,
    a_name_that_was_used_is_kept,
    of_many_who_wish_a_released_name_one_gets_it,
    the_next_owner_never_reads_old_privates,
);

async fn a_released_name_goes_to_the_next_and_its_user_is_gone(bench: &Bench<'_>) -> Held {
    let old = bench.person_seen_at("ada", released_at(bench)).await?;
    let sign_in = bench.sign_in(&old, bench.now);
    bench.store.add_sign_in(&sign_in).await?;
    let next = bench.wish(&old.name);
    let claimed = bench.store.claim_name(&next).await?;
    same("a released name", claimed, released(old.id))?;
    same("who was before", bench.store.user(old.id).await?, None)?;
    let found = bench.store.sign_in(sign_in.hash, bench.now).await?;
    same("the sign-in of who was before", found, None)?;
    let listed = bench.store.sign_ins_of(old.id).await?;
    same("the sign-ins of who was before", listed, vec![])?;
    let has = bench.store.user_named(&old.name).await?;
    let next = Person {
        id: next.id,
        name: old.name,
    };
    same("who has it", has, Some(next.fresh(bench.now)))
}

async fn a_released_name_is_in_nobodys_way_who_is_like_it(bench: &Bench<'_>) -> Held {
    let number = digits();
    let old = bench.wish_at(&name(&format!("kat{number}"))?, released_at(bench));
    same("a fresh name", bench.store.claim_name(&old).await?, CLAIMED)?;
    let next = bench.wish(&name(&format!("ΚΑΤ{number}"))?);
    let claimed = bench.store.claim_name(&next).await?;
    same("a name like a released one", claimed, released(old.id))?;
    let has = bench.store.user_named(&old.username).await?;
    same("who has the released one", has, None)?;
    let claimed = bench.store.claim_name(&bench.wish(&old.username)).await?;
    same("the released one again", claimed, ClaimedName::Alike)
}

async fn a_name_like_two_released_ones_ends_both(bench: &Bench<'_>) -> Held {
    let number = digits();
    // A large eta looks like the one, a small one like the other.
    let [one, other] = ["H", "n"].map(|letter| name(&format!("{letter}{number}")));
    let [one, other] = [one?, other?].map(|name| bench.wish_at(&name, released_at(bench)));
    for old in [&one, &other] {
        same("a fresh name", bench.store.claim_name(old).await?, CLAIMED)?;
    }
    let next = bench.wish(&name(&format!("η{number}"))?);
    let mut claimed = bench.store.claim_name(&next).await?;
    if let ClaimedName::Claimed { released } = &mut claimed {
        released.sort();
    }
    let both = ClaimedName::Claimed {
        released: vec![one.id, other.id],
    };
    same("a name like two", claimed, both)?;
    for old in [one, other] {
        same("who was before", bench.store.user(old.id).await?, None)?;
        let has = bench.store.user_named(&old.username).await?;
        same("who has it", has, None)?;
    }
    Ok(())
}

async fn a_name_like_one_in_use_ends_nobody(bench: &Bench<'_>) -> Held {
    for [unused, used] in [["H", "n"], ["n", "H"]] {
        let number = digits();
        let named = |letter: &str| name(&format!("{letter}{number}"));
        let old = bench.wish_at(&named(unused)?, released_at(bench));
        let active = bench.wish(&named(used)?);
        for new in [&old, &active] {
            same("a fresh name", bench.store.claim_name(new).await?, CLAIMED)?;
        }
        let claimed = bench.store.claim_name(&bench.wish(&named("η")?)).await?;
        same("a name like both", claimed, ClaimedName::Alike)?;
        for new in [old, active] {
            let has = bench.store.user_named(&new.username).await?;
            same("who has it", has.map(|user| user.id), Some(new.id))?;
        }
    }
    Ok(())
}

async fn a_name_is_kept_for_two_weeks(bench: &Bench<'_>) -> Held {
    let seen = bench.now - User::RELEASED_AFTER;
    let ada = bench.person_seen_at("ada", seen).await?;
    let claimed = bench.store.claim_name(&bench.wish(&ada.name)).await?;
    same("on the last day", claimed, exists(ada.fresh(seen)))?;
    let later = bench.wish_at(&ada.name, bench.now + 1);
    let claimed = bench.store.claim_name(&later).await?;
    same("after it", claimed, released(ada.id))
}

async fn a_name_with_a_password_is_kept(bench: &Bench<'_>) -> Held {
    let seen = released_at(bench);
    let ada = bench.person_seen_at("ada", seen).await?;
    let password_hash = Some("$argon2id$ada".to_owned());
    let changes = ProfileChanges {
        password_hash: password_hash.clone(),
        profile: None,
    };
    bench.store.change_user(ada.id, &changes).await?;
    let claimed = bench.store.claim_name(&bench.wish(&ada.name)).await?;
    let user = User {
        password_hash,
        ..ada.fresh(seen)
    };
    same("a name with a password", claimed, exists(user))
}

async fn a_name_that_was_used_is_kept(bench: &Bench<'_>) -> Held {
    let ada = bench.person_seen_at("ada", released_at(bench)).await?;
    bench.store.touch_user(ada.id, bench.now - 1).await?;
    let claimed = bench.store.claim_name(&bench.wish(&ada.name)).await?;
    same(
        "a name that was used",
        claimed,
        exists(ada.fresh(bench.now - 1)),
    )
}

async fn of_many_who_wish_a_released_name_one_gets_it(bench: &Bench<'_>) -> Held {
    let old = bench.person_seen_at("ada", released_at(bench)).await?;
    let wishes: Vec<_> = (0..bench.scale.competitors)
        .map(|_| bench.wish(&old.name))
        .collect();
    let answers = together(wishes.iter().map(|wish| bench.store.claim_name(wish))).await?;
    let claimed = answers
        .iter()
        .filter(|a| matches!(a, ClaimedName::Claimed { .. }));
    same("how many got it", claimed.count(), 1)?;
    let told = answers.iter().filter(|a| **a == released(old.id)).count();
    same("how many were told whose it was", told, 1)?;
    same("who was before", bench.store.user(old.id).await?, None)
}

async fn the_next_owner_never_reads_old_privates(bench: &Bench<'_>) -> Held {
    let old = bench.person_seen_at("ada", released_at(bench)).await?;
    let bob = bench.person("bob").await?;
    let private = Conversation::private(old.id, bob.id);
    let to_bob = bench.message(&old, &private, "between us");
    bench.store.append(&to_bob, Some(&bob.name)).await?;
    let to_ada = bench.message(&bob, &private, "for you alone");
    bench.store.append(&to_ada, Some(&old.name)).await?;

    let next = claim_anew(bench, &old.name).await?;
    let inbox = bench.store.inbox(next, 50).await?;
    same("the next owner's privates", inbox, vec![])?;
    let page = bench
        .store
        .history(&Conversation::private(next, bob.id), ALL)
        .await?;
    same("the next owner's history", page, Page::default())?;
    let inbox = bench.store.inbox(bob.id, 50).await?;
    let others: Vec<_> = inbox.iter().map(|private| private.other).collect();
    same("whom the other talked to", others, vec![old.id])?;
    let page = bench.store.history(&private, ALL).await?;
    same(
        "what the other can read",
        page.messages,
        vec![to_ada, to_bob],
    )
}

const ALL: Range = Range {
    before: None,
    after: None,
    limit: 100,
};

async fn claim_anew(bench: &Bench<'_>, username: &Username) -> Result<UserId, Broken> {
    let next = bench.wish(username);
    bench.store.claim_name(&next).await?;
    Ok(next.id)
}

/// A last use so long ago that the name is released.
fn released_at(bench: &Bench<'_>) -> Millis {
    bench.now - User::RELEASED_AFTER - 1
}

fn released(old: UserId) -> ClaimedName {
    ClaimedName::Claimed {
        released: vec![old],
    }
}

fn exists(user: User) -> ClaimedName {
    ClaimedName::Exists(Box::new(user))
}
