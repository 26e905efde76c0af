//! Pods and nodes that go without a word, and a node that is emptied.

use crate::back::{CRASH, CUT, Loss};
use crate::crowd::Crowd;
use crate::judge::AFTER_FAULT;
use crate::kube::{self, Installed, Pod, kubectl, lab, until};
use crate::many::one_view;
use reqwest::Method;
use std::time::Duration;

/// The node that goes in these tests; people come in by the other.
const NODE: &str = "node2";

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
    // Nothing of it is left to start in its place; by itself this leaves it the time to end in peace.
    installed.kubectl(&[
        "delete",
        "pod",
        &pods[0].name,
        "--grace-period=0",
        "--force",
    ]);
    lab(&["kill-pod", &pods[0].uid]);
    let began = crowd.log.open().now();
    let served = async {
        crowd.is_served(killed).await;
        println!(
            "pod killed: everybody is served after {:.1?}",
            killed.elapsed()
        );
    };
    let (_, led) = tokio::join!(
        served,
        led_elsewhere("pod killed", &installed, &pods[..1], &crowd)
    );
    let alive = pods[0].ting().admin(Method::GET, "/livez").try_send().await;
    assert!(alive.is_err(), "it was not killed: {alive:?}");
    let after = installed.has(3).await;
    let until = crowd.log.open().now();
    crowd.ends("the kill");
    println!("pod killed: three are ready after {:.1?}", killed.elapsed());
    one_view(&after).await;
    let bound = CRASH;
    ends(
        "pod killed",
        crowd,
        &installed,
        Loss {
            began,
            led,
            until,
            bound,
        },
    )
    .await;
}

/// When the Service leads to none of these pods any more; how long that took is Kubernetes'.
async fn led_elsewhere(name: &str, installed: &Installed, gone: &[Pod], crowd: &Crowd) -> Duration {
    let took = until("the Service leads to live pods alone", || {
        !installed.leads_to(gone)
    })
    .await;
    println!("{name}: the Service led to pods that were gone for {took:.1?}");
    crowd.log.open().now()
}

/// All is held against what is promised, and how long everybody was away.
async fn ends(name: &str, crowd: Crowd, installed: &Installed, loss: Loss) {
    let log = crowd.log.clone();
    let figures = crowd.goes(name, installed).await;
    let late = loss.late(&log.open());
    assert!(late.is_empty(), "{name}: {loss:?}, {late:#?}, {figures}");
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
    let mut crowd = Crowd::comes(&installed).await;
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
        crowd.sees(&pods);
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
    assert_eq!(crowd.steps().len(), 2, "two pods were seen to go");
    let figures = crowd.goes("node drained", &installed).await;
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
    goes("node dead", CRASH, crash).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "waits for Kubernetes to miss a node"]
async fn a_node_is_cut_off_and_comes_back() {
    let cut = || {
        lab(&["cut", NODE]);
        Away(|| drop(lab(&["heal", NODE])))
    };
    goes("node cut off", CUT, cut).await;
}

fn on(pods: &[Pod], node: &str) -> Vec<Pod> {
    let on = |pod: &&Pod| pod.node == node;
    pods.iter().filter(on).cloned().collect()
}

async fn goes(name: &str, bound: Duration, fault: impl FnOnce() -> Away) {
    if !kube::is_there() {
        return;
    }
    let (installed, pods) = Installed::of(3).await;
    let crowd = Crowd::comes(&installed).await;
    let begun = crowd.begins(name);
    let away = fault();
    let began = crowd.log.open().now();
    let gone = on(&pods, NODE);
    let served = async {
        crowd.is_served(begun).await;
        println!("{name}: everybody is served after {:.1?}", begun.elapsed());
    };
    let led = async {
        let led = led_elsewhere(name, &installed, &gone, &crowd);
        tokio::pin!(led);
        // As long as the Service leads there, the fault goes on.
        loop {
            crowd.begins("people are led there");
            crowd.ends("people are led there");
            if let Ok(led) = tokio::time::timeout(AFTER_FAULT / 2, &mut led).await {
                crowd.begins("Kubernetes' notice");
                return (led, crowd.ends("Kubernetes' notice"));
            }
        }
    };
    let (_, (led, noticed)) = tokio::join!(served, led);
    crowd.is_served(noticed).await;
    let left: Vec<_> = pods
        .iter()
        .filter(|pod| pod.node != NODE)
        .cloned()
        .collect();
    one_view(&left).await;
    let until = crowd.log.open().now();
    let back = crowd.ends(name);
    drop(away);
    let pods = installed.has(3).await;
    println!(
        "{name}: three are ready {:.1?} after its end",
        back.elapsed()
    );
    one_view(&pods).await;
    ends(
        name,
        crowd,
        &installed,
        Loss {
            began,
            led,
            until,
            bound,
        },
    )
    .await;
}
