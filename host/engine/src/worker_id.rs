//! Who is alive: a process that runs jobs holds a lock on a file, and the system lets go of it
//! when the process ends, however it ends. So the dead of this machine are known at once; those of
//! other machines are known when their leases run out.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use ulid::Ulid;

use crate::error::EngineError;

/// Folder of the locks, in the data folder.
const FOLDER: &str = "run";

/// A process that runs jobs, as it stands in the records of its jobs: `HOST/ULID`.
#[derive(Debug)]
pub(crate) struct WorkerId {
    id: String,
    path: PathBuf,
    _lock: File,
}

impl WorkerId {
    /// Makes a name for this process, and locks its file in the data folder.
    pub(crate) fn take(data: &Path) -> Result<Self, EngineError> {
        let process = Ulid::new().to_string();
        let path = lock_file(data, &process);
        let failed = |source| EngineError::File {
            path: path.clone(),
            source,
        };
        std::fs::create_dir_all(data.join(FOLDER)).map_err(failed)?;
        let lock = File::create_new(&path).map_err(failed)?;
        lock.try_lock().map_err(|error| failed(error.into()))?;
        Ok(Self {
            id: format!("{}/{process}", host()),
            path,
            _lock: lock,
        })
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.id
    }
}

impl Drop for WorkerId {
    fn drop(&mut self) {
        // A file that stays is locked by nobody: that of a dead process.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Whether a process is known to have ended without clearing up. Of one that ran on another
/// machine, or that keeps its locks elsewhere, nothing is known.
pub(crate) fn is_dead(data: &Path, worker: &str) -> bool {
    let Some((its_host, process)) = worker.rsplit_once('/') else {
        return false;
    };
    if its_host != host() || process.parse::<Ulid>().is_err() {
        return false;
    }
    let Ok(file) = File::open(lock_file(data, process)) else {
        return false;
    };
    match file.try_lock() {
        Ok(()) => true,
        Err(TryLockError::WouldBlock | TryLockError::Error(_)) => false,
    }
}

/// Whether a process ran on this machine.
pub(crate) fn is_of_this_host(worker: &str) -> bool {
    worker
        .rsplit_once('/')
        .is_some_and(|(its_host, _)| its_host == host())
}

/// Removes the files of processes that have ended and run no job any more.
pub(crate) fn sweep(data: &Path, runs_a_job: impl Fn(&str) -> bool) {
    let Ok(entries) = std::fs::read_dir(data.join(FOLDER)) else {
        return;
    };
    for path in entries.filter_map(Result::ok).map(|entry| entry.path()) {
        let process = path.file_stem().unwrap_or_default().to_string_lossy();
        let worker = format!("{}/{process}", host());
        if is_dead(data, &worker) && !runs_a_job(&worker) {
            // Another process may have been faster.
            let _ = std::fs::remove_file(&path);
        }
    }
}

fn lock_file(data: &Path, process: &str) -> PathBuf {
    data.join(FOLDER).join(format!("{process}.lock"))
}

/// The name of this machine.
fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_process_that_left_its_lock_behind_is_known_to_be_dead() {
        let folder = tempfile::tempdir().unwrap();
        let worker = WorkerId::take(folder.path()).unwrap();
        let id = worker.as_str().to_owned();
        assert!(!is_dead(folder.path(), &id), "it holds its lock");
        drop(worker);
        assert!(!is_dead(folder.path(), &id), "it ended in good order");
        let process = Ulid::new().to_string();
        std::fs::write(lock_file(folder.path(), &process), "").unwrap();
        let dead = format!("{}/{process}", host());
        assert!(is_dead(folder.path(), &dead));
        assert!(!is_dead(folder.path(), &format!("elsewhere/{process}")));
        assert!(!is_dead(folder.path(), &format!("{}/../../etc/passwd", host())));
        sweep(folder.path(), |_| false);
        assert_eq!(std::fs::read_dir(folder.path().join(FOLDER)).unwrap().count(), 0);
    }
}
