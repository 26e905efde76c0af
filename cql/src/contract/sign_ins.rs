//! Sign-ins.

use super::{Bench, Held, list_cases, same};
use crate::{SessionToken, SignIn};
use std::collections::BTreeSet;

list_cases!("sign-ins":
    a_sign_in_is_found_by_its_hash_alone,
    nobody_signs_in_who_does_not_exist,
    a_sign_in_ends_thirty_days_after_its_last_use,
    a_use_is_noted_and_never_backwards,
    an_ended_sign_in_does_not_come_back,
    one_person_has_many,
    a_sign_in_kept_twice_is_one,
);

async fn a_sign_in_is_found_by_its_hash_alone(bench: &Bench<'_>) -> Held {
    let ada = bench.person("ada").await?;
    let sign_in = bench.sign_in(&ada, bench.now);
    let there = bench.store.add_sign_in(&sign_in).await?;
    same("the user was there", there, true)?;
    let found = bench.store.sign_in(sign_in.hash, bench.now).await?;
    same("by its hash", found, Some(sign_in))?;
    let other = SessionToken::random().hash();
    let found = bench.store.sign_in(other, bench.now).await?;
    same("by another hash", found, None)
}

async fn nobody_signs_in_who_does_not_exist(bench: &Bench<'_>) -> Held {
    let ada = bench.person("ada").await?;
    bench.store.delete_user_without_password(ada.id).await?;
    let sign_in = bench.sign_in(&ada, bench.now);
    let there = bench.store.add_sign_in(&sign_in).await?;
    same("the user was there", there, false)?;
    let found = bench.store.sign_in(sign_in.hash, bench.now).await?;
    same("the sign-in", found, None)?;
    let listed = bench.store.sign_ins_of(ada.id).await?;
    same("the sign-ins", listed, vec![])
}

async fn a_sign_in_ends_thirty_days_after_its_last_use(bench: &Bench<'_>) -> Held {
    let ada = bench.person("ada").await?;
    let used = bench.now - 1_000;
    let sign_in = bench.sign_in(&ada, used);
    bench.store.add_sign_in(&sign_in).await?;
    let last = used + SignIn::LIFETIME - 1;
    let found = bench.store.sign_in(sign_in.hash, last).await?;
    same("in the last moment", found, Some(sign_in.clone()))?;
    let found = bench.store.sign_in(sign_in.hash, last + 1).await?;
    same("after it", found, None)?;

    bench.store.touch_sign_in(sign_in.hash, bench.now).await?;
    let found = bench.store.sign_in(sign_in.hash, last + 1).await?;
    same("after one more use", found.is_some(), true)
}

async fn a_use_is_noted_and_never_backwards(bench: &Bench<'_>) -> Held {
    let ada = bench.person("ada").await?;
    let sign_in = bench.sign_in(&ada, bench.now);
    bench.store.add_sign_in(&sign_in).await?;
    for (used, noted) in [(10, 10), (30, 30), (20, 30), (-5, 30)] {
        let used_at = bench.now + used;
        bench.store.touch_sign_in(sign_in.hash, used_at).await?;
        let found = bench.store.sign_in(sign_in.hash, bench.now).await?;
        let found = found.map(|found| found.used_at - bench.now);
        same("last used", found, Some(noted))?;
    }
    Ok(())
}

async fn an_ended_sign_in_does_not_come_back(bench: &Bench<'_>) -> Held {
    let ada = bench.person("ada").await?;
    let sign_in = bench.sign_in(&ada, bench.now);
    bench.store.add_sign_in(&sign_in).await?;
    let there = bench.store.end_sign_in(sign_in.hash).await?;
    same("was there", there, true)?;
    let there = bench.store.end_sign_in(sign_in.hash).await?;
    same("was there a second time", there, false)?;
    let later = bench.now + 1;
    bench.store.touch_sign_in(sign_in.hash, later).await?;
    let found = bench.store.sign_in(sign_in.hash, later).await?;
    same("after one more use", found, None)?;
    let listed = bench.store.sign_ins_of(ada.id).await?;
    same("the sign-ins", listed, vec![])
}

async fn one_person_has_many(bench: &Bench<'_>) -> Held {
    let (ada, bob) = (bench.person("ada").await?, bench.person("bob").await?);
    let of_ada = [1, 2, 3].map(|_| bench.sign_in(&ada, bench.now));
    let of_bob = bench.sign_in(&bob, bench.now);
    for sign_in in of_ada.iter().chain([&of_bob]) {
        bench.store.add_sign_in(sign_in).await?;
    }
    let listed = bench.store.sign_ins_of(ada.id).await?;
    let listed: BTreeSet<_> = listed.into_iter().collect();
    let wanted: BTreeSet<_> = of_ada.iter().map(|sign_in| sign_in.hash).collect();
    same("one's", listed, wanted)?;
    bench.store.end_sign_in(of_ada[1].hash).await?;
    let listed = bench.store.sign_ins_of(ada.id).await?;
    let listed: BTreeSet<_> = listed.into_iter().collect();
    let wanted = BTreeSet::from([of_ada[0].hash, of_ada[2].hash]);
    same("one's that have not ended", listed, wanted)?;
    let listed = bench.store.sign_ins_of(bob.id).await?;
    same("the other's", listed, vec![of_bob.hash])
}

async fn a_sign_in_kept_twice_is_one(bench: &Bench<'_>) -> Held {
    let ada = bench.person("ada").await?;
    let sign_in = bench.sign_in(&ada, bench.now);
    for _ in 0..2 {
        let there = bench.store.add_sign_in(&sign_in).await?;
        same("the user was there", there, true)?;
    }
    let listed = bench.store.sign_ins_of(ada.id).await?;
    same("the sign-ins", listed, vec![sign_in.hash])
}
