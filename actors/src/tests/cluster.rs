//! Several nodes over one store.

use super::memory::{MemoryStore, Mood};
use super::network::{FakeLinks, Network};
use super::world::{Person, World, ting};
use crate::edge::Wants;
use crate::node::Lives;
use crate::{Destination, Links, Patched};
use cluster_config::{MemberState, NodeName, Shard};
use cql::{ChannelName, Conversation, MessageId, Range, Store};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

pub struct Cluster {
    store: Arc<MemoryStore>,
    pub network: Arc<Network>,
    pub nodes: Vec<World>,
}

impl Cluster {
    pub async fn of(count: usize) -> Cluster {
        let mut cluster = Cluster {
            store: Arc::new(MemoryStore::shared()),
            network: Arc::default(),
            nodes: Vec::new(),
        };
        for _ in 0..count {
            cluster.add().await;
        }
        cluster.agrees().await;
        cluster
    }

    pub async fn add(&mut self) {
        let links: Arc<dyn Links> = Arc::new(FakeLinks(self.network.clone()));
        let store = Arc::new(self.store.beside());
        let world = World::linked(store, Some(links)).await;
        self.nodes.push(world);
    }

    /// Waits until all nodes act by the same version, in which all of them are up.
    pub async fn agrees(&self) {
        let all = self.nodes.len();
        self.nodes[0]
            .until("all act by one view", || {
                let versions: Vec<u64> = self.versions();
                let map = self.nodes[0].node().cluster.map();
                let up = map.view.members.iter();
                let up = up.filter(|member| member.state == MemberState::Up).count();
                let linked = self.nodes.iter();
                let linked = linked.map(|node| node.node().cluster.linked().len());
                up == all
                    && versions.iter().all(|version| *version == versions[0])
                    && linked.min() == Some(all - 1)
            })
            .await;
    }

    pub fn versions(&self) -> Vec<u64> {
        let nodes = self.nodes.iter();
        nodes.map(|node| node.node().cluster.version()).collect()
    }

    pub fn owner(&self, conversation: &Conversation) -> usize {
        let nodes = self.nodes.iter();
        let mut owning = nodes
            .enumerate()
            .filter(|(_, node)| node.node().lives(conversation) == Lives::Here)
            .map(|(place, _)| place);
        let owner = owning.next().unwrap();
        assert_eq!(owning.next(), None, "two owners");
        owner
    }

    pub fn name(&self, place: usize) -> NodeName {
        self.nodes[place].node().name()
    }

    /// Takes a node out at once, without a word.
    pub fn kill(&mut self, place: usize) -> World {
        let world = self.nodes.remove(place);
        self.network.kill(world.node().name());
        world
    }

    /// Two nodes that don't own `ting`, and the one that does.
    pub fn around_ting(&self) -> (usize, usize, usize) {
        let owner = self.owner(&ting().conversation);
        let others: Vec<usize> = (0..3).filter(|place| *place != owner).collect();
        (owner, others[0], others[1])
    }
}

pub async fn history(world: &World, of: &Conversation) -> Vec<(MessageId, String, bool)> {
    let newest = Range {
        before: None,
        after: None,
        limit: 100,
    };
    let history = world.system.history(of, newest).await.unwrap();
    let entries = history.entries.iter();
    entries
        .map(|entry| (entry.id, entry.text.to_string(), entry.typing))
        .collect()
}

#[tokio::test(start_paused = true)]
async fn nodes_share_the_shards_and_name_the_same_owners() {
    let cluster = Cluster::of(3).await;
    let maps: Vec<_> = cluster
        .nodes
        .iter()
        .map(|node| node.node().cluster.map())
        .collect();
    for shard in Shard::all() {
        let owner = maps[0].placement.owner(shard);
        assert!(owner.is_some());
        assert!(maps.iter().all(|map| map.placement.owner(shard) == owner));
    }
    for node in &cluster.nodes {
        assert!(node.node().cluster.lease_holds());
    }
}

#[tokio::test(start_paused = true)]
async fn letters_cross_nodes_and_the_place_is_kept() {
    letters_cross(&Cluster::of(3).await).await;
}

#[tokio::test(start_paused = true)]
async fn nodes_of_neighbouring_versions_serve_one_channel() {
    let cluster = Cluster::of(3).await;
    cluster.network.of_neighbouring_versions();
    letters_cross(&cluster).await;
}

