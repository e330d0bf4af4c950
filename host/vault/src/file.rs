//! A file of an export that is being written.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use data_encoding::HEXLOWER;
use object_store::multipart::{MultipartStore, PartId};
use object_store::path::Path;
use object_store::{MultipartId, MultipartUpload, ObjectStoreExt as _, PutPayload};
use sha2::{Digest as _, Sha256};
use tokio::task::JoinSet;

use crate::error::{VaultError, failed};
use crate::manifest::FileEntry;
use crate::store::Store;

/// What cannot be done when a file cannot be written.
pub(crate) const STORING: &str = "the export cannot be stored";

/// Folder of the markers in an attempt's prefix; no file can have its name.
pub(crate) const MARKERS: &str = ".uploads";

/// Size of a part of an upload. A bucket takes 10,000 parts of a file, so a file may have 78 GiB.
const PART_BYTES: usize = 8 << 20;

/// Size of a piece that is written to a local folder at once.
const LOCAL_PART_BYTES: usize = 1 << 20;

/// Size from which a piece is written to a local folder as it is.
const LOCAL_PIECE_BYTES: usize = 128 << 10;

/// Parts of a file that may be on their way at once: what a slow store can make us hold, besides
/// the part that is being filled.
const PARTS_IN_FLIGHT: usize = 2;

/// A file that is being written. It is not visible before it is finished, and never if it is
/// dropped.
///
/// A file of at most one part is put at once. A larger one is an upload in parts. To a bucket, a
/// small object beside it keeps the upload's id from before the first part until the file is
/// there: what was cut off still costs, and nothing else could find it. A process that dies
/// between the store's making of the upload and that object leaves an upload that only the
/// bucket's lifecycle rule for incomplete uploads removes.
pub struct FileWriter {
    store: Store,
    path: Path,
    buffer: Vec<u8>,
    upload: Option<Upload>,
    digest: Sha256,
    entry: FileEntry,
}

impl std::fmt::Debug for FileWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("FileWriter").field(&self.entry).finish()
    }
}

impl FileWriter {
    pub(crate) fn new(store: Store, path: Path, entry: FileEntry) -> Self {
        Self {
            store,
            path,
            buffer: Vec::new(),
            upload: None,
            digest: Sha256::new(),
            entry,
        }
    }

    /// Appends bytes. Waits while the store is slower than the writer.
    ///
    /// # Errors
    /// The store refused.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), VaultError> {
        self.digest.update(bytes);
        self.entry.bytes += bytes.len() as u64;
        let part_bytes = match self.store.uploads {
            Some(_) => PART_BYTES,
            None => LOCAL_PART_BYTES,
        };
        let mut rest = bytes;
        while !rest.is_empty() {
            if self.buffer.len() == part_bytes {
                self.send_buffer().await.map_err(failed(STORING))?;
            }
            let (now, later) = rest.split_at(rest.len().min(part_bytes - self.buffer.len()));
            self.buffer.extend_from_slice(now);
            rest = later;
        }
        Ok(())
    }

    /// The same, for bytes that need not be copied. A piece that is large enough goes to a folder as
    /// it is; a bucket wants parts of one size.
    ///
    /// # Errors
    /// The store refused.
    pub async fn write_piece(&mut self, piece: Bytes) -> Result<(), VaultError> {
        if self.store.uploads.is_some() || piece.len() < LOCAL_PIECE_BYTES {
            return self.write(&piece).await;
        }
        self.digest.update(&piece);
        self.entry.bytes += piece.len() as u64;
        if !self.buffer.is_empty() {
            self.send_buffer().await.map_err(failed(STORING))?;
        }
        self.send(piece).await.map_err(failed(STORING))
    }

    /// Ends the file: it is there, whole.
    ///
    /// # Errors
    /// The store refused.
    pub async fn finish(mut self) -> Result<FileEntry, VaultError> {
        self.end().await.map_err(failed(STORING))?;
        self.entry.sha256 = HEXLOWER.encode(&self.digest.finalize());
        Ok(self.entry)
    }

    async fn end(&mut self) -> object_store::Result<()> {
        if self.upload.is_none() {
            let bytes = std::mem::take(&mut self.buffer).into();
            return self.store.put(&self.path, bytes).await;
        }
        if !self.buffer.is_empty() {
            self.send_buffer().await?;
        }
        let Some(upload) = self.upload.take() else {
            return Ok(());
        };
        upload.complete(&self.store, &self.path, self.entry.bytes).await
    }

    /// Sends what is buffered as a part.
    async fn send_buffer(&mut self) -> object_store::Result<()> {
        let part = Bytes::from(std::mem::take(&mut self.buffer));
        self.send(part).await
    }

    async fn send(&mut self, part: Bytes) -> object_store::Result<()> {
        let upload = match &mut self.upload {
            Some(upload) => upload,
            none => none.insert(Upload::begin(&self.store, &self.path).await?),
        };
        upload.send(&self.path, part).await
    }
}

