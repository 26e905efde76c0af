//! Signing in, signing out, and who one is.

use serde_json::json;
use tests::{Ting, names};

#[tokio::test]
async fn a_name_nobody_has_is_signed_in_with_a_cookie() {
    let ting = Ting::shared().await;
    let name = names::unique("ada");
    let answer = ting
        .post("/restapi/v1/sessions")
        .json(&json!({ "username": name }))
        .await
        .is(200);
    assert_eq!(answer.field("username"), name);
    let auth = answer.field("ting_auth").as_str().unwrap().to_owned();
    assert_eq!(
        answer.json().as_object().unwrap().len(),
        2,
        "{}",
        answer.text
    );
    let cookie = answer.set_cookie();
    let (value, attributes) = cookie.split_once(';').unwrap();
    assert_eq!(value, format!("ting_auth={auth}"));
    let mut attributes: Vec<String> = attributes
        .split(';')
        .map(|part| part.trim().to_lowercase())
        .collect();
    attributes.sort();
    // No `Secure`: this is not behind TLS.
    let thirty_days = 30 * 24 * 3600;
    let max_age = format!("max-age={thirty_days}");
    assert_eq!(attributes, ["httponly", &max_age, "path=/", "samesite=lax"]);
}

#[tokio::test]
async fn a_token_is_256_random_bits() {
    let ting = Ting::shared().await;
    let (_, one) = ting.signs_in("ada").await;
    let (_, other) = ting.signs_in("bob").await;
    assert_ne!(one, other);
    // 43 letters of base64 or 64 hexadecimal digits.
    assert!(one.len() >= 43, "{one:?}");
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    assert!(
        one.chars().all(plain),
        "{one:?} is to need no escape in a cookie"
    );
}

#[tokio::test]
async fn a_taken_name_without_a_password_is_reserved() {
    let ting = Ting::shared().await;
    let (name, _) = ting.signs_in("ada").await;
    let post = |body| ting.post("/restapi/v1/sessions").json(&body);
    let again = post(json!({ "username": name })).await;
    again.refused(403, "username_reserved");
    let guessed = post(json!({ "username": name, "password": "guess" })).await;
    guessed.refused(403, "username_reserved");
}

#[tokio::test]
async fn a_name_with_a_password_asks_for_it() {
    let ting = Ting::shared().await;
    let ada = ting.seed_person("ada").await;
    ada.sets_password("correct horse").await;
    let post = |body| ting.post("/restapi/v1/sessions").json(&body);
    let without = post(json!({ "username": ada.name })).await;
    without.refused(403, "password_required");
    let wrong = post(json!({ "username": ada.name, "password": "battery" })).await;
    assert!(wrong.headers.get("set-cookie").is_none());
    wrong.refused(403, "wrong_password");
    let right = post(json!({ "username": ada.name, "password": "correct horse" }))
        .await
        .is(200);
    assert_ne!(
        right.field("ting_auth"),
        ada.auth,
        "each sign-in has its own token"
    );
}

#[tokio::test]
async fn nobody_is_signed_in_by_the_password_of_before() {
    let ting = Ting::shared().await;
    let ada = ting.seed_person("ada").await;
    ada.sets_password("correct horse").await;
    let guess = json!({ "username": ada.name, "password": "correct horse" });
    let sign_in = || ting.post("/restapi/v1/sessions").json(&guess).into_future();
    // They wait for their turn behind the new one, with the old one read.
    let changed = ada.sets_password("battery staple");
    let asked = futures::future::join_all((0..4).map(|_| sign_in()));
    let ((), answers) = futures::future::join(changed, asked).await;
    for answer in answers.iter().filter(|answer| answer.status == 200) {
        let auth = answer.field("ting_auth");
        let who = ting.get("/restapi/v1/sessions");
        let who = who.cookie(auth.as_str().unwrap()).await;
        who.refused(403, "forbidden");
    }
    assert_eq!(
        sign_in().await.status,
        403,
        "the old one is over, and nobody's"
    );
}

