//! One export, from the snapshot to written files. Each stage works on its own, and hands on
//! through a bounded channel: a slow writer slows the reader, and memory does not grow with rows.
//!
//! ```text
//! read ──RawBatch──► release, transform ──Shaped──► encode or adapt, compress ──Piece──► write
//! thread             thread                         thread                              async
//! ```

use exeat_directory::Snapshot;
use exeat_encode::{Compression, Compressor, Encoder};
use exeat_gate::{Evidence, Gate};
use exeat_sandbox::{AdapterSession, Chain, Chunk, EncodedBatch, Reject, Shaped, SideFile, SideLine};
use exeat_vault::{Loss, RowCounts};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::error::ExportFailure;
use crate::progress::ProgressWatch;
use crate::spec::{ExportSpec, Opened, Output, RejectPolicy};

/// Batches or pieces that may wait between two stages.
const IN_FLIGHT: usize = 2;

/// Kinds of loss that a manifest tells of.
const MAX_LOSSES: usize = 256;

/// A piece of the output, in order.
pub(crate) enum Piece {
    /// A file begins; the one before it ends.
    File {
        name: String,
        media_type: String,
        compression: Compression,
    },
    /// Bytes of the file at hand.
    Bytes(Vec<u8>),
    /// A line for a file that goes beside the output.
    Side { file: BesideFile, line: String },
}

/// A file that goes beside the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum BesideFile {
    Rejects,
    IdMap,
    Actions,
}

impl BesideFile {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Rejects => "rejects.ndjson",
            Self::IdMap => "idmap.ndjson",
            Self::Actions => "actions.ndjson",
        }
    }
}

/// What the stages counted.
#[derive(Debug)]
pub(crate) struct Tally {
    pub(crate) rows: RowCounts,
    pub(crate) evidence: Evidence,
    pub(crate) losses: Vec<Loss>,
}

/// The stages at work: their output, and, once that has ended, their tally.
pub(crate) struct Pipeline {
    pub(crate) pieces: mpsc::Receiver<Piece>,
    counted: u64,
    shaping: tokio::task::JoinHandle<Result<Released, StageEnd>>,
    encoding: tokio::task::JoinHandle<Result<Encoded, StageEnd>>,
}

/// How a stage ended before its input did.
enum StageEnd {
    /// The next stage takes no more; it knows why.
    Stopped,
    Failed(ExportFailure),
}

impl<E: Into<ExportFailure>> From<E> for StageEnd {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// What was read and released.
struct Released {
    read: u64,
    evidence: Evidence,
}

/// What was encoded, and what plugins left out.
#[derive(Default)]
struct Encoded {
    rows: RowCounts,
    losses: Vec<Loss>,
}

impl Pipeline {
    /// Starts all stages.
    pub(crate) fn start(
        spec: &ExportSpec,
        mut snapshot: Snapshot,
        opened: Opened,
        progress: ProgressWatch,
        cancel: CancellationToken,
    ) -> Self {
        let Opened { gate, mut chain } = opened;
        let counted = snapshot.rows();
        progress.set_total(counted);
        let reads = gate.reads().into_iter();
        snapshot.read(reads.filter(|field| spec.can_read(field)).collect());
        let (shaped_to, shaped) = mpsc::channel(IN_FLIGHT);
        let (pieces_to, pieces) = mpsc::channel(IN_FLIGHT);
        let writer = match &spec.output {
            Output::Encoder { format, formulas } => {
                let encoder = format.encoder(chain.schema(), *formulas);
                let name = spec.file_name().unwrap_or_default();
                Rendering::Encoder {
                    encoder,
                    name,
                    media_type: format.media_type(),
                }
            }
            Output::Adapter(_) => match chain.take_adapter() {
                Some(session) => Rendering::Adapter(Box::new(session)),
                None => unreachable!("a chain opened with an adapter has one"),
            },
        };
        let stage = RenderStage {
            rendering: writer,
            compression: spec.compression,
            on_reject: spec.on_reject,
            rejected: 0,
            progress,
            pieces: pieces_to,
            compressor: None,
        };
        Self {
            pieces,
            counted,
            shaping: tokio::task::spawn_blocking(move || shape(snapshot, &gate, chain, &shaped_to, &cancel)),
            encoding: tokio::task::spawn_blocking(move || stage.run(shaped)),
        }
    }

