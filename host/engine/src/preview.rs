//! A few users, made into what an export would be, in memory and without a job; and how many there
//! would be.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use exeat_directory::Counting;
use exeat_directory::audit::{AuditRecord, COUNT, PREVIEW};
use exeat_encode::Compression;
use exeat_vault::{Loss, RowCounts};
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;

use crate::engine::Engine;
use crate::error::{EngineError, ExportFailure, RequestError};
use crate::pipeline::{BesideFile, Piece, Pipeline, Tally};
use crate::plugin_work::PluginWork;
use crate::progress::ProgressWatch;
use crate::request::ExportRequest;
use crate::requester::Requester;
use crate::spec::job_context;

/// What stands where a job's id would, for plugins and their logs.
const PREVIEW_JOB: &str = "preview";

/// Users of a preview, at most.
pub const MAX_PREVIEW_ROWS: u32 = 1_000;

/// Bytes of a preview, at most: it is held in memory.
const MAX_PREVIEW_BYTES: usize = 8 << 20;

/// How long a preview may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// What an export of a few users would be.
#[derive(Debug)]
pub struct Preview {
    /// Its files, those beside it among them.
    pub files: Vec<PreviewFile>,
    /// What became of the rows.
    pub rows: RowCounts,
    /// What the destination cannot hold.
    pub losses: Vec<Loss>,
}

/// A file of a preview.
#[derive(Debug)]
pub struct PreviewFile {
    /// Its name.
    pub name: String,
    /// Media type of what is in it.
    pub media_type: String,
    /// What is in it.
    pub bytes: Vec<u8>,
}

impl Engine {
    /// Runs the whole chain on the first `rows` users: reader, gate, plugins, encoder or adapter.
    /// Nothing is kept but what is audited.
    ///
    /// # Errors
    /// The request is wrong, a plugin fails, or it takes too long.
    pub async fn preview(
        &self,
        requester: &Requester,
        request: &ExportRequest,
        rows: u32,
    ) -> Result<Preview, EngineError> {
        let rows = u64::from(rows.min(MAX_PREVIEW_ROWS));
        let request = ExportRequest {
            limit: Some(request.limit.map_or(rows, |limit| limit.min(rows))),
            compression: Compression::None,
            ..request.clone()
        };
        let place = self.place()?;
        let cancel = self.closing.child_token();
        let _ends_with_its_caller = cancel.clone().drop_guard();
        let (engine, requester) = (self.clone(), requester.clone());
        within_patience(async move {
            // What a snapshot and its threads take is theirs until they have ended.
            let _place = place;
            engine.run_preview(&requester, &request, cancel).await
        })
        .await
    }

    async fn run_preview(
        &self,
        requester: &Requester,
        request: &ExportRequest,
        cancel: CancellationToken,
    ) -> Result<Preview, EngineError> {
        let spec = self.check(requester, request).await?;
        // Like a check, it must leave places to jobs.
        let _turn = self.openings.acquire().await;
        let snapshot = self
            .directory
            .snapshot(&requester.tenant, &spec.filter, Counting::Last)
            .await
            .map_err(ExportFailure::from)?;
        let snapshot = spec.bounded(snapshot);
        let context = job_context(&requester.tenant, PREVIEW_JOB, snapshot.taken_at_us());
        let (sandbox, to_open) = (self.plugins.sandbox.clone(), spec.clone());
        let opened = crate::engine::blocking(move || Ok(to_open.open(&sandbox, &context, 1)?)).await?;
        let work = PluginWork::of(&opened.chain, &spec);
        let fields: Vec<&str> = opened
            .gate
            .released()
            .iter()
            .map(|field| field.name.as_str())
            .collect();
        // Recorded before the first row is read: what a plugin says when it fails is told, too.
        let detail = serde_json::json!({
            "filter": request.filter, "fields": fields, "anonymized": request.anonymize, "limit": request.limit,
            "after": request.after,
        });
        self.note(requester, PREVIEW, detail).await?;
        let pipeline = Pipeline::start(&spec, snapshot, opened, ProgressWatch::default(), cancel.clone());
        let ran = collect(pipeline, cancel).await;
        work.note(
            &self.directory,
            &requester.tenant,
            PREVIEW_JOB,
            &requester.actor,
            ran.as_ref().err(),
        )
        .await;
        let (files, tally) = ran?;
        Ok(Preview {
            files,
            rows: tally.rows,
            losses: tally.losses,
        })
    }

