//! Tries a plugin out on rows given as JSON, in the real sandbox and through the real gate.
//!
//! ```text
//! JSON rows ──raw_batch──► Gate ──► Chain of one plugin ──► Outcome: rows or files, rejects, figures
//! golden case ─────────────────────────────────────────────► Verdict
//! component ──admit──► Plugin, after a smoke run
//! ```
//!
//! The rows are made up, or those of whoever asks. Jobs do not come this way.

mod admit;
mod bench;
mod case;
mod rows;
mod trial;
mod values;

pub use admit::{Admitted, Smoke, admit};
pub use bench::{Measured, bench, bench_rows};
pub use case::{Case, CaseError, CaseReject, Verdict, bless_case, check_case, read_cases};
pub use rows::{JsonRow, RowsError, fields_of, objects, raw_batch};
pub use trial::{BATCH_ROWS, Outcome, TrialError, run, trial_job};
