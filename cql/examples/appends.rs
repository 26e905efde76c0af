//! How many messages a second the embedded store keeps for 64 senders, each waiting for its
//! acknowledgement: `cargo run --release -p cql --example appends [directory]`.

use cql::embedded::EmbeddedStore;
use cql::{ChannelName, Conversation, EPOCH, Message, MessageId, MessageText, Store, Username};
use std::error::Error;
use std::path::PathBuf;
use std::time::{Duration, Instant};

const SENDERS: u64 = 64;
const FOR: Duration = Duration::from_secs(5);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let directory = std::env::args_os()
        .nth(1)
        .map_or_else(std::env::temp_dir, PathBuf::from);
    let path = directory.join(format!("appends-{}", std::process::id()));
    let store = EmbeddedStore::open(&path.join("ting.db"), None)?;
    let begun = Instant::now();
    let sent = futures::future::try_join_all((0..SENDERS).map(|n| send(&store, n, begun))).await?;
    let mut waits: Vec<_> = sent.into_iter().flatten().collect();
    let a_second = waits.len() as f64 / begun.elapsed().as_secs_f64();
    waits.sort_unstable();
    println!(
        "{a_second:.0} acknowledged appends a second, p50 {:?}, p99 {:?}",
        waits[waits.len() / 2],
        waits[waits.len() * 99 / 100]
    );
    store.close().await;
    std::fs::remove_dir_all(path)?;
    Ok(())
}

async fn send(
    store: &EmbeddedStore,
    sender: u64,
    begun: Instant,
) -> Result<Vec<Duration>, Box<dyn Error>> {
    let mut waits = Vec::new();
    while begun.elapsed() < FOR {
        let message = Message {
            id: MessageId(sender * 1_000_000 + waits.len() as u64),
            conversation: Conversation::Channel(ChannelName::ting()),
            author: None,
            username: Username::parse("ada")?,
            text: MessageText::parse("a sentence of about the length that people write to others")?,
            datetime_start: EPOCH,
            datetime_sent: EPOCH,
        };
        let asked = Instant::now();
        store.append(&message, None).await?;
        waits.push(asked.elapsed());
    }
    Ok(waits)
}
