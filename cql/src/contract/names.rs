//! Names that are claimed.

use super::bench::{CLAIMED, digits, together};
use super::{Bench, Broken, Held, list_cases, same};
use crate::{ClaimedName, Profile, User, Username};

list_cases!("names":
    a_claimed_name_belongs_to_its_user,
    a_name_that_exists_is_told_with_its_user,
    nobody_gets_a_name_like_somebodys,
    to_be_alike_in_capitals_or_in_small_letters_is_enough,
    a_freed_name_frees_the_names_like_it,
    names_that_can_be_told_apart_both_exist,
    a_name_may_have_every_character,
    of_many_who_wish_one_name_one_gets_it,
    of_many_who_wish_names_alike_one_gets_hers,
    of_many_who_wish_names_alike_in_one_way_one_gets_hers,
);

async fn a_claimed_name_belongs_to_its_user(bench: &Bench<'_>) -> Held {
    let new = bench.wish(&bench.username("ada"));
    let before = bench.store.user_named(&new.username).await?;
    same("who has it before", before, None)?;
    same("who it is before", bench.store.user(new.id).await?, None)?;
    let claimed = bench.store.claim_name(&new).await?;
    same("a fresh name", claimed, CLAIMED)?;
    let ada = Some(User {
        id: new.id,
        username: new.username.clone(),
        password_hash: None,
        profile: Profile::default(),
        last_seen: bench.now,
    });
    let named = bench.store.user_named(&new.username).await?;
    same("who has it", named, ada.clone())?;
    same("who it is", bench.store.user(new.id).await?, ada)
}

async fn a_name_that_exists_is_told_with_its_user(bench: &Bench<'_>) -> Held {
    let ada = bench.person("ada").await?;
    let second = bench.wish_at(&ada.name, bench.now + 5);
    let claimed = bench.store.claim_name(&second).await?;
    let user = ada.fresh(bench.now);
    let exists = ClaimedName::Exists(Box::new(user.clone()));
    same("a name that exists", claimed, exists)?;
    let left = bench.store.user(second.id).await?;
    same("what a refused wish leaves", left, None)?;
    let kept = bench.store.user(ada.id).await?;
    same("what it changes", kept, Some(user))
}

async fn nobody_gets_a_name_like_somebodys(bench: &Bench<'_>) -> Held {
    let [first, others @ ..] = lookalikes()?;
    let claimed = bench.store.claim_name(&bench.wish(&first)).await?;
    same("the first of names alike", claimed, CLAIMED)?;
    for other in others {
        let wish = bench.wish(&other);
        let claimed = bench.store.claim_name(&wish).await?;
        same(
            &format!("{other} beside {first}"),
            claimed,
            ClaimedName::Alike,
        )?;
        let named = bench.store.user_named(&other).await?;
        same(&format!("who has {other}"), named, None)?;
        let left = bench.store.user(wish.id).await?;
        same("what a refused wish leaves", left, None)?;
    }
    Ok(())
}

async fn to_be_alike_in_capitals_or_in_small_letters_is_enough(bench: &Bench<'_>) -> Held {
    for [one, other] in alike_in_one_way()? {
        let claimed = bench.store.claim_name(&bench.wish(&one)).await?;
        same(&format!("{one}"), claimed, CLAIMED)?;
        let claimed = bench.store.claim_name(&bench.wish(&other)).await?;
        let what = format!("{other} beside {one}");
        same(&what, claimed, ClaimedName::Alike)?;
    }
    Ok(())
}

async fn a_freed_name_frees_the_names_like_it(bench: &Bench<'_>) -> Held {
    for [one, other] in alike_in_one_way()? {
        for name in [&one, &other, &one] {
            let wish = bench.wish(name);
            let claimed = bench.store.claim_name(&wish).await?;
            same(&format!("{name}"), claimed, CLAIMED)?;
            let freed = bench.store.delete_user_without_password(wish.id).await?;
            same(&format!("{name} is freed"), freed, true)?;
        }
    }
    Ok(())
}

async fn names_that_can_be_told_apart_both_exist(bench: &Bench<'_>) -> Held {
    let number = digits();
    for beginning in ["vick", "nick", "α", "ά", "λ", "l", "1", "."] {
        let name = name(&format!("{beginning}{number}"))?;
        let claimed = bench.store.claim_name(&bench.wish(&name)).await?;
        same(&format!("{name} beside the others"), claimed, CLAIMED)?;
    }
    Ok(())
}

