//! The judge on its own: it balances whatever is shown, and finds each fault by its name.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::{ledger::Author, script::Rhythm};

const LATE: Duration = Duration::from_secs(1);
const DELAY: Duration = Duration::from_millis(50);

fn rhythm(erased_percent: u32) -> Rhythm {
    Rhythm {
        keys_min: 5,
        keys_max: 9,
        erased_percent,
        ..Rhythm::default()
    }
}

/// A ledger of two typists in two conversations, whose typing is over and confirmed.
fn ledger(erased_percent: u32) -> Ledger {
    let author = |name: &str, conversation| Author {
        username: name.to_owned(),
        conversation,
    };
    let authors = vec![author("ada", 0), author("bob", 1)];
    let ledger = Ledger::new(
        0xbeef,
        rhythm(erased_percent),
        Duration::from_secs(30),
        authors,
    );
    for typist in 0..2 {
        for number in 0..4 {
            let written = ledger.written(MessageKey { typist, number }).unwrap();
            written.offer(written.script.steps());
            written.confirm(written.script.steps());
            ledger.identify(id_of(&written), &written);
        }
    }
    ledger
}

fn id_of(written: &Written) -> u64 {
    u64::from(written.script.key.typist) * 1_000 + u64::from(written.script.key.number) + 1
}

/// A step as the server shows it.
fn step(written: &Written, step: u32) -> Shown<'_> {
    let script = &written.script;
    let end = step + 1 == script.steps();
    let text = match (end, script.ending) {
        (true, Ending::Erased) => "",
        (true, Ending::Sent) => script.text(),
        (false, _) => &script.states[step as usize].text,
    };
    Shown {
        id: id_of(written),
        text,
        username: &written.username,
        typing: !end,
    }
}

struct Trial {
    ledger: Ledger,
    viewer: Viewer,
    tally: Tally,
}

impl Trial {
    fn new(erased_percent: u32) -> Self {
        Trial {
            ledger: ledger(erased_percent),
            viewer: Viewer::new(vec![0], Duration::ZERO),
            tally: Tally::new(LATE, 0),
        }
    }

    fn message(&self, typist: u32, number: u32) -> Arc<Written> {
        self.ledger.written(MessageKey { typist, number }).unwrap()
    }

    fn shows(&mut self, written: &Written, index: u32) {
        let at = written.script.intended(index) + DELAY;
        self.viewer
            .shown(at, step(written, index), &self.ledger, &mut self.tally);
    }

    fn shows_all(&mut self, written: &Written) {
        (0..written.script.steps()).for_each(|index| self.shows(written, index));
    }

    fn finish(mut self) -> Tally {
        self.viewer.finish(&self.ledger.all(), &mut self.tally);
        assert!(self.tally.balances(), "{:?}", self.tally.counts);
        self.tally
    }
}

/// A viewer who saw all of the conversation's messages, some of them changed by the test.
fn watch(erased_percent: u32, change: impl FnOnce(&mut Trial, &Written)) -> Tally {
    let mut trial = Trial::new(erased_percent);
    for number in 1..4 {
        let written = trial.message(0, number);
        trial.shows_all(&written);
    }
    let first = trial.message(0, 0);
    change(&mut trial, &first);
    trial.finish()
}

fn no_fault_but(tally: &Tally, faults: &[Fault]) {
    let found: std::collections::BTreeSet<_> = tally.examples.iter().map(|(f, _)| *f).collect();
    assert_eq!(
        found.into_iter().collect::<Vec<_>>(),
        faults,
        "{:?}",
        tally.examples
    );
}

#[test]
fn a_viewer_who_is_shown_everything_misses_nothing() {
    for erased in [0, 50, 100] {
        let tally = watch(erased, |trial, first| trial.shows_all(first));
        no_fault_but(&tally, &[]);
        assert_eq!(tally.counts.last, 4);
        assert_eq!(tally.counts.superseded + tally.counts.late, 0);
        assert_eq!(tally.all().count(), tally.counts.expected);
    }
}

#[test]
fn gathered_keys_are_superseded_and_none_is_missing() {
    let tally = watch(0, |trial, first| {
        trial.shows(first, 3);
        trial.shows(first, first.script.steps() - 1);
    });
    no_fault_but(&tally, &[]);
    assert_eq!(tally.counts.superseded, 3);
}

#[test]
fn a_lost_end_is_missing() {
    let tally = watch(0, |trial, first| {
        (0..first.script.steps() - 1).for_each(|index| trial.shows(first, index));
    });
    no_fault_but(&tally, &[Fault::Missing]);
    assert_eq!(tally.counts.missing, 1);
}

#[test]
fn a_lost_last_update_is_late() {
    let tally = watch(0, |trial, first| {
        let end = first.script.steps() - 1;
        (0..end - 1)
            .chain([end])
            .for_each(|index| trial.shows(first, index));
    });
    no_fault_but(&tally, &[]);
    assert_eq!(tally.counts.late, 1);
}

#[test]
fn a_message_that_never_came_is_missing_step_by_step() {
    let tally = watch(0, |_, _| {});
    assert_eq!(
        tally.counts.missing,
        u64::from(Trial::new(0).message(0, 0).script.steps())
    );
}

