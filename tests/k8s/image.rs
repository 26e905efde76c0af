//! The image as a registry would get it.

use crate::kube::{self, Installed, project, try_kubectl};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

/// How large it may be, unpacked.
const BYTES_MAX: u64 = 60_000_000;

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// An image out of its archive.
struct Image {
    directory: tempfile::TempDir,
    manifest: Value,
}

impl Image {
    fn of(archive: &Path) -> Image {
        let directory = tempfile::tempdir().unwrap();
        run(Command::new("tar")
            .arg("-xf")
            .arg(archive)
            .arg("-C")
            .arg(directory.path()));
        let manifest = std::fs::read(directory.path().join("manifest.json")).unwrap();
        let manifest: Value = serde_json::from_slice(&manifest).unwrap();
        Image {
            directory,
            manifest: manifest[0].clone(),
        }
    }

    fn path(&self, name: &Value) -> PathBuf {
        self.directory.path().join(name.as_str().unwrap())
    }

    fn config(&self) -> Value {
        serde_json::from_slice(&std::fs::read(self.path(&self.manifest["Config"])).unwrap())
            .unwrap()
    }

    fn files(&self) -> String {
        let layers = self.manifest["Layers"].as_array().unwrap().iter();
        layers
            .map(|layer| run(Command::new("tar").arg("-tvf").arg(self.path(layer))))
            .collect()
    }

    /// What `ting` says that is run in it and in nothing else.
    fn runs(&self, words: &[&str], (name, value): (&str, &str)) -> String {
        let root = tempfile::tempdir().unwrap();
        for layer in self.manifest["Layers"].as_array().unwrap() {
            run(Command::new("tar")
                .arg("-xf")
                .arg(self.path(layer))
                .arg("-C")
                .arg(root.path()));
        }
        let mut command = Command::new("chroot");
        let command = command.arg(root.path()).arg("/usr/bin/ting").args(words);
        let output = command.env(name, value).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let said = [output.stdout, output.stderr].concat();
        String::from_utf8(said).unwrap()
    }

    fn bytes(&self) -> u64 {
        let layers = self.manifest["Layers"].as_array().unwrap().iter();
        layers
            .map(|layer| std::fs::metadata(self.path(layer)).unwrap().len())
            .sum()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_image_is_ting_alone_and_the_same_when_built_again() {
    let Some(archive) = std::env::var_os("TING_TEST_ARCHIVE").map(PathBuf::from) else {
        println!("skipped: there is no image; tests/k8s/run makes one");
        return;
    };
    let image = Image::of(&archive);
    let config = image.config();
    assert_eq!(config["config"]["User"], "10001:10001");
    assert_eq!(
        config["config"]["Labels"]["org.opencontainers.image.title"],
        "Ting"
    );
    assert_eq!(
        config["config"]["Labels"]["org.opencontainers.image.version"],
        "1"
    );
    let (files, bytes) = (image.files(), image.bytes());
    println!("image: {bytes} bytes");
    assert!(bytes < BYTES_MAX, "{bytes} bytes");
    let executable = |line: &&str| line.starts_with("-rwx") && !line.contains(".so");
    let executables: Vec<&str> = files.lines().filter(executable).collect();
    assert!(
        matches!(executables[..], [only] if only.ends_with(" usr/bin/ting")),
        "{executables:?}"
    );
    let others = files
        .lines()
        .filter(|line| line.contains("rw-rw-") || line.contains("rws"));
    assert_eq!(others.count(), 0, "{files}");
    // Only the allocator that memory's figures are of knows this; at its end it tells of itself.
    let tells = ("_RJEM_MALLOC_CONF", "stats_print:true");
    let said = image.runs(&["--version"], tells);
    assert!(said.contains("jemalloc statistics"), "{said}");

    let again = tempfile::tempdir().unwrap();
    let again = again.path().join("again.tar");
    let version = "org.opencontainers.image.version=1";
    let name = image.manifest["RepoTags"][0].as_str().unwrap();
    run(Command::new(project("tests/k8s/image"))
        .arg(tests::binary::ting())
        .arg(&again)
        .args([name, version]));
    let again = Image::of(&again);
    assert_eq!(
        again.manifest["Config"],
        image.manifest["Config"],
        "{config} and {}",
        again.config()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_image_runs_where_nothing_can_be_written() {
    if !kube::is_there() {
        return;
    }
    let (installed, pods) = Installed::of(1).await;
    // That it is ready says that it found its database by name.
    let pod = &pods[0];
    let ran = [
        "get",
        "pod",
        &pod.name,
        "-o",
        "jsonpath={.spec.containers[0].securityContext}",
    ];
    assert!(
        installed
            .kubectl(&ran)
            .contains(r#""readOnlyRootFilesystem":true"#)
    );
    let exec = |words: &[&str]| {
        let words = [
            &["-n", &installed.namespace, "exec", &pod.name, "--"],
            words,
        ]
        .concat();
        try_kubectl(&words, "")
    };
    assert!(
        exec(&["/usr/bin/ting", "--version"])
            .unwrap()
            .starts_with("ting ")
    );
    for shell in ["sh", "bash", "/bin/sh", "/bin/busybox"] {
        let refused = exec(&[shell, "-c", "true"]).unwrap_err();
        assert!(
            refused.contains("no such file") || refused.contains("not found"),
            "{refused}"
        );
    }
}
