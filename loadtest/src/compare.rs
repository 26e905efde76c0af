//! The sentence test on one server after the other, and one table of what it cost each.
//!
//! A run that is invalid says nothing about its server: it has no figures, and a comparison with
//! such a run in it is itself invalid.

use std::{fmt::Write, path::PathBuf};

use anyhow::{Context, ensure};
use clap::Args;
use serde_json::{Value, json};

use crate::{
    attack,
    outcome::{Outcome, ServerUse},
    peers::{Peer, Programs},
    report,
    scenario::{Options, Scenario},
    verdict::{Verdict, Worth, text},
};

/// What is compared.
#[derive(Debug, Args)]
pub struct Comparison {
    /// The servers; ratios are to the first of them
    #[arg(
        long = "with",
        value_enum,
        value_delimiter = ',',
        default_value = "ting,socket-io,socket-io-tick,socket-io-cluster,bun"
    )]
    pub peers: Vec<Peer>,
    /// Ting's binary; it stands beside this one if it is not named
    #[arg(long, value_name = "FILE")]
    pub ting: Option<PathBuf>,
    /// The folder of the other servers
    #[arg(long = "peers", value_name = "DIR")]
    pub folder: Option<PathBuf>,
    /// Of the sentence test
    #[command(flatten)]
    pub options: Options,
}

/// One server's run.
#[derive(Debug)]
pub struct Row {
    /// The server.
    pub peer: Peer,
    /// What its run found.
    pub outcome: Outcome,
    /// What its run is worth.
    pub verdict: Verdict,
}

/// The figures of a row that counts.
#[derive(Debug, Clone, Copy)]
struct Figures {
    server: ServerUse,
    p50: std::time::Duration,
    p99: std::time::Duration,
}

/// Runs the test on each server, alone; says what the comparison is worth.
pub async fn run(comparison: &Comparison) -> anyhow::Result<Worth> {
    let options = &comparison.options;
    ensure!(
        options.pids.is_empty() && options.admins.is_empty() && options.kill_owner.is_none(),
        "the servers are started by the comparison: leave out --pid, --admin and --kill-owner"
    );
    ensure!(
        options.processes == 1,
        "the comparison runs in one process: leave out --processes"
    );
    let programs = Programs::find(comparison.ting.as_deref(), comparison.folder.as_deref())?;
    programs.prepare(&comparison.peers).await?;
    let mut rows = Vec::new();
    for peer in &comparison.peers {
        let row = run_one(*peer, &programs, options).await;
        let row = row.with_context(|| peer.title().to_owned())?;
        print!("{}", report::summary(&row.outcome, &row.verdict));
        println!("\n---- {}\n", peer.title());
        rows.push(row);
    }
    print!("{}", table(&rows));
    if let Some(folder) = &options.report {
        let file = folder.join("compare.json");
        let json = serde_json::to_string_pretty(&figures(&rows))?;
        std::fs::write(&file, json).with_context(|| format!("writing {}", file.display()))?;
    }
    Ok(worth(&rows))
}

async fn run_one(peer: Peer, programs: &Programs, options: &Options) -> anyhow::Result<Row> {
    let started = peer.start(programs).await?;
    let mut options = options.clone();
    options.urls = vec![started.url.clone()];
    options.pids = started.pids.clone();
    let folder = options.report.as_ref().map(|folder| {
        let name = format!("{peer:?}").to_lowercase();
        folder.join(name)
    });
    if let Some(folder) = &folder {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("creating {}", folder.display()))?;
    }
    let plan = Scenario::Sentence.plan(&options)?;
    let outcome = attack::run(plan, &options.goose, folder.as_deref()).await?;
    let verdict = Verdict::of(&outcome);
    if let Some(folder) = &folder {
        report::write(folder, &outcome, &verdict)?;
    }
    Ok(Row {
        peer,
        outcome,
        verdict,
    })
}

/// What a comparison is worth: the worst of its runs, except that another server than ours may
/// break what is asked of ours.
fn worth(rows: &[Row]) -> Worth {
    let of_row = |row: &Row| match (row.peer, row.verdict.worth) {
        (peer, Worth::Broken) if peer != Peer::Ting => Worth::Passed,
        (_, worth) => worth,
    };
    rows.iter().map(of_row).max().unwrap_or(Worth::Error)
}

impl Row {
    fn figures(&self) -> Option<Figures> {
        let counts = matches!(self.verdict.worth, Worth::Passed | Worth::Broken);
        let all = self.outcome.tally.all();
        let server = self.outcome.servers.filter(|_| counts)?;
        Some(Figures {
            server,
            p50: all.quantile(0.5),
            p99: all.quantile(0.99),
        })
    }

    /// Why it does not count, or what it did not hold.
    fn remark(&self) -> String {
        let first = self.verdict.findings.first();
        first.map_or_else(String::new, |finding| {
            format!("{:?}: {}", finding.worth, finding.what).to_lowercase()
        })
    }
}

/// One line a server; ratios are to the first.
pub fn table(rows: &[Row]) -> String {
    let mut out = String::new();
    // Writing to a string can't fail.
    let _ = fill(&mut out, rows);
    out
}

fn fill(out: &mut String, rows: &[Row]) -> std::fmt::Result {
    let Some(first) = rows.first() else {
        return Ok(());
    };
    let outcome = &first.outcome;
    writeln!(
        out,
        "sentence, {} typists, {:.0} keys/s, {} viewers, one server after the other",
        outcome.typists,
        outcome.keys as f64 / outcome.typed_for.as_secs_f64().max(0.001),
        outcome.asked,
    )?;
    writeln!(
        out,
        "  {:<24}{:>8}{:>8}{:>14}{:>8}{:>10}{:>10}{:>14}",
        "", "cores", "ratio", "µs/delivery", "ratio", "p50", "p99", "KB/viewer"
    )?;
    let base = first.figures();
    for row in rows {
        write!(out, "  {:<24}", row.peer.title())?;
        if let Some(figures) = row.figures() {
            let server = figures.server;
            let ratio = |part: fn(&ServerUse) -> f64| {
                base.map_or_else(String::new, |base| {
                    format!("{:.1}", part(&server) / part(&base.server).max(1e-9))
                })
            };
            write!(
                out,
                "{:>8.3}{:>8}{:>14.2}{:>8}{:>10}{:>10}{:>14.1}",
                server.cores,
                ratio(|server| server.cores),
                server.micros_per_delivery,
                ratio(|server| server.micros_per_delivery),
                text(figures.p50),
                text(figures.p99),
                server.bytes_per_viewer / 1e3,
            )?;
        }
        writeln!(out, "  {}", row.remark())?;
    }
    Ok(())
}

/// The table, for machines.
fn figures(rows: &[Row]) -> Value {
    let rows = rows.iter().map(|row| {
        let figures = row.figures().map(|figures| {
            json!({
                "server": figures.server,
                "p50_ms": figures.p50.as_secs_f64() * 1e3,
                "p99_ms": figures.p99.as_secs_f64() * 1e3,
            })
        });
        json!({
            "peer": row.peer.title(),
            "verdict": row.verdict,
            "figures": figures,
        })
    });
    rows.collect()
}

#[cfg(test)]
mod tests;
