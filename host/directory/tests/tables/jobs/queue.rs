//! Who is served when.

use std::time::Duration;

use exeat_directory::jobs::{JobOrigin, JobState, NewJob, Priority, QueueLimits, Queued, Return};

use super::{AT_ONCE, LIMITS, Office, complete, fail, new_job};
use crate::both::{LONG, TestDatabase};

on_both! {
    a_job_is_claimed_once_and_as_it_was_queued,
    tenants_take_turns,
    the_tenant_with_the_fewest_running_jobs_goes_first,
    among_a_tenants_jobs_the_higher_priority_goes_first_then_the_older,
    a_tenant_runs_and_queues_no_more_than_it_may,
    a_job_that_is_returned_with_a_delay_is_not_claimed_before,
    failures_are_counted_and_other_returns_are_not,
    a_command_runs_its_own_job_and_takes_no_place,
}

async fn a_job_is_claimed_once_and_as_it_was_queued(database: TestDatabase) {
    let office = Office::new(database).await;
    assert!(office.claim().await.is_none());
    assert_eq!(office.directory.waiting_jobs().await.unwrap(), 0);
    let new = NewJob {
        request: r#"{"format":"csv","note":"\u0000 ü"}"#.to_owned(),
        timeout: Duration::from_secs(60),
        ..new_job(Priority::Low)
    };
    office
        .directory
        .queue_job(&office.acme, &new, LIMITS)
        .await
        .unwrap();
    assert_eq!(office.directory.waiting_jobs().await.unwrap(), 1);

    let job = office.claim().await.unwrap();
    assert_eq!(
        (&job.job_id, &job.request, &job.actor),
        (&new.job_id, &new.request, &new.actor)
    );
    assert_eq!((job.state, job.origin), (JobState::Running, JobOrigin::Server));
    assert_eq!((job.attempt, job.failures), (1, 0));
    assert_eq!(job.tenant, office.acme);
    assert_eq!(job.worker.as_deref(), Some("host/1"));
    assert!(job.started_at.unwrap() >= job.created_at);
    assert!(job.finished_at.is_none() && job.manifest.is_none() && job.error.is_none());
    assert!(office.claim().await.is_none());
    assert_eq!(office.directory.waiting_jobs().await.unwrap(), 0);
    let running = office.directory.running_jobs().await.unwrap();
    assert_eq!(running.len(), 1);
    assert_eq!(running[0].job_id, job.job_id);
    let elsewhere = office.directory.job(&office.globex, &job.job_id).await;
    assert!(elsewhere.unwrap().is_none(), "it is another tenant's");
}

async fn tenants_take_turns(database: TestDatabase) {
    let office = Office::new(database).await;
    let (initech, _) = office.directory.ensure_tenant("initech").await.unwrap();
    for tenant in [&office.acme, &office.globex, &initech] {
        for _ in 0..6 {
            office.queue(tenant, Priority::Normal).await;
        }
    }
    // Nothing runs when the next is served: only whose turn it is counts.
    let mut served = Vec::new();
    for _ in 0..18 {
        let job = office.claim().await.unwrap();
        served.push(job.tenant.name().to_owned());
        assert!(complete(&office.directory, &job).await);
    }
    assert_eq!(served, ["acme", "globex", "initech"].repeat(6));
}

async fn the_tenant_with_the_fewest_running_jobs_goes_first(database: TestDatabase) {
    let office = Office::new(database).await;
    for _ in 0..5 {
        office.queue(&office.acme, Priority::High).await;
    }
    let first = office.claim().await.unwrap();
    office.claim().await.unwrap();
    for _ in 0..5 {
        office.queue(&office.globex, Priority::Low).await;
    }
    // acme runs two. Two for globex; then both run two, and acme was served the longest ago.
    let mut served = Vec::new();
    for _ in 0..3 {
        served.push(office.claim().await.unwrap().tenant.name().to_owned());
    }
    assert_eq!(served, ["globex", "globex", "acme"]);
    // Two of each again, and globex has waited longer; then acme has fewer.
    assert!(fail(&office.directory, &first).await);
    let mut served = Vec::new();
    for _ in 0..2 {
        served.push(office.claim().await.unwrap().tenant.name().to_owned());
    }
    assert_eq!(served, ["globex", "acme"]);
}