    /// Waits for the stages; every row that was counted must be accounted for.
    pub(crate) async fn finish(self) -> Result<Tally, ExportFailure> {
        // A stage that still wants to hand something on must learn that nobody takes it.
        drop(self.pieces);
        let released = self.shaping.await.map_err(|_| ExportFailure::Stage)?;
        let encoded = self.encoding.await.map_err(|_| ExportFailure::Stage)?;
        let (released, encoded) = match (released, encoded) {
            (Ok(released), Ok(encoded)) => (released, encoded),
            (Err(StageEnd::Failed(failure)), _) | (_, Err(StageEnd::Failed(failure))) => return Err(failure),
            _ => return Err(ExportFailure::Stage),
        };
        let rows = RowCounts {
            read: released.read,
            ..encoded.rows
        };
        if rows.read != self.counted || !rows.are_complete() {
            return Err(ExportFailure::Incomplete {
                counted: self.counted,
                rows,
            });
        }
        Ok(Tally {
            rows,
            evidence: released.evidence,
            losses: encoded.losses,
        })
    }
}

/// Second stage: releases what was read and runs the transforms.
fn shape(
    mut snapshot: Snapshot,
    gate: &Gate,
    mut chain: Chain,
    shaped: &mpsc::Sender<Shaped>,
    cancel: &CancellationToken,
) -> Result<Released, StageEnd> {
    let mut done = Released {
        read: 0,
        evidence: gate.empty_evidence(),
    };
    let runtime = tokio::runtime::Handle::current();
    // A database that does not answer must not keep what this stage holds.
    let mut next = || {
        runtime.block_on(async {
            tokio::select! {
                biased;
                () = cancel.cancelled() => Err(ExportFailure::Cancelled),
                raw = snapshot.next() => Ok(raw),
            }
        })
    };
    while let Some(raw) = next()? {
        let released = gate.release(raw?)?;
        done.read += released.rows() as u64;
        done.evidence.absorb(released.evidence());
        shaped
            .blocking_send(chain.process(released)?)
            .map_err(|_| StageEnd::Stopped)?;
    }
    Ok(done)
}

/// Who makes the bytes.
enum Rendering {
    Encoder {
        encoder: Box<dyn Encoder>,
        name: String,
        media_type: &'static str,
    },
    Adapter(Box<AdapterSession>),
}

/// Third stage: makes bytes and compresses them.
struct RenderStage {
    rendering: Rendering,
    compression: Compression,
    on_reject: RejectPolicy,
    rejected: u64,
    progress: ProgressWatch,
    pieces: mpsc::Sender<Piece>,
    compressor: Option<Compressor>,
}

impl RenderStage {
    fn run(mut self, mut shaped: mpsc::Receiver<Shaped>) -> Result<Encoded, StageEnd> {
        let mut done = Encoded::default();
        let mut batches = 0;
        self.begin()?;
        while let Some(batch) = shaped.blocking_recv() {
            batches = batch.sequence + 1;
            self.render(batch, &mut done)?;
        }
        if let Rendering::Adapter(adapter) = &mut self.rendering {
            let rest = adapter.finish(batches)?;
            self.adapted(rest, &mut done)?;
        }
        self.end_file()?;
        Ok(done)
    }

    fn begin(&mut self) -> Result<(), StageEnd> {
        let Rendering::Encoder {
            encoder,
            name,
            media_type,
        } = &mut self.rendering
        else {
            return Ok(());
        };
        let (name, media_type) = (name.clone(), (*media_type).to_owned());
        let mut header = Vec::new();
        encoder.begin(&mut header);
        self.begin_file(name, media_type)?;
        self.write(&header)
    }

