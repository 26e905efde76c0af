//! Faults to be planted in a clean log, and what plants them.

use super::*;

/// The first event of whom that is so.
pub fn first(log: &Log, who: Who, is: impl Fn(&What) -> bool) -> usize {
    let of = |event: &Event| event.who == Some(who) && is(&event.what);
    log.events.iter().position(of).unwrap()
}

pub fn sent(id: u64) -> impl Fn(&What) -> bool {
    move |what| matches!(what, What::Sent { id: of, .. } if *of == id)
}

pub fn gone(id: u64) -> impl Fn(&What) -> bool {
    move |what| matches!(what, What::Gone { id: of } if *of == id)
}

/// The same event once more, so much later, with nothing in between that is not before it.
pub fn again(log: &mut Log, event: usize, later: Duration) {
    let mut event = log.events[event].clone();
    event.at += later;
    insert(log, event);
}

fn insert(log: &mut Log, event: Event) {
    let before = |other: &Event| other.at <= event.at;
    let at = log.events.iter().rposition(before).unwrap() + 1;
    log.events.insert(at, event);
}

pub fn delay(log: &mut Log, event: usize, by: Duration) {
    again(log, event, by);
    log.events.remove(event);
}

pub fn happens(log: &mut Log, at: u64, who: Who, what: What) {
    insert(
        log,
        Event {
            at: Duration::from_secs(at),
            who: Some(who),
            what,
        },
    );
}

pub const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Ada learns that it was sent from a history, and not as it happens.
pub fn reads(log: &mut Log, id: u64) {
    let at = first(log, ADA, sent(id));
    if let What::Sent { live, .. } = &mut log.events[at].what {
        *live = false;
    }
}

/// Somebody's connection is made anew.
pub fn comes_again(log: &mut Log, at: u64, who: Who) {
    happens(log, at, who, What::Closes);
    let people = ONLINE.to_vec();
    happens(log, at, who, What::Connects { node: 0, people });
}

/// A node is killed.
pub fn crash(log: &mut Log, at: u64) {
    happens(
        log,
        at,
        TOM,
        What::Begins("a crash".to_owned(), Kind::Crash),
    );
}

/// It is over because its author's connection is, and not by the author's will.
pub fn is_lost(log: &mut Log, id: u64) {
    let at = first(
        log,
        TOM,
        |what| matches!(what, What::Abandons { id: of, .. } if *of == id),
    );
    let how = Parting::Lost;
    log.events[at].what = What::Abandons { id, how };
}

/// Nobody knows whether it was sent; Ada and Bob are shown it at these places.
fn shown_unacknowledged(log: &mut Log, places: [u64; 2]) -> Text {
    let send = log.asks(CYD, "unknown", CHANNEL, None);
    let text = log.sends[send].text;
    for (who, id) in [ADA, BOB].into_iter().zip(places) {
        let (conversation, live) = (CHANNEL, true);
        let sent = What::Sent {
            id,
            conversation,
            text,
            live,
        };
        happens(log, 30, who, sent);
    }
    text
}

