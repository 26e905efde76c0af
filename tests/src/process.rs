//! A `ting` process: started, watched by its log, killed.
//!
//! Nothing here needs a runtime, so one process can serve tests on many. A process never
//! outlives the test binary: a watchdog kills it when the pipe from the binary ends.

use crate::{
    LIMIT, Settings, binary,
    keyspaces::Keyspace,
    log::{Log, follow},
    settings::is_cql,
};
use serde_json::Value;
use std::{
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, Instant},
};

/// A server, its files and its log. Killed and removed on drop.
#[derive(Debug)]
pub struct Process {
    directory: tempfile::TempDir,
    // Given back when the process is gone.
    keyspace: Option<Keyspace>,
    settings: Mutex<Settings>,
    running: Mutex<Option<Running>>,
    log: Arc<Log>,
    listening: Mutex<Listening>,
}

/// Where a process listens.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listening {
    /// The public port.
    pub http: String,
    /// The operators' port.
    pub admin: String,
    /// The other nodes' port, of a node that has others.
    pub cluster: String,
}

#[derive(Debug)]
struct Running {
    child: Child,
    watchdog: Child,
}

impl Process {
    /// Starts a server and waits until it serves.
    pub fn start(settings: Settings) -> Result<Process, String> {
        let mut process = Process::prepare(settings)?;
        if process.keyspace.as_ref().is_some_and(Keyspace::is_new) {
            process.migrate()?;
            if let Some(keyspace) = &mut process.keyspace {
                keyspace.made();
            }
        }
        process.run()?;
        Ok(process)
    }

    /// Starts a server and waits until it listens; its store may be away.
    pub fn begin(settings: Settings) -> Result<Process, String> {
        let process = Process::prepare(settings)?;
        process.run_until_it_listens()?;
        Ok(process)
    }

    fn prepare(settings: Settings) -> Result<Process, String> {
        let directory = tempfile::Builder::new()
            .prefix("ting-test-")
            .tempdir()
            .map_err(|error| format!("no directory for a test: {error}"))?;
        let mut keyspace = None;
        let settings = match settings.names_store() {
            true => settings,
            false if is_cql() => {
                let taken = keyspace.insert(Keyspace::take());
                settings.with_keyspace(taken.name())
            }
            false => settings.with_file(directory.path()),
        };
        Ok(Process {
            directory,
            keyspace,
            settings: Mutex::new(settings),
            running: Mutex::new(None),
            log: Arc::default(),
            listening: Mutex::default(),
        })
    }

    /// The directory of its files, which it starts in.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Where it listens.
    pub fn listening(&self) -> Listening {
        lock(&self.listening).clone()
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        let running = lock(&self.running);
        running.as_ref().expect("the server is running").child.id()
    }

    /// Whether it was started and has not ended.
    pub fn is_running(&self) -> bool {
        let mut running = lock(&self.running);
        let ended = running.as_mut().map(|running| running.child.try_wait());
        matches!(ended, Some(Ok(None)))
    }

    /// All it has written.
    pub fn log(&self) -> Vec<String> {
        self.log.lines()
    }

    /// Ends it as a power cut would.
    pub fn kill(&self) {
        if let Some(mut running) = lock(&self.running).take() {
            end(&mut running.child);
            end(&mut running.watchdog);
        }
    }

