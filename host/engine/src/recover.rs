//! Takes care of what a process left that ended in the middle of a job.

use exeat_directory::DirectoryError;
use exeat_directory::audit::{AuditRecord, BULK_EXPORT, BULK_EXPORT_CANCELLED, BULK_EXPORT_FAILED};
use exeat_directory::jobs::{Job, JobOrigin, JobState, Progress, Return};

use crate::engine::Engine;
use crate::error::EngineError;
use crate::lease::backoff;
use crate::run::CommandRequest;
use crate::settings::JobSettings;
use crate::worker_id;

/// For how many leases a command's job of another machine is left to that machine, which alone
/// can see what the command wrote.
const LEASES_OF_A_FOREIGN_COMMAND: i64 = 120;

impl Engine {
    /// Looks at the running jobs whose process has ended: those of this machine by their locks, and
    /// all by their leases. A server's job runs again, or fails if it was tried often enough. A
    /// command's is completed if its manifest is already visible, and failed if not; what it staged
    /// is removed. Says how many there were.
    ///
    /// # Errors
    /// The directory refused.
    pub async fn recover(&self) -> Result<usize, EngineError> {
        let running = self.directory.running_jobs().await?;
        let of_dead = |job: &Job| {
            let worker = job.worker.as_deref().unwrap_or_default();
            worker_id::is_dead(&self.settings.data, worker)
        };
        let mut dead: Vec<Job> = running.iter().filter(|job| of_dead(job)).cloned().collect();
        // Leases end later than this only where a clock was set back.
        let abandoned = self.directory.abandoned_jobs(JobSettings::MAX_LEASE).await?;
        let known: std::collections::HashSet<String> = dead.iter().map(|job| job.job_id.clone()).collect();
        dead.extend(
            abandoned
                .into_iter()
                .filter(|job| !known.contains(&job.job_id) && !self.is_left_to_its_host(job)),
        );
        for job in &dead {
            self.recover_job(job).await?;
        }
        worker_id::sweep(&self.settings.data, |worker| {
            running.iter().any(|job| job.worker.as_deref() == Some(worker))
        });
        Ok(dead.len())
    }

    /// Whether the job is a command's of another machine that may still come back.
    fn is_left_to_its_host(&self, job: &Job) -> bool {
        let foreign = !worker_id::is_of_this_host(job.worker.as_deref().unwrap_or_default());
        let patience_us = self.settings.jobs.lease.as_micros() as i64 * LEASES_OF_A_FOREIGN_COMMAND;
        let begun = job.started_at.unwrap_or(job.created_at);
        job.origin == JobOrigin::Command && foreign && exeat_directory::now_us() - begun < patience_us
    }

    async fn recover_job(&self, job: &Job) -> Result<(), EngineError> {
        if job.origin == JobOrigin::Command {
            return Ok(self.recover_command(job).await?);
        }
        if job.cancel_requested_by.is_some() {
            let reason = "the export was cancelled";
            return Ok(self
                .end_dead(job, JobState::Cancelled, "cancelled", reason)
                .await?);
        }
        if self.may_fail_again(job) {
            tracing::info!(
                job = job.job_id,
                attempt = job.attempt,
                "the job's process ended; it runs again"
            );
            let how = Return {
                after: backoff(job.failures),
                failed: true,
            };
            self.directory.return_job(job, how).await?;
            return Ok(());
        }
        let reason = format!(
            "the processes that ran it ended before the export was done, {} times",
            job.failures + 1
        );
        Ok(self
            .end_dead(job, JobState::Failed, "process-ended", &reason)
            .await?)
    }

    async fn recover_command(&self, job: &Job) -> Result<(), DirectoryError> {
        let command: Option<CommandRequest> = serde_json::from_str(&job.request).ok();
        let manifest = command
            .as_ref()
            .and_then(|command| std::fs::read(&command.manifest).ok());
        if let Some(command) = &command {
            // What a dead command staged is nobody's any more.
            let _ = std::fs::remove_dir_all(&command.staging);
        }
        if let Some(manifest) = manifest.and_then(|manifest| own_manifest(&manifest, job)) {
            return self.complete_found(job, &manifest).await;
        }
        let reason = "the process that ran it ended before the export was done; there is no manifest, so there is no export";
        self.end_dead(job, JobState::Failed, "process-ended", reason)
            .await
    }

    async fn end_dead(
        &self,
        job: &Job,
        state: JobState,
        code: &str,
        reason: &str,
    ) -> Result<(), DirectoryError> {
        let (action, actor) = match state {
            JobState::Cancelled => (BULK_EXPORT_CANCELLED, job.cancel_requested_by.as_ref()),
            _ => (BULK_EXPORT_FAILED, None),
        };
        let audited = AuditRecord {
            actor: actor.unwrap_or(&job.actor).clone(),
            action,
            job_id: Some(job.job_id.clone()),
            detail: serde_json::json!({"code": code, "attempt": job.attempt}),
        };
        self.directory.end_job(job, state, code, reason, &audited).await?;
        Ok(())
    }

    /// The files were made visible and the process ended before it could record so.
    async fn complete_found(&self, job: &Job, manifest: &serde_json::Value) -> Result<(), DirectoryError> {
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
