//! Exports that go straight to a path of the user's.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::draft::Draft;
use crate::error::VaultError;
use crate::manifest::FileEntry;
use crate::vault::{MANIFEST, Vault};

/// Where an export is to lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// One file, with its manifest beside it: `users.csv`, `users.csv.manifest.json`.
    File(PathBuf),
    /// A folder of files with a `manifest.json`.
    Folder(PathBuf),
}

impl Target {
    /// The path itself.
    pub fn path(&self) -> &Path {
        match self {
            Self::File(path) | Self::Folder(path) => path,
        }
    }

    /// Where the manifest will lie.
    pub fn manifest(&self) -> PathBuf {
        match self {
            Self::File(path) => {
                let mut name = path.as_os_str().to_owned();
                name.push(".manifest.json");
                name.into()
            }
            Self::Folder(path) => path.join(MANIFEST),
        }
    }

    /// A hidden vault on the same file system, so that delivering is renaming.
    ///
    /// # Errors
    /// The folder that the target lies in does not exist or cannot be written to, or the target
    /// is of the wrong kind, or (a folder) holds something already.
    pub fn staging(&self, job_id: &str) -> Result<(Vault, PathBuf), VaultError> {
        self.check()?;
        let parent = match self.path().parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        if !parent.is_dir() {
            return Err(self.refuse(format!(
                "lies in a folder that does not exist: create {} first",
                parent.display()
            )));
        }
        let staging = parent.join(format!(".exeat-{job_id}"));
        Ok((Vault::local(&staging)?, staging))
    }

    fn check(&self) -> Result<(), VaultError> {
        match self {
            Self::File(path) if path.is_dir() => {
                Err(self.refuse("is a folder: name a file in it, such as users.csv".to_owned()))
            }
            Self::Folder(path) if path.exists() => match std::fs::read_dir(path)
                .map(|mut entries| entries.next())
            {
                Ok(None) => Ok(()),
                Ok(Some(_)) => {
                    Err(self.refuse("is not empty: name a new folder, or empty this one first".to_owned()))
                }
                Err(_) => {
                    Err(self.refuse("is a file: an adapter writes several files into a folder".to_owned()))
                }
            },
            _ => Ok(()),
        }
    }

    fn refuse(&self, reason: String) -> VaultError {
        VaultError::Target {
            path: self.path().to_owned(),
            reason,
        }
    }
}

impl Target {
    /// The files under the names that they will have at the target. The first is the export; what
    /// lies beside a single file is called after it.
    pub fn named(&self, files: &[FileEntry]) -> Vec<FileEntry> {
        let Self::File(path) = self else {
            return files.to_vec();
        };
        let export = path.file_name().unwrap_or_default().to_string_lossy();
        let names = files.iter().enumerate().map(|(index, file)| match index {
            0 => export.clone().into_owned(),
            _ => format!("{export}.{}", file.name),
        });
        names
            .zip(files)
            .map(|(name, file)| FileEntry { name, ..file.clone() })
            .collect()
    }

    /// Takes a delivered export away again: its manifest, then its files.
    pub fn retract(&self, named: &[FileEntry]) {
        // What cannot be removed is no export any more once its manifest is gone.
        let _ = std::fs::remove_file(self.manifest());
        named.iter().for_each(|file| {
            let _ = std::fs::remove_file(self.place(file));
        });
    }

    fn place(&self, named: &FileEntry) -> PathBuf {
        match self {
            Self::File(path) => path.with_file_name(&named.name),
            Self::Folder(path) => path.join(&named.name),
        }
    }
}

impl Draft {
    /// Makes the export visible at the target: its files, then its manifest. A file of the same
    /// name is replaced; its old manifest goes first, so that it never seems to speak for the new.
    ///
    /// # Errors
    /// The target cannot be written; then what was moved there is taken away again. Or the draft
    /// is not in a [staging](Target::staging) folder.
    pub fn deliver(&self, target: &Target, files: &[FileEntry], manifest: &[u8]) -> Result<(), VaultError> {
        let named = target.named(files);
        let folder = self.folder().ok_or_else(|| {
            target.refuse("lies in no folder that an object store could rename into".to_owned())
        })?;
        let staged = folder.join(MANIFEST);
        std::fs::write(&staged, manifest).map_err(failed(&staged))?;
        if let Target::Folder(path) = target {
            match std::fs::create_dir(path) {
                Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(failed(path)(error)),
                _ => {}
            }
        }
        let old = target.manifest();
        match std::fs::remove_file(&old) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed(&old)(error)),
            _ => {}
        }
        for (moved, (file, named_file)) in files.iter().zip(&named).enumerate() {
            let to = target.place(named_file);
            if let Err(error) = std::fs::rename(folder.join(&file.name), &to) {
                target.retract(&named[..moved]);
                return Err(failed(&to)(error));
            }
        }
        std::fs::rename(&staged, &old).map_err(|error| {
            target.retract(&named);
            failed(&old)(error)
        })
    }
}

fn failed(path: &Path) -> impl FnOnce(std::io::Error) -> VaultError {
    let folder = path.to_owned();
    move |source| VaultError::Folder { folder, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_is_delivered_with_its_manifest_and_nothing_else_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let target = Target::File(folder.path().join("my users #1.csv"));
        let (vault, staging) = target.staging("exp_1").unwrap();
        let draft = vault.draft("acme", "exp_1", 1).unwrap();
        let mut writer = draft.file("users.csv", "text/csv", "none").await.unwrap();
        writer.write(b"user_id\r\n").await.unwrap();
        let entry = writer.finish().await.unwrap();
        assert!(!target.path().exists());
        draft.deliver(&target, &[entry], b"{}").unwrap();
        drop(draft);
        std::fs::remove_dir_all(staging).unwrap();
        let mut left: Vec<_> = std::fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        left.sort();
        assert_eq!(left, ["my users #1.csv", "my users #1.csv.manifest.json"]);
    }

    #[test]
    fn a_target_that_cannot_be_is_refused_before_any_work() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("x"), "").unwrap();
        let refused = [
            Target::File(folder.path().to_owned()),
            Target::Folder(folder.path().to_owned()),
            Target::Folder(folder.path().join("x")),
            Target::File(folder.path().join("no/such/users.csv")),
        ];
        for target in refused {
            assert!(target.staging("exp_1").is_err(), "{target:?}");
        }
    }
}