#[tokio::test]
async fn a_password_for_a_name_nobody_has_is_404() {
    let ting = Ting::shared().await;
    let body = json!({ "username": names::unique("nobody"), "password": "guess" });
    ting.post("/restapi/v1/sessions")
        .json(&body)
        .await
        .refused(404, "not_found");
}

#[tokio::test]
async fn an_invalid_name_is_refused_in_words() {
    let ting = Ting::shared().await;
    for (name, code) in [
        (String::new(), "empty"),
        ("a".repeat(21), "length"),
        ("<".repeat(21), "length"),
        ("a b".to_owned(), "chars"),
        ("é".to_owned(), "chars"),
    ] {
        let asked = ting
            .post("/restapi/v1/sessions")
            .json(&json!({ "username": name }));
        asked.await.refused(400, code);
    }
}

#[tokio::test]
async fn who_am_i_answers_the_cookie_and_the_bearer() {
    let ting = Ting::shared().await;
    let (name, auth) = ting.signs_in("ada").await;
    let by_cookie = ting.get("/restapi/v1/sessions").cookie(&auth).await.is(200);
    assert_eq!(by_cookie.json(), json!({ "username": name }));
    let by_bearer = ting.get("/restapi/v1/sessions").bearer(&auth).await.is(200);
    assert_eq!(by_bearer.json(), json!({ "username": name }));
    ting.get("/restapi/v1/sessions")
        .await
        .refused(403, "forbidden");
    ting.get("/restapi/v1/sessions")
        .cookie("wrong")
        .await
        .refused(403, "forbidden");
}

#[tokio::test]
async fn the_cookie_is_found_among_others() {
    let ting = Ting::shared().await;
    let (name, auth) = ting.signs_in("ada").await;
    let cookies = format!("theme=dark; ting_auth={auth}; other=\"x y\"");
    let answer = ting
        .get("/restapi/v1/sessions")
        .header("cookie", &cookies)
        .await
        .is(200);
    assert_eq!(answer.field("username"), name);
}

#[tokio::test]
async fn checking_a_cookie_is_privileged() {
    let ting = Ting::shared().await;
    let (name, auth) = ting.signs_in("ada").await;
    let (other, _) = ting.signs_in("bob").await;
    let path = format!("/restapi/v1/sessions/{name}");
    let right = ting.get(&path).privileged().cookie(&auth).await.is(204);
    assert_eq!(right.text, "");
    ting.get(&path)
        .cookie(&auth)
        .await
        .refused(401, "unauthorized");
    let wrong_secret = ting
        .get(&path)
        .header("authorization", "guess")
        .cookie(&auth);
    wrong_secret.await.refused(401, "unauthorized");
    ting.get(&path).privileged().await.refused(403, "forbidden");
    ting.get(&path)
        .privileged()
        .cookie("wrong")
        .await
        .refused(403, "forbidden");
    let of_another = ting
        .get(&format!("/restapi/v1/sessions/{other}"))
        .privileged();
    of_another.cookie(&auth).await.refused(403, "forbidden");
    // Without the secret nothing is looked up, not even whether there is such a name.
    let unknown = ting.get("/restapi/v1/sessions/nobody-at-all");
    unknown.cookie(&auth).await.refused(401, "unauthorized");
}

#[tokio::test]
async fn signing_out_ends_the_sign_in_and_frees_a_name_without_a_password() {
    let ting = Ting::shared().await;
    let (name, auth) = ting.signs_in("ada").await;
    let out = ting
        .delete("/restapi/v1/sessions")
        .cookie(&auth)
        .await
        .is(204);
    assert_eq!(out.text, "");
    ting.get("/restapi/v1/sessions")
        .cookie(&auth)
        .await
        .refused(403, "forbidden");
    ting.delete("/restapi/v1/sessions")
        .cookie(&auth)
        .await
        .refused(403, "forbidden");
    ting.get(&format!("/restapi/v1/users/{name}"))
        .await
        .refused(404, "not_found");
    // The name is free again.
    ting.sign_in(&json!({ "username": name })).await;
}

