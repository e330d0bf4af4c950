//! Runs one job: from the snapshot to files that are visible and a record that says so.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use data_encoding::HEXLOWER;
use exeat_directory::audit::{AuditRecord, BULK_EXPORT, BULK_EXPORT_FAILED};
use exeat_directory::jobs::{Job, JobOrigin, JobState, Progress, new_job_id};
use exeat_directory::{DirectoryError, Tenant, format_timestamp};
use exeat_encode::Compression;
use exeat_gate::redact_text;
use exeat_sandbox::Chain;
use exeat_vault::{Draft, ExportManifest, FileEntry, FileWriter, PluginEntry, Target, Vault};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tokio_util::sync::CancellationToken;

use crate::engine::Engine;
use crate::error::{EngineError, ExportFailure};
use crate::lock::JobLock;
use crate::pipeline::{BesideFile, Piece, Pipeline, Tally};
use crate::plugin_work::PluginWork;
use crate::progress::ProgressWatch;
use crate::request::ExportRequest;
use crate::spec::{ExportSpec, Output, job_context};

/// How often a running job's progress is written down.
const NOTE_EVERY: Duration = Duration::from_millis(500);

/// Media type of the files that go beside an export.
const SIDE_MEDIA_TYPE: &str = "application/x-ndjson";

/// Where the files of an export go.
#[derive(Clone, Debug)]
pub enum Destination {
    /// The vault of the data folder.
    Vault,
    /// A path of the user's.
    Path(Target),
}

/// An export that is written and that nobody sees yet.
struct Written {
    manifest: ExportManifest,
    draft: Draft,
    /// The files under the names that they have in the draft.
    staged: Vec<FileEntry>,
}

/// What a command's job keeps in its record besides the request, so that whoever finds it dead can
/// clear up after it.
#[derive(Serialize, Deserialize)]
pub(crate) struct CommandRequest {
    pub(crate) export: ExportRequest,
    pub(crate) manifest: PathBuf,
    pub(crate) staging: PathBuf,
}

/// A completed export.
#[derive(Clone, Debug)]
pub struct Completed {
    /// The job.
    pub job_id: String,
    /// What the export says of itself.
    pub manifest: ExportManifest,
}

impl Engine {
    /// Runs an export in this process, to a path of the user's.
    ///
    /// # Errors
    /// The target cannot be written, or the export fails; then nothing is visible there.
    pub async fn export_to_path(
        &self,
        tenant: &Tenant,
        actor: &str,
        request: &ExportRequest,
        target: &Target,
        progress: &ProgressWatch,
        cancel: &CancellationToken,
    ) -> Result<Completed, EngineError> {
        let spec = self.check(tenant, actor, request).await?;
        let job_id = new_job_id();
        let (vault, staging) = target.staging(&job_id)?;
        let staging = Staging(staging);
        let command = CommandRequest {
            export: spec.pinned(request),
            manifest: absolute(target.manifest()),
            staging: absolute(staging.0.clone()),
        };
        let record = serde_json::to_string(&command).unwrap_or_default();
        let lock = self.lock(&job_id)?;
        let job = self
            .directory
            .create_job(tenant, &job_id, JobOrigin::Command, actor, &record)
            .await?;
        let destination = Destination::Path(target.clone());
        let completed = self
            .run_checked(&job, &lock, spec, &vault, &destination, progress, cancel)
            .await;
        drop(staging);
        completed
    }

    /// Runs a job of the server's that was started.
    ///
    /// # Errors
    /// The export fails; the job's record says why.
    pub(crate) async fn run_job(
        &self,
        job: &Job,
        lock: &JobLock,
        progress: &ProgressWatch,
        cancel: &CancellationToken,
    ) -> Result<Completed, EngineError> {
        let request: ExportRequest =
            serde_json::from_str(&job.request).map_err(|_| DirectoryError::Corrupt("jobs.request"))?;
        let spec = match self.spec(&job.tenant, &request).await {
            Ok(spec) => spec,
            Err(EngineError::Request(error)) => {
                return Err(self
                    .fail(job, &progress.counts(), ExportFailure::Request(error))
                    .await?
                    .into());
            }
            Err(error) => return Err(error),
        };
        self.run_checked(
            job,
            lock,
            spec,
            &self.vault,
            &Destination::Vault,
            progress,
            cancel,
        )
        .await
    }

    fn lock(&self, job_id: &str) -> Result<JobLock, EngineError> {
        JobLock::take(self.directory.folder(), job_id)?.ok_or_else(|| ExportFailure::Superseded.into())
    }