async fn a_name_may_have_every_character(bench: &Bench<'_>) -> Held {
    let number = &digits()[..6];
    for odd in ["'\"`;:", ".,/?~!@#$", "%^&*()-_", "=+[]{}\\|", "ΐΰΏώΩ"] {
        let wish = bench.wish(&name(&format!("{odd}{number}"))?);
        let claimed = bench.store.claim_name(&wish).await?;
        same(odd, claimed, CLAIMED)?;
        let named = bench.store.user_named(&wish.username).await?;
        same(odd, named.map(|user| user.username), Some(wish.username))?;
    }
    Ok(())
}

async fn of_many_who_wish_one_name_one_gets_it(bench: &Bench<'_>) -> Held {
    let name = bench.username("race");
    let wishes: Vec<_> = (0..bench.scale.competitors)
        .map(|_| bench.wish(&name))
        .collect();
    let answers = together(wishes.iter().map(|wish| bench.store.claim_name(wish))).await?;
    let winners: Vec<_> = wishes
        .iter()
        .zip(&answers)
        .filter(|(_, answer)| **answer == CLAIMED)
        .map(|(wish, _)| wish.id)
        .collect();
    same("how many got it", winners.len(), 1)?;
    let has = bench.store.user_named(&name).await?.map(|user| user.id);
    same("who has it", has, winners.first().copied())?;
    for (wish, answer) in wishes.iter().zip(answers) {
        let user = bench.store.user(wish.id).await?;
        same(
            "only the winner exists",
            user.is_some(),
            has == Some(wish.id),
        )?;
        if let ClaimedName::Exists(user) = answer {
            same("whom the others were told", Some(user.id), has)?;
        } else {
            same("what the others were told", answer, CLAIMED)?;
        }
    }
    Ok(())
}

async fn of_many_who_wish_names_alike_one_gets_hers(bench: &Bench<'_>) -> Held {
    one_gets_hers(bench, &lookalikes()?).await
}

async fn of_many_who_wish_names_alike_in_one_way_one_gets_hers(bench: &Bench<'_>) -> Held {
    for pair in alike_in_one_way()? {
        one_gets_hers(bench, &pair).await?;
    }
    Ok(())
}

async fn one_gets_hers(bench: &Bench<'_>, alike: &[Username]) -> Held {
    let wishes: Vec<_> = (0..bench.scale.competitors)
        .map(|n| bench.wish(&alike[n % alike.len()]))
        .collect();
    let answers = together(wishes.iter().map(|wish| bench.store.claim_name(wish))).await?;
    let claimed = answers.iter().filter(|answer| **answer == CLAIMED);
    same("how many got theirs", claimed.count(), 1)?;
    let mut have = Vec::new();
    for name in alike {
        have.extend(bench.store.user_named(name).await?);
    }
    same("how many have one", have.len(), 1)?;
    let mut exist = Vec::new();
    for wish in &wishes {
        exist.extend(bench.store.user(wish.id).await?);
    }
    same("who exists", exist, have)
}

/// Pairs that share a skeleton of capitals alone, and one of small letters alone.
fn alike_in_one_way() -> Result<[[Username; 2]; 2], Broken> {
    let number = digits();
    let named = |beginning: &str| name(&format!("{beginning}{number}"));
    Ok([[named("Hλ")?, named("Ηλ")?], [named("viv")?, named("νιν")?]])
}

/// Names that all look like each other.
fn lookalikes() -> Result<[Username; 6], Broken> {
    let number = digits();
    let mut names = Vec::new();
    for beginning in ["Kat", "kat", "KAT", "Κat", "καt", "ΚΑΤ"] {
        names.push(name(&format!("{beginning}{number}"))?);
    }
    names.try_into().map_err(|_| Broken::Answer {
        what: "names alike".to_owned(),
        got: "too few".to_owned(),
        wanted: "six".to_owned(),
    })
}

pub(super) fn name(text: &str) -> Result<Username, Broken> {
    Username::parse(text).map_err(|error| Broken::Answer {
        what: format!("{text} is a name"),
        got: error.to_string(),
        wanted: "a name".to_owned(),
    })
}
