//! One file a command.

mod audit;
mod client;
mod demo;
mod export;
mod fields;
mod house;
mod jobs;
mod link_key;
mod plugin;
mod remote_export;
mod serve;
mod source;
mod tenant;
mod token;
mod users;
mod work;

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::{ArgMatches, CommandFactory as _};

use crate::cli::{Cli, Command};

/// Runs the command.
pub(crate) async fn run(cli: Cli, matches: &ArgMatches) -> Result<ExitCode> {
    let place = &cli.place;
    match cli.command {
        Command::Export(args) => {
            let given = matches
                .subcommand_matches("export")
                .map(export::PluginOrder::of)
                .unwrap_or_default();
            export::run(place, *args, given).await
        }
        Command::Serve(args) => serve::run(place, args).await,
        Command::Work(args) => work::run(place, args).await,
        Command::Jobs(command) => jobs::run(place, command).await,
        Command::Demo(args) => demo::run(place, args).await,
        Command::Users(command) => users::run(place, command).await,
        Command::Tenant(command) => tenant::run(place, command).await,
        Command::Source(command) => source::run(place, command).await,
        Command::Token(command) => token::run(place, command).await,
        Command::LinkKey(command) => link_key::run(place, command).await,
        Command::Plugin(command) => plugin::run(place, *command).await,
        Command::Audit(command) => audit::run(place, command).await,
        Command::Completions { shell } => {
            // Put together first: a pipe that closes early is an error here, and a panic there.
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "exeat", &mut script);
            std::io::stdout().write_all(&script)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Openapi => {
            let mut document = serde_json::to_vec_pretty(&exeat_api::document())?;
            document.push(b'\n');
            std::io::stdout().write_all(&document)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Fields { json } => fields::run(json),
    }
}

/// Reads a JSON file, such as a plugin's configuration.
fn read_json(file: &Path) -> Result<serde_json::Value> {
    let text = std::fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} is not JSON", file.display()))
}

/// Who the person at the command line is, for the audit trail.
fn actor() -> String {
    let user = std::env::var("USER")
        .or_else(|_| std::env::var("LOGNAME"))
        .unwrap_or_else(|_| "unknown".to_owned());
    format!("command:{user}")
}

/// Waits until the person or the system wants the command to end.
async fn interrupted() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
            return;
        }
    }
    // Without signals there is nothing to wait for but the end of the process.
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}
