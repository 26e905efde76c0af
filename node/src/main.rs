//! Ting's one binary: serves, migrates, checks.
//!
//! It ends with 0 when all went well, 1 when something failed, 2 when the settings are no good.

mod admin;
mod again;
mod app;
mod client_address;
mod cluster_status;
mod config;
mod copy;
mod descriptors;
mod destination;
mod http;
mod lifecycle;
mod listener;
mod origin;
mod passwords;
mod refusal;
mod serve;
mod signals;
mod sockets;
mod store;
mod telemetry;

use anyhow::Context;
use clap::{Parser, Subcommand};
use config::{Settings, SettingsError};
use serve::Served;
use std::path::PathBuf;
use std::process::ExitCode;
use telemetry::Telemetry;
use tracing::error;

/// glibc keeps what many small actors gave back; this one does not.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Everyone in a conversation reads every message while it is typed.
#[derive(Debug, Parser)]
#[command(name = "ting", version)]
struct Arguments {
    /// Settings as TOML; TING_<SECTION>__<KEY> in the environment overrides any of them.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,

    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Clone, Subcommand)]
enum Command {
    /// Serves until told to go: what `ting` alone does
    Serve,
    /// Brings the store to this version's schema, or copies another store into it
    Migrate {
        /// Copies this store, which no ting may be using; the same again goes on with it
        #[arg(long, value_name = "embedded:PATH", requires = "to", value_parser = copy::source)]
        from: Option<PathBuf>,
        /// To where: the store of the settings, empty
        #[arg(long, requires = "from")]
        to: Option<copy::Target>,
    },
    /// Looks at the settings and the store, and changes nothing
    Check,
    /// Asks the running node that the settings name about its cluster
    Cluster {
        #[command(subcommand)]
        command: ClusterCommand,
    },
}

#[derive(Debug, Clone, Copy, Subcommand)]
enum ClusterCommand {
    /// Shows its members, links and shares
    Status,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failed) => {
            eprintln!("ting: {failed:#}");
            if failed.is::<SettingsError>() {
                ExitCode::from(2)
            } else {
                ExitCode::FAILURE
            }
        }
    }
}

fn run(arguments: Arguments) -> anyhow::Result<()> {
    let settings = Settings::load(arguments.config.as_deref(), std::env::vars_os())?;
    match arguments.command.unwrap_or(Command::Serve) {
        Command::Serve => serve(settings),
        Command::Migrate { from, .. } => {
            let said = runtime()?.block_on(async {
                match from {
                    Some(from) => copy::copy(&from, &settings.store).await,
                    None => store::migrate(&settings.store).await,
                }
            });
            println!("{}", said?);
            Ok(())
        }
        Command::Check => {
            serve::tls(&settings)?;
            println!("{}", runtime()?.block_on(store::check(&settings.store))?);
            println!("the settings are good");
            Ok(())
        }
        Command::Cluster {
            command: ClusterCommand::Status,
        } => {
            print!("{}", cluster_status::of(settings.admin)?);
            Ok(())
        }
    }
}

fn serve(settings: Settings) -> anyhow::Result<()> {
    let telemetry = Telemetry::start(&settings.log, settings.otel.as_ref())?;
    descriptors::allow(settings.limits.connections.connections);
    let runtime = runtime()?;
    let again = again::Again::of_environment();
    let metrics = telemetry.metrics.clone();
    let served = runtime.block_on(serve::serve(settings, metrics, again.pause()));
    if let Err(failed) = &served {
        error!(error = format!("{failed:#}"), "ended");
    }
    // What still runs is not waited for: all that had to be finished is.
    runtime.shutdown_background();
    telemetry.stop();
    match served? {
        Served::Ended => Ok(()),
        Served::PutOut { listening, up } => again.start(&listening, up),
    }
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("can't start threads")
}