async fn letters_cross(cluster: &Cluster) {
    let (owner, one, other) = cluster.around_ting();
    let ada = cluster.nodes[one].person("ada").await;
    let bob = cluster.nodes[other].person("bob").await;
    let eve = cluster.nodes[owner].person("eve").await;
    ada.hears("join", json!("eve")).await;
    let first = ada.types("h").await;
    let second = bob.types("y").await.id;
    for viewer in [&ada, &bob, &eve] {
        viewer.sees(first.id, "h").await;
    }
    ada.types_on(first.id, "he").await.unwrap();
    bob.sees(first.id, "he").await;
    assert_eq!(bob.sends(second, "yes").await, Ok(Patched::Done));
    assert_eq!(ada.sends(first.id, "hey").await, Ok(Patched::Done));
    for viewer in [&ada, &bob, &eve] {
        viewer.sees_sent(first.id, "hey").await;
        viewer.sees_sent(second, "yes").await;
    }
    for node in &cluster.nodes {
        let entries = history(node, &ting().conversation).await;
        let ids: Vec<MessageId> = entries.iter().map(|(id, ..)| *id).collect();
        assert_eq!(ids, [second, first.id]);
    }
    let erased = ada.types("oops").await.id;
    bob.sees(erased, "oops").await;
    ada.erases(erased).await.unwrap();
    bob.no_longer_sees(erased).await;
    eve.no_longer_sees(erased).await;
}

#[tokio::test(start_paused = true)]
async fn a_private_reaches_its_two_people_wherever_they_are() {
    let cluster = Cluster::of(3).await;
    let mut people: Vec<Person> = Vec::new();
    for name in ["ada", "bob", "eve"] {
        people.push(cluster.nodes[people.len()].person(name).await);
    }
    let private = people[0].to(&people[1]);
    let owner = cluster.owner(&private.conversation);
    // A message that is said at once is the first that anybody hears of this private.
    let said = people[0].post_to(private.clone(), "psst", false, None);
    let said = cluster.nodes[0].system.post(said).await.unwrap();
    people[1].sees_sent(said.id, "psst").await;
    people[0].sees_sent(said.id, "psst").await;
    assert_eq!(people[1].count("message"), 1, "owner {owner}");
    assert_eq!(people[0].count("message"), 0);
    let typed = people[0].post_to(private.clone(), "and", true, None);
    let typed = cluster.nodes[0].system.post(typed).await.unwrap();
    people[1].sees(typed.id, "and").await;
    assert!(people[2].shown().ghosts.is_empty());
    assert!(people[2].shown().sent.is_empty());
    // One more device of the reader, on a third node, sees what is being typed.
    let device = Person {
        system: cluster.nodes[2].system.clone(),
        sockets: cluster.nodes[2].sockets.clone(),
        ..people[1].clone()
    };
    let device = cluster.nodes[2].connect(&device, Wants::default()).await;
    device.sees(typed.id, "and").await;
    assert!(people[2].shown().ghosts.is_empty());
}

#[tokio::test(start_paused = true)]
async fn who_is_online_is_the_same_everywhere() {
    let cluster = Cluster::of(2).await;
    let ada = cluster.nodes[0].person("ada").await;
    let bob = cluster.nodes[1].person("bob").await;
    ada.hears("join", json!("bob")).await;
    let (event, people) = &bob.heard()[0];
    assert_eq!(*event, "login-response");
    let mut people: Vec<&str> = people
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|name| name.as_str())
        .collect();
    people.sort_unstable();
    assert_eq!(people, ["ada", "bob"]);
    assert!(cluster.nodes[0].system.online(bob.sign_in.user).await);
    bob.disconnects();
    ada.hears("part", json!("bob")).await;
    assert!(!cluster.nodes[0].system.online(bob.sign_in.user).await);
}

