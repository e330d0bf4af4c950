//! Many at once, on connections of their own, as the workers of several machines are.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use exeat_directory::audit;
use exeat_directory::jobs::{JobState, Priority, QueueLimits, Queued, Return};
use exeat_directory::plugins::Deletion;
use exeat_directory::{Directory, Tenant};
use tokio::task::JoinSet;

use super::{AT_ONCE, LIMITS, Office, complete, fail, new_job, queue};
use crate::both::{LONG, TestDatabase};

on_both! {
    no_job_is_claimed_twice_or_beyond_the_limit_and_every_one_is_claimed,
    whoever_finds_work_gets_some,
    no_more_jobs_wait_than_may,
    of_all_who_end_a_job_at_once_one_does,
    a_dead_job_is_recovered_by_one,
    a_cancellation_is_never_lost,
    nobody_waits_for_somebody_who_waits_for_him,
}

const HANDLES: usize = 4;

async fn handles(database: &TestDatabase) -> Vec<Directory> {
    let mut handles = Vec::new();
    for _ in 0..HANDLES {
        handles.push(database.open().await);
    }
    handles
}

/// What claimers have seen, together.
#[derive(Default)]
struct Seen {
    claimed: BTreeSet<String>,
    running: BTreeMap<String, u32>,
    most: u32,
}

