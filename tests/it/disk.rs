//! A disk that is full, or does not answer: what was acknowledged is there, what can't be kept is
//! refused in words, and typing goes on.

use crate::kill::whole_history;
use serde_json::json;
use tests::disk::Disk;
use tests::{Settings, Ting, names};

#[tokio::test]
async fn a_full_disk_refuses_in_words_and_loses_nothing_acknowledged() {
    if tests::settings::skips_embedded("a full disk is the embedded file's") {
        return;
    }
    // Files may not grow beyond this: what a full disk does to the store.
    let settings = Settings::default()
        .set("limits.sends_per_second", "100000")
        .set("limits.sends_burst", "100000")
        .file_blocks(2_000);
    let ting = Ting::with(settings).await;
    let room = ting.room().await;
    let [ada, bob] = room.people(["ada", "bob"]).await;
    let text = "x".repeat(1_900);
    let mut kept = Vec::new();
    let mut refused = None;
    for n in 0..3_000 {
        let body = json!({
            "type": "channel", "target": room.name(), "text": format!("{n} {text}"),
            "typing": false,
        });
        let answer = ting
            .post("/api/v1/message")
            .bearer(&ada.auth)
            .json(&body)
            .try_send()
            .await
            .unwrap();
        if answer.status != 200 {
            refused = Some(answer);
            break;
        }
        kept.push(answer.messageid());
    }
    let refused = refused
        .expect("the disk is full at last")
        .refused(503, "unavailable");
    assert!(refused.header("retry-after").is_some());
    // Typing goes on while the store does not, and a ghost that can't be sent stays.
    let (ghost, send) = loop {
        let ghost = ada.types("still typing").await;
        bob.sees(&ghost, "still typing").await;
        let send = json!({
            "type": "channel", "target": room.name(), "text": format!("still typing {text}"),
            "typing": false, "messageid": ghost.id, "claim": ghost.claim,
        });
        let ask = ting.patch("/api/v1/message").bearer(&ada.auth).json(&send);
        let sent = ask.try_send().await.unwrap();
        // The store may have made some room for itself.
        if sent.status == 204 {
            kept.push(ghost.id);
            continue;
        }
        sent.refused(503, "unavailable");
        break (ghost, send);
    };
    assert!(
        bob.entries(ghost.id)
            .iter()
            .all(|entry| entry["text"] != "")
    );
    ting.process().kill();
    ting.process().change(|settings| settings.file_blocks(0));
    ting.process().start_again();
    // The same is repeated, and done.
    ting.patch("/api/v1/message")
        .bearer(&ada.auth)
        .json(&send)
        .await
        .is(204);
    kept.push(ghost.id);
    let history = whole_history(&ting, &ada.auth, &room).await;
    for id in &kept {
        assert!(
            history.iter().any(|m| m["id"] == *id),
            "{id} was acknowledged and is lost"
        );
    }
    assert!(
        history.len() <= kept.len() + 1,
        "what was refused is there at most once"
    );
}

#[tokio::test]
async fn a_frozen_disk_costs_no_letter_and_nothing_acknowledged() {
    if tests::settings::skips_embedded("a frozen disk is the embedded file's") {
        return;
    }
    let Some(disk) = Disk::new() else { return };
    let path = disk.path().join("ting-data");
    let settings = Settings::default().text("store.path", path.to_str().unwrap());
    let ting = Ting::with(settings).await;
    let room = ting.room().await;
    let [ada, bob] = room.people(["ada", "bob"]).await;
    let before = ada.says("before").await;
    bob.sees_sent(&before, "before").await;
    let ghost = ada.types("h").await;
    bob.sees(&ghost, "h").await;
    let frozen = disk.freezes();
    ada.goes_on(&ghost, "he").await;
    bob.sees(&ghost, "he").await;
    let send = json!({
        "type": "channel", "target": room.name(), "text": "hey", "typing": false,
        "messageid": ghost.id, "claim": ghost.claim,
    });
    let post = json!({
        "type": "channel", "target": room.name(), "text": "at once", "typing": false,
        "key": names::unique("key"),
    });
    let sends = || ting.patch("/api/v1/message").bearer(&ada.auth).json(&send);
    let posts = || ting.post("/api/v1/message").bearer(&ada.auth).json(&post);
    let (sent, posted) = tokio::join!(sends().try_send(), posts().try_send());
    for refused in [sent.unwrap(), posted.unwrap()] {
        let refused = refused.refused(503, "unavailable");
        assert!(refused.header("retry-after").is_some());
    }
    // Nobody has seen it go, and letters go on.
    let another = ada.types("still").await;
    bob.sees(&another, "still").await;
    assert!(
        bob.entries(ghost.id)
            .iter()
            .all(|entry| entry["text"] != "")
    );
    drop(frozen);
    // The same is repeated, and done: whether the first attempt was written or not.
    sends().await.is(204);
    let at_once = posts().await.is(200).messageid();
    bob.sees_sent(&ghost, "hey").await;
    let history = whole_history(&ting, &ada.auth, &room).await;
    let texts: Vec<_> = history
        .iter()
        .map(|message| (&message["id"], &message["text"]))
        .collect();
    let sent = history.iter().filter(|message| message["typing"] == false);
    assert_eq!(sent.count(), 3, "{texts:?}");
    for (id, text) in [
        (before.id, "before"),
        (ghost.id, "hey"),
        (at_once, "at once"),
    ] {
        assert!(texts.contains(&(&json!(id), &json!(text))), "{texts:?}");
    }
}
