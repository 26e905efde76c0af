//! A disk that is full, read-only, or does not answer: what was acknowledged is there, what can't
//! be kept is refused in words, and typing goes on.

use crate::kill::whole_history;
use crate::others::Others;
use serde_json::json;
use tests::disk::Disk;
use tests::{Person, Room, Settings, Ting, names};

/// Nobody sends too fast.
fn unlimited() -> Settings {
    Settings::default()
        .set("limits.sends_per_second", "100000")
        .set("limits.sends_burst", "100000")
}

/// Sends until the store takes no more; the ids of what it took.
async fn sends_until_refused(ada: &Person, room: &Room, text: &str) -> Vec<u64> {
    let mut kept = Vec::new();
    for n in 0..3_000 {
        let body = json!({
            "type": "channel", "target": room.name(), "text": format!("{n} {text}"),
            "typing": false,
        });
        let post = room.ting().post("/api/v1/message").bearer(&ada.auth);
        let answer = post.json(&body).try_send().await.unwrap();
        if answer.status != 200 {
            let refused = answer.refused(503, "unavailable");
            assert!(refused.header("retry-after").is_some());
            return kept;
        }
        kept.push(answer.messageid());
    }
    panic!("all was kept");
}

/// Insists that the history holds these, and besides at most what was refused.
async fn holds(room: &Room, auth: &str, kept: &[u64], refused: usize) {
    let history = whole_history(room.ting(), auth, room).await;
    for id in kept {
        let times = history.iter().filter(|m| m["id"] == *id).count();
        assert_eq!(times, 1, "{id} was acknowledged");
    }
    assert!(
        history.len() <= kept.len() + refused,
        "what was refused is there at most once"
    );
}

#[tokio::test]
async fn a_full_disk_refuses_in_words_and_loses_nothing_acknowledged() {
    if tests::settings::skips_embedded("a full disk is the embedded file's") {
        return;
    }
    // Files may not grow beyond this: what a full disk does to the store.
    let ting = Ting::with(unlimited().file_blocks(2_000)).await;
    let room = ting.room().await;
    let [ada, bob] = room.people(["ada", "bob"]).await;
    let text = "x".repeat(1_900);
    let mut kept = sends_until_refused(&ada, &room, &text).await;
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
    holds(&room, &ada.auth, &kept, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_was_full_needs_no_restart() {
    goes_wrong_and_is_mended("the disk is full", Disk::is_full, |_, _, full| drop(full)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_turned_read_only_holds_all_that_was_acknowledged() {
    let mends = |ting: &Ting, disk: &Disk, ()| {
        ting.process().kill();
        disk.is_mounted_again();
        ting.process().start_again();
    };
    goes_wrong_and_is_mended("the disk is read-only", Disk::turns_read_only, mends).await;
}

/// Sends are refused in words while something is wrong, typing goes on, and then all is as before.
async fn goes_wrong_and_is_mended<W>(
    what: &str,
    goes_wrong: fn(&Disk) -> W,
    mends: fn(&Ting, &Disk, W),
) {
    if tests::settings::skips_embedded("the disk is the embedded file's") {
        return;
    }
    let Some(disk) = Disk::new() else { return };
    let path = disk.path().join("ting-data");
    let settings = unlimited().text("store.path", path.to_str().unwrap());
    let ting = Ting::with(settings).await;
    let room = ting.room().await;
    let others = Others::in_room(&room).await;
    let ada = room.person("ada").await;
    let mut kept = vec![ada.says("before").await.id];
    let ghost = ada.types("h").await;
    others.viewer.sees(&ghost, "h").await;

    let wrong = goes_wrong(&disk);
    kept.extend(sends_until_refused(&ada, &room, &"x".repeat(1_900)).await);
    others.go_on(what).await;
    ada.goes_on(&ghost, "he").await;
    others.viewer.sees(&ghost, "he").await;
    mends(&ting, &disk, wrong);

    let send = json!({
        "type": "channel", "target": room.name(), "text": "hey", "typing": false,
        "messageid": ghost.id, "claim": ghost.claim,
    });
    let sends = ting.patch("/api/v1/message").bearer(&ada.auth).json(&send);
    sends.await.is(204);
    kept.push(ghost.id);
    holds(&room, &ada.auth, &kept, 1).await;
    ting.process().restart();
    holds(&room, &ada.auth, &kept, 1).await;
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
