//! Who holds a job, until when, and what somebody who lost it can still do: nothing.

use std::time::Duration;

use exeat_directory::audit;
use exeat_directory::jobs::{Heartbeat, JobState, NewJob, Priority, Progress};

use super::{AT_ONCE, DONE, LIMITS, Office, complete, fail, new_job};
use crate::both::{LONG, TestDatabase};

on_both! {
    a_lease_that_ran_out_makes_a_job_abandoned_and_a_renewed_one_does_not,
    a_lease_that_ends_too_late_counts_as_run_out,
    a_renewal_notes_how_far_the_job_is,
    a_holder_that_lost_its_job_changes_nothing,
    a_holder_of_a_returned_job_changes_nothing,
    a_job_has_its_time_from_its_first_start,
}

async fn a_lease_that_ran_out_makes_a_job_abandoned_and_a_renewed_one_does_not(database: TestDatabase) {
    let office = Office::new(database).await;
    let held = office.running(LONG).await;
    let lost = office.running(Duration::ZERO).await;
    let late = office.running(Duration::ZERO).await;
    let waiting = office.queue(&office.acme, Priority::Normal).await;
    // Nobody has taken it away yet: it is renewed though it had run out.
    let renewed = office.directory.renew_lease(&late, LONG, DONE).await;
    assert_eq!(renewed.unwrap(), Heartbeat::Ours);
    tokio::time::sleep(Duration::from_millis(5)).await;
    assert_eq!(
        office.abandoned(2 * LONG).await,
        std::slice::from_ref(&lost.job_id)
    );
    let renewed = office.directory.renew_lease(&held, Duration::ZERO, DONE).await;
    assert_eq!(renewed.unwrap(), Heartbeat::Ours);
    tokio::time::sleep(Duration::from_millis(5)).await;
    let mut abandoned = office.abandoned(2 * LONG).await;
    abandoned.sort();
    let mut expected = [held.job_id, lost.job_id];
    expected.sort();
    assert_eq!(abandoned, expected);
    assert_eq!(
        office.claim().await.unwrap().job_id,
        waiting,
        "the others are not in the queue"
    );
}

async fn a_lease_that_ends_too_late_counts_as_run_out(database: TestDatabase) {
    let office = Office::new(database).await;
    let job = office.running(LONG).await;
    assert!(office.abandoned(LONG).await.is_empty());
    assert_eq!(office.abandoned(LONG / 2).await, [job.job_id]);
}

async fn a_renewal_notes_how_far_the_job_is(database: TestDatabase) {
    let office = Office::new(database).await;
    let job = office.running(LONG).await;
    assert_eq!((job.rows_total, job.rows_done, job.bytes), (None, 0, 0));
    let renewed = office.directory.renew_lease(&job, LONG, DONE).await;
    assert_eq!(renewed.unwrap(), Heartbeat::Ours);
    // Another process sees it.
    let elsewhere = office.database.open().await;
    let seen = elsewhere.job(&office.acme, &job.job_id).await.unwrap().unwrap();
    assert_eq!(
        (seen.rows_total, seen.rows_done, seen.bytes),
        (Some(10), 9, 1_234)
    );
    assert!(office.directory.return_job(&job, AT_ONCE).await.unwrap());
    let again = office.claim().await.unwrap();
    assert_eq!((again.rows_total, again.rows_done, again.bytes), (None, 0, 0));
}

async fn a_holder_that_lost_its_job_changes_nothing(database: TestDatabase) {
    let office = Office::new(database).await;
    let stale = office.running(Duration::ZERO).await;
    assert!(office.directory.return_job(&stale, AT_ONCE).await.unwrap());
    let holder = office.claim().await.unwrap();
    assert_eq!((&holder.job_id, holder.attempt), (&stale.job_id, 2));
    changes_nothing(&office, &stale, JobState::Running).await;
    let renewed = office.directory.renew_lease(&holder, LONG, DONE).await;
    assert_eq!(renewed.unwrap(), Heartbeat::Ours);
    assert!(complete(&office.directory, &holder).await);
    changes_nothing(&office, &stale, JobState::Completed).await;
    changes_nothing(&office, &holder, JobState::Completed).await;
    assert_eq!(office.audited().await, [audit::BULK_EXPORT]);
}

