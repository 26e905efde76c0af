//! Who is in a story.

use crate::client::Client;
use crate::dice::Dice;
use crate::log::Conversation;
use crate::people::{Way, reads_all_the_time, sends, types};
use crate::plan::NODES;
use crate::story::Story;
use serde_json::json;
use std::time::Duration;
use tests::{Lab, Ting, names};
use tokio::sync::watch;

/// How often each of few people sends.
const NOW_AND_THEN: Duration = Duration::from_millis(400);

/// How often each of many people sends: with [`SENDERS`] in each channel and one in each private
/// 68 a second in all.
const OFTEN: Duration = Duration::from_millis(240);

/// Senders in each channel of many people.
const SENDERS: usize = 5;

/// Enough to keep a node busy.
const READERS: usize = 2;

/// The people of a story.
#[derive(Debug, Clone, Copy)]
pub enum Crowd {
    /// On each node somebody with the seed's client and somebody with the full one watch, somebody
    /// types one message all the time and somebody sends, all in one channel; one more there types
    /// one after the other, and erases or leaves some. Two others do that in private.
    Few,
    /// The same, in a channel that this node owns.
    At(usize),
    /// Few, with one more who sends to this node alone, whatever it answers; it owns the
    /// channel.
    Stubborn(usize),
    /// Few, who send to nodes that say they take people.
    Balanced,
    /// A channel and a private at each node, with people on others who watch, type one message
    /// after the other and send; what they do follows from the seed.
    Many(u64),
    /// The same, with some who read from the first node as often as it answers.
    Greedy(u64),
}

impl Crowd {
    /// They come.
    pub async fn gathers(self, story: &mut Story, over: &watch::Receiver<bool>) {
        match self {
            Crowd::Few => few(story, None, Way::Nearest, over).await,
            Crowd::At(place) => few(story, Some(place), Way::Nearest, over).await,
            Crowd::Balanced => few(story, None, Way::Balanced, over).await,
            Crowd::Stubborn(place) => {
                few(story, Some(place), Way::Nearest, over).await;
                stays(story, place, over).await;
            }
            Crowd::Many(seed) => many(story, seed, over).await,
            Crowd::Greedy(seed) => {
                many(story, seed, over).await;
                for _ in 0..READERS {
                    let client = Client::new(story.nodes(), 0, "greedy").await;
                    let target = story.log.open().conversations[0].seen_by(&client.name);
                    story.goes_on(reads_all_the_time(client, target));
                }
            }
        }
    }
}

async fn few(story: &mut Story, owner: Option<usize>, way: Way, over: &watch::Receiver<bool>) {
    let nodes = story.nodes().to_vec();
    let (channel, owner) = channel_of(&story.lab, &nodes, owner).await;
    story.owner = owner;
    let conversation = (story.log.open()).conversation(Conversation::Channel(channel));
    story.talks(conversation, &Client::new(&nodes, 0, "reader").await);
    for home in 0..nodes.len() {
        for start in ["seed", "full"] {
            let client = Client::new(&nodes, home, start).await;
            let role = format!("{start} viewer of node {home}");
            story.watches(role, client, &[conversation]);
        }
        let client = Client::new(&nodes, home, "sender").await;
        let role = format!("sender of node {home}");
        let dice = Dice::of(0, home as u64);
        story.acts(role, client, conversation, true, over, |actor| {
            sends(actor, NOW_AND_THEN, way, dice)
        });
        let client = Client::new(&nodes, home, "typist").await;
        let role = format!("typist of node {home}");
        story.acts(role, client, conversation, true, over, |actor| {
            types(actor, None)
        });
    }
    let mut stream = nodes.len() as u64;
    let mut dice = || {
        stream += 1;
        Dice::of(0, stream)
    };
    let home = (owner + 1) % nodes.len();
    let client = Client::new(&nodes, home, "fickle").await;
    let role = format!("fickle typist of node {home}");
    let typing = Some(dice());
    story.acts(role, client, conversation, true, over, |actor| {
        types(actor, typing)
    });
    talk_in_private(story, owner, (way, NOW_AND_THEN), dice, over).await;
}

