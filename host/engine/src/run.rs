//! Runs one job: from the snapshot to files that are whole, and that nobody sees yet.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use data_encoding::HEXLOWER;
use exeat_directory::jobs::{Job, JobOrigin, NewJob, new_job_id};
use exeat_directory::{Counting, DirectoryError, format_timestamp};
use exeat_encode::Compression;
use exeat_sandbox::Chain;
use exeat_vault::{Draft, ExportManifest, FileEntry, FileWriter, PluginEntry, Target, Vault};
use futures::FutureExt as _;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tokio_util::sync::CancellationToken;

use crate::engine::Engine;
use crate::error::{EngineError, ExportFailure};
use crate::pipeline::{BesideFile, Piece, Pipeline, Tally};
use crate::plugin_work::PluginWork;
use crate::progress::ProgressWatch;
use crate::request::ExportRequest;
use crate::requester::{FieldRights, Requester};
use crate::spec::{ExportSpec, Output, job_context};
use crate::steps::Step;

/// Media type of the files that go beside an export.
const SIDE_MEDIA_TYPE: &str = "application/x-ndjson";

/// Where the files of an export go.
#[derive(Clone, Debug)]
pub(crate) enum Destination {
    /// The vault.
    Vault,
    /// A path of the user's.
    Path(Target),
}

/// An export that is written and that nobody sees yet.
pub(crate) struct Written {
    pub(crate) manifest: ExportManifest,
    /// The files under the names that they have in the draft.
    pub(crate) staged: Vec<FileEntry>,
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

/// One attempt of a job: what every step of it needs.
pub(crate) struct Attempt<'a> {
    pub(crate) job: &'a Job,
    pub(crate) vault: &'a Vault,
    pub(crate) destination: &'a Destination,
    pub(crate) progress: &'a ProgressWatch,
    /// Told when the process is to stop.
    pub(crate) stop: &'a CancellationToken,
}

impl Engine {
    /// Runs an export in this process, to a path of the user's. `stop` cancels it.
    ///
    /// # Errors
    /// The target cannot be written, or the export fails; then nothing is visible there.
    pub async fn export_to_path(
        &self,
        requester: &Requester,
        request: &ExportRequest,
        target: &Target,
        progress: &ProgressWatch,
        stop: &CancellationToken,
    ) -> Result<Completed, EngineError> {
        let spec = self.check(requester, request).await?;
        let job_id = new_job_id();
        let (vault, staging) = target.staging(&job_id)?;
        let staging = Staging(staging);
        let command = CommandRequest {
            export: spec.pinned(request),
            manifest: absolute(target.manifest()),
            staging: absolute(staging.0.clone()),
        };
        let new = NewJob {
            job_id,
            actor: requester.actor.clone(),
            request: serde_json::to_string(&command).unwrap_or_default(),
            priority: request.priority.into(),
            timeout: self.timeout(request)?,
            retention: self.retention(request)?,
            sensitive: requester.rights == FieldRights::Sensitive,
            idempotency: None,
        };
        let job = self
            .directory
            .begin_command_job(
                &requester.tenant,
                &new,
                self.worker.as_str(),
                self.settings.jobs.lease,
            )
            .await?;
        let attempt = Attempt {
            job: &job,
            vault: &vault,
            destination: &Destination::Path(target.clone()),
            progress,
            stop,
        };
        let completed = self.run_checked(&attempt, spec).await;
        drop(staging);
        completed
    }

    /// Runs a job that a worker has claimed. `stop` hands it back.
    ///
    /// # Errors
    /// The export fails, or is handed back; the job's record says so.
    pub(crate) async fn run_job(
        &self,
        job: &Job,
        progress: &ProgressWatch,
        stop: &CancellationToken,
    ) -> Result<Completed, EngineError> {
        let attempt = Attempt {
            job,
            vault: &self.vault,
            destination: &Destination::Vault,
            progress,
            stop,
        };
        match self.interruptible(&attempt, self.check_claimed(job)).await {
            Ok(spec) => self.run_checked(&attempt, spec).await,
            Err(failure) => Err(self.end(&attempt, failure).await.into()),
        }
    }

