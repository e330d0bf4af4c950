//! A folder or a bucket, asked in the same words.

use std::fmt;
use std::io::ErrorKind;
use std::path::{Path as FsPath, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt as _, TryStreamExt as _};
use object_store::local::LocalFileSystem;
use object_store::multipart::MultipartStore;
use object_store::path::Path;
use object_store::{MultipartUpload, ObjectStore, ObjectStoreExt as _};

use crate::client;
use crate::error::{VaultError, lost_its_folder};
use crate::url::{Place, StoreUrl};

/// Tries at writing into a local folder that another thread may be removing.
const LOCAL_TRIES: usize = 5;

/// Where objects lie.
#[derive(Clone)]
pub(crate) struct Store {
    pub(crate) objects: Arc<dyn ObjectStore>,
    /// Uploads in parts; a local folder has none that outlive the process.
    pub(crate) uploads: Option<Arc<dyn MultipartStore>>,
    folder: Option<PathBuf>,
    url: StoreUrl,
}

// The clients' own `Debug` would show their settings.
impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Store({})", self.url)
    }
}

impl Store {
    pub(crate) fn open(url: &StoreUrl) -> Result<Self, VaultError> {
        let (objects, uploads, folder) = match &url.place {
            Place::Folder(folder) => (Self::local(folder)?, None, Some(folder.clone())),
            Place::Bucket {
                service,
                bucket,
                prefix,
            } => {
                let (objects, uploads) = client::connect(url, *service, bucket, prefix)?;
                (objects, Some(uploads), None)
            }
        };
        Ok(Self {
            objects,
            uploads,
            folder,
            url: url.clone(),
        })
    }

    fn local(folder: &FsPath) -> Result<Arc<dyn ObjectStore>, VaultError> {
        let unusable = |source| VaultError::Folder {
            folder: folder.to_owned(),
            source,
        };
        std::fs::create_dir_all(folder).map_err(unusable)?;
        let store = LocalFileSystem::new_with_prefix(folder)
            .map_err(|error| unusable(std::io::Error::other(error.to_string())))?;
        Ok(Arc::new(store.with_fsync(true).with_automatic_cleanup(true)))
    }

    pub(crate) fn url(&self) -> &StoreUrl {
        &self.url
    }

    /// Where a path is in the local folder, if the store is one.
    pub(crate) fn place(&self, path: &Path) -> Option<PathBuf> {
        let folder = self.folder.as_ref()?;
        Some(
            path.parts()
                .fold(folder.clone(), |place, part| place.join(part.as_ref())),
        )
    }

    /// Puts an object, whole.
    pub(crate) async fn put(&self, path: &Path, bytes: Bytes) -> object_store::Result<()> {
        let mut tries = 1;
        loop {
            match self.objects.put(path, bytes.clone().into()).await {
                Err(error) if self.may_try_again(&error, tries) => tries += 1,
                result => return result.map(drop),
            }
        }
    }

    /// Begins to write a file of a local folder.
    pub(crate) async fn begin(&self, path: &Path) -> object_store::Result<Box<dyn MultipartUpload>> {
        let mut tries = 1;
        loop {
            match self.objects.put_multipart(path).await {
                Err(error) if self.may_try_again(&error, tries) => tries += 1,
                result => return result,
            }
        }
    }

    /// A local folder is removed with the last file in it, which may be just when another file is
    /// to come there.
    fn may_try_again(&self, error: &object_store::Error, tries: usize) -> bool {
        self.folder.is_some() && tries < LOCAL_TRIES && lost_its_folder(error)
    }

    /// An object; nothing where there is none.
    pub(crate) async fn get(&self, path: &Path) -> object_store::Result<Option<Bytes>> {
        match self.objects.get(path).await {
            Ok(found) => Ok(Some(found.bytes().await?)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The objects under a prefix, in pages of the store's.
    pub(crate) fn list(&self, prefix: &Path) -> BoxStream<'static, object_store::Result<Path>> {
        self.objects
            .list(Some(prefix))
            .map_ok(|object| object.location)
            .boxed()
    }

    /// Deletes objects. Says how many of them were there, as far as the store tells.
    pub(crate) async fn delete(&self, paths: Vec<Path>) -> object_store::Result<u64> {
        let paths = futures::stream::iter(paths.into_iter().map(Ok)).boxed();
        let mut deletions = self.objects.delete_stream(paths);
        let mut deleted = 0;
        while let Some(deletion) = deletions.next().await {
            match deletion {
                Ok(_) => deleted += 1,
                Err(object_store::Error::NotFound { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(deleted)
    }

    /// Removes what a local folder keeps under a prefix, files that are being written included, and
    /// the folders above as far as they are empty. In an object store there is nothing to do.
    pub(crate) fn remove_folder(&self, prefix: &Path) -> Result<(), VaultError> {
        let (Some(root), Some(place)) = (&self.folder, self.place(prefix)) else {
            return Ok(());
        };
        match std::fs::remove_dir_all(&place) {
            Err(source) if source.kind() != ErrorKind::NotFound => {
                return Err(VaultError::Folder {
                    folder: place,
                    source,
                });
            }
            _ => {}
        }
        for above in place.ancestors().skip(1) {
            if above == root || std::fs::remove_dir(above).is_err() {
                break;
            }
        }
        Ok(())
    }
}
