//! One export, from the snapshot to written files. Each stage works on its own, and hands on
//! through a bounded channel: a slow writer slows the reader, and memory does not grow with rows.
//!
//! ```text
//! read ──RawBatch──► release, transform ──Shaped──► encode or adapt ──Piece──► compress ──Piece──► write
//! thread             threads, if no                 thread                     thread, if          async
//!                    plugin keeps state                                        there is any
//! ```

mod compress;
mod render;
mod shape;

use exeat_directory::Snapshot;
use exeat_encode::Compression;
use exeat_gate::Evidence;
use exeat_vault::{Loss, RowCounts};
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio_util::sync::CancellationToken;

use crate::error::ExportFailure;
use crate::progress::ProgressWatch;
use crate::spec::{ExportSpec, Opened};

use render::RenderStage;
use shape::Released;

/// Batches or pieces that may wait between two stages.
const IN_FLIGHT: usize = 2;

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
    dealing: JoinHandle<Option<u64>>,
    shaping: Vec<JoinHandle<Result<Released, StageEnd>>>,
    rendering: JoinHandle<Result<Rendered, StageEnd>>,
    compressing: Option<JoinHandle<Result<(), StageEnd>>>,
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

/// What was written, and what plugins left out.
#[derive(Default)]
struct Rendered {
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
        let Opened {
            gate,
            mut chain,
            twins,
        } = opened;
        if let Some(rows) = snapshot.rows() {
            progress.set_total(rows);
        }
        let reads = gate.reads().into_iter();
        snapshot.read(reads.filter(|field| spec.can_read(field)).collect());
        let (pieces_to, pieces) = mpsc::channel(IN_FLIGHT);
        let (rendered_to, compressing) = match spec.compression {
            Compression::None => (pieces_to, None),
            method => {
                let (rendered_to, rendered) = mpsc::channel(IN_FLIGHT);
                let compress = move || compress::run(method, rendered, &pieces_to);
                (rendered_to, Some(spawn_blocking(compress)))
            }
        };
        let stage = RenderStage::new(spec, &mut chain, progress, rendered_to);
        let chains = std::iter::once(chain).chain(twins).collect();
        let (dealing, shaping, shaped) = shape::start(snapshot, &gate, chains, cancel);
        Self {
            pieces,
            dealing,
            shaping,
            rendering: spawn_blocking(move || stage.run(shaped)),
            compressing,
        }
    }

    /// Waits for the stages; every row that was counted must be accounted for.
    pub(crate) async fn finish(self) -> Result<Tally, ExportFailure> {
        // A stage that still wants to hand something on must learn that nobody takes it.
        drop(self.pieces);
        let mut read = 0;
        let mut evidence: Option<Evidence> = None;
        let mut failure = None;
        let mut stopped = false;
        let mut note = |end: StageEnd| match end {
            StageEnd::Failed(failed) => failure = failure.take().or(Some(failed)),
            StageEnd::Stopped => stopped = true,
        };
        for lane in self.shaping {
            match lane.await.map_err(|_| ExportFailure::Stage)? {
                Ok(released) => {
                    read += released.read;
                    match &mut evidence {
                        Some(evidence) => evidence.absorb(&released.evidence),
                        none => *none = Some(released.evidence),
                    }
                }
                Err(end) => note(end),
            }
        }
        let rendered = self.rendering.await.map_err(|_| ExportFailure::Stage)?;
        let rendered = rendered.map_err(&mut note).unwrap_or_default();
        if let Some(compressing) = self.compressing {
            let compressed = compressing.await.map_err(|_| ExportFailure::Stage)?;
            let _ = compressed.map_err(&mut note);
        }
        if let Some(failure) = failure {
            return Err(failure);
        }
        let (false, Some(evidence)) = (stopped, evidence) else {
            return Err(ExportFailure::Stage);
        };
        let rows = RowCounts {
            read,
            ..rendered.rows
        };
        let counted = self.dealing.await.ok().flatten().ok_or(ExportFailure::Stage)?;
        if rows.read != counted || !rows.are_complete() {
            return Err(ExportFailure::Incomplete { counted, rows });
        }
        Ok(Tally {
            rows,
            evidence,
            losses: rendered.losses,
        })
    }
}
