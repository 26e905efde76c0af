use super::memory::Obstacle;
use super::world::{Person, World};
use crate::edge::{ConnectionId, Kill, Target, Wants};
use crate::{Destination, EnterError, Login, Unanswered};
use cql::{ChannelName, Conversation, NewUser, Store, User, Username};
use serde_json::json;
use std::time::Duration;
use tokio::time::Instant;

fn channel(name: &str) -> Destination {
    let name = ChannelName::parse(name).unwrap();
    Destination {
        conversation: Conversation::Channel(name.clone()),
        target: Target::Channel(name),
    }
}

/// Signed in, without sockets.
async fn a_thousand(world: &World) -> Vec<Person> {
    let mut people = Vec::new();
    for person in 0..1_000 {
        people.push(world.signed_in(&format!("p{person}")).await);
    }
    people
}

#[tokio::test(start_paused = true)]
async fn a_login_is_answered_then_joined_then_told_what_is_typed() {
    let world = World::new().await;
    let ada = world.person("ada").await;
    let id = ada.types("a").await.id;
    let bob = world.person("bob").await;
    let events: Vec<&str> = bob.heard().iter().map(|(event, _)| *event).collect();
    assert_eq!(events, ["login-response", "join", "update-typing-messages"]);
    assert_eq!(bob.heard()[0].1, json!(["ada", "bob"]));
    bob.sees(id, "a").await;
    ada.hears("join", json!("bob")).await;
}

#[tokio::test(start_paused = true)]
async fn a_sign_in_that_ends_while_it_logs_in_is_not_logged_in() {
    let world = World::new().await;
    let (ada, bob) = (world.signed_in("ada").await, world.person("bob").await);
    world.node().forget_sign_in(ada.sign_in.hash);
    let login = Login {
        connection: ConnectionId(77),
        sign_in: ada.sign_in.clone(),
        wants: Wants::default(),
        channels: None,
    };
    assert_eq!(world.system.login(login).await, Err(Unanswered));
    assert!(!world.system.online(ada.sign_in.user).await);
    assert_eq!(bob.count("join"), 1, "her own");
}

