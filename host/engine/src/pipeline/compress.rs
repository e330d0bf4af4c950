//! Fourth stage: the bytes of files, compressed. What goes beside a file stays readable.

use exeat_encode::{Compression, Compressor};
use tokio::sync::mpsc;

use super::{Piece, StageEnd};
use crate::error::ExportFailure;

/// Compresses pieces until there are no more.
pub(super) fn run(
    method: Compression,
    mut rendered: mpsc::Receiver<Piece>,
    pieces: &mpsc::Sender<Piece>,
) -> Result<(), StageEnd> {
    let send = |piece| pieces.blocking_send(piece).map_err(|_| StageEnd::Stopped);
    let send_bytes = |bytes: Vec<u8>| match bytes.is_empty() {
        true => Ok(()),
        false => send(Piece::Bytes(bytes)),
    };
    let end = |compressor: Option<Compressor>| {
        let mut rest = Vec::new();
        if let Some(compressor) = compressor {
            compressor.finish(&mut rest).map_err(ExportFailure::Compress)?;
        }
        send_bytes(rest)
    };
    let mut open: Option<Compressor> = None;
    while let Some(piece) = rendered.blocking_recv() {
        match piece {
            Piece::File { .. } => {
                end(open.take())?;
                send(piece)?;
                open = Some(Compressor::new(method).map_err(ExportFailure::Compress)?);
            }
            Piece::Bytes(bytes) => {
                let mut compressed = Vec::with_capacity(bytes.len() / 2);
                if let Some(compressor) = &mut open {
                    compressor
                        .write(&bytes, &mut compressed)
                        .map_err(ExportFailure::Compress)?;
                }
                send_bytes(compressed)?;
            }
            Piece::Side { .. } => send(piece)?,
        }
    }
    end(open)
}
