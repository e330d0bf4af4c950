//! Jobs: the queued work that makes an export.

use std::future::Future;

use sqlx::sqlite::SqliteRow;
use sqlx::{Connection as _, Row as _, SqliteConnection};
use ulid::Ulid;

use crate::audit::{self, AuditRecord};
use crate::{Directory, DirectoryError, Tenant, now_us};

/// In which state a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

    fn parse(name: &str) -> Result<Self, DirectoryError> {
        let all = [
            Self::Queued,
            Self::Running,
            Self::Completed,
            Self::Failed,
            Self::Cancelled,
        ];
        all.into_iter()
            .find(|state| state.name() == name)
            .ok_or(DirectoryError::Corrupt("jobs.state"))
    }
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

/// An id for a new job: later ones sort after earlier ones.
pub fn new_job_id() -> String {
    format!("exp_{}", Ulid::new())
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
                       j.started_at, j.finished_at, j.rows_total, j.rows_done, j.bytes, j.error_code, j.error, j.manifest";

impl Directory {
    /// Queues a job for the server, or notes one that this very process is about to run.
    ///
    /// # Errors
    /// The database refused.
    pub async fn create_job(
        &self,
        tenant: &Tenant,
        job_id: &str,
        origin: JobOrigin,
        actor: &str,
        request: &str,
    ) -> Result<Job, DirectoryError> {
        let (state, attempt, started_at) = match origin {
            JobOrigin::Server => (JobState::Queued, 0, None),
            JobOrigin::Command => (JobState::Running, 1, Some(now_us())),
        };
        sqlx::query(
            "INSERT INTO jobs (job_id, tenant_id, state, origin, actor, request, attempt, created_at, started_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )
        .bind(job_id)
        .bind(tenant.id)
        .bind(state.name())
        .bind(origin.name())
        .bind(actor)
        .bind(request)
        .bind(attempt)
        .bind(now_us())
        .bind(started_at)
        .execute(&self.pool)
        .await?;
        self.job(tenant, job_id)
            .await?
            .ok_or(DirectoryError::Corrupt("jobs.job_id"))
    }

    /// A job of a tenant.
    ///
    /// # Errors
    /// The database refused.
    pub async fn job(&self, tenant: &Tenant, job_id: &str) -> Result<Option<Job>, DirectoryError> {
        let sql = sqlx::AssertSqlSafe(format!(
            "SELECT {COLUMNS} FROM jobs j WHERE j.tenant_id = ?1 AND j.job_id = ?2"
        ));
        let row = sqlx::query(sql)
            .bind(tenant.id)
            .bind(job_id)
            .fetch_optional(&self.pool)
            .await?;
        row.as_ref().map(|row| from_row(row, tenant.clone())).transpose()
    }

    /// The newest jobs of a tenant, newest first.
    ///
    /// # Errors
    /// The database refused.
    pub async fn jobs(&self, tenant: &Tenant, limit: u32) -> Result<Vec<Job>, DirectoryError> {
        let sql =
            format!("SELECT {COLUMNS} FROM jobs j WHERE j.tenant_id = ?1 ORDER BY j.job_id DESC LIMIT ?2");
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(tenant.id)
            .bind(limit)
            .fetch_all(&self.pool)
            .await?;
        rows.iter().map(|row| from_row(row, tenant.clone())).collect()
    }

    /// The ids of the oldest queued jobs, oldest first.
    ///
    /// # Errors
    /// The database refused.
    pub async fn queued_jobs(&self, limit: u32) -> Result<Vec<String>, DirectoryError> {
        let queued = sqlx::query_scalar(
            "SELECT job_id FROM jobs WHERE state = 'queued' ORDER BY created_at, job_id LIMIT ?1",
        );
        Ok(queued.bind(limit).fetch_all(&self.pool).await?)
    }

    /// Starts another attempt of a queued job; nothing if it is no longer queued.
    ///
    /// # Errors
    /// The database refused.
    pub async fn start_job(&self, job_id: &str) -> Result<Option<Job>, DirectoryError> {
        let tenant_id: Option<i64> = sqlx::query_scalar(
            "UPDATE jobs SET state = 'running', attempt = attempt + 1, started_at = ?2, rows_total = NULL,
                             rows_done = 0, bytes = 0
             WHERE job_id = ?1 AND state = 'queued' RETURNING tenant_id",
        )
        .bind(job_id)
        .bind(now_us())
        .fetch_optional(&self.pool)
        .await?;
        let Some(tenant_id) = tenant_id else {
            return Ok(None);
        };
        let tenant = self.tenant_by_id(tenant_id).await?;
        self.job(&tenant, job_id).await
    }

    /// Every job that is said to be running.
    ///
    /// # Errors
    /// The database refused.
    pub async fn running_jobs(&self) -> Result<Vec<Job>, DirectoryError> {
        let sql = format!("SELECT {COLUMNS} FROM jobs j WHERE j.state = 'running'");
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
            .fetch_all(&self.pool)
            .await?;
        let mut jobs = Vec::with_capacity(rows.len());
        for row in rows {
            let tenant = self.tenant_by_id(row.try_get(1)?).await?;
            jobs.push(from_row(&row, tenant)?);
        }
        Ok(jobs)
    }

    /// Puts a running job back into the queue, for another attempt.
    ///
    /// # Errors
    /// The database refused.
    pub async fn requeue_job(&self, job: &Job) -> Result<(), DirectoryError> {
        sqlx::query(
            "UPDATE jobs SET state = 'queued' WHERE job_id = ?1 AND state = 'running' AND attempt = ?2",
        )
        .bind(&job.job_id)
        .bind(job.attempt)
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Notes how far a running job is.
    ///
    /// # Errors
    /// The database refused.
    pub async fn note_progress(&self, job: &Job, progress: Progress) -> Result<(), DirectoryError> {
        sqlx::query(
            "UPDATE jobs SET rows_total = ?3, rows_done = ?4, bytes = ?5
             WHERE job_id = ?1 AND state = 'running' AND attempt = ?2",
        )
        .bind(&job.job_id)
        .bind(job.attempt)
        .bind(progress.rows_total as i64)
        .bind(progress.rows_done as i64)
        .bind(progress.bytes as i64)
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Completes a running job: its record, its audit record, and between them and the commit
    /// whatever makes its files visible. False, and nothing done, if the job is no longer ours.
    ///
    /// # Errors
    /// The database refused, or `publish` failed; then nothing is recorded.
    pub async fn complete_job<E: From<DirectoryError>>(
        &self,
        job: &Job,
        progress: Progress,
        manifest: &str,
        audited: &AuditRecord,
        publish: impl Future<Output = Result<(), E>>,
    ) -> Result<bool, E> {
        let database = |error: sqlx::Error| E::from(DirectoryError::from(error));
        let mut connection = self.pool.acquire().await.map_err(database)?;
        let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await.map_err(database)?;
        let completed = sqlx::query(
            "UPDATE jobs SET state = 'completed', finished_at = ?3, rows_total = ?4, rows_done = ?5, bytes = ?6,
                             manifest = ?7
             WHERE job_id = ?1 AND state = 'running' AND attempt = ?2",
        )
        .bind(&job.job_id)
        .bind(job.attempt)
        .bind(now_us())
        .bind(progress.rows_total as i64)
        .bind(progress.rows_done as i64)
        .bind(progress.bytes as i64)
        .bind(manifest)
        .execute(&mut *transaction)
        .await
        .map_err(database)?;
        if completed.rows_affected() == 0 {
            return Ok(false);
        }
        audit::insert(&mut transaction, job.tenant.id, audited).await?;
        publish.await?;
        transaction.commit().await.map_err(database)?;
        Ok(true)
    }

    /// Ends a running job without a result, and records why.
    ///
    /// # Errors
    /// The database refused.
    pub async fn end_job(
        &self,
        job: &Job,
        state: JobState,
        code: &str,
        reason: &str,
        audited: &AuditRecord,
    ) -> Result<(), DirectoryError> {
        let mut connection = self.pool.acquire().await?;
        let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
        if end(&mut transaction, job, state, code, reason).await? {
            audit::insert(&mut transaction, job.tenant.id, audited).await?;
        }
        transaction.commit().await?;
        Ok(())
    }
}

async fn end(
    connection: &mut SqliteConnection,
    job: &Job,
    state: JobState,
    code: &str,
    reason: &str,
) -> Result<bool, DirectoryError> {
    let ended = sqlx::query(
        "UPDATE jobs SET state = ?3, finished_at = ?4, error_code = ?5, error = ?6
         WHERE job_id = ?1 AND state = 'running' AND attempt = ?2",
    )
    .bind(&job.job_id)
    .bind(job.attempt)
    .bind(state.name())
    .bind(now_us())
    .bind(code)
    .bind(reason)
    .execute(connection)
    .await?;
    Ok(ended.rows_affected() > 0)
}

fn from_row(row: &SqliteRow, tenant: Tenant) -> Result<Job, DirectoryError> {
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
    })
}
