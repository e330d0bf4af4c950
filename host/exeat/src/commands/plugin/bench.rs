//! `exeat plugin bench`: what a component costs.

use std::process::ExitCode;
use std::time::Instant;

use anyhow::Result;
use exeat_gate::FieldSelection;
use exeat_sandbox::{Plugin, PluginLimits, PluginUse};
use exeat_workbench::{bench, bench_rows};
use indicatif::{HumanBytes, HumanCount};

use super::{paint, workshop};
use crate::cli::BenchArgs;

/// Rows of a full batch, whose time has a limit.
const BATCH_ROWS: f64 = exeat_workbench::BATCH_ROWS as f64;

/// Measures it.
pub(super) fn run(args: &BenchArgs) -> Result<ExitCode> {
    let sandbox = workshop::sandbox()?;
    let component = workshop::read(&workshop::file(&args.component)?)?;
    let limits = PluginLimits::default();
    let compiling = Instant::now();
    let plugin = workshop::load(&sandbox, &component)?;
    let compiled_ms = plugin
        .compiled_in()
        .map(|_| compiling.elapsed().as_secs_f64() * 1e3);
    let given = args
        .input
        .as_deref()
        .map(workshop::users)
        .transpose()?
        .unwrap_or_default();
    let rows = bench_rows(given, args.rows);
    let selection = FieldSelection::everyday();
    let config = workshop::config(args.config.as_deref())?.to_string();
    let used = |plugin: Plugin| PluginUse {
        plugin,
        config: config.clone(),
        limits,
    };
    let mut measured = bench(&sandbox, &used(plugin.clone()), &selection, &rows, args.rounds)?;
    if !args.no_fuel {
        let metered = sandbox.metered()?;
        let plugin = workshop::load(&metered, &component)?;
        measured.fuel_per_row = bench(&metered, &used(plugin), &selection, &rows, 1)?.fuel_per_row;
    }
    if args.json {
        println!("{}", serde_json::to_string_pretty(&measured)?);
        return Ok(ExitCode::SUCCESS);
    }
    println!(
        "{}, {} rows, median of {} rounds",
        plugin.label(),
        HumanCount(measured.rows),
        measured.rounds
    );
    let batch_share = measured.ns_per_row * BATCH_ROWS / limits.call_deadline.as_nanos() as f64;
    println!(
        "  time        {}",
        paint::near(format!("{:.0} ns/row", measured.ns_per_row), batch_share)
    );
    println!("  rows        {}/s", HumanCount(measured.rows_per_second as u64));
    println!(
        "  crossing    {:.0} % of the time is outside the guest",
        measured.crossing_share * 100.0
    );
    if let Some(fuel) = measured.fuel_per_row {
        println!("  fuel        {fuel:.0} instructions/row");
    }
    let memory_share = measured.peak_memory_bytes as f64 / limits.memory_bytes as f64;
    let memory = format!(
        "{} of {}",
        HumanBytes(measured.peak_memory_bytes),
        HumanBytes(limits.memory_bytes as u64)
    );
    println!("  memory      {}", paint::near(memory, memory_share));
    println!("  output      {:.0} bytes/row", measured.bytes_out_per_row);
    println!(
        "  batch       at most {:.1} ms of {} ms",
        measured.longest_batch_ms,
        limits.call_deadline.as_millis()
    );
    println!("  open        {:.0} µs", measured.open_us);
    match compiled_ms {
        Some(ms) => println!("  compile     {ms:.0} ms"),
        None => println!("  compile     from the cache"),
    }
    Ok(ExitCode::SUCCESS)
}