#[tokio::test]
async fn signing_out_without_a_session_is_403() {
    let ting = Ting::shared().await;
    ting.delete("/restapi/v1/sessions")
        .await
        .refused(403, "forbidden");
}

#[tokio::test]
async fn signing_out_keeps_a_user_with_a_password_and_the_other_sign_ins() {
    let ting = Ting::shared().await;
    let ada = ting.seed_person("ada").await;
    ada.sets_password("correct horse").await;
    let other = ting.signs_in_again(&ada.name, "correct horse").await;
    ting.delete("/restapi/v1/sessions")
        .cookie(&ada.auth)
        .await
        .is(204);
    let still = ting
        .get("/restapi/v1/sessions")
        .cookie(&other)
        .await
        .is(200);
    assert_eq!(still.field("username"), ada.name);
    let reserved = ting
        .post("/restapi/v1/sessions")
        .json(&json!({ "username": ada.name }));
    reserved.await.refused(403, "password_required");
}

#[tokio::test]
async fn signing_out_closes_that_sign_ins_sockets_and_no_others() {
    let ting = Ting::shared().await;
    let ada = ting.seed_person("ada").await;
    ada.sets_password("correct horse").await;
    let phone_auth = ting.signs_in_again(&ada.name, "correct horse").await;
    let room = tests::Room::of(&ting, "ting");
    let phone =
        tests::Person::with(&room, ada.name.clone(), phone_auth, &tests::Login::seed()).await;
    ting.delete("/restapi/v1/sessions")
        .cookie(&ada.auth)
        .await
        .is(204);
    ada.is_closed().await;
    // The phone still hears: it sees its own words.
    let ghost = phone.types("still here").await;
    phone.sees(&ghost, "still here").await;
}

#[tokio::test]
async fn signing_out_erases_ghosts_then_parts() {
    let ting = Ting::shared().await;
    let room = ting.room().await;
    let bob = room.seed_person("bob").await;
    let ada = room.person("ada").await;
    let ghost = ada.types("going").await;
    bob.sees(&ghost, "going").await;
    let from = bob.count();
    ting.delete("/restapi/v1/sessions")
        .cookie(&ada.auth)
        .await
        .is(204);
    bob.no_longer_sees(&ghost).await;
    bob.hears("part", &ada.name, from).await;
}

#[tokio::test]
async fn a_deleted_users_channel_messages_stay_under_the_name() {
    let ting = Ting::shared().await;
    let room = ting.room().await;
    let [ada, bob] = room.people(["ada", "bob"]).await;
    let said = ada.says("I was here").await;
    ting.delete("/restapi/v1/sessions")
        .cookie(&ada.auth)
        .await
        .is(204);
    let kept = bob.finds(&said).await;
    assert_eq!(kept["username"], ada.name);
    assert_eq!(kept["text"], "I was here");
}

#[tokio::test]
async fn a_names_next_owner_cannot_read_the_privates_of_the_last() {
    let ting = Ting::shared().await;
    let room = ting.room().await;
    let [mut ada, bob] = room.people(["ada", "bob"]).await;
    ada.turns_to(&bob);
    let secret = ada.says(&names::text("between us")).await;
    ada.finds(&secret).await;
    ting.delete("/restapi/v1/sessions")
        .cookie(&ada.auth)
        .await
        .is(204);
    let auth = ting.sign_in(&json!({ "username": ada.name })).await;
    let history = ting
        .history(&auth, &tests::Target::user(&bob.name), "")
        .await;
    assert!(history.is_empty(), "{history:?}");
    let conversations = ting
        .get("/api/v1/conversations")
        .cookie(&auth)
        .await
        .is(200);
    assert_eq!(conversations.json(), json!([]));
    // And bob does not find the old private under the new person.
    let of_bob = ting
        .history(&bob.auth, &tests::Target::user(&ada.name), "")
        .await;
    assert!(of_bob.is_empty(), "{of_bob:?}");
}
