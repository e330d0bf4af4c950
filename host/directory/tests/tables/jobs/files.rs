//! How long files are kept.

use std::time::Duration;

use exeat_directory::audit;
use exeat_directory::jobs::{Job, Kept, Priority, Removal};

use super::{AT_ONCE, Office, complete, of_job};
use crate::both::{LONG, TestDatabase};

on_both! {
    files_expire_when_their_time_is_over_the_oldest_first,
    files_are_removed_once,
    files_that_are_held_neither_expire_nor_go,
    files_belong_to_a_running_attempt_or_to_a_completed_export,
}

async fn expired(office: &Office, limit: u32) -> Vec<String> {
    // What expires now has expired a tick later.
    tokio::time::sleep(Duration::from_millis(5)).await;
    let expired = office.directory.expired_jobs(limit).await.unwrap();
    expired.into_iter().map(|job| job.job_id).collect()
}

async fn remove(office: &Office, job: &Job) -> Removal {
    let audited = of_job(audit::BULK_EXPORT_PURGED, job);
    office.directory.remove_files(job, &audited).await.unwrap()
}

async fn hold(office: &Office, job: &Job, held_by: Option<&str>) -> Kept {
    let audited = of_job(audit::BULK_EXPORT_HELD, job);
    let kept = office
        .directory
        .hold_files(&job.tenant, &job.job_id, held_by, &audited)
        .await;
    kept.unwrap()
}

async fn files_expire_when_their_time_is_over_the_oldest_first(database: TestDatabase) {
    let office = Office::new(database).await;
    let mut old = Vec::new();
    for _ in 0..3 {
        old.push(office.completed(Duration::ZERO).await.job_id);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let young = office.completed(LONG).await;
    let running = office.running(LONG).await;
    assert_eq!(expired(&office, 10).await, old);
    assert_eq!(expired(&office, 2).await, old[..2]);
    assert!(young.expires_at > young.finished_at);
    assert_eq!(running.expires_at, None);
}

async fn files_are_removed_once(database: TestDatabase) {
    let office = Office::new(database).await;
    let running = office.running(LONG).await;
    assert_eq!(remove(&office, &running).await, Removal::NoFiles);
    let job = office.completed(Duration::ZERO).await;
    assert_eq!(remove(&office, &job).await, Removal::Removed);
    assert_eq!(remove(&office, &job).await, Removal::NoFiles);
    let gone = office.job(&job).await;
    assert!(gone.purged_at.is_some() && !gone.has_files());
    assert!(gone.manifest.is_some(), "the record stays");
    assert!(expired(&office, 10).await.is_empty());
    assert_eq!(hold(&office, &job, Some("token:legal")).await, Kept::NoFiles);
    // Before its time is over, too, where somebody asks for it.
    let young = office.completed(LONG).await;
    assert_eq!(remove(&office, &young).await, Removal::Removed);
    let expected = [
        audit::BULK_EXPORT_PURGED,
        audit::BULK_EXPORT,
        audit::BULK_EXPORT_PURGED,
        audit::BULK_EXPORT,
    ];
    assert_eq!(office.audited().await, expected);
}

async fn files_that_are_held_neither_expire_nor_go(database: TestDatabase) {
    let office = Office::new(database).await;
    let job = office.completed(Duration::ZERO).await;
    assert_eq!(hold(&office, &job, None).await, Kept::Already);
    assert_eq!(hold(&office, &job, Some("token:legal")).await, Kept::Recorded);
    assert_eq!(hold(&office, &job, Some("token:other")).await, Kept::Already);
    assert_eq!(office.job(&job).await.held_by.as_deref(), Some("token:legal"));
    assert!(expired(&office, 10).await.is_empty());
    assert_eq!(remove(&office, &job).await, Removal::Held);
    assert!(office.job(&job).await.has_files());
    let elsewhere = office
        .directory
        .hold_files(
            &office.globex,
            &job.job_id,
            None,
            &of_job(audit::BULK_EXPORT_RELEASED, &job),
        )
        .await;
    assert_eq!(elsewhere.unwrap(), Kept::NoFiles, "it is another tenant's");

    assert_eq!(hold(&office, &job, None).await, Kept::Recorded);
    assert_eq!(expired(&office, 10).await, std::slice::from_ref(&job.job_id));
    assert_eq!(remove(&office, &job).await, Removal::Removed);
    assert_eq!(
        office.audited().await.len(),
        4,
        "completed, held, lifted, removed"
    );
}

async fn files_belong_to_a_running_attempt_or_to_a_completed_export(database: TestDatabase) {
    let office = Office::new(database).await;
    let owns = async |job: &Job, attempt: i64| {
        let owned = office.directory.owns_files(&job.job_id, attempt).await;
        owned.unwrap()
    };
    let first = office.running(LONG).await;
    assert!(owns(&first, 1).await);
    assert!(!owns(&first, 2).await);
    assert!(office.directory.return_job(&first, AT_ONCE).await.unwrap());
    assert!(!owns(&first, 1).await, "it will begin anew");
    let second = office.claim().await.unwrap();
    assert!(!owns(&first, 1).await);
    assert!(owns(&second, 2).await);
    assert!(complete(&office.directory, &second).await);
    assert!(owns(&second, 2).await);
    assert!(!owns(&second, 1).await);
    remove(&office, &second).await;
    assert!(!owns(&second, 2).await);

    let failed = office.running(LONG).await;
    assert!(super::fail(&office.directory, &failed).await);
    assert!(!owns(&failed, 1).await);
    let job_id = office.queue(&office.acme, Priority::Normal).await;
    assert!(!office.directory.owns_files(&job_id, 0).await.unwrap());
}
