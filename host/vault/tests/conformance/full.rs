//! Promises about a disk that is full: a real one, of a few MiB of memory.

use std::path::Path;
use std::process::Command;

use exeat_test_servers::s3::S3Server;
use exeat_vault::{StoreFault, StoreUrl, Vault};

use crate::house::{House, noise, walk, write};

struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mounted() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=4m", "tmpfs"])
            .arg(folder.path())
            .output();
        let mounted = mount.as_ref().is_ok_and(|mount| mount.status.success());
        assert!(
            mounted,
            "this test needs to mount a tmpfs: run it as root, or in a container with CAP_SYS_ADMIN ({mount:?})"
        );
        Self(folder)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.path()).status();
    }
}

#[tokio::test]
async fn a_full_disk_fails_the_export_and_is_as_it_was() {
    let disk = SmallDisk::mounted();
    let vault = Vault::open(&StoreUrl::folder(disk.path())).unwrap();
    let draft = vault.draft("acme", "exp_1", 1).unwrap();
    write(&draft, "groups.csv", &noise(1 << 20, 1)).await;
    let mut writer = draft.file("users.csv", "text/csv", "none").await.unwrap();
    let error = match writer.write(&noise(8 << 20, 2)).await {
        Ok(()) => writer.finish().await.unwrap_err(),
        Err(error) => {
            drop(writer);
            error
        }
    };
    assert_eq!(error.fault(), StoreFault::NoSpace, "{error:?}");
    assert!(!error.is_transient());
    assert_eq!(
        error.to_string(),
        "the export cannot be stored: No space left on device (os error 28)"
    );
    drop(draft);
    assert!(walk(disk.path()).is_empty());

    let draft = vault.draft("acme", "exp_1", 2).unwrap();
    write(&draft, "users.csv", &noise(3 << 20, 3)).await;
    draft.publish(b"{}").await.unwrap();
    assert!(vault.manifest("acme", "exp_1", 2).await.unwrap().is_some());
}

#[tokio::test]
async fn a_manifest_for_which_there_is_no_space_makes_no_export() {
    let disk = SmallDisk::mounted();
    let vault = Vault::open(&StoreUrl::folder(disk.path())).unwrap();
    let draft = vault.draft("acme", "exp_1", 1).unwrap();
    write(&draft, "users.csv", &noise((4 << 20) - 8_192, 1)).await;
    let error = draft.publish(&noise(100_000, 2)).await.unwrap_err();
    assert_eq!(error.fault(), StoreFault::NoSpace, "{error:?}");
    assert!(vault.manifest("acme", "exp_1", 1).await.unwrap().is_none());
}

#[tokio::test]
async fn a_server_whose_disk_is_full_fails_the_export_and_shows_nothing() {
    let disk = SmallDisk::mounted();
    let house = House::on(S3Server::start_in(disk.path(), 0));
    let draft = house.vault.draft("acme", "exp_1", 1).unwrap();
    let mut writer = draft.file("users.csv", "text/csv", "none").await.unwrap();
    writer.write(&noise(6 << 20, 1)).await.unwrap();
    let error = writer.finish().await.unwrap_err();
    assert_eq!(error.fault(), StoreFault::Unavailable, "{error:?}");
    assert!(error.to_string().contains("500 InternalError"), "{error}");
    assert!(house.bytes("exp_1", 1, "users.csv").await.is_none());
    draft.discard().await.unwrap();
    assert_eq!(house.everything(), [""; 0]);
}
