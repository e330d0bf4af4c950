//! How jobs end. A job's end and its audit record are one transaction.

use std::future::Future;

use super::{Job, JobState, Progress};
use crate::audit::{self, AuditRecord};
use crate::{Directory, DirectoryError, Tenant, now_us};

impl Directory {
    /// Completes a running job: its record, its audit record, and between them and the commit
    /// whatever makes its files visible. False, and nothing done, if the job is no longer ours.
    ///
    /// # Errors
    /// The database refused, or `publish` failed; then nothing is recorded. Where the connection is
    /// lost during the commit, nobody knows: [`Directory::job`] tells.
    pub async fn complete_job<E: From<DirectoryError>>(
        &self,
        job: &Job,
        progress: Progress,
        manifest: &str,
        audited: &AuditRecord,
        publish: impl Future<Output = Result<(), E>>,
    ) -> Result<bool, E> {
        let database = |error: sqlx::Error| E::from(DirectoryError::from(error));
        let mut transaction = self.database.begin().await?;
        let now = self.database.dialect.now();
        let complete = format!(
            "UPDATE jobs SET state = 'completed', finished_at = $3, rows_total = $4, rows_done = $5, bytes = $6,
                             manifest = $7, lease_until = NULL, expires_at = {now} + retention_us
             WHERE job_id = $1 AND state = 'running' AND attempt = $2"
        );
        let completed = sqlx::query(sqlx::AssertSqlSafe(complete))
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

    /// Ends a running job without a result, and records why. False, and nothing done, if the job is
    /// no longer ours.
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
    ) -> Result<bool, DirectoryError> {
        let mut transaction = self.database.begin().await?;
        let ended = sqlx::query(
            "UPDATE jobs SET state = $3, finished_at = $4, error_code = $5, error = $6, lease_until = NULL
             WHERE job_id = $1 AND state = 'running' AND attempt = $2",
        )
        .bind(&job.job_id)
        .bind(job.attempt)
        .bind(state.name())
        .bind(now_us())
        .bind(code)
        .bind(reason)
        .execute(&mut *transaction)
        .await?;
        if ended.rows_affected() == 0 {
            return Ok(false);
        }
        audit::insert(&mut transaction, job.tenant.id, audited).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// Cancels a job: at once if it waits, and if it runs as soon as its worker has heard. The
    /// state in which it was found; nothing where there is no such job. One that has ended stays as
    /// it is.
    ///
    /// # Errors
    /// The database refused.
    pub async fn cancel_job(
        &self,
        tenant: &Tenant,
        job_id: &str,
        actor: &str,
        audited: &AuditRecord,
    ) -> Result<Option<JobState>, DirectoryError> {
        let mut transaction = self.database.begin().await?;
        let cancelled = sqlx::query(
            "UPDATE jobs SET state = 'cancelled', finished_at = $3, error_code = 'cancelled',
                             error = 'the export was cancelled', cancel_requested_by = $4
             WHERE tenant_id = $1 AND job_id = $2 AND state = 'queued'",
        )
        .bind(tenant.id)
        .bind(job_id)
        .bind(now_us())
        .bind(actor)
        .execute(&mut *transaction)
        .await?;
        if cancelled.rows_affected() > 0 {
            audit::insert(&mut transaction, tenant.id, audited).await?;
            transaction.commit().await?;
            return Ok(Some(JobState::Queued));
        }
        sqlx::query(
            "UPDATE jobs SET cancel_requested_by = coalesce(cancel_requested_by, $3)
             WHERE tenant_id = $1 AND job_id = $2 AND state = 'running'",
        )
        .bind(tenant.id)
        .bind(job_id)
        .bind(actor)
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(self.job(tenant, job_id).await?.map(|job| job.state))
    }
}