    /// How many users the filter of a request lets through.
    ///
    /// # Errors
    /// The request is wrong, it takes too long, or the directory refused.
    pub async fn count(&self, requester: &Requester, request: &ExportRequest) -> Result<u64, EngineError> {
        let spec = self.check(requester, request).await?;
        let detail = serde_json::json!({"filter": request.filter});
        self.note(requester, COUNT, detail).await?;
        let place = self.place()?;
        let (directory, tenant) = (self.directory.clone(), requester.tenant.clone());
        within_patience(async move {
            let _place = place;
            let snapshot = directory.snapshot(&tenant, &spec.filter, Counting::First).await;
            let snapshot = spec.bounded(snapshot.map_err(ExportFailure::from)?);
            Ok(snapshot.rows().ok_or(ExportFailure::Stage)?)
        })
        .await
    }

    /// A place among those who read users at once.
    fn place(&self) -> Result<OwnedSemaphorePermit, RequestError> {
        let place = Arc::clone(&self.streams).try_acquire_owned();
        place.map_err(|_| RequestError::too_many_streams())
    }

    /// Audits what somebody is shown, before they are.
    async fn note(
        &self,
        requester: &Requester,
        action: &'static str,
        detail: serde_json::Value,
    ) -> Result<(), EngineError> {
        let record = AuditRecord {
            actor: requester.actor.clone(),
            action,
            job_id: None,
            detail,
        };
        Ok(self.directory.record(&requester.tenant, &record).await?)
    }
}

/// Waits for what is done, for as long as somebody waits for an answer. Left alone it goes on until
/// it sees that nobody waits any more.
async fn within_patience<T: Send + 'static>(
    work: impl Future<Output = Result<T, EngineError>> + Send + 'static,
) -> Result<T, EngineError> {
    match tokio::time::timeout(PATIENCE, tokio::spawn(work)).await {
        Ok(done) => done.map_err(|_| ExportFailure::Stage)?,
        Err(_) => Err(ExportFailure::TimedOut.into()),
    }
}

/// Puts the pieces together.
async fn collect(
    mut pipeline: Pipeline,
    cancel: CancellationToken,
) -> Result<(Vec<PreviewFile>, Tally), ExportFailure> {
    let mut files: Vec<PreviewFile> = Vec::new();
    let mut beside: BTreeMap<BesideFile, Vec<u8>> = BTreeMap::new();
    let mut bytes = 0;
    while let Some(piece) = pipeline.pieces.recv().await {
        match piece {
            Piece::File { name, media_type, .. } => files.push(PreviewFile {
                name,
                media_type,
                bytes: Vec::new(),
            }),
            Piece::Bytes(more) => {
                bytes += more.len();
                if let Some(file) = files.last_mut() {
                    file.bytes.extend(more);
                }
            }
            Piece::Side { file, line } => {
                bytes += line.len() + 1;
                let lines = beside.entry(file).or_default();
                lines.extend(line.as_bytes());
                lines.push(b'\n');
            }
        }
        if bytes > MAX_PREVIEW_BYTES {
            cancel.cancel();
            let detail = format!("these users make more than {MAX_PREVIEW_BYTES} bytes");
            let too_large = RequestError::new("too-large-preview", "/limit", detail).hint("ask for fewer");
            return Err(too_large.into());
        }
    }
    let tally = pipeline.finish().await?;
    files.extend(beside.into_iter().map(|(file, bytes)| PreviewFile {
        name: file.name().to_owned(),
        media_type: "application/x-ndjson".to_owned(),
        bytes,
    }));
    Ok((files, tally))
}
