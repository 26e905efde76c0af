//! Nodes that die or freeze, and what is left of what was said.

use super::{channel, channel_of, full, insists, on, rounds};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tests::{Cluster, Ghost, Login, Person, Room, Settings, cluster::has_database};

#[tokio::test]
async fn the_owner_dies_and_what_was_typed_stays_in_its_place() {
    if !has_database() {
        return;
    }
    let cluster = Cluster::of(3).await;
    for round in 0..rounds() {
        let channel = channel_of(&cluster, 0).await;
        let ada = on(&cluster, 1, &channel, "ada", &full(&channel)).await;
        let seed = on(&cluster, 2, &channel, "seed", &Login::seed()).await;
        seed.types("where the seed is").await;
        let bob = on(&cluster, 2, &channel, "bob", &full(&channel)).await;
        let sent = ada.says("sent before").await;
        let ghost = ada.types("hal").await;
        let after = bob.says("sent after it began").await;
        for viewer in [&bob, &seed] {
            viewer.sees(&ghost, "hal").await;
            viewer.sees_sent(&after, "sent after it began").await;
        }
        cluster.process(0).kill();
        let others = cluster.nodes(&[1, 2]);
        let body = json!({
            "type": "channel", "target": channel, "messageid": ghost.id, "text": "half and whole",
            "typing": false, "claim": ghost.claim, "rev": 100,
        });
        let took = insists(&others, &ada.auth, &body).await;
        for viewer in [&ada, &bob, &seed] {
            viewer.sees_sent(&ghost, "half and whole").await;
            for message in [&sent, &ghost, &after] {
                let sents = viewer.entries(message.id);
                let sents = sents.iter().filter(|entry| entry["typing"] == false);
                assert!(sents.count() <= 1, "shown as sent more than once");
            }
        }
        for place in [1, 2] {
            let read = cluster.node(place);
            let history = read.history(&ada.auth, ada.here(), "").await;
            let sent_ones = history.iter().filter(|m| m["typing"] == false);
            let ids: Vec<u64> = sent_ones.map(|m| m["id"].as_u64().unwrap()).collect();
            assert_eq!(
                ids,
                [after.id, ghost.id, sent.id],
                "each once, in its place"
            );
        }
        println!("round {round}: acknowledged again {took:?} after the owner died");
        cluster.process(0).start_again();
        cluster.agrees(&[0, 1, 2]).await;
    }
}

#[tokio::test]
async fn a_node_with_sockets_dies_and_its_people_come_back_elsewhere() {
    if !has_database() {
        return;
    }
    let cluster = Cluster::of(3).await;
    for round in 0..rounds() {
        // Once apart from the owner, once with it.
        for owner in [1, 0] {
            let channel = channel_of(&cluster, owner).await;
            let ada = on(&cluster, 0, &channel, "ada", &full(&channel)).await;
            let gone = on(&cluster, 0, &channel, "gone", &full(&channel)).await;
            let bob = on(&cluster, 2, &channel, "bob", &full(&channel)).await;
            let ghost = ada.types("unse").await;
            let lost = gone.types("never sent").await;
            bob.sees(&ghost, "unse").await;
            bob.sees(&lost, "never sent").await;
            let from = bob.count();
            cluster.process(0).kill();
            let killed = Instant::now();
            // Back on another node with the same sign-in, the text intact, in the old place.
            let room = Room::of(&cluster.node(1), &channel);
            let ada =
                Person::with(&room, ada.name.clone(), ada.auth.clone(), &full(&channel)).await;
            ada.goes_on(&ghost, "unsent").await;
            let back = killed.elapsed();
            bob.sees(&ghost, "unsent").await;
            bob.no_longer_sees(&lost).await;
            bob.hears("part", &gone.name, from).await;
            let agreed = killed.elapsed();
            assert!(agreed < Duration::from_secs(8), "{agreed:?}");
            ada.sends(&ghost, "unsent").await;
            bob.sees_sent(&ghost, "unsent").await;
            println!("round {round}: typing again after {back:?}, the dead gone after {agreed:?}");
            cluster.process(0).start_again();
            cluster.agrees(&[0, 1, 2]).await;
        }
    }
}

