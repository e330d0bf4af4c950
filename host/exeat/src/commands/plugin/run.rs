//! `exeat plugin run`: a component on users in a file.

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use exeat_sandbox::{PluginKind, PluginLimits, PluginUse};
use exeat_workbench::{fields_of, run as try_out, trial_job};

use super::workshop;
use crate::cli::RunArgs;

/// Runs it, and prints what comes out.
pub(super) fn run(args: &RunArgs) -> Result<ExitCode> {
    let sandbox = workshop::sandbox()?;
    let plugin = workshop::load(&sandbox, &workshop::read(&workshop::file(&args.component)?)?)?;
    let used = PluginUse {
        plugin: plugin.clone(),
        config: workshop::config(args.config.as_deref())?.to_string(),
        limits: PluginLimits::default(),
    };
    let rows = workshop::users(&args.input)?;
    let selection = fields_of(&rows, std::iter::empty())?;
    let outcome = try_out(&sandbox, &trial_job(), &used, &selection, &rows)?;
    let mut out = std::io::stdout().lock();
    for row in &outcome.rows {
        writeln!(out, "{row}")?;
    }
    match (&args.adapter_output, plugin.kind()) {
        (Some(folder), _) => {
            std::fs::create_dir_all(folder)?;
            for (name, bytes) in &outcome.files {
                // The sandbox has seen to it that a name is one plain segment.
                let path = folder.join(name);
                std::fs::write(&path, bytes)
                    .with_context(|| format!("{} cannot be written", path.display()))?;
                eprintln!("{}: {} bytes", path.display(), bytes.len());
            }
        }
        (None, PluginKind::Adapter) => {
            let [(_, bytes)] = outcome.files.as_slice() else {
                bail!(
                    "the adapter writes {} files; --adapter-output names a folder for them",
                    outcome.files.len()
                );
            };
            out.write_all(bytes)?;
        }
        (None, PluginKind::Transform) => {}
    }
    for line in &outcome.log {
        eprintln!("[{}] {}", line.level.name(), line.text);
    }
    for reject in &outcome.rejects {
        let field = reject.field.as_deref().unwrap_or("-");
        eprintln!(
            "row {} rejected for {field}: {} ({})",
            reject.row, reject.message, reject.code
        );
    }
    for loss in &outcome.losses {
        eprintln!("{} rows lost their {}: {}", loss.rows, loss.field, loss.reason);
    }
    let figures = &outcome.figures;
    eprintln!(
        "{} rows in, {} dropped, {} rejected; {:.0} ns a row",
        rows.len(),
        outcome.dropped,
        outcome.rejected,
        figures.ns_per_row().unwrap_or_default()
    );
    Ok(ExitCode::SUCCESS)
}
