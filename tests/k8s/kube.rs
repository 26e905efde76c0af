//! The cluster as its administrator has it, and Ting as it is installed in a namespace.

use crate::database;
use serde_json::{Value, json};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};
use tests::{Ting, names};

/// How long pods may take for what they are asked to do: a stop takes 20 s, a start 10, on a
/// machine that does much else.
pub const PATIENCE: Duration = Duration::from_secs(150);

/// How often the cluster is looked at.
pub const LOOKS: Duration = Duration::from_millis(200);

/// Whether this run has a cluster; says so if not.
pub fn is_there() -> bool {
    let is = std::env::var_os("TING_TEST_IMAGE").is_some();
    if !is {
        println!("skipped: there is no Kubernetes; tests/k8s/run makes one");
    }
    is
}

/// The folder of a path in the project.
pub fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

/// A command of the lab, such as `cut node1`.
pub fn try_lab(words: &[&str]) -> Result<String, String> {
    let done = Command::new(project("tests/k8s/lab")).args(words).output();
    said(&format!("lab {words:?}"), done.as_ref().ok())
}

/// The same, of what has to succeed.
pub fn lab(words: &[&str]) -> String {
    try_lab(words).unwrap_or_else(|wrong| panic!("{wrong}"))
}

fn said(what: &str, output: Option<&Output>) -> Result<String, String> {
    let Some(output) = output else {
        return Err(format!("{what} could not be started"));
    };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match output.status.success() {
        true => Ok(text(&output.stdout)),
        false => Err(format!(
            "{what}: {}{}",
            text(&output.stdout),
            text(&output.stderr)
        )),
    }
}

/// `kubectl` with these arguments, and this as its input.
pub fn try_kubectl(words: &[&str], input: &str) -> Result<String, String> {
    let child = Command::new(project("tests/k8s/lab"))
        .arg("k")
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = child.map_err(|error| format!("lab: {error}"))?;
    let mut to = child.stdin.take().ok_or("no input")?;
    // Who takes no input closes it.
    let _ = to.write_all(input.as_bytes());
    drop(to);
    said(
        &format!("kubectl {words:?}"),
        child.wait_with_output().as_ref().ok(),
    )
}

/// The same, of what has to succeed.
pub fn kubectl(words: &[&str], input: &str) -> String {
    try_kubectl(words, input).unwrap_or_else(|wrong| panic!("{wrong}"))
}

/// Waits until something is so; how long that took.
pub async fn until(what: &str, mut is: impl FnMut() -> bool) -> Duration {
    let begun = Instant::now();
    while !tokio::task::block_in_place(&mut is) {
        assert!(
            begun.elapsed() < PATIENCE,
            "{what}: not within {PATIENCE:?}"
        );
        tokio::time::sleep(LOOKS).await;
    }
    begun.elapsed()
}

/// Ting, installed in a namespace of this test.
#[derive(Debug)]
pub struct Installed {
    /// Where.
    pub namespace: String,
    overlay: tempfile::TempDir,
}

/// One of its pods.
#[derive(Debug, Clone, PartialEq)]
pub struct Pod {
    /// Its name.
    pub name: String,
    /// What no other ever has.
    pub uid: String,
    /// The node that it runs on.
    pub node: String,
    /// Its address.
    pub ip: String,
    /// Whether it is to be given clients.
    pub ready: bool,
    /// Whether it is on its way out.
    pub ends: bool,
}

impl Installed {
    /// One pod with the embedded store.
    pub fn alone() -> Installed {
        let installed = Installed::nowhere();
        installed.apply("dev", "");
        installed
    }

    /// So many pods over the run's database, in a keyspace and by a role of their own.
    pub async fn of(count: usize) -> (Installed, Vec<Pod>) {
        let installed = Installed::over(&fixed(count)).await;
        let pods = installed.has(count).await;
        (installed, pods)
    }

    /// The same with another change than that number.
    pub async fn over(change: &str) -> Installed {
        let installed = Installed::nowhere();
        database::makes_role(&installed.role(), PASSWORD).await;
        installed.apply(
            "cql",
            &(installed.over_database(&installed.role()) + change),
        );
        installed
    }

