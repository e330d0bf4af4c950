//! The queue: who may run which job, and until when.

use std::time::Duration;

use sqlx::Row as _;

use super::repeat::{self, Known};
use super::{IdempotencyKey, Job, JobOrigin, JobState, NewJob, Progress, from_row, micros, select};
use crate::{Directory, DirectoryError, Tenant, now_us};

/// How many jobs one tenant may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueLimits {
    /// Running, by all workers together.
    pub running_per_tenant: u32,
    /// Waiting.
    pub queued_per_tenant: u32,
}

impl Default for QueueLimits {
    fn default() -> Self {
        Self {
            running_per_tenant: 4,
            queued_per_tenant: 1_000,
        }
    }
}

/// What came of queueing a job.
#[derive(Clone, Debug)]
pub enum Queued {
    /// It waits.
    Waiting(Box<Job>),
    /// The same request was made before, under the same key: this is its job.
    Repeated(Box<Job>),
    /// The same request was made before, and its job was deleted since.
    RepeatedAndDeleted,
    /// The key stands for another request.
    OtherRequest,
    /// As many as are allowed wait already.
    TooMany,
}

/// What the holder of a lease learns when it renews it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heartbeat {
    /// The job is still its.
    Ours,
    /// The job is still its, and somebody wants it cancelled.
    Cancelled,
    /// The job is no longer its: another attempt has begun, or it was ended.
    Lost,
}

/// What came of trying to claim a job.
enum Claim {
    Job(Box<Job>),
    /// None may start.
    None,
    /// The tenant whose turn it was has as many running as it may.
    Overtaken,
}

/// How a running job goes back into the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Return {
    /// Not to be taken before this time has passed.
    pub after: Duration,
    /// Whether the attempt counts as one that ended badly.
    pub failed: bool,
}

impl Directory {
    /// What a request that is repeated under its key has come to; nothing if it was not made before.
    ///
    /// # Errors
    /// The database refused.
    pub async fn repeated_job(
        &self,
        tenant: &Tenant,
        asked: &IdempotencyKey,
    ) -> Result<Option<Queued>, DirectoryError> {
        let known = repeat::find(&mut *self.database.pool.acquire().await?, tenant, asked).await?;
        self.repeated(tenant, known).await
    }

    async fn repeated(&self, tenant: &Tenant, known: Known) -> Result<Option<Queued>, DirectoryError> {
        Ok(match known {
            Known::New => None,
            Known::Other => Some(Queued::OtherRequest),
            Known::Job(job_id) => {
                let made = self.job(tenant, &job_id).await?;
                Some(made.map_or(Queued::RepeatedAndDeleted, |job| Queued::Repeated(Box::new(job))))
            }
        })
    }

    /// Queues a job for the workers.
    ///
    /// # Errors
    /// The database refused.
    pub async fn queue_job(
        &self,
        tenant: &Tenant,
        job: &NewJob,
        limits: QueueLimits,
    ) -> Result<Queued, DirectoryError> {
        let mut transaction = self.database.begin_for(tenant.id).await?;
        if let Some(asked) = &job.idempotency {
            let known = repeat::find(&mut transaction, tenant, asked).await?;
            if !matches!(known, Known::New) {
                drop(transaction);
                return Ok(self
                    .repeated(tenant, known)
                    .await?
                    .unwrap_or(Queued::OtherRequest));
            }
            repeat::forget_old(&mut transaction, tenant).await?;
        }
        let waiting: i64 =
            sqlx::query_scalar("SELECT count(*) FROM jobs WHERE tenant_id = $1 AND state = 'queued'")
                .bind(tenant.id)
                .fetch_one(&mut *transaction)
                .await?;
        if waiting >= i64::from(limits.queued_per_tenant) {
            return Ok(Queued::TooMany);
        }
        sqlx::query(
            "INSERT INTO jobs (job_id, tenant_id, state, origin, actor, request, created_at, priority, timeout_us,
                               retention_us, sensitive)
             VALUES ($1, $2, 'queued', $3, $4, $5, $6, $7, $8, $9, $10)",
        )
        .bind(&job.job_id)
        .bind(tenant.id)
        .bind(JobOrigin::Server.name())
        .bind(&job.actor)
        .bind(&job.request)
        .bind(now_us())
        .bind(job.priority.rank())
        .bind(micros(job.timeout))
        .bind(micros(job.retention))
        .bind(i64::from(job.sensitive))
        .execute(&mut *transaction)
        .await?;
        if let Some(asked) = &job.idempotency {
            repeat::remember(&mut transaction, tenant, asked, &job.job_id).await?;
        }
        // Before the commit: after it a worker may have the job already, and no failure may hide it.
        let row = sqlx::query(select("j.job_id = $1"))
            .bind(&job.job_id)
            .fetch_one(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(Queued::Waiting(Box::new(from_row(&row, tenant.clone())?)))
    }

