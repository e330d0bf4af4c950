//! A plugin on a few rows, in the real sandbox, through the real gate.

use exeat_gate::{Field, FieldSelection, Gate, GateError, catalog};
use exeat_sandbox::{
    Chain, ChainError, Chunk, EncodedBatch, Figures, JobContext, KeyMaterial, LogLine, Loss, OfferedColumn,
    PluginFailure, PluginKind, PluginUse, Reject, Sandbox,
};
use serde_json::Value;
use thiserror::Error;

use crate::rows::{JsonRow, RowsError, raw_batch};
use crate::values::rows_of;

/// Rows of one batch: what a job uses.
pub const BATCH_ROWS: usize = 2_048;

/// The rows could not be tried.
#[derive(Debug, Error)]
pub enum TrialError {
    /// The rows are not what they should be.
    #[error(transparent)]
    Rows(#[from] RowsError),
    /// The gate could not release them. A host fault.
    #[error(transparent)]
    Gate(#[from] GateError),
    /// The plugin could not be opened.
    #[error(transparent)]
    Open(#[from] ChainError),
    /// The plugin failed on a batch.
    #[error(transparent)]
    Plugin(#[from] PluginFailure),
}

/// What a plugin made of rows.
#[derive(Debug, Default)]
pub struct Outcome {
    /// The rows that a transform left, as JSON.
    pub rows: Vec<Value>,
    /// Name and bytes of each file that an adapter wrote, in order.
    pub files: Vec<(String, Vec<u8>)>,
    /// Rows that were dropped.
    pub dropped: u64,
    /// Rows that were rejected, the row counted from 0 over all batches.
    pub rejects: Vec<Reject>,
    /// How many were rejected.
    pub rejected: u64,
    /// What the destination cannot hold.
    pub losses: Vec<Loss>,
    /// What the plugin logged.
    pub log: Vec<LogLine>,
    /// What it cost.
    pub figures: Figures,
    /// The columns that the plugin was given.
    pub reads: Vec<String>,
}

/// The job of every trial: fixed, so that results are. Golden cases of the SDK use the same.
pub fn trial_job() -> JobContext {
    JobContext {
        job_id: "exp_test".to_owned(),
        snapshot_at_us: 1_767_225_600_000_000,
        seed: 7,
        keys: KeyMaterial::Given(std::array::from_fn(|index| index as u8)),
    }
}

/// Runs a plugin on rows, in batches of [`BATCH_ROWS`].
///
/// # Errors
/// Rows that cannot be, a configuration that the plugin refuses, a plugin that fails.
pub fn run(
    sandbox: &Sandbox,
    job: &JobContext,
    used: &PluginUse,
    selection: &FieldSelection,
    rows: &[JsonRow],
) -> Result<Outcome, TrialError> {
    let offered = selection.offered();
    let holds = |field: &&Field| offered.iter().any(|(offered, _)| offered.name == field.name);
    let mut chain = open_alone(sandbox, job, used, selection)?;
    let mut outcome = Outcome {
        reads: chain
            .plugins()
            .iter()
            .flat_map(|(_, reads)| reads.iter().map(|name| (*name).to_owned()))
            .collect(),
        ..Outcome::default()
    };
    let recorders = chain.recorders();
    let released: Vec<_> = chain
        .needs()
        .iter()
        .filter_map(|column| catalog().field(&column.name))
        .collect();
    let gate = Gate::new(released, false);
    let reads: Vec<_> = gate.reads().into_iter().filter(holds).collect();
    let mut adapter = chain.take_adapter();
    let mut sequence = 0;
    let mut first_row = 0;
    for batch in rows.chunks(BATCH_ROWS).chain(rows.is_empty().then_some(rows)) {
        let shaped = chain.process(gate.release(raw_batch(&reads, batch)?)?)?;
        sequence = shaped.sequence + 1;
        outcome.dropped += shaped.dropped;
        outcome.reject(shaped.rejects, shaped.rejected, first_row);
        match &mut adapter {
            Some(adapter) => outcome.adapted(adapter.process(shaped.sequence, &shaped.batch)?, first_row),
            None => outcome.rows.extend(rows_of(&shaped.batch)),
        }
        first_row += batch.len() as u32;
    }
    if let Some(adapter) = &mut adapter {
        outcome.adapted(adapter.finish(sequence)?, first_row);
    }
    for recorder in recorders {
        let record = recorder.take();
        outcome.figures.absorb(&record.figures);
        outcome.log.extend(record.log);
    }
    Ok(outcome)
}

/// A chain of this one plugin, offered what the selection holds.
pub(crate) fn open_alone(
    sandbox: &Sandbox,
    job: &JobContext,
    used: &PluginUse,
    selection: &FieldSelection,
) -> Result<Chain, ChainError> {
    let columns = OfferedColumn::all_of(selection);
    match used.plugin.kind() {
        PluginKind::Transform => Chain::open(sandbox, job, &columns, std::slice::from_ref(used), None),
        PluginKind::Adapter => Chain::open(sandbox, job, &columns, &[], Some(used)),
    }
}

impl Outcome {
    fn reject(&mut self, rejects: Vec<Reject>, rejected: u64, first_row: u32) {
        self.rejected += rejected;
        self.rejects.extend(rejects.into_iter().map(|reject| Reject {
            row: reject.row + first_row,
            ..reject
        }));
    }

    fn adapted(&mut self, encoded: EncodedBatch, first_row: u32) {
        self.dropped += encoded.dropped;
        self.reject(encoded.rejects, encoded.rejected, first_row);
        self.losses.extend(encoded.losses);
        for chunk in encoded.chunks {
            match (chunk, self.files.last_mut()) {
                (Chunk::BeginFile { name, .. }, _) => self.files.push((name, Vec::new())),
                (Chunk::Bytes(bytes), Some((_, file))) => file.extend(bytes),
                (Chunk::Bytes(_), None) => {}
            }
        }
    }
}