#[test]
fn a_swapped_pair_is_out_of_order() {
    let tally = watch(0, |trial, first| {
        [0, 2, 1]
            .into_iter()
            .for_each(|index| trial.shows(first, index));
        (3..first.script.steps()).for_each(|index| trial.shows(first, index));
    });
    no_fault_but(&tally, &[Fault::OutOfOrder]);
    assert_eq!(tally.counts.repeated, 0);
    assert_eq!(tally.counts.out_of_order, 1);
}

#[test]
fn a_ghost_after_its_end_and_a_second_end_are_found() {
    let tally = watch(100, |trial, first| {
        trial.shows_all(first);
        trial.shows(first, 2);
    });
    no_fault_but(&tally, &[Fault::AfterEnd]);
    let tally = watch(0, |trial, first| {
        trial.shows_all(first);
        trial.shows(first, first.script.steps() - 1);
    });
    no_fault_but(&tally, &[Fault::Doubled]);
}

#[test]
fn one_message_under_two_ids_is_doubled() {
    let tally = watch(0, |trial, first| {
        trial.shows_all(first);
        let twin = Shown {
            id: 77,
            ..step(first, 3)
        };
        trial
            .viewer
            .shown(LATE, twin, &trial.ledger, &mut trial.tally);
    });
    no_fault_but(&tally, &[Fault::Doubled]);
}

#[test]
fn a_single_wrong_letter_is_corrupt() {
    for change in [
        |text: &str| text[..text.len() - 1].to_owned(),
        |text: &str| format!("{text} "),
        |text: &str| text.replace("beef", "bee"),
        |_: &str| "anything".to_owned(),
    ] {
        let tally = watch(0, |trial, first| {
            let text = change(first.script.text());
            let wrong = Shown {
                text: &text,
                ..step(first, 0)
            };
            trial
                .viewer
                .shown(DELAY, wrong, &trial.ledger, &mut trial.tally);
            trial.shows_all(first);
        });
        no_fault_but(&tally, &[Fault::Corrupt]);
    }
}

#[test]
fn what_nobody_has_typed_yet_is_corrupt() {
    let mut trial = Trial::new(0);
    let written = trial.message(0, 4);
    trial.shows(&written, 0);
    assert_eq!(trial.tally.counts.corrupt, 1);
}

#[test]
fn another_author_and_a_send_that_was_not_asked_for_are_corrupt() {
    let tally = watch(100, |trial, first| {
        let forged = Shown {
            username: "eve",
            ..step(first, 0)
        };
        trial
            .viewer
            .shown(DELAY, forged, &trial.ledger, &mut trial.tally);
        let sent = Shown {
            typing: false,
            text: first.script.text(),
            ..step(first, 0)
        };
        trial
            .viewer
            .shown(DELAY, sent, &trial.ledger, &mut trial.tally);
        trial.shows_all(first);
    });
    assert_eq!(tally.counts.corrupt, 2);
}

#[test]
fn what_belongs_elsewhere_is_foreign() {
    let tally = watch(50, |trial, first| {
        trial.shows_all(first);
        let elsewhere = trial.message(1, 0);
        trial.shows_all(&elsewhere);
    });
    no_fault_but(&tally, &[Fault::Foreign]);
}

#[test]
fn a_sent_message_that_is_erased_has_vanished() {
    let tally = watch(0, |trial, first| {
        trial.shows(first, 0);
        let erased = Shown {
            text: "",
            ..step(first, 1)
        };
        trial
            .viewer
            .shown(DELAY, erased, &trial.ledger, &mut trial.tally);
        (1..first.script.steps()).for_each(|index| trial.shows(first, index));
    });
    no_fault_but(&tally, &[Fault::Vanished]);
}

#[test]
fn who_comes_late_is_owed_what_comes_after() {
    let mut trial = Trial::new(0);
    let first = trial.message(0, 0);
    let since = first.script.intended(3);
    trial.viewer = Viewer::new(vec![0], since);
    // What is being typed at entering is shown, and owed to nobody.
    trial.shows(&first, 2);
    (3..first.script.steps()).for_each(|index| trial.shows(&first, index));
    for number in 1..4 {
        let written = trial.message(0, number);
        trial.shows_all(&written);
    }
    let tally = trial.finish();
    no_fault_but(&tally, &[]);
    assert_eq!(tally.counts.direct, tally.counts.expected - 4);
}

#[test]
fn coming_back_and_reading_the_history_owes_nothing() {
    for erased in [0, 100] {
        let mut trial = Trial::new(erased);
        let first = trial.message(0, 0);
        trial.shows(&first, 0);
        trial.viewer.reconnected();
        let history: Vec<HistoryMessage> = (0..4)
            .filter(|_| erased == 0)
            .map(|number| {
                let written = trial.message(0, number);
                HistoryMessage {
                    id: id_of(&written),
                    text: written.script.text().to_owned(),
                    username: written.username.clone(),
                    datetime_start: 1,
                    datetime_sent: Some(2),
                    typing: false,
                }
            })
            .collect();
        let at = Duration::from_secs(30);
        trial
            .viewer
            .caught_up(at, &history, &trial.ledger, &mut trial.tally);
        let tally = trial.finish();
        no_fault_but(&tally, &[]);
        assert!(tally.counts.late > 0, "the absence is part of the latency");
    }
}

