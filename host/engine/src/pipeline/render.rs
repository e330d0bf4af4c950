//! Third stage: batches become the bytes of files, by an encoder or by an adapter.

use exeat_encode::{Compression, Encoder};
use exeat_sandbox::{AdapterSession, Chain, Chunk, EncodedBatch, Reject, Shaped, SideFile, SideLine};
use exeat_vault::Loss;
use tokio::sync::mpsc;

use super::shape::ShapedBatches;
use super::{BesideFile, Piece, Rendered, StageEnd};
use crate::error::ExportFailure;
use crate::progress::ProgressWatch;
use crate::spec::{ExportSpec, Output, RejectPolicy};

/// Kinds of loss that a manifest tells of.
const MAX_LOSSES: usize = 256;

/// Who makes the bytes.
enum Rendering {
    Encoder {
        encoder: Box<dyn Encoder>,
        name: String,
        media_type: &'static str,
    },
    Adapter(Box<AdapterSession>),
}

/// Makes bytes of batches.
pub(super) struct RenderStage {
    rendering: Rendering,
    compression: Compression,
    on_reject: RejectPolicy,
    rejected: u64,
    progress: ProgressWatch,
    pieces: mpsc::Sender<Piece>,
    /// How long the last piece of rows was: the next one will be about as long.
    piece_bytes: usize,
}

impl RenderStage {
    /// For what a chain puts out, whose adapter it takes, if there is one.
    pub(super) fn new(
        spec: &ExportSpec,
        chain: &mut Chain,
        progress: ProgressWatch,
        pieces: mpsc::Sender<Piece>,
    ) -> Self {
        let rendering = match &spec.output {
            Output::Encoder { format, formulas } => Rendering::Encoder {
                encoder: format.encoder(chain.schema(), *formulas),
                name: spec.file_name().unwrap_or_default(),
                media_type: format.media_type(),
            },
            Output::Adapter(_) => match chain.take_adapter() {
                Some(session) => Rendering::Adapter(Box::new(session)),
                None => unreachable!("a chain opened with an adapter has one"),
            },
        };
        Self {
            rendering,
            compression: spec.compression,
            on_reject: spec.on_reject,
            rejected: 0,
            progress,
            pieces,
            piece_bytes: 0,
        }
    }

    pub(super) fn run(mut self, mut shaped: ShapedBatches) -> Result<Rendered, StageEnd> {
        let mut done = Rendered::default();
        let mut batches = 0;
        self.begin()?;
        while let Some(batch) = shaped.next() {
            batches = batch.sequence + 1;
            self.render(batch, &mut done)?;
        }
        if let Rendering::Adapter(adapter) = &mut self.rendering {
            let rest = adapter.finish(batches)?;
            self.adapted(rest, &mut done)?;
        }
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
        self.write(header)
    }

    fn render(&mut self, shaped: Shaped, done: &mut Rendered) -> Result<(), StageEnd> {
        let left_out = shaped.dropped + shaped.rejected;
        done.rows.dropped += shaped.dropped;
        done.rows.rejected += shaped.rejected;
        self.reject(shaped.rejects, shaped.rejected)?;
        let rows = shaped.batch.rows() as u64;
        match &mut self.rendering {
            Rendering::Encoder { encoder, .. } => {
                let mut bytes = Vec::with_capacity(self.piece_bytes + self.piece_bytes / 8);
                encoder.encode(&shaped.batch, &mut bytes)?;
                self.piece_bytes = bytes.len();
                done.rows.written += rows;
                self.write(bytes)?;
            }
            Rendering::Adapter(adapter) => {
                let encoded = adapter.process(shaped.sequence, &shaped.batch)?;
                self.adapted(encoded, done)?;
            }
        }
        self.progress.add_rows(rows + left_out);
        Ok(())
    }

    fn adapted(&mut self, encoded: EncodedBatch, done: &mut Rendered) -> Result<(), StageEnd> {
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
                Chunk::Bytes(bytes) => self.write(bytes)?,
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

    fn begin_file(&self, name: String, media_type: String) -> Result<(), StageEnd> {
        self.send(Piece::File {
            name,
            media_type,
            compression: self.compression,
        })
    }

    fn write(&self, bytes: Vec<u8>) -> Result<(), StageEnd> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.send(Piece::Bytes(bytes))
    }

    fn send(&self, piece: Piece) -> Result<(), StageEnd> {
        self.pieces.blocking_send(piece).map_err(|_| StageEnd::Stopped)
    }
}
