//! An export that is being written.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use object_store::path::Path;

use crate::attempt::remove;
use crate::error::{VaultError, failed};
use crate::file::{FileWriter, STORING};
use crate::manifest::FileEntry;
use crate::store::Store;
use crate::vault::{MANIFEST, segment};

/// Files of one attempt that are no export yet.
///
/// Dropped without being published, a draft in a local folder leaves nothing behind. One in an
/// object store does, since dropping cannot wait: [`discard`](Self::discard) it, or leave it to
/// whoever sweeps the vault.
#[derive(Debug)]
pub struct Draft {
    store: Store,
    prefix: Path,
    published: AtomicBool,
}

impl Draft {
    pub(crate) fn new(store: Store, prefix: Path) -> Self {
        Self {
            store,
            prefix,
            published: AtomicBool::new(false),
        }
    }

    /// Begins a file. Nothing is sent before there is a part to send.
    ///
    /// # Errors
    /// The name cannot be one.
    pub async fn file(
        &self,
        name: &str,
        media_type: &str,
        compression: &str,
    ) -> Result<FileWriter, VaultError> {
        if name == MANIFEST {
            return Err(VaultError::Name(name.to_owned()));
        }
        let path = self.prefix.clone().join(segment(name)?);
        let entry = FileEntry {
            name: name.to_owned(),
            media_type: media_type.to_owned(),
            compression: compression.to_owned(),
            bytes: 0,
            sha256: String::new(),
        };
        Ok(FileWriter::new(self.store.clone(), path, entry))
    }

    /// Puts the manifest, after which the attempt is a whole export. Whether it is the job's is for
    /// the job's record to say.
    ///
    /// # Errors
    /// The store refused. The manifest may be there all the same, if only its answer was lost:
    /// discard the draft.
    pub async fn publish(&self, manifest: &[u8]) -> Result<(), VaultError> {
        let path = self.prefix.clone().join(MANIFEST);
        self.store
            .put(&path, Bytes::copy_from_slice(manifest))
            .await
            .map_err(failed(STORING))?;
        self.published.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Deletes everything of this attempt, published or not, and aborts its uploads. Its writers
    /// must be dropped before. Doing it again is fine.
    ///
    /// # Errors
    /// The store refused; what is left is the sweep's.
    pub async fn discard(&self) -> Result<(), VaultError> {
        remove(&self.store, &self.prefix).await.map(|_| ())
    }

    /// Where the draft's files lie; nothing if that is no local folder.
    pub fn folder(&self) -> Option<PathBuf> {
        self.store.place(&self.prefix)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !*self.published.get_mut() {
            // What cannot be removed now is swept later.
            let _ = self.store.remove_folder(&self.prefix);
        }
    }
}
