//! A vault and what it lies in.

use std::path::{Path, PathBuf};

use exeat_test_servers::s3::S3Server;
use exeat_vault::{Attempt, ComponentStore, Draft, FileEntry, StoreUrl, Vault};
use futures::{StreamExt as _, TryStreamExt as _};
use sha2::{Digest as _, Sha256};

pub(crate) struct House {
    pub(crate) url: StoreUrl,
    pub(crate) vault: Vault,
    under: Under,
}

enum Under {
    Folder(tempfile::TempDir),
    S3(S3Server),
}

impl House {
    pub(crate) fn local() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = StoreUrl::folder(folder.path());
        Self {
            vault: Vault::open(&url).unwrap(),
            url,
            under: Under::Folder(folder),
        }
    }

    pub(crate) fn s3() -> Self {
        Self::on(S3Server::start())
    }

    pub(crate) fn on(server: S3Server) -> Self {
        let url: StoreUrl = server.url("some/prefix").parse().unwrap();
        let url = url.with_options(server.env());
        Self {
            vault: Vault::open(&url).unwrap(),
            url,
            under: Under::S3(server),
        }
    }

    pub(crate) fn server(&self) -> &S3Server {
        match &self.under {
            Under::S3(server) => server,
            Under::Folder(_) => panic!("a folder has no server"),
        }
    }

    pub(crate) fn is_local(&self) -> bool {
        matches!(self.under, Under::Folder(_))
    }

    pub(crate) fn components(&self) -> ComponentStore {
        ComponentStore::open(&self.url).unwrap()
    }

    /// All that lies in the store, files that are being written, folders and uploads included.
    pub(crate) fn everything(&self) -> Vec<String> {
        match &self.under {
            Under::Folder(folder) => {
                let mut found: Vec<_> = walk(folder.path())
                    .into_iter()
                    .map(|path| path.strip_prefix(folder.path()).unwrap().display().to_string())
                    .collect();
                found.sort();
                found
            }
            Under::S3(server) => {
                let uploads = server.incomplete_uploads();
                server
                    .objects()
                    .into_iter()
                    .map(|key| key.trim_start_matches("some/prefix/").to_owned())
                    .chain(uploads.into_iter().map(|id| format!("upload {id}")))
                    .collect()
            }
        }
    }

    pub(crate) async fn attempts(&self) -> Vec<Attempt> {
        let mut attempts: Vec<_> = self.vault.attempts().try_collect().await.unwrap();
        attempts.sort();
        attempts
    }

    /// The bytes of a file.
    pub(crate) async fn bytes(&self, job_id: &str, attempt: i64, file: &str) -> Option<Vec<u8>> {
        let reader = self
            .vault
            .read("acme", job_id, attempt, file, None)
            .await
            .unwrap()?;
        assert_eq!(reader.bytes, reader.file_bytes);
        let bytes = reader
            .stream
            .map(|piece| piece.unwrap())
            .fold(Vec::new(), |mut bytes, piece| {
                bytes.extend_from_slice(&piece);
                std::future::ready(bytes)
            })
            .await;
        assert_eq!(reader.bytes, bytes.len() as u64);
        Some(bytes)
    }

    /// Writes and publishes an export of one file.
    pub(crate) async fn export(&self, tenant: &str, job_id: &str, attempt: i64) -> FileEntry {
        let draft = self.vault.draft(tenant, job_id, attempt).unwrap();
        let entry = write(&draft, "users.csv", b"user_id\r\n").await;
        draft.publish(b"{}").await.unwrap();
        entry
    }
}

/// Writes a file, and looks whether its entry is true.
pub(crate) async fn write(draft: &Draft, name: &str, bytes: &[u8]) -> FileEntry {
    let mut writer = draft.file(name, "text/csv", "none").await.unwrap();
    // Of sizes that no part is a multiple of.
    for piece in bytes.chunks(77_777) {
        writer.write(piece).await.unwrap();
    }
    let entry = writer.finish().await.unwrap();
    assert_eq!(
        (entry.bytes, entry.sha256.as_str()),
        (bytes.len() as u64, digest(bytes).as_str())
    );
    entry
}

pub(crate) fn digest(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(&Sha256::digest(bytes))
}

/// Bytes that differ from place to place.
pub(crate) fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33) as u8
    })
    .take(length)
    .collect()
}

pub(crate) fn attempt(tenant: &str, job_id: &str, attempt: i64) -> Attempt {
    Attempt {
        tenant: tenant.to_owned(),
        job_id: job_id.to_owned(),
        attempt,
    }
}

pub(crate) fn walk(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(walk(&path));
        }
        found.push(path);
    }
    found
}
