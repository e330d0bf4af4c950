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
        loop {
            let file = File::create(&path).map_err(failed)?;
            match file.try_lock() {
                Ok(()) if is_at(&file, &path) => return Ok(Some(Self { path, _file: file })),
                // Whoever held the lock has removed the file between our two steps.
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(error)) => return Err(failed(error)),
            }
        }
    }
}

/// Whether the path still leads to this very file.
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let same = |ours: std::fs::Metadata| std::fs::metadata(path).is_ok_and(|there| there.ino() == ours.ino());
    file.metadata().is_ok_and(same)
}

impl Drop for JobLock {
    fn drop(&mut self) {
        // A file that stays is locked by nobody and does no harm.
        let _ = std::fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_has_one_holder_and_is_free_again_once_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let lock = JobLock::take(folder.path(), "exp_1").unwrap().unwrap();
        assert!(JobLock::take(folder.path(), "exp_1").unwrap().is_none());
        assert!(JobLock::take(folder.path(), "exp_2").unwrap().is_some());
        drop(lock);
        assert!(JobLock::take(folder.path(), "exp_1").unwrap().is_some());
    }
}