    /// Notes a job that this very process is about to run, with a lease on it.
    ///
    /// # Errors
    /// The database refused.
    pub async fn begin_command_job(
        &self,
        tenant: &Tenant,
        job: &NewJob,
        worker: &str,
        lease: Duration,
    ) -> Result<Job, DirectoryError> {
        let now = self.database.dialect.now();
        let insert = format!(
            "INSERT INTO jobs (job_id, tenant_id, state, origin, actor, request, attempt, created_at, started_at,
                               timeout_us, retention_us, worker, lease_until, deadline_at, sensitive)
             VALUES ($1, $2, 'running', $3, $4, $5, 1, $6, $6, $7, $8, $9, {now} + $10, {now} + $7, $11)"
        );
        sqlx::query(sqlx::AssertSqlSafe(insert))
            .bind(&job.job_id)
            .bind(tenant.id)
            .bind(JobOrigin::Command.name())
            .bind(&job.actor)
            .bind(&job.request)
            .bind(now_us())
            .bind(micros(job.timeout))
            .bind(micros(job.retention))
            .bind(worker)
            .bind(micros(lease))
            .bind(i64::from(job.sensitive))
            .execute(&self.database.pool)
            .await?;
        let begun = self.job(tenant, &job.job_id).await?;
        begun.ok_or(DirectoryError::Corrupt("jobs.job_id"))
    }

    /// Starts another attempt of the queued job whose turn it is, with a lease on it; nothing where
    /// none may start. Tenants take turns: the one with the fewest running jobs, then the one that
    /// was served the longest ago. Among a tenant's jobs the higher priority, then the older.
    ///
    /// # Errors
    /// The database refused.
    pub async fn claim_job(
        &self,
        worker: &str,
        lease: Duration,
        limits: QueueLimits,
    ) -> Result<Option<Job>, DirectoryError> {
        loop {
            let claim = self.try_claim(worker, lease, limits).await?;
            match claim {
                Claim::Job(job) => return Ok(Some(*job)),
                Claim::None => return Ok(None),
                // Somebody else took the last place of this tenant; another tenant may wait.
                Claim::Overtaken => {}
            }
        }
    }

    async fn try_claim(
        &self,
        worker: &str,
        lease: Duration,
        limits: QueueLimits,
    ) -> Result<Claim, DirectoryError> {
        let (now, skip_locked) = (self.database.dialect.now(), self.database.dialect.skip_locked());
        let mut transaction = self.database.begin().await?;
        let next = format!(
            "SELECT j.job_id, j.tenant_id FROM jobs j
             LEFT JOIN (SELECT tenant_id, count(*) AS jobs FROM jobs
                        WHERE state = 'running' AND origin = 'server' GROUP BY tenant_id) running
                    ON running.tenant_id = j.tenant_id
             LEFT JOIN turns ON turns.tenant_id = j.tenant_id
             WHERE j.state = 'queued' AND j.run_after <= {now} AND coalesce(running.jobs, 0) < $1
             ORDER BY coalesce(running.jobs, 0), coalesce(turns.served_at, 0), j.priority DESC, j.created_at, j.job_id
             LIMIT 1 {skip_locked}"
        );
        let next = sqlx::query(sqlx::AssertSqlSafe(next))
            .bind(i64::from(limits.running_per_tenant))
            .fetch_optional(&mut *transaction)
            .await?;
        let Some(next) = next else {
            return Ok(Claim::None);
        };
        let (job_id, tenant_id): (String, i64) = (next.try_get(0)?, next.try_get(1)?);
        // Whoever else starts a job of this tenant waits here, so that the count below is true. The
        // instant is later than any other, also where the clock is coarse or was set back.
        let turn = format!(
            "INSERT INTO turns (tenant_id, served_at)
             VALUES ($1, (SELECT CASE WHEN max(served_at) >= {now} THEN max(served_at) + 1 ELSE {now} END FROM turns))
             ON CONFLICT (tenant_id) DO UPDATE SET served_at = excluded.served_at"
        );
        sqlx::query(sqlx::AssertSqlSafe(turn))
            .bind(tenant_id)
            .execute(&mut *transaction)
            .await?;
        let running: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM jobs WHERE tenant_id = $1 AND state = 'running' AND origin = 'server'",
        )
        .bind(tenant_id)
        .fetch_one(&mut *transaction)
        .await?;
        if running >= i64::from(limits.running_per_tenant) {
            return Ok(Claim::Overtaken);
        }
        let start = format!(
            "UPDATE jobs SET state = 'running', attempt = attempt + 1, started_at = $2, rows_total = NULL,
                             rows_done = 0, bytes = 0, worker = $3, lease_until = {now} + $4,
                             deadline_at = coalesce(deadline_at, {now} + timeout_us)
             WHERE job_id = $1 AND state = 'queued'"
        );
        sqlx::query(sqlx::AssertSqlSafe(start))
            .bind(&job_id)
            .bind(now_us())
            .bind(worker)
            .bind(micros(lease))
            .execute(&mut *transaction)
            .await?;
        let row = sqlx::query(select("j.job_id = $1"))
            .bind(&job_id)
            .fetch_one(&mut *transaction)
            .await?;
        transaction.commit().await?;
        let tenant = self.tenant_by_id(tenant_id).await?;
        Ok(Claim::Job(Box::new(from_row(&row, tenant)?)))
    }

    /// Renews the lease on a job and notes how far it is.
    ///
    /// # Errors
    /// The database refused; the lease is then as it was.
    pub async fn renew_lease(
        &self,
        job: &Job,
        lease: Duration,
        progress: Progress,
    ) -> Result<Heartbeat, DirectoryError> {
        let now = self.database.dialect.now();
        let renew = format!(
            "UPDATE jobs SET lease_until = {now} + $3, rows_total = $4, rows_done = $5, bytes = $6
             WHERE job_id = $1 AND state = 'running' AND attempt = $2
             RETURNING CASE WHEN cancel_requested_by IS NULL THEN 0 ELSE 1 END"
        );
        let cancelled: Option<i64> = sqlx::query_scalar(sqlx::AssertSqlSafe(renew))
            .bind(&job.job_id)
            .bind(job.attempt)
            .bind(micros(lease))
            .bind(progress.rows_total as i64)
            .bind(progress.rows_done as i64)
            .bind(progress.bytes as i64)
            .fetch_optional(&self.database.pool)
            .await?;
        Ok(match cancelled {
            None => Heartbeat::Lost,
            Some(0) => Heartbeat::Ours,
            Some(_) => Heartbeat::Cancelled,
        })
    }

    /// Microseconds that are left to a job before it has taken too long, by the database's clock.
    ///
    /// # Errors
    /// The database refused.
    pub async fn time_left(&self, job: &Job) -> Result<Option<Duration>, DirectoryError> {
        let now = self.database.dialect.now();
        let left = format!("SELECT deadline_at - {now} FROM jobs WHERE job_id = $1");
        let left: Option<i64> = sqlx::query_scalar(sqlx::AssertSqlSafe(left))
            .bind(&job.job_id)
            .fetch_one(&self.database.pool)
            .await?;
        Ok(left.map(|us| Duration::from_micros(u64::try_from(us).unwrap_or_default())))
    }

    /// Puts a running job back into the queue. False, and nothing done, if it is no longer ours. If
    /// somebody wants it cancelled, whoever claims it next is told.
    ///
    /// # Errors
    /// The database refused.
    pub async fn return_job(&self, job: &Job, how: Return) -> Result<bool, DirectoryError> {
        let now = self.database.dialect.now();
        let put_back = format!(
            "UPDATE jobs SET state = 'queued', worker = NULL, lease_until = NULL, run_after = {now} + $3,
                             failures = failures + $4
             WHERE job_id = $1 AND state = 'running' AND attempt = $2"
        );
        let returned = sqlx::query(sqlx::AssertSqlSafe(put_back))
            .bind(&job.job_id)
            .bind(job.attempt)
            .bind(micros(how.after))
            .bind(i64::from(how.failed))
            .execute(&self.database.pool)
            .await?;
        Ok(returned.rows_affected() > 0)
    }

    /// Running jobs whose lease has run out. A lease that ends later than any can, counted from now,
    /// has run out too: a clock was set back.
    ///
    /// # Errors
    /// The database refused.
    pub async fn abandoned_jobs(&self, longest_lease: Duration) -> Result<Vec<Job>, DirectoryError> {
        let now = self.database.dialect.now();
        let abandoned = format!(
            "j.state = 'running' AND (j.lease_until IS NULL OR j.lease_until < {now} OR j.lease_until > {now} + $1)"
        );
        let rows = sqlx::query(select(&abandoned))
            .bind(micros(longest_lease))
            .fetch_all(&self.database.pool)
            .await?;
        self.with_tenants(rows).await
    }

    /// Every job that is said to be running.
    ///
    /// # Errors
    /// The database refused.
    pub async fn running_jobs(&self) -> Result<Vec<Job>, DirectoryError> {
        let rows = sqlx::query(select("j.state = 'running'"))
            .fetch_all(&self.database.pool)
            .await?;
        self.with_tenants(rows).await
    }

    /// How many jobs wait, in all.
    ///
    /// # Errors
    /// The database refused.
    pub async fn waiting_jobs(&self) -> Result<u64, DirectoryError> {
        let waiting: i64 = sqlx::query_scalar("SELECT count(*) FROM jobs WHERE state = $1")
            .bind(JobState::Queued.name())
            .fetch_one(&self.database.pool)
            .await?;
        Ok(waiting.unsigned_abs())
    }
}
