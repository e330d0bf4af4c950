//! How to behave, and the pieces that misdeeds put together wrongly.

use crate::Behaviour;
use crate::bindings::exeat::plugin::types::{Batch, Fault, OfferedField, SchemaError, Values};
use crate::bindings::exports::exeat::plugin::adapter::{Chunk, Encoded, File, Plan};

/// Does nothing wrong.
#[derive(Debug, Default)]
pub(crate) struct Good;

impl Behaviour for Good {}

/// Reads `name`.
pub(crate) fn plan(input: &[OfferedField]) -> Result<Plan, Fault> {
    let name = input.iter().position(|offered| offered.field.name == "name");
    let name = name.ok_or_else(|| {
        Fault::UnsupportedSchema(SchemaError {
            field: "name".to_owned(),
            message: "is not offered".to_owned(),
        })
    })?;
    Ok(Plan {
        reads: vec![name as u32],
    })
}

/// Nothing written, no row counted.
pub(crate) fn nothing() -> Encoded {
    Encoded {
        chunks: Vec::new(),
        written: 0,
        dropped: 0,
        rejects: Vec::new(),
        losses: Vec::new(),
        side_lines: Vec::new(),
    }
}

/// The beginning of a file.
pub(crate) fn begin(name: &str) -> Chunk {
    Chunk::BeginFile(File {
        name: name.to_owned(),
        media_type: "text/plain".to_owned(),
    })
}

/// The names of a batch, one on a line.
pub(crate) fn lines(batch: &Batch) -> Vec<u8> {
    let mut lines = Vec::new();
    if let Some(Values::Utf8(texts)) = batch.columns.first().map(|column| &column.values) {
        for ends in texts.offsets.windows(2) {
            lines.extend(&texts.bytes[ends[0] as usize..ends[1] as usize]);
            lines.push(b'\n');
        }
    }
    lines
}

/// The names of a batch in `names.txt`, which begins with the first batch.
pub(crate) fn encoded(batch: &Batch) -> Encoded {
    encoded_in(batch, "names.txt")
}

/// The names of a batch in the file of this name, which begins with the first batch.
pub(crate) fn encoded_in(batch: &Batch, name: &str) -> Encoded {
    let mut encoded = nothing();
    if batch.sequence == 0 {
        encoded.chunks.push(begin(name));
    }
    encoded.chunks.push(Chunk::Bytes(lines(batch)));
    encoded.written = batch.rows;
    encoded
}
