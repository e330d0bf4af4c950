//! `exeat plugin list`.

use std::process::ExitCode;

use anyhow::Result;
use exeat_engine::Engine;

use crate::cli::Place;

/// Lists the plugins that ship, and a tenant's.
pub(super) async fn run(place: &Place, tenant: Option<&str>, schemas: bool, json: bool) -> Result<ExitCode> {
    let engine = Engine::open(place.settings()?).await?;
    let plugins = match tenant {
        None => engine.plugins().await?,
        Some(name) => {
            let tenant = engine.directory().tenant(name).await?;
            engine.plugins_of(&tenant).await?
        }
    };
    if json {
        println!("{}", serde_json::to_string_pretty(&plugins)?);
        return Ok(ExitCode::SUCCESS);
    }
    for plugin in plugins {
        let state = plugin
            .own
            .as_ref()
            .map(|own| format!(" [{}]", own.state))
            .unwrap_or_default();
        println!(
            "{:<20} {:<8} {:<10} {}{state}",
            plugin.name, plugin.version, plugin.kind, plugin.summary
        );
        println!("  {}", plugin.digest);
        if let Some(reason) = plugin.own.as_ref().and_then(|own| own.reason.as_ref()) {
            println!("  {}: {}", reason.code, reason.detail);
        }
        if schemas {
            println!("{}", serde_json::to_string_pretty(&plugin.config_schema)?);
        }
    }
    Ok(ExitCode::SUCCESS)
}