/// Two at this node and the next: one types and sends, so often, the other reads.
async fn talk_in_private(
    story: &mut Story,
    place: usize,
    (way, every): (Way, Duration),
    mut dice: impl FnMut() -> Dice,
    over: &watch::Receiver<bool>,
) {
    let nodes = story.nodes().to_vec();
    let home = (place + 1) % NODES;
    let start = if place.is_multiple_of(2) {
        "full"
    } else {
        "seed"
    };
    let author = Client::new(&nodes, place, "author").await;
    let reader = Client::new(&nodes, home, start).await;
    let private = Conversation::between(&author.name, &reader.name);
    let conversation = story.log.open().conversation(private);
    story.talks(conversation, &author);
    let role = format!("{start} reader of private {place} on node {home}");
    story.watches(role, reader, &[conversation]);
    let role = format!("author of private {place}, node {place}");
    let typing = Some(dice());
    story.acts(role, author.clone(), conversation, true, over, |actor| {
        types(actor, typing)
    });
    let role = format!("the same, who sends to private {place}");
    let sending = dice();
    story.acts(role, author, conversation, true, over, |actor| {
        sends(actor, every, way, sending)
    });
}

/// Somebody who sends to one node alone, whatever it answers.
async fn stays(story: &mut Story, home: usize, over: &watch::Receiver<bool>) {
    let client = Client::new(story.nodes(), home, "stays").await;
    let role = format!("stubborn sender of node {home}");
    story.acts(role, client, 0, false, over, |actor| {
        sends(actor, NOW_AND_THEN, Way::Stubborn, Dice::of(0, 0))
    });
}

async fn many(story: &mut Story, seed: u64, over: &watch::Receiver<bool>) {
    let nodes = story.nodes().to_vec();
    let mut stream = 1;
    let mut dice = || {
        stream += 1;
        Dice::of(seed, stream)
    };
    for place in 0..NODES {
        let (channel, _) = channel_of(&story.lab, &nodes, Some(place)).await;
        let conversation = (story.log.open()).conversation(Conversation::Channel(channel));
        story.talks(conversation, &Client::new(&nodes, 0, "reader").await);
        for (start, home) in [("seed", place), ("full", (place + 1) % NODES)] {
            let client = Client::new(&nodes, home, start).await;
            let role = format!("{start} viewer of channel {place} on node {home}");
            story.watches(role, client, &[conversation]);
        }
        for sender in 0..SENDERS {
            let home = (place + sender) % NODES;
            let client = Client::new(&nodes, home, "sender").await;
            let role = format!("sender {sender} of channel {place}, node {home}");
            let dice = dice();
            story.acts(role, client, conversation, true, over, |actor| {
                sends(actor, OFTEN, Way::Nearest, dice)
            });
        }
        let home = (place + 2) % NODES;
        let client = Client::new(&nodes, home, "typist").await;
        let role = format!("typist of channel {place}, node {home}");
        let dice = Some(dice());
        story.acts(role, client, conversation, true, over, |actor| {
            types(actor, dice)
        });
    }
    for place in 0..NODES {
        let sending = (Way::Nearest, 2 * OFTEN);
        talk_in_private(story, place, sending, &mut dice, over).await;
    }
}

/// A new channel, and the node that owns it; this one, if one is named.
async fn channel_of(lab: &Lab, nodes: &[Ting], owner: Option<usize>) -> (String, usize) {
    loop {
        let channel = names::unique("room");
        let owned_by = lab.cluster().owner(&channel).await;
        if owner.is_none_or(|owner| owner == owned_by) {
            let post = nodes[owned_by].post("/restapi/v1/channels");
            post.json(&json!({ "name": channel })).await.is(204);
            return (channel, owned_by);
        }
    }
}
