//! People who exist: what changes in them, and how they go.

use super::bench::CLAIMED;
use super::{Bench, Broken, Held, list_cases, same};
use crate::{Birthday, Email, Gender, Page, Profile, ProfileChanges, Range, User};
use futures::future::join;

list_cases!("users":
    a_change_leaves_what_it_does_not_name,
    a_change_of_nobody_makes_nobody,
    a_use_is_noted_and_never_backwards,
    a_use_of_nobody_makes_nobody,
    who_has_no_password_is_deleted_with_all_sign_ins,
    who_has_a_password_is_not_deleted,
    what_was_said_stays_when_its_author_is_deleted,
    a_password_and_a_delete_at_once_never_lose_the_password,
);

async fn a_change_leaves_what_it_does_not_name(bench: &Bench<'_>) -> Held {
    let ada = bench.person("ada").await?;
    let mut wanted = ada.fresh(bench.now);
    let profile = profile(bench)?;
    let steps = [
        (Some("$argon2id$one"), None),
        (None, Some(profile)),
        (None, None),
        (Some("$argon2id$two"), Some(Profile::default())),
    ];
    for (password_hash, profile) in steps {
        let changes = ProfileChanges {
            password_hash: password_hash.map(str::to_owned),
            profile,
        };
        let there = bench.store.change_user(ada.id, &changes).await?;
        same("the user was there", there, true)?;
        wanted.password_hash = changes.password_hash.or(wanted.password_hash);
        wanted.profile = changes.profile.unwrap_or(wanted.profile);
        let user = bench.store.user(ada.id).await?;
        same("after a change", user, Some(wanted.clone()))?;
        let named = bench.store.user_named(&ada.name).await?;
        same("by name after a change", named, Some(wanted.clone()))?;
    }
    Ok(())
}

async fn a_change_of_nobody_makes_nobody(bench: &Bench<'_>) -> Held {
    let nobody = bench.user_id();
    let there = bench.store.change_user(nobody, &password()).await?;
    same("nobody was there", there, false)?;
    same("nobody", bench.store.user(nobody).await?, None)
}

async fn a_use_is_noted_and_never_backwards(bench: &Bench<'_>) -> Held {
    let ada = bench.person("ada").await?;
    for (used, seen) in [(10, 10), (30, 30), (20, 30), (-5, 30)] {
        bench.store.touch_user(ada.id, bench.now + used).await?;
        let user = bench.store.user(ada.id).await?;
        let user = user.map(|user| user.last_seen - bench.now);
        same("last seen", user, Some(seen))?;
    }
    Ok(())
}

async fn a_use_of_nobody_makes_nobody(bench: &Bench<'_>) -> Held {
    let nobody = bench.user_id();
    bench.store.touch_user(nobody, bench.now).await?;
    same("nobody", bench.store.user(nobody).await?, None)
}

async fn who_has_no_password_is_deleted_with_all_sign_ins(bench: &Bench<'_>) -> Held {
    let store = bench.store;
    let ada = bench.person("ada").await?;
    let sign_ins = [1, 2].map(|_| bench.sign_in(&ada, bench.now));
    for sign_in in &sign_ins {
        store.add_sign_in(sign_in).await?;
    }
    let did = store.delete_user_without_password(ada.id).await?;
    same("deleted", did, true)?;
    same("who it is", store.user(ada.id).await?, None)?;
    same("who has the name", store.user_named(&ada.name).await?, None)?;
    for sign_in in &sign_ins {
        let found = store.sign_in(sign_in.hash, bench.now).await?;
        same("a sign-in", found, None)?;
    }
    same("the sign-ins", store.sign_ins_of(ada.id).await?, vec![])?;
    let did = store.delete_user_without_password(ada.id).await?;
    same("deleted a second time", did, false)?;
    let claimed = store.claim_name(&bench.wish(&ada.name)).await?;
    same("the name afterwards", claimed, CLAIMED)
}

async fn who_has_a_password_is_not_deleted(bench: &Bench<'_>) -> Held {
    let ada = bench.person("ada").await?;
    bench.store.change_user(ada.id, &password()).await?;
    let sign_in = bench.sign_in(&ada, bench.now);
    bench.store.add_sign_in(&sign_in).await?;
    let did = bench.store.delete_user_without_password(ada.id).await?;
    same("deleted", did, false)?;
    let user = bench.store.user(ada.id).await?;
    same("is there", user.map(|user| user.id), Some(ada.id))?;
    let found = bench.store.sign_in(sign_in.hash, bench.now).await?;
    same("the sign-in", found, Some(sign_in))
}

async fn what_was_said_stays_when_its_author_is_deleted(bench: &Bench<'_>) -> Held {
    let ada = bench.person("ada").await?;
    let channel = bench.channel().await?;
    let message = bench.message(&ada, &channel, "still here");
    bench.store.append(&message, None).await?;
    bench.store.delete_user_without_password(ada.id).await?;
    let range = Range {
        before: None,
        after: None,
        limit: 10,
    };
    let page = bench.store.history(&channel, range).await?;
    let wanted = Page {
        messages: vec![message],
        more: false,
    };
    same("the history", page, wanted)
}

async fn a_password_and_a_delete_at_once_never_lose_the_password(bench: &Bench<'_>) -> Held {
    for _ in 0..10 {
        let ada = bench.person("ada").await?;
        let password = password();
        let (changed, deleted) = join(
            bench.store.change_user(ada.id, &password),
            bench.store.delete_user_without_password(ada.id),
        )
        .await;
        let (changed, deleted) = (changed?, deleted?);
        same("one of the two was done", changed, !deleted)?;
        let user: Option<User> = bench.store.user(ada.id).await?;
        let has_password = user.map(|user| user.password_hash.is_some());
        same("the user", has_password, changed.then_some(true))?;
    }
    Ok(())
}

fn password() -> ProfileChanges {
    ProfileChanges {
        password_hash: Some("$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA".to_owned()),
        profile: None,
    }
}

fn profile(bench: &Bench<'_>) -> Result<Profile, Broken> {
    let wrong = |error: crate::ProfileError| Broken::Answer {
        what: "a profile is right".to_owned(),
        got: error.to_string(),
        wanted: "a profile".to_owned(),
    };
    Ok(Profile {
        email: Some(Email::parse("o'ada+ting@example.org").map_err(wrong)?),
        birthday: Some(Birthday::parse("1992-02-29", bench.now).map_err(wrong)?),
        gender: Gender::Female,
    })
}
