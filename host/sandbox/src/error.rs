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
    /// It asked for more memory than it may have.
    #[error("it asked for more memory than its limit")]
    Memory,
    /// It called too deep.
    #[error("its call stack is exhausted")]
    StackOverflow,
    /// It handed over more than the host takes in one call.
    #[error("its output exceeded the limit of one call")]
    OutputTooLarge,
    /// It did what WebAssembly forbids: the engine's word for it.
    #[error("it trapped: {0}")]
    Trapped(String),
    /// It had been stopped before.
    #[error("it had been stopped before")]
    Dead,
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
    /// It failed.
    #[error(transparent)]
    Failed(#[from] PluginFailure),
}
