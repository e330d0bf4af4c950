//! `exeat plugin`: one file for each of its words.

mod bench;
mod build;
mod check;
mod inspect;
mod limits;
mod list;
mod manage;
mod new;
mod paint;
mod project;
mod push;
mod run;
mod test;
mod version;
mod workshop;

use std::process::ExitCode;

use anyhow::Result;

use crate::cli::{Place, PluginCommand};

/// Runs the command.
pub(crate) async fn run(place: &Place, command: PluginCommand) -> Result<ExitCode> {
    match command {
        PluginCommand::New { name, kind, lang } => new::run(&name, kind, lang),
        PluginCommand::Build { project } => build::run(&project),
        PluginCommand::Check { component, json } => check::run(&component, json),
        PluginCommand::Test {
            project,
            component,
            cases,
            bless,
        } => test::run(&project, component, cases, bless),
        PluginCommand::Run(args) => run::run(&args),
        PluginCommand::Bench(args) => bench::run(&args),
        PluginCommand::Inspect {
            component,
            config,
            json,
        } => inspect::run(&component, config.as_deref(), json),
        PluginCommand::Push { component, house } => push::run(place, &component, &house).await,
        PluginCommand::List { house, schemas, json } => list::run(place, &house, schemas, json).await,
        PluginCommand::Logs {
            version,
            house,
            limit,
            json,
        } => manage::logs(place, &version, &house, limit, json).await,
        PluginCommand::Metrics { version, house } => manage::metrics(place, &version, &house).await,
        PluginCommand::Enable { version, house } => manage::enable(place, &version, &house).await,
        PluginCommand::Disable { version, house } => manage::disable(place, &version, &house).await,
        PluginCommand::Delete { version, house } => manage::delete(place, &version, &house).await,
        PluginCommand::Limits {
            tenant,
            plugin,
            set,
            reset,
        } => limits::run(place, &tenant, plugin.as_deref().unwrap_or_default(), &set, reset).await,
    }
}
