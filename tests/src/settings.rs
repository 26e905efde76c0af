//! The settings a test's server starts with, as the file an operator would write.

use crate::SECRET;
use std::{collections::BTreeMap, path::Path};

/// Settings by their keys, values as TOML writes them.
#[derive(Debug, Clone)]
pub struct Settings {
    keys: BTreeMap<String, String>,
    env: BTreeMap<String, String>,
    file_blocks: u32,
    through: Vec<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Settings::written("")
            .text("api.secret", SECRET)
            .text("log.format", "json")
            .text("http.listen", &format!("{}:0", own_address()))
            .text("admin.listen", &format!("{}:0", own_address()))
    }
}

impl Settings {
    /// What a file with a key a line says, and nothing else.
    pub fn written(text: &str) -> Self {
        let mut settings = Settings {
            keys: BTreeMap::new(),
            env: BTreeMap::new(),
            file_blocks: 0,
            through: Vec::new(),
        };
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            if let Some((key, toml)) = line.split_once(" = ") {
                settings = settings.set(key, toml);
            }
        }
        settings
    }

    /// Sets a key to a TOML value, such as `3` or `["https://a.example"]`.
    pub fn set(mut self, key: &str, toml: &str) -> Self {
        self.keys.insert(key.to_owned(), toml.to_owned());
        self
    }

    /// Sets a key to a text.
    pub fn text(self, key: &str, text: &str) -> Self {
        let toml = serde_json::Value::from(text).to_string();
        self.set(key, &toml)
    }

    /// Leaves a key to its default.
    pub fn without(mut self, key: &str) -> Self {
        self.keys.remove(key);
        self
    }

    /// Sets a variable of the process.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Bounds the files of the process to so many blocks of the shell's `ulimit -f`, as a full
    /// disk would; 0 is no bound.
    pub fn file_blocks(mut self, blocks: u32) -> Self {
        self.file_blocks = blocks;
        self
    }

    /// The bound on its files.
    pub fn file_blocks_max(&self) -> Option<u32> {
        (self.file_blocks > 0).then_some(self.file_blocks)
    }

    /// Starts the process through another command, such as `ip netns exec NAME`.
    pub fn through(mut self, command: &[&str]) -> Self {
        self.through = command.iter().map(|word| (*word).to_owned()).collect();
        self
    }

    /// The command it is started through; empty if by itself.
    pub fn started_through(&self) -> &[String] {
        &self.through
    }

    /// The variables of the process.
    pub fn variables(&self) -> &BTreeMap<String, String> {
        &self.env
    }

    /// Whether a test has chosen its store itself.
    pub fn names_store(&self) -> bool {
        self.keys.contains_key("store.path") || self.keys.contains_key("store.kind")
    }

    /// The embedded store, in `directory`.
    pub fn with_file(self, directory: &Path) -> Self {
        let path = directory.join("ting.db");
        self.text("store.path", &path.to_string_lossy())
    }

    /// The store over CQL that this run is about.
    pub fn with_keyspace(self, keyspace: &str) -> Self {
        let nodes = format!("[{:?}]", database());
        // A test may lead there by a way of its own.
        let nodes = self.keys.get("store.nodes").cloned().unwrap_or(nodes);
        self.text("store.kind", "cql")
            .set("store.nodes", &nodes)
            .text("store.datacenter", "dc1")
            .text("store.keyspace", keyspace)
            .set("store.replication", "1")
    }

    /// The whole file.
    pub fn toml(&self) -> String {
        self.keys
            .iter()
            .map(|(key, value)| format!("{key} = {value}\n"))
            .collect()
    }
}

/// The database that this run is about, `TING_TEST_CQL=host:port`.
pub fn database() -> String {
    std::env::var("TING_TEST_CQL").expect("TING_TEST_CQL=host:port is needed")
}

/// Whether a test that is about the embedded store's file has to be left out of this run; says
/// so.
pub fn skips_embedded(what: &str) -> bool {
    if is_cql() {
        println!("skipped: {what}, and this run's store is a database");
    }
    is_cql()
}

/// Whether this run is about a CQL store.
pub fn is_cql() -> bool {
    match std::env::var("TING_TEST_STORE").as_deref() {
        Err(_) | Ok("embedded") => false,
        Ok("cql") => true,
        Ok(other) => panic!("TING_TEST_STORE is {other:?}, neither embedded nor cql"),
    }
}

/// A loopback address that no other server of the tests has: thousands of connections take
/// ports of 127.0.0.1, and one of them could take a port whose server is being restarted.
fn own_address() -> String {
    if !cfg!(target_os = "linux") {
        return "127.0.0.1".to_owned();
    }
    format!("{}.{}", own_network(), rand::random_range(1..=254_u8))
}

/// The first three parts of loopback addresses that no other server of the tests has.
pub fn own_network() -> String {
    let part = || rand::random_range(1..=254_u8);
    format!("127.{}.{}", part(), part())
}
