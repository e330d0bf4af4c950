//! The exports in a store.

use std::ops::Range;
use std::path::Path as FsPath;

use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt as _, TryStreamExt as _};
use object_store::path::Path;
use object_store::{GetOptions, GetRange, ObjectStore as _, ObjectStoreExt as _};

use crate::draft::Draft;
use crate::error::{StoreFault, VaultError, failed};
use crate::store::Store;
use crate::url::StoreUrl;

/// Name of an export's manifest in the vault.
pub(crate) const MANIFEST: &str = "manifest.json";
pub(crate) const EXPORTS: &str = "exports";
const CHECKS: &str = "checks";
/// Several times what a client takes to give a store up.
const LONGEST_CHECK_MS: u64 = 10 * 60 * 1_000;
const SWEEPING: &str = "what checks left cannot be removed";
const READING: &str = "the export cannot be read";

/// Where exports are kept. Clones share one client.
#[derive(Clone, Debug)]
pub struct Vault {
    pub(crate) store: Store,
}

/// A file of an export, or a range of it, to be read.
pub struct FileReader {
    /// Bytes that the stream gives.
    pub bytes: u64,
    /// Where in the file they are.
    pub range: Range<u64>,
    /// Size of the whole file in bytes.
    pub file_bytes: u64,
    /// The bytes.
    pub stream: BoxStream<'static, Result<Bytes, VaultError>>,
}

impl std::fmt::Debug for FileReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FileReader")
            .field("range", &self.range)
            .field("file_bytes", &self.file_bytes)
            .finish_non_exhaustive()
    }
}

impl Vault {
    /// A vault in a store. A local folder is created if it is missing; of an object store nothing
    /// is asked yet, see [`check`](Self::check).
    ///
    /// # Errors
    /// The folder or the settings cannot be used.
    pub fn open(url: &StoreUrl) -> Result<Self, VaultError> {
        Ok(Self {
            store: Store::open(url)?,
        })
    }

    /// A vault in a local folder, which is created if it is missing.
    ///
    /// # Errors
    /// The folder cannot be used.
    pub fn local(folder: &FsPath) -> Result<Self, VaultError> {
        Self::open(&StoreUrl::folder(folder))
    }

    /// Where the vault is.
    pub fn url(&self) -> &StoreUrl {
        self.store.url()
    }

    /// Shows that objects can be written, read, listed and deleted, with a small one of its own
    /// under `checks/`. In S3's words a vault needs `PutObject`, `GetObject`, `DeleteObject`,
    /// `ListBucket` and, not tried here, `AbortMultipartUpload`.
    ///
    /// # Errors
    /// It says which of these failed, where and why. A store that cannot be reached is given up
    /// after about a minute.
    pub async fn check(&self) -> Result<(), VaultError> {
        let checks = Path::from(CHECKS);
        let path = checks.clone().join(ulid::Ulid::new().to_string());
        let content = Bytes::from(format!("exeat {path}"));
        let cannot = |be: &str| format!("the store {} cannot be {be}", self.url());
        let lost = |be: &str| VaultError::Store {
            task: cannot(be),
            fault: StoreFault::Other,
            reason: "what was just written is not there".to_owned(),
        };
        self.store
            .put(&path, content.clone())
            .await
            .map_err(failed(&cannot("written to")))?;
        let read = self.store.get(&path).await;
        let listed = self
            .store
            .list(&checks)
            .try_any(|found| std::future::ready(found == path))
            .await;
        // Before anything that failed is told, so that nothing is left.
        let deleted = self.store.delete(vec![path.clone()]).await;
        if read.map_err(failed(&cannot("read")))? != Some(content) {
            return Err(lost("read"));
        }
        if !listed.map_err(failed(&cannot("listed")))? {
            return Err(lost("listed"));
        }
        deleted.map_err(failed(&cannot("deleted from")))?;
        Ok(())
    }

