//! Pods and nodes that go without a word, and a node that is emptied.

use crate::crowd::Crowd;
use crate::judge::AFTER_FAULT;
use crate::kube::{self, Installed, Pod, kubectl, lab, until};
use crate::many::one_view;
use std::time::Duration;

/// The node that goes in these tests; people come in by the other.
const NODE: &str = "node2";

/// When Kubernetes takes a silent node's pods out of the Service, and how often a client has then
/// chosen one of them before it chooses another.
const SILENT: Duration = Duration::from_secs(20 + 15);

/// A node as it should not be, until this is dropped.
struct Away(fn());

impl Drop for Away {
    fn drop(&mut self) {
        (self.0)();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_is_killed_loses_nothing() {
    if !kube::is_there() {
        return;
    }
    let (installed, pods) = Installed::of(3).await;
    let crowd = Crowd::comes(&installed).await;
    let killed = crowd.begins("the kill");
    installed.kubectl(&[
        "delete",
        "pod",
        &pods[0].name,
        "--grace-period=0",
        "--force",
    ]);
    crowd.is_served(killed).await;
    println!(
        "pod killed: everybody is served after {:.1?}",
        killed.elapsed()
    );
    let after = installed.has(3).await;
    crowd.ends("the kill");
    println!("pod killed: three are ready after {:.1?}", killed.elapsed());
    one_view(&after).await;
    let (figures, _) = crowd.goes("pod killed").await;
    assert!(figures.slowest_send < Duration::from_secs(10), "{figures}");
    assert!(figures.typing_gap < Duration::from_secs(10), "{figures}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "the stop of each pod is that of a rollout"]
async fn a_node_is_drained_one_pod_at_a_time() {
    if !kube::is_there() {
        return;
    }
    let (installed, pods) = Installed::of(3).await;
    // Two of three would go at once.
    let emptied = if on(&pods, NODE).len() == 2 {
        NODE
    } else {
        "node1"
    };
    assert_eq!(on(&pods, emptied).len(), 2, "{pods:?}");
    let crowd = Crowd::comes(&installed).await;
    let begun = crowd.begins("the drain");
    let cordoned = Away(|| drop(kubectl(&["uncordon", "node1", NODE], "")));
    let drain = tokio::task::spawn_blocking(move || {
        kubectl(
            &[
                "drain",
                emptied,
                "--ignore-daemonsets",
                "--delete-emptydir-data",
                "--force",
                "--timeout=200s",
            ],
            "",
        )
    });
    let mut fewest = usize::MAX;
    until("the node is empty", || {
        let pods = installed.pods();
        let serving = pods.iter().filter(|pod| pod.ready && !pod.ends).count();
        fewest = fewest.min(serving);
        drain.is_finished()
    })
    .await;
    drain.await.unwrap();
    println!(
        "node drained: after {:.0?}, {fewest} of 3 were there at any time",
        begun.elapsed()
    );
    crowd.ends("the drain");
    drop(cordoned);
    let pods = installed.has(3).await;
    assert!(on(&pods, emptied).is_empty(), "{pods:?}");
    one_view(&pods).await;
    let (figures, _) = crowd.goes("node drained").await;
    assert!(
        fewest >= 2,
        "the budget is two of three, and {fewest} were there"
    );
    assert_eq!(figures.attempts, (0, 0), "sends that failed");
    assert!(figures.typing_gap < Duration::from_secs(5), "{figures}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "waits for Kubernetes to miss a node"]
async fn a_node_dies_with_its_pods_and_comes_back() {
    let crash = || {
        lab(&["crash", NODE]);
        Away(|| drop(lab(&["start", NODE])))
    };
    goes("node dead", crash).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "waits for Kubernetes to miss a node"]
async fn a_node_is_cut_off_and_comes_back() {
    let cut = || {
        lab(&["cut", NODE]);
        Away(|| drop(lab(&["heal", NODE])))
    };
    goes("node cut off", cut).await;
}

fn on(pods: &[Pod], node: &str) -> Vec<Pod> {
    let on = |pod: &&Pod| pod.node == node;
    pods.iter().filter(on).cloned().collect()
}

fn has_missed(installed: &Installed) -> bool {
    let pods = installed.pods();
    on(&pods, NODE).iter().all(|pod| !pod.ready)
}

async fn goes(name: &str, fault: impl FnOnce() -> Away) {
    if !kube::is_there() {
        return;
    }
    let (installed, pods) = Installed::of(3).await;
    let crowd = Crowd::comes(&installed).await;
    let begun = crowd.begins(name);
    let away = fault();
    let served = async {
        crowd.is_served(begun).await;
        println!("{name}: everybody is served after {:.1?}", begun.elapsed());
    };
    let missed = async {
        let mut told = begun;
        until("Kubernetes misses the node", || {
            let missed = has_missed(&installed);
            // As long as the Service leads there, the fault goes on.
            if !missed && told.elapsed() > AFTER_FAULT / 2 {
                crowd.begins("people are led there");
                told = crowd.ends("people are led there");
            }
            missed
        })
        .await;
        println!("{name}: Kubernetes misses it after {:.1?}", begun.elapsed());
        crowd.begins("Kubernetes' notice");
        crowd.ends("Kubernetes' notice")
    };
    let (_, missed) = tokio::join!(served, missed);
    crowd.is_served(missed).await;
    let left: Vec<_> = pods
        .iter()
        .filter(|pod| pod.node != NODE)
        .cloned()
        .collect();
    one_view(&left).await;
    let back = crowd.ends(name);
    drop(away);
    let pods = installed.has(3).await;
    println!(
        "{name}: three are ready {:.1?} after its end",
        back.elapsed()
    );
    one_view(&pods).await;
    let (figures, _) = crowd.goes(name).await;
    assert!(figures.slowest_send < SILENT, "{figures}");
    assert!(figures.typing_gap < SILENT, "{figures}");
}
