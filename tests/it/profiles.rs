//! What people tell of themselves: `/users/<username>`.

use serde_json::{Value, json};
use tests::{Person, Ting, names};

fn path(person: &Person) -> String {
    format!("/restapi/v1/users/{}", person.name)
}

async fn change(ting: &Ting, person: &Person, body: Value) -> tests::Answer {
    ting.patch(&path(person))
        .cookie(&person.auth)
        .json(&body)
        .await
}

async fn profile(ting: &Ting, person: &Person) -> Value {
    ting.get(&path(person)).await.is(200).json()
}

#[tokio::test]
async fn only_what_was_given_is_shown() {
    let ting = Ting::shared().await;
    let ada = ting.seed_person("ada").await;
    let fresh = profile(&ting, &ada).await;
    assert_eq!(fresh["username"], ada.name);
    assert_eq!(fresh["online"], true);
    for key in ["gender", "age"] {
        assert_eq!(fresh.get(key), None, "{fresh}");
    }
    for key in fresh.as_object().unwrap().keys() {
        let known = ["username", "online", "gender", "age", "avatar"];
        assert!(known.contains(&key.as_str()), "{fresh}");
    }
    let body = json!({ "email": "ada@example.org", "birthday": "1990-02-28", "gender": "female" });
    assert_eq!(change(&ting, &ada, body).await.is(204).text, "");
    let told = profile(&ting, &ada).await;
    assert_eq!(told["gender"], "female");
    let age = told["age"].as_u64().unwrap();
    assert!((36..150).contains(&age), "{told}");
    assert!(
        !told.to_string().contains("example.org"),
        "no address is shown: {told}"
    );
    assert!(
        !told.to_string().contains("1990"),
        "no birthday is shown: {told}"
    );
    change(&ting, &ada, json!({ "gender": "-" })).await.is(204);
    assert_eq!(profile(&ting, &ada).await.get("gender"), None);
}

#[tokio::test]
async fn somebody_without_a_connection_is_not_online() {
    let ting = Ting::shared().await;
    let (name, _) = ting.signs_in("ada").await;
    let shown = ting
        .get(&format!("/restapi/v1/users/{name}"))
        .await
        .is(200)
        .json();
    assert_eq!(shown["online"], false);
}

#[tokio::test]
async fn a_user_nobody_knows_is_404() {
    let ting = Ting::shared().await;
    let path = format!("/restapi/v1/users/{}", names::unique("nobody"));
    ting.get(&path).await.refused(404, "not_found");
}

#[tokio::test]
async fn a_key_that_is_not_given_stays() {
    let ting = Ting::shared().await;
    let ada = ting.seed_person("ada").await;
    change(&ting, &ada, json!({ "gender": "male" }))
        .await
        .is(204);
    change(&ting, &ada, json!({ "birthday": "1980-01-01" }))
        .await
        .is(204);
    assert_eq!(profile(&ting, &ada).await["gender"], "male");
    change(&ting, &ada, json!({})).await.is(204);
}

#[tokio::test]
async fn only_oneself_may_change_oneself() {
    let ting = Ting::shared().await;
    let ada = ting.seed_person("ada").await;
    let (_, bobs) = ting.signs_in("bob").await;
    let asked = |auth: Option<&str>| {
        let ask = ting.patch(&path(&ada)).json(&json!({ "gender": "male" }));
        match auth {
            Some(auth) => ask.cookie(auth),
            None => ask,
        }
    };
    asked(None).await.refused(403, "forbidden");
    asked(Some(&bobs)).await.refused(403, "forbidden");
    // Whatever they ask.
    let broken = ting.patch(&path(&ada)).cookie(&bobs);
    let broken = broken.body("application/json", "{").await;
    broken.refused(403, "forbidden");
    let nobody = ting.patch(&format!("/restapi/v1/users/{}", names::unique("nobody")));
    nobody
        .cookie(&bobs)
        .json(&json!({ "gender": "male" }))
        .await
        .refused(403, "forbidden");
}