    /// Sends a signal by its name.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill")
            .args([format!("-{name}"), self.pid().to_string()])
            .status();
        assert!(
            sent.as_ref().is_ok_and(ExitStatus::success),
            "kill -{name}: {sent:?}"
        );
    }

    /// Waits until it has ended by itself.
    pub fn ended(&self) -> ExitStatus {
        let mut running = lock(&self.running).take().expect("the server was running");
        let status = wait_for_end(&mut running.child, LIMIT);
        end(&mut running.watchdog);
        match status {
            Some(status) => status,
            None => {
                end(&mut running.child);
                panic!("the server did not end within {LIMIT:?}");
            }
        }
    }

    /// Starts it again after it was killed or has ended: same ports, same store.
    pub fn start_again(&self) {
        self.keep_ports();
        if let Err(error) = self.run() {
            panic!("{error}");
        }
    }

    /// What it is started with.
    pub fn settings(&self) -> Settings {
        lock(&self.settings).clone()
    }

    /// The same, without waiting until it serves: its store may be away.
    pub fn begin_again(&self) {
        self.keep_ports();
        if let Err(error) = self.run_until_it_listens() {
            panic!("{error}");
        }
    }

    fn keep_ports(&self) {
        assert!(lock(&self.running).is_none(), "the server is running");
        let listening = self.listening();
        let mut settings = lock(&self.settings);
        *settings = settings
            .clone()
            .text("http.listen", &listening.http)
            .text("admin.listen", &listening.admin);
        if !listening.cluster.is_empty() {
            *settings = settings.clone().text("cluster.listen", &listening.cluster);
        }
    }

    /// Changes settings before it is started again.
    pub fn change(&self, change: impl FnOnce(Settings) -> Settings) {
        let mut settings = lock(&self.settings);
        *settings = change(settings.clone());
    }

    /// `kill -9`, and started again.
    pub fn restart(&self) {
        self.kill();
        self.start_again();
    }

    /// Waits for a line of its log, from the `from`th on.
    pub fn wait_for_log(
        &self,
        what: &str,
        from: usize,
        is_it: impl FnMut(&Value) -> bool,
    ) -> Result<Value, String> {
        let found = self.log.wait(from, is_it, || {
            let mut running = lock(&self.running);
            match running.as_mut().map(|running| running.child.try_wait()) {
                Some(Ok(None)) => None,
                Some(Ok(Some(status))) => Some(format!("it ended with {status}")),
                Some(Err(error)) => Some(error.to_string()),
                None => Some("it is not running".to_owned()),
            }
        });
        found.map_err(|why| format!("no log line {what:?}: {why}\n{}", self.tail(from)))
    }

    /// Bytes of memory it has resident.
    pub fn resident_bytes(&self) -> u64 {
        let path = format!("/proc/{}/status", self.pid());
        let status = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}"));
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.trim().strip_suffix("kB"));
        kib.and_then(|kib| kib.trim().parse::<u64>().ok())
            .unwrap_or_else(|| panic!("{path} tells no VmRSS"))
            * 1024
    }

    /// The last lines it wrote, from the `from`th on.
    pub fn tail(&self, from: usize) -> String {
        let lines = self.log.lines();
        let from = from.max(lines.len().saturating_sub(60)).min(lines.len());
        lines[from..].join("\n")
    }

    /// A line that tells of a panic, if there is one.
    pub fn panicked(&self) -> Option<String> {
        let lines = self.log.lines();
        lines
            .iter()
            .find(|line| line.contains("panicked at"))
            .cloned()
    }

    fn settings_file(&self) -> Result<PathBuf, String> {
        let path = self.directory.path().join("ting.toml");
        std::fs::write(&path, lock(&self.settings).toml())
            .map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(path)
    }

    fn command(&self) -> Result<Command, String> {
        let settings = self.settings_file()?;
        let chosen = lock(&self.settings);
        let program = match chosen.file_blocks_max() {
            Some(blocks) => bounded(blocks),
            None => program(chosen.started_through()),
        };
        let mut command = of_test(program, self.directory.path(), chosen.variables());
        command.arg("--config").arg(settings);
        Ok(command)
    }

    fn migrate(&self) -> Result<(), String> {
        let output = self.command()?.arg("migrate").output();
        let output = output.map_err(|error| format!("ting migrate: {error}"))?;
        if output.status.success() {
            return Ok(());
        }
        Err(format!("ting migrate: {output:?}"))
    }

    fn run(&self) -> Result<(), String> {
        let from = self.run_until_it_listens()?;
        self.wait_for_log("ready", from, |line| line["message"] == "ready")?;
        Ok(())
    }

    /// Which line of its log is its first one.
    fn run_until_it_listens(&self) -> Result<usize, String> {
        let from = self.log.count();
        let mut child = self
            .command()?
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("{}: {error}", binary::ting().display()))?;
        let watchdog = watchdog(child.id());
        follow(child.stdout.take(), &self.log);
        follow(child.stderr.take(), &self.log);
        *lock(&self.running) = Some(Running {
            child,
            watchdog: watchdog.map_err(|error| format!("no watchdog: {error}"))?,
        });
        let listening =
            self.wait_for_log("listening", from, |line| line["message"] == "listening")?;
        let address = |key: &str| listening[key].as_str().unwrap_or_default().to_owned();
        *lock(&self.listening) = Listening {
            http: address("http.listen"),
            admin: address("admin.listen"),
            cluster: address("cluster.listen"),
        };
        Ok(from)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A command of `ting` that sees no settings but a test's own.
pub fn command<'a>(
    directory: &Path,
    variables: impl IntoIterator<Item = (&'a String, &'a String)>,
) -> Command {
    of_test(Command::new(binary::ting()), directory, variables)
}

/// `ting`, or the command that it is started through; that one becomes it.
fn program(through: &[String]) -> Command {
    let [first, rest @ ..] = through else {
        return Command::new(binary::ting());
    };
    let mut command = Command::new(first);
    command.args(rest).arg(binary::ting());
    command
}

/// `ting` whose files may not grow above a size: writing more fails, as on a full disk.
fn bounded(blocks: u32) -> Command {
    let mut command = Command::new("sh");
    let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"");
    command.arg("-c").arg(script).arg(binary::ting());
    command
}

fn of_test<'a>(
    mut command: Command,
    directory: &Path,
    variables: impl IntoIterator<Item = (&'a String, &'a String)>,
) -> Command {
    command.current_dir(directory);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("TING_") {
            command.env_remove(name);
        }
    }
    command.envs(variables);
    command
}

/// What a command has said, and how it ended.
#[derive(Debug)]
pub struct Ended {
    /// The exit code; none if a signal ended it.
    pub code: Option<i32>,
    /// Everything it wrote.
    pub said: String,
}

/// Runs a command that is to end by itself.
pub fn run_to_end(command: &mut Command) -> Ended {
    let child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = child.unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let log = Arc::new(Log::default());
    let readers = [
        follow(child.stdout.take(), &log),
        follow(child.stderr.take(), &log),
    ];
    let status = wait_for_end(&mut child, LIMIT);
    end(&mut child);
    for reader in readers {
        reader.join().expect("a reader of the log does not panic");
    }
    let said = log.lines().join("\n");
    let status = status.unwrap_or_else(|| panic!("{command:?} did not end: {said}"));
    Ended {
        code: status.code(),
        said,
    }
}

/// Kills a process when this one ends, however it ends.
fn watchdog(pid: u32) -> std::io::Result<Child> {
    Command::new("sh")
        .args(["-c", &format!("read -r _; kill -9 {pid}")])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
}

fn end(child: &mut Child) {
    // It may have ended already.
    let _ = child.kill();
    let _ = child.wait();
}

fn wait_for_end(child: &mut Child, limit: Duration) -> Option<ExitStatus> {
    let until = Instant::now() + limit;
    while Instant::now() < until {
        match child.try_wait() {
            Ok(Some(status)) => return Some(status),
            // The standard library has no wait with a limit.
            Ok(None) => std::thread::sleep(Duration::from_millis(20)),
            Err(error) => panic!("waiting for a process: {error}"),
        }
    }
    None
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A test that failed while holding it has said so itself.
    mutex
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner())
}
