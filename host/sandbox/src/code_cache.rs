//! Compiled code on disk. Loading it is as good as running it, so nothing is loaded that this
//! host has not itself put there: every file carries a MAC under the host's key.

use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use wasmtime::component::Component;

use crate::compiler::CompileError;
use crate::engine::Sandbox;

const MAC_BYTES: usize = 32;
const KEY_BYTES: usize = 32;

/// A folder of compiled code, and the key under which it is trusted.
#[derive(Clone)]
pub struct CodeCache {
    folder: PathBuf,
    key: [u8; KEY_BYTES],
}

/// Shows no key.
impl std::fmt::Debug for CodeCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("CodeCache").field(&self.folder).finish()
    }
}

/// Code that this very host compiled: fresh from the compiler, or out of the cache with a sound MAC.
pub(crate) struct TrustedCode {
    bytes: Vec<u8>,
    /// Whether it came out of the cache.
    pub(crate) cached: bool,
}

impl CodeCache {
    /// A cache in a folder, with the key in a file beside it; both are created where they are
    /// missing. Only the owner can read the key.
    ///
    /// # Errors
    /// The folder or the key cannot be created or read.
    pub fn open(folder: &Path, key_file: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let key = match read_key(key_file)? {
            Some(key) => key,
            None => create_key(key_file)?,
        };
        Ok(Self {
            folder: folder.to_owned(),
            key,
        })
    }

    /// Removes the code of a component, for all engines.
    pub fn remove(&self, digest: &str) {
        let prefix = digest.trim_start_matches("sha256:");
        for entry in std::fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with(prefix) {
                // What cannot be removed is only disk space: it is never loaded for another digest.
                let _ = std::fs::remove_file(entry.path());
            }
        }
    }

    fn path(&self, digest: &str, compatibility: u64) -> PathBuf {
        let digest = digest.trim_start_matches("sha256:");
        self.folder.join(format!("{digest}-{compatibility:016x}.code"))
    }

    /// Binds the code to the component and the engine, so that no file stands in for another.
    fn mac(&self, digest: &str, compatibility: u64, code: &[u8]) -> Hmac<Sha256> {
        let mut mac = <Hmac<Sha256>>::new_from_slice(&self.key).expect("HMAC takes a key of any length");
        mac.update(b"exeat compiled code\0");
        mac.update(digest.as_bytes());
        mac.update(&[0]);
        mac.update(&compatibility.to_le_bytes());
        mac.update(code);
        mac
    }

    /// The code, if it is there and is ours. Anything else counts as missing.
    fn get(&self, digest: &str, compatibility: u64) -> Option<Vec<u8>> {
        let mut file = std::fs::read(self.path(digest, compatibility)).ok()?;
        let code_bytes = file.len().checked_sub(MAC_BYTES)?;
        let mac = file.split_off(code_bytes);
        self.mac(digest, compatibility, &file).verify_slice(&mac).ok()?;
        Some(file)
    }

    fn put(&self, digest: &str, compatibility: u64, code: &[u8]) -> io::Result<()> {
        let mut file = tempfile::NamedTempFile::new_in(&self.folder)?;
        file.write_all(code)?;
        file.write_all(&self.mac(digest, compatibility, code).finalize().into_bytes())?;
        file.persist(self.path(digest, compatibility))?;
        Ok(())
    }
}

