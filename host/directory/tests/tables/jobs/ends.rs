//! How jobs end: once, with their audit record, or not at all.

use exeat_directory::audit;
use exeat_directory::jobs::{Heartbeat, Job, JobState, NewJob, Priority};
use exeat_directory::{Directory, DirectoryError, Tenant};

use super::{AT_ONCE, DONE, LIMITS, MANIFEST, Office, complete, fail, new_job, of_job};
use crate::both::{LONG, TestDatabase};

on_both! {
    a_completed_job_says_what_was_made,
    a_failed_job_says_why,
    nothing_is_completed_whose_files_could_not_be_published,
    nothing_ends_that_cannot_be_audited,
    a_waiting_job_is_cancelled_at_once,
    a_running_job_is_cancelled_when_its_worker_has_heard,
    a_job_that_has_ended_stays_as_it_is,
    a_reason_may_hold_whatever_a_plugin_says,
    what_is_no_json_is_refused,
}

async fn a_completed_job_says_what_was_made(database: TestDatabase) {
    let office = Office::new(database).await;
    let job = office.running(LONG).await;
    let elsewhere = office.database.open().await;
    let audited = of_job(audit::BULK_EXPORT, &job);
    let publish = async {
        let seen = elsewhere
            .job(&office.acme, &job.job_id)
            .await?
            .map(|job| job.state);
        assert_eq!(
            seen,
            Some(JobState::Running),
            "nobody sees it before it is committed"
        );
        Ok::<_, DirectoryError>(())
    };
    let completed = office
        .directory
        .complete_job(&job, DONE, MANIFEST, &audited, publish)
        .await;
    assert!(completed.unwrap());
    let job = office.job(&job).await;
    assert_eq!(
        (job.state, job.manifest.as_deref()),
        (JobState::Completed, Some(MANIFEST))
    );
    assert_eq!((job.rows_total, job.rows_done, job.bytes), (Some(10), 9, 1_234));
    assert!(job.finished_at.unwrap() >= job.started_at.unwrap());
    assert!(job.expires_at.unwrap() > job.created_at);
    assert!(job.has_files() && job.error_code.is_none());
    let trail = office.directory.audit(&office.acme, 10).await.unwrap();
    assert_eq!(trail.len(), 1);
    assert_eq!(
        (trail[0].action.as_str(), trail[0].job_id.as_ref()),
        (audit::BULK_EXPORT, Some(&job.job_id))
    );
    assert!(office.claim().await.is_none());
    assert!(office.directory.running_jobs().await.unwrap().is_empty());
}

async fn a_failed_job_says_why(database: TestDatabase) {
    let office = Office::new(database).await;
    let job = office.running(LONG).await;
    assert!(fail(&office.directory, &job).await);
    let job = office.job(&job).await;
    assert_eq!(job.state, JobState::Failed);
    assert_eq!(job.error_code.as_deref(), Some("incomplete"));
    assert_eq!(job.error.as_deref(), Some("rows are missing"));
    assert!(!job.has_files() && job.expires_at.is_none() && job.finished_at.is_some());
    assert!(office.abandoned(LONG).await.is_empty());
    assert_eq!(office.audited().await, [audit::BULK_EXPORT_FAILED]);
}

async fn nothing_is_completed_whose_files_could_not_be_published(database: TestDatabase) {
    let office = Office::new(database).await;
    let job = office.running(LONG).await;
    let audited = of_job(audit::BULK_EXPORT, &job);
    let full = async { Err(DirectoryError::Corrupt("a full disk")) };
    let completed = office
        .directory
        .complete_job(&job, DONE, MANIFEST, &audited, full)
        .await;
    assert!(matches!(completed, Err(DirectoryError::Corrupt("a full disk"))));
    let after = office.job(&job).await;
    assert_eq!((after.state, after.manifest), (JobState::Running, None));
    assert!(office.audited().await.is_empty());
    let renewed = office.directory.renew_lease(&job, LONG, DONE).await;
    assert_eq!(renewed.unwrap(), Heartbeat::Ours);
    assert!(complete(&office.directory, &job).await, "it may be tried again");

    let job = office.running(LONG).await;
    assert!(fail(&office.directory, &job).await);
    let never = async { panic!("somebody else's files would be published") };
    let completed = office
        .directory
        .complete_job::<DirectoryError>(&job, DONE, MANIFEST, &audited, never)
        .await;
    assert!(!completed.unwrap());
}

async fn nothing_ends_that_cannot_be_audited(database: TestDatabase) {
    let office = Office::new(database).await;
    let (completed, job) = (office.completed(LONG).await, office.running(LONG).await);
    let waiting = office.queue(&office.acme, Priority::Normal).await;
    let directory = &office.directory;
    office.database.refuse_audit().await;
    let audited = of_job(audit::BULK_EXPORT, &job);
    let never = async { panic!("nothing is published that is not recorded") };
    let ended = directory
        .complete_job::<DirectoryError>(&job, DONE, MANIFEST, &audited, never)
        .await;
    assert!(ended.is_err());
    let ended = directory
        .end_job(&job, JobState::Failed, "x", "x", &audited)
        .await;
    assert!(!ended.unwrap_err().is_transient());
    assert!(
        directory
            .cancel_job(&office.acme, &waiting, "token:ops", &audited)
            .await
            .is_err()
    );
    assert!(directory.remove_files(&completed, &audited).await.is_err());
    let held = directory
        .hold_files(&office.acme, &completed.job_id, Some("token:ops"), &audited)
        .await;
    assert!(held.is_err());

    assert_eq!(office.job(&job).await.state, JobState::Running);
    let waiting = directory.job(&office.acme, &waiting).await.unwrap().unwrap();
    assert_eq!(waiting.state, JobState::Queued);
    let completed = office.job(&completed).await;
    assert!(completed.has_files() && completed.held_by.is_none());
}

