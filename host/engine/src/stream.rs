//! Users as they are read: nothing is stored, and a slow reader slows the cursor.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use exeat_directory::audit::{AuditRecord, STREAM, STREAM_BEGUN};
use exeat_directory::{Counting, Directory, Tenant, now_us};
use exeat_encode::{Compression, Format};
use futures::Stream;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio_util::sync::CancellationToken;

use crate::engine::Engine;
use crate::error::{EngineError, ExportFailure, RequestError};
use crate::pipeline::{Piece, Pipeline};
use crate::plugin_work::PluginWork;
use crate::progress::ProgressWatch;
use crate::request::ExportRequest;
use crate::requester::Requester;
use crate::spec::{ExportSpec, Output, job_context};

/// Streams at once: each holds three threads and a snapshot for as long as its reader takes.
pub(crate) const MAX_STREAMS: usize = 32;

/// How long the last line of a stream that failed has to be sent.
const LAST_LINE: Duration = Duration::from_millis(500);

/// Chunks that may wait for a slow reader.
const IN_FLIGHT: usize = 4;

/// What stands where a job's id would, for plugins and their logs.
const STREAM_JOB: &str = "stream";

/// The bytes of a stream. How many rows there are is known at its end: to count them first would
/// keep the reader waiting.
#[derive(Debug)]
pub struct UserStream {
    /// Media type of the bytes, before they were compressed.
    pub media_type: &'static str,
    /// How they are compressed.
    pub compression: Compression,
    chunks: mpsc::Receiver<Result<StreamPiece, ExportFailure>>,
}

/// What comes out of a stream.
#[derive(Debug)]
pub enum StreamPiece {
    /// The next bytes.
    Bytes(Bytes),
    /// The end: everything was sent.
    End {
        /// Rows that were written.
        rows: u64,
    },
}

impl UserStream {
    /// The pieces, of which the last one is the end. An error means that the stream is cut off: the
    /// reader must not take it for whole.
    pub fn into_pieces(self) -> impl Stream<Item = Result<StreamPiece, ExportFailure>> {
        futures::stream::unfold(self.chunks, async |mut chunks| {
            let chunk = chunks.recv().await?;
            Some((chunk, chunks))
        })
    }
}

impl Engine {
    /// Starts to stream users. Its end is audited with the number of rows, whether the reader
    /// stayed for it or not.
    ///
    /// # Errors
    /// The request is wrong or cannot be streamed, or the snapshot cannot be opened.
    pub async fn stream(
        &self,
        requester: &Requester,
        request: &ExportRequest,
    ) -> Result<UserStream, EngineError> {
        let Requester { tenant, actor, .. } = requester;
        if request.adapter.is_some() {
            let detail = "an adapter makes files, which cannot be streamed";
            return Err(RequestError::new("conflict", "/adapter", detail)
                .hint("POST /v1/exports")
                .into());
        }
        let Ok(place) = Arc::clone(&self.streams).try_acquire_owned() else {
            return Err(RequestError::too_many_streams().into());
        };
        let spec = self.check(requester, request).await?;
        let media_type = match &spec.output {
            Output::Encoder { format, .. } => format.media_type(),
            Output::Adapter(_) => "application/octet-stream",
        };
        let compression = spec.compression;
        let snapshot = self
            .directory
            .snapshot(tenant, &spec.filter, Counting::Last)
            .await
            .map_err(ExportFailure::from)?;
        let snapshot = spec.bounded(snapshot);
        let context = job_context(tenant, STREAM_JOB, snapshot.taken_at_us());
        let (sandbox, to_open) = (self.plugins.sandbox.clone(), spec.clone());
        // One lane: a stream goes at its reader's pace.
        let opened = crate::engine::blocking(move || Ok(to_open.open(&sandbox, &context, 1)?)).await?;
        let plugin_work = PluginWork::of(&opened.chain, &spec);
        let fields: Vec<String> = opened
            .gate
            .released()
            .iter()
            .map(|field| field.name.clone())
            .collect();
        let progress = ProgressWatch::default();
        let cancel = self.closing.child_token();
        let pipeline = Pipeline::start(&spec, snapshot, opened, progress.clone(), cancel.clone());
        let (chunks_to, chunks) = mpsc::channel(IN_FLIGHT);
        let ending = Ending {
            directory: self.directory.clone(),
            plugin_work,
            tenant: tenant.clone(),
            actor: actor.clone(),
            spec,
            fields,
            progress,
            begun_us: now_us(),
            cancel,
            _place: place,
        };
        // Recorded before the first row leaves, so that a crash hides nothing.
        ending.record(STREAM_BEGUN, "begun").await?;
        tokio::spawn(ending.forward(pipeline, chunks_to));
        Ok(UserStream {
            media_type,
            compression,
            chunks,
        })
    }
}

