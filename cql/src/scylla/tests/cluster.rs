//! Three nodes of the database under load, of which one is killed, another hangs, or both.
//!
//! `TING_TEST_CQL_SERVER` names the script that does it, `tests/cassandra/server`; the nodes must
//! be its three. `TING_TEST_SECONDS` is how long it takes, 60 by default.

use super::{message, settings, size, unique};
use crate::scylla::{CqlSettings, CqlStore};
use crate::{
    Append, ChannelName, Conversation, MessageId, Millis, Places, Range, Store, StoreError,
};
use ::scylla::policies::load_balancing::{NodeIdentifier, SingleTargetLoadBalancingPolicy};
use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const WRITERS: u8 = 16;
const READERS: usize = 8;
const CHANNELS: usize = 4;
/// How long a node hangs: its connections are given up after five seconds.
const HANGS: Duration = Duration::from_secs(10);
/// How soon after a fault everybody is answered again.
const SOON: Duration = Duration::from_secs(10);
/// How long what was asked before may still be answered after there is no quorum any more.
const LAST: Duration = Duration::from_secs(4);

/// What everybody knows.
struct Load {
    stores: Vec<CqlStore>,
    channels: Vec<Conversation>,
    acknowledged: Vec<Mutex<BTreeMap<MessageId, String>>>,
    unacknowledged: Mutex<BTreeSet<MessageId>>,
    unavailable: AtomicU64,
    unknown: AtomicU64,
    /// How often each writer was answered, and each reader.
    answered: Vec<AtomicU64>,
    failed_reads: AtomicU64,
    over: AtomicBool,
    now: Millis,
    begun: Instant,
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_survives_a_crash_and_a_hang() {
    let (Ok(script), Ok(nodes)) = (
        std::env::var("TING_TEST_CQL_SERVER"),
        std::env::var("TING_TEST_CQL"),
    ) else {
        println!("skipped: TING_TEST_CQL_SERVER names no script, or TING_TEST_CQL no server");
        return;
    };
    let seconds = size("TING_TEST_SECONDS", 60);
    let mut settings = settings(&nodes);
    assert_eq!(settings.nodes.len(), 3, "three nodes are needed");
    settings.replication = 3;
    settings.keyspace = unique("load");
    CqlStore::migrate(&settings).await.unwrap();

    // Two stores stand for two nodes of Ting.
    let stores = vec![
        CqlStore::connect(settings.clone()).await.unwrap(),
        CqlStore::connect(settings.clone()).await.unwrap(),
    ];
    let channel = |n| Conversation::Channel(ChannelName::parse(&format!("load{n}")).unwrap());
    let now = stores[0].now().await.unwrap();
    let tasks = usize::from(WRITERS) + READERS;
    let load = Arc::new(Load {
        stores,
        channels: (0..CHANNELS).map(channel).collect(),
        acknowledged: (0..CHANNELS).map(|_| Mutex::default()).collect(),
        unacknowledged: Mutex::default(),
        unavailable: AtomicU64::new(0),
        unknown: AtomicU64::new(0),
        answered: (0..tasks).map(|_| AtomicU64::new(0)).collect(),
        failed_reads: AtomicU64::new(0),
        over: AtomicBool::new(false),
        now,
        begun: Instant::now(),
    });
    let mut tasks: Vec<_> = (0..WRITERS)
        .map(|slot| tokio::spawn(write(load.clone(), slot)))
        .collect();
    tasks.extend((0..READERS).map(|n| tokio::spawn(read(load.clone(), n))));
    let disturbed = load.clone();
    let faults = tokio::task::spawn_blocking(move || disturb(&script, seconds, &disturbed));
    let disturbed = faults.await;
    load.over.store(true, Ordering::Relaxed);
    for task in tasks {
        task.await.unwrap();
    }
    disturbed.unwrap();
    for node in &settings.nodes {
        verify(&load, &settings, node).await;
    }
}

impl Load {
    fn answers(&self) -> Vec<u64> {
        let answered = self.answered.iter();
        answered.map(|n| n.load(Ordering::Relaxed)).collect()
    }

