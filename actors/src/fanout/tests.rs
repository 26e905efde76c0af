use super::*;
use crate::edge::Target;
use crate::frame::Belongs;
use crate::timeline::Timeline;
use cql::{ChannelName, Conversation, UserId, Username};
use proptest::prelude::*;
use std::collections::HashMap;

fn entry(id: u64, text: &str, typing: bool) -> Entry {
    Entry {
        id: MessageId(id),
        author: Some(UserId(1)),
        username: Username::parse("ada").unwrap(),
        target: Target::Channel(ChannelName::ting()),
        text: Arc::from(text),
        typing,
        datetime_start: 0,
        datetime_sent: (!typing).then_some(1),
        rev: 0,
    }
}

fn ghost(id: u64, text: &str) -> Ghost {
    let entry = entry(id, text, true);
    Ghost {
        entry,
        belongs: Belongs::Nobody,
        key: None,
        author_rev: 0,
    }
}

fn epoch(id: u64) -> Epoch {
    Epoch {
        version: 1,
        id: MessageId(id),
    }
}

/// An owner as its relay knows it: a timeline, the history, and the frames it sends.
struct Owner {
    timeline: Timeline,
    history: BTreeMap<MessageId, Entry>,
    epoch: Epoch,
    n: u64,
}

impl Owner {
    fn new(life: u64) -> Self {
        let history = BTreeMap::new();
        Owner {
            timeline: Timeline::default(),
            history,
            epoch: epoch(life),
            n: 0,
        }
    }

    fn frame(&mut self) -> Frame {
        self.n += 1;
        Frame {
            conversation: Conversation::Channel(ChannelName::ting()),
            epoch: self.epoch,
            n: self.n,
            low: MessageId(0),
            since: 0,
            acknowledge: false,
            changes: self.timeline.take_changes(),
        }
    }

    fn snapshot(&self) -> Snapshot {
        Snapshot {
            epoch: self.epoch,
            n: self.n,
            low: MessageId(0),
            ghosts: self.timeline.ghosts().cloned().collect(),
            sent: self.history.values().cloned().collect(),
            deleted: self.timeline.deleted_since(MessageId(0)).cloned().collect(),
        }
    }

    fn send(&mut self, id: u64) {
        let Some(text) = self
            .timeline
            .ghosts()
            .find(|ghost| ghost.entry.id.0 == id)
            .map(|ghost| ghost.entry.text.clone())
        else {
            return;
        };
        let sent = entry(id, &text, false);
        self.history.insert(MessageId(id), sent.clone());
        self.timeline.sent(sent, 0);
    }

    /// Dies and is started anew, with what the relay kept and what the store has.
    fn restart(&mut self, relay: &Fanout) {
        let (ghosts, ended) = relay.announcement();
        let history = std::mem::take(&mut self.history);
        *self = Owner {
            history,
            ..Owner::new(self.epoch.id.0 + 1)
        };
        self.timeline.announced(ghosts, ended);
        for sent in self.history.values() {
            self.timeline.sent(sent.clone(), 0);
        }
    }
}

#[test]
fn a_gap_asks_and_an_old_frame_is_ignored() {
    let mut owner = Owner::new(1);
    let mut relay = Fanout::new(0);
    assert_eq!(relay.apply(owner.frame()), Applied::Gap);
    relay.catch_up(owner.snapshot());
    owner.timeline.begin(ghost(5, "a"));
    let first = owner.frame();
    owner
        .timeline
        .change(MessageId(5), Arc::from("ab"), Belongs::Nobody, 0);
    let second = owner.frame();
    assert_eq!(relay.apply(second.clone()), Applied::Gap);
    assert!(matches!(relay.apply(first.clone()), Applied::Tell(told) if told.len() == 1));
    assert!(matches!(relay.apply(second), Applied::Tell(told) if &*told[0].text == "ab"));
    assert_eq!(relay.apply(first), Applied::Old);
}

#[test]
fn nobody_is_told_of_what_was_sent_before_the_relay_began() {
    let mut owner = Owner::new(1);
    owner.timeline.begin(ghost(5, "a"));
    owner.send(5);
    let mut relay = Fanout::new(0);
    assert!(relay.catch_up(owner.snapshot()).is_empty());
    owner.restart(&relay);
    assert!(relay.catch_up(owner.snapshot()).is_empty());
}

#[test]
fn what_was_sent_long_before_the_relay_began_is_no_news_though_it_is_told_late() {
    let began = cql::EPOCH + 10 * NEWS;
    let sent_at = |id, at| {
        let entry = Entry {
            datetime_sent: Some(at),
            ..entry(id, "a", false)
        };
        Change::Ended(entry, End::Sent)
    };
    let mut owner = Owner::new(1);
    owner.timeline.begin(ghost(7, "typed for long"));
    let mut relay = Fanout::new(began);
    relay.catch_up(owner.snapshot());
    let old = began - NEWS - 1;
    let brought_in = MessageId::at(began);
    let late = Frame {
        changes: vec![
            sent_at(5, old),
            sent_at(6, began - NEWS),
            sent_at(7, old),
            sent_at(brought_in.0, old),
        ],
        ..owner.frame()
    };
    let Applied::Tell(told) = relay.apply(late) else {
        panic!("the next frame");
    };
    let told: Vec<u64> = told.iter().map(|entry| entry.id.0).collect();
    assert_eq!(
        told,
        [6, 7, brought_in.0],
        "sent lately, shown while it was typed, and begun lately"
    );
}

