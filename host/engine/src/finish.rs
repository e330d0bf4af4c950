//! How an attempt ends: completed and recorded, handed back, or failed with its reason.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use exeat_directory::DirectoryError;
use exeat_directory::audit::{AuditRecord, BULK_EXPORT, BULK_EXPORT_CANCELLED, BULK_EXPORT_FAILED};
use exeat_directory::jobs::{Job, JobOrigin, JobState, Progress, Return};
use exeat_gate::redact_text;
use exeat_vault::{Draft, ExportManifest};
use futures::FutureExt as _;

use crate::engine::Engine;
use crate::error::ExportFailure;
use crate::lease::backoff;
use crate::run::{Attempt, Destination, Written};
use crate::steps::Step;

/// How long a job waits that found no place for its plugins.
const BUSY_FOR: std::time::Duration = std::time::Duration::from_secs(1);

/// What becomes of a job whose attempt failed.
enum Verdict {
    /// It is no longer ours to say.
    LetGo,
    /// Another attempt will do.
    Return(Return),
    /// It ends.
    End(JobState),
}

impl Engine {
    /// Makes the files visible and records it, both or neither. In the vault, they are visible
    /// because it is recorded.
    pub(crate) async fn complete(
        &self,
        attempt: &Attempt<'_>,
        draft: &Draft,
        written: Written,
    ) -> Result<ExportManifest, ExportFailure> {
        let Written { manifest, staged } = written;
        let job = attempt.job;
        let json = serde_json::to_string_pretty(&manifest).map_err(exeat_vault::VaultError::from)?;
        let done = Progress {
            rows_total: manifest.rows.read,
            rows_done: manifest.rows.read,
            bytes: manifest.files.iter().map(|file| file.bytes).sum(),
        };
        let audited = completion_record(job, &manifest);
        let recorded = match attempt.destination {
            Destination::Vault => {
                draft.publish(json.as_bytes()).await?;
                self.took(Step::ManifestWritten, job)?;
                self.record_completion(job, done, &json, &audited).await?
            }
            Destination::Path(target) => {
                let delivered = AtomicBool::new(false);
                let deliver = async {
                    draft.deliver(target, &staged, json.as_bytes())?;
                    delivered.store(true, Ordering::Relaxed);
                    if let Some(staging) = attempt.vault.url().as_folder() {
                        // Now, because once the job is completed nobody looks for it any more.
                        let _ = std::fs::remove_dir_all(staging);
                    }
                    self.took(Step::ManifestWritten, job)
                };
                let completed = self
                    .directory
                    .complete_job(job, done, &json, &audited, deliver)
                    .await;
                match completed {
                    Ok(recorded) => recorded,
                    Err(failure) if !delivered.load(Ordering::Relaxed) => return Err(failure),
                    Err(failure) => match self.patiently(|| self.is_completed_by(job).boxed()).await {
                        // The answer to the commit was lost, and nothing else.
                        Ok(true) => true,
                        Ok(false) => {
                            // What nobody recorded must not be visible.
                            target.retract(&manifest.files);
                            return Err(failure);
                        }
                        // Nobody knows: whoever finds the manifest completes the job.
                        Err(error) => return Err(ExportFailure::Unrecorded(error)),
                    },
                }
            }
        };
        if !recorded {
            return Err(ExportFailure::Superseded);
        }
        // The export is completed: whatever watches now can no longer change that.
        let _ = self.took(Step::Recorded, job);
        Ok(manifest)
    }

    /// Records a completion, again and again if the directory cannot be reached. A commit of which
    /// the answer was lost counts.
    async fn record_completion(
        &self,
        job: &Job,
        done: Progress,
        json: &str,
        audited: &AuditRecord,
    ) -> Result<bool, ExportFailure> {
        let record = || {
            async {
                let visible = async { Ok::<(), DirectoryError>(()) };
                let recorded = self
                    .directory
                    .complete_job(job, done, json, audited, visible)
                    .await?;
                Ok(recorded || self.is_completed_by(job).await?)
            }
            .boxed()
        };
        self.patiently(record).await.map_err(ExportFailure::Unrecorded)
    }

    /// Whether this very attempt is the one that completed the job.
    async fn is_completed_by(&self, job: &Job) -> Result<bool, DirectoryError> {
        let now = self.directory.job(&job.tenant, &job.job_id).await?;
        Ok(now.is_some_and(|now| now.state == JobState::Completed && now.attempt == job.attempt))
    }