async fn cancel(directory: &Directory, tenant: &Tenant, job_id: &str) -> Option<JobState> {
    let audited = crate::both::record(audit::BULK_EXPORT_CANCELLED);
    directory
        .cancel_job(tenant, job_id, "token:impatient", &audited)
        .await
        .unwrap()
}

async fn a_waiting_job_is_cancelled_at_once(database: TestDatabase) {
    let office = Office::new(database).await;
    let job_id = office.queue(&office.acme, Priority::Normal).await;
    assert_eq!(cancel(&office.directory, &office.globex, &job_id).await, None);
    assert_eq!(cancel(&office.directory, &office.acme, "exp_0").await, None);
    assert_eq!(
        cancel(&office.directory, &office.acme, &job_id).await,
        Some(JobState::Queued)
    );
    let job = office
        .directory
        .job(&office.acme, &job_id)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (job.state, job.error_code.as_deref()),
        (JobState::Cancelled, Some("cancelled"))
    );
    assert_eq!(job.cancel_requested_by.as_deref(), Some("token:impatient"));
    assert!(job.finished_at.is_some() && job.error.is_some());
    assert!(office.claim().await.is_none());
    assert_eq!(office.audited().await, [audit::BULK_EXPORT_CANCELLED]);
}

async fn a_running_job_is_cancelled_when_its_worker_has_heard(database: TestDatabase) {
    let office = Office::new(database).await;
    let job = office.running(LONG).await;
    for _ in 0..2 {
        let found = cancel(&office.directory, &office.acme, &job.job_id).await;
        assert_eq!(found, Some(JobState::Running));
    }
    let asked = office.job(&job).await;
    assert_eq!((asked.state, asked.finished_at), (JobState::Running, None));
    assert_eq!(asked.cancel_requested_by.as_deref(), Some("token:impatient"));
    assert!(office.audited().await.is_empty(), "it is not cancelled yet");
    let renewed = office.directory.renew_lease(&job, LONG, DONE).await;
    assert_eq!(renewed.unwrap(), Heartbeat::Cancelled);

    // A worker that is going away gives it back unheard: the next one hears of it.
    assert!(office.directory.return_job(&job, AT_ONCE).await.unwrap());
    let job = office.claim().await.unwrap();
    assert_eq!(job.cancel_requested_by.as_deref(), Some("token:impatient"));
    let audited = of_job(audit::BULK_EXPORT_CANCELLED, &job);
    let ended = office
        .directory
        .end_job(
            &job,
            JobState::Cancelled,
            "cancelled",
            "it was cancelled",
            &audited,
        )
        .await;
    assert!(ended.unwrap());
    assert_eq!(office.job(&job).await.state, JobState::Cancelled);
    assert_eq!(office.audited().await, [audit::BULK_EXPORT_CANCELLED]);
}

async fn a_job_that_has_ended_stays_as_it_is(database: TestDatabase) {
    let office = Office::new(database).await;
    let unchanged = async |job: &Job, state: JobState| {
        let before = office.job(job).await;
        let trail = office.audited().await;
        let found = cancel(&office.directory, &office.acme, &job.job_id).await;
        assert_eq!(found, Some(state));
        assert_eq!(format!("{before:?}"), format!("{:?}", office.job(job).await));
        assert_eq!(office.audited().await, trail);
    };
    let completed = office.completed(LONG).await;
    unchanged(&completed, JobState::Completed).await;
    let failed = office.running(LONG).await;
    assert!(fail(&office.directory, &failed).await);
    unchanged(&failed, JobState::Failed).await;
    let job_id = office.queue(&office.acme, Priority::Normal).await;
    cancel(&office.directory, &office.acme, &job_id).await;
    let cancelled = office
        .directory
        .job(&office.acme, &job_id)
        .await
        .unwrap()
        .unwrap();
    unchanged(&cancelled, JobState::Cancelled).await;
}

async fn a_reason_may_hold_whatever_a_plugin_says(database: TestDatabase) {
    let office = Office::new(database).await;
    let job = office.running(LONG).await;
    let audited = of_job(audit::BULK_EXPORT_FAILED, &job);
    let ended = office
        .directory
        .end_job(
            &job,
            JobState::Failed,
            "guest-error",
            "no\0, said 'it'; \u{1f} ü 🦀",
            &audited,
        )
        .await;
    assert!(ended.unwrap());
    let error = office.job(&job).await.error.unwrap();
    assert_eq!(error, "no\u{fffd}, said 'it'; \u{1f} ü 🦀");
}

async fn what_is_no_json_is_refused(database: TestDatabase) {
    let office = Office::new(database).await;
    let wrong = NewJob {
        request: "{".to_owned(),
        ..new_job(Priority::Normal)
    };
    let queued = office.directory.queue_job(&office.acme, &wrong, LIMITS).await;
    assert!(!queued.unwrap_err().is_transient());
    let job = office.running(LONG).await;
    let audited = of_job(audit::BULK_EXPORT, &job);
    let publish = async { Ok::<_, DirectoryError>(()) };
    let completed = office
        .directory
        .complete_job(&job, DONE, "nothing", &audited, publish)
        .await;
    assert!(completed.is_err());
    assert_eq!(office.job(&job).await.state, JobState::Running);
}