#[test]
fn a_history_may_be_ahead_of_the_frames_once() {
    let mut trial = Trial::new(0);
    let first = trial.message(0, 0);
    let end = first.script.steps() - 1;
    trial.viewer.reconnected();
    let row = HistoryMessage {
        id: id_of(&first),
        text: first.script.text().to_owned(),
        username: first.username.clone(),
        datetime_start: 1,
        datetime_sent: Some(2),
        typing: false,
    };
    let at = first.script.ends;
    trial
        .viewer
        .caught_up(at, &[row], &trial.ledger, &mut trial.tally);
    trial.shows(&first, end - 1);
    trial.shows(&first, end);
    assert_eq!(
        (trial.tally.counts.repeated, trial.tally.counts.doubled),
        (2, 0)
    );
    trial.shows(&first, end - 1);
    trial.shows(&first, end);
    assert_eq!(
        (trial.tally.counts.after_end, trial.tally.counts.doubled),
        (1, 1)
    );
}

#[test]
fn announcements_are_owed_once_for_each_sent_message() {
    let mut trial = Trial::new(0);
    for (number, times) in [(0, 1), (1, 2), (2, 1)] {
        let written = trial.message(0, number);
        let end = written.script.steps() - 1;
        trial.shows_all(&written);
        for _ in 0..times {
            trial
                .viewer
                .announced(step(&written, end), &trial.ledger, &mut trial.tally);
        }
    }
    let third = trial.message(0, 3);
    trial.shows_all(&third);
    trial
        .viewer
        .finish_announced(&trial.ledger.all(), &mut trial.tally);
    let tally = trial.finish();
    no_fault_but(&tally, &[Fault::Missing, Fault::Doubled]);
    assert_eq!(
        (tally.counts.announced, tally.counts.announced_missing),
        (3, 1)
    );
}

#[test]
fn what_the_server_never_confirmed_is_not_owed() {
    let author = Author {
        username: "ada".to_owned(),
        conversation: 0,
    };
    let long = Duration::from_secs(30);
    let ledger = Ledger::new(0xbeef, rhythm(0), long, vec![author]);
    let written = ledger
        .written(MessageKey {
            typist: 0,
            number: 0,
        })
        .unwrap();
    written.offer(5);
    written.confirm(3);
    let mut tally = Tally::new(LATE, 0);
    let mut viewer = Viewer::new(vec![0], Duration::ZERO);
    viewer.finish(&ledger.all(), &mut tally);
    assert_eq!((tally.counts.expected, tally.counts.missing), (3, 3));
    // Shown all the same, it counts.
    let mut tally = Tally::new(LATE, 0);
    viewer.shown(LATE, step(&written, 4), &ledger, &mut tally);
    viewer.finish(&ledger.all(), &mut tally);
    assert_eq!((tally.counts.expected, tally.counts.missing), (5, 0));
    assert!(tally.balances());
}

proptest! {
    /// Whatever a server shows, in whatever order, each step is counted exactly once.
    #[test]
    fn the_account_balances(
        erased in 0..=100u32,
        since in 0..4_000u64,
        frames in prop::collection::vec((0..2u32, 0..5u32, 0..12u32, 0..30_000u64), 0..120),
        catch_up in 0..120usize,
    ) {
        let mut trial = Trial::new(erased);
        trial.viewer = Viewer::new(vec![0], Duration::from_millis(since));
        let mut at = Duration::ZERO;
        for (index, (typist, number, state, wait)) in frames.into_iter().enumerate() {
            let Some(written) = trial.ledger.written(MessageKey { typist, number }) else {
                continue;
            };
            at += Duration::from_millis(wait / 10);
            let shown = step(&written, state.min(written.script.steps() - 1));
            trial.viewer.shown(at, shown, &trial.ledger, &mut trial.tally);
            if index == catch_up {
                trial.viewer.reconnected();
                trial.viewer.caught_up(at, &[], &trial.ledger, &mut trial.tally);
            }
        }
        let (covered, owed) = trial.viewer.progress(&trial.ledger.all());
        let tally = trial.finish();
        prop_assert_eq!(owed, tally.counts.expected);
        prop_assert_eq!(covered, tally.all().count());
        prop_assert_eq!(covered + tally.counts.missing, owed);
    }

    /// A server that gathers keystrokes but loses, swaps and repeats nothing has no fault.
    #[test]
    fn gathering_is_no_fault(erased in 0..=100u32, shown in prop::collection::vec(any::<bool>(), 60)) {
        let mut trial = Trial::new(erased);
        let mut dice = shown.into_iter();
        for number in 0..4 {
            let written = trial.message(0, number);
            let end = written.script.steps() - 1;
            for index in 0..=end {
                if index == end || dice.next().unwrap_or(true) {
                    trial.shows(&written, index);
                }
            }
        }
        no_fault_but(&trial.finish(), &[]);
    }
}
