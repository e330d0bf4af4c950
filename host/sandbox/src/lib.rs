//! Runs plugins: sessions in a WebAssembly sandbox with finite limits.
//!
//! ```text
//! Sandbox ──load──► Plugin ──┐
//!                            ├─ Chain::open ──► Chain: released batch in, shaped batch out
//! JobContext, offered fields ┘                    └─ AdapterSession: shaped batch in, bytes out
//! ```
//!
//! One [`wasmtime::Store`] serves one plugin of one job and dies with it. A guest sees only the
//! columns that its plan reads. What it hands back is hostile until it has been checked and turned
//! into Arrow arrays, and until the gate's output guard has let it through.

mod abi;
mod adapter;
mod chain;
mod checked;
mod code_cache;
pub mod compiler;
mod engine;
mod error;
mod features;
mod figures;
mod inspect;
mod limits;
mod lower;
mod places;
mod plugin;
#[cfg(test)]
mod properties;
mod refusal;
mod session;
mod store;
mod transform;
mod wasi;

pub use adapter::{AdapterSession, Chunk, EncodedBatch, Loss, SideFile, SideLine};
pub use chain::{Chain, ChainError, PluginUse, Shaped};
pub use code_cache::CodeCache;
pub use engine::{Sandbox, SandboxError, SandboxSetup};
pub use error::{Cause, OpenError, PluginFailure, TrapKind};
pub use figures::{Figures, Record, Recorder, Times};
pub use inspect::{Inspection, MAX_COMPONENT_BYTES, digest, inspect};
pub use limits::{EXPANSION_FLOOR_BYTES, LimitError, LimitSettings, PluginLimits};
pub use plugin::{LoadError, Plugin, PluginKind, is_plugin_name};
pub use refusal::{Refusal, RefusalCode};
pub use store::{LogLevel, LogLine};
pub use transform::{Reject, TransformSession};

/// One column that plugins are offered, and whether it is part of the export by default.
#[derive(Clone, Debug)]
pub struct OfferedColumn {
    /// Name and type.
    pub spec: exeat_gate::ColumnSpec,
    /// Whether the export holds it unless a plugin leaves it out.
    pub selected: bool,
}

impl OfferedColumn {
    /// What plugins are offered of a selection, in order.
    pub fn all_of(selection: &exeat_gate::FieldSelection) -> Vec<Self> {
        let offered = selection.offered().into_iter();
        let column = |(field, selected): (&exeat_gate::Field, bool)| Self {
            spec: field.spec(),
            selected,
        };
        offered.map(column).collect()
    }
}

/// What plugins may know of the job that they work for.
#[derive(Clone)]
pub struct JobContext {
    /// Identifier of the job.
    pub job_id: String,
    /// Instant of the snapshot, in microseconds since 1970-01-01T00:00:00Z.
    pub snapshot_at_us: i64,
    /// The same for every job of the tenant.
    pub seed: u64,
    /// Where the key comes from that a plugin gets.
    pub keys: KeyMaterial,
}

/// Where plugins' keys come from.
#[derive(Clone)]
pub enum KeyMaterial {
    /// The tenant's secret; each plugin gets a key of its own that is derived from it.
    Tenant([u8; 32]),
    /// The same key for every plugin: for golden cases, whose results must be known.
    Given([u8; 32]),
}

/// Shows no key.
impl std::fmt::Debug for KeyMaterial {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KeyMaterial")
    }
}

/// Shows no key.
impl std::fmt::Debug for JobContext {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JobContext")
            .field("job_id", &self.job_id)
            .finish_non_exhaustive()
    }
}