#[tokio::test(start_paused = true)]
async fn a_ghost_goes_with_its_authors_connection_on_any_node() {
    let cluster = Cluster::of(3).await;
    let (_, one, other) = cluster.around_ting();
    let ada = cluster.nodes[one].person("ada").await;
    let bob = cluster.nodes[other].person("bob").await;
    let id = ada.types("h").await.id;
    bob.sees(id, "h").await;
    ada.disconnects();
    bob.no_longer_sees(id).await;
    bob.hears("part", json!("ada")).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_typed_outlives_its_owner() {
    let mut cluster = Cluster::of(3).await;
    let (owner, one, other) = cluster.around_ting();
    let ada = cluster.nodes[one].person("ada").await;
    let bob = cluster.nodes[other].person("bob").await;
    let sent = ada.says("before").await.id;
    let typed = ada.types("h").await;
    bob.sees(typed.id, "h").await;
    bob.sees_sent(sent, "before").await;
    cluster.kill(owner);
    let killed = tokio::time::Instant::now();
    let mut patch = ada.stroke(typed.id, Some("hey"), false);
    patch.claim = Some(typed.claim.clone());
    while ada.system.patch(patch.clone()).await.is_err() {
        assert!(killed.elapsed() < Duration::from_secs(20));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(
        killed.elapsed() < Duration::from_secs(5),
        "{:?}",
        killed.elapsed()
    );
    bob.sees_sent(typed.id, "hey").await;
    ada.sees_sent(typed.id, "hey").await;
    let shown = bob.shown();
    assert!(shown.ghosts.is_empty());
    assert_eq!(shown.sent[&sent], ["before"], "shown once");
    for node in &cluster.nodes {
        let entries = history(node, &ting().conversation).await;
        let texts: Vec<&str> = entries.iter().map(|(_, text, _)| text.as_str()).collect();
        assert_eq!(texts, ["hey", "before"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_dead_nodes_people_and_ghosts_leave() {
    let mut cluster = Cluster::of(3).await;
    let (_, one, other) = cluster.around_ting();
    let ada = cluster.nodes[one].person("ada").await;
    let bob = cluster.nodes[other].person("bob").await;
    let id = ada.types("h").await.id;
    bob.sees(id, "h").await;
    let killed = tokio::time::Instant::now();
    cluster.kill(one);
    bob.no_longer_sees(id).await;
    bob.hears("part", json!("ada")).await;
    assert!(
        killed.elapsed() < Duration::from_secs(8),
        "{:?}",
        killed.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn a_node_that_joins_takes_its_share_and_nothing_is_lost() {
    let mut cluster = Cluster::of(2).await;
    let ada = cluster.nodes[0].person("ada").await;
    let bob = cluster.nodes[1].person("bob").await;
    let channels: Vec<Destination> = (0..40)
        .map(|count| {
            let name = ChannelName::parse(&format!("room-{count}")).unwrap();
            Destination {
                conversation: Conversation::Channel(name.clone()),
                target: crate::edge::Target::Channel(name),
            }
        })
        .collect();
    let mut open = Vec::new();
    for to in &channels {
        let Conversation::Channel(name) = &to.conversation else {
            unreachable!()
        };
        cluster.store.create_channel(name, 0).await.unwrap();
        let connection = bob.connection.unwrap();
        bob.system.enter(connection, to.clone()).await.unwrap();
        let post = ada.post_to(to.clone(), "begun", true, None);
        open.push(ada.system.post(post).await.unwrap());
    }
    cluster.add().await;
    cluster.agrees().await;
    let third = cluster.name(2);
    let map = cluster.nodes[0].node().cluster.map();
    let moved = channels
        .iter()
        .filter(|to| {
            let shard = Shard::of(&to.conversation.key());
            map.placement.owner(shard) == Some(third)
        })
        .count();
    assert!(moved > 4, "{moved}");
    for (to, posted) in channels.iter().zip(&open) {
        let mut patch = ada.stroke(posted.id, Some("done"), false);
        patch.to = to.clone();
        assert_eq!(ada.system.patch(patch).await, Ok(Patched::Done));
        bob.sees_sent(posted.id, "done").await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_node_that_is_cut_off_acknowledges_nothing() {
    let cluster = Cluster::of(3).await;
    let (owner, one, other) = cluster.around_ting();
    let eve = cluster.nodes[owner].person("eve").await;
    let ada = cluster.nodes[one].person("ada").await;
    let bob = cluster.nodes[other].person("bob").await;
    let name = cluster.name(owner);
    for place in [one, other] {
        cluster.network.cut(name, cluster.name(place));
        cluster.network.cut(cluster.name(place), name);
    }
    let began = tokio::time::Instant::now();
    let left = async { cluster.nodes[owner].system.put_out().await };
    tokio::time::timeout(Duration::from_secs(20), left)
        .await
        .unwrap();
    assert!(
        eve.system
            .post(eve.post_to(ting(), "late", false, None))
            .await
            .is_err()
    );
    while ada
        .system
        .post(ada.post_to(ting(), "on", false, Some("k")))
        .await
        .is_err()
    {
        assert!(began.elapsed() < Duration::from_secs(20));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    bob.waits_for_text("on").await;
}

/// Waits until a node has put itself out; how long that took.
async fn puts_itself_out(node: &World) -> Duration {
    let began = tokio::time::Instant::now();
    let out = tokio::time::timeout(Duration::from_secs(60), node.system.put_out());
    out.await.unwrap();
    began.elapsed()
}

#[tokio::test(start_paused = true)]
async fn a_node_without_the_store_learns_from_the_others_that_it_was_put_out() {
    let cluster = Cluster::of(3).await;
    cluster.nodes[0].store.set_mood(Mood::Refuses);
    let took = puts_itself_out(&cluster.nodes[0]).await;
    assert!(took < Duration::from_secs(12), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_node_without_the_store_and_the_others_puts_itself_out() {
    let cluster = Cluster::of(3).await;
    let name = cluster.name(0);
    for other in [1, 2] {
        cluster.network.cut(name, cluster.name(other));
        cluster.network.cut(cluster.name(other), name);
    }
    cluster.nodes[0].store.set_mood(Mood::Refuses);
    let took = puts_itself_out(&cluster.nodes[0]).await;
    assert!(took < Duration::from_secs(20), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn nodes_that_reach_each_other_stay_while_the_store_is_away() {
    let cluster = Cluster::of(2).await;
    for node in &cluster.nodes {
        node.store.set_mood(Mood::Refuses);
    }
    let out = tokio::time::timeout(Duration::from_secs(60), cluster.nodes[0].system.put_out());
    assert!(out.await.is_err(), "a node left, and none was better off");
}

#[tokio::test(start_paused = true)]
async fn a_short_cut_costs_nothing_that_is_said_first_in_a_private() {
    let cluster = Cluster::of(2).await;
    let bob = cluster.nodes[1].person("bob").await;
    // Whose private lives on the node where the reader is not.
    let mut count = 0;
    let (eve, private) = loop {
        count += 1;
        let eve = cluster.nodes[0].person(&format!("eve{count}")).await;
        let private = eve.to(&bob);
        if cluster.owner(&private.conversation) == 0 {
            break (eve, private);
        }
    };
    cluster.network.part(cluster.name(0), cluster.name(1));
    let linked = || !cluster.nodes[0].node().cluster.linked().is_empty();
    cluster.nodes[0]
        .until("the link has ended", || !linked())
        .await;
    let said = eve.post_to(private, "psst", false, None);
    let said = cluster.nodes[0].system.post(said).await.unwrap();
    cluster.network.heal();
    bob.sees_sent(said.id, "psst").await;
    assert_eq!(bob.count("message"), 1);
    assert_eq!(bob.shown().sent[&said.id], ["psst"]);
}

#[tokio::test(start_paused = true)]
async fn a_short_cut_costs_nothing_that_was_sent() {
    let cluster = Cluster::of(2).await;
    let conversation = ting().conversation;
    let owner = cluster.owner(&conversation);
    let other = 1 - owner;
    let ada = cluster.nodes[owner].person("ada").await;
    let bob = cluster.nodes[other].person("bob").await;
    let (here, there) = (cluster.name(owner), cluster.name(other));
    let before = ada.says("before").await.id;
    bob.sees_sent(before, "before").await;
    // Shorter than three pings: the link stays, and what was said on it meanwhile is lost.
    cluster.network.cut(here, there);
    let during = ada.says("during").await.id;
    let ghost = ada.types("typed meanwhile").await.id;
    tokio::time::sleep(Duration::from_millis(500)).await;
    cluster.network.heal();
    let after = ada.says("after").await.id;
    for (id, text) in [(during, "during"), (after, "after")] {
        bob.sees_sent(id, text).await;
    }
    bob.sees(ghost, "typed meanwhile").await;
    assert_eq!(bob.shown().sent[&before], ["before"]);
}
