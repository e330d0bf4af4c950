//! What can go wrong: with a request, with an export, with the engine.

use exeat_directory::{DirectoryError, SourceError};
use exeat_encode::EncodeError;
use exeat_gate::GateError;
use exeat_sandbox::PluginFailure;
use exeat_vault::{RowCounts, VaultError};
use thiserror::Error;

use crate::stream::MAX_STREAMS;

/// A request was refused: what was wrong, where, and what to do.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{detail}")]
pub struct RequestError {
    /// A stable code, such as `never-exported`.
    pub code: &'static str,
    /// A JSON pointer (RFC 6901) into the request.
    pub pointer: String,
    /// Place in the text at the pointer, in characters from 0, where there is one.
    pub offset: Option<usize>,
    /// What is wrong.
    pub detail: String,
    /// What would be right.
    pub hint: Option<String>,
    /// Why a component was not admitted, as a code of the sandbox's.
    pub reason: Option<String>,
}

impl RequestError {
    pub(crate) fn too_many_streams() -> Self {
        let detail = format!("{MAX_STREAMS} streams are running, which is the most at once");
        Self::new("too-many-streams", "", detail).hint("try again in a moment")
    }

    pub(crate) fn new(code: &'static str, pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self {
            code,
            pointer: pointer.into(),
            offset: None,
            detail: detail.into(),
            hint: None,
            reason: None,
        }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// The engine cannot do its part.
#[derive(Debug, Error)]
pub enum EngineError {
    /// The request is wrong.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The export was started and failed.
    #[error(transparent)]
    Export(#[from] ExportFailure),
    /// The directory refused.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// The definition of a source does not fit the database that it is of.
    #[error("the source definition does not fit its database")]
    Source(#[from] exeat_directory::postgres::ValidationError),
    /// The vault refused.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The sandbox cannot be set up.
    #[error(transparent)]
    Sandbox(#[from] exeat_sandbox::SandboxError),
    /// A plugin that was admitted, or ships, cannot be loaded: a fault of this host.
    #[error("the plugin {name} cannot be loaded")]
    Plugin {
        /// The plugin.
        name: String,
        /// Why.
        #[source]
        source: Box<exeat_sandbox::LoadError>,
    },
    /// A file of the engine's own cannot be used.
    #[error("the file {} cannot be used", .path.display())]
    File {
        /// The file.
        path: std::path::PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// Why an export failed after it had begun.
#[derive(Debug, Error)]
pub enum ExportFailure {
    /// Somebody cancelled it.
    #[error("the export was cancelled")]
    Cancelled,
    /// Reading failed.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The gate could not release what was read.
    #[error(transparent)]
    Gate(#[from] GateError),
    /// A plugin failed.
    #[error(transparent)]
    Plugin(#[from] PluginFailure),
    /// Too many plugins of other jobs are at work.
    #[error("too many plugins of other exports are at work; try again in a moment")]
    Busy,
    /// Plugins rejected more rows than the request bears.
    #[error("plugins rejected more than {0} rows, which is as many as this export skips")]
    TooManyRejects(u64),
    /// Encoding failed.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// Compressing failed.
    #[error("the output cannot be compressed")]
    Compress(#[source] std::io::Error),
    /// Writing failed.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The directory refused.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// Rows are missing.
    #[error(
        "the export is not complete: {} rows were counted at the snapshot, {} read, {} written, {} dropped, \
         {} rejected; {} are missing",
        .counted, .rows.read, .rows.written, .rows.dropped, .rows.rejected,
        i128::from(*.counted) - i128::from(.rows.written + .rows.dropped + .rows.rejected)
    )]
    Incomplete {
        /// Rows counted at the snapshot.
        counted: u64,
        /// What became of those that were read.
        rows: RowCounts,
    },
    /// The request no longer holds: a plugin or field it names has gone.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// Another attempt has taken the job over.
    #[error("another attempt has taken this job over")]
    Superseded,
    /// The process that ran it was told to stop; the job waits for another.
    #[error("the worker was stopped; the export waits for another one")]
    Interrupted,
    /// The directory could not be reached for so long that others take this worker for dead.
    #[error("the directory could not be reached; another worker takes the export over")]
    LeaseLost,
    /// It took too long.
    #[error("the export took longer than it may; timeout_seconds allows more")]
    TimedOut,
    /// Everything was written, and nobody knows whether that was recorded.
    #[error("the directory could not be reached to record the export")]
    Unrecorded(#[source] DirectoryError),
    /// A stage died.
    #[error("an internal stage of the export ended early")]
    Stage,
}

impl ExportFailure {
    /// Whether it may pass by itself, so that another attempt makes sense.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Source(error) => error.is_transient(),
            Self::Directory(error) => error.is_transient(),
            Self::Vault(error) => error.is_transient(),
            Self::Busy | Self::Interrupted | Self::Stage => true,
            _ => false,
        }
    }

    /// A stable code for the job's record.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Cancelled => "cancelled",
            Self::Source(_) => "source-failed",
            Self::Gate(_) => "gate-failed",
            Self::Plugin(_) => "plugin-failed",
            Self::Busy => "busy",
            Self::TooManyRejects(_) => "too-many-rejects",
            Self::Encode(_) | Self::Compress(_) => "encode-failed",
            Self::Vault(_) => "vault-failed",
            Self::Directory(_) => "directory-failed",
            Self::Incomplete { .. } => "incomplete",
            Self::Request(error) => error.code,
            Self::Superseded => "superseded",
            Self::Interrupted => "interrupted",
            Self::LeaseLost => "lease-lost",
            Self::TimedOut => "timed-out",
            Self::Unrecorded(_) => "unrecorded",
            Self::Stage => "internal",
        }
    }
}
