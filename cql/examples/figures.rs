//! Both stores beside each other: what 1 and 64 writers and readers get, each waiting for its
//! answer. `cargo run --release -p cql --example figures -- 5 127.0.0.1:9042` takes 5 seconds for
//! each figure; without a server it measures the embedded store alone. The keyspace
//! `ting_figures` stays, so that the database can be asked how large it is on the disk.

use cql::embedded::EmbeddedStore;
use cql::scylla::{CqlSettings, CqlStore};
use cql::{
    ChannelName, Conversation, Message, MessageId, MessageText, Millis, Places, Range, Store,
    UserId, Username,
};
use rand::seq::IndexedRandom;
use std::error::Error;
use std::time::{Duration, Instant};

/// What people say is made of these, ten at a time; one sentence compresses no better than
/// another.
const WORDS: &str = "the a we you it this that they what when where how meeting tomorrow morning \
    coffee build server message green again maybe later really think should could would please \
    thanks great sorry wait look see deploy branch review ticket customer before after lunch \
    train office house garden river music never always often quickly slowly together blue seven";

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let seconds = std::env::args().nth(1).unwrap_or_else(|| "5".to_owned());
    let each = Duration::from_secs(seconds.parse()?);
    let directory = std::env::temp_dir().join(format!("figures-{}", std::process::id()));
    let embedded = EmbeddedStore::open(&directory.join("ting.db"), None)?;
    measure("embedded", &embedded, each).await?;
    embedded.close().await;
    std::fs::remove_dir_all(directory)?;
    if let Some(nodes) = std::env::args().nth(2) {
        let nodes: Vec<_> = nodes.split(',').map(str::to_owned).collect();
        let settings = CqlSettings {
            replication: if nodes.len() > 1 { 3 } else { 1 },
            nodes,
            datacenter: "dc1".to_owned(),
            rack: None,
            keyspace: "ting_figures".to_owned(),
            tablets: None,
            user: None,
            password: None,
            tls_ca: None,
            retention: None,
            migrate: true,
        };
        CqlStore::migrate(&settings).await?;
        measure("cql", &CqlStore::connect(settings).await?, each).await?;
    }
    Ok(())
}

async fn measure(name: &str, store: &dyn Store, each: Duration) -> Result<(), Box<dyn Error>> {
    let channel = format!("f{:x}", rand::random::<u32>());
    let channel = Conversation::Channel(ChannelName::parse(&channel)?);
    for writers in [1, 64] {
        let now = store.now().await?;
        let begun = Instant::now();
        let writing = (0..writers).map(|slot| write(store, &channel, slot, now, begun + each));
        report(
            name,
            "writer",
            begun,
            writers,
            futures::future::try_join_all(writing).await?,
        );
    }
    for readers in [1, 64] {
        let begun = Instant::now();
        let reading = (0..readers).map(|_| read(store, &channel, begun + each));
        report(
            name,
            "reader",
            begun,
            readers,
            futures::future::try_join_all(reading).await?,
        );
    }
    Ok(())
}

fn report(store: &str, who: &str, begun: Instant, count: u8, waits: Vec<Vec<Duration>>) {
    let mut waits: Vec<_> = waits.into_iter().flatten().collect();
    waits.sort_unstable();
    let a_second = waits.len() as f64 / begun.elapsed().as_secs_f64();
    println!(
        "{store}: {count} {who}(s): {a_second:.0} a second, p50 {:.1?}, p99 {:.1?}, {} in all",
        waits[waits.len() / 2],
        waits[waits.len() * 99 / 100],
        waits.len()
    );
}

async fn write(
    store: &dyn Store,
    channel: &Conversation,
    slot: u8,
    now: Millis,
    until: Instant,
) -> Result<Vec<Duration>, Box<dyn Error>> {
    let mut places = Places::new(slot, now);
    let mut waits = Vec::new();
    while Instant::now() < until {
        let id = places.next(now, MessageId(0), Millis::MAX);
        let id = id.ok_or("no ids are left")?;
        let message = Message {
            id,
            conversation: channel.clone(),
            author: Some(UserId(u64::from(slot) + 1)),
            username: Username::parse("ada")?,
            text: MessageText::parse(sentence())?,
            datetime_start: id.time(),
            datetime_sent: id.time(),
        };
        let asked = Instant::now();
        store.append(&message, None).await?;
        waits.push(asked.elapsed());
    }
    Ok(waits)
}

fn sentence() -> String {
    let words: Vec<_> = WORDS.split_whitespace().collect();
    let said: Vec<_> = (0..10)
        .filter_map(|_| words.choose(&mut rand::rng()).copied())
        .collect();
    said.join(" ")
}

async fn read(
    store: &dyn Store,
    channel: &Conversation,
    until: Instant,
) -> Result<Vec<Duration>, Box<dyn Error>> {
    let newest = Range {
        before: None,
        after: None,
        limit: 100,
    };
    let mut waits = Vec::new();
    while Instant::now() < until {
        let asked = Instant::now();
        store.history(channel, newest).await?;
        waits.push(asked.elapsed());
    }
    Ok(waits)
}