fn read_key(file: &Path) -> io::Result<Option<[u8; KEY_BYTES]>> {
    let read = std::fs::metadata(file).and_then(|metadata| {
        if metadata.permissions().mode() & 0o077 != 0 {
            let message = format!(
                "{} can be read by others; remove it to make another",
                file.display()
            );
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        std::fs::read(file)
    });
    match read {
        Ok(bytes) => match bytes.try_into() {
            Ok(key) => Ok(Some(key)),
            Err(_) => {
                let message = format!("{} is not a host key; remove it to make another", file.display());
                Err(io::Error::new(io::ErrorKind::InvalidData, message))
            }
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn create_key(file: &Path) -> io::Result<[u8; KEY_BYTES]> {
    let mut key = [0; KEY_BYTES];
    getrandom::fill(&mut key).map_err(io::Error::other)?;
    let folder = file.parent().unwrap_or_else(|| Path::new("."));
    // A temporary file is readable by its owner alone, and appears whole under its name.
    let mut written = tempfile::NamedTempFile::new_in(folder)?;
    written.write_all(&key)?;
    written.as_file().sync_all()?;
    match written.persist_noclobber(file) {
        Ok(_) => Ok(key),
        // Another process was quicker: its key is the one.
        Err(_) => read_key(file)?.ok_or_else(|| io::Error::other("the host key cannot be created")),
    }
}

impl TrustedCode {
    /// The code of a component: out of the cache, or compiled now and kept.
    pub(crate) fn of(sandbox: &Sandbox, digest: &str, component: &[u8]) -> Result<Self, CompileError> {
        let setup = &sandbox.setup;
        let cache = setup.cache.as_ref();
        if let Some(bytes) = cache.and_then(|cache| cache.get(digest, sandbox.compatibility)) {
            return Ok(Self { bytes, cached: true });
        }
        let bytes = setup.compiler.compile(component, setup.metered)?;
        if let Some(cache) = cache {
            // A full disk costs a compilation next time, and nothing else.
            let _ = cache.put(digest, sandbox.compatibility, &bytes);
        }
        Ok(Self { bytes, cached: false })
    }

    /// Turns the code into a component that can be run.
    #[expect(unsafe_code, reason = "wasmtime takes our word that the code is its own")]
    pub(crate) fn load(&self, sandbox: &Sandbox) -> wasmtime::Result<Component> {
        // SAFETY: `deserialize` must be given bytes that wasmtime's own compiler made and that
        // nobody changed since. A `TrustedCode` is made in `of` alone: of the standard output of
        // a process that runs this program's own compiler, or of a file whose MAC, under a key
        // that only this host has, shows that it holds such output, for this component and these
        // settings. The bytes are owned, so nobody changes them while they are read. A process
        // that does not come from this program cannot get here; wasmtime itself refuses code of
        // another version or other settings.
        unsafe { Component::deserialize(&sandbox.engine, &self.bytes) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_that_this_host_did_not_put_there_is_never_found() {
        let folder = tempfile::tempdir().unwrap();
        let cache = CodeCache::open(&folder.path().join("code"), &folder.path().join("host.key")).unwrap();
        cache.put("sha256:aa", 1, b"code").unwrap();
        assert_eq!(cache.get("sha256:aa", 1).as_deref(), Some(&b"code"[..]));
        let file = cache.path("sha256:aa", 1);

        // Another component's, or another engine's.
        std::fs::copy(&file, cache.path("sha256:bb", 1)).unwrap();
        std::fs::copy(&file, cache.path("sha256:aa", 2)).unwrap();
        assert_eq!(
            (cache.get("sha256:bb", 1), cache.get("sha256:aa", 2)),
            (None, None)
        );

        // Changed, cut, emptied.
        let good = std::fs::read(&file).unwrap();
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            std::fs::write(&file, &bad).unwrap();
            assert_eq!(cache.get("sha256:aa", 1), None, "bit {bit}");
        }
        for length in 0..good.len() {
            std::fs::write(&file, &good[..length]).unwrap();
            assert_eq!(cache.get("sha256:aa", 1), None, "{length} bytes");
        }

        // Another host's key.
        std::fs::write(&file, &good).unwrap();
        let other = CodeCache::open(&folder.path().join("code"), &folder.path().join("other.key")).unwrap();
        assert_eq!(other.get("sha256:aa", 1), None);
        let again = CodeCache::open(&folder.path().join("code"), &folder.path().join("host.key")).unwrap();
        assert!(again.get("sha256:aa", 1).is_some());
    }

    #[test]
    fn the_host_key_is_its_owners_alone() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("host.key");
        CodeCache::open(folder.path(), &file).unwrap();
        assert_eq!(
            std::fs::metadata(&file).unwrap().permissions().mode() & 0o777,
            0o600
        );
        std::fs::write(&file, b"short").unwrap();
        assert!(CodeCache::open(folder.path(), &file).is_err());
    }
}
