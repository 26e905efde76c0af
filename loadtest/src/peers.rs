//! The servers that are compared: how each is started, and where it is then.
//!
//! The others live in `peers/` beside this crate, each a small program that speaks as much of
//! the protocol as the sentence test needs. All are started alike, on a port of the system's
//! choice, and end with the value that holds them.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context, ensure};
use clap::ValueEnum;
use serde::Deserialize;
use serde_json::Value;
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
    time::timeout,
};

/// How long a server may take to start, and a busy machine is slow.
const START: Duration = Duration::from_secs(60);

/// A server that is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Peer {
    /// Ting, one node on the embedded store.
    Ting,
    /// socket.io 4 on Node.js, each letter on its own.
    SocketIo,
    /// The same, a channel's letters gathered for a tenth of a second.
    SocketIoTick,
    /// The same as the first in two processes under its cluster adapter.
    SocketIoCluster,
    /// Bun's publish, each letter on its own.
    Bun,
}

/// Where the programs are.
#[derive(Debug)]
pub struct Programs {
    /// Ting's binary.
    pub ting: PathBuf,
    /// The folder of the others.
    pub peers: PathBuf,
}

/// A server that runs until this is dropped.
#[derive(Debug)]
pub struct Started {
    /// Where it is.
    pub url: String,
    /// Its processes.
    pub pids: Vec<i32>,
    _child: Child,
    // Its files, deleted after it has ended.
    _folder: TempDir,
}

/// What a peer says when it is ready.
#[derive(Deserialize)]
struct Ready {
    url: String,
    pids: Vec<i32>,
}

impl Peer {
    /// As tables name it.
    pub fn title(self) -> &'static str {
        match self {
            Peer::Ting => "ting",
            Peer::SocketIo => "socket.io",
            Peer::SocketIoTick => "socket.io, 100 ms tick",
            Peer::SocketIoCluster => "socket.io, 2 workers",
            Peer::Bun => "Bun publish",
        }
    }

    /// Starts it, and waits until it can be spoken to.
    pub async fn start(self, programs: &Programs) -> anyhow::Result<Started> {
        let folder = tempfile::tempdir().context("a folder for its files")?;
        let mut command = self.command(programs, folder.path())?;
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("starting {}", self.title()))?;
        let output = child.stdout.take().context("its output")?;
        let mut lines = BufReader::new(output).lines();
        let ready = timeout(START, self.ready(&child, &mut lines))
            .await
            .with_context(|| format!("{} is not ready after {START:?}", self.title()))?
            .with_context(|| format!("starting {}", self.title()))?;
        // What nobody reads would stop it in the end.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Ok(Started {
            url: ready.url,
            pids: ready.pids,
            _child: child,
            _folder: folder,
        })
    }

    fn command(self, programs: &Programs, folder: &Path) -> anyhow::Result<Command> {
        let script: &[&str] = match self {
            Peer::Ting => return Ok(ting(&programs.ting, folder)),
            Peer::SocketIo => &["socket-io.js"],
            Peer::SocketIoTick => &["socket-io.js", "tick=100"],
            Peer::SocketIoCluster => &["socket-io.js", "workers=2"],
            Peer::Bun => &["bun.js"],
        };
        let bun = programs.peers.join("node_modules/.bin/bun");
        let mut command = match self {
            Peer::Bun => Command::new(std::path::absolute(bun)?),
            _ => Command::new("node"),
        };
        command.args(script).current_dir(&programs.peers);
        Ok(command)
    }

    async fn ready(
        self,
        child: &Child,
        lines: &mut Lines<BufReader<ChildStdout>>,
    ) -> anyhow::Result<Ready> {
        let mut url = None;
        loop {
            let line = lines.next_line().await?.context("it has ended")?;
            if self != Peer::Ting {
                return serde_json::from_str(&line).with_context(|| format!("it said {line:?}"));
            }
            let line: Value = serde_json::from_str(&line).unwrap_or_default();
            if let Some(address) = line["http.listen"].as_str() {
                url = Some(format!("http://{address}"));
            }
            if line["message"] == "ready" {
                let pid = child.id().context("it has ended")?;
                return Ok(Ready {
                    url: url.context("it does not say where it listens")?,
                    pids: vec![i32::try_from(pid)?],
                });
            }
        }
    }
}

/// A node with settings of its own, whatever the surroundings say.
fn ting(program: &Path, folder: &Path) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("TING_") {
            command.env_remove(name);
        }
    }
    command
        .current_dir(folder)
        .env("TING_HTTP__LISTEN", "127.0.0.1:0")
        .env("TING_ADMIN__LISTEN", "127.0.0.1:0")
        .env("TING_LOG__FORMAT", "json");
    command
}

impl Programs {
    /// Ting as named, or else beside this program; the others as named, or else where this
    /// crate was built.
    pub fn find(ting: Option<&Path>, peers: Option<&Path>) -> anyhow::Result<Self> {
        let ting = match ting {
            Some(ting) => ting.to_owned(),
            None => std::env::current_exe()?.with_file_name("ting"),
        };
        let peers = match peers {
            Some(peers) => peers.to_owned(),
            None => Path::new(env!("CARGO_MANIFEST_DIR")).join("peers"),
        };
        Ok(Programs {
            ting: std::path::absolute(ting)?,
            peers,
        })
    }

    /// Refuses what can't be started, and installs what these peers need.
    pub async fn prepare(&self, peers: &[Peer]) -> anyhow::Result<()> {
        if peers.contains(&Peer::Ting) {
            let ting = self.ting.display();
            ensure!(
                self.ting.is_file(),
                "there is no {ting}: build it (cargo build --release -p node), or name it \
                 (--ting)"
            );
        }
        if peers.iter().all(|peer| *peer == Peer::Ting) {
            return Ok(());
        }
        let folder = self.peers.display();
        ensure!(
            self.peers.join("package-lock.json").is_file(),
            "the peers are not in {folder}: name their folder (--peers)"
        );
        if self.peers.join("node_modules/.package-lock.json").is_file() {
            return Ok(());
        }
        eprintln!("installing the peers in {folder}");
        let installed = Command::new("npm")
            .args(["ci", "--silent"])
            .current_dir(&self.peers)
            .status()
            .await
            .context("npm, which installs the peers")?;
        ensure!(installed.success(), "npm ci in {folder}: {installed}");
        Ok(())
    }
}