    fn render(&mut self, shaped: Shaped, done: &mut Encoded) -> Result<(), StageEnd> {
        let left_out = shaped.dropped + shaped.rejected;
        done.rows.dropped += shaped.dropped;
        done.rows.rejected += shaped.rejected;
        self.reject(shaped.rejects, shaped.rejected)?;
        let rows = shaped.batch.rows() as u64;
        match &mut self.rendering {
            Rendering::Encoder { encoder, .. } => {
                let mut bytes = Vec::new();
                encoder.encode(&shaped.batch, &mut bytes)?;
                done.rows.written += rows;
                self.write(&bytes)?;
            }
            Rendering::Adapter(adapter) => {
                let encoded = adapter.process(shaped.sequence, &shaped.batch)?;
                self.adapted(encoded, done)?;
            }
        }
        self.progress.add_rows(rows + left_out);
        Ok(())
    }

    fn adapted(&mut self, encoded: EncodedBatch, done: &mut Encoded) -> Result<(), StageEnd> {
        done.rows.written += encoded.written;
        done.rows.dropped += encoded.dropped;
        done.rows.rejected += encoded.rejected;
        for loss in encoded.losses {
            let same = |known: &Loss| known.field == loss.field && known.reason == loss.reason;
            match done.losses.iter().position(same) {
                Some(known) => {
                    let known = &mut done.losses[known];
                    known.rows = known.rows.saturating_add(loss.rows);
                }
                None if done.losses.len() < MAX_LOSSES => {
                    done.losses.push(Loss {
                        field: loss.field,
                        reason: loss.reason,
                        rows: loss.rows,
                    });
                }
                None => {}
            }
        }
        self.reject(encoded.rejects, encoded.rejected)?;
        for chunk in encoded.chunks {
            match chunk {
                Chunk::BeginFile { name, media_type } => {
                    let name = format!("{name}{}", self.compression.extension());
                    self.begin_file(name, media_type)?;
                }
                Chunk::Bytes(bytes) => self.write(&bytes)?,
            }
        }
        for SideLine { file, line } in encoded.side_lines {
            let file = match file {
                SideFile::IdMap => BesideFile::IdMap,
                SideFile::Actions => BesideFile::Actions,
            };
            self.send(Piece::Side { file, line })?;
        }
        Ok(())
    }

    fn reject(&mut self, rejects: Vec<Reject>, rejected: u64) -> Result<(), StageEnd> {
        self.rejected += rejected;
        for reject in rejects {
            match self.on_reject {
                RejectPolicy::Fail => return Err(reject.into_failure().into()),
                RejectPolicy::SkipUpTo(most) if self.rejected > most => {
                    return Err(ExportFailure::TooManyRejects(most).into());
                }
                RejectPolicy::SkipUpTo(_) => {}
            }
            let line = serde_json::json!({
                "user_id": reject.user_id, "plugin": reject.plugin, "batch": reject.batch, "row": reject.row,
                "field": reject.field, "code": reject.code, "message": reject.message,
            });
            self.send(Piece::Side {
                file: BesideFile::Rejects,
                line: line.to_string(),
            })?;
        }
        Ok(())
    }

    fn begin_file(&mut self, name: String, media_type: String) -> Result<(), StageEnd> {
        self.end_file()?;
        self.send(Piece::File {
            name,
            media_type,
            compression: self.compression,
        })?;
        self.compressor = Some(Compressor::new(self.compression).map_err(ExportFailure::Compress)?);
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), StageEnd> {
        let mut compressed = Vec::with_capacity(bytes.len());
        if let Some(compressor) = &mut self.compressor {
            compressor
                .write(bytes, &mut compressed)
                .map_err(ExportFailure::Compress)?;
        }
        self.hand_on(compressed)
    }

    fn end_file(&mut self) -> Result<(), StageEnd> {
        let Some(compressor) = self.compressor.take() else {
            return Ok(());
        };
        let mut rest = Vec::new();
        compressor.finish(&mut rest).map_err(ExportFailure::Compress)?;
        self.hand_on(rest)
    }

    fn hand_on(&self, bytes: Vec<u8>) -> Result<(), StageEnd> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.progress.add_bytes(bytes.len() as u64);
        self.send(Piece::Bytes(bytes))
    }

    fn send(&self, piece: Piece) -> Result<(), StageEnd> {
        self.pieces.blocking_send(piece).map_err(|_| StageEnd::Stopped)
    }
}
