//! Ting from the outside: real processes, and people who use them.
//!
//! Nothing of the product is imported. A test starts `ting`, or shares the one of its test
//! binary, and says what people do and see:
//!
//! ```text
//! let ting = Ting::shared().await;
//! let [ada, bob] = ting.room().await.people(["ada", "bob"]).await;
//! let ghost = ada.types("he").await;
//! bob.sees(&ghost, "he").await;
//! ```
//!
//! Everything here panics when the product does not do as it should, and says what was seen.

pub mod binary;
pub mod cluster;
pub mod collector;
pub mod connection;
pub mod disk;
pub mod http;
pub mod keyspaces;
pub mod lab;
pub mod log;
pub mod metrics;
pub mod names;
pub mod person;
pub mod process;
pub mod quota;
pub mod raw;
pub mod room;
pub mod settings;
pub mod shape;
pub mod ting;
pub mod wire;

use std::time::Duration;

pub use cluster::Cluster;
pub use connection::{Connection, Login};
pub use http::{Answer, Ask};
pub use lab::Lab;
pub use loadtest::http::{Target, TargetKind};
pub use person::{Ghost, Person};
pub use process::Process;
pub use room::Room;
pub use settings::Settings;
pub use ting::Ting;

/// The one limit on every wait: longer than a silent client may stay, and than a busy machine
/// is late. A test that passes never waits for it.
pub const LIMIT: Duration = Duration::from_secs(25);

/// What privileged callers of the tests' servers show.
pub const SECRET: &str = "a shared secret of the tests";

/// A number that the environment may raise for a longer run.
pub fn size(variable: &str, otherwise: usize) -> usize {
    std::env::var(variable).map_or(otherwise, |text| {
        text.parse()
            .unwrap_or_else(|_| panic!("{variable} is {text:?}, not a number"))
    })
}

/// Waits for this, within the one limit.
pub async fn within_limit<T>(what: &str, waiting: impl Future<Output = T>) -> T {
    tokio::time::timeout(LIMIT, waiting)
        .await
        .unwrap_or_else(|_| panic!("{what}: not within {LIMIT:?}"))
}