    /// A namespace with what an operator makes before: two secrets, and here the way to a database.
    pub fn nowhere() -> Installed {
        let installed = Installed {
            namespace: names::unique("ting"),
            overlay: tempfile::tempdir().unwrap(),
        };
        kubectl(&["create", "namespace", &installed.namespace], "");
        installed.secrets(PASSWORD, tests::SECRET);
        let database = DATABASE.replace("NAMESPACE", &installed.namespace);
        kubectl(&["apply", "-f", "-"], &database);
        installed
    }

    /// The role by which it is known to the database, and its keyspace there.
    pub fn role(&self) -> String {
        self.namespace.replace('-', "_")
    }

    /// Makes the two secrets, or changes them.
    pub fn secrets(&self, password: &str, secret: &str) {
        for (name, key, value) in [
            ("ting-database", "password", password),
            ("ting-api", "secret", secret),
        ] {
            let secret = json!({
                "apiVersion": "v1", "kind": "Secret", "stringData": { key: value },
                "metadata": { "name": name, "namespace": self.namespace },
            });
            kubectl(&["apply", "-f", "-"], &secret.to_string());
        }
    }

    /// What is changed of the overlay for a database that is elsewhere.
    pub fn over_database(&self, role: &str) -> String {
        OVER_DATABASE
            .replace("OURS", &self.role())
            .replace("ROLE", role)
    }

    /// Applies an overlay of `k8s/overlays` with this change; what was applied before and isn't
    /// changed by it stays.
    pub fn apply(&self, overlay: &str, change: &str) {
        // A kustomization names folders by their way from where it is.
        let folder = project("k8s").canonicalize().unwrap();
        let up = "../".repeat(self.overlay.path().components().count() - 1);
        let folder = format!(
            "{up}{}",
            folder.display().to_string().trim_start_matches('/')
        );
        let image = std::env::var("TING_TEST_IMAGE").unwrap();
        let text = KUSTOMIZATION
            .replace("FOLDER", &folder)
            .replace("OVERLAY", overlay)
            .replace("NAMESPACE", &self.namespace)
            .replace("IMAGE", &image);
        std::fs::write(
            self.overlay.path().join("kustomization.yaml"),
            text + change,
        )
        .unwrap();
        let made = kubectl(
            &["kustomize", &self.overlay.path().display().to_string()],
            "",
        );
        let apply = [
            "apply",
            "--server-side",
            "--force-conflicts",
            "--validate=strict",
            "-f",
            "-",
        ];
        kubectl(&apply, &made);
    }

    /// `kubectl` in its namespace.
    pub fn kubectl(&self, words: &[&str]) -> String {
        kubectl(&[&["-n", &self.namespace], words].concat(), "")
    }

