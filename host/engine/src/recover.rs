//! Takes care of what a process left that ended in the middle of a job.

use exeat_directory::DirectoryError;
use exeat_directory::audit::{AuditRecord, BULK_EXPORT, BULK_EXPORT_FAILED};
use exeat_directory::jobs::{Job, JobOrigin, JobState, Progress};

use crate::engine::Engine;
use crate::error::EngineError;
use crate::lock::JobLock;
use crate::run::CommandRequest;

/// Attempts after which a job whose process keeps dying is failed.
const MAX_ATTEMPTS: i64 = 3;

impl Engine {
    /// Looks at every job that is said to be running. One whose process has ended is completed if
    /// its manifest is already visible, run again if the server ran it, and failed if a command
    /// did; its draft is removed. Says how many there were.
    ///
    /// # Errors
    /// The directory or the vault refused.
    pub async fn recover(&self) -> Result<usize, EngineError> {
        let mut dead = 0;
        for job in self.directory.running_jobs().await? {
            let Some(_lock) = JobLock::take(self.directory.folder(), &job.job_id)? else {
                continue;
            };
            self.recover_job(&job).await?;
            dead += 1;
        }
        self.vault.sweep_drafts(|draft| self.is_locked(draft))?;
        Ok(dead)
    }

    /// Whether a living process works on the draft: its name is the job's, a dot, and the attempt.
    /// The lock is taken before the draft is begun, so none that is just being begun is swept.
    fn is_locked(&self, draft: &str) -> bool {
        let job_id = draft.split('.').next().unwrap_or(draft);
        !matches!(JobLock::take(self.directory.folder(), job_id), Ok(Some(_)))
    }

    async fn recover_job(&self, job: &Job) -> Result<(), EngineError> {
        let command: Option<CommandRequest> = match job.origin {
            JobOrigin::Command => serde_json::from_str(&job.request).ok(),
            JobOrigin::Server => None,
        };
        let manifest = match &command {
            Some(command) => std::fs::read(&command.manifest).ok(),
            None => self
                .vault
                .manifest(job.tenant.name(), &job.job_id)
                .await?
                .map(Into::into),
        };
        if let Some(command) = &command {
            // What a dead command staged is nobody's any more.
            let _ = std::fs::remove_dir_all(&command.staging);
        }
        if let Some(manifest) = manifest.and_then(|manifest| own_manifest(&manifest, job)) {
            return self.complete_found(job, &manifest).await;
        }
        if job.origin == JobOrigin::Server && job.attempt < MAX_ATTEMPTS {
            tracing::info!(
                job = job.job_id,
                attempt = job.attempt,
                "the job's process ended; it runs again"
            );
            return Ok(self.directory.requeue_job(job).await?);
        }
        let reason = "the process that ran it ended before the export was done; there is no manifest, so there is no export";
        let audited = AuditRecord {
            actor: job.actor.clone(),
            action: BULK_EXPORT_FAILED,
            job_id: Some(job.job_id.clone()),
            detail: serde_json::json!({"code": "process-ended"}),
        };
        Ok(self
            .directory
            .end_job(job, JobState::Failed, "process-ended", reason, &audited)
            .await?)
    }

    /// The files were made visible and the process ended before it could record so.
    async fn complete_found(&self, job: &Job, manifest: &serde_json::Value) -> Result<(), EngineError> {
        let number = |pointer: &str| {
            manifest
                .pointer(pointer)
                .and_then(serde_json::Value::as_u64)
                .unwrap_or_default()
        };
        let files = manifest.get("files").and_then(serde_json::Value::as_array);
        let bytes = files
            .iter()
            .flat_map(|files| files.iter())
            .filter_map(|file| file.get("bytes")?.as_u64())
            .sum();
        let read = number("/rows/read");
        let audited = AuditRecord {
            actor: job.actor.clone(),
            action: BULK_EXPORT,
            job_id: Some(job.job_id.clone()),
            detail: serde_json::json!({
                "filter": manifest["filter"], "fields": manifest["fields"], "row_count": number("/rows/written"),
                "rows": manifest["rows"], "format": manifest["format"], "recovered": true,
            }),
        };
        let done = Progress {
            rows_total: read,
            rows_done: read,
            bytes,
        };
        let visible = async { Ok::<(), DirectoryError>(()) };
        self.directory
            .complete_job(job, done, &manifest.to_string(), &audited, visible)
            .await?;
        Ok(())
    }
}

/// The manifest, if it is this job's.
fn own_manifest(manifest: &[u8], job: &Job) -> Option<serde_json::Value> {
    let manifest: serde_json::Value = serde_json::from_slice(manifest).ok()?;
    (manifest.get("job_id")?.as_str()? == job.job_id).then_some(manifest)
}
