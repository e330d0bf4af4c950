//! How long files are kept: purging, deleting, holding, and sweeping up what belongs to nobody.

use exeat_directory::audit::{
    AuditRecord, BULK_EXPORT_CANCELLED, BULK_EXPORT_DELETED, BULK_EXPORT_HELD, BULK_EXPORT_PURGED,
    BULK_EXPORT_RELEASED, EXPORT_DELETED,
};
use exeat_directory::jobs::{Deletion, Job, JobState, Kept, Removal};
use exeat_directory::{Tenant, format_timestamp};
use exeat_vault::Attempt;
use futures::TryStreamExt as _;

use crate::engine::Engine;
use crate::error::{EngineError, RequestError};

/// Exports that are purged before anything else gets a turn.
const PURGE_AT_ONCE: u32 = 100;

/// What a sweep removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Exports whose files had been kept for as long as they had to be.
    pub purged: u64,
    /// Attempts whose files belonged to no export.
    pub orphans: u64,
}

impl Engine {
    /// Removes the files of exports whose time is over. Each is audited; the records of the jobs stay.
    ///
    /// # Errors
    /// The directory or the vault refused; whatever was recorded as gone is removed by the next sweep.
    pub async fn purge(&self) -> Result<u64, EngineError> {
        let mut purged = 0;
        loop {
            let expired = self.directory.expired_jobs(PURGE_AT_ONCE).await?;
            for job in &expired {
                let audited = removal_record(job, BULK_EXPORT_PURGED, "exeat:retention");
                if self.directory.remove_files(job, &audited).await? == Removal::Removed {
                    self.vault.remove(job.tenant.name(), &job.job_id).await?;
                    purged += 1;
                }
            }
            if expired.len() < PURGE_AT_ONCE as usize {
                return Ok(purged);
            }
        }
    }

    /// Removes the files of attempts that no running job and no completed export owns: those of
    /// dead workers, of stale ones, and of exports that were purged while the vault refused. What
    /// belongs to a job that the directory has never heard of is another installation's, and stays.
    ///
    /// # Errors
    /// The directory refused, or the vault cannot be listed. What cannot be removed is logged, and
    /// left to the next sweep.
    pub async fn sweep(&self) -> Result<Swept, EngineError> {
        let mut swept = Swept {
            purged: self.purge().await?,
            orphans: 0,
        };
        self.vault.sweep_checks().await?;
        let mut attempts = self.vault.attempts();
        while let Some(attempt) = attempts.try_next().await? {
            if !self.is_orphan(&attempt).await? {
                continue;
            }
            match self.vault.remove_attempt(&attempt).await {
                Ok(_) => swept.orphans += 1,
                Err(error) => tracing::warn!(%attempt, %error, "an attempt cannot be removed"),
            }
        }
        Ok(swept)
    }

    async fn is_orphan(&self, attempt: &Attempt) -> Result<bool, EngineError> {
        let owned = self
            .directory
            .owns_files(&attempt.job_id, attempt.attempt)
            .await?;
        Ok(!owned && self.directory.knows_job(&attempt.job_id).await?)
    }

    /// Cancels an export: at once if it waits, within two seconds if it runs.
    ///
    /// # Errors
    /// There is no such export, or it has ended.
    pub async fn cancel(&self, tenant: &Tenant, actor: &str, job_id: &str) -> Result<Job, EngineError> {
        let audited = AuditRecord {
            actor: actor.to_owned(),
            action: BULK_EXPORT_CANCELLED,
            job_id: Some(job_id.to_owned()),
            detail: serde_json::json!({"code": "cancelled", "rows_done": 0, "attempt": 0}),
        };
        let found = self.directory.cancel_job(tenant, job_id, actor, &audited).await?;
        match found {
            Some(JobState::Queued | JobState::Running | JobState::Cancelled) => {
                self.find(tenant, job_id).await
            }
            Some(state) => {
                let detail = format!("the export is {} already", state.name());
                Err(RequestError::new("not-cancellable", "", detail).into())
            }
            None => Err(no_such_export().into()),
        }
    }

