//! What people and channels may be called.

use serde_json::json;
use tests::{Answer, Ting, names};

async fn signs_in_as(ting: &Ting, name: &str) -> Answer {
    ting.post("/restapi/v1/sessions")
        .json(&json!({ "username": name }))
        .await
}

#[tokio::test]
async fn letters_digits_symbols_and_greek_make_names() {
    let ting = Ting::shared().await;
    let unique = names::unique("")
        .replace('-', "")
        .chars()
        .take(4)
        .collect::<String>();
    for part in [
        ".,/?~!@#$%^",
        "&*()-_=+[]{}",
        "\\|'\"`;:",
        "Διονύσης",
        "ΐΰΆΈΊΌΏώ",
        "Z9",
    ] {
        let name = format!("{part}{unique}");
        let answer = signs_in_as(&ting, &name).await.is(200);
        assert_eq!(answer.field("username"), name);
    }
}

#[tokio::test]
async fn a_name_has_20_code_points_after_nfc() {
    let ting = Ting::shared().await;
    let unique = &names::unique("")[1..];
    let accents = 20 - unique.chars().count();
    // Each is two code points, and one after normalization.
    let decomposed = format!("{}{unique}", "α\u{0301}".repeat(accents));
    let answer = signs_in_as(&ting, &decomposed).await.is(200);
    assert_eq!(
        answer.field("username"),
        format!("{}{unique}", "ά".repeat(accents))
    );
    let longer = format!("α\u{0301}{decomposed}");
    signs_in_as(&ting, &longer).await.refused(400, "length");
}

#[tokio::test]
async fn the_same_name_in_two_spellings_is_one() {
    let ting = Ting::shared().await;
    let unique = names::unique("");
    signs_in_as(&ting, &format!("ά{unique}")).await.is(200);
    let decomposed = signs_in_as(&ting, &format!("α\u{0301}{unique}")).await;
    decomposed.refused(403, "username_reserved");
}

#[tokio::test]
async fn other_letters_and_blanks_are_refused() {
    let ting = Ting::shared().await;
    for name in [
        "a b", "a<b", "a>b", "ж", "日本", "a\u{0}b", "\u{0387}", "é", "a\tb", "🙂",
    ] {
        signs_in_as(&ting, name).await.refused(400, "chars");
    }
}

#[tokio::test]
async fn case_is_kept_but_does_not_make_another_name() {
    let ting = Ting::shared().await;
    let name = names::unique("Ada");
    let answer = signs_in_as(&ting, &name).await.is(200);
    assert_eq!(answer.field("username"), name);
    let lower = signs_in_as(&ting, &name.to_lowercase()).await;
    lower.refused(403, "username_reserved");
    let upper = signs_in_as(&ting, &name.to_uppercase()).await;
    upper.refused(403, "username_reserved");
}

#[tokio::test]
async fn case_matters_in_what_is_asked_for() {
    let ting = Ting::shared().await;
    let (name, auth) = ting.signs_in("Ada").await;
    let other_case = format!("/restapi/v1/sessions/{}", name.to_uppercase());
    ting.get(&other_case)
        .privileged()
        .cookie(&auth)
        .await
        .refused(403, "forbidden");
}

#[tokio::test]
async fn look_alike_greek_and_latin_letters_do_not_make_another_name() {
    let ting = Ting::shared().await;
    for (latin, greek) in [("KATO", "ΚΑΤΟ"), ("ako", "ακο"), ("viv", "νιν")] {
        let unique = &names::unique("")[..7];
        signs_in_as(&ting, &format!("{latin}{unique}"))
            .await
            .is(200);
        let alike = signs_in_as(&ting, &format!("{greek}{unique}")).await;
        alike.refused(403, "username_reserved");
    }
}

#[tokio::test]
async fn a_socket_refuses_names_for_the_first_reason_that_holds() {
    let ting = Ting::shared().await;
    let connection = ting.connection().await;
    for (name, error) in [
        (String::new(), "empty"),
        ("<".repeat(21), "length"),
        ("<".to_owned(), "chars"),
    ] {
        let login = json!({ "username": name, "ting_auth": "wrong" });
        let response = connection.tries_to_log_in(login).await;
        assert_eq!(response, json!({ "success": false, "error": error }));
    }
}
