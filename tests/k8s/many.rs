//! Three pods over a database: one cluster, which is changed while people use it.

use crate::crowd::Crowd;
use crate::database;
use crate::kube::{self, Installed, LOOKS, Pod, fixed, until};
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// How long a pod may take to end: what its manifest gives it.
const GRACE: Duration = Duration::from_secs(120);

/// How long a step of a rolling restart may take.
const STEP: Duration = Duration::from_secs(90);

/// What the pods say of the cluster: the names of who is up, which all agree on.
pub async fn one_view(pods: &[Pod]) -> BTreeSet<String> {
    let begun = Instant::now();
    loop {
        let mut views = Vec::new();
        for pod in pods {
            let answer = pod.ting().admin(Method::GET, "/cluster").try_send().await;
            let answer = answer.ok().filter(|answer| answer.status == 200);
            views.push(answer.map(|answer| answer.json()));
        }
        let named = |view: &Value| {
            let members = view["members"].as_array().cloned().unwrap_or_default();
            let up = members.iter().filter(|member| member["state"] == "up");
            let names = up.filter_map(|member| member["name"].as_str());
            let linked = view["links"].as_array().map_or(0, Vec::len) + 1 == members.len();
            linked.then(|| names.map(str::to_owned).collect::<BTreeSet<_>>())
        };
        let views: Vec<_> = views
            .iter()
            .map(|view| view.as_ref().and_then(named))
            .collect();
        let first = views[0].clone().unwrap_or_default();
        if first.len() == pods.len() && views.iter().all(|view| view.as_ref() == Some(&first)) {
            return first;
        }
        assert!(
            begun.elapsed() < tests::LIMIT,
            "no one view of {pods:?}: {views:?}"
        );
        tokio::time::sleep(LOOKS).await;
    }
}

/// Waits until none of these pods is there any more, and three others serve; how long each took to
/// end.
async fn replaced(
    installed: &Installed,
    crowd: &mut Crowd,
    before: &[Pod],
) -> BTreeMap<String, Duration> {
    let mut took = BTreeMap::new();
    until("all pods are others", || {
        let pods = installed.pods();
        crowd.sees(&pods);
        let steps = crowd.steps().iter();
        for step in steps.filter(|step| pods.iter().all(|pod| pod.name != step.pod)) {
            let since = step.began.elapsed();
            took.entry(step.pod.clone()).or_insert(since);
        }
        before.iter().all(|pod| took.contains_key(&pod.name))
            && pods.len() == 3
            && pods.iter().all(|pod| pod.ready && !pod.ends)
    })
    .await;
    took
}

/// Changes something that replaces all pods, under load; nobody may notice.
async fn rolls(name: &str, installed: &Installed, change: impl AsyncFnOnce()) {
    let before = installed.has(3).await;
    let mut crowd = Crowd::comes(installed).await;
    let begun = crowd.begins(name);
    change().await;
    let took = replaced(installed, &mut crowd, &before).await;
    let end = crowd.ends(name);
    let began = crowd.steps().iter().map(|step| step.began);
    let nexts = began.clone().skip(1).chain([end]);
    let step = began.zip(nexts).map(|(began, next)| next - began).max();
    let step = step.unwrap();
    let ends = took.values().max().unwrap();
    println!(
        "{name}: {:.0?} in all, a pod ended within {ends:.0?}, a step took {step:.0?}",
        begun.elapsed()
    );
    one_view(&installed.pods()).await;
    let figures = crowd.goes(name, installed).await;
    assert_eq!(figures.attempts, (0, 0), "sends that failed");
    assert!(figures.typing_gap < Duration::from_secs(5), "{figures}");
    assert!(
        *ends < GRACE && step < STEP,
        "a pod took {ends:?} to end, a step {step:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn three_pods_are_one_cluster_and_a_rollout_restart_fails_no_send() {
    if !kube::is_there() {
        return;
    }
    let (installed, pods) = Installed::of(3).await;
    let nodes: BTreeSet<_> = pods.iter().map(|pod| &pod.node).collect();
    assert_eq!(nodes.len(), 2, "{pods:?} are spread over the nodes");
    one_view(&pods).await;
    let told = installed.kubectl(&[
        "exec",
        &pods[0].name,
        "--",
        "/usr/bin/ting",
        "cluster",
        "status",
        "--config",
        "/etc/ting/config/ting.toml",
    ]);
    assert_eq!(told.matches(" up ").count(), 3, "{told}");
    rolls("rollout restart", &installed, async || {
        installed.kubectl(&["rollout", "restart", "deployment/ting"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "as the restart, with another image"]
async fn an_upgrade_fails_no_send() {
    if !kube::is_there() {
        return;
    }
    let (installed, _) = Installed::of(3).await;
    let image = format!("{}:2", std::env::var("TING_TEST_IMAGE").unwrap());
    rolls("upgrade", &installed, async || {
        installed.kubectl(&["set", "image", "deployment/ting", &format!("ting={image}")]);
    })
    .await;
    let run = installed.kubectl(&[
        "get",
        "pods",
        "-o",
        "jsonpath={.items[*].spec.containers[0].image}",
    ]);
    assert!(run.split(' ').all(|one| one == image), "{run}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "as the restart, with other secrets"]
async fn both_secrets_are_rotated_without_a_failed_send() {
    if !kube::is_there() {
        return;
    }
    let (installed, _) = Installed::of(3).await;
    rolls("secrets", &installed, async || {
        // Two roles of the database take turns.
        let other = format!("{}_b", installed.role());
        database::makes_role(&other, "another password").await;
        installed.secrets("another password", "another secret");
        installed.apply("cql", &(installed.over_database(&other) + &fixed(3)));
    })
    .await;
    let service = installed.service();
    let said = json!({ "text": "x", "username": "bridge", "datetime_start": 1, "typing": false });
    for (secret, status) in [(tests::SECRET, 401), ("another secret", 200)] {
        let post = service.post("/restapi/v1/messages/channel/ting");
        post.header("authorization", secret)
            .json(&said)
            .await
            .is(status);
    }
}