#[tokio::test(start_paused = true)]
async fn logins_that_nobody_is_told_of_one_by_one_wait_for_nothing() {
    let world = World::new().await;
    let wants = Wants {
        batched_presence: true,
        ..Wants::default()
    };
    let people = a_thousand(&world).await;
    let begun = Instant::now();
    let logins = people.iter().map(|person| world.connect(person, wants));
    futures::future::join_all(logins).await;
    // One by one they would take sixteen ticks.
    assert!(
        begun.elapsed() < Duration::from_millis(500),
        "{:?}",
        begun.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn a_person_with_two_devices_joins_and_parts_once() {
    let world = World::new().await;
    let (ada, bob) = (world.person("ada").await, world.person("bob").await);
    let second = world.connect(&bob, Wants::default()).await;
    second.hears("join", json!("bob")).await;
    bob.disconnects();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!((ada.count("join"), ada.count("part")), (2, 0));
    second.disconnects();
    ada.hears("part", json!("bob")).await;
    assert!(!world.system.online(bob.sign_in.user).await);
}

#[tokio::test(start_paused = true)]
async fn batched_presence_tells_a_crowd_in_a_few_words() {
    let world = World::new().await;
    let wants = Wants {
        batched_presence: true,
        ..Wants::default()
    };
    let ada = world.connect(&world.signed_in("ada").await, wants).await;
    for person in 0..50 {
        world.person(&format!("p{person}")).await;
    }
    let joined = || -> usize {
        let heard = ada.heard();
        let batches = heard.iter().filter(|(event, _)| *event == "presence");
        batches
            .map(|(_, body)| body[0].as_array().unwrap().len())
            .sum()
    };
    world.until("all are told", || joined() == 51).await;
    assert_eq!(ada.count("join"), 0);
}

#[tokio::test(start_paused = true)]
async fn a_thousand_logins_are_all_answered_and_everybody_is_told_of_each_later_one() {
    let world = World::new().await;
    let people = a_thousand(&world).await;
    let logins = people
        .iter()
        .map(|person| world.connect(person, Wants::default()));
    let heard = futures::future::join_all(logins).await;
    let heard: Vec<_> = heard.iter().map(|person| person.heard()).collect();
    for events in heard {
        assert_eq!(events[0].0, "login-response");
        assert_eq!(events[1].0, "join");
    }
    assert_eq!(world.node().roster().counts(), (1_000, 1_000));
}

#[tokio::test(start_paused = true)]
async fn a_channel_is_entered_by_typing_in_it_explicitly_and_by_reading() {
    let world = World::new().await;
    for name in ["one", "two", "three"] {
        world
            .store
            .create_channel(&ChannelName::parse(name).unwrap(), 0)
            .await
            .unwrap();
    }
    let (ada, bob) = (world.person("ada").await, world.person("bob").await);
    let say = |name: &str| {
        world
            .system
            .post(ada.post_to(channel(name), name, true, None))
    };
    let one = say("one").await.unwrap().id;
    ada.sees(one, "one").await;
    assert!(!bob.shown().ghosts.contains_key(&one));
    let connection = bob.connection.unwrap();
    world
        .system
        .enter(connection, channel("two"))
        .await
        .unwrap();
    let two = say("two").await.unwrap().id;
    bob.sees(two, "two").await;
    world
        .system
        .enter_implicitly(&bob.sign_in, &ChannelName::parse("one").unwrap())
        .await;
    bob.sees(one, "one").await;
    world
        .system
        .leave(connection, channel("one"))
        .await
        .unwrap();
    let mut on = ada.stroke(one, Some("one more"), true);
    on.to = channel("one");
    world.system.patch(on).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(bob.shown().ghosts[&one], "one");
    assert_eq!(
        world.system.leave(connection, ada.to(&bob)).await,
        Err(EnterError::Private)
    );
}

#[tokio::test(start_paused = true)]
async fn a_connection_is_in_fifty_conversations_and_the_oldest_implied_one_leaves() {
    let world = World::new().await;
    let ada = world.person("ada").await;
    let connection = ada.connection.unwrap();
    for number in 0..50 {
        world
            .system
            .enter(connection, channel(&format!("c{number}")))
            .await
            .unwrap();
    }
    // `ting` was implied, and has left.
    let id = world.person("bob").await.types("b").await.id;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(!ada.shown().ghosts.contains_key(&id));
    assert_eq!(
        world.system.enter(connection, channel("c50")).await,
        Err(EnterError::TooMany(50))
    );
}

#[tokio::test(start_paused = true)]
async fn a_private_reaches_its_two_people_and_nobody_else() {
    let world = World::new().await;
    let (ada, bob, eve) = (
        world.person("ada").await,
        world.person("bob").await,
        world.person("eve").await,
    );
    let before = eve.heard().len();
    let id = world
        .system
        .post(ada.post_to(ada.to(&bob), "psst", true, None))
        .await
        .unwrap()
        .id;
    bob.sees(id, "psst").await;
    ada.sees(id, "psst").await;
    // A device that comes later has it at login.
    let phone = world.connect(&bob, Wants::default()).await;
    phone.sees(id, "psst").await;
    let mut send = ada.stroke(id, Some("psst!"), false);
    send.to = ada.to(&bob);
    world.system.patch(send).await.unwrap();
    for viewer in [&ada, &bob, &phone] {
        viewer.sees_sent(id, "psst!").await;
    }
    assert_eq!(
        (
            ada.count("message"),
            bob.count("message"),
            phone.count("message")
        ),
        (0, 1, 1)
    );
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(
        eve.heard()[before..]
            .iter()
            .all(|(event, _)| *event == "join")
    );
}

#[tokio::test(start_paused = true)]
async fn what_a_connection_does_not_want_it_does_not_hear() {
    let world = World::new().await;
    let wants = Wants {
        messages: false,
        batched_presence: false,
        resume: true,
    };
    let quiet = world.connect(&world.signed_in("quiet").await, wants).await;
    let (ada, plain) = (world.person("ada").await, world.person("plain").await);
    let id = ada.says("hi").await.id;
    quiet.sees_sent(id, "hi").await;
    plain.sees_sent(id, "hi").await;
    assert_eq!((quiet.count("message"), plain.count("message")), (0, 1));
    assert_eq!(quiet.count("cursor"), quiet.count("update-typing-messages"));
    assert_eq!(plain.count("cursor"), 0);
}

#[tokio::test(start_paused = true)]
async fn ending_a_sign_in_closes_its_sockets_and_erases_its_ghosts() {
    let world = World::new().await;
    let (ada, bob) = (world.person("ada").await, world.person("bob").await);
    let id = ada.types("a").await.id;
    bob.sees(id, "a").await;
    assert!(world.system.end_sign_in(ada.sign_in.hash).await.unwrap());
    assert_eq!(ada.killed(), Some(Kill::SignedOut));
    bob.no_longer_sees(id).await;
    bob.hears("part", json!("ada")).await;
    assert!(!world.system.end_sign_in(ada.sign_in.hash).await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_deleted_users_name_is_free_and_its_next_owner_is_somebody_else() {
    let world = World::new().await;
    let (ada, bob) = (world.person("ada").await, world.person("bob").await);
    let id = world
        .system
        .post(ada.post_to(ada.to(&bob), "psst", false, None))
        .await
        .unwrap()
        .id;
    bob.sees_sent(id, "psst").await;
    let name = ada.sign_in.username.clone();
    assert!(
        world
            .system
            .delete_user(ada.sign_in.user, &name)
            .await
            .unwrap()
    );
    assert_eq!(ada.killed(), Some(Kill::SignedOut));
    assert_eq!(world.system.user_named(&name).await.unwrap(), None);
    let next = world.person("ada").await;
    assert_ne!(next.sign_in.user, ada.sign_in.user);
    assert!(next.shown().sent.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_released_name_is_nobodys_until_it_is_used_again() {
    let world = World::new().await;
    let username = Username::parse("ada").unwrap();
    let new = NewUser {
        id: world.system.new_user_id().unwrap(),
        username: username.clone(),
        now: world.system.now() - User::RELEASED_AFTER - 1,
    };
    world.store.claim_name(&new).await.unwrap();
    assert_eq!(world.system.user_named(&username).await, Ok(None));
    let now = world.system.now();
    world.store.touch_user(new.id, now).await.unwrap();
    assert_eq!(world.system.user_named(&username).await, Ok(Some(new.id)));
}

#[tokio::test(start_paused = true)]
async fn a_user_whose_sign_ins_cannot_be_known_is_not_deleted() {
    let world = World::new().await;
    let ada = world.person("ada").await;
    let (user, name) = (ada.sign_in.user, ada.sign_in.username.clone());
    let obstacle = ("sign_ins_of", Obstacle::Refused);
    world.store.obstruct(Some(obstacle));
    assert!(world.system.delete_user(user, &name).await.is_err());
    assert_eq!(ada.killed(), None);
    assert!(world.store.user(user).await.unwrap().is_some());
    world.store.obstruct(None);
    assert_eq!(world.system.delete_user(user, &name).await, Ok(true));
    assert_eq!(ada.killed(), Some(Kill::SignedOut));
}

/// Long enough to be at the store, and short of its time limit.
const A_MOMENT: Duration = Duration::from_millis(300);

#[tokio::test(start_paused = true)]
async fn a_name_looked_up_just_before_its_user_is_deleted_is_not_remembered() {
    let world = World::new().await;
    let ada = world.signed_in("ada").await;
    let (user, name) = (ada.sign_in.user, ada.sign_in.username.clone());
    let held = ("delete_user_without_password", Obstacle::Held);
    world.store.obstruct(Some(held));
    let (system, theirs) = (world.system.clone(), name.clone());
    let deleted = tokio::spawn(async move { system.delete_user(user, &theirs).await });
    tokio::time::sleep(A_MOMENT).await;
    assert_eq!(world.system.user_named(&name).await, Ok(Some(user)));
    world.store.obstruct(None);
    assert_eq!(deleted.await.unwrap(), Ok(true));
    assert_eq!(world.system.user_named(&name).await, Ok(None));
}

#[tokio::test(start_paused = true)]
async fn a_look_at_a_name_that_outlasts_its_user_is_not_remembered() {
    let world = World::new().await;
    let ada = world.signed_in("ada").await;
    let (user, name) = (ada.sign_in.user, ada.sign_in.username.clone());
    world.store.obstruct(Some(("user_named", Obstacle::Late)));
    let (system, theirs) = (world.system.clone(), name.clone());
    let looked = tokio::spawn(async move { system.user_named(&theirs).await });
    tokio::time::sleep(A_MOMENT).await;
    assert_eq!(world.system.delete_user(user, &name).await, Ok(true));
    world.store.obstruct(None);
    assert_eq!(looked.await.unwrap(), Ok(Some(user)));
    assert_eq!(world.system.user_named(&name).await, Ok(None));
}

#[tokio::test(start_paused = true)]
async fn idle_actors_end_and_come_back_by_themselves() {
    let world = World::new().await;
    let ada = world.person("ada").await;
    let id = ada.says("kept").await.id;
    ada.disconnects();
    tokio::time::sleep(Duration::from_secs(20 * 60)).await;
    let directory = &world.node().directory;
    let left = (
        directory.channels.count(),
        directory.relays.count(),
        directory.sessions.count(),
    );
    assert_eq!(left, (0, 0, 0));
    assert_eq!(world.history().await.entries[0].id, id);
    let ada = world.connect(&ada, Wants::default()).await;
    let back = ada.types("back").await.id;
    ada.sees(back, "back").await;
}

#[tokio::test(start_paused = true)]
async fn the_name_of_somebody_who_only_listens_stays_in_use() {
    let world = World::new().await;
    let ada = world.person("ada").await;
    let (user, hash) = (ada.sign_in.user, ada.sign_in.hash);
    let came = world.store.user(user).await.unwrap().unwrap().last_seen;
    tokio::time::sleep(Duration::from_secs(13 * 3_600)).await;
    let seen = world.store.user(user).await.unwrap().unwrap().last_seen;
    assert!(seen - came >= 12 * 3_600_000);
    let now = world.system.now();
    let sign_in = world.store.sign_in(hash, now).await.unwrap().unwrap();
    assert_eq!(sign_in.used_at, seen);
}

#[tokio::test(start_paused = true)]
async fn draining_tells_those_who_can_resume_and_ends_all() {
    let world = World::new().await;
    let wants = Wants {
        resume: true,
        ..Wants::default()
    };
    let resumes = world
        .connect(&world.signed_in("resumes").await, wants)
        .await;
    let plain = world.person("plain").await;
    let (system, watched) = (world.system.clone(), plain.clone());
    let drained = tokio::spawn(async move { system.drain(Duration::from_secs(3)).await });
    world
        .until("both are ended", || {
            watched.killed().is_some() && resumes.killed().is_some()
        })
        .await;
    // The edge says so when a killed socket is gone.
    resumes.disconnects();
    plain.disconnects();
    drained.await.unwrap();
    assert_eq!((resumes.count("drain"), plain.count("drain")), (1, 0));
    assert_eq!(plain.killed(), Some(Kill::Draining));
    let late = world.signed_in("late").await;
    let login = crate::Login {
        connection: crate::edge::ConnectionId(99),
        sign_in: late.sign_in,
        wants,
        channels: None,
    };
    assert_eq!(world.system.login(login).await, Err(Unanswered));
    world.system.stop().await;
}
