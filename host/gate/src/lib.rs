//! Decides what may leave. No I/O.
//!
//! ```text
//! RawBatch ──Gate::release──► ReleasedBatch ──OutputGuard::admit──► ShapedBatch
//!             the only maker                   the only other maker
//! ```
//!
//! What may leave is written in one table, `fields.toml` ([`FieldCatalog`]). A request for
//! fields becomes a [`FieldSelection`], which cannot name a field that never leaves. The
//! [`Gate`] turns what a source read into a [`ReleasedBatch`]; sandbox and encoders take
//! nothing less:
//!
//! ```compile_fail
//! use exeat_gate::{RawBatch, ShapedBatch};
//! fn encode(_: ShapedBatch) {}
//! fn leak(raw: RawBatch) {
//!     encode(ShapedBatch::untouched(raw)); // expected `ReleasedBatch`, found `RawBatch`
//! }
//! ```
//!
//! The same with a released batch compiles, so the failure above is about the type:
//!
//! ```
//! use exeat_gate::{ReleasedBatch, ShapedBatch};
//! fn encode(_: ShapedBatch) {}
//! fn pass(released: ReleasedBatch) {
//!     encode(ShapedBatch::untouched(released));
//! }
//! ```
//!
//! And nobody else can make one:
//!
//! ```compile_fail
//! use exeat_gate::{Evidence, ReleasedBatch};
//! fn forge(columns: arrow_array::RecordBatch) -> ReleasedBatch {
//!     ReleasedBatch { columns, evidence: Evidence::default() } // the fields are private
//! }
//! ```

mod anonymize;
mod batch;
mod catalog;
mod credentials;
mod gate;
mod guard;
mod redact;
mod schema;
mod scrub;
mod selection;

pub use batch::{Evidence, RawBatch, ReleasedBatch, ShapedBatch, Suppressed};
pub use catalog::{Anonymized, Classification, Column, Field, FieldCatalog, FieldClass, catalog};
pub use credentials::{CredentialShape, find_credential, is_credential_key};
pub use gate::{Gate, GateError};
pub use guard::{BytesGuard, GuardError, OutputGuard, ShapedColumn};
pub use redact::redact_text;
pub use schema::{ColumnSpec, ColumnType, Schema};
pub use selection::{FieldSelection, SelectionError};