    /// Waits until every writer and every reader was answered some times more.
    fn is_answered(&self, state: &str) {
        let (begun, before) = (Instant::now(), self.answers());
        let waits = |task: &usize| self.answered[*task].load(Ordering::Relaxed) < before[*task] + 3;
        loop {
            let waiting: Vec<_> = (0..before.len()).filter(waits).collect();
            if waiting.is_empty() {
                break;
            }
            assert!(
                begun.elapsed() < SOON,
                "{state}: {waiting:?} are not answered"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        println!("{state}: all are answered within {:.1?}", begun.elapsed());
    }
}

/// One node is killed, for a while another hangs as well; then one hangs alone.
fn disturb(script: &str, seconds: u64, load: &Load) {
    let each = Duration::from_secs(seconds).saturating_sub(2 * HANGS) / 5;
    let each = each.max(Duration::from_secs(4));
    let server = |command: &str, node: &str| {
        let status = Command::new(script).args([command, node]).status().unwrap();
        assert!(status.success(), "{command} {node}: {status}");
    };
    // The load itself takes its time here, so these are the schedule and not a wait for anything.
    let goes_on = |state: &str, time: Duration| {
        load.is_answered(state);
        std::thread::sleep(time);
        load.is_answered(state);
    };
    goes_on("all are there", each);
    server("kill", "2");
    goes_on("one is killed", each);
    server("pause", "3");
    std::thread::sleep(LAST);
    let answers = load.answers();
    std::thread::sleep(HANGS - LAST);
    // What is acknowledged now would lie on one node, and what is read would come from one.
    assert_eq!(load.answers(), answers, "one of three answers alone");
    server("cont", "3");
    goes_on("who hung goes on", each);
    server("up", "2");
    goes_on("who was killed is back", each);
    server("pause", "3");
    goes_on("one hangs", HANGS);
    server("cont", "3");
    goes_on("all are there again", each);
}

async fn write(load: Arc<Load>, slot: u8) {
    let channel = usize::from(slot) % CHANNELS;
    let store = &load.stores[usize::from(slot) % load.stores.len()];
    let mut places = Places::new(slot, load.now);
    while !load.over.load(Ordering::Relaxed) {
        let elapsed = i64::try_from(load.begun.elapsed().as_millis()).unwrap();
        let now = load.now + elapsed;
        let id = places.next(now, MessageId(0), Millis::MAX).unwrap();
        let text = format!("{slot} says {id}");
        let said = message(id, &load.channels[channel], &text);
        match store.append(&said, None).await {
            Ok(Append::Kept) => {
                load.acknowledged[channel].lock().unwrap().insert(id, text);
                load.answered[usize::from(slot)].fetch_add(1, Ordering::Relaxed);
            }
            Ok(other) => panic!("{id}: {other:?}"),
            Err(error) => {
                load.unacknowledged.lock().unwrap().insert(id);
                match error {
                    StoreError::Unavailable(_) => &load.unavailable,
                    StoreError::Unknown(_) => &load.unknown,
                    StoreError::Damaged(why) => panic!("{id}: {why}"),
                }
                .fetch_add(1, Ordering::Relaxed);
                // Refused at once: whoever is told so does not try again at once.
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }
}

/// Reads the newest, and misses nothing that was acknowledged before.
async fn read(load: Arc<Load>, n: usize) {
    let channel = n % CHANNELS;
    let store = &load.stores[n % load.stores.len()];
    let newest = Range {
        before: None,
        after: None,
        limit: 100,
    };
    while !load.over.load(Ordering::Relaxed) {
        let before: Vec<_> = {
            let acknowledged = load.acknowledged[channel].lock().unwrap();
            let newest = acknowledged.keys().rev().take(newest.limit);
            newest.copied().collect()
        };
        match store.history(&load.channels[channel], newest).await {
            Ok(page) => {
                load.answered[usize::from(WRITERS) + n].fetch_add(1, Ordering::Relaxed);
                let shown: BTreeSet<_> = page.messages.iter().map(|m| m.id).collect();
                assert_eq!(shown.len(), page.messages.len(), "a message twice");
                let lowest = shown.first().copied().filter(|_| page.more);
                let lowest = lowest.unwrap_or(MessageId(0));
                for id in before.iter().filter(|id| **id >= lowest) {
                    assert!(shown.contains(id), "{id} was acknowledged and is not shown");
                }
            }
            Err(_) => {
                load.failed_reads.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }
}

/// Everything acknowledged is read back once, with its text, through that node.
async fn verify(load: &Load, settings: &CqlSettings, node: &str) {
    let address = NodeIdentifier::NodeAddress(node.parse().unwrap());
    let only = SingleTargetLoadBalancingPolicy::new(address, None);
    let mut settings = settings.clone();
    settings.nodes = vec![node.to_owned()];
    let store = CqlStore::connect_with(settings, 0, only).await.unwrap();
    let unacknowledged = load.unacknowledged.lock().unwrap().clone();
    let (mut total, mut present) = (0, 0);
    for (channel, acknowledged) in load.channels.iter().zip(&load.acknowledged) {
        let acknowledged = acknowledged.lock().unwrap().clone();
        let mut found = BTreeMap::new();
        let mut before = None;
        loop {
            let range = Range {
                before,
                after: None,
                limit: 500,
            };
            let page = store.history(channel, range).await.unwrap();
            before = page.messages.last().map(|message| message.id);
            for message in page.messages {
                let text = message.text.as_str().to_owned();
                assert_eq!(found.insert(message.id, text), None, "{} twice", message.id);
            }
            if !page.more {
                break;
            }
        }
        for (id, text) in &acknowledged {
            assert_eq!(found.get(id), Some(text), "{id}, through {node}");
        }
        for id in found.keys().filter(|id| !acknowledged.contains_key(id)) {
            assert!(unacknowledged.contains(id), "{id} was never sent");
            present += 1;
        }
        total += acknowledged.len();
    }
    println!(
        "through {node}: {total} acknowledged, all there; {} unacknowledged, {present} of them \
         there; sends refused {}, unknown {}; reads {}, failed {}",
        unacknowledged.len(),
        load.unavailable.load(Ordering::Relaxed),
        load.unknown.load(Ordering::Relaxed),
        load.answers()[usize::from(WRITERS)..].iter().sum::<u64>(),
        load.failed_reads.load(Ordering::Relaxed),
    );
}