async fn a_holder_of_a_returned_job_changes_nothing(database: TestDatabase) {
    let office = Office::new(database).await;
    let stale = office.running(LONG).await;
    assert!(office.directory.return_job(&stale, AT_ONCE).await.unwrap());
    changes_nothing(&office, &stale, JobState::Queued).await;
    let holder = office.claim().await.unwrap();
    assert!(fail(&office.directory, &holder).await);
    changes_nothing(&office, &stale, JobState::Failed).await;
    assert_eq!(office.audited().await, [audit::BULK_EXPORT_FAILED]);
}

/// Everything that a holder does, by one that is none.
async fn changes_nothing(office: &Office, stale: &exeat_directory::jobs::Job, state: JobState) {
    let before = office.job(stale).await;
    let trail = office.audited().await;
    assert_eq!(before.state, state);
    let elsewhere = Progress {
        rows_total: 77,
        rows_done: 77,
        bytes: 77,
    };
    let renewed = office
        .directory
        .renew_lease(stale, Duration::ZERO, elsewhere)
        .await;
    assert_eq!(renewed.unwrap(), Heartbeat::Lost);
    assert!(!office.directory.return_job(stale, AT_ONCE).await.unwrap());
    assert!(!fail(&office.directory, stale).await);
    assert!(!complete(&office.directory, stale).await);
    let after = office.job(stale).await;
    assert_eq!(format!("{before:?}"), format!("{after:?}"));
    assert_eq!(office.audited().await, trail);
}

async fn a_job_has_its_time_from_its_first_start(database: TestDatabase) {
    let office = Office::new(database).await;
    let new = NewJob {
        timeout: Duration::from_secs(100),
        ..new_job(Priority::Normal)
    };
    office
        .directory
        .queue_job(&office.acme, &new, LIMITS)
        .await
        .unwrap();
    let queued = office.directory.job(&office.acme, &new.job_id).await.unwrap();
    let left = office.directory.time_left(&queued.unwrap()).await.unwrap();
    assert_eq!(left, None, "it has not begun");
    let first = office.claim().await.unwrap();
    let left = office.directory.time_left(&first).await.unwrap().unwrap();
    assert!(left <= new.timeout && left > new.timeout / 2, "{left:?}");
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert!(office.directory.return_job(&first, AT_ONCE).await.unwrap());
    let second = office.claim().await.unwrap();
    assert_eq!(second.deadline_at, first.deadline_at);
    let still = office.directory.time_left(&second).await.unwrap().unwrap();
    assert!(still < left, "{still:?}");

    let none = NewJob {
        timeout: Duration::ZERO,
        ..new_job(Priority::Normal)
    };
    office
        .directory
        .queue_job(&office.acme, &none, LIMITS)
        .await
        .unwrap();
    let job = office.claim().await.unwrap();
    tokio::time::sleep(Duration::from_millis(5)).await;
    let left = office.directory.time_left(&job).await.unwrap();
    assert_eq!(left, Some(Duration::ZERO), "it is never negative");

    // Whoever wants no end asks for as long as can be said.
    let endless = NewJob {
        timeout: Duration::MAX,
        retention: Duration::from_micros(i64::MAX as u64),
        ..new_job(Priority::Normal)
    };
    office
        .directory
        .queue_job(&office.acme, &endless, LIMITS)
        .await
        .unwrap();
    let job = office
        .claim_for(Duration::from_micros(i64::MAX as u64))
        .await
        .unwrap();
    assert!(office.directory.time_left(&job).await.unwrap().unwrap() > 1_000_000 * LONG);
    assert!(complete(&office.directory, &job).await);
}