/// An upload in parts.
struct Upload {
    to: Receiver,
    parts: usize,
    sending: JoinSet<object_store::Result<Option<(usize, PartId)>>>,
    sent: BTreeMap<usize, PartId>,
}

enum Receiver {
    Folder(Box<dyn MultipartUpload>),
    Bucket {
        uploads: Arc<dyn MultipartStore>,
        id: MultipartId,
    },
}

impl Upload {
    async fn begin(store: &Store, path: &Path) -> object_store::Result<Self> {
        let to = match &store.uploads {
            None => Receiver::Folder(store.begin(path).await?),
            Some(uploads) => {
                let id = uploads.create_multipart(path).await?;
                if let Err(error) = store.put(&marker_of(path), id.clone().into()).await {
                    // Nothing else knows of the upload.
                    let _ = uploads.abort_multipart(path, &id).await;
                    return Err(error);
                }
                Receiver::Bucket {
                    uploads: Arc::clone(uploads),
                    id,
                }
            }
        };
        Ok(Self {
            to,
            parts: 0,
            sending: JoinSet::new(),
            sent: BTreeMap::new(),
        })
    }

    async fn send(&mut self, path: &Path, part: Bytes) -> object_store::Result<()> {
        while self.sending.len() >= PARTS_IN_FLIGHT {
            self.wait().await?;
        }
        let index = self.parts;
        self.parts += 1;
        let payload = PutPayload::from(part);
        match &mut self.to {
            Receiver::Folder(upload) => {
                let part = upload.put_part(payload);
                self.sending.spawn(async move {
                    part.await?;
                    Ok(None)
                });
            }
            Receiver::Bucket { uploads, id } => {
                let (uploads, path, id) = (Arc::clone(uploads), path.clone(), id.clone());
                self.sending.spawn(async move {
                    let part = uploads.put_part(&path, &id, index, payload).await?;
                    Ok(Some((index, part)))
                });
            }
        }
        Ok(())
    }

    /// Waits for a part that is on its way.
    async fn wait(&mut self) -> object_store::Result<()> {
        if let Some(part) = self.sending.join_next().await {
            self.sent.extend(part??);
        }
        Ok(())
    }

    async fn complete(mut self, store: &Store, path: &Path, bytes: u64) -> object_store::Result<()> {
        while !self.sending.is_empty() {
            self.wait().await?;
        }
        let (uploads, id) = match &mut self.to {
            Receiver::Folder(upload) => {
                upload.complete().await?;
                return Ok(());
            }
            Receiver::Bucket { uploads, id } => (uploads, id),
        };
        let parts = self.sent.into_values().collect();
        match uploads.complete_multipart(path, id, parts).await {
            // The answer to an earlier try may have been lost: then the upload is over and the file
            // is there.
            Err(error @ object_store::Error::NotFound { .. }) => match store.objects.head(path).await {
                Ok(found) if found.size == bytes => {}
                _ => return Err(error),
            },
            completed => {
                completed?;
            }
        }
        // One that stays names an upload that is over, which does no harm.
        let _ = store.delete(vec![marker_of(path)]).await;
        Ok(())
    }
}

/// The object that keeps the id of a file's upload.
fn marker_of(path: &Path) -> Path {
    let mut parts: Vec<_> = path.parts().collect();
    let name = parts.pop();
    Path::from_iter(parts)
        .join(MARKERS)
        .join(name.unwrap_or_default())
}

/// The file whose upload a marker keeps; nothing of a path that is no marker's.
pub(crate) fn marked_by(path: &Path) -> Option<Path> {
    let mut parts: Vec<_> = path.parts().collect();
    let name = parts.pop()?;
    let folder = parts.pop()?;
    (folder.as_ref() == MARKERS).then(|| Path::from_iter(parts).join(name))
}
