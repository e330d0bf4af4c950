//! What a plugin is.

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use crate::bindings::types;
use crate::error::{Fault, Reject};
use crate::input::Row;
use crate::output::Output;
use crate::plan::{AdapterPlan, TransformPlan};
use crate::sink::Sink;

/// Changes rows: maps, anonymizes, filters. One value serves one job.
pub trait Transform: Sized {
    /// What the job's owner may set. Its JSON Schema is derived, its errors carry a pointer.
    type Config: DeserializeOwned + JsonSchema;

    /// True where the result for a batch depends on that batch alone, so that several
    /// instances may share a job.
    const STATELESS: bool = true;

    /// Declares what is read and what comes out, before any row is seen.
    ///
    /// # Errors
    /// The configuration is wrong, or the schema lacks a column.
    fn open(config: Self::Config, job: &Job, plan: &mut TransformPlan) -> Result<Self, Fault>;

    /// Computes the output of one row. A computed column that is not written is empty.
    ///
    /// # Errors
    /// The row cannot go out.
    fn row(&mut self, row: Row<'_>, out: &mut Output) -> Result<Verdict, Reject>;
}

/// Renders rows in the import format of a destination. One value serves one job.
pub trait Adapter: Sized {
    /// What the job's owner may set. Its JSON Schema is derived, its errors carry a pointer.
    type Config: DeserializeOwned + JsonSchema;

    /// Declares what is read, before any row is seen.
    ///
    /// # Errors
    /// The configuration is wrong, or the schema lacks a column.
    fn open(config: Self::Config, job: &Job, plan: &mut AdapterPlan) -> Result<Self, Fault>;

    /// Writes one row, now or later.
    ///
    /// # Errors
    /// The destination would not take the row.
    fn row(&mut self, row: Row<'_>, out: &mut Sink) -> Result<Outcome, Reject>;

    /// Writes what is left after the last row.
    ///
    /// # Errors
    /// The plugin cannot finish its output.
    fn finish(&mut self, out: &mut Sink) -> Result<(), Fault>;
}

/// What becomes of a row that a transform has seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It stays in the export.
    Keep,
    /// It is filtered out, and counted.
    Drop,
}

/// What became of a row that an adapter has seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is in the output, or will be when the adapter has flushed its buffer.
    Written,
    /// It was left out on purpose, and is counted.
    Dropped,
}

/// What a plugin may know of the job that it works for.
#[derive(Clone)]
pub struct Job {
    /// Identifier of the job.
    pub id: String,
    /// Instant of the snapshot, in microseconds since 1970-01-01T00:00:00Z. The only clock there is.
    pub snapshot_at_us: i64,
    /// The same for every job of this tenant. The only randomness there is.
    pub seed: u64,
    /// 32 secret bytes, the tenant's and this plugin's own, the same in every job.
    pub pseudonym_key: [u8; 32],
}

/// Shows no key.
impl std::fmt::Debug for Job {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Job")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl TryFrom<types::JobContext> for Job {
    type Error = Fault;

    fn try_from(job: types::JobContext) -> Result<Self, Fault> {
        let pseudonym_key = job
            .pseudonym_key
            .try_into()
            .map_err(|_| Fault::Internal("the pseudonym key is not 32 bytes".to_owned()))?;
        Ok(Self {
            id: job.job_id,
            snapshot_at_us: job.snapshot_at_us,
            seed: job.seed,
            pseudonym_key,
        })
    }
}
