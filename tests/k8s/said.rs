//! What pods write into their logs. A log goes with its pod, so each is read while it is written.

use crate::kube::{Pod, project};
use std::collections::HashMap;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use tempfile::NamedTempFile;

/// The logs of pods in a namespace, each from its first line on.
#[derive(Debug)]
pub struct Said {
    namespace: String,
    /// By what no other pod ever has.
    pods: HashMap<String, Followed>,
}

/// One of them.
#[derive(Debug)]
struct Followed {
    pod: String,
    to: NamedTempFile,
    reader: Child,
}

impl Said {
    /// Nobody has said anything yet.
    pub fn nothing(namespace: &str) -> Said {
        Said {
            namespace: namespace.to_owned(),
            pods: HashMap::new(),
        }
    }

    /// From now on of these, too. One that isn't ready may have no log yet, and is asked later.
    pub fn follow(&mut self, pods: &[Pod]) {
        for pod in pods.iter().filter(|pod| pod.ready) {
            let follow = || Followed::of(&self.namespace, &pod.name);
            self.pods.entry(pod.uid.clone()).or_insert_with(follow);
        }
    }

    /// What each of them has said so far.
    pub fn all(&self) -> impl Iterator<Item = String> {
        self.pods.values().map(|followed| {
            let said = std::fs::read(followed.to.path()).unwrap();
            // Who is ready has said so.
            assert!(!said.is_empty(), "the log of {} is unread", followed.pod);
            String::from_utf8_lossy(&said).into_owned()
        })
    }
}

impl Followed {
    fn of(namespace: &str, pod: &str) -> Followed {
        let to = NamedTempFile::new().unwrap();
        let reader = Command::new(project("tests/k8s/lab"))
            .args(["k", "-n", namespace, "logs", "--follow", pod])
            .stdin(Stdio::null())
            .stdout(to.reopen().unwrap())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .unwrap();
        Followed {
            pod: pod.to_owned(),
            to,
            reader,
        }
    }
}

impl Drop for Followed {
    fn drop(&mut self) {
        // The lab's shell, and `kubectl` that it waits for; both may have ended with the pod.
        let group = format!("-{}", self.reader.id());
        let _ = Command::new("kill")
            .args(["-KILL", "--", &group])
            .stderr(Stdio::null())
            .status();
        let _ = self.reader.wait();
    }
}
