//! Where an adapter writes: files, and what goes beside them.

use crate::bindings::adapter::exports::exeat::plugin::adapter as wit;

/// The output of the batch at hand.
pub struct Sink {
    chunks: Vec<wit::Chunk>,
    bytes: Vec<u8>,
    losses: Vec<wit::Loss>,
    side_lines: Vec<wit::SideLine>,
}

/// Shows its size, not the bytes.
impl std::fmt::Debug for Sink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sink")
            .field("chunks", &self.chunks.len())
            .finish_non_exhaustive()
    }
}

impl Sink {
    pub(crate) fn new() -> Self {
        Self {
            chunks: Vec::new(),
            bytes: Vec::new(),
            losses: Vec::new(),
            side_lines: Vec::new(),
        }
    }

    /// Ends the file at hand and begins the next. The name is one path segment of ASCII
    /// letters, digits, `.`, `_` and `-`, unique in the export.
    pub fn begin_file(&mut self, name: &str, media_type: &str) {
        self.flush();
        let file = wit::File {
            name: name.to_owned(),
            media_type: media_type.to_owned(),
        };
        self.chunks.push(wit::Chunk::BeginFile(file));
    }

    /// The file at hand: append to it.
    pub fn file(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// Counts a value that the destination cannot hold.
    pub fn loss(&mut self, field: &str, reason: &str) {
        match self
            .losses
            .iter_mut()
            .find(|loss| loss.field == field && loss.reason == reason)
        {
            Some(loss) => loss.rows += 1,
            None => {
                self.losses.push(wit::Loss {
                    field: field.to_owned(),
                    reason: reason.to_owned(),
                    rows: 1,
                });
            }
        }
    }

    /// Writes a line (one JSON object) to the map from old ids to new ones.
    pub fn id_map(&mut self, line: String) {
        self.side_lines.push(wit::SideLine {
            file: wit::SideFile::IdMap,
            line,
        });
    }

    /// Writes a line (one JSON object) to the list of what must be done after the import.
    pub fn action(&mut self, line: String) {
        self.side_lines.push(wit::SideLine {
            file: wit::SideFile::Actions,
            line,
        });
    }

    fn flush(&mut self) {
        if !self.bytes.is_empty() {
            self.chunks
                .push(wit::Chunk::Bytes(std::mem::take(&mut self.bytes)));
        }
    }

    pub(crate) fn into_encoded(mut self, counts: Counts) -> wit::Encoded {
        self.flush();
        wit::Encoded {
            chunks: self.chunks,
            written: counts.written,
            dropped: counts.dropped,
            rejects: counts.rejects,
            losses: self.losses,
            side_lines: self.side_lines,
        }
    }
}

/// What became of the rows of a batch.
#[derive(Default)]
pub(crate) struct Counts {
    pub(crate) written: u32,
    pub(crate) dropped: u32,
    pub(crate) rejects: Vec<crate::bindings::types::Reject>,
}
