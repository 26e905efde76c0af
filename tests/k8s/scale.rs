//! The autoscaler makes pods of sockets, and takes them away.

use crate::client::Client;
use crate::crowd::Crowd;
use crate::kube::{self, Installed, Pod, until};
use crate::many::one_view;
use reqwest::Method;

/// How many sockets come on top of the crowd's thirty-two. Two pods are for 50, four for 100.
const MORE: usize = 60;

/// As in the base, of another size and at another pace.
const AUTOSCALER: &str = r#"
patches:
  - patch: |
      apiVersion: autoscaling/v2
      kind: HorizontalPodAutoscaler
      metadata: {name: ting}
      spec:
        minReplicas: 2
        maxReplicas: 4
        metrics:
          - type: Pods
            pods: {metric: {name: ting_sockets}, target: {type: AverageValue, averageValue: "25"}}
        behavior:
          scaleUp: {stabilizationWindowSeconds: 0}
          scaleDown: {stabilizationWindowSeconds: 15, policies: [{type: Pods, value: 1, periodSeconds: 15}]}
"#;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes the autoscaler's time"]
async fn the_autoscaler_goes_to_four_pods_and_back_without_a_failed_send() {
    if !kube::is_there() {
        return;
    }
    let installed = Installed::over(AUTOSCALER).await;
    even(&installed.has(2).await).await;
    let mut crowd = Crowd::comes(&installed).await;
    let service = installed.service();
    let client = Client::new(&[service], 0, "more").await;
    let mut more = Vec::new();
    for _ in 0..MORE {
        more.push(client.connects(&[]).await);
    }
    let up = crowd.begins("more sockets");
    let four = installed.has(4).await;
    println!(
        "autoscaler: four pods {:.0?} after the sockets",
        up.elapsed()
    );
    even(&four).await;
    crowd.ends("more sockets");
    for online in more {
        online.sender.close().await;
    }
    let down = crowd.begins("fewer sockets");
    let mut two = Vec::new();
    until("two pods are left", || {
        two = installed.pods();
        crowd.sees(&two);
        two.len() == 2 && two.iter().all(|pod| pod.ready && !pod.ends)
    })
    .await;
    println!(
        "autoscaler: two pods {:.0?} after their end",
        down.elapsed()
    );
    even(&two).await;
    crowd.ends("fewer sockets");
    assert_eq!(crowd.steps().len(), 2, "two pods were seen to go");
    let figures = crowd.goes("autoscaler", &installed).await;
    assert_eq!(figures.attempts, (0, 0), "sends that failed");
}

/// All are members, and none has a quarter more or less of the shards than its share: they are
/// dealt by chance.
async fn even(pods: &[Pod]) {
    one_view(pods).await;
    let status = pods[0].ting().admin(Method::GET, "/cluster").await.json();
    let members = status["members"].as_array().unwrap().iter();
    let shards: Vec<u64> = members
        .filter_map(|member| member["shards"].as_u64())
        .collect();
    println!("autoscaler: shards {shards:?}");
    let share = shards.iter().sum::<u64>() / pods.len() as u64;
    let is_even = |own: &u64| own.abs_diff(share) * 4 <= share;
    assert!(
        shards.len() == pods.len() && shards.iter().all(is_even),
        "{shards:?}"
    );
}
