//! Jobs: the queued work that makes an export.
//!
//! ```text
//! queue_job ──► queued ──claim_job──► running ──complete_job──► completed ──► purged
//!                 ▲  │                  │  │
//!                 │  └─cancel─┐  return_│  └─end_job──► failed, cancelled
//!                 │           ▼    job  │
//!                 │       cancelled     │
//!                 └─────────────────────┘
//! ```
//!
//! Whoever runs a job holds a lease on it, and renews it. The number of the attempt is
//! the fencing token: what a holder does changes nothing once another attempt has begun.

mod end;
mod keep;
mod queue;
mod repeat;

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sqlx::Row as _;
use sqlx::any::AnyRow;
use ulid::Ulid;

use crate::database::text;
use crate::{Directory, DirectoryError, Tenant};

pub use keep::{Deletion, Kept, Removal};
pub use queue::{Heartbeat, QueueLimits, Queued, Return};

/// In which state a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names say it")]
pub enum JobState {
    Queued,
    Running,
    Completed,
    Failed,
    Cancelled,
}

impl JobState {
    /// As it stands in the database and in answers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// The state of this name.
    pub fn find(name: &str) -> Option<Self> {
        let all = [
            Self::Queued,
            Self::Running,
            Self::Completed,
            Self::Failed,
            Self::Cancelled,
        ];
        all.into_iter().find(|state| state.name() == name)
    }

    fn parse(name: &str) -> Result<Self, DirectoryError> {
        Self::find(name).ok_or(DirectoryError::Corrupt("jobs.state"))
    }
}

/// Which of a tenant's jobs.
#[derive(Clone, Debug, Default)]
pub struct JobsPage {
    /// Only those older than this one.
    pub before: Option<String>,
    /// Only those in this state.
    pub state: Option<JobState>,
    /// How many at most.
    pub limit: u32,
}

/// Who runs a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobOrigin {
    /// A worker of the server, again if need be.
    Server,
    /// The command that made it, once.
    Command,
}

impl JobOrigin {
    fn name(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Command => "command",
        }
    }
}

/// An id for a new job: one of a later millisecond sorts after those of an earlier one.
pub fn new_job_id() -> String {
    format!("exp_{}", Ulid::new())
}

/// Which of a tenant's jobs go first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Priority {
    Low,
    #[default]
    Normal,
    High,
}

impl Priority {
    /// As it stands in requests.
    pub fn name(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Normal => "normal",
            Self::High => "high",
        }
    }

    /// The priority of this name.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Low, Self::Normal, Self::High]
            .into_iter()
            .find(|priority| priority.name() == name)
    }

    /// Higher goes first.
    fn rank(self) -> i64 {
        match self {
            Self::Low => -1,
            Self::Normal => 0,
            Self::High => 1,
        }
    }
}

/// A job that is to be made.
#[derive(Clone, Debug)]
pub struct NewJob {
    /// See [`new_job_id`].
    pub job_id: String,
    /// Who asked for it, as in the audit trail.
    pub actor: String,
    /// The request, as JSON.
    pub request: String,
    /// Among the tenant's own.
    pub priority: Priority,
    /// How long it may take from its first start.
    pub timeout: Duration,
    /// For how long its files are kept once it is completed.
    pub retention: Duration,
    /// Whether whoever asked for it may have sensitive fields.
    pub sensitive: bool,
    /// By what a repeated request is known.
    pub idempotency: Option<IdempotencyKey>,
}

/// What makes a request that is repeated the same request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// As the caller chose it.
    pub key: String,
    /// SHA-256 of what was asked for.
    pub fingerprint: Vec<u8>,
}

/// A job. Timestamps are microseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the fields are those of the table")]
pub struct Job {
    pub job_id: String,
    pub tenant: Tenant,
    pub state: JobState,
    pub origin: JobOrigin,
    pub actor: String,
    /// The request, as JSON.
    pub request: String,
    pub attempt: i64,
    pub created_at: i64,
    pub started_at: Option<i64>,
    pub finished_at: Option<i64>,
    pub rows_total: Option<i64>,
    pub rows_done: i64,
    pub bytes: i64,
    pub error_code: Option<String>,
    pub error: Option<String>,
    /// The manifest of a completed export, as JSON.
    pub manifest: Option<String>,
    /// Attempts that ended badly.
    pub failures: i64,
    /// Who runs it.
    pub worker: Option<String>,
    /// Until when nobody else may run it.
    pub lease_until: Option<i64>,
    /// When it fails for having taken too long.
    pub deadline_at: Option<i64>,
    /// Who wants it cancelled.
    pub cancel_requested_by: Option<String>,
    /// When the files of a completed export go.
    pub expires_at: Option<i64>,
    /// When they went.
    pub purged_at: Option<i64>,
    /// Who ordered that they stay.
    pub held_by: Option<String>,
    /// Whether whoever asked for it may have sensitive fields.
    pub sensitive: bool,
}