    /// Records how an attempt ended that made no export, and hands the reason back. Where the
    /// directory cannot be reached, the lease runs out, and somebody else records it.
    pub(crate) async fn end(&self, attempt: &Attempt<'_>, failure: ExportFailure) -> ExportFailure {
        let job = attempt.job;
        let recorded = match self.verdict(job, &failure) {
            Verdict::LetGo => Ok(true),
            Verdict::Return(how) => {
                self.patiently(|| self.return_or_cancel(job, how, attempt).boxed())
                    .await
            }
            Verdict::End(state) => {
                let rows_done = attempt.progress.counts().rows_done;
                self.patiently(|| self.record_end(job, state, &failure, rows_done).boxed())
                    .await
            }
        };
        if let Err(error) = recorded {
            tracing::error!(job = job.job_id, %error, "the end of an attempt could not be recorded");
        }
        failure
    }

    /// Puts the job back into the queue, unless somebody wants it cancelled meanwhile.
    async fn return_or_cancel(
        &self,
        job: &Job,
        how: Return,
        attempt: &Attempt<'_>,
    ) -> Result<bool, DirectoryError> {
        let now = self.directory.job(&job.tenant, &job.job_id).await?;
        if now.is_none_or(|now| now.cancel_requested_by.is_none()) {
            return self.directory.return_job(job, how).await;
        }
        let rows_done = attempt.progress.counts().rows_done;
        self.record_end(job, JobState::Cancelled, &ExportFailure::Cancelled, rows_done)
            .await
    }

    fn verdict(&self, job: &Job, failure: &ExportFailure) -> Verdict {
        let of_server = job.origin == JobOrigin::Server;
        let back = |after, failed| Verdict::Return(Return { after, failed });
        match failure {
            ExportFailure::Superseded | ExportFailure::LeaseLost | ExportFailure::Unrecorded(_) => {
                Verdict::LetGo
            }
            ExportFailure::Interrupted if of_server => back(std::time::Duration::ZERO, false),
            ExportFailure::Busy if of_server => back(BUSY_FOR, false),
            ExportFailure::Cancelled => Verdict::End(JobState::Cancelled),
            passing if of_server && passing.is_transient() && self.may_fail_again(job) => {
                back(backoff(job.failures), true)
            }
            _ => Verdict::End(JobState::Failed),
        }
    }

    /// Whether one more bad end leaves the job another attempt.
    pub(crate) fn may_fail_again(&self, job: &Job) -> bool {
        job.failures + 1 < i64::from(self.settings.jobs.max_failures)
    }

    async fn record_end(
        &self,
        job: &Job,
        state: JobState,
        failure: &ExportFailure,
        rows_done: u64,
    ) -> Result<bool, DirectoryError> {
        let action = if state == JobState::Cancelled {
            BULK_EXPORT_CANCELLED
        } else {
            BULK_EXPORT_FAILED
        };
        let canceller = match state {
            JobState::Cancelled => self.directory.job(&job.tenant, &job.job_id).await?,
            _ => None,
        };
        let canceller = canceller.and_then(|now| now.cancel_requested_by);
        let audited = AuditRecord {
            actor: canceller.unwrap_or_else(|| job.actor.clone()),
            action,
            job_id: Some(job.job_id.clone()),
            detail: serde_json::json!({"code": failure.code(), "rows_done": rows_done, "attempt": job.attempt}),
        };
        let reason = failure.to_string();
        let reason = redact_text(&reason);
        self.directory
            .end_job(job, state, failure.code(), &reason, &audited)
            .await
    }
}

/// What the audit trail keeps of a completed export.
pub(crate) fn completion_record(job: &Job, manifest: &ExportManifest) -> AuditRecord {
    let digests: BTreeMap<&str, &str> = manifest
        .files
        .iter()
        .map(|file| (file.name.as_str(), file.sha256.as_str()))
        .collect();
    let plugins: BTreeMap<&str, &str> = manifest
        .plugins
        .iter()
        .map(|plugin| (plugin.name.as_str(), plugin.digest.as_str()))
        .collect();
    AuditRecord {
        actor: job.actor.clone(),
        action: BULK_EXPORT,
        job_id: Some(job.job_id.clone()),
        detail: serde_json::json!({
            "filter": manifest.filter, "fields": manifest.fields, "row_count": manifest.rows.written,
            "rows": manifest.rows, "format": manifest.format, "anonymized": manifest.anonymized,
            "policy_version": manifest.policy.policy_version, "plugins": plugins, "files": digests,
        }),
    }
}
