//! What crosses nodes: requests and devices that land anywhere.

use super::{channel, channel_of, full, insists, on, rounds};
use reqwest::Method;
use serde_json::{Value, json};
use tests::{Cluster, Ghost, Login, Person, Room, Settings, Ting, cluster::has_database, names};

#[tokio::test]
async fn a_private_crosses_three_nodes_and_nobody_else_sees_it() {
    if !has_database() {
        return;
    }
    let cluster = Cluster::of(3).await;
    let channel = channel(&cluster).await;
    let mut ada = on(&cluster, 0, &channel, "ada", &full(&channel)).await;
    let [full_login, seed_login] = [full(&channel), Login::seed()];
    let bob = whose_private_is_owned_by(&cluster, 2, &ada, 1, "bob", &full_login).await;
    let seed = whose_private_is_owned_by(&cluster, 2, &ada, 1, "seed", &seed_login).await;
    let eve = on(&cluster, 2, &channel, "eve", &full(&channel)).await;
    for to in [&bob, &seed] {
        ada.turns_to(to);
        let said = ada.says("psst").await;
        to.sees_sent(&said, "psst").await;
        to.is_told(&said).await;
        let ghost = ada.types("and").await;
        to.sees(&ghost, "and").await;
        // A third device signs in elsewhere in the moment it is being typed.
        let room = Room::of(&cluster.node(2), &channel);
        let device = Person::with(&room, to.name.clone(), to.auth.clone(), &full(&channel)).await;
        device.sees(&ghost, "and").await;
        ada.sends(&ghost, "and so on").await;
        device.sees_sent(&ghost, "and so on").await;
        to.sees_sent(&ghost, "and so on").await;
        for hidden in [&said, &ghost] {
            eve.never_saw(hidden);
        }
    }
}

/// Somebody on one node, and what they and `other` say to each other is owned by another one.
async fn whose_private_is_owned_by(
    cluster: &Cluster,
    owner: usize,
    other: &Person,
    place: usize,
    start: &str,
    login: &Login,
) -> Person {
    let node = cluster.node(place);
    let (name, auth) = loop {
        let (name, auth) = node.signs_in(start).await;
        if cluster.owner_between(&other.name, &name).await == owner {
            break (name, auth);
        }
    };
    let room = Room::of(&node, &other.here().target);
    Person::with(&room, name, auth, login).await
}

#[tokio::test]
async fn ending_a_sign_in_reaches_its_devices_on_all_nodes() {
    if !has_database() {
        return;
    }
    let cluster = Cluster::of(3).await;
    let channel = channel(&cluster).await;
    let ada = on(&cluster, 0, &channel, "ada", &full(&channel)).await;
    let bob = on(&cluster, 2, &channel, "bob", &full(&channel)).await;
    let room = Room::of(&cluster.node(1), &channel);
    let device = Person::with(&room, ada.name.clone(), ada.auth.clone(), &full(&channel)).await;
    let ghost = device.types("going").await;
    bob.sees(&ghost, "going").await;
    let there = cluster.node(2);
    let ended = there.ask(Method::DELETE, "/restapi/v1/sessions");
    ended.bearer(&ada.auth).await.is(204);
    ada.is_closed().await;
    device.is_closed().await;
    bob.no_longer_sees(&ghost).await;
    bob.hears("part", &ada.name, 0).await;
    for place in 0..3 {
        let who = cluster
            .node(place)
            .get("/restapi/v1/sessions")
            .bearer(&ada.auth);
        who.await.is(403);
    }
}

#[tokio::test]
async fn a_key_is_used_once_whatever_nodes_are_asked() {
    if !has_database() {
        return;
    }
    let cluster = Cluster::of(3).await;
    let channel = channel(&cluster).await;
    let (_, auth) = cluster.node(0).signs_in("ada").await;
    for n in 0..20 {
        let body = json!({
            "type": "channel", "target": channel, "text": format!("said {n}"), "typing": false,
            "key": names::unique("key"),
        });
        let nodes: Vec<Ting> = (0..3).map(|place| cluster.node(place)).collect();
        let asked = nodes.iter().map(|node| {
            let ask = node.post("/api/v1/message").bearer(&auth).json(&body);
            async move { ask.await.is(200).messageid() }
        });
        let ids = futures::future::join_all(asked).await;
        assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    }
    let target = tests::Target::channel(&channel);
    let history = cluster.node(1).history(&auth, &target, "").await;
    assert_eq!(history.len(), 20);
}