    /// The request of a claimed job, checked again: a policy or a plugin may have changed.
    async fn check_claimed(&self, job: &Job) -> Result<ExportSpec, ExportFailure> {
        self.took(Step::Claimed, job)?;
        if job.cancel_requested_by.is_some() {
            // Asked of the attempt before, which went back into the queue at that moment.
            return Err(ExportFailure::Cancelled);
        }
        let request: ExportRequest =
            serde_json::from_str(&job.request).map_err(|_| DirectoryError::Corrupt("jobs.request"))?;
        let rights = if job.sensitive {
            FieldRights::Sensitive
        } else {
            FieldRights::Ordinary
        };
        let spec = match self.spec(&job.tenant, rights, &request).await {
            Ok(spec) => spec,
            Err(EngineError::Request(error)) => return Err(ExportFailure::Request(error)),
            Err(EngineError::Directory(error)) => return Err(error.into()),
            Err(EngineError::Vault(error)) => return Err(error.into()),
            Err(EngineError::Export(failure)) => return Err(failure),
            Err(error) => {
                tracing::error!(job = job.job_id, %error, "a job's plugins cannot be loaded");
                return Err(ExportFailure::Stage);
            }
        };
        self.took(Step::RequestChecked, job)?;
        Ok(spec)
    }

    /// Runs the attempt to its end, and records that, whatever it is.
    async fn run_checked(&self, attempt: &Attempt<'_>, spec: ExportSpec) -> Result<Completed, EngineError> {
        let Attempt { job, vault, .. } = *attempt;
        let draft = match vault.draft(job.tenant.name(), &job.job_id, job.attempt) {
            Ok(draft) => draft,
            Err(error) => return Err(self.end(attempt, error.into()).await.into()),
        };
        let plugin_work = Mutex::new(PluginWork::unopened(&spec));
        let writing = self.write(attempt, &spec, &draft, &plugin_work);
        let written = self.interruptible(attempt, writing).await;
        let plugin_work = plugin_work.into_inner().unwrap_or_else(PoisonError::into_inner);
        // From here on nobody can interrupt: an export is visible and recorded, or neither.
        let completing = async {
            let failure = written.as_ref().err();
            plugin_work
                .note(&self.directory, &job.tenant, &job.job_id, &job.actor, failure)
                .await;
            match written {
                Ok(written) => self.complete(attempt, &draft, written).await,
                Err(failure) => Err(failure),
            }
        };
        let completed = self.uninterrupted(attempt, completing).await;
        let failure = match completed {
            Ok(manifest) => {
                return Ok(Completed {
                    job_id: job.job_id.clone(),
                    manifest,
                });
            }
            Err(failure) => failure,
        };
        // What may have been recorded is left alone: whoever takes the job up knows.
        if !matches!(failure, ExportFailure::Unrecorded(_))
            && let Err(error) = draft.discard().await
        {
            tracing::warn!(job = job.job_id, %error, "what was half written stays until the next sweep");
        }
        Err(self.end(attempt, failure).await.into())
    }

    /// Does a part of an attempt, with the lease renewed meanwhile, until there is a reason to stop.
    async fn interruptible<T>(
        &self,
        attempt: &Attempt<'_>,
        work: impl Future<Output = Result<T, ExportFailure>> + Send,
    ) -> Result<T, ExportFailure> {
        tokio::select! {
            done = work => done,
            () = attempt.stop.cancelled() => Err(match attempt.job.origin {
                JobOrigin::Server => ExportFailure::Interrupted,
                JobOrigin::Command => ExportFailure::Cancelled,
            }),
            reason = self.hold(attempt.job, attempt.progress) => Err(reason),
            late = self.deadline(attempt.job) => Err(late),
        }
    }

    /// Does a part of an attempt to its end, with the lease renewed meanwhile. If it is lost, what
    /// is recorded is refused.
    async fn uninterrupted<T>(&self, attempt: &Attempt<'_>, work: impl Future<Output = T> + Send) -> T {
        let holding = async {
            self.hold(attempt.job, attempt.progress).await;
            std::future::pending().await
        };
        tokio::select! {
            done = work => done,
            never = holding => never,
        }
    }