async fn no_job_is_claimed_twice_or_beyond_the_limit_and_every_one_is_claimed(database: TestDatabase) {
    const JOBS: usize = 60;
    let office = Office::new(database).await;
    let (initech, _) = office.directory.ensure_tenant("initech").await.unwrap();
    for tenant in [&office.acme, &office.globex, &initech].repeat(JOBS / 3) {
        office.queue(tenant, Priority::Normal).await;
    }
    let limits = QueueLimits {
        running_per_tenant: 3,
        queued_per_tenant: 1_000,
    };
    let seen = Arc::new(Mutex::new(Seen::default()));
    let mut claimers = JoinSet::new();
    for directory in handles(&office.database).await.iter().cycle().take(16) {
        let (directory, seen) = (directory.clone(), Arc::clone(&seen));
        claimers.spawn(async move {
            loop {
                let Some(job) = directory.claim_job("host/1", LONG, limits).await.unwrap() else {
                    if seen.lock().unwrap().claimed.len() == JOBS {
                        return;
                    }
                    tokio::time::sleep(Duration::from_millis(3)).await;
                    continue;
                };
                let tenant = job.tenant.name().to_owned();
                {
                    let mut seen = seen.lock().unwrap();
                    assert!(
                        seen.claimed.insert(job.job_id.clone()),
                        "{} is claimed twice",
                        job.job_id
                    );
                    let running = seen.running.entry(tenant.clone()).or_default();
                    *running += 1;
                    let running = *running;
                    seen.most = seen.most.max(running);
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
                *seen.lock().unwrap().running.get_mut(&tenant).unwrap() -= 1;
                assert!(complete(&directory, &job).await);
            }
        });
    }
    claimers.join_all().await;
    let seen = seen.lock().unwrap();
    assert_eq!(seen.claimed.len(), JOBS);
    assert!(seen.most <= limits.running_per_tenant, "{} at once", seen.most);
}

/// As many claimers as jobs may run: nobody is sent away because somebody else was
/// quicker.
async fn whoever_finds_work_gets_some(database: TestDatabase) {
    let office = Office::new(database).await;
    let limits = QueueLimits {
        running_per_tenant: 2,
        queued_per_tenant: 1_000,
    };
    let mut tenants = Vec::new();
    for number in 0..4 {
        let name = format!("tenant-{number}");
        tenants.push(office.directory.ensure_tenant(&name).await.unwrap().0);
    }
    let handles = handles(&office.database).await;
    for _ in 0..5 {
        for tenant in tenants.iter().cycle().take(16) {
            office.queue(tenant, Priority::Normal).await;
        }
        let mut claimers = JoinSet::new();
        for directory in handles.iter().cycle().take(8) {
            let directory = directory.clone();
            claimers.spawn(async move { directory.claim_job("host/1", LONG, limits).await });
        }
        let claimed: Vec<_> = claimers
            .join_all()
            .await
            .into_iter()
            .map(Result::unwrap)
            .collect();
        assert_eq!(claimed.iter().flatten().count(), 8);
        office.database.sql("DELETE FROM jobs").await;
    }
}

async fn no_more_jobs_wait_than_may(database: TestDatabase) {
    let office = Office::new(database).await;
    let limits = QueueLimits {
        running_per_tenant: 4,
        queued_per_tenant: 10,
    };
    let mut askers = JoinSet::new();
    for directory in handles(&office.database).await.iter().cycle().take(24) {
        let (directory, acme) = (directory.clone(), office.acme.clone());
        askers.spawn(async move {
            let queued = directory
                .queue_job(&acme, &new_job(Priority::Normal), limits)
                .await;
            matches!(queued.unwrap(), Queued::Waiting(_))
        });
    }
    let queued = askers.join_all().await;
    assert_eq!(queued.into_iter().filter(|queued| *queued).count(), 10);
    assert_eq!(office.directory.waiting_jobs().await.unwrap(), 10);
}

async fn of_all_who_end_a_job_at_once_one_does(database: TestDatabase) {
    let office = Office::new(database).await;
    let handles = handles(&office.database).await;
    for round in 1..=5 {
        let job = office.running(LONG).await;
        let mut enders = JoinSet::new();
        for (number, directory) in handles.iter().cycle().take(8).enumerate() {
            let (directory, job) = (directory.clone(), job.clone());
            enders.spawn(async move {
                match number % 2 {
                    0 => complete(&directory, &job).await,
                    _ => fail(&directory, &job).await,
                }
            });
        }
        let ended = enders.join_all().await;
        assert_eq!(ended.into_iter().filter(|ended| *ended).count(), 1);
        let state = office.job(&job).await.state;
        assert!(
            matches!(state, JobState::Completed | JobState::Failed),
            "{state:?}"
        );
        let trail = office.audited().await;
        assert_eq!(trail.len(), round, "one record of each end");
        assert_eq!(trail[0] == audit::BULK_EXPORT, state == JobState::Completed);
    }
}

async fn a_dead_job_is_recovered_by_one(database: TestDatabase) {
    let office = Office::new(database).await;
    let handles = handles(&office.database).await;
    let dead = office.running(Duration::ZERO).await;
    tokio::time::sleep(Duration::from_millis(5)).await;
    let mut recoverers = JoinSet::new();
    for directory in handles.iter().cycle().take(8) {
        let directory = directory.clone();
        recoverers.spawn(async move {
            let mut recovered = 0;
            for job in directory.abandoned_jobs(LONG).await.unwrap() {
                let failed = Return {
                    failed: true,
                    ..AT_ONCE
                };
                recovered += usize::from(directory.return_job(&job, failed).await.unwrap());
            }
            recovered
        });
    }
    assert_eq!(recoverers.join_all().await.into_iter().sum::<usize>(), 1);
    let job = office.job(&dead).await;
    assert_eq!((job.state, job.failures), (JobState::Queued, 1));
    assert!(office.abandoned(LONG).await.is_empty());
    assert_eq!(office.claim().await.unwrap().attempt, 2);
}

/// While a job goes to and fro between queue and workers, a cancellation finds it in one of both.
async fn a_cancellation_is_never_lost(database: TestDatabase) {
    let office = Office::new(database).await;
    let handles = handles(&office.database).await;
    for _ in 0..20 {
        let job_id = queue(&office.directory, &office.acme, Priority::Normal).await;
        let stop = Arc::new(AtomicBool::new(false));
        let turns = Arc::new(AtomicUsize::new(0));
        let worker = tokio::spawn(go_to_and_fro(
            handles[0].clone(),
            Arc::clone(&stop),
            Arc::clone(&turns),
        ));
        while turns.load(Ordering::Relaxed) < 2 {
            tokio::task::yield_now().await;
        }
        let found = cancel(&handles[1], &office.acme, &job_id).await;
        stop.store(true, Ordering::Relaxed);
        worker.await.unwrap();
        let job = office
            .directory
            .job(&office.acme, &job_id)
            .await
            .unwrap()
            .unwrap();
        assert!(job.cancel_requested_by.is_some(), "found {found:?}");
        match found {
            Some(JobState::Queued) => assert_eq!(job.state, JobState::Cancelled),
            Some(JobState::Running) => {
                assert_eq!(cancel(&handles[1], &office.acme, &job_id).await, Some(job.state))
            }
            other => panic!("{other:?}"),
        }
    }
}

async fn cancel(directory: &Directory, tenant: &Tenant, job_id: &str) -> Option<JobState> {
    let audited = crate::both::record(audit::BULK_EXPORT_CANCELLED);
    directory
        .cancel_job(tenant, job_id, "token:impatient", &audited)
        .await
        .unwrap()
}

/// Everything that takes locks, in every order: on PostgreSQL a deadlock would be an error.
async fn nobody_waits_for_somebody_who_waits_for_him(database: TestDatabase) {
    let office = Office::new(database).await;
    let audited = crate::both::record(audit::PLUGIN_LIMITS_SET);
    let mut busy = JoinSet::new();
    for (number, directory) in handles(&office.database)
        .await
        .iter()
        .cycle()
        .take(12)
        .enumerate()
    {
        let (directory, audited) = (directory.clone(), audited.clone());
        let tenants = [office.acme.clone(), office.globex.clone()];
        busy.spawn(async move {
            for step in 0..24 {
                let tenant = &tenants[(number + step) % 2];
                match (number * 5 + step) % 8 {
                    0 | 1 => drop(queue(&directory, tenant, Priority::Normal).await),
                    2 => {
                        let newest = directory.jobs(tenant, 3).await.unwrap();
                        for job in newest {
                            cancel(&directory, tenant, &job.job_id).await;
                        }
                    }
                    3 => directory
                        .set_plugin_limits(tenant, "mask", Some("{}"), &audited)
                        .await
                        .unwrap(),
                    4 => {
                        let deleted = directory.delete_plugin(tenant, "mask", "1.0.0", &audited).await;
                        assert_eq!(deleted.unwrap(), Deletion::NotFound);
                    }
                    _ => {
                        let claimed = directory.claim_job("host/1", LONG, LIMITS).await.unwrap();
                        let Some(job) = claimed else { continue };
                        let ended = match step % 3 {
                            0 => complete(&directory, &job).await,
                            1 => fail(&directory, &job).await,
                            _ => directory.return_job(&job, AT_ONCE).await.unwrap(),
                        };
                        assert!(ended);
                    }
                }
            }
        });
    }
    busy.join_all().await;
    assert!(office.directory.running_jobs().await.unwrap().is_empty());
}

/// Claims whatever there is and returns it, until told to stop.
async fn go_to_and_fro(directory: Directory, stop: Arc<AtomicBool>, turns: Arc<AtomicUsize>) {
    let limits = QueueLimits::default();
    while !stop.load(Ordering::Relaxed) {
        if let Some(job) = directory.claim_job("host/1", LONG, limits).await.unwrap() {
            assert!(directory.return_job(&job, AT_ONCE).await.unwrap());
        }
        turns.fetch_add(1, Ordering::Relaxed);
    }
}