    /// Removes the files of a completed export before their time.
    ///
    /// # Errors
    /// There is no such export, it has no files, or somebody ordered that they are kept.
    pub async fn delete_files(&self, tenant: &Tenant, actor: &str, job_id: &str) -> Result<Job, EngineError> {
        let job = self.find(tenant, job_id).await?;
        let audited = removal_record(&job, BULK_EXPORT_DELETED, actor);
        match self.directory.remove_files(&job, &audited).await? {
            Removal::Removed => {
                self.vault.remove(tenant.name(), job_id).await?;
                self.find(tenant, job_id).await
            }
            Removal::Held => Err(held().into()),
            Removal::NoFiles => Err(no_files(&job).into()),
        }
    }

    /// Deletes an export that has ended, and its files: nobody is shown it any more.
    ///
    /// # Errors
    /// There is no such export, it has not ended, or somebody ordered that its files are kept.
    pub async fn delete(&self, tenant: &Tenant, actor: &str, job_id: &str) -> Result<(), EngineError> {
        let audited = AuditRecord {
            actor: actor.to_owned(),
            action: EXPORT_DELETED,
            job_id: Some(job_id.to_owned()),
            detail: serde_json::json!({}),
        };
        let refused = match self.directory.delete_job(tenant, job_id, &audited).await? {
            Deletion::Deleted => {
                // What cannot be removed now is swept later: it belongs to nobody.
                self.vault.remove(tenant.name(), job_id).await?;
                return Ok(());
            }
            Deletion::Held => held(),
            Deletion::NotEnded => RequestError::new("not-ended", "", "the export has not ended")
                .hint("cancel it first: POST /v1/exports/{id}/cancel"),
            Deletion::Unknown => no_such_export(),
        };
        Err(refused.into())
    }

    /// Orders that the files of a completed export are kept until the order is lifted, or lifts it.
    /// Doing so again changes nothing.
    ///
    /// # Errors
    /// There is no such export, or it has no files.
    pub async fn hold_files(
        &self,
        tenant: &Tenant,
        actor: &str,
        job_id: &str,
        hold: bool,
    ) -> Result<Job, EngineError> {
        let job = self.find(tenant, job_id).await?;
        let audited = AuditRecord {
            actor: actor.to_owned(),
            action: if hold {
                BULK_EXPORT_HELD
            } else {
                BULK_EXPORT_RELEASED
            },
            job_id: Some(job_id.to_owned()),
            detail: serde_json::json!({}),
        };
        let by = hold.then_some(actor);
        match self.directory.hold_files(tenant, job_id, by, &audited).await? {
            Kept::Recorded | Kept::Already => self.find(tenant, job_id).await,
            Kept::NoFiles => Err(no_files(&job).into()),
        }
    }

    async fn find(&self, tenant: &Tenant, job_id: &str) -> Result<Job, EngineError> {
        let job = self.directory.job(tenant, job_id).await?;
        job.ok_or_else(|| no_such_export().into())
    }
}

fn removal_record(job: &Job, action: &'static str, actor: &str) -> AuditRecord {
    AuditRecord {
        actor: actor.to_owned(),
        action,
        job_id: Some(job.job_id.clone()),
        detail: serde_json::json!({
            "completed_at": job.finished_at.map(format_timestamp), "bytes": job.bytes,
        }),
    }
}

fn held() -> RequestError {
    let detail = "somebody ordered that the files of this export are kept";
    RequestError::new("held", "", detail).hint("lift the order first, if you may")
}

fn no_such_export() -> RequestError {
    RequestError::new("not-found", "", "there is no such export")
}

fn no_files(job: &Job) -> RequestError {
    if let Some(at) = job.purged_at {
        let detail = format!(
            "the files of this export were removed at {}",
            format_timestamp(at)
        );
        return RequestError::new("no-files", "", detail);
    }
    let detail = match job.state {
        JobState::Completed => "a command wrote this export to a path of its user's".to_owned(),
        state => format!("the export is {} and has no files", state.name()),
    };
    RequestError::new("not-ready", "", detail)
}