#[test]
fn what_lies_below_low_is_not_told_again_by_an_owner_whose_low_is_lower() {
    let mut owner = Owner::new(1);
    let mut relay = Fanout::new(0);
    relay.catch_up(owner.snapshot());
    owner.timeline.begin(ghost(5, "a"));
    owner.send(5);
    let frame = Frame {
        low: MessageId(6),
        ..owner.frame()
    };
    assert!(matches!(relay.apply(frame), Applied::Tell(told) if told.len() == 1));
    let mut next = Owner::new(2);
    relay.catch_up(next.snapshot());
    for id in [5, 6] {
        next.timeline.sent(entry(id, "a", false), 0);
    }
    let Applied::Tell(told) = relay.apply(next.frame()) else {
        panic!("the next frame");
    };
    assert_eq!(told.iter().map(|it| it.id.0).collect::<Vec<_>>(), [6]);
}

#[test]
fn a_deletion_that_was_missed_is_told() {
    let mut owner = Owner::new(1);
    let mut relay = Fanout::new(0);
    relay.catch_up(owner.snapshot());
    owner.timeline.begin(ghost(5, "a"));
    owner.send(5);
    relay.apply(owner.frame());
    let sent = owner.history.remove(&MessageId(5)).unwrap();
    owner.timeline.delete_sent(sent);
    let _lost = owner.frame();
    let told = relay.catch_up(owner.snapshot());
    assert_eq!(told.len(), 1);
    assert_eq!((&*told[0].text, told[0].typing), ("", true));
    assert!(relay.catch_up(owner.snapshot()).is_empty(), "once");
}

#[test]
fn a_ghost_that_a_new_owner_does_not_know_is_erased() {
    let mut owner = Owner::new(1);
    let mut relay = Fanout::new(0);
    relay.catch_up(owner.snapshot());
    owner.timeline.begin(ghost(5, "a"));
    relay.apply(owner.frame());
    let told = relay.catch_up(Owner::new(2).snapshot());
    assert_eq!(told.len(), 1);
    assert_eq!((&*told[0].text, told[0].typing), ("", true));
    assert!(relay.is_quiet());
}

#[derive(Debug, Clone)]
enum Step {
    Begin(u64),
    Type(u64),
    Send(u64),
    Erase(u64),
    /// A frame leaves; whether it arrives.
    Frame(bool),
    CatchUp,
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (1u64..12).prop_map(Step::Begin),
        3 => (1u64..12).prop_map(Step::Type),
        2 => (1u64..12).prop_map(Step::Send),
        1 => (1u64..12).prop_map(Step::Erase),
        4 => any::<bool>().prop_map(Step::Frame),
        1 => Just(Step::CatchUp),
        1 => Just(Step::Restart),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Whatever frames are lost and however often the owner is started anew: in the end a viewer
    /// has every sent message exactly once, and the ghosts that there are.
    #[test]
    fn a_viewer_is_shown_every_sent_message_exactly_once(steps in prop::collection::vec(step(), 1..80)) {
        let mut owner = Owner::new(1);
        let mut relay = Fanout::new(0);
        relay.catch_up(owner.snapshot());
        let mut ghosts: HashMap<MessageId, Arc<str>> = HashMap::new();
        let mut shown: HashMap<MessageId, usize> = HashMap::new();
        let mut view = |told: Vec<Entry>| {
            for entry in told {
                ghosts.remove(&entry.id);
                if !entry.typing {
                    *shown.entry(entry.id).or_default() += 1;
                } else if !entry.text.is_empty() {
                    ghosts.insert(entry.id, entry.text);
                }
            }
            (ghosts.clone(), shown.clone())
        };
        let mut used = std::collections::HashSet::new();
        let steps = steps.into_iter().chain([Step::Frame(true), Step::CatchUp]);
        let mut last = Default::default();
        for (count, step) in steps.enumerate() {
            match step {
                Step::Begin(id) => {
                    if used.insert(id) {
                        owner.timeline.begin(ghost(id, "a"));
                    }
                }
                Step::Type(id) => {
                    let text = Arc::from(format!("{count}"));
                    owner.timeline.change(MessageId(id), text, Belongs::Nobody, 0);
                }
                Step::Send(id) => owner.send(id),
                Step::Erase(id) => owner.timeline.end(MessageId(id), End::Erased, true, 0),
                Step::Frame(arrives) => {
                    let frame = owner.frame();
                    if arrives && let Applied::Tell(told) = relay.apply(frame) {
                        last = view(told);
                    }
                }
                Step::CatchUp => last = view(relay.catch_up(owner.snapshot())),
                Step::Restart => {
                    owner.restart(&relay);
                    last = view(relay.catch_up(owner.snapshot()));
                }
            }
        }
        let (ghosts, shown): (HashMap<MessageId, Arc<str>>, HashMap<MessageId, usize>) = last;
        for id in owner.history.keys() {
            prop_assert_eq!(shown.get(id), Some(&1), "{} shown", id);
        }
        prop_assert_eq!(shown.len(), owner.history.len());
        let open: HashMap<MessageId, Arc<str>> = owner
            .timeline
            .ghosts()
            .map(|ghost| (ghost.entry.id, ghost.entry.text.clone()))
            .collect();
        prop_assert_eq!(ghosts, open);
    }
}
