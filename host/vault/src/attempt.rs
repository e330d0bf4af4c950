//! Attempts at exports: what is there of them, and how it goes away.

use std::fmt;
use std::path::{Path as FsPath, PathBuf};

use futures::stream::BoxStream;
use futures::{StreamExt as _, TryStreamExt as _};
use object_store::path::Path;

use crate::error::{VaultError, failed};
use crate::file::marked_by;
use crate::store::Store;
use crate::vault::{EXPORTS, MANIFEST, Vault, attempt_path, job_path, segment};

const REMOVING: &str = "the export cannot be deleted";
const LISTING: &str = "the vault cannot be listed";

/// One attempt at a job that has left something in the vault.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Attempt {
    /// The tenant.
    pub tenant: String,
    /// The job.
    pub job_id: String,
    /// The fencing token under which it was begun.
    pub attempt: i64,
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.tenant, self.job_id, self.attempt)
    }
}

impl Attempt {
    /// The attempt that three path segments name, if they are such as this crate writes.
    fn named(tenant: &str, job_id: &str, attempt: &str) -> Option<Self> {
        let number: i64 = attempt.parse().ok()?;
        let is_ours = segment(tenant).is_ok() && segment(job_id).is_ok() && number.to_string() == attempt;
        is_ours.then(|| Self {
            tenant: tenant.to_owned(),
            job_id: job_id.to_owned(),
            attempt: number,
        })
    }

    /// The attempt that an object belongs to.
    fn of(object: &Path) -> Option<Self> {
        let mut parts = object.parts().skip(1);
        let (tenant, job_id, attempt) = (parts.next()?, parts.next()?, parts.next()?);
        Self::named(tenant.as_ref(), job_id.as_ref(), attempt.as_ref())
    }
}

impl Vault {
    /// Every attempt of which there is anything, whole exports and unfinished uploads included, in
    /// pages of the store's. What is none of ours is passed over.
    ///
    /// To clear up after the dead, ask of each, once it was listed, whether its job is running or
    /// was completed under this attempt, and give the others to [`remove_attempt`](Self::remove_attempt).
    /// Asked the other way round, an attempt that began meanwhile would be removed.
    pub fn attempts(&self) -> BoxStream<'static, Result<Attempt, VaultError>> {
        let exports = Path::from(EXPORTS);
        if let Some(folder) = self.store.place(&exports) {
            // Files that are being written, and empty folders, are in no list of objects.
            return futures::stream::iter(local_attempts(&folder)).boxed();
        }
        let mut last = None;
        self.store
            .list(&exports)
            .map_err(failed(LISTING))
            .try_filter_map(move |object| {
                // An attempt's objects come one after another.
                let attempt = Attempt::of(&object).filter(|attempt| last.as_ref() != Some(attempt));
                if attempt.is_some() {
                    last.clone_from(&attempt);
                }
                futures::future::ready(Ok(attempt))
            })
            .boxed()
    }

    /// Deletes everything of one attempt: its manifest, then its unfinished uploads, then its files.
    /// Says how many objects it deleted; doing it again is fine.
    ///
    /// # Errors
    /// The store refused; what is left can be deleted later.
    pub async fn remove_attempt(&self, attempt: &Attempt) -> Result<u64, VaultError> {
        let path = attempt_path(&attempt.tenant, &attempt.job_id, attempt.attempt)?;
        remove(&self.store, &path).await
    }

    /// Deletes everything of all attempts at a job, manifests first. Says how many objects it
    /// deleted; doing it again is fine.
    ///
    /// # Errors
    /// The store refused; what is left can be deleted later.
    pub async fn remove(&self, tenant: &str, job_id: &str) -> Result<u64, VaultError> {
        remove(&self.store, &job_path(tenant, job_id)?).await
    }
}

/// Deletes all that lies under a prefix.
pub(crate) async fn remove(store: &Store, prefix: &Path) -> Result<u64, VaultError> {
    let found: Vec<Path> = store.list(prefix).try_collect().await.map_err(failed(REMOVING))?;
    let (manifests, others): (Vec<_>, Vec<_>) = found
        .into_iter()
        .partition(|path| path.filename() == Some(MANIFEST) && marked_by(path).is_none());
    let mut deleted = store.delete(manifests).await.map_err(failed(REMOVING))?;
    for marker in &others {
        end_upload(store, marker).await.map_err(failed(REMOVING))?;
    }
    deleted += store.delete(others).await.map_err(failed(REMOVING))?;
    let (store, prefix) = (store.clone(), prefix.clone());
    let removal = tokio::task::spawn_blocking(move || store.remove_folder(&prefix));
    removal.await.map_err(|error| failed(REMOVING)(error.into()))??;
    Ok(deleted)
}

/// Aborts the upload that an object keeps the id of, if it is such an object.
async fn end_upload(store: &Store, marker: &Path) -> object_store::Result<()> {
    let (Some(uploads), Some(file)) = (&store.uploads, marked_by(marker)) else {
        return Ok(());
    };
    let Some(id) = store.get(marker).await? else {
        return Ok(());
    };
    let id = String::from_utf8_lossy(&id).into_owned();
    match uploads.abort_multipart(&file, &id).await {
        // It was completed or aborted before its marker could be deleted.
        Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

type Found<T> = Box<dyn Iterator<Item = Result<T, VaultError>> + Send>;

fn local_attempts(exports: &FsPath) -> Found<Attempt> {
    each_folder(exports, |tenant, folder| {
        each_folder(&folder, move |job_id, folder| {
            let tenant = tenant.clone();
            each_folder(&folder, move |attempt, _| {
                Box::new(Attempt::named(&tenant, &job_id, &attempt).map(Ok).into_iter())
            })
        })
    })
}

/// What lies in each folder of a folder. One that was removed meanwhile is empty.
fn each_folder<T: Send + 'static>(
    folder: &FsPath,
    within: impl Fn(String, PathBuf) -> Found<T> + Send + 'static,
) -> Found<T> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Box::new(std::iter::empty()),
        Err(source) => {
            let folder = folder.to_owned();
            return Box::new(std::iter::once(Err(VaultError::Folder { folder, source })));
        }
    };
    Box::new(
        entries
            .filter_map(Result::ok)
            .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
            .flat_map(move |entry| within(entry.file_name().to_string_lossy().into_owned(), entry.path())),
    )
}