#[tokio::test]
async fn an_owner_that_was_paused_acknowledges_nothing_and_comes_back() {
    if !has_database() {
        return;
    }
    let cluster = Cluster::of(3).await;
    for round in 0..rounds() {
        let channel = channel_of(&cluster, 0).await;
        let ada = on(&cluster, 1, &channel, "ada", &full(&channel)).await;
        let bob = on(&cluster, 2, &channel, "bob", &full(&channel)).await;
        let eve = on(&cluster, 0, &channel, "eve", &full(&channel)).await;
        let ghost = ada.types("still").await;
        bob.sees(&ghost, "still").await;
        let before = cluster.status(0, "ting").await.unwrap()["node"].clone();
        cluster.process(0).signal("STOP");
        let paused = Instant::now();
        // Asked while it sleeps: it may do what it was told late, or not at all, but never twice.
        let late = json!({
            "type": "channel", "target": channel, "text": "late", "typing": false, "key": "late",
        });
        let asked = cluster.node(0);
        let (auth, body) = (eve.auth.clone(), late.clone());
        let asked = tokio::spawn(async move {
            let ask = asked.post("/api/v1/message").bearer(&auth).json(&body);
            ask.try_send()
                .await
                .is_ok_and(|answer| answer.status == 200)
        });
        cluster.agrees(&[1, 2]).await;
        let body = json!({
            "type": "channel", "target": channel, "messageid": ghost.id, "text": "still here",
            "typing": false, "claim": ghost.claim, "rev": 100,
        });
        insists(&cluster.nodes(&[1, 2]), &ada.auth, &body).await;
        let took = paused.elapsed();
        bob.sees_sent(&ghost, "still here").await;
        assert!(took < Duration::from_secs(20), "{took:?}");
        cluster.process(0).signal("CONT");
        cluster.agrees(&[0, 1, 2]).await;
        let after = cluster.status(0, "ting").await.unwrap()["node"].clone();
        assert_ne!(before, after, "it came back under its old name");
        let acknowledged = asked.await.unwrap();
        let history = cluster.node(1).history(&ada.auth, ada.here(), "").await;
        let there = history.iter().filter(|m| m["text"] == "late").count();
        assert!(there <= 1);
        assert!(!acknowledged || there == 1, "acknowledged and lost");
        println!("round {round}: acknowledged by others {took:?} after the owner was paused");
        // Who is put out again and again stays away for longer each time.
        cluster.process(0).restart();
        cluster.agrees(&[0, 1, 2]).await;
    }
}

#[tokio::test]
async fn all_nodes_die_and_nothing_acknowledged_is_lost() {
    if !has_database() {
        return;
    }
    let cluster = Cluster::of(2).await;
    let channel = channel(&cluster).await;
    let ada = on(&cluster, 0, &channel, "ada", &full(&channel)).await;
    let bob = on(&cluster, 1, &channel, "bob", &full(&channel)).await;
    let ghost = ada.types("begun before").await;
    let mut sent = Vec::new();
    for n in 0..10 {
        sent.push(ada.says(&format!("ada {n}")).await.id);
        sent.push(bob.says(&format!("bob {n}")).await.id);
    }
    for place in [0, 1] {
        cluster.process(place).kill();
    }
    let began = Instant::now();
    for place in [0, 1] {
        cluster.process(place).start_again();
    }
    cluster.agrees(&[0, 1]).await;
    println!("both are back after {:?}", began.elapsed());
    let room = Room::of(&cluster.node(1), &channel);
    let ada = Person::with(&room, ada.name.clone(), ada.auth.clone(), &full(&channel)).await;
    ada.sends(&ghost, "sent after").await;
    let history = cluster.node(0).history(&ada.auth, ada.here(), "").await;
    let ids: Vec<u64> = history
        .iter()
        .rev()
        .map(|m| m["id"].as_u64().unwrap())
        .collect();
    let mut expected = vec![ghost.id];
    expected.extend(sent);
    assert_eq!(ids, expected, "each once, in its place");
}

/// What a link has on its way at most before frames are dropped.
const WINDOW: u64 = 4 << 20;

/// Messages that each of two people types at the same time, over and over.
const GHOSTS: usize = 40;