#[tokio::test]
async fn a_polling_session_is_known_to_one_node_and_begins_anew_on_another() {
    if !has_database() {
        return;
    }
    let cluster = Cluster::of(2).await;
    let polls = "/socket.io/?EIO=4&transport=polling";
    let opened = cluster.node(0).get(polls).await.is(200);
    let opened: Value = serde_json::from_str(&opened.text[1..]).unwrap();
    let with_session = format!("{polls}&sid={}", opened["sid"].as_str().unwrap());
    let elsewhere = cluster.node(1).get(&with_session).await.is(400);
    // What every client of socket.io understands as: connect anew.
    assert_eq!(
        elsewhere.json()["message"],
        "Session ID unknown",
        "{}",
        elsewhere.text
    );
    let here = cluster.node(0).post(&with_session);
    here.body("text/plain", "40").await.is(200);
    cluster.node(1).get(polls).await.is(200);
}

#[tokio::test]
async fn of_two_devices_on_two_nodes_one_dies_while_it_types_and_the_other_goes_on() {
    if !has_database() {
        return;
    }
    let cluster = Cluster::of(3).await;
    let channel = channel_of(&cluster, 0).await;
    let phone = on(&cluster, 2, &channel, "ada", &full(&channel)).await;
    let room = Room::of(&cluster.node(1), &channel);
    let (name, auth) = (phone.name.clone(), phone.auth.clone());
    let laptop = Person::with(&room, name, auth, &full(&channel)).await;
    let bob = on(&cluster, 0, &channel, "bob", &full(&channel)).await;
    let ghost = phone.types("begun on the ph").await;
    bob.sees(&ghost, "begun on the ph").await;
    laptop.sees(&ghost, "begun on the ph").await;
    let later = bob.says("said meanwhile").await;
    let seen = bob.count();
    cluster.process(2).kill();
    cluster.agrees(&[0, 1]).await;
    laptop.goes_on(&ghost, "begun on the phone").await;
    bob.sees(&ghost, "begun on the phone").await;
    laptop
        .sends(&ghost, "begun on the phone, sent elsewhere")
        .await;
    bob.sees_sent(&ghost, "begun on the phone, sent elsewhere")
        .await;
    let order: Vec<_> = bob.reads("").await;
    let order: Vec<_> = order.iter().map(|m| m["id"].as_u64()).collect();
    assert_eq!(order, [Some(later.id), Some(ghost.id)]);
    // Who has a device left never went.
    let parted = bob.events().split_off(seen);
    let parted = parted
        .iter()
        .any(|event| event.name == "part" && event.args == [json!(laptop.name)]);
    assert!(!parted, "{} parted", laptop.name);
}

#[tokio::test]
async fn a_message_typed_by_http_on_a_third_node_outlives_that_node() {
    if !has_database() {
        return;
    }
    let cluster = Cluster::of(3).await;
    let channel = channel_of(&cluster, 0).await;
    let ada = on(&cluster, 1, &channel, "ada", &full(&channel)).await;
    let bob = on(&cluster, 1, &channel, "bob", &full(&channel)).await;
    let body = json!({ "type": "channel", "target": channel, "text": "by h" });
    let third = cluster.node(2);
    let begun = third
        .post("/api/v1/message")
        .bearer(&ada.auth)
        .json(&body)
        .await
        .is(200);
    let claim = begun.field("claim");
    let ghost = Ghost::of(begun.messageid(), claim.as_str().unwrap(), ada.here());
    bob.sees(&ghost, "by h").await;
    cluster.process(2).kill();
    let body = json!({
        "type": "channel", "target": channel, "messageid": ghost.id, "text": "by http",
        "typing": false, "claim": ghost.claim, "rev": 1,
    });
    insists(&cluster.node(1), &ada.auth, &body).await;
    bob.sees_sent(&ghost, "by http").await;
    assert_eq!(bob.reads("").await.len(), 1);
}

