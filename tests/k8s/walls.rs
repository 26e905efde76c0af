//! Who is not to join does not.

use crate::crowd::Crowd;
use crate::kube::{self, Installed, PATIENCE, Pod, fixed, lab, try_kubectl, until};
use crate::many::one_view;

/// NetworkPolicies are enforced while there is one.
struct Enforced;

impl Enforced {
    fn new() -> Enforced {
        lab(&["policy", "on"]);
        Enforced
    }
}

impl Drop for Enforced {
    fn drop(&mut self) {
        lab(&["policy", "off"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "enforces NetworkPolicies in the whole cluster"]
async fn a_pod_of_another_namespace_cannot_join() {
    if !kube::is_there() {
        return;
    }
    let (installed, pods) = Installed::of(2).await;
    let members = one_view(&pods).await;
    // A stranger knows everything but the password.
    let stranger = Installed::nowhere();
    stranger.secrets("a guess", "a guess");
    let ours = installed.over_database(&installed.role()) + &fixed(1);
    stranger.apply("cql", &ours);
    // And keeps to no rules of its own.
    stranger.kubectl(&["delete", "networkpolicies", "--all"]);
    let refused = || {
        let words = ["-n", &stranger.namespace, "logs", "deployment/ting"];
        try_kubectl(&words, "").is_ok_and(|log| log.contains("Provided username"))
    };
    until("the database refuses a stranger", refused).await;
    let strange = stranger.pods().remove(0);
    assert!(!strange.ready, "{strange:?}");
    assert_eq!(one_view(&pods).await, members);
    // Nothing is enforced: it gets as far as to the members' door, where it has to show who it is.
    let said = says_hello(&strange, &pods[0]);
    assert!(said.contains("CONNECTED"), "{said}");
    assert!(
        said.contains("alert") || said.contains("errno"),
        "let in without a certificate: {said}"
    );
    assert_eq!(reaches(&strange, &pods[0], 8081), Ok(()));

    let enforced = Enforced::new();
    until("a stranger doesn't reach a member", || {
        reaches(&strange, &pods[0], 7946).is_err()
    })
    .await;
    assert!(
        reaches(&strange, &pods[0], 8081).is_err(),
        "the operators' port is open"
    );
    assert_eq!(
        reaches(&strange, &pods[0], 8080),
        Ok(()),
        "clients may come from anywhere"
    );
    assert_eq!(
        reaches(&pods[1], &pods[0], 7946),
        Ok(()),
        "members reach each other"
    );
    // All that is needed is let through: another pod joins, and people are served.
    installed.kubectl(&["scale", "deployment/ting", "--replicas=3"]);
    let three = installed.has(3).await;
    let status = [
        "exec",
        &three[0].name,
        "--",
        "/usr/bin/ting",
        "cluster",
        "status",
        "--config",
        "/etc/ting/config/ting.toml",
    ];
    until("three are one cluster", || {
        installed.kubectl(&status).matches(" up ").count() == 3
    })
    .await;
    let crowd = Crowd::comes(&installed).await;
    let figures = crowd.goes("policies enforced", &installed).await;
    assert_eq!(figures.attempts, (0, 0));
    drop(enforced);
}

/// Whether something that runs beside this pod reaches a port of another.
fn reaches(from: &Pod, to: &Pod, port: u16) -> Result<(), String> {
    let connect = format!("exec 3<>/dev/tcp/{}/{port}", to.ip);
    let words = ["in-pod", &from.uid, "timeout", "3", "bash", "-c", &connect];
    kube::try_lab(&words).map(|_| ())
}

/// What a TLS client without a certificate is told at the members' port.
fn says_hello(from: &Pod, to: &Pod) -> String {
    let say = format!(
        "openssl s_client -ign_eof -connect {}:7946 </dev/null 2>&1 || true",
        to.ip
    );
    lab(&[
        "in-pod",
        &from.uid,
        "timeout",
        &PATIENCE.as_secs().to_string(),
        "bash",
        "-c",
        &say,
    ])
}
