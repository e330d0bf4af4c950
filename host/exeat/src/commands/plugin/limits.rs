//! `exeat plugin limits`: shows or sets the limits of a tenant's plugins.

use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use exeat_engine::Engine;

use crate::cli::Place;
use exeat_sandbox::LimitSettings;
use serde_json::Value;

use super::super::actor;

/// Shows the limits that hold, after setting some if there is something to set.
pub(super) async fn run(
    place: &Place,
    tenant: &str,
    plugin: &str,
    set: &[String],
    reset: bool,
) -> Result<ExitCode> {
    let engine = Engine::open(place.settings()?).await?;
    let tenant = engine.directory().tenant(tenant).await?;
    let limits = if set.is_empty() && !reset {
        engine.plugin_limits(&tenant, plugin).await?
    } else {
        let kept = if reset {
            LimitSettings::default()
        } else {
            engine.own_plugin_limits(&tenant, plugin).await?
        };
        let settings = merged(&kept, set)?;
        let something = (settings != LimitSettings::default()).then_some(&settings);
        engine
            .set_plugin_limits(&tenant, &actor(), plugin, something)
            .await?
    };
    println!("{}", serde_json::to_string_pretty(&limits.settings())?);
    Ok(ExitCode::SUCCESS)
}

fn merged(kept: &LimitSettings, set: &[String]) -> Result<LimitSettings> {
    let mut json = serde_json::to_value(kept)?;
    for pair in set {
        let number = pair
            .split_once('=')
            .and_then(|(name, value)| Some((name, value.parse::<u64>().ok()?)));
        let Some((name, value)) = number else {
            bail!("a limit is written LIMIT=NUMBER, such as memory_bytes=134217728, not {pair}");
        };
        json[name] = Value::from(value);
    }
    serde_json::from_value(json).context("there is no such limit")
}
