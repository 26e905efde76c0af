//! What is kept on the disk, and what never is.

use serde_json::json;
use std::path::Path;
use tests::{Ting, names};

/// Whether any file of the store holds these bytes.
fn holds(directory: &Path, text: &str) -> bool {
    std::fs::read_dir(directory).unwrap().any(|file| {
        let file = file.unwrap().path();
        let is_store = file
            .file_name()
            .unwrap()
            .to_string_lossy()
            .starts_with("ting.db");
        let bytes = if is_store {
            std::fs::read(&file).unwrap()
        } else {
            Vec::new()
        };
        bytes
            .windows(text.len())
            .any(|window| window == text.as_bytes())
    })
}

#[tokio::test]
async fn tokens_and_passwords_are_not_kept_and_what_was_erased_leaves_no_trace() {
    if tests::settings::skips_embedded("it looks into the embedded file") {
        return;
    }
    let ting = Ting::alone().await;
    let room = ting.room().await;
    let [ada, bob] = room.people(["ada", "bob"]).await;
    let [password, typed, erased, sent, open] =
        ["pw", "typed", "erased", "sent", "open"].map(names::unique);
    ada.sets_password(&password).await;
    let ghost = ada.types(&erased).await;
    bob.sees(&ghost, &erased).await;
    ada.erases(&ghost).await;
    let ghost = ada.types(&typed).await;
    bob.sees(&ghost, &typed).await;
    ada.sends(&ghost, &sent).await;
    let ghost = ada.types(&open).await;
    bob.sees(&ghost, &open).await;
    let again = json!({ "username": ada.name, "password": password });
    let second = ting.sign_in(&again).await;
    let directory = ting.process().directory();
    assert!(
        holds(directory, &sent),
        "what was sent is kept, or this looks in the wrong place"
    );
    assert!(holds(directory, &ada.name));
    for never in [
        &password,
        &typed,
        &erased,
        &open,
        &ada.auth,
        &second,
        &ghost.claim,
    ] {
        assert!(!holds(directory, never), "{never} is kept");
    }
    ting.process().kill();
    for never in [
        &password,
        &typed,
        &erased,
        &open,
        &ada.auth,
        &second,
        &ghost.claim,
    ] {
        assert!(!holds(directory, never), "{never} is kept");
    }
    ting.process().start_again();
}

#[tokio::test]
async fn a_password_and_a_profile_outlive_a_restart() {
    let ting = Ting::alone().await;
    let (name, auth) = ting.signs_in("ada").await;
    let path = format!("/restapi/v1/users/{name}");
    let body = json!({ "password": "correct horse", "gender": "female" });
    ting.patch(&path).cookie(&auth).json(&body).await.is(204);
    let room = ting.room().await;
    ting.process().restart();
    ting.signs_in_again(&name, "correct horse").await;
    assert_eq!(ting.get(&path).await.is(200).field("gender"), "female");
    ting.get(&format!("/restapi/v1/channels/{}", room.name()))
        .await
        .is(200);
    // Who signed out stays out.
    ting.delete("/restapi/v1/sessions")
        .cookie(&auth)
        .await
        .is(204);
    ting.process().restart();
    ting.get("/restapi/v1/sessions")
        .cookie(&auth)
        .await
        .refused(403, "forbidden");
}