/// What the end of a stream has to record.
struct Ending {
    directory: Directory,
    plugin_work: PluginWork,
    tenant: Tenant,
    actor: String,
    spec: ExportSpec,
    fields: Vec<String>,
    progress: ProgressWatch,
    begun_us: i64,
    cancel: CancellationToken,
    _place: OwnedSemaphorePermit,
}

impl Ending {
    async fn forward(self, mut pipeline: Pipeline, chunks: mpsc::Sender<Result<StreamPiece, ExportFailure>>) {
        let mut gone = false;
        loop {
            let piece = tokio::select! {
                piece = pipeline.pieces.recv() => piece,
                () = chunks.closed() => {
                    gone = true;
                    break;
                }
            };
            let Some(piece) = piece else { break };
            let Piece::Bytes(bytes) = piece else { continue };
            self.progress.add_bytes(bytes.len() as u64);
            if chunks.send(Ok(StreamPiece::Bytes(bytes.into()))).await.is_err() {
                gone = true;
                break;
            }
        }
        if gone {
            // Whatever the stages wait for, nobody waits for them.
            self.cancel.cancel();
        }
        let ended = pipeline.finish().await;
        let outcome = match &ended {
            _ if gone => "reader-gone",
            Ok(_) => "completed",
            Err(failure) => failure.code(),
        };
        self.plugin_work
            .note(
                &self.directory,
                &self.tenant,
                STREAM_JOB,
                &self.actor,
                ended.as_ref().err(),
            )
            .await;
        // Recorded before the reader sees the end, so that a whole stream is never unrecorded.
        let recorded = self.record(STREAM, outcome).await;
        if let Err(error) = &recorded {
            tracing::error!(%error, "the end of a stream could not be recorded");
        }
        let ended = ended.and_then(|tally| recorded.map(|()| tally).map_err(ExportFailure::from));
        let last = match ended {
            _ if gone => return,
            Ok(tally) => Ok(StreamPiece::End {
                rows: tally.rows.written,
            }),
            Err(failure) => {
                if let Some(line) = self.last_line(&failure) {
                    let _ = chunks.send(Ok(StreamPiece::Bytes(line.into()))).await;
                    // A connection is cut off with all that was not sent yet: give this line a moment.
                    tokio::time::sleep(LAST_LINE).await;
                }
                Err(failure)
            }
        };
        // A reader that has gone needs no end.
        let _ = chunks.send(last).await;
    }

    /// What tells a reader of lines that the stream is cut off. Amid compressed bytes nobody could
    /// read it.
    fn last_line(&self, failure: &ExportFailure) -> Option<String> {
        let lines = matches!(
            self.spec.output,
            Output::Encoder {
                format: Format::Ndjson,
                ..
            }
        );
        (lines && self.spec.compression == Compression::None).then(|| {
            let last = serde_json::json!({"error": {"code": failure.code(), "complete": false}});
            format!("{last}\n")
        })
    }

    async fn record(
        &self,
        action: &'static str,
        outcome: &str,
    ) -> Result<(), exeat_directory::DirectoryError> {
        let filter: std::collections::BTreeMap<_, _> = self.spec.filter.plain().iter().cloned().collect();
        let detail = serde_json::json!({
            "filter": filter, "fields": self.fields, "anonymized": self.spec.anonymize, "outcome": outcome,
            "row_count": self.progress.counts().rows_done, "milliseconds": (now_us() - self.begun_us) / 1_000,
        });
        let record = AuditRecord {
            actor: self.actor.clone(),
            action,
            job_id: None,
            detail,
        };
        self.directory.record(&self.tenant, &record).await
    }
}
