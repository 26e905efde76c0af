//! One of the people behaves badly, and the others don't notice.

use crate::client::Client;
use crate::crowd::Crowd;
use crate::people::floods;
use crate::story::Story;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tests::{Lab, lab};
use tokio::time::sleep;

/// How long.
const LASTS: Duration = Duration::from_secs(15);

/// How many updates a second are asked for.
const RATE: u64 = 1_000;

#[tokio::test(flavor = "multi_thread")]
async fn a_typist_says_a_thousand_things_a_second() {
    if !lab::is_there() {
        return;
    }
    let story = Story::of(Lab::of(3).await, Crowd::Few).await;
    let place = (story.owner + 1) % 3;
    let client = Client::new(story.nodes(), place, "flood").await;
    let target = story.log.open().conversations[0].seen_by(&client.name);
    let asked = Arc::new(AtomicUsize::new(0));
    let flood = tokio::spawn(floods(client, target, asked.clone()));
    sleep(LASTS).await;
    let rate = asked.load(Ordering::Relaxed) as u64 / LASTS.as_secs();
    println!("{rate} updates a second");
    assert!(rate > RATE * 8 / 10, "{rate} a second");
    flood.abort();
    let ended = flood.await;
    assert!(ended.is_err_and(|error| error.is_cancelled()), "it ended");
    story.ends("1,000 updates a second").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_stops_reading() {
    if !lab::is_there() {
        return;
    }
    let mut story = Story::of(Lab::of(3).await, Crowd::Few).await;
    let place = (story.owner + 1) % 3;
    let client = Client::new(story.nodes(), place, "stalled").await;
    let stalls = story.watches("stalled viewer".to_owned(), client, &[0]);
    story.all_are_served_since(story.fault("arrival")).await;
    story.end_of("arrival");
    let begun = story.fault("the stall");
    stalls.send_replace(true);
    tokio::time::sleep_until(begun + LASTS).await;
    let end = story.end_of("the stall");
    stalls.send_replace(false);
    story.all_are_served_since(end).await;
    println!(
        "it is back and was shown all {:.1?} after it reads",
        end.elapsed()
    );
    let figures = story.ends("a viewer stops reading").await;
    assert_eq!(figures.closed, 1, "the stalled one");
    assert!(figures.slowest_send < Duration::from_secs(3), "{figures}");
}