/// A fault that is planted, by the invariant that is to notice it.
pub type Plant = (Invariant, &'static str, fn(&mut Story));

/// Rounds begin at 8, 16, 24 …; their messages are 10, 11 (private), 12 (typed), 20, 21, …
pub const PLANTS: &[Plant] = &[
    (Lost, "not on node 1", |(_, histories)| {
        histories[1].messages.retain(|(id, _)| *id != 30);
    }),
    (Lost, "a private on both", |(_, histories)| {
        for history in &mut histories[2..] {
            history.messages.pop();
        }
    }),
    (Lost, "with another text", |(log, histories)| {
        histories[0].messages[0].1 = log.text("other");
    }),
    (Doubled, "at two places", |(_, histories)| {
        let text = histories[0].messages[0].1;
        histories[0].messages.insert(0, (999, text));
    }),
    (
        Doubled,
        "one that was not acknowledged",
        |(log, histories)| {
            let send = log.asks(CYD, "unknown", CHANNEL, None);
            let text = log.sends[send].text;
            histories[0].messages.insert(0, (998, text));
            histories[0].messages.insert(0, (999, text));
        },
    ),
    (Doubled, "at one place", |(_, histories)| {
        let message = histories[0].messages[2];
        histories[0].messages.insert(2, message);
    }),
    (Misplaced, "at another place", |(_, histories)| {
        histories[1].messages[0].0 += 1;
    }),
    (Misplaced, "not where typing began", |(log, histories)| {
        let send = log.asks(TOM, "unknown", CHANNEL, Some(997));
        let text = log.sends[send].text;
        histories[0].messages.insert(0, (998, text));
    }),
    (Misplaced, "in another order", |(_, histories)| {
        histories[0].messages.swap(0, 1);
    }),
    (Invented, "nobody's", |(log, histories)| {
        histories[0].messages.insert(0, (999, log.text("nobody's")));
    }),
    (Invented, "a private in a channel", |(_, histories)| {
        let private = histories[2].messages[0];
        histories[0].messages.insert(1, private);
    }),
    (Unshown, "never", |(log, _)| {
        let at = first(log, BOB, sent(20));
        log.events.remove(at);
    }),
    (Unshown, "a private never", |(log, _)| {
        let at = first(log, DEE, sent(21));
        log.events.remove(at);
    }),
    (Unshown, "four seconds late", |(log, _)| {
        let at = first(log, ADA, sent(20));
        delay(log, at, seconds(4));
    }),
    (Unshown, "21 seconds after a crash", |(log, _)| {
        crash(log, 15);
        let at = first(log, ADA, sent(20));
        delay(log, at, seconds(21));
    }),
    (Twice, "at once", |(log, _)| {
        let at = first(log, ADA, sent(20));
        again(log, at, Duration::ZERO);
    }),
    (Twice, "a private a minute later", |(log, _)| {
        let at = first(log, DEE, sent(21));
        again(log, at, seconds(60));
    }),
    (Stale, "in a channel", |(log, _)| {
        comes_again(log, 160, ADA);
        let at = first(log, ADA, sent(20));
        again(log, at, seconds(145));
    }),
    (Stale, "in a private, an hour later", |(log, _)| {
        comes_again(log, 3_600, DEE);
        let at = first(log, DEE, sent(21));
        again(log, at, seconds(3_600));
    }),
    (Retold, "with another text", |(log, _)| {
        let other = log.text("other");
        let at = first(log, BOB, sent(20));
        again(log, at, seconds(1));
        if let What::Sent { text, .. } = &mut log.events[at].what {
            *text = other;
        }
    }),
    (Retold, "as another message", |(log, _)| {
        let at = first(log, BOB, sent(20));
        if let What::Sent { id, .. } = &mut log.events[at].what {
            *id = 23;
        }
    }),
    (Retold, "and taken away", |(log, _)| {
        happens(log, 30, ADA, What::Gone { id: 20 });
    }),
    (Retold, "and is in no history", |(log, _)| {
        shown_unacknowledged(log, [998, 998]);
    }),
    (Disordered, "unacknowledged, at two places", |(log, _)| {
        shown_unacknowledged(log, [998, 999]);
    }),
    (
        Disordered,
        "elsewhere in the history",
        |(log, histories)| {
            let text = shown_unacknowledged(log, [998, 998]);
            histories[1].messages.insert(0, (999, text));
        },
    ),
    (Disordered, "two at one place", |(log, _)| {
        let other = log.text("sent 30");
        let at = first(log, BOB, sent(20));
        if let What::Sent { text, .. } = &mut log.events[at].what {
            *text = other;
        }
    }),
    (Unseen, "never on one screen", |(log, _)| {
        let is = |event: &Event| {
            event.who == Some(BOB) && matches!(event.what, What::Ghost { id: 12, .. })
        };
        log.events.retain(|event| !is(event));
    }),
    (Unseen, "taken away while it is typed", |(log, _)| {
        let at = first(log, TOM, |what| matches!(what, What::Types { id: 22, .. }));
        let end = log.events[at].at + seconds(6);
        log.events
            .retain(|event| event.at < end || !matches!(event.what, What::Ghost { id: 22, .. }));
        happens(log, 20, ADA, What::Gone { id: 22 });
    }),
    (Outlived, "for ever", |(log, _)| {
        let at = first(log, ADA, gone(22));
        log.events.remove(at);
    }),
    (Outlived, "for four seconds", |(log, _)| {
        let at = first(log, BOB, gone(22));
        delay(log, at, seconds(4));
    }),
    (Outlived, "for eleven seconds after a crash", |(log, _)| {
        crash(log, 22);
        let at = first(log, BOB, gone(22));
        delay(log, at, seconds(11));
    }),
    (
        Outlived,
        "its author's node, for eleven seconds",
        |(log, _)| {
            crash(log, 22);
            is_lost(log, 22);
            let at = first(log, BOB, gone(22));
            delay(log, at, seconds(11));
        },
    ),
    (
        Outlived,
        "another fault, for eighteen seconds",
        |(log, _)| {
            happens(log, 23, TOM, What::Begins("cut".to_owned(), Kind::Other));
            let at = first(log, BOB, gone(22));
            delay(log, at, seconds(18));
        },
    ),
    (Outlived, "on a new connection", |(log, _)| {
        let text = log.text("typed");
        let people = ONLINE.to_vec();
        happens(log, 40, ADA, What::Closes);
        happens(log, 41, ADA, What::Connects { node: 1, people });
        log.events
            .retain(|event| event.who != Some(ADA) || event.what != What::Gone { id: 22 });
        let (id, conversation) = (22, CHANNEL);
        let ghost = What::Ghost {
            id,
            conversation,
            text,
        };
        happens(log, 42, ADA, ghost);
    }),
    (Resurrected, "after it was sent", |(log, _)| {
        let at = first(log, ADA, |what| matches!(what, What::Ghost { id: 12, .. }));
        again(log, at, seconds(12));
    }),
    (Resurrected, "long after a history had it", |(log, _)| {
        let at = first(log, ADA, |what| matches!(what, What::Ghost { id: 12, .. }));
        again(log, at, seconds(13));
        reads(log, 12);
    }),
    (Resurrected, "after it was erased", |(log, _)| {
        let at = first(log, ADA, |what| matches!(what, What::Ghost { id: 22, .. }));
        again(log, at, seconds(8));
        happens(log, 25, ADA, What::Gone { id: 22 });
    }),
    (Leaked, "a private's message", |(log, _)| {
        let at = first(log, DEE, sent(21));
        let mut event = log.events[at].clone();
        event.who = Some(BOB);
        insert(log, event);
    }),
    (Leaked, "what is typed in a private", |(log, _)| {
        let text = log.text("secret");
        let (id, conversation) = (25, PRIVATE);
        let ghost = What::Ghost {
            id,
            conversation,
            text,
        };
        happens(log, 30, ADA, ghost);
        happens(log, 31, ADA, What::Gone { id });
    }),
    (Leaked, "into a log", |(log, _)| {
        happens(log, 30, ADA, What::Leaks("sent 21".to_owned()));
    }),
    (Disagreed, "not told of one", |(log, _)| {
        let at = first(log, ADA, |what| *what == What::Joins(TOM));
        log.events.remove(at);
    }),
    (Disagreed, "told that one has gone", |(log, _)| {
        happens(log, 30, BOB, What::Parts(TOM));
    }),
    (Disagreed, "for twenty seconds", |(log, _)| {
        happens(log, 30, BOB, What::Parts(TOM));
        happens(log, 50, TOM, What::Closes);
        happens(
            log,
            51,
            TOM,
            What::Connects {
                node: 0,
                people: ONLINE.to_vec(),
            },
        );
        happens(log, 51, BOB, What::Joins(TOM));
    }),
    (Disagreed, "while others come and go", |(log, _)| {
        happens(log, 30, BOB, What::Parts(TOM));
        for step in 0..8 {
            let people = ONLINE.to_vec();
            happens(log, 31 + 3 * step, DEE, What::Closes);
            happens(log, 32 + 3 * step, DEE, What::Connects { node: 0, people });
        }
        happens(log, 56, BOB, What::Joins(TOM));
    }),
    (Away, "for eight seconds after a crash", |(log, _)| {
        crash(log, 40);
        happens(log, 40, ADA, What::Closes);
        let people = ONLINE.to_vec();
        happens(log, 48, ADA, What::Connects { node: 1, people });
    }),
    (Away, "for eight seconds", |(log, _)| {
        happens(log, 40, ADA, What::Closes);
        happens(
            log,
            48,
            ADA,
            What::Connects {
                node: 1,
                people: ONLINE.to_vec(),
            },
        );
    }),
    (Away, "at the end", |(log, _)| {
        let last = log.events.last().unwrap().at.as_secs();
        happens(log, last, DEE, What::Closes);
    }),
    (Wrong, "a send refused", |(log, _)| {
        happens(log, 30, CYD, What::Wrong("400".to_owned()));
    }),
    (Wrong, "an event nobody knows", |(log, _)| {
        happens(log, 30, BOB, What::Wrong("hello".to_owned()));
    }),
];
