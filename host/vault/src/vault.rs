//! A folder of exports.

use std::path::{Path as FsPath, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt as _, TryStreamExt as _};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _};
use thiserror::Error;

use crate::draft::Draft;

/// Name of an export's manifest in the vault.
pub(crate) const MANIFEST: &str = "manifest.json";
const DRAFTS: &str = "drafts";
const EXPORTS: &str = "exports";

/// Where exports are kept.
#[derive(Clone, Debug)]
pub struct Vault {
    pub(crate) store: Arc<dyn ObjectStore>,
    root: PathBuf,
}

/// The vault cannot keep or give what it was asked.
#[derive(Debug, Error)]
pub enum VaultError {
    /// The folder cannot be used.
    #[error("the folder {} cannot be used: {source}", .folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The store refused.
    #[error("the export cannot be stored: {}", root_cause(.0))]
    Store(#[from] object_store::Error),
    /// The store of plugins refused.
    #[error("the plugin cannot be stored: {}", root_cause(.0))]
    Component(#[source] object_store::Error),
    /// A path segment is none.
    #[error("\"{0}\" cannot be a name in the vault")]
    Name(String),
    /// The target holds something else.
    #[error("{} {reason}", .path.display())]
    Target {
        /// The target.
        path: PathBuf,
        /// What is in the way, and what to do.
        reason: String,
    },
    /// The manifest cannot be written as JSON.
    #[error("the manifest cannot be written")]
    Manifest(#[from] serde_json::Error),
}

/// The innermost reason: "No space left on device" and not the store's name for it.
fn root_cause(error: &object_store::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

/// A file of an export, to be read.
pub struct FileReader {
    /// Size in bytes.
    pub bytes: u64,
    /// The bytes.
    pub stream: BoxStream<'static, Result<Bytes, VaultError>>,
}

impl std::fmt::Debug for FileReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FileReader")
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}

impl Vault {
    /// A vault in a local folder, which is created if it is missing.
    ///
    /// # Errors
    /// The folder cannot be used.
    pub fn local(folder: &FsPath) -> Result<Self, VaultError> {
        std::fs::create_dir_all(folder).map_err(|source| VaultError::Folder {
            folder: folder.to_owned(),
            source,
        })?;
        let store = LocalFileSystem::new_with_prefix(folder)?.with_fsync(true);
        Ok(Self {
            store: Arc::new(store),
            root: folder.to_owned(),
        })
    }

    /// Begins an export under a name that no other draft has. What an earlier draft of this name
    /// left behind is removed.
    ///
    /// # Errors
    /// The name cannot be one, or what lies there cannot be removed.
    pub fn draft(&self, id: &str) -> Result<Draft, VaultError> {
        let name = segment(id)?;
        let folder = self.root.join(DRAFTS).join(id);
        remove_folder(&folder)?;
        Ok(Draft::new(
            Arc::clone(&self.store),
            Path::from(DRAFTS).join(name),
            folder,
        ))
    }

    /// Removes the drafts that `is_alive` does not know. Says how many there were.
    ///
    /// # Errors
    /// The folder cannot be read, or a draft cannot be removed.
    pub fn sweep_drafts(&self, is_alive: impl Fn(&str) -> bool) -> Result<usize, VaultError> {
        let folder = self.root.join(DRAFTS);
        let entries = match std::fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(0),
            Err(source) => return Err(VaultError::Folder { folder, source }),
        };
        let mut swept = 0;
        for entry in entries.filter_map(Result::ok) {
            if !is_alive(&entry.file_name().to_string_lossy()) {
                remove_folder(&entry.path())?;
                swept += 1;
            }
        }
        Ok(swept)
    }

    /// Where the files of an export are.
    pub(crate) fn export(tenant: &str, job_id: &str) -> Result<Path, VaultError> {
        Ok(Path::from(EXPORTS).join(segment(tenant)?).join(segment(job_id)?))
    }

    /// The manifest of a published export, as JSON; nothing where none is published.
    ///
    /// # Errors
    /// The store refused.
    pub async fn manifest(&self, tenant: &str, job_id: &str) -> Result<Option<Bytes>, VaultError> {
        match self
            .store
            .get(&Self::export(tenant, job_id)?.join(MANIFEST))
            .await
        {
            Ok(found) => Ok(Some(found.bytes().await?)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Takes a published export away again.
    ///
    /// # Errors
    /// The folder cannot be removed.
    pub fn retract(&self, tenant: &str, job_id: &str) -> Result<(), VaultError> {
        remove_folder(
            &self
                .root
                .join(EXPORTS)
                .join(segment(tenant)?)
                .join(segment(job_id)?),
        )
    }

    /// A file of a published export; nothing where there is none.
    ///
    /// # Errors
    /// The store refused.
    pub async fn open(
        &self,
        tenant: &str,
        job_id: &str,
        name: &str,
    ) -> Result<Option<FileReader>, VaultError> {
        match self
            .store
            .get(&Self::export(tenant, job_id)?.join(segment(name)?))
            .await
        {
            Ok(found) => {
                let bytes = found.meta.size;
                Ok(Some(FileReader {
                    bytes,
                    stream: found.into_stream().map_err(VaultError::from).boxed(),
                }))
            }
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
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

pub(crate) fn remove_folder(folder: &FsPath) -> Result<(), VaultError> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(VaultError::Folder {
            folder: folder.to_owned(),
            source: error,
        }),
        _ => Ok(()),
    }
}