    /// Its pods that run Ting.
    pub fn pods(&self) -> Vec<Pod> {
        let chosen = "app.kubernetes.io/name=ting,app.kubernetes.io/component=node";
        let listed = self.kubectl(&["get", "pods", "-o", "json", "-l", chosen]);
        let listed: Value = serde_json::from_str(&listed).unwrap();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let pod = |pod: &Value| {
            let conditions = pod["status"]["conditions"].as_array();
            Pod {
                name: text(&pod["metadata"]["name"]),
                uid: text(&pod["metadata"]["uid"]),
                node: text(&pod["spec"]["nodeName"]),
                ip: text(&pod["status"]["podIP"]),
                ready: conditions.is_some_and(|all| {
                    let ready = |one: &&Value| one["type"] == "Ready" && one["status"] == "True";
                    all.iter().any(|one| ready(&one))
                }),
                ends: pod["metadata"].get("deletionTimestamp").is_some(),
            }
        };
        listed["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(pod)
            .collect()
    }

    /// Waits until so many pods serve and no other is there; which.
    pub async fn has(&self, count: usize) -> Vec<Pod> {
        let mut pods = Vec::new();
        let what = format!("{count} pods that are ready");
        until(&what, || {
            pods = self.pods();
            pods.len() == count && pods.iter().all(|pod| pod.ready && !pod.ends)
        })
        .await;
        pods
    }

    /// Whether the Service leads new connections to any of these pods.
    pub fn leads_to(&self, pods: &[Pod]) -> bool {
        let of = "kubernetes.io/service-name=ting";
        let listed = self.kubectl(&["get", "endpointslices", "-o", "json", "-l", of]);
        let listed: Value = serde_json::from_str(&listed).unwrap();
        let slices = listed["items"].as_array().into_iter().flatten();
        let endpoints = slices.filter_map(|slice| slice["endpoints"].as_array());
        // Not to be ready is said in so many words.
        let leads = endpoints
            .flatten()
            .filter(|endpoint| endpoint["conditions"]["ready"] != false);
        let addresses = leads.filter_map(|endpoint| endpoint["addresses"][0].as_str());
        let led: Vec<&str> = addresses.collect();
        pods.iter().any(|pod| led.contains(&pod.ip.as_str()))
    }

    /// What clients use.
    pub fn service(&self) -> Ting {
        let address = self.kubectl(&["get", "service/ting", "-o", "jsonpath={.spec.clusterIP}"]);
        Ting::at(&format!("{address}:80"), None)
    }
}

impl Drop for Installed {
    fn drop(&mut self) {
        let namespace = &self.namespace;
        if std::thread::panicking() {
            for words in [
                &["get", "pods", "-o", "wide"][..],
                &["get", "events"],
                &[
                    "logs",
                    "-l",
                    "app.kubernetes.io/name=ting",
                    "--tail=30",
                    "--prefix",
                ],
            ] {
                let told = try_kubectl(&[&["-n", namespace], words].concat(), "");
                eprintln!(
                    "---- kubectl {words:?}\n{}",
                    told.unwrap_or_else(|wrong| wrong)
                );
            }
        }
        let gone = try_kubectl(&["delete", "namespace", namespace, "--wait=false"], "");
        let pods = try_kubectl(
            &[
                "-n",
                namespace,
                "delete",
                "pods",
                "--all",
                "--force",
                "--grace-period=0",
            ],
            "",
        );
        for wrong in [gone, pods].into_iter().filter_map(Result::err) {
            eprintln!("{wrong}");
        }
    }
}

impl Pod {
    /// It alone, clients and operators.
    pub fn ting(&self) -> Ting {
        Ting::at(
            &format!("{}:8080", self.ip),
            Some(&format!("{}:8081", self.ip)),
        )
    }
}

/// So many pods, whatever the autoscaler would say.
pub fn fixed(count: usize) -> String {
    FIXED.replace("COUNT", &count.to_string())
}

/// The password by which a role is known to the database.
const PASSWORD: &str = "a password of the tests";

/// The database of the run, by a name in the namespace.
const DATABASE: &str = r#"
apiVersion: v1
kind: Service
metadata: {name: database, namespace: NAMESPACE}
spec: {ports: [{port: 9042}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: database, namespace: NAMESPACE, labels: {kubernetes.io/service-name: database}}
addressType: IPv4
ports: [{port: 9042}]
endpoints: [{addresses: [10.77.1.1]}]
"#;

/// What tests change of an overlay: where it goes, and the image. All people come from one address.
const KUSTOMIZATION: &str = r#"
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
namespace: NAMESPACE
resources: [FOLDER/overlays/OVERLAY]
components: [FOLDER/components/loadtest]
images: [{name: ting, newName: IMAGE, newTag: "1"}]
"#;

/// And of one with a database: which, and how many pods.
const OVER_DATABASE: &str = r#"
configMapGenerator:
  - name: ting-settings
    namespace: ting
    behavior: merge
    literals:
      - TING_STORE__NODES=database:9042
      - TING_STORE__DATACENTER=dc1
      - TING_STORE__REPLICATION=1
      - TING_STORE__USER=ROLE
      - TING_STORE__KEYSPACE=OURS
"#;

/// As many pods as a test wants, and none that the autoscaler wants.
const FIXED: &str = r#"
replicas: [{name: ting, count: COUNT}]
patches:
  - patch: |
      {$patch: delete, apiVersion: autoscaling/v2, kind: HorizontalPodAutoscaler, metadata: {name: ting}}
"#;
