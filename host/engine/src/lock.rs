//! Who is alive: a running job's process holds a lock on a file, and the system lets go of it
//! when the process ends, however it ends.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use crate::error::EngineError;

/// Folder of the locks, in the data folder.
const FOLDER: &str = "run";

/// A lock on a running job. Dropped, it is released and its file removed.
#[derive(Debug)]
pub(crate) struct JobLock {
    path: PathBuf,
    _file: File,
}

impl JobLock {
    /// Takes the lock of a job; nothing if a living process holds it.
    pub(crate) fn take(data: &Path, job_id: &str) -> Result<Option<Self>, EngineError> {
        let folder = data.join(FOLDER);
        let path = folder.join(format!("{job_id}.lock"));
        let failed = |source| EngineError::File {
            path: path.clone(),
            source,
        };
        std::fs::create_dir_all(&folder).map_err(failed)?;
        let file = File::create(&path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { path, _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(failed(error)),
        }
    }
}

impl Drop for JobLock {
    fn drop(&mut self) {
        // A file that stays is locked by nobody and does no harm.
        let _ = std::fs::remove_file(&self.path);
    }
}
