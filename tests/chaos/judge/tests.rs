use super::*;
use serde_json::json;

/// Two messages, sent, shown on two screens and in the history.
fn clean() -> (Log, History) {
    let began = Instant::now();
    let mut log = Log::default();
    for (id, text) in [(7, "one"), (9, "two")] {
        let at = began + Duration::from_secs(id);
        log.sends.push(Send {
            text: text.to_owned(),
            asked: at,
            acknowledged: Some((at, id, 0)),
            reserved: Some(id),
        });
    }
    for who in ["ada", "bob"] {
        let mut screen = Screen {
            who: who.to_owned(),
            ..Screen::default()
        };
        screen.shows_ghost(7, "on");
        screen.shows_sent(began + Duration::from_secs(8), 7, "one", true);
        screen.shows_sent(began + Duration::from_secs(10), 9, "two", true);
        log.screens.push(screen);
    }
    let message = |id: u64, text: &str| json!({ "id": id, "text": text, "typing": false });
    (log, vec![message(9, "two"), message(7, "one")])
}

#[track_caller]
fn is_found(plant: impl FnOnce(&mut Log, &mut History), said: &str) {
    let (mut log, mut history) = clean();
    plant(&mut log, &mut history);
    let found = violations(&log, &[history]);
    assert!(
        found.iter().any(|found| found.contains(said)),
        "{said:?} is not in {found:?}"
    );
}

#[test]
fn a_clean_log_contradicts_nothing() {
    let (log, history) = clean();
    assert_eq!(violations(&log, &[history.clone(), history]), [""; 0]);
}

#[test]
fn what_is_wrong_in_a_history_is_found() {
    is_found(|_, history| drop(history.remove(0)), "is lost");
    is_found(|_, history| history[0]["text"] = "too".into(), "is lost");
    is_found(|_, history| history[0]["id"] = 11.into(), "is at 11");
    is_found(
        |_, history| history.insert(0, json!({"id": 11, "text": "two", "typing": false})),
        "is there at [11, 9]",
    );
    is_found(|_, history| history.reverse(), "not in the order");
    is_found(
        |_, history| history[0]["text"] = "too".into(),
        "\"too\" was never sent",
    );
    is_found(
        |log, _| (log.sends[0].acknowledged, log.sends[0].reserved) = (None, Some(6)),
        "reserved Some(6)",
    );
}

#[test]
fn what_is_wrong_on_a_screen_is_found() {
    is_found(
        |log, _| drop(log.screens[1].sent.remove(&9)),
        "bob: 9 \"two\" was never shown",
    );
    let now = Instant::now();
    is_found(
        |log, _| log.screens[1].shows_sent(now, 9, "two", true),
        "was shown twice",
    );
    is_found(
        |log, _| log.screens[1].shows_sent(now, 9, "too", false),
        "and then \"too\"",
    );
    is_found(
        |log, _| log.screens[1].shows_sent(now, 8, "eight", true),
        "never was",
    );
    is_found(
        |log, _| log.screens[1].shows_ghost(9, "tw"),
        "is typed again",
    );
    is_found(
        |log, _| log.screens[1].shows_ghost(8, "tw"),
        "as typed at the end",
    );
    is_found(|log, _| log.screens[1].erases(9), "is erased");
}

#[test]
fn what_the_history_showed_before_is_no_second_time() {
    let (mut log, history) = clean();
    log.screens[0].closes();
    let now = Instant::now();
    log.screens[0].shows_sent(now, 9, "two", false);
    log.screens[0].shows_sent(now, 9, "two", true);
    assert_eq!(violations(&log, &[history]), [""; 0]);
    log.screens[0].shows_sent(now, 9, "two", true);
    assert_eq!(log.screens[0].wrong.len(), 1);
}

#[test]
fn what_comes_late_is_excused_by_a_fault_alone() {
    let (mut log, history) = clean();
    let late = log.sends[1].asked + Duration::from_secs(12);
    log.screens[0].sent.insert(9, (late, "two".to_owned()));
    let found = violations(&log, std::slice::from_ref(&history));
    assert_eq!(found, ["ada: 9 \"two\" was shown 12s late"]);
    log.edges
        .push(("a fault".to_owned(), late - Duration::from_secs(21)));
    assert_eq!(violations(&log, std::slice::from_ref(&history)), found);
    log.edges
        .push(("its end".to_owned(), late - Duration::from_secs(3)));
    assert_eq!(violations(&log, &[history]), [""; 0]);
    let agreed = Figures::of(&log).agreed;
    assert_eq!(agreed[1], ("its end".to_owned(), Duration::from_secs(3)));
}