    /// Waits until the job has taken too long.
    async fn deadline(&self, job: &Job) -> ExportFailure {
        match self.patiently(|| self.directory.time_left(job).boxed()).await {
            Ok(Some(left)) => {
                tokio::time::sleep(left).await;
                ExportFailure::TimedOut
            }
            // Without a deadline there is none to wait for; without a directory the lease is lost.
            Ok(None) | Err(_) => std::future::pending().await,
        }
    }

    /// Everything up to files that nobody sees yet.
    async fn write(
        &self,
        attempt: &Attempt<'_>,
        spec: &ExportSpec,
        draft: &Draft,
        plugin_work: &Mutex<PluginWork>,
    ) -> Result<Written, ExportFailure> {
        let job = attempt.job;
        let snapshot = self
            .directory
            .snapshot(&job.tenant, &spec.filter, Counting::First)
            .await?;
        let snapshot = spec.bounded(snapshot);
        self.took(Step::SnapshotOpened, job)?;
        let snapshot_at_us = snapshot.taken_at_us();
        let context = job_context(&job.tenant, &job.job_id, snapshot_at_us);
        let (sandbox, to_open) = (self.plugins.sandbox.clone(), spec.clone());
        let lanes = self.settings.jobs.transform_threads;
        let opened = tokio::task::spawn_blocking(move || to_open.open(&sandbox, &context, lanes));
        let opened = opened.await.map_err(|_| ExportFailure::Stage)??;
        *plugin_work.lock().unwrap_or_else(PoisonError::into_inner) = PluginWork::of(&opened.chain, spec);
        self.took(Step::PluginsOpened, job)?;
        let mut manifest = begin_manifest(job, spec, &opened.chain, snapshot_at_us);
        manifest.fields = opened
            .gate
            .released()
            .iter()
            .map(|field| field.name.clone())
            .collect();
        // However this ends, the stages end with it.
        let cancel = CancellationToken::new();
        let _ends_with_this = cancel.clone().drop_guard();
        let mut pipeline = Pipeline::start(spec, snapshot, opened, attempt.progress.clone(), cancel);
        let written = self.write_files(attempt, draft, &mut pipeline).await;
        // A stage that failed explains why the files ended early; it is asked first.
        let tally = pipeline.finish().await;
        let (files, tally) = match (written, tally) {
            (Ok(files), Ok(tally)) => (files, tally),
            (Err(failure), Ok(_) | Err(ExportFailure::Stage)) => return Err(failure),
            (_, Err(failure)) => return Err(failure),
        };
        self.took(Step::FilesWritten, job)?;
        let named = match attempt.destination {
            Destination::Vault => files.clone(),
            Destination::Path(target) => target.named(&files),
        };
        end_manifest(&mut manifest, named, tally);
        self.took(Step::RowsCounted, job)?;
        Ok(Written {
            manifest,
            staged: files,
        })
    }

    /// Last stage: writes the pieces to files of the draft.
    async fn write_files(
        &self,
        attempt: &Attempt<'_>,
        draft: &Draft,
        pipeline: &mut Pipeline,
    ) -> Result<Vec<FileEntry>, ExportFailure> {
        let Attempt { job, progress, .. } = *attempt;
        let mut files = Vec::new();
        let mut first = true;
        let mut open: Option<FileWriter> = None;
        let mut beside: BTreeMap<BesideFile, FileWriter> = BTreeMap::new();
        while let Some(piece) = pipeline.pieces.recv().await {
            if let Piece::Bytes(bytes) = &piece {
                progress.add_bytes(bytes.len() as u64);
            }
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
                        writer.write_piece(bytes.into()).await?;
                    }
                    if std::mem::take(&mut first) {
                        self.took(Step::FirstBytesWritten, job)?;
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

    /// Tells whoever watches that a step was taken.
    pub(crate) fn took(&self, step: Step, job: &Job) -> Result<(), ExportFailure> {
        self.observer.after(step, &job.job_id, job.attempt)
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
        source: spec.source.clone(),
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
