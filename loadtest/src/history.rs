//! What is left of it all: each acknowledged message is in the history once, in its place.

use std::{collections::HashMap, sync::Arc};

use serde::Serialize;

use crate::{
    http::{HistoryMessage, Http, SignIn, Target},
    ledger::Written,
    script::{Ending, Label, MessageKey},
};

/// Rows of one page.
const PAGE: u32 = 1_000;

/// No run writes more pages than this; a server that never says "no more" must not hold us.
const PAGES_MAX: usize = 2_000;

/// What the histories say.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Kept {
    /// Messages whose send was acknowledged.
    pub acknowledged: u64,
    /// Of these, found once, with their text, in their place.
    pub kept: u64,
    /// Acknowledged and not found.
    pub lost: u64,
    /// Found more than once.
    pub doubled: u64,
    /// Found under another id than the one that was answered, or not in the order of ids.
    pub misplaced: u64,
    /// Found with another text or author.
    pub altered: u64,
    /// Erased or given up, and found as sent.
    pub returned: u64,
    /// Ended, and found as still being typed.
    pub left_over: u64,
    /// Sends without an answer that are there, which is allowed.
    pub unacknowledged: u64,
    /// A few of what is wrong, in words.
    pub examples: Vec<String>,
}

/// How many examples are kept.
const EXAMPLES_MAX: usize = 10;

/// Reads all of a history, newest first.
pub async fn read(http: &Http, who: &SignIn, of: &Target) -> anyhow::Result<Vec<HistoryMessage>> {
    let mut rows: Vec<HistoryMessage> = Vec::new();
    for _ in 0..PAGES_MAX {
        let before = rows.last().map(|row| row.id);
        let (page, more) = http.history(who, of, PAGE, before).await?;
        let empty = page.is_empty();
        rows.extend(page);
        if empty || !more {
            return Ok(rows);
        }
    }
    anyhow::bail!("the history of {of:?} does not end")
}

impl Kept {
    /// Holds one conversation's history against what was typed there.
    pub fn check(&mut self, rows: &[HistoryMessage], written: &[Arc<Written>], run: u32) {
        if !rows.is_sorted_by(|newer, older| newer.id > older.id) {
            self.misplaced += 1;
            self.note(|| "the history is not in the order of ids".to_owned());
        }
        let mut found: HashMap<MessageKey, Vec<&HistoryMessage>> = HashMap::new();
        for row in rows {
            if let Some(label) = Label::read(&row.text).filter(|label| label.run == run) {
                found.entry(label.key).or_default().push(row);
            }
        }
        for written in written {
            let rows = found.remove(&written.script.key).unwrap_or_default();
            self.check_one(written, &rows);
        }
        for (key, _) in found {
            self.altered += 1;
            self.note(|| format!("{key:?} is in the history, and nobody typed it there"));
        }
    }

    fn check_one(&mut self, written: &Written, rows: &[&HistoryMessage]) {
        let key = written.script.key;
        let acknowledged = written.acknowledged();
        self.acknowledged += u64::from(acknowledged);
        if rows.len() > 1 {
            self.doubled += 1;
            return self.note(|| format!("{key:?} is there {} times", rows.len()));
        }
        let Some(row) = rows.first() else {
            if acknowledged {
                self.lost += 1;
                self.note(|| format!("{key:?} was acknowledged and is not there"));
            }
            return;
        };
        if row.typing {
            // One whose typist gave up may still be open; one that ended may not.
            if written.confirmed() == written.script.steps() {
                self.left_over += 1;
                self.note(|| format!("{key:?} has ended and is still being typed"));
            }
            return;
        }
        if written.script.ending == Ending::Erased || !written.end_offered() {
            self.returned += 1;
            return self.note(|| format!("{key:?} was not sent and is there"));
        }
        if row.text != written.script.text() || row.username != written.username {
            self.altered += 1;
            return self.note(|| format!("{key:?} is there as {:?}", row.text));
        }
        if written.id() != Some(row.id) {
            self.misplaced += 1;
            return self.note(|| format!("{key:?} is {:?} and there as {}", written.id(), row.id));
        }
        if acknowledged {
            self.kept += 1;
        } else {
            self.unacknowledged += 1;
        }
    }

    fn note(&mut self, describe: impl FnOnce() -> String) {
        if self.examples.len() < EXAMPLES_MAX {
            self.examples.push(describe());
        }
    }

    /// How many things are wrong.
    pub fn wrong(&self) -> u64 {
        self.lost + self.doubled + self.misplaced + self.altered + self.returned + self.left_over
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        ledger::{Author, Ledger},
        script::Rhythm,
    };

    const RUN: u32 = 7;

    fn written(erased_percent: u32) -> Vec<Arc<Written>> {
        let rhythm = Rhythm {
            erased_percent,
            ..Rhythm::default()
        };
        let author = Author {
            username: "ada".to_owned(),
            conversation: 0,
        };
        let ledger = Ledger::new(RUN, rhythm, Duration::from_secs(60), vec![author]);
        let message = |number| {
            let written = ledger.written(MessageKey { typist: 0, number }).unwrap();
            written.offer(written.script.steps());
            written.confirm(written.script.steps());
            ledger.identify(u64::from(number) + 10, &written);
            written
        };
        (0..3).map(message).collect()
    }

    fn rows(written: &[Arc<Written>]) -> Vec<HistoryMessage> {
        let row = |written: &Arc<Written>| HistoryMessage {
            id: written.id().unwrap(),
            text: written.script.text().to_owned(),
            username: written.username.clone(),
            datetime_start: 1,
            datetime_sent: Some(2),
            typing: false,
        };
        written.iter().rev().map(row).collect()
    }

    fn check(change: impl FnOnce(&mut Vec<HistoryMessage>)) -> Kept {
        let written = written(0);
        let mut rows = rows(&written);
        change(&mut rows);
        let mut kept = Kept::default();
        kept.check(&rows, &written, RUN);
        kept
    }

    #[test]
    fn what_is_there_once_in_its_place_is_kept() {
        let kept = check(|_| {});
        assert_eq!((kept.acknowledged, kept.kept, kept.wrong()), (3, 3, 0));
    }

    #[test]
    fn each_wrong_has_its_name() {
        assert_eq!(check(|rows| drop(rows.remove(1))).lost, 1);
        assert_eq!(check(|rows| rows.insert(0, rows[0].clone())).doubled, 1);
        assert_eq!(check(|rows| rows[2].id = 5).misplaced, 1);
        assert_eq!(check(|rows| rows.swap(0, 1)).misplaced, 1);
        assert_eq!(check(|rows| rows[0].text.push('x')).altered, 1);
        assert_eq!(check(|rows| rows[0].typing = true).left_over, 1);
        assert_eq!(check(|rows| rows[0].username = "eve".to_owned()).altered, 1);
    }

    #[test]
    fn an_erased_message_has_no_row() {
        let written = written(100);
        let mut kept = Kept::default();
        kept.check(&[], &written, RUN);
        assert_eq!((kept.wrong(), kept.acknowledged), (0, 0));
        kept.check(&rows(&written), &written, RUN);
        assert_eq!(kept.returned, 3);
    }
}
