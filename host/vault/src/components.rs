//! The bytes of plugins, each under its own digest.

use std::path::Path as FsPath;

use bytes::Bytes;
use object_store::path::Path;

use crate::error::{VaultError, failed};
use crate::store::Store;
use crate::url::StoreUrl;

const PLUGINS: &str = "plugins";
const ALGORITHM: &str = "sha256:";
const HEX_DIGITS: usize = 64;

/// Where the bytes of plugins are kept. Every file is whole: a store shows none before that, and in
/// a folder it is written under a name that no digest can be, then renamed.
#[derive(Clone, Debug)]
pub struct ComponentStore {
    store: Store,
    prefix: Path,
}

impl ComponentStore {
    /// A store under `plugins/` of a folder, which is created if it is missing, or of a bucket, of
    /// which nothing is asked yet.
    ///
    /// # Errors
    /// The folder or the settings cannot be used.
    pub fn open(url: &StoreUrl) -> Result<Self, VaultError> {
        Ok(Self {
            store: Store::open(url)?,
            prefix: Path::from(PLUGINS),
        })
    }

    /// A store in a local folder itself, which is created if it is missing.
    ///
    /// # Errors
    /// The folder cannot be used.
    pub fn local(folder: &FsPath) -> Result<Self, VaultError> {
        Ok(Self {
            store: Store::open(&StoreUrl::folder(folder))?,
            prefix: Path::default(),
        })
    }

    /// Keeps bytes under their digest, which the caller has made of them. Doing so again changes
    /// nothing.
    ///
    /// # Errors
    /// The digest is none, or the store refused; then what was there before is still there.
    pub async fn put(&self, digest: &str, bytes: Bytes) -> Result<(), VaultError> {
        let path = self.path(digest)?;
        self.store
            .put(&path, bytes)
            .await
            .map_err(failed("the plugin cannot be stored"))
    }

    /// The bytes of a digest; nothing where there are none.
    ///
    /// # Errors
    /// The digest is none, or the store refused.
    pub async fn get(&self, digest: &str) -> Result<Option<Bytes>, VaultError> {
        let path = self.path(digest)?;
        self.store
            .get(&path)
            .await
            .map_err(failed("the plugin cannot be read"))
    }

    /// Removes the bytes of a digest, if they are there.
    ///
    /// # Errors
    /// The digest is none, or the store refused.
    pub async fn remove(&self, digest: &str) -> Result<(), VaultError> {
        let path = self.path(digest)?;
        self.store
            .delete(vec![path])
            .await
            .map_err(failed("the plugin cannot be deleted"))?;
        Ok(())
    }

    fn path(&self, digest: &str) -> Result<Path, VaultError> {
        Ok(self.prefix.clone().join(file(digest)?))
    }
}

/// The file of a digest: its hexadecimal digits, which cannot lead anywhere else.
fn file(digest: &str) -> Result<String, VaultError> {
    let is_digit = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    digest
        .strip_prefix(ALGORITHM)
        .filter(|hex| hex.len() == HEX_DIGITS && hex.bytes().all(is_digit))
        .map(|hex| format!("{hex}.wasm"))
        .ok_or_else(|| VaultError::Name(digest.to_owned()))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn digest(digit: char) -> String {
        format!("sha256:{}", String::from(digit).repeat(64))
    }

    #[tokio::test]
    async fn components_come_back_as_they_were_put_until_they_are_removed() {
        let folder = tempfile::tempdir().unwrap();
        let store = ComponentStore::local(&folder.path().join("components")).unwrap();
        let bytes = Bytes::from_static(b"\0asm");
        store.put(&digest('a'), bytes.clone()).await.unwrap();
        store.put(&digest('a'), bytes.clone()).await.unwrap();
        assert_eq!(store.get(&digest('a')).await.unwrap(), Some(bytes));
        assert_eq!(store.get(&digest('b')).await.unwrap(), None);
        store.remove(&digest('a')).await.unwrap();
        store.remove(&digest('a')).await.unwrap();
        assert_eq!(store.get(&digest('a')).await.unwrap(), None);
        assert_eq!(
            std::fs::read_dir(folder.path().join("components"))
                .unwrap()
                .count(),
            0
        );
    }

    #[tokio::test]
    async fn what_is_no_digest_is_no_name() {
        let folder = tempfile::tempdir().unwrap();
        let store = ComponentStore::local(folder.path()).unwrap();
        let hex = "a".repeat(64);
        let wrong = [
            String::new(),
            "sha256:".to_owned(),
            hex.clone(),
            format!("sha512:{hex}"),
            format!("SHA256:{hex}"),
            format!("sha256:{}", "A".repeat(64)),
            format!("sha256:{}", "a".repeat(63)),
            format!("sha256:{hex}a"),
            format!("sha256:{hex}#1"),
            format!("sha256:{}/..", "a".repeat(61)),
            format!("sha256:../{}", "a".repeat(61)),
            format!("sha256:{}\0", "a".repeat(63)),
            format!("sha256:{}é", "a".repeat(62)),
        ];
        for digest in wrong {
            let refused = [
                store.put(&digest, Bytes::new()).await.err(),
                store.get(&digest).await.err(),
                store.remove(&digest).await.err(),
            ];
            for error in refused {
                assert!(
                    matches!(error, Some(VaultError::Name(_))),
                    "{digest:?}: {error:?}"
                );
            }
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_half_written_component_is_never_visible() {
        let folder = tempfile::tempdir().unwrap();
        let store = ComponentStore::local(folder.path()).unwrap();
        // What a process leaves that was killed while it wrote.
        let hex = "a".repeat(64);
        std::fs::write(folder.path().join(format!("{hex}.wasm#1")), b"\0as").unwrap();
        assert_eq!(store.get(&digest('a')).await.unwrap(), None);

        let whole = Bytes::from(vec![7; 16 << 20]);
        let writer = tokio::spawn({
            let (store, whole) = (store.clone(), whole.clone());
            async move { store.put(&digest('a'), whole).await }
        });
        while !writer.is_finished() {
            if let Some(found) = store.get(&digest('a')).await.unwrap() {
                assert!(found == whole, "{} bytes", found.len());
            }
            tokio::time::sleep(Duration::from_micros(100)).await;
        }
        writer.await.unwrap().unwrap();
        assert!(store.get(&digest('a')).await.unwrap().unwrap() == whole);
    }
}