    /// The lock is the proof that nobody else runs the job.
    #[expect(clippy::too_many_arguments, reason = "all of what one run consists of")]
    async fn run_checked(
        &self,
        job: &Job,
        _lock: &JobLock,
        spec: ExportSpec,
        vault: &Vault,
        destination: &Destination,
        progress: &ProgressWatch,
        cancel: &CancellationToken,
    ) -> Result<Completed, EngineError> {
        let plugin_work = Mutex::new(PluginWork::unopened(&spec));
        let written = tokio::select! {
            written = self.attempt(job, &spec, vault, destination, progress, cancel, &plugin_work) => written,
            () = cancel.cancelled() => Err(ExportFailure::Cancelled),
            never = self.note_progress(job, progress) => never,
        };
        let plugin_work = plugin_work.into_inner().unwrap_or_else(PoisonError::into_inner);
        let failure = written.as_ref().err();
        plugin_work
            .note(&self.directory, &job.tenant, &job.job_id, &job.actor, failure)
            .await;
        // From here on nobody can interrupt: an export is visible and recorded, or neither.
        let ended = match written {
            Ok(written) => self.complete(job, written, destination).await,
            Err(failure) => Err(failure),
        };
        match ended {
            Ok(manifest) => Ok(Completed {
                job_id: job.job_id.clone(),
                manifest,
            }),
            Err(failure @ (ExportFailure::Cancelled | ExportFailure::Busy))
                if job.origin == JobOrigin::Server =>
            {
                // The server is stopping, or full; the job is for another time.
                self.directory.requeue_job(job).await?;
                Err(failure.into())
            }
            Err(failure) => Err(self.fail(job, &progress.counts(), failure).await?.into()),
        }
    }

    /// Writes progress down until it is dropped.
    async fn note_progress<T>(&self, job: &Job, progress: &ProgressWatch) -> T {
        loop {
            tokio::time::sleep(NOTE_EVERY).await;
            if let Err(error) = self.directory.note_progress(job, progress.counts()).await {
                tracing::warn!(job = job.job_id, %error, "progress could not be noted");
            }
        }
    }

    /// One run of the job, up to files that nobody sees yet.
    #[expect(clippy::too_many_arguments, reason = "all of what one run consists of")]
    async fn attempt(
        &self,
        job: &Job,
        spec: &ExportSpec,
        vault: &Vault,
        destination: &Destination,
        progress: &ProgressWatch,
        cancel: &CancellationToken,
        plugin_work: &Mutex<PluginWork>,
    ) -> Result<Written, ExportFailure> {
        let snapshot = self.directory.snapshot(&job.tenant, &spec.filter).await?;
        let snapshot_at_us = snapshot.taken_at_us();
        let context = job_context(&job.tenant, &job.job_id, snapshot_at_us);
        let (sandbox, to_open) = (self.plugins.sandbox.clone(), spec.clone());
        let opened = tokio::task::spawn_blocking(move || to_open.open(&sandbox, &context));
        let opened = opened.await.map_err(|_| ExportFailure::Stage)??;
        *plugin_work.lock().unwrap_or_else(PoisonError::into_inner) = PluginWork::of(&opened.chain, spec);
        let mut manifest = begin_manifest(job, spec, &opened.chain, snapshot_at_us);
        manifest.fields = opened
            .gate
            .released()
            .iter()
            .map(|field| field.name.clone())
            .collect();
        let draft = vault.draft(&format!("{}.{}", job.job_id, job.attempt))?;
        let mut pipeline = Pipeline::start(spec, snapshot, opened, progress.clone(), cancel.clone());
        let written = write_files(&draft, &mut pipeline).await;
        // A stage that failed explains why the files ended early; it is asked first.
        let tally = pipeline.finish().await;
        let (files, tally) = match (written, tally) {
            (Ok(files), Ok(tally)) => (files, tally),
            (Err(failure), Ok(_) | Err(ExportFailure::Stage)) => return Err(failure),
            (_, Err(failure)) => return Err(failure),
        };
        let named = match destination {
            Destination::Vault => files.clone(),
            Destination::Path(target) => target.named(&files),
        };
        end_manifest(&mut manifest, named, tally);
        Ok(Written {
            manifest,
            draft,
            staged: files,
        })
    }

    /// Makes the files visible and records it, both or neither.
    async fn complete(
        &self,
        job: &Job,
        written: Written,
        destination: &Destination,
    ) -> Result<ExportManifest, ExportFailure> {
        let Written {
            manifest,
            draft,
            staged,
        } = written;
        let json = serde_json::to_string_pretty(&manifest).map_err(exeat_vault::VaultError::from)?;
        let bytes = manifest.files.iter().map(|file| file.bytes).sum();
        let done = Progress {
            rows_total: manifest.rows.read,
            rows_done: manifest.rows.read,
            bytes,
        };
        let visible = AtomicBool::new(false);
        let publish = async {
            match destination {
                Destination::Vault => {
                    // Files become visible one by one; whatever fails, none may stay.
                    visible.store(true, Ordering::Relaxed);
                    draft
                        .publish(&manifest.tenant, &job.job_id, &staged, json.as_bytes())
                        .await?;
                }
                Destination::Path(target) => {
                    draft.deliver(target, &staged, json.as_bytes())?;
                    visible.store(true, Ordering::Relaxed);
                }
            }
            Ok::<(), ExportFailure>(())
        };
        let audited = completion_record(job, &manifest);
        let completed = self
            .directory
            .complete_job(job, done, &json, &audited, publish)
            .await;
        if completed.is_err() && visible.load(Ordering::Relaxed) {
            // What nobody recorded must not be visible.
            match destination {
                Destination::Vault => self.vault.retract(&manifest.tenant, &job.job_id)?,
                Destination::Path(target) => target.retract(&manifest.files),
            }
        }
        if completed? {
            Ok(manifest)
        } else {
            Err(ExportFailure::Superseded)
        }
    }

