//! Whatever several holders do in whatever order, a job has one holder that can do anything, and
//! ends once.

use std::time::Duration;

use exeat_directory::DirectoryError;
use exeat_directory::audit;
use exeat_directory::jobs::{Heartbeat, Job, JobState, Priority, Return};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::{DONE, MANIFEST, Office, complete, fail, of_job};
use crate::both::{LONG, TestDatabase};

on_both! {
    whatever_holders_do_a_job_has_one_of_them_and_ends_once,
}

const CASES: u32 = 96;

/// What somebody does. Holders are numbered in the order in which they claimed.
#[derive(Clone, Copy, Debug)]
enum Step {
    Claim,
    Renew(usize),
    Return(usize, bool),
    Complete(usize),
    /// Publishing fails.
    CompleteInVain(usize),
    End(usize),
    /// Whatever seems abandoned goes back into the queue: that is every running job.
    Recover,
    Cancel,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let holder = 0..6_usize;
    let step = prop_oneof![
        4 => Just(Step::Claim),
        2 => holder.clone().prop_map(Step::Renew),
        3 => (holder.clone(), any::<bool>()).prop_map(|(holder, failed)| Step::Return(holder, failed)),
        1 => holder.clone().prop_map(Step::Complete),
        1 => holder.clone().prop_map(Step::CompleteInVain),
        1 => holder.prop_map(Step::End),
        2 => Just(Step::Recover),
        1 => Just(Step::Cancel),
    ];
    prop::collection::vec(step, 1..24)
}

/// What must be true of the one job that there is.
struct Model {
    state: JobState,
    attempt: i64,
    failures: i64,
    cancelled: bool,
}

impl Model {
    fn is_held_by(&self, job: &Job) -> bool {
        self.state == JobState::Running && self.attempt == job.attempt
    }
}

async fn whatever_holders_do_a_job_has_one_of_them_and_ends_once(database: TestDatabase) {
    let office = Office::new(database).await;
    let runtime = tokio::runtime::Handle::current();
    let config = Config {
        cases: CASES,
        failure_persistence: None,
        ..Config::default()
    };
    tokio::task::block_in_place(|| {
        TestRunner::new(config)
            .run(&steps(), |steps| {
                runtime.block_on(follow(&office, &steps));
                Ok(())
            })
            .unwrap();
    });
}

async fn follow(office: &Office, steps: &[Step]) {
    office.database.sql("DELETE FROM jobs; DELETE FROM audit").await;
    let job_id = office.queue(&office.acme, Priority::Normal).await;
    let mut model = Model {
        state: JobState::Queued,
        attempt: 0,
        failures: 0,
        cancelled: false,
    };
    let mut holders = Vec::new();
    let mut trail: Vec<&str> = Vec::new();
    for step in steps {
        take(office, &job_id, *step, &mut holders, &mut model, &mut trail).await;
        let job = office
            .directory
            .job(&office.acme, &job_id)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(job.state, model.state, "{step:?}");
        assert_eq!(
            (job.attempt, job.failures),
            (model.attempt, model.failures),
            "{step:?}"
        );
        assert_eq!(job.cancel_requested_by.is_some(), model.cancelled, "{step:?}");
        assert_eq!(job.manifest.is_some(), model.state == JobState::Completed);
        assert!(trail.len() <= 1, "it ends once");
        assert_eq!(office.audited().await, trail, "{step:?}");
    }
}

async fn take(
    office: &Office,
    job_id: &str,
    step: Step,
    holders: &mut Vec<Job>,
    model: &mut Model,
    trail: &mut Vec<&str>,
) {
    let directory = &office.directory;
    let back = |failed| Return {
        after: Duration::ZERO,
        failed,
    };
    match step {
        Step::Claim => {
            let claimed = office.claim().await;
            assert_eq!(claimed.is_some(), model.state == JobState::Queued);
            if let Some(job) = claimed {
                model.attempt += 1;
                model.state = JobState::Running;
                assert_eq!(job.attempt, model.attempt);
                holders.push(job);
            }
        }
        Step::Renew(holder) => {
            let Some(job) = holders.get(holder) else { return };
            let expected = match (model.is_held_by(job), model.cancelled) {
                (false, _) => Heartbeat::Lost,
                (true, true) => Heartbeat::Cancelled,
                (true, false) => Heartbeat::Ours,
            };
            let renewed = directory.renew_lease(job, LONG, DONE).await;
            assert_eq!(renewed.unwrap(), expected);
        }
        Step::Return(holder, failed) => {
            let Some(job) = holders.get(holder) else { return };
            let returned = directory.return_job(job, back(failed)).await.unwrap();
            assert_eq!(returned, model.is_held_by(job));
            if returned {
                model.state = JobState::Queued;
                model.failures += i64::from(failed);
            }
        }
        Step::Complete(holder) => {
            let Some(job) = holders.get(holder) else { return };
            let completed = complete(directory, job).await;
            assert_eq!(completed, model.is_held_by(job));
            if completed {
                model.state = JobState::Completed;
                trail.push(audit::BULK_EXPORT);
            }
        }
        Step::CompleteInVain(holder) => {
            let Some(job) = holders.get(holder) else { return };
            let audited = of_job(audit::BULK_EXPORT, job);
            let full = async { Err(DirectoryError::Corrupt("a full disk")) };
            let completed = directory.complete_job(job, DONE, MANIFEST, &audited, full).await;
            assert_eq!(
                completed.is_err(),
                model.is_held_by(job),
                "only a holder publishes"
            );
            assert!(!completed.unwrap_or_default());
        }
        Step::End(holder) => {
            let Some(job) = holders.get(holder) else { return };
            let ended = fail(directory, job).await;
            assert_eq!(ended, model.is_held_by(job));
            if ended {
                model.state = JobState::Failed;
                trail.push(audit::BULK_EXPORT_FAILED);
            }
        }
        Step::Recover => {
            // No lease can be this short: all of them end too late.
            for job in directory.abandoned_jobs(Duration::ZERO).await.unwrap() {
                assert!(model.is_held_by(&job));
                assert!(directory.return_job(&job, back(true)).await.unwrap());
                model.state = JobState::Queued;
                model.failures += 1;
            }
            assert_ne!(model.state, JobState::Running);
        }
        Step::Cancel => {
            let audited = crate::both::record(audit::BULK_EXPORT_CANCELLED);
            let found = directory
                .cancel_job(&office.acme, job_id, "token:ops", &audited)
                .await;
            assert_eq!(found.unwrap(), Some(model.state));
            match model.state {
                JobState::Queued => {
                    model.state = JobState::Cancelled;
                    model.cancelled = true;
                    trail.push(audit::BULK_EXPORT_CANCELLED);
                }
                JobState::Running => model.cancelled = true,
                _ => {}
            }
        }
    }
}
