//! What becomes of what is said when links, or views, are not as they are thought to be.

use super::cluster::{Cluster, history};
use super::world::{Person, ting};
use crate::node::Node;
use crate::{Posted, TypingError, Unanswered};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::Instant;

#[tokio::test(start_paused = true)]
async fn of_two_links_one_stays_and_nothing_is_lost() {
    let cluster = Cluster::of(2).await;
    let [one, other] = [0, 1].map(|place| cluster.nodes[place].node());
    let ada = cluster.nodes[0].person("ada").await;
    let bob = cluster.nodes[1].person("bob").await;
    let ghost = ada.types("h").await.id;
    bob.sees(ghost, "h").await;
    cluster.network.links_twice(one, other);
    let mut said = Vec::new();
    // Longer than the one that is ended is left open.
    for count in 0..30 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        for person in [&ada, &bob] {
            // What was not answered is repeated, as clients do.
            let (text, key) = (format!("{count}"), format!("{count}"));
            let says = || person.post_to(ting(), &text, false, Some(&key));
            let posted = loop {
                match person.system.post(says()).await {
                    Ok(posted) => break posted,
                    Err(error) => assert_eq!(error, TypingError::Unanswered(Unanswered)),
                }
            };
            said.push((posted.id, text));
        }
    }
    for (id, text) in &said {
        ada.sees_sent(*id, text).await;
        bob.sees_sent(*id, text).await;
    }
    assert_eq!(
        history(&cluster.nodes[0], &ting().conversation).await.len(),
        61
    );
    cluster.agrees().await;
    let kept = || [(one, other), (other, one)].map(|(near, far)| link(near, far));
    let before = kept();
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(kept(), before, "a link was made anew again");
    ada.types_on(ghost, "hey").await.unwrap();
    bob.sees(ghost, "hey").await;
}

fn link(near: &Arc<Node>, far: &Arc<Node>) -> ractor::ActorId {
    near.cluster.peer(far.name()).unwrap().get_id()
}

/// A node that asks another one, which is taken for the owner and does not hear it.
struct Asking {
    cluster: Cluster,
    owner: usize,
    asker: usize,
    ada: Person,
    asked: JoinHandle<Result<Posted, TypingError>>,
}

impl Asking {
    async fn in_vain() -> Asking {
        let cluster = Cluster::of(2).await;
        let owner = cluster.owner(&ting().conversation);
        let asker = 1 - owner;
        let ada = cluster.nodes[asker].person("ada").await;
        let [from, to] = [asker, owner].map(|place| cluster.name(place));
        cluster.network.cut(from, to);
        let post = ada.post_to(ting(), "said", false, None);
        let asked = tokio::spawn(ada.system.post(post));
        let waits = || cluster.nodes[asker].node().cluster.waiting.count() == 1;
        cluster.nodes[asker].until("it is asked", waits).await;
        Asking {
            cluster,
            owner,
            asker,
            ada,
            asked,
        }
    }

    /// Whoever was asked says that it owns nothing of the kind, by the view that both have.
    fn is_told_not_the_owner(&self) {
        let asker = self.cluster.nodes[self.asker].node();
        let version = asker.cluster.version();
        // Whichever question it is: all others are answered, and a later one comes later.
        let answers = (1..100).rev().map(|id| {
            let reply = json!({ "NotTheOwner": { "version": version } });
            json!({ "view": version, "body": { "Answer": { "id": id, "reply": reply } } })
        });
        let answers: Vec<_> = answers.collect();
        let from = self.cluster.name(self.owner);
        let batch = json!({ "v": 1, "from": from, "envelopes": answers });
        asker.receive(&serde_json::to_vec(&batch).unwrap());
    }
}

#[tokio::test(start_paused = true)]
async fn who_is_told_not_the_owner_asks_once_more() {
    let asking = Asking::in_vain().await;
    let began = Instant::now();
    asking.cluster.network.heal();
    asking.is_told_not_the_owner();
    let posted = asking.asked.await.unwrap().unwrap();
    let took = began.elapsed();
    assert!(took < Duration::from_millis(500), "{took:?}");
    asking.ada.sees_sent(posted.id, "said").await;
    let there = history(&asking.cluster.nodes[0], &ting().conversation).await;
    assert_eq!(there.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn who_is_told_so_again_asks_no_more() {
    let asking = Asking::in_vain().await;
    let began = Instant::now();
    asking.is_told_not_the_owner();
    asking.is_told_not_the_owner();
    let unanswered = Err(TypingError::Unanswered(Unanswered));
    assert_eq!(asking.asked.await.unwrap().map(drop), unanswered);
    // At once, and not when the time for answers is over.
    let took = began.elapsed();
    assert!(took < Duration::from_millis(500), "{took:?}");
}
