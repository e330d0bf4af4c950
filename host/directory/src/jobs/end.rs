//! How jobs end. A job's end and its audit record are one transaction.

use std::future::Future;

use sqlx::{AnyConnection, Row as _};

use super::{Job, JobOrigin, JobState, Progress};
use crate::audit::{self, AuditRecord};
use crate::database::text;
use crate::{Directory, DirectoryError, Tenant, now_us, webhooks};

impl Job {
    /// Tells webhooks of its end. A command's is seen by whoever runs it.
    async fn announce(
        &self,
        connection: &mut AnyConnection,
        state: JobState,
        error_code: Option<&str>,
    ) -> Result<(), DirectoryError> {
        match self.origin {
            JobOrigin::Server => {
                webhooks::announce(connection, self.tenant.id, &self.job_id, state, error_code).await
            }
            JobOrigin::Command => Ok(()),
        }
    }
}

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
                             manifest = $7, lease_until = NULL,
                             expires_at = CASE origin WHEN 'server' THEN {now} + retention_us END
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
        job.announce(&mut transaction, JobState::Completed, None).await?;
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
        .bind(text(reason))
        .execute(&mut *transaction)
        .await?;
        if ended.rows_affected() == 0 {
            return Ok(false);
        }
        audit::insert(&mut transaction, job.tenant.id, audited).await?;
        job.announce(&mut transaction, state, Some(code)).await?;
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
        // One statement: between two, a job could go from the queue to a worker, or back.
        let cancelled = sqlx::query(
            "UPDATE jobs SET state = CASE state WHEN 'queued' THEN 'cancelled' ELSE state END,
                             finished_at = CASE state WHEN 'queued' THEN $3 ELSE finished_at END,
                             error_code = CASE state WHEN 'queued' THEN 'cancelled' ELSE error_code END,
                             error = CASE state WHEN 'queued' THEN 'the export was cancelled' ELSE error END,
                             cancel_requested_by = coalesce(cancel_requested_by, $4)
             WHERE tenant_id = $1 AND job_id = $2 AND state IN ('queued', 'running')
             RETURNING state",
        )
        .bind(tenant.id)
        .bind(text(job_id))
        .bind(now_us())
        .bind(actor)
        .fetch_optional(&mut *transaction)
        .await?;
        let Some(cancelled) = cancelled else {
            drop(transaction);
            return Ok(self.job(tenant, job_id).await?.map(|job| job.state));
        };
        let found = match JobState::parse(cancelled.try_get(0)?)? {
            JobState::Cancelled => {
                audit::insert(&mut transaction, tenant.id, audited).await?;
                let code = Some("cancelled");
                webhooks::announce(&mut transaction, tenant.id, job_id, JobState::Cancelled, code).await?;
                JobState::Queued
            }
            state => state,
        };
        transaction.commit().await?;
        Ok(Some(found))
    }
}
