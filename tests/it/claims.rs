//! A claim brings a message back to its old place.

use serde_json::{Value, json};
use tests::{Ghost, Login, Person, Ting};

fn claim(ghost: &Ghost, claim: &str, text: &str, typing: bool) -> Value {
    json!({
        "type": ghost.to.kind, "target": ghost.to.target, "messageid": ghost.id, "text": text,
        "typing": typing, "claim": claim,
    })
}

#[tokio::test]
async fn after_a_lost_connection_the_ghost_is_back_in_its_old_place() {
    let ting = Ting::shared().await;
    let room = ting.room().await;
    let [mut ada, bob] = room.people(["ada", "bob"]).await;
    let ghost = ada.types("in a tun").await;
    bob.sees(&ghost, "in a tun").await;
    let later = bob.says("said meanwhile").await;
    ada.closes().await;
    bob.no_longer_sees(&ghost).await;
    ada.reconnects().await;
    ada.goes_on(&ghost, "in a tunnel").await;
    bob.sees(&ghost, "in a tunnel").await;
    ada.sends(&ghost, "in a tunnel!").await;
    bob.sees_sent(&ghost, "in a tunnel!").await;
    let order: Vec<_> = bob
        .reads("")
        .await
        .iter()
        .map(|m| m["id"].as_u64())
        .collect();
    assert_eq!(order, [Some(later.id), Some(ghost.id)]);
}

#[tokio::test]
async fn without_its_claim_a_message_that_nobody_knows_is_404() {
    let ting = Ting::alone().await;
    let room = ting.room().await;
    let mut ada = room.person("ada").await;
    let ghost = ada.types("gone").await;
    ting.process().restart();
    ada.reconnects().await;
    let mut body = claim(&ghost, "", "back", true);
    body.as_object_mut().unwrap().remove("claim");
    assert_eq!(ada.patches(body).await["status"], 404);
}

#[tokio::test]
async fn after_a_restart_of_the_node_a_claim_brings_it_back() {
    let ting = Ting::alone().await;
    let room = ting.room().await;
    let [mut ada, mut bob] = room.people(["ada", "bob"]).await;
    let ghost = ada.types("before").await;
    let sent = bob.says("said meanwhile").await;
    ting.process().restart();
    bob.reconnects().await;
    ada.reconnects().await;
    ada.goes_on(&ghost, "after").await;
    bob.sees(&ghost, "after").await;
    ada.sends(&ghost, "after all").await;
    bob.sees_sent(&ghost, "after all").await;
    let order: Vec<_> = bob
        .reads("")
        .await
        .iter()
        .map(|m| m["id"].as_u64())
        .collect();
    assert_eq!(order, [Some(sent.id), Some(ghost.id)]);
}

#[tokio::test]
async fn a_claim_may_send_at_once_and_by_http() {
    let ting = Ting::alone().await;
    let room = ting.room().await;
    let ada = room.person("ada").await;
    let ghost = ada.types("before").await;
    ting.process().restart();
    let body = claim(&ghost, &ghost.claim, "sent after", false);
    ting.patch("/api/v1/message")
        .bearer(&ada.auth)
        .json(&body)
        .await
        .is(204);
    // Its outcome may be asked for again.
    ting.patch("/api/v1/message")
        .bearer(&ada.auth)
        .json(&body)
        .await
        .is(204);
    assert_eq!(ada.finds(&ghost).await["text"], "sent after");
}

#[tokio::test]
async fn what_its_author_erased_does_not_come_back() {
    let ting = Ting::shared().await;
    let room = ting.room().await;
    let [ada, bob] = room.people(["ada", "bob"]).await;
    let ghost = ada.types("never mind").await;
    bob.sees(&ghost, "never mind").await;
    ada.erases(&ghost).await;
    bob.no_longer_sees(&ghost).await;
    let answer = ada
        .patches(claim(&ghost, &ghost.claim, "again", true))
        .await;
    assert_eq!(
        (&answer["status"], &answer["error"]),
        (&json!(404), &json!("not_found"))
    );
}

#[tokio::test]
async fn what_was_deleted_does_not_come_back() {
    let ting = Ting::shared().await;
    let room = ting.room().await;
    let ada = room.person("ada").await;
    let ghost = ada.says("deleted").await;
    let path = format!("/restapi/v1/messages/{}", ghost.id);
    ting.delete(&path).privileged().await.is(204);
    for typing in [true, false] {
        let answer = ada
            .patches(claim(&ghost, &ghost.claim, "deleted", typing))
            .await;
        assert_eq!(answer["status"], 404, "{answer}");
    }
    assert!(ada.reads("").await.is_empty());
}

#[tokio::test]
async fn a_claim_of_what_was_sent_repeats_the_send_and_changes_nothing() {
    let ting = Ting::alone().await;
    let room = ting.room().await;
    let mut ada = room.person("ada").await;
    let ghost = ada.types("said").await;
    ada.sends(&ghost, "said").await;
    ting.process().restart();
    ada.reconnects().await;
    let same = ada
        .patches(claim(&ghost, &ghost.claim, "said", false))
        .await;
    assert_eq!(same["status"], 204, "{same}");
    let other = ada
        .patches(claim(&ghost, &ghost.claim, "unsaid", false))
        .await;
    assert_eq!(
        (&other["status"], &other["error"]),
        (&json!(400), &json!("sent"))
    );
    assert_eq!(ada.reads("").await.len(), 1);
    assert_eq!(ada.finds(&ghost).await["text"], "said");
}

#[tokio::test]
async fn a_claim_is_bound_to_its_id_author_and_conversation() {
    let ting = Ting::alone().await;
    let room = ting.room().await;
    let elsewhere = ting.room().await;
    let [mut ada, mut bob, mut eve] = room.people(["ada", "bob", "eve"]).await;
    let ghost = ada.types("mine").await;
    let other = ada.types("another").await;
    // From here on nobody knows of either but by their claims.
    ting.process().restart();
    for person in [&mut ada, &mut bob, &mut eve] {
        person.reconnects().await;
    }
    let refused = async |who: &Person, body: Value| {
        let answer = who.patches(body.clone()).await;
        let status = answer["status"].as_u64().unwrap();
        assert!((400..405).contains(&status), "{body}: {answer}");
    };
    refused(&eve, claim(&ghost, &ghost.claim, "yours", true)).await;
    refused(&ada, claim(&ghost, &other.claim, "swapped", true)).await;
    refused(&ada, claim(&ghost, "AAAA", "forged", true)).await;
    refused(
        &ada,
        claim(&ghost, &format!("{}x", ghost.claim), "longer", true),
    )
    .await;
    let mut moved = claim(&ghost, &ghost.claim, "moved", true);
    moved["target"] = elsewhere.name().into();
    refused(&ada, moved).await;
    assert!(bob.reads("").await.is_empty());
    // The right one still does.
    let right = ada
        .patches(claim(&ghost, &ghost.claim, "mine again", true))
        .await;
    assert_eq!(right["status"], 204, "{right}");
    bob.sees(&ghost, "mine again").await;
}

#[tokio::test]
async fn a_claim_from_another_device_moves_the_message_there() {
    let ting = Ting::shared().await;
    let room = ting.room().await;
    let [tab, bob] = room.people(["ada", "bob"]).await;
    let ghost = tab.types("here").await;
    bob.sees(&ghost, "here").await;
    let other_tab = tab.again(&Login::full().channels(&[room.name()])).await;
    tab.closes().await;
    let body = claim(&ghost, &ghost.claim, "there", true);
    assert_eq!(other_tab.patches(body).await["status"], 204);
    bob.sees(&ghost, "there").await;
}
