use super::super::{Body, KeeperMessage, PeerMessage, Word, envelope};
use super::{Arguments, Figures, Peer, WINDOW, Wire};
use crate::cluster::Online;
use crate::frame::{Epoch, Frame, Snapshot};
use crate::tests::World;
use cluster_config::NodeName;
use cql::{ChannelName, Conversation, MessageId, SignInHash, UserId, Username};
use envelope::Received;
use ractor::{Actor, ActorId, ActorProcessingErr, ActorRef};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

const OTHER: NodeName = NodeName { slot: 9, since: 9 };

/// A link whose other side takes in nothing by itself.
struct Link {
    world: World,
    peer: ActorRef<PeerMessage>,
    figures: Arc<Figures>,
    sent: Arc<Sent>,
    down: Arc<Mutex<Vec<ActorId>>>,
}

#[derive(Debug, Default)]
struct Sent(Mutex<Vec<Body>>);

impl Wire for Sent {
    fn send(&self, _: usize, batch: Vec<u8>) {
        let said = envelope::read(&batch).unwrap().envelopes.into_iter();
        self.0.lock().unwrap().extend(said.map(|said| said.body));
    }

    fn end(&self) {}
}

/// Notes the links that are said to be down.
struct FakeKeeper;

impl Actor for FakeKeeper {
    type Msg = KeeperMessage;
    type State = Arc<Mutex<Vec<ActorId>>>;
    type Arguments = Arc<Mutex<Vec<ActorId>>>;

    async fn pre_start(
        &self,
        _: ActorRef<KeeperMessage>,
        down: Arc<Mutex<Vec<ActorId>>>,
    ) -> Result<Self::State, ActorProcessingErr> {
        Ok(down)
    }

    async fn handle(
        &self,
        _: ActorRef<KeeperMessage>,
        message: KeeperMessage,
        down: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        if let KeeperMessage::LinkDown { link, .. } = message {
            down.lock().unwrap().push(link);
        }
        Ok(())
    }
}

impl Link {
    async fn new() -> Link {
        let world = World::new().await;
        let (figures, sent) = (Arc::<Figures>::default(), Arc::<Sent>::default());
        let arguments = Arguments {
            node: world.node().clone(),
            name: OTHER,
            wire: sent.clone(),
            figures: figures.clone(),
        };
        let (peer, _) = Peer::spawn(None, Peer, arguments).await.unwrap();
        let down = Arc::default();
        let keeper = FakeKeeper::spawn(None, FakeKeeper, Arc::clone(&down)).await;
        world.node().cluster.set_keeper(keeper.unwrap().0);
        Link {
            world,
            peer,
            figures,
            sent,
            down,
        }
    }

    /// Says this, and waits until it has left or was dropped.
    async fn says(&self, words: Vec<Word>) {
        for word in words {
            self.peer.cast(PeerMessage::say(Body::Tell(word))).unwrap();
        }
        self.is_through().await;
    }

    /// The other side has taken in so many bytes.
    async fn takes_in(&self, received: usize) {
        let received = Received {
            from: OTHER,
            received,
            bytes: 0,
            envelopes: Vec::new(),
        };
        self.peer.cast(PeerMessage::Received(received)).unwrap();
        self.is_through().await;
    }

    /// A question that must not be dropped comes after all that was said, and out in the end.
    async fn is_through(&self) {
        let seen = || self.count(|word| matches!(word, Word::Parted { .. }));
        let before = seen();
        let sign_ins = Vec::new();
        let last = PeerMessage::say(Body::Tell(Word::Parted { sign_ins }));
        self.peer.cast(last).unwrap();
        let is_through = || seen() > before || !self.down.lock().unwrap().is_empty();
        self.world.until("all is said", is_through).await;
    }

    fn count(&self, is_it: impl Fn(&Word) -> bool) -> usize {
        let sent = self.sent.0.lock().unwrap();
        let said = sent
            .iter()
            .filter(|body| matches!(body, Body::Tell(word) if is_it(word)));
        said.count()
    }

