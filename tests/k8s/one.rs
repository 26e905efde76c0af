//! One pod with the embedded store.

use crate::kube::{self, Installed, kubectl, until};
use reqwest::Method;
use tests::{Login, Person};

/// A volume for the claim, on the machine that all nodes share.
fn volume(installed: &Installed, path: &str) {
    let name = &installed.namespace;
    kubectl(
        &["apply", "-f", "-"],
        &format!(
            r#"{{"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {{"name": "{name}"}},
            "spec": {{"capacity": {{"storage": "5Gi"}}, "accessModes": ["ReadWriteOnce"],
            "persistentVolumeReclaimPolicy": "Delete", "hostPath": {{"path": "{path}"}},
            "claimRef": {{"namespace": "{name}", "name": "ting"}}}}}}"#
        ),
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn one_pod_keeps_its_history_when_it_is_deleted_or_told_to_drain() {
    if !kube::is_there() {
        return;
    }
    let data = tempfile::tempdir().unwrap();
    std::os::unix::fs::chown(data.path(), Some(10_001), Some(10_001)).unwrap();
    let installed = Installed::alone();
    volume(&installed, &data.path().display().to_string());
    let before = installed.has(1).await;
    let service = installed.service();
    let room = service.room().await;
    let ada = Person::arrives(&room, "ada", &Login::full().channels(&[room.name()])).await;
    let ghost = ada.types("he").await;
    ada.sends(&ghost, "hello").await;
    installed.kubectl(&["delete", "pod", &before[0].name]);
    let after = installed.has(1).await;
    assert_ne!(before[0].name, after[0].name);
    let pod = &after[0];
    // It may end before the answer has arrived.
    let _ = pod.ting().admin(Method::POST, "/drain").try_send().await;
    let code = "jsonpath={.status.containerStatuses[0].lastState.terminated.exitCode}";
    until("it has ended well and was started again", || {
        installed.kubectl(&["get", "pod", &pod.name, "-o", code]) == "0"
    })
    .await;
    let again = installed.has(1).await;
    assert_eq!(pod.uid, again[0].uid);
    let history = service.history(&ada.auth, &room.target(), "").await;
    let texts: Vec<_> = history.iter().map(|message| &message["text"]).collect();
    assert_eq!(texts, ["hello"]);
}
