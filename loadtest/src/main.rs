//! The command: one scenario, one run, one verdict, which is the exit code.

use std::process::ExitCode;

use anyhow::Context;
use clap::{Parser, Subcommand};
use loadtest::{
    attack,
    compare::{self, Comparison},
    processes, report,
    scenario::{Options, Scenario},
    verdict::{Verdict, Worth},
};

/// Tests how Ting carries typing to many, and how fast.
///
/// Exit codes: 0 passed, 1 a threshold or a promise broken, 2 invalid (the generator or the
/// machine could not keep up), 3 error.
#[derive(Debug, Parser)]
#[command(version, args_override_self = true, subcommand_negates_reqs = true)]
struct Command {
    #[command(subcommand)]
    instead: Option<Instead>,
    /// What is tested
    #[arg(value_enum, required = true)]
    scenario: Option<Scenario>,
    #[command(flatten)]
    options: Options,
}

#[derive(Debug, Subcommand)]
enum Instead {
    /// Runs the sentence test on Ting and on other servers, and prints one table
    #[command(args_override_self = true)]
    Compare(Box<Comparison>),
}

#[tokio::main]
async fn main() -> ExitCode {
    // A wrong option is an error of the run, and not an invalid run, which is clap's 2.
    let command = match Command::try_parse() {
        Ok(command) => command,
        Err(error) => {
            // Nothing can be done about a closed terminal.
            let _ = error.print();
            let code = if error.use_stderr() {
                Worth::Error as u8
            } else {
                0
            };
            return ExitCode::from(code);
        }
    };
    match run(command).await {
        Ok(worth) => ExitCode::from(worth as u8),
        Err(error) => {
            eprintln!("loadtest: {error:#}");
            ExitCode::from(Worth::Error as u8)
        }
    }
}

async fn run(command: Command) -> anyhow::Result<Worth> {
    if let Some(Instead::Compare(comparison)) = &command.instead {
        return compare::run(comparison).await;
    }
    let options = command.options;
    let scenario = command.scenario.context("what is tested")?;
    let mut plan = scenario.plan(&options)?;
    if options.part > 0 {
        plan.keep_part(options.part);
        processes::serve(plan).await?;
        // One process of several leaves the verdict to the first.
        return Ok(Worth::Passed);
    }
    if let Some(folder) = &options.report {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("creating {}", folder.display()))?;
    }
    let outcome = attack::run(plan, &options.goose, options.report.as_deref()).await?;
    let verdict = Verdict::of(&outcome);
    print!("{}", report::summary(&outcome, &verdict));
    if let Some(folder) = &options.report {
        report::write(folder, &outcome, &verdict)?;
    }
    Ok(verdict.worth)
}