#[tokio::test]
async fn a_privates_first_message_reaches_who_signs_in_elsewhere_in_that_instant() {
    if !has_database() {
        return;
    }
    let cluster = Cluster::of(3).await;
    let channel = channel(&cluster).await;
    let ada = on(&cluster, 0, &channel, "ada", &full(&channel)).await;
    for round in 0..5 * rounds() {
        let (name, auth) = cluster.node(2).signs_in("bob").await;
        let to = tests::Target::user(&name);
        let room = Room::of(&cluster.node(1 + round % 2), &channel);
        let login = full(&channel);
        let (ghost, bob) = tokio::join!(
            ada.types_to(&to, "in this inst"),
            Person::with(&room, name.clone(), auth, &login),
        );
        bob.sees(&ghost, "in this inst").await;
        ada.sends(&ghost, "in this instant").await;
        bob.sees_sent(&ghost, "in this instant").await;
    }
}

#[tokio::test]
async fn who_takes_a_released_name_has_nothing_of_the_open_ghost_under_it() {
    if !has_database() {
        return;
    }
    let cluster = Cluster::of(3).await;
    let channel = channel_of(&cluster, 0).await;
    let ada = on(&cluster, 1, &channel, "ada", &full(&channel)).await;
    let bob = on(&cluster, 0, &channel, "bob", &full(&channel)).await;
    let ghost = ada.types("the first ada's").await;
    let private = ada
        .types_to(&tests::Target::user(&bob.name), "and hers alone")
        .await;
    bob.sees(&ghost, "the first ada's").await;
    let out = cluster.node(2).delete("/restapi/v1/sessions");
    out.cookie(&ada.auth).await.is(204);
    bob.no_longer_sees(&ghost).await;
    let taken = json!({ "username": ada.name });
    let auth = cluster.node(2).sign_in(&taken).await;
    let room = Room::of(&cluster.node(2), &channel);
    let other = Person::with(&room, ada.name.clone(), auth, &full(&channel)).await;
    for (theirs, to) in [(&ghost, &ghost.to), (&private, &private.to)] {
        let body = json!({
            "type": to.kind, "target": to.target, "messageid": theirs.id, "text": "mine now",
            "typing": false, "claim": theirs.claim, "rev": 1_000,
        });
        let answer = other.patches(body).await;
        let status = answer["status"].as_u64().unwrap();
        assert!((400..500).contains(&status), "{answer}");
    }
    assert_eq!(bob.reads("").await.len(), 0);
    other.never_saw(&private);
}

#[tokio::test]
async fn who_reads_or_types_by_another_node_is_in_that_channel_here() {
    if !has_database() {
        return;
    }
    let cluster = Cluster::of(3).await;
    let (read, typed) = (channel(&cluster).await, channel(&cluster).await);
    let seed = on(&cluster, 1, "ting", "seed", &Login::seed()).await;
    let third = cluster.node(2);
    let history = tests::Target::channel(&read);
    third.history(&seed.auth, &history, "").await;
    let body = json!({ "type": "channel", "target": typed, "text": "by the third" });
    let begun = third.post("/api/v1/message").cookie(&seed.auth);
    begun.json(&body).await.is(200);
    for channel in [&read, &typed] {
        let bob = on(&cluster, 0, channel, "bob", &full(channel)).await;
        let ghost = bob.types("heard here").await;
        seed.sees(&ghost, "heard here").await;
    }
}

#[tokio::test]
async fn the_send_limit_is_each_nodes_own() {
    if !has_database() {
        return;
    }
    let settings = Settings::default()
        .set("limits.sends_per_second", "1")
        .set("limits.sends_burst", "3");
    let cluster = Cluster::with(2, settings).await;
    let (_, auth) = cluster.node(0).signs_in("ada").await;
    let body = json!({ "type": "channel", "target": "ting", "text": "again", "typing": false });
    let nodes = [cluster.node(0), cluster.node(1)];
    let says = |place: usize| {
        let ask = nodes[place].post("/api/v1/message").bearer(&auth);
        let ask = ask.json(&body);
        async move { ask.await }
    };
    let answers = futures::future::join_all((0..30).map(|_| says(0))).await;
    let refused = answers.iter().filter(|answer| answer.status == 429);
    assert!(refused.count() > 0, "30 sends at once are too many");
    says(1).await.is(200);
}
