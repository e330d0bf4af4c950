//! The steps of an export by name, for whoever watches them: tests let each one fail.

use std::fmt::Debug;

use crate::error::ExportFailure;

/// A step that an attempt has just taken. In this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Step {
    Claimed,
    RequestChecked,
    SnapshotOpened,
    PluginsOpened,
    FirstBytesWritten,
    FilesWritten,
    RowsCounted,
    ManifestWritten,
    Recorded,
}

impl Step {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Claimed,
        Self::RequestChecked,
        Self::SnapshotOpened,
        Self::PluginsOpened,
        Self::FirstBytesWritten,
        Self::FilesWritten,
        Self::RowsCounted,
        Self::ManifestWritten,
        Self::Recorded,
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Claimed => "claimed",
            Self::RequestChecked => "request-checked",
            Self::SnapshotOpened => "snapshot-opened",
            Self::PluginsOpened => "plugins-opened",
            Self::FirstBytesWritten => "first-bytes-written",
            Self::FilesWritten => "files-written",
            Self::RowsCounted => "rows-counted",
            Self::ManifestWritten => "manifest-written",
            Self::Recorded => "recorded",
        }
    }
}

/// Somebody who is told of each step, and may say that it failed.
pub trait StepObserver: Debug + Send + Sync {
    /// An attempt of a job has taken a step.
    ///
    /// # Errors
    /// Whatever the export is to fail with.
    fn after(&self, step: Step, job_id: &str, attempt: i64) -> Result<(), ExportFailure>;
}

/// Nobody.
#[derive(Debug)]
pub(crate) struct Unobserved;

impl StepObserver for Unobserved {
    fn after(&self, _: Step, _: &str, _: i64) -> Result<(), ExportFailure> {
        Ok(())
    }
}
