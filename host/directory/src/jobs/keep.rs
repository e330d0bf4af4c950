//! How long the files of completed exports are kept. The record of a job stays.

use super::{Job, JobState, select};
use crate::audit::{self, AuditRecord};
use crate::database::text;
use crate::{Directory, DirectoryError, Tenant, now_us};

/// What came of taking away the files of an export. The files themselves are the caller's to
/// remove: once this is recorded, nobody can have them any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removal {
    /// They are said to be gone.
    Removed,
    /// Somebody ordered that they stay.
    Held,
    /// There are none: the export is not completed, or its files are gone.
    NoFiles,
}

/// What came of an order to keep files, or of lifting one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// It is recorded.
    Recorded,
    /// It was so already.
    Already,
    /// There are no files.
    NoFiles,
}

/// What came of deleting an export. Its files are the caller's to remove.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deletion {
    /// Nobody is shown it any more.
    Deleted,
    /// Somebody ordered that its files stay.
    Held,
    /// It has not ended.
    NotEnded,
    /// There is none of this id.
    Unknown,
}

impl Directory {
    /// Deletes an export that has ended: nobody is shown it any more. The audit trail stays.
    ///
    /// # Errors
    /// The database refused.
    pub async fn delete_job(
        &self,
        tenant: &Tenant,
        job_id: &str,
        audited: &AuditRecord,
    ) -> Result<Deletion, DirectoryError> {
        let mut transaction = self.database.begin().await?;
        let deleted = sqlx::query(
            "UPDATE jobs SET deleted_at = $3,
                             purged_at = CASE state WHEN 'completed' THEN coalesce(purged_at, $3) END
             WHERE tenant_id = $1 AND job_id = $2 AND state IN ('completed', 'failed', 'cancelled')
             AND held_by IS NULL AND deleted_at IS NULL",
        )
        .bind(tenant.id)
        .bind(text(job_id))
        .bind(now_us())
        .execute(&mut *transaction)
        .await?;
        if deleted.rows_affected() > 0 {
            audit::insert(&mut transaction, tenant.id, audited).await?;
            transaction.commit().await?;
            return Ok(Deletion::Deleted);
        }
        drop(transaction);
        Ok(match self.job(tenant, job_id).await? {
            None => Deletion::Unknown,
            Some(job) if job.held_by.is_some() => Deletion::Held,
            Some(_) => Deletion::NotEnded,
        })
    }

    /// Completed exports whose files have been kept for as long as they had to be, oldest first.
    ///
    /// # Errors
    /// The database refused.
    pub async fn expired_jobs(&self, limit: u32) -> Result<Vec<Job>, DirectoryError> {
        let now = self.database.dialect.now();
        let expired = format!(
            "j.state = 'completed' AND j.origin = 'server' AND j.purged_at IS NULL AND j.held_by IS NULL
             AND j.expires_at <= {now}
             ORDER BY j.expires_at LIMIT $1"
        );
        let rows = sqlx::query(select(&expired))
            .bind(i64::from(limit))
            .fetch_all(&self.database.pool)
            .await?;
        self.with_tenants(rows).await
    }

    /// Notes that the files of a completed export are gone.
    ///
    /// # Errors
    /// The database refused.
    pub async fn remove_files(&self, job: &Job, audited: &AuditRecord) -> Result<Removal, DirectoryError> {
        let mut transaction = self.database.begin().await?;
        let removed = sqlx::query(
            "UPDATE jobs SET purged_at = $2
             WHERE job_id = $1 AND state = 'completed' AND origin = 'server' AND purged_at IS NULL
             AND held_by IS NULL",
        )
        .bind(&job.job_id)
        .bind(now_us())
        .execute(&mut *transaction)
        .await?;
        if removed.rows_affected() > 0 {
            audit::insert(&mut transaction, job.tenant.id, audited).await?;
            transaction.commit().await?;
            return Ok(Removal::Removed);
        }
        drop(transaction);
        let now = self.job(&job.tenant, &job.job_id).await?;
        Ok(match now {
            Some(job) if job.has_files() && job.held_by.is_some() => Removal::Held,
            _ => Removal::NoFiles,
        })
    }

    /// Orders that the files of a completed export are kept, or lifts such an order.
    ///
    /// # Errors
    /// The database refused.
    pub async fn hold_files(
        &self,
        tenant: &Tenant,
        job_id: &str,
        held_by: Option<&str>,
        audited: &AuditRecord,
    ) -> Result<Kept, DirectoryError> {
        let mut transaction = self.database.begin().await?;
        let recorded = sqlx::query(
            "UPDATE jobs SET held_by = $3
             WHERE tenant_id = $1 AND job_id = $2 AND state = 'completed' AND origin = 'server'
             AND purged_at IS NULL
             AND (held_by IS NULL) <> ($3 IS NULL)",
        )
        .bind(tenant.id)
        .bind(text(job_id))
        .bind(held_by)
        .execute(&mut *transaction)
        .await?;
        if recorded.rows_affected() > 0 {
            audit::insert(&mut transaction, tenant.id, audited).await?;
            transaction.commit().await?;
            return Ok(Kept::Recorded);
        }
        drop(transaction);
        let job = self.job(tenant, job_id).await?;
        Ok(if job.is_some_and(|job| job.has_files()) {
            Kept::Already
        } else {
            Kept::NoFiles
        })
    }

    /// Whether there is, or was, a job of this name: what a job of another database wrote is none
    /// of ours to remove.
    ///
    /// # Errors
    /// The database refused.
    pub async fn knows_job(&self, job_id: &str) -> Result<bool, DirectoryError> {
        let known = sqlx::query("SELECT job_id FROM jobs WHERE job_id = $1")
            .bind(job_id)
            .fetch_optional(&self.database.pool)
            .await?;
        Ok(known.is_some())
    }

    /// Whether the files that an attempt wrote belong to somebody: to a running attempt, or to a
    /// completed export that was not purged.
    ///
    /// # Errors
    /// The database refused.
    pub async fn owns_files(&self, job_id: &str, attempt: i64) -> Result<bool, DirectoryError> {
        let owner = sqlx::query(
            "SELECT job_id FROM jobs WHERE job_id = $1 AND attempt = $2
             AND (state = $3 OR (state = $4 AND purged_at IS NULL))",
        )
        .bind(text(job_id))
        .bind(attempt)
        .bind(JobState::Running.name())
        .bind(JobState::Completed.name())
        .fetch_optional(&self.database.pool)
        .await?;
        Ok(owner.is_some())
    }
}
