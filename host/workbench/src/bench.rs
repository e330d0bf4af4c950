//! What a plugin costs: time and instructions a row, memory, the share of crossing the wall.

use std::time::{Duration, Instant};

use exeat_gate::{FieldSelection, Gate, ReleasedBatch, catalog};
use exeat_sandbox::{Figures, PluginUse, Sandbox};
use serde::Serialize;
use serde_json::Value;

use crate::admit::smoke_rows;
use crate::rows::{JsonRow, raw_batch};
use crate::trial::{BATCH_ROWS, TrialError, open_alone, trial_job};

/// What a plugin costs. Times are medians of the rounds, without compiling and opening.
#[derive(Clone, Debug, Serialize)]
pub struct Measured {
    /// Rows of a round.
    pub rows: u64,
    /// Rounds.
    pub rounds: u32,
    /// Nanoseconds of a row, with lowering, the guest, and checking what it hands back.
    pub ns_per_row: f64,
    /// Rows of a second.
    pub rows_per_second: f64,
    /// The part of the time that was spent outside the guest: crossing the wall and checking.
    pub crossing_share: f64,
    /// Instructions of a row (wasmtime's fuel), where they were counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fuel_per_row: Option<f64>,
    /// Most memory that an instance had.
    pub peak_memory_bytes: u64,
    /// Bytes that a row put out.
    pub bytes_out_per_row: f64,
    /// Longest batch, of [`BATCH_ROWS`] rows.
    pub longest_batch_ms: f64,
    /// From nothing to an open plugin, code loaded.
    pub open_us: f64,
}

/// Rows for a bench: those given, or made-up ones, repeated until there are `count`, each with an
/// id and an e-mail address of its own.
pub fn bench_rows(given: Vec<JsonRow>, count: usize) -> Vec<JsonRow> {
    let given = if given.is_empty() { smoke_rows() } else { given };
    let numbered = given
        .into_iter()
        .cycle()
        .take(count)
        .enumerate()
        .map(|(index, mut row)| {
            for (name, text) in [
                ("user_id", format!("usr_{index:010}")),
                ("email", format!("u{index}@example.com")),
            ] {
                if row.get(name).is_some_and(|value| !value.is_null()) {
                    row.insert(name.to_owned(), Value::from(text));
                }
            }
            row
        });
    numbered.collect()
}

/// Measures a plugin: `rounds` times over all rows, each in a session of its own.
///
/// # Errors
/// Rows that cannot be, a configuration that the plugin refuses, a plugin that fails.
pub fn bench(
    sandbox: &Sandbox,
    used: &PluginUse,
    selection: &FieldSelection,
    rows: &[JsonRow],
    rounds: u32,
) -> Result<Measured, TrialError> {
    let mut ns = Vec::new();
    let mut all = Figures::default();
    let mut opening = Duration::MAX;
    for _ in 0..rounds {
        let (figures, opened_in) = round(sandbox, used, selection, rows)?;
        ns.push(figures.batch_ns as f64 / figures.rows_in.max(1) as f64);
        opening = opening.min(opened_in);
        all.absorb(&figures);
    }
    ns.sort_by(f64::total_cmp);
    let ns_per_row = ns.get(ns.len() / 2).copied().unwrap_or_default();
    let rows_in = all.rows_in.max(1) as f64;
    Ok(Measured {
        rows: rows.len() as u64,
        rounds,
        ns_per_row,
        rows_per_second: 1e9 / ns_per_row.max(f64::MIN_POSITIVE),
        crossing_share: 1.0 - all.inside_ns.min(all.batch_ns) as f64 / all.batch_ns.max(1) as f64,
        fuel_per_row: all.fuel_per_row(),
        peak_memory_bytes: all.peak_memory_bytes,
        bytes_out_per_row: all.bytes_out as f64 / rows_in,
        longest_batch_ms: all.batch_times.percentile(1.0).unwrap_or_default().as_secs_f64() * 1_000.0,
        open_us: opening.as_secs_f64() * 1e6,
    })
}

fn round(
    sandbox: &Sandbox,
    used: &PluginUse,
    selection: &FieldSelection,
    rows: &[JsonRow],
) -> Result<(Figures, Duration), TrialError> {
    let begun = Instant::now();
    let mut chain = open_alone(sandbox, &trial_job(), used, selection)?;
    let opened_in = begun.elapsed();
    let recorders = chain.recorders();
    // What opening cost is no part of a row's cost.
    recorders.iter().for_each(|recorder| drop(recorder.take()));
    let needs: Vec<_> = chain
        .needs()
        .iter()
        .filter_map(|column| catalog().field(&column.name))
        .collect();
    let gate = Gate::new(needs.clone(), false);
    let released: Vec<ReleasedBatch> = rows
        .chunks(BATCH_ROWS)
        .map(|batch| Ok(gate.release(raw_batch(&needs, batch)?)?))
        .collect::<Result<_, TrialError>>()?;
    let mut adapter = chain.take_adapter();
    let mut sequence = 0;
    for batch in released {
        let shaped = chain.process(batch)?;
        sequence = shaped.sequence + 1;
        if let Some(adapter) = &mut adapter {
            adapter.process(shaped.sequence, &shaped.batch)?;
        }
    }
    if let Some(adapter) = &mut adapter {
        adapter.finish(sequence)?;
    }
    let mut figures = Figures::default();
    recorders
        .iter()
        .for_each(|recorder| figures.absorb(&recorder.take().figures));
    Ok((figures, opened_in))
}