    /// Removes what checks left whose process was killed in the middle: objects older than any check
    /// can last. Says how many there were.
    ///
    /// # Errors
    /// The store refused; what is left can be removed later.
    pub async fn sweep_checks(&self) -> Result<u64, VaultError> {
        let begun_before = ulid::Ulid::new().timestamp_ms().saturating_sub(LONGEST_CHECK_MS);
        let is_old = |path: &Path| {
            let id = path.filename().and_then(|name| name.parse::<ulid::Ulid>().ok());
            id.is_some_and(|id| id.timestamp_ms() < begun_before)
        };
        let found: Vec<Path> = self
            .store
            .list(&Path::from(CHECKS))
            .try_filter(|path| std::future::ready(is_old(path)))
            .try_collect()
            .await
            .map_err(failed(SWEEPING))?;
        self.store.delete(found).await.map_err(failed(SWEEPING))
    }

    /// Begins an attempt at a job. `attempt` is the job's fencing token: no two runs have the same.
    ///
    /// # Errors
    /// Tenant or job cannot be a name.
    pub fn draft(&self, tenant: &str, job_id: &str, attempt: i64) -> Result<Draft, VaultError> {
        Ok(Draft::new(
            self.store.clone(),
            attempt_path(tenant, job_id, attempt)?,
        ))
    }

    /// The manifest of an attempt, as JSON; nothing where it was not published.
    ///
    /// # Errors
    /// The store refused.
    pub async fn manifest(
        &self,
        tenant: &str,
        job_id: &str,
        attempt: i64,
    ) -> Result<Option<Bytes>, VaultError> {
        let path = attempt_path(tenant, job_id, attempt)?.join(MANIFEST);
        self.store.get(&path).await.map_err(failed(READING))
    }

    /// A file of an attempt, or the part of it that lies in `range`; nothing where there is none.
    /// A range that reaches beyond the end is cut.
    ///
    /// # Errors
    /// The range is empty or begins beyond the end, or the store refused. The stream ends with an
    /// error if the store refuses later.
    pub async fn read(
        &self,
        tenant: &str,
        job_id: &str,
        attempt: i64,
        file: &str,
        range: Option<Range<u64>>,
    ) -> Result<Option<FileReader>, VaultError> {
        let path = attempt_path(tenant, job_id, attempt)?.join(segment(file)?);
        let mut options = GetOptions::default();
        if let Some(range) = range {
            // Stores differ in what they make of a range that is not in the file.
            let file_bytes = match self.store.objects.head(&path).await {
                Ok(found) => found.size,
                Err(object_store::Error::NotFound { .. }) => return Ok(None),
                Err(error) => return Err(failed(READING)(error)),
            };
            let range = range.start..range.end.min(file_bytes);
            if range.is_empty() {
                return Err(VaultError::Range { file_bytes });
            }
            options.range = Some(GetRange::Bounded(range));
        }
        match self.store.objects.get_opts(&path, options).await {
            Ok(found) => Ok(Some(FileReader {
                bytes: found.range.end - found.range.start,
                range: found.range.clone(),
                file_bytes: found.meta.size,
                stream: found.into_stream().map_err(failed(READING)).boxed(),
            })),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(failed(READING)(error)),
        }
    }
}

/// Where all attempts at a job are.
pub(crate) fn job_path(tenant: &str, job_id: &str) -> Result<Path, VaultError> {
    Ok(Path::from(EXPORTS).join(segment(tenant)?).join(segment(job_id)?))
}

/// Where the files of an attempt are.
pub(crate) fn attempt_path(tenant: &str, job_id: &str, attempt: i64) -> Result<Path, VaultError> {
    Ok(job_path(tenant, job_id)?.join(attempt.to_string()))
}

/// One path segment that cannot lead anywhere else.
pub(crate) fn segment(name: &str) -> Result<&str, VaultError> {
    let plain = name
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
    if plain && !name.is_empty() && !name.starts_with('.') {
        Ok(name)
    } else {
        Err(VaultError::Name(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_a_killed_check_left_is_swept_once_no_check_can_need_it() {
        let folder = tempfile::tempdir().unwrap();
        let vault = Vault::local(folder.path()).unwrap();
        let checks = folder.path().join(CHECKS);
        std::fs::create_dir(&checks).unwrap();
        let old = ulid::Ulid::from_parts(1, 7).to_string();
        let young = ulid::Ulid::new().to_string();
        for name in [&old, &young] {
            std::fs::write(checks.join(name), "exeat").unwrap();
        }
        assert_eq!(vault.sweep_checks().await.unwrap(), 1);
        assert!(!checks.join(old).exists());
        assert!(checks.join(young).exists());
    }
}