    fn on_the_way(&self) -> usize {
        self.figures.unacknowledged.load(Ordering::Relaxed) as usize
    }

    fn dropped(&self) -> u64 {
        self.figures.dropped.load(Ordering::Relaxed)
    }

    /// Something that must not be dropped is said until so many bytes are on their way.
    async fn is_filled_to(&self, bytes: usize) {
        while self.on_the_way() < bytes && self.down.lock().unwrap().is_empty() {
            self.says(vec![everybody()]).await;
        }
    }
}

/// About half a megabyte.
fn everybody() -> Word {
    let online = Online {
        user: UserId(1),
        username: Username::parse("somebody").unwrap(),
        sign_in: SignInHash([255; 32]),
    };
    Word::Everybody {
        people: vec![online; 2_000],
    }
}

fn channel(name: &str) -> Conversation {
    Conversation::Channel(ChannelName::parse(name).unwrap())
}

const EPOCH: Epoch = Epoch {
    version: 1,
    id: MessageId(1),
};

fn frame(of: &str, n: u64) -> Word {
    Word::Frame(Arc::new(Frame {
        conversation: channel(of),
        epoch: EPOCH,
        n,
        low: MessageId(1),
        since: 0,
        acknowledge: false,
        changes: Vec::new(),
    }))
}

fn snapshot(of: &str) -> Word {
    Word::Snapshot {
        conversation: channel(of),
        snapshot: Snapshot {
            epoch: EPOCH,
            n: 1,
            low: MessageId(1),
            ghosts: Vec::new(),
            sent: Vec::new(),
            deleted: Vec::new(),
        },
    }
}

fn is_frame(word: &Word) -> bool {
    matches!(word, Word::Frame(_) | Word::Snapshot { .. })
}

fn is_gap_of(name: &str) -> impl Fn(&Word) -> bool {
    let of = channel(name);
    move |word| matches!(word, Word::Gap { conversation } if *conversation == of)
}

#[tokio::test(start_paused = true)]
async fn a_full_link_drops_frames_alone_and_tells_of_each_gap_once() {
    let link = Link::new().await;
    link.says(vec![frame("ting", 1), snapshot("room")]).await;
    assert_eq!((link.count(is_frame), link.dropped()), (2, 0));
    link.is_filled_to(WINDOW).await;
    let seen = Word::Seen {
        conversation: channel("ting"),
        n: 1,
    };
    let words = vec![frame("ting", 2), snapshot("room"), seen, frame("ting", 3)];
    link.says(words).await;
    assert_eq!((link.count(is_frame), link.dropped()), (2, 3));
    assert_eq!(link.count(|word| matches!(word, Word::Seen { .. })), 1);
    // Until half of the window is free the other side would only ask for what finds no room.
    link.takes_in(link.on_the_way() - WINDOW / 2).await;
    let gaps = || ["ting", "room"].map(|name| link.count(is_gap_of(name)));
    assert_eq!(gaps(), [0, 0]);
    link.takes_in(WINDOW / 4).await;
    assert_eq!(gaps(), [1, 1]);
    link.says(vec![frame("ting", 4)]).await;
    link.takes_in(WINDOW / 8).await;
    assert_eq!((gaps(), link.count(is_frame)), ([1, 1], 3));
    assert_eq!(*link.down.lock().unwrap(), []);
}

#[tokio::test(start_paused = true)]
async fn what_can_not_be_dropped_ends_a_link_at_twice_the_window() {
    let link = Link::new().await;
    link.is_filled_to(2 * WINDOW - WINDOW / 4).await;
    assert_eq!(*link.down.lock().unwrap(), []);
    link.is_filled_to(3 * WINDOW).await;
    assert_eq!(link.down.lock().unwrap()[0], link.peer.get_id());
    // No more than what filled it was taken.
    assert!(link.on_the_way() < 2 * WINDOW + WINDOW / 4);
    assert_eq!(link.dropped(), 0);
}
