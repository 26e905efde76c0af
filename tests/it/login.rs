//! `login` and its answer.

use loadtest::socket::Closed;
use serde_json::json;
use tests::{Connection, Login, Ting, names};

#[tokio::test]
async fn a_login_is_answered_with_who_is_online_oneself_too() {
    let ting = Ting::shared().await;
    let bob = ting.seed_person("bob").await;
    bob.again(&Login::seed()).await;
    let (name, auth) = ting.signs_in("ada").await;
    let connection = ting.connection().await;
    let people = connection.logs_in(&name, &auth, &Login::seed()).await;
    assert_eq!(people.iter().filter(|person| **person == name).count(), 1);
    assert_eq!(
        people.iter().filter(|person| **person == bob.name).count(),
        1,
        "each once"
    );
}

#[tokio::test]
async fn the_answer_comes_first_and_then_ones_own_join() {
    let ting = Ting::shared().await;
    let (name, auth) = ting.signs_in("ada").await;
    for _ in 0..2 {
        let connection = ting.connection().await;
        connection.logs_in(&name, &auth, &Login::seed()).await;
        connection.hears("join", &name, 0).await;
        assert_eq!(connection.events()[0].name, "login-response");
    }
}

#[tokio::test]
async fn without_a_token_the_handshakes_cookie_counts() {
    let ting = Ting::shared().await;
    let (name, auth) = ting.signs_in("ada").await;
    let cookie = format!("theme=dark; ting_auth={auth}");
    let connection = Connection::open(&ting.url(), &[("cookie", &cookie)]).await;
    let response = connection
        .tries_to_log_in(json!({ "username": name }))
        .await;
    assert_eq!(response["success"], true, "{response}");
}

#[tokio::test]
async fn a_token_in_the_login_counts_before_the_cookie() {
    let ting = Ting::shared().await;
    let (_, bobs) = ting.signs_in("bob").await;
    let (name, auth) = ting.signs_in("ada").await;
    let cookie = format!("ting_auth={bobs}");
    let connection = Connection::open(&ting.url(), &[("cookie", &cookie)]).await;
    connection.logs_in(&name, &auth, &Login::seed()).await;
}

#[tokio::test]
async fn a_token_that_is_not_this_users_is_taken_and_the_connection_closes() {
    let ting = Ting::shared().await;
    let (name, auth) = ting.signs_in("ada").await;
    let (other, _) = ting.signs_in("bob").await;
    for login in [
        json!({ "username": other, "ting_auth": auth }),
        json!({ "username": name, "ting_auth": "wrong" }),
        json!({ "username": name }),
        json!({ "username": names::unique("nobody"), "ting_auth": auth }),
    ] {
        let connection = ting.connection().await;
        let response = connection.tries_to_log_in(login).await;
        assert_eq!(response, json!({ "success": false, "error": "taken" }));
        let closed = connection.is_closed().await;
        assert_ne!(closed, Closed::Ours);
    }
}

#[tokio::test]
async fn a_wrong_name_leaves_the_connection_open_for_a_right_one() {
    let ting = Ting::shared().await;
    let (name, auth) = ting.signs_in("ada").await;
    let connection = ting.connection().await;
    let response = connection
        .tries_to_log_in(json!({ "username": "", "ting_auth": auth }))
        .await;
    assert_eq!(response, json!({ "success": false, "error": "empty" }));
    connection.logs_in(&name, &auth, &Login::seed()).await;
}

#[tokio::test]
async fn a_signed_out_token_logs_nobody_in() {
    let ting = Ting::shared().await;
    let (name, auth) = ting.signs_in("ada").await;
    ting.delete("/restapi/v1/sessions")
        .cookie(&auth)
        .await
        .is(204);
    let connection = ting.connection().await;
    let response = connection
        .tries_to_log_in(json!({ "username": name, "ting_auth": auth }))
        .await;
    assert_eq!(response["error"], "taken");
}

#[tokio::test]
async fn until_the_login_a_socket_hears_nothing_and_may_only_log_in() {
    let ting = Ting::shared().await;
    let room = ting.room().await;
    let ada = room.person("ada").await;
    // The shapes know of no event before the login.
    let silent = ting.connection().await;
    let entered = silent.enters("channel", room.name()).await;
    assert!(entered["error"].is_string(), "{entered}");
    let ghost = ada.types("not for you").await;
    ada.sees(&ghost, "not for you").await;
    let (name, auth) = ting.signs_in("bob").await;
    silent.logs_in(&name, &auth, &Login::seed()).await;
    assert_eq!(silent.events()[0].name, "login-response");
}

#[tokio::test]
async fn a_socket_that_does_not_log_in_is_closed() {
    let ting = Ting::shared().await;
    let connection = ting.connection().await;
    let began = tokio::time::Instant::now();
    connection.is_closed().await;
    assert!(began.elapsed().as_secs() >= 8, "it has ten seconds");
    assert_eq!(connection.count(), 0);
}

#[tokio::test]
async fn a_malformed_login_is_acknowledged_with_an_error_where_it_asked() {
    let ting = Ting::shared().await;
    let connection = ting.connection().await;
    for login in [json!(7), json!([]), json!("ada"), json!({ "username": 7 })] {
        let answer = connection.asks("login", login.clone()).await;
        assert!(answer["error"].is_string(), "{login}: {answer}");
    }
    let (name, auth) = ting.signs_in("ada").await;
    connection.logs_in(&name, &auth, &Login::seed()).await;
}
