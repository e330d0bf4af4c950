//! What the directory promises of jobs: the queue, leases, ends, files that are kept.

mod ends;
mod files;
mod leases;
mod many;
mod property;
mod queue;

use std::time::Duration;

use exeat_directory::audit::{self, AuditRecord};
use exeat_directory::jobs::{
    Job, JobState, NewJob, Priority, Progress, QueueLimits, Queued, Return, new_job_id,
};
use exeat_directory::{Directory, DirectoryError, Tenant};

use crate::both::{LONG, TestDatabase};

const LIMITS: QueueLimits = QueueLimits {
    running_per_tenant: 4,
    queued_per_tenant: 1_000,
};

const DONE: Progress = Progress {
    rows_total: 10,
    rows_done: 9,
    bytes: 1_234,
};

const MANIFEST: &str = r#"{"files":[]}"#;

/// Back into the queue, to be taken at once.
const AT_ONCE: Return = Return {
    after: Duration::ZERO,
    failed: false,
};

/// Two tenants, and what the tests do with their jobs.
pub(super) struct Office {
    pub(super) database: TestDatabase,
    pub(super) directory: Directory,
    pub(super) acme: Tenant,
    pub(super) globex: Tenant,
}

impl Office {
    pub(super) async fn new(database: TestDatabase) -> Self {
        let (directory, acme, globex) = database.with_tenants().await;
        Self {
            database,
            directory,
            acme,
            globex,
        }
    }

    /// Queues a job and says its id.
    pub(super) async fn queue(&self, tenant: &Tenant, priority: Priority) -> String {
        queue(&self.directory, tenant, priority).await
    }

    pub(super) async fn claim(&self) -> Option<Job> {
        self.claim_for(LONG).await
    }

    pub(super) async fn claim_for(&self, lease: Duration) -> Option<Job> {
        let claimed = self.directory.claim_job("host/1", lease, LIMITS).await;
        claimed.expect("a database that answers")
    }

    /// A running job of acme's, with a lease of this length.
    pub(super) async fn running(&self, lease: Duration) -> Job {
        let job_id = self.queue(&self.acme, Priority::Normal).await;
        let job = self.claim_for(lease).await.expect("a job");
        assert_eq!(job.job_id, job_id);
        job
    }

    /// A completed export of acme's.
    pub(super) async fn completed(&self, retention: Duration) -> Job {
        let new = NewJob {
            retention,
            ..new_job(Priority::Normal)
        };
        let queued = self.directory.queue_job(&self.acme, &new, LIMITS).await;
        assert!(matches!(queued, Ok(Queued::Waiting(_))));
        let job = self.claim().await.expect("a job");
        assert!(complete(&self.directory, &job).await);
        self.job(&job).await
    }

    /// As it stands in the database.
    pub(super) async fn job(&self, job: &Job) -> Job {
        let found = self.directory.job(&job.tenant, &job.job_id).await;
        found.expect("a database that answers").expect("a job of this id")
    }

    pub(super) async fn abandoned(&self, longest_lease: Duration) -> Vec<String> {
        let abandoned = self.directory.abandoned_jobs(longest_lease).await;
        let abandoned = abandoned.expect("a database that answers");
        abandoned.into_iter().map(|job| job.job_id).collect()
    }

    /// What was done for acme, newest first.
    pub(super) async fn audited(&self) -> Vec<String> {
        crate::both::audited(&self.directory, &self.acme).await
    }
}

pub(super) fn new_job(priority: Priority) -> NewJob {
    NewJob {
        job_id: new_job_id(),
        actor: "token:ops".to_owned(),
        request: r#"{"format":"csv"}"#.to_owned(),
        priority,
        timeout: LONG,
        retention: LONG,
        sensitive: false,
        idempotency: None,
    }
}

pub(super) async fn queue(directory: &Directory, tenant: &Tenant, priority: Priority) -> String {
    let new = new_job(priority);
    let queued = directory.queue_job(tenant, &new, LIMITS).await;
    let Queued::Waiting(job) = queued.expect("a database that answers") else {
        panic!("the queue is full");
    };
    assert_eq!(
        (&job.job_id, job.state, job.attempt),
        (&new.job_id, JobState::Queued, 0)
    );
    new.job_id
}

pub(super) fn of_job(action: &'static str, job: &Job) -> AuditRecord {
    AuditRecord {
        job_id: Some(job.job_id.clone()),
        ..crate::both::record(action)
    }
}

/// Completes a job whose files need no publishing.
pub(super) async fn complete(directory: &Directory, job: &Job) -> bool {
    let audited = of_job(audit::BULK_EXPORT, job);
    let publish = async { Ok::<_, DirectoryError>(()) };
    directory
        .complete_job(job, DONE, MANIFEST, &audited, publish)
        .await
        .expect("a database that answers")
}

pub(super) async fn fail(directory: &Directory, job: &Job) -> bool {
    let audited = of_job(audit::BULK_EXPORT_FAILED, job);
    directory
        .end_job(job, JobState::Failed, "incomplete", "rows are missing", &audited)
        .await
        .expect("a database that answers")
}
