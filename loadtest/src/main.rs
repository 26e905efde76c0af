//! The command: one scenario, one run, one verdict, which is the exit code.

use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use loadtest::{
    attack, processes, report,
    scenario::{Options, Scenario},
    verdict::{Verdict, Worth},
};

/// Tests how Ting carries typing to many, and how fast.
///
/// Exit codes: 0 passed, 1 a threshold or a promise broken, 2 invalid (the generator or the
/// machine could not keep up), 3 error.
#[derive(Debug, Parser)]
#[command(version, args_override_self = true)]
struct Command {
    /// What is tested
    #[arg(value_enum)]
    scenario: Scenario,
    #[command(flatten)]
    options: Options,
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
        // One process of several leaves the verdict to the first.
        Ok(verdict) => ExitCode::from(verdict.map_or(0, |verdict| verdict.exit_code())),
        Err(error) => {
            eprintln!("loadtest: {error:#}");
            ExitCode::from(Worth::Error as u8)
        }
    }
}

async fn run(command: Command) -> anyhow::Result<Option<Verdict>> {
    let options = command.options;
    let mut plan = command.scenario.plan(&options)?;
    if options.part > 0 {
        plan.keep_part(options.part);
        processes::serve(plan).await?;
        return Ok(None);
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
    Ok(Some(verdict))
}
