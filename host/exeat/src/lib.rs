//! The command line: straight on the directory, without a server.
//!
//! Exit codes: 0 done; 1 failed; 2 wrong usage; 3 done, but some lines of an import were
//! rejected; 4 a component is not admitted; 5 a golden case came out otherwise; 130 interrupted.

mod cli;
mod commands;
mod failure;
mod kits;

use std::io::IsTerminal as _;
use std::process::ExitCode;
use std::time::Duration;

use clap::{CommandFactory as _, FromArgMatches as _};
use exeat_sandbox::compiler;
use tracing_subscriber::EnvFilter;

use cli::Cli;

/// How long threads that block may hold up the end of a command.
const LAST_MOMENT: Duration = Duration::from_secs(1);

/// Parses the command line and runs the command.
pub fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    if args.next().as_deref() == Some(compiler::COMMAND) {
        return compiler::main(args);
    }
    let matches = Cli::command().get_matches();
    let cli = match Cli::from_arg_matches(&matches) {
        Ok(cli) => cli,
        Err(error) => error.exit(),
    };
    let filter = EnvFilter::try_from_env("EXEAT_LOG").unwrap_or_else(|_| EnvFilter::new("warn,exeat=info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_target(false)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .init();
    let ran = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(anyhow::Error::from)
        .and_then(|runtime| {
            let ran = runtime.block_on(commands::run(cli, &matches));
            // What still blocks, such as a read from a server that says nothing, is nobody's any more.
            runtime.shutdown_timeout(LAST_MOMENT);
            ran
        });
    match ran {
        Ok(code) => code,
        Err(error) => failure::report(&error),
    }
}