impl Job {
    /// Whether the files of the export are in the vault. A command's lie where its user wanted them.
    pub fn has_files(&self) -> bool {
        self.state == JobState::Completed && self.origin == JobOrigin::Server && self.purged_at.is_none()
    }
}

/// How far a job is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Progress {
    pub rows_total: u64,
    pub rows_done: u64,
    pub bytes: u64,
}

const COLUMNS: &str = "j.job_id, j.tenant_id, j.state, j.origin, j.actor, j.request, j.attempt, j.created_at, \
                       j.started_at, j.finished_at, j.rows_total, j.rows_done, j.bytes, j.error_code, j.error, \
                       j.manifest, j.failures, j.worker, j.deadline_at, j.cancel_requested_by, j.expires_at, \
                       j.purged_at, j.held_by, j.lease_until, j.sensitive";

/// A query for the jobs `j` of which a condition, and an order after it, is true.
fn select(condition: &str) -> sqlx::AssertSqlSafe<String> {
    sqlx::AssertSqlSafe(format!("SELECT {COLUMNS} FROM jobs j WHERE {condition}"))
}

/// Microseconds, as they stand in the database; few enough to be added to an instant.
fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).map_or(i64::MAX / 2, |us| us.min(i64::MAX / 2))
}

impl Directory {
    /// A job of a tenant.
    ///
    /// # Errors
    /// The database refused.
    pub async fn job(&self, tenant: &Tenant, job_id: &str) -> Result<Option<Job>, DirectoryError> {
        let row = sqlx::query(select(
            "j.tenant_id = $1 AND j.job_id = $2 AND j.deleted_at IS NULL",
        ))
        .bind(tenant.id)
        .bind(text(job_id))
        .fetch_optional(&self.database.pool)
        .await?;
        row.as_ref().map(|row| from_row(row, tenant.clone())).transpose()
    }

    /// The newest jobs of a tenant, newest first.
    ///
    /// # Errors
    /// The database refused.
    pub async fn jobs(&self, tenant: &Tenant, limit: u32) -> Result<Vec<Job>, DirectoryError> {
        let newest = JobsPage {
            limit,
            ..JobsPage::default()
        };
        self.jobs_page(tenant, &newest).await
    }

    /// A page of a tenant's jobs, newest first.
    ///
    /// # Errors
    /// The database refused.
    pub async fn jobs_page(&self, tenant: &Tenant, page: &JobsPage) -> Result<Vec<Job>, DirectoryError> {
        // No id is greater than this, and no state has no name.
        let before = page.before.as_deref().map_or_else(|| "\u{7f}".to_owned(), text);
        let state = page.state.map_or("", JobState::name);
        let sql = "j.tenant_id = $1 AND j.deleted_at IS NULL AND j.job_id < $2 AND ($3 = '' OR j.state = $3)
                   ORDER BY j.job_id DESC LIMIT $4";
        let rows = sqlx::query(select(sql))
            .bind(tenant.id)
            .bind(before)
            .bind(state)
            .bind(i64::from(page.limit))
            .fetch_all(&self.database.pool)
            .await?;
        rows.iter().map(|row| from_row(row, tenant.clone())).collect()
    }

    /// Jobs with their tenants.
    async fn with_tenants(&self, rows: Vec<AnyRow>) -> Result<Vec<Job>, DirectoryError> {
        let mut jobs = Vec::with_capacity(rows.len());
        for row in rows {
            let tenant = self.tenant_by_id(row.try_get(1)?).await?;
            jobs.push(from_row(&row, tenant)?);
        }
        Ok(jobs)
    }
}

fn from_row(row: &AnyRow, tenant: Tenant) -> Result<Job, DirectoryError> {
    let origin: String = row.try_get(3)?;
    let state: String = row.try_get(2)?;
    Ok(Job {
        job_id: row.try_get(0)?,
        tenant,
        state: JobState::parse(&state)?,
        origin: if origin == JobOrigin::Command.name() {
            JobOrigin::Command
        } else {
            JobOrigin::Server
        },
        actor: row.try_get(4)?,
        request: row.try_get(5)?,
        attempt: row.try_get(6)?,
        created_at: row.try_get(7)?,
        started_at: row.try_get(8)?,
        finished_at: row.try_get(9)?,
        rows_total: row.try_get(10)?,
        rows_done: row.try_get(11)?,
        bytes: row.try_get(12)?,
        error_code: row.try_get(13)?,
        error: row.try_get(14)?,
        manifest: row.try_get(15)?,
        failures: row.try_get(16)?,
        worker: row.try_get(17)?,
        deadline_at: row.try_get(18)?,
        cancel_requested_by: row.try_get(19)?,
        expires_at: row.try_get(20)?,
        purged_at: row.try_get(21)?,
        held_by: row.try_get(22)?,
        lease_until: row.try_get(23)?,
        sensitive: row.try_get::<i64, _>(24)? != 0,
    })
}
