//! An export that is being written.

use std::path::{Path as FsPath, PathBuf};
use std::sync::Arc;

use data_encoding::HEXLOWER;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _, WriteMultipart};
use sha2::{Digest as _, Sha256};

use crate::manifest::FileEntry;
use crate::vault::{MANIFEST, Vault, VaultError, remove_folder, segment};

/// Parts of a file that may be on their way at once: what a slow store can make us hold.
const PARTS_IN_FLIGHT: usize = 2;

/// Files that nobody sees yet. Dropped without being published, it leaves nothing behind.
#[derive(Debug)]
pub struct Draft {
    store: Arc<dyn ObjectStore>,
    prefix: Path,
    folder: PathBuf,
}

impl Draft {
    pub(crate) fn new(store: Arc<dyn ObjectStore>, prefix: Path, folder: PathBuf) -> Self {
        Self {
            store,
            prefix,
            folder,
        }
    }

    /// Begins a file.
    ///
    /// # Errors
    /// The name cannot be one, or the store refuses.
    pub async fn file(
        &self,
        name: &str,
        media_type: &str,
        compression: &str,
    ) -> Result<FileWriter, VaultError> {
        let upload = self
            .store
            .put_multipart(&self.prefix.clone().join(segment(name)?))
            .await?;
        let entry = FileEntry {
            name: name.to_owned(),
            media_type: media_type.to_owned(),
            compression: compression.to_owned(),
            bytes: 0,
            sha256: String::new(),
        };
        Ok(FileWriter {
            upload: WriteMultipart::new(upload),
            digest: Sha256::new(),
            entry,
        })
    }

    /// Makes the export visible in the vault: its files, then its manifest.
    ///
    /// # Errors
    /// The store refused. Without the manifest there is still no export.
    pub async fn publish(
        &self,
        tenant: &str,
        job_id: &str,
        files: &[FileEntry],
        manifest: &[u8],
    ) -> Result<(), VaultError> {
        let export = Vault::export(tenant, job_id)?;
        // The manifest of an earlier attempt must never speak for the files of this one.
        match self.store.delete(&export.clone().join(MANIFEST)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        for file in files {
            let name = file.name.as_str();
            self.store
                .rename(&self.prefix.clone().join(name), &export.clone().join(name))
                .await?;
        }
        self.store
            .put(&export.join(MANIFEST), manifest.to_vec().into())
            .await?;
        Ok(())
    }

    /// Where the draft's files lie.
    pub(crate) fn folder(&self) -> &FsPath {
        &self.folder
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // What cannot be removed now is swept at the next start.
        let _ = remove_folder(&self.folder);
    }
}

/// A file that is being written.
pub struct FileWriter {
    upload: WriteMultipart,
    digest: Sha256,
    entry: FileEntry,
}

impl std::fmt::Debug for FileWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("FileWriter").field(&self.entry).finish()
    }
}

impl FileWriter {
    /// Appends bytes.
    ///
    /// # Errors
    /// The store refused.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), VaultError> {
        self.upload.wait_for_capacity(PARTS_IN_FLIGHT).await?;
        self.digest.update(bytes);
        self.entry.bytes += bytes.len() as u64;
        self.upload.write(bytes);
        Ok(())
    }

    /// Ends the file.
    ///
    /// # Errors
    /// The store refused.
    pub async fn finish(mut self) -> Result<FileEntry, VaultError> {
        self.upload.finish().await?;
        self.entry.sha256 = HEXLOWER.encode(&self.digest.finalize());
        Ok(self.entry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_export_is_visible_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let vault = Vault::local(folder.path()).unwrap();
        let draft = vault.draft("exp_1.1").unwrap();
        let mut writer = draft.file("users.csv", "text/csv", "none").await.unwrap();
        writer.write(b"user_id\r\n").await.unwrap();
        let entry = writer.finish().await.unwrap();
        assert_eq!(entry.bytes, 9);
        assert!(vault.open("acme", "exp_1", "users.csv").await.unwrap().is_none());
        draft.publish("acme", "exp_1", &[entry], b"{}").await.unwrap();
        assert_eq!(
            vault
                .open("acme", "exp_1", "users.csv")
                .await
                .unwrap()
                .unwrap()
                .bytes,
            9
        );
        assert!(vault.manifest("acme", "exp_1").await.unwrap().is_some());
    }

    #[tokio::test]
    async fn a_draft_that_is_dropped_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let vault = Vault::local(folder.path()).unwrap();
        let draft = vault.draft("exp_1.1").unwrap();
        let mut writer = draft.file("users.csv", "text/csv", "none").await.unwrap();
        writer.write(&[0; 100_000]).await.unwrap();
        drop(writer);
        drop(draft);
        assert_eq!(
            std::fs::read_dir(folder.path().join("drafts")).unwrap().count(),
            0
        );
    }

    #[tokio::test]
    async fn names_cannot_lead_out_of_the_vault() {
        let folder = tempfile::tempdir().unwrap();
        let vault = Vault::local(folder.path()).unwrap();
        for name in ["..", ".", "", "a/b", "a%2fb", "a\\b", "a\0"] {
            assert!(vault.draft(name).is_err(), "{name:?}");
            assert!(vault.open("acme", "exp_1", name).await.is_err(), "{name:?}");
        }
    }

    #[test]
    fn drafts_of_the_dead_are_swept() {
        let folder = tempfile::tempdir().unwrap();
        let vault = Vault::local(folder.path()).unwrap();
        for id in ["exp_1.1", "exp_2.1"] {
            std::fs::create_dir_all(folder.path().join("drafts").join(id)).unwrap();
        }
        assert_eq!(vault.sweep_drafts(|id| id == "exp_2.1").unwrap(), 1);
        assert!(folder.path().join("drafts/exp_2.1").exists());
    }
}
