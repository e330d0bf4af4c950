//! `exeat plugin inspect`: what a component is.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Result, bail};
use exeat_gate::FieldSelection;
use exeat_sandbox::{PluginLimits, PluginUse};
use exeat_workbench::{Smoke, admit, run as try_out, trial_job};
use indicatif::HumanBytes;
use serde_json::{Value, json};

use super::workshop;
use crate::cli::ComponentArg;

/// Shows a component.
pub(super) fn run(arg: &ComponentArg, config: Option<&Path>, as_json: bool) -> Result<ExitCode> {
    let component = workshop::read(&workshop::file(arg)?)?;
    let sandbox = workshop::sandbox()?;
    let limits = PluginLimits::CEILING;
    let admitted = admit(&sandbox, &component, limits, None)?;
    let plugin = admitted.plugin;
    let reads = match (config, admitted.smoke) {
        (None, Smoke::Ran { reads, .. }) => Ok(reads),
        (None, Smoke::NotRun(said)) => Err(said),
        (Some(config), _) => {
            let used = PluginUse {
                plugin: plugin.clone(),
                config: workshop::config(Some(config))?.to_string(),
                limits,
            };
            match try_out(&sandbox, &trial_job(), &used, &FieldSelection::everyday(), &[]) {
                Ok(outcome) => Ok(outcome.reads),
                Err(error) => bail!("{error}"),
            }
        }
    };
    let inspection = plugin.inspection();
    let schema: Value = serde_json::from_str(plugin.config_schema()).unwrap_or_default();
    if as_json {
        let shown = json!({
            "name": plugin.name(), "version": plugin.version().to_string(), "summary": plugin.summary(),
            "component": inspection, "reads": reads.as_ref().ok(), "config_schema": schema,
        });
        println!("{}", serde_json::to_string_pretty(&shown)?);
        return Ok(ExitCode::SUCCESS);
    }
    println!("{} ({})", plugin.label(), inspection.kind.name());
    println!("  {}", plugin.summary());
    println!("digest    {}", inspection.digest);
    println!("size      {}", HumanBytes(inspection.bytes));
    println!("contract  exeat:plugin {}", inspection.contract);
    println!("imports   {}", inspection.imports.join(", "));
    println!("exports   {}", inspection.exports.join(", "));
    match reads {
        Ok(reads) if reads.is_empty() => println!("reads     nothing"),
        Ok(reads) => println!("reads     {}", reads.join(", ")),
        Err(said) => println!("reads     depends on the configuration (--config): {said}"),
    }
    println!("config    {}", serde_json::to_string_pretty(&schema)?);
    Ok(ExitCode::SUCCESS)
}