    /// Records why a job ended without a result, and hands the reason back.
    async fn fail(
        &self,
        job: &Job,
        progress: &Progress,
        failure: ExportFailure,
    ) -> Result<ExportFailure, DirectoryError> {
        let state = if matches!(failure, ExportFailure::Cancelled) {
            JobState::Cancelled
        } else {
            JobState::Failed
        };
        let detail = serde_json::json!({"code": failure.code(), "rows_done": progress.rows_done});
        let audited = AuditRecord {
            actor: job.actor.clone(),
            action: BULK_EXPORT_FAILED,
            job_id: Some(job.job_id.clone()),
            detail,
        };
        self.directory
            .end_job(
                job,
                state,
                failure.code(),
                &redact_text(&failure.to_string()),
                &audited,
            )
            .await?;
        Ok(failure)
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

/// The folder of a command's draft, removed when the command is done.
struct Staging(PathBuf);

impl Drop for Staging {
    fn drop(&mut self) {
        // What cannot be removed now is swept at the next start.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn absolute(path: PathBuf) -> PathBuf {
    std::path::absolute(&path).unwrap_or(path)
}

/// Last stage: writes the pieces to files of the draft.
async fn write_files(draft: &Draft, pipeline: &mut Pipeline) -> Result<Vec<FileEntry>, ExportFailure> {
    let mut files = Vec::new();
    let mut open: Option<FileWriter> = None;
    let mut beside: BTreeMap<BesideFile, FileWriter> = BTreeMap::new();
    while let Some(piece) = pipeline.pieces.recv().await {
        match piece {
            Piece::File {
                name,
                media_type,
                compression,
            } => {
                if let Some(writer) = open.take() {
                    files.push(writer.finish().await?);
                }
                open = Some(draft.file(&name, &media_type, compression.name()).await?);
            }
            Piece::Bytes(bytes) => {
                if let Some(writer) = &mut open {
                    writer.write(&bytes).await?;
                }
            }
            Piece::Side { file, line } => {
                let writer = match beside.entry(file) {
                    Entry::Occupied(writer) => writer.into_mut(),
                    Entry::Vacant(none) => {
                        let uncompressed = Compression::None.name();
                        none.insert(draft.file(file.name(), SIDE_MEDIA_TYPE, uncompressed).await?)
                    }
                };
                writer.write(line.as_bytes()).await?;
                writer.write(b"\n").await?;
            }
        }
    }
    for writer in open.into_iter().chain(beside.into_values()) {
        files.push(writer.finish().await?);
    }
    Ok(files)
}

fn begin_manifest(job: &Job, spec: &ExportSpec, chain: &Chain, snapshot_at_us: i64) -> ExportManifest {
    let (format, formulas) = match &spec.output {
        Output::Encoder { format, formulas } => {
            let csv = *format == exeat_encode::Format::Csv;
            (format.name(), csv.then(|| formulas.name().to_owned()))
        }
        Output::Adapter(_) => ("adapter", None),
    };
    let columns = match spec.output {
        Output::Encoder { .. } => chain.schema().iter().map(|column| column.name.clone()).collect(),
        Output::Adapter(_) => Vec::new(),
    };
    let plugins = chain
        .plugins()
        .into_iter()
        .zip(spec.plugins())
        .map(|((plugin, reads), resolved)| PluginEntry {
            name: resolved.name.clone(),
            version: plugin.version().to_string(),
            digest: plugin.digest().to_owned(),
            config_digest: format!(
                "sha256:{}",
                HEXLOWER.encode(&Sha256::digest(&resolved.used.config))
            ),
            reads: reads.into_iter().map(str::to_owned).collect(),
        });
    ExportManifest {
        manifest_version: 1,
        exeat_version: env!("CARGO_PKG_VERSION").to_owned(),
        job_id: job.job_id.clone(),
        tenant: job.tenant.name().to_owned(),
        snapshot_at: format_timestamp(snapshot_at_us),
        filter: spec.filter.plain().iter().cloned().collect(),
        fields: Vec::new(),
        columns,
        format: format.to_owned(),
        csv_formulas: formulas,
        anonymized: spec.anonymize,
        policy: Default::default(),
        plugins: plugins.collect(),
        rows: Default::default(),
        losses: Vec::new(),
        files: Vec::new(),
    }
}

fn end_manifest(manifest: &mut ExportManifest, files: Vec<FileEntry>, tally: Tally) {
    manifest.rows = tally.rows;
    manifest.policy = tally.evidence;
    manifest.losses = tally.losses;
    manifest.files = files;
}