#[tokio::test]
async fn what_is_invalid_is_named_and_nothing_is_changed() {
    let ting = Ting::shared().await;
    let ada = ting.seed_person("ada").await;
    for (field, values) in [
        (
            "email",
            vec!["ada", "ada@", "@example.org", "a b@example.org"],
        ),
        (
            "birthday",
            vec![
                "1899-12-31",
                "2001-02-29",
                "2000-13-01",
                "2000-1-1",
                "2999-01-01",
                "",
            ],
        ),
        ("gender", vec!["", "Male", "other"]),
        ("password", vec![""]),
        ("unknown", vec!["x"]),
    ] {
        for value in values {
            let body =
                json!({ field: value, "gender": if field == "gender" { value } else { "male" } });
            let answer = change(&ting, &ada, body).await.refused(422, "invalid");
            let fields = answer.field("fields");
            assert!(fields[field].is_string(), "{field} {value:?}: {fields}");
            assert_eq!(fields.as_object().unwrap().len(), 1, "{fields}");
            assert_eq!(
                profile(&ting, &ada).await.get("gender"),
                None,
                "all or nothing"
            );
        }
    }
}

#[tokio::test]
async fn the_codes_of_fields_say_what_is_wrong() {
    let ting = Ting::shared().await;
    let ada = ting.seed_person("ada").await;
    let body = json!({
        "email": "ada", "password": "x".repeat(129), "birthday": "2999-01-01", "nickname": "a",
    });
    let answer = change(&ting, &ada, body).await.refused(422, "invalid");
    let expected = json!({
        "email": "invalid", "password": "length", "birthday": "future", "nickname": "unknown",
    });
    assert_eq!(answer.field("fields"), expected);
}

#[tokio::test]
async fn an_address_may_be_taken_back() {
    let ting = Ting::shared().await;
    let ada = ting.seed_person("ada").await;
    change(&ting, &ada, json!({ "email": "ada@example.org" }))
        .await
        .is(204);
    change(&ting, &ada, json!({ "email": "" })).await.is(204);
}

#[tokio::test]
async fn a_password_has_1_to_128_bytes() {
    let ting = Ting::shared().await;
    let ada = ting.seed_person("ada").await;
    let longest = "λ".repeat(64);
    change(&ting, &ada, json!({ "password": longest }))
        .await
        .is(204);
    ting.signs_in_again(&ada.name, &longest).await;
    let longer = json!({ "password": format!("{longest}a") });
    change(&ting, &ada, longer).await.refused(422, "invalid");
    change(&ting, &ada, json!({ "password": "a" }))
        .await
        .is(204);
    ting.signs_in_again(&ada.name, "a").await;
}

#[tokio::test]
async fn setting_a_password_ends_the_other_sign_ins_and_their_sockets() {
    let ting = Ting::shared().await;
    let ada = ting.seed_person("ada").await;
    ada.sets_password("first").await;
    let phone = ting.signs_in_again(&ada.name, "first").await;
    let room = tests::Room::of(&ting, "ting");
    let login = tests::Login::seed();
    let on_phone = Person::with(&room, ada.name.clone(), phone.clone(), &login).await;
    ada.sets_password("second").await;
    ting.get("/restapi/v1/sessions")
        .cookie(&phone)
        .await
        .refused(403, "forbidden");
    on_phone.is_closed().await;
    ting.get("/restapi/v1/sessions")
        .cookie(&ada.auth)
        .await
        .is(200);
    let old = json!({ "username": ada.name, "password": "first" });
    ting.post("/restapi/v1/sessions")
        .json(&old)
        .await
        .refused(403, "wrong_password");
    // The one who set it goes on.
    let ghost = ada.types("still here").await;
    ada.sees(&ghost, "still here").await;
}

#[tokio::test]
async fn a_user_is_reached_by_an_escaped_name() {
    let ting = Ting::shared().await;
    let name = names::unique("a/?#");
    let auth = ting.sign_in(&json!({ "username": name })).await;
    let path = format!("/restapi/v1/users/{}", names::segment(&name));
    let shown = ting.get(&path).await.is(200).json();
    assert_eq!(shown["username"], name);
    ting.patch(&path)
        .cookie(&auth)
        .json(&json!({ "gender": "male" }))
        .await
        .is(204);
}
