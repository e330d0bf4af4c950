//! `exeat plugin list`.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;
use exeat_engine::Engine;

use crate::cli::PluginCommand;

/// Runs the command.
pub(crate) async fn run(data: &Path, command: PluginCommand) -> Result<ExitCode> {
    let PluginCommand::List { schemas, json } = command;
    let engine = Engine::open(data).await?;
    let plugins = engine.plugins().await?;
    if json {
        println!("{}", serde_json::to_string_pretty(&plugins)?);
        return Ok(ExitCode::SUCCESS);
    }
    for plugin in plugins {
        let kind = format!("{:?}", plugin.kind).to_lowercase();
        println!(
            "{:<20} {:<8} {kind:<10} {}",
            plugin.name, plugin.version, plugin.summary
        );
        println!("  {}", plugin.digest);
        if schemas {
            println!("{}", serde_json::to_string_pretty(&plugin.config_schema)?);
        }
    }
    Ok(ExitCode::SUCCESS)
}
