//! What each story cost, a line of a file each, of which `tests/chaos/run` makes a table over all
//! rounds.

use crate::figures::Figures;
use crate::judge::{Invariant, Violation};
use std::io::Write;
use std::time::Duration;

/// One more, if a file is named.
pub fn notes(name: &str, recovery: Duration, figures: &Figures, found: &[Violation]) {
    let Some(path) = std::env::var_os("CHAOS_FIGURES") else {
        return;
    };
    let count = |invariant| found.iter().filter(|it| it.invariant == invariant).count();
    let line = format!(
        "{name}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\n",
        recovery.as_millis(),
        figures.slowest_send.as_millis(),
        figures.typing_gap.as_millis(),
        figures.acknowledged,
        count(Invariant::Lost),
        count(Invariant::Doubled),
        count(Invariant::Resurrected),
        found.len()
    );
    let file = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(&path);
    let noted = file.and_then(|mut file| file.write_all(line.as_bytes()));
    noted.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}