#[tokio::test]
async fn nothing_grows_while_a_peer_is_stopped() {
    if !has_database() {
        return;
    }
    let settings = Settings::default()
        .set("limits.typing_messages_per_conversation", "40")
        .set("limits.events_per_second", "10000")
        .set("limits.events_burst", "10000")
        .set("limits.events_pending", "10000");
    let cluster = Cluster::with(3, settings).await;
    let channel = channel_of(&cluster, 0).await;
    // They type beside the owner and look at nothing: the machine's time goes into the link.
    let nowhere = Login::full().channels(&[]);
    let ada = on(&cluster, 0, &channel, "ada", &nowhere).await;
    let bob = on(&cluster, 0, &channel, "bob", &nowhere).await;
    let cyd = on(&cluster, 2, &channel, "cyd", &full(&channel)).await;
    let [adas, bobs] = [begins_many(&ada).await, begins_many(&bob).await];
    cyd.sees(&bobs[GHOSTS - 1], "0").await;
    let stopped = cluster.status(2, "ting").await.unwrap()["node"].clone();
    let resident = || [0, 1].map(|place| cluster.process(place).resident_bytes());
    let before = resident();
    cluster.process(2).signal("STOP");
    let began = Instant::now();
    let over = AtomicBool::new(false);
    let watching = async {
        let (mut used, mut dropped, mut most) = (0, 0, before);
        while let Some(link) = link_with(&cluster, &stopped).await {
            used = used.max(link["unacknowledged_bytes"].as_u64().unwrap());
            dropped = dropped.max(link["frames_dropped"].as_u64().unwrap());
            let now = resident();
            most = [most[0].max(now[0]), most[1].max(now[1])];
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        over.store(true, Ordering::Relaxed);
        (used, dropped, most, began.elapsed())
    };
    let (first, second, (used, dropped, most, took)) = tokio::join!(
        types_on_and_on(&ada, &adas, &over),
        types_on_and_on(&bob, &bobs, &over),
        tests::within_limit("the stopped one is given up", watching),
    );
    let typed = first + second;
    println!(
        "{typed} bytes typed in {took:?}; {used} bytes on their way at most, {dropped} frames \
         dropped; resident {before:?} and at most {most:?}"
    );
    assert!(used >= WINDOW && dropped > 0, "the window was never full");
    assert!(used < 2 * WINDOW, "{used} bytes were on their way");
    for place in [0, 1] {
        assert!(
            most[place] < before[place] + (64 << 20),
            "node {place}: {before:?} and then {most:?}"
        );
    }
    let ghost = &adas[0];
    let body = json!({
        "type": "channel", "target": channel, "messageid": ghost.id, "text": "the end",
        "typing": false, "claim": ghost.claim, "rev": ghost.next_rev(),
    });
    insists(&cluster.nodes(&[0, 1]), &ada.auth, &body).await;
    assert_eq!(bob.finds(ghost).await["text"], "the end");
    cluster.process(2).signal("CONT");
    cluster.agrees(&[0, 1, 2]).await;
}

async fn begins_many(author: &Person) -> Vec<Ghost> {
    let mut ghosts = Vec::new();
    for _ in 0..GHOSTS {
        ghosts.push(author.types("0").await);
    }
    ghosts
}

/// All of them change all the time, and no answer is waited for; how many bytes were typed.
async fn types_on_and_on(author: &Person, ghosts: &[Ghost], over: &AtomicBool) -> usize {
    // Six bytes a letter on the link: the most that the limit on letters lets through.
    let long = "\u{1}".repeat(1_900);
    let mut typed = 0;
    while !over.load(Ordering::Relaxed) {
        for ghost in ghosts {
            let rev = ghost.next_rev();
            let text = format!("{rev} {long}");
            typed += 6 * text.len();
            let body = json!({
                "type": ghost.to.kind, "target": ghost.to.target, "messageid": ghost.id,
                "text": text, "typing": true, "claim": ghost.claim, "rev": rev,
            });
            author.emit("patch-message", body).await;
        }
        // About once a tick, or as often as the socket takes it.
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    typed
}

/// What the first node says of its link with that one, while there is one.
async fn link_with(cluster: &Cluster, name: &Value) -> Option<Value> {
    let status = cluster.status(0, "ting").await.expect("a node that serves");
    let links = status["links"].as_array().expect("links").iter();
    links.clone().find(|link| link["peer"] == *name).cloned()
}
