//! What can go wrong with a plugin. Trap, guest fault and guest error stay three things.

use std::fmt;

use exeat_gate::GuardError;
use thiserror::Error;

/// A plugin failed while it worked for a job.
#[derive(Debug, Error)]
#[error("plugin {plugin} failed{}: {cause}", Place(*.batch, *.row))]
pub struct PluginFailure {
    /// Name and version.
    pub plugin: String,
    /// The batch at hand, from 0; nothing where none was.
    pub batch: Option<u64>,
    /// The row of the batch, where known.
    pub row: Option<u32>,
    /// What happened.
    #[source]
    pub cause: Box<Cause>,
}

impl PluginFailure {
    /// Whether the plugin is fine, and only a row is not.
    pub fn is_reject(&self) -> bool {
        matches!(*self.cause, Cause::Rejected { .. })
    }

    /// What the output guard says, if it was the guard that stopped the plugin.
    pub fn guard(&self) -> Option<&GuardError> {
        match &*self.cause {
            Cause::Guard(error) => Some(error),
            _ => None,
        }
    }
}

struct Place(Option<u64>, Option<u32>);

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0, self.1) {
            (Some(batch), Some(row)) => write!(f, " in batch {batch}, row {row}"),
            (Some(batch), None) => write!(f, " in batch {batch}"),
            _ => Ok(()),
        }
    }
}

/// What a plugin did.
#[derive(Debug, Error)]
pub enum Cause {
    /// It was stopped.
    #[error("it was stopped: {kind}{}", .panic.as_ref().map(|at| format!(" ({at})")).unwrap_or_default())]
    Trap {
        /// Why.
        kind: TrapKind,
        /// Where it panicked, if it said so. Never the panic's text, which may quote a value.
        panic: Option<String>,
    },
    /// It broke the contract.
    #[error("it broke the contract: {0}")]
    GuestFault(String),
    /// It said no.
    #[error("it reports: {0}")]
    GuestError(String),
    /// It rejected a row, and the export takes no rejects.
    #[error("it rejects the row{}: {message} ({code})", .field.as_ref().map(|field| format!(" for its {field}")).unwrap_or_default())]
    Rejected {
        /// The field that is blamed.
        field: Option<String>,
        /// A short code.
        code: String,
        /// A sentence.
        message: String,
    },
    /// Its output may not leave.
    #[error(transparent)]
    Guard(#[from] GuardError),
}

/// Why a guest was stopped.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TrapKind {
    /// A call took too long.
    #[error("a call exceeded its deadline")]
    Deadline,
    /// The calls of a job took too much CPU time together.
    #[error("its CPU time for one job is used up")]
    CpuBudget,
    /// It asked for more memory than it may have.
    #[error("it asked for more memory than its limit")]
    Memory,
    /// It wanted a longer table than it may have.
    #[error("it asked for a longer table than its limit")]
    Table,
    /// It called too deep.
    #[error("its call stack is exhausted")]
    StackOverflow,
    /// It handed over more than the host takes in one call.
    #[error("its output exceeded the limit of one call")]
    OutputTooLarge,
    /// It made too much out of too little, over all batches.
    #[error("it put out too many times what it was given")]
    Expansion,
    /// It did what WebAssembly forbids: the engine's word for it.
    #[error("it trapped: {0}")]
    Trapped(String),
    /// It had been stopped before.
    #[error("it had been stopped before")]
    Dead,
}

impl TrapKind {
    /// A stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Deadline => "deadline",
            Self::CpuBudget => "cpu-budget",
            Self::Memory => "memory",
            Self::Table => "table",
            Self::StackOverflow => "stack-overflow",
            Self::OutputTooLarge => "output-too-large",
            Self::Expansion => "expansion",
            Self::Trapped(_) => "trap",
            Self::Dead => "dead",
        }
    }
}

impl From<TrapKind> for Cause {
    fn from(kind: TrapKind) -> Self {
        Self::Trap { kind, panic: None }
    }
}

impl Cause {
    /// A stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Trap { kind, .. } => kind.code(),
            Self::GuestFault(_) => "guest-fault",
            Self::GuestError(_) => "guest-error",
            Self::Rejected { .. } => "rejected",
            Self::Guard(_) => "guard",
        }
    }

    /// Whether the plugin is broken, and did not merely say no: it was stopped, or broke the
    /// contract.
    pub fn is_breakdown(&self) -> bool {
        matches!(self, Self::Trap { .. } | Self::GuestFault(_))
    }

    /// Whether a fresh instance may do better. One that has used up a job's budget will not.
    pub(crate) fn is_worth_a_retry(&self) -> bool {
        match self {
            Self::Trap { kind, .. } => {
                !matches!(kind, TrapKind::CpuBudget | TrapKind::Expansion | TrapKind::Dead)
            }
            cause => cause.is_breakdown(),
        }
    }
}

/// A plugin could not be opened for a job.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The configuration is wrong.
    #[error("the configuration of {plugin} is wrong at \"{pointer}\": {message}")]
    Config {
        /// Name and version.
        plugin: String,
        /// A JSON pointer into the configuration.
        pointer: String,
        /// What is wrong there.
        message: String,
    },
    /// The export lacks a column that the plugin needs.
    #[error("{plugin} cannot work on this export: the field \"{field}\" {message}")]
    Schema {
        /// Name and version.
        plugin: String,
        /// The field.
        field: String,
        /// What is wrong with it.
        message: String,
    },
    /// Too many plugins of other jobs are at work. A host fault: the job may try again.
    #[error("too many plugins are at work; try again in a moment")]
    Busy,
    /// It failed.
    #[error(transparent)]
    Failed(#[from] PluginFailure),
}
