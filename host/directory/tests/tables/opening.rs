//! Opening a database, alone and all at once.

use std::time::{Duration, Instant};

use exeat_directory::audit;
use exeat_directory::jobs::{Kept, new_job_id};
use exeat_directory::plugins::{Deletion, PluginState};
use exeat_directory::{DatabaseUrl, Directory};
use sqlx::Connection as _;
use tokio::task::JoinSet;

use crate::both::{TestDatabase, record};

on_both! {
    a_fresh_database_can_be_opened_by_many_at_once,
    what_was_written_is_there_when_it_is_opened_again,
    a_zero_byte_names_nothing,
}

async fn a_fresh_database_can_be_opened_by_many_at_once(database: TestDatabase) {
    for round in 0..3 {
        let fresh = match database.url() {
            DatabaseUrl::Sqlite(_) => Directory::in_folder(&database.folder().join(round.to_string())),
            DatabaseUrl::Postgres(_) => TestDatabase::postgres().url().clone(),
        };
        let mut openers = JoinSet::new();
        for _ in 0..4 {
            let fresh = fresh.clone();
            openers.spawn(async move { Directory::open(&fresh).await });
        }
        for opened in openers.join_all().await {
            let directory = opened.unwrap();
            directory.ensure_tenant("acme").await.unwrap();
            assert_eq!(directory.tenant_names().await.unwrap(), ["acme"]);
        }
    }
}

async fn what_was_written_is_there_when_it_is_opened_again(database: TestDatabase) {
    let (directory, acme, _) = database.with_tenants().await;
    directory.record(&acme, &record(audit::DOWNLOAD)).await.unwrap();
    directory.close().await;
    assert!(Directory::exists(database.url()));
    let again = database.open().await;
    assert_eq!(again.tenant("acme").await.unwrap(), acme);
    assert_eq!(again.audit(&acme, 10).await.unwrap().len(), 1);
}

/// PostgreSQL has no text with a zero byte in it: whoever asks for one is told that there is none.
async fn a_zero_byte_names_nothing(database: TestDatabase) {
    let (directory, acme, _) = database.with_tenants().await;
    let audited = record(audit::BULK_EXPORT_CANCELLED);
    let wrong = format!("{}\0", new_job_id());
    assert!(directory.job(&acme, &wrong).await.unwrap().is_none());
    let cancelled = directory.cancel_job(&acme, &wrong, "token:ops", &audited).await;
    assert_eq!(cancelled.unwrap(), None);
    let held = directory.hold_files(&acme, &wrong, None, &audited).await;
    assert_eq!(held.unwrap(), Kept::NoFiles);
    assert!(!directory.owns_files(&wrong, 1).await.unwrap());
    assert!(!directory.revoke_token(&acme, &wrong).await.unwrap());
    for (name, version) in [(wrong.as_str(), "1.0.0"), ("mask", wrong.as_str())] {
        assert_eq!(directory.plugin(&acme, name, version).await.unwrap(), None);
        let deleted = directory.delete_plugin(&acme, name, version, &audited).await;
        assert_eq!(deleted.unwrap(), Deletion::NotFound);
        let to = PluginState::Disabled;
        let set = directory
            .set_plugin_state(&acme, name, version, &[PluginState::Admitted], to, None, &audited)
            .await;
        assert!(!set.unwrap());
    }
    assert_eq!(directory.latest_plugin(&acme, &wrong).await.unwrap(), None);
    assert_eq!(directory.plugin_by_digest(&acme, &wrong).await.unwrap(), None);
    assert!(
        directory
            .plugin_limits(&acme, &wrong)
            .await
            .unwrap()
            .plugin
            .is_none()
    );
    assert!(
        directory
            .plugin_log(&acme, &wrong, None, 10)
            .await
            .unwrap()
            .is_empty()
    );
    assert!(directory.plugin_metrics(&acme, &wrong).await.unwrap().is_none());
    assert!(!directory.is_component_needed(&wrong).await.unwrap());
}

#[tokio::test]
async fn a_sqlite_file_that_somebody_writes_to_can_be_opened() {
    let database = TestDatabase::sqlite();
    database.open().await.close().await;
    let mut writer = database.sqlite_connection().await;
    let writing = writer.begin_with("BEGIN IMMEDIATE").await.unwrap();
    let asked = Instant::now();
    let directory = database.open().await;
    assert!(directory.tenant_names().await.unwrap().is_empty());
    assert!(asked.elapsed() < Duration::from_secs(10));
    writing.rollback().await.unwrap();
}

/// A folder may have any name, also one that means something in a URL.
#[tokio::test]
async fn a_sqlite_file_may_lie_in_any_folder() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["with a space", "100%25?x=1#top", "ünïcode", "a&b+c"] {
        let file = folder.path().join(name).join("exeat.db");
        let directory = Directory::open(&DatabaseUrl::Sqlite(file.clone())).await.unwrap();
        directory.ensure_tenant("acme").await.unwrap();
        directory.close().await;
        assert!(file.is_file(), "{name}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 4);
}