async fn among_a_tenants_jobs_the_higher_priority_goes_first_then_the_older(database: TestDatabase) {
    let office = Office::new(database).await;
    let mut queued = Vec::new();
    for priority in [
        Priority::Low,
        Priority::Normal,
        Priority::High,
        Priority::Normal,
        Priority::High,
        Priority::Low,
    ] {
        queued.push(office.queue(&office.acme, priority).await);
    }
    for index in [2, 4, 1, 3, 0, 5] {
        let job = office.claim().await.unwrap();
        assert_eq!(job.job_id, queued[index], "{index}");
        assert!(complete(&office.directory, &job).await);
    }
}

async fn a_tenant_runs_and_queues_no_more_than_it_may(database: TestDatabase) {
    let office = Office::new(database).await;
    let limits = QueueLimits {
        running_per_tenant: 2,
        queued_per_tenant: 3,
    };
    let queue = async |tenant| {
        let queued = office
            .directory
            .queue_job(tenant, &new_job(Priority::Normal), limits)
            .await;
        matches!(queued.unwrap(), Queued::Waiting(_))
    };
    let claim = async || office.directory.claim_job("host/1", LONG, limits).await.unwrap();
    for _ in 0..3 {
        assert!(queue(&office.acme).await);
    }
    assert!(!queue(&office.acme).await);
    assert!(queue(&office.globex).await, "the other tenant's queue is its own");

    let first = claim().await.unwrap();
    assert!(queue(&office.acme).await, "one has left the queue");
    assert!(!queue(&office.acme).await);
    let claimed: Vec<_> = [claim().await, claim().await, claim().await]
        .into_iter()
        .flatten()
        .collect();
    let mut tenants: Vec<&str> = claimed.iter().map(|job| job.tenant.name()).collect();
    tenants.sort_unstable();
    assert_eq!(
        tenants,
        ["acme", "globex"],
        "two of acme's run, and there is no more"
    );
    assert!(complete(&office.directory, &first).await);
    assert_eq!(claim().await.unwrap().tenant, office.acme);
    assert!(claim().await.is_none());
}

async fn a_job_that_is_returned_with_a_delay_is_not_claimed_before(database: TestDatabase) {
    let office = Office::new(database).await;
    let delay = Duration::from_millis(400);
    let job = office.running(LONG).await;
    let later = Return {
        after: delay,
        failed: true,
    };
    let returned = std::time::Instant::now();
    assert!(office.directory.return_job(&job, later).await.unwrap());
    let waiting = office.job(&job).await;
    assert_eq!((waiting.state, waiting.worker), (JobState::Queued, None));
    let other = office.queue(&office.acme, Priority::Low).await;
    assert_eq!(
        office.claim().await.unwrap().job_id,
        other,
        "it stands in nobody's way"
    );
    let again = loop {
        match office.claim().await {
            Some(again) => break again,
            None => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    };
    // The database's clock counts whole milliseconds.
    assert!(returned.elapsed() >= delay - Duration::from_millis(2));
    assert_eq!((again.job_id, again.attempt), (job.job_id, 2));
}

async fn failures_are_counted_and_other_returns_are_not(database: TestDatabase) {
    let office = Office::new(database).await;
    office.queue(&office.acme, Priority::Normal).await;
    for (attempt, failed, failures) in [(1, true, 1), (2, false, 1), (3, true, 2)] {
        let job = office.claim().await.unwrap();
        assert_eq!(job.attempt, attempt);
        let how = Return { failed, ..AT_ONCE };
        assert!(office.directory.return_job(&job, how).await.unwrap());
        assert_eq!(office.job(&job).await.failures, failures, "{attempt}");
    }
}

async fn a_command_runs_its_own_job_and_takes_no_place(database: TestDatabase) {
    let office = Office::new(database).await;
    let limits = QueueLimits {
        running_per_tenant: 1,
        ..LIMITS
    };
    let begun = office
        .directory
        .begin_command_job(&office.acme, &new_job(Priority::Normal), "laptop/7", LONG)
        .await
        .unwrap();
    assert_eq!(
        (begun.state, begun.origin),
        (JobState::Running, JobOrigin::Command)
    );
    assert_eq!((begun.attempt, begun.worker.as_deref()), (1, Some("laptop/7")));
    let queued = office.queue(&office.acme, Priority::Normal).await;
    let claimed = office.directory.claim_job("host/1", LONG, limits).await;
    assert_eq!(claimed.unwrap().unwrap().job_id, queued);
    assert!(complete(&office.directory, &begun).await);
}
