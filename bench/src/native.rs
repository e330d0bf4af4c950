//! The work of the transform benches in plain Rust, over the same columns: what a sandbox is held
//! against. Written for speed, not for beauty of use.

use std::sync::Arc;

use arrow_array::cast::AsArray as _;
use arrow_array::{Array, ArrayRef, BooleanArray, StringArray};
use arrow_buffer::{BooleanBufferBuilder, Buffer, NullBufferBuilder, OffsetBuffer, ScalarBuffer};
use bench_mask::{DROPPED, KEPT_STATE, MASK, PREFIX, RENAMED, pseudonym};
use exeat_gate::{ColumnSpec, GuardError, OutputGuard, ShapedBatch, ShapedColumn};
use exeat_sdk::{append_hex, append_lowercase};

/// The work, ready for batches of some columns.
pub struct NativeMask {
    guard: OutputGuard,
    name: usize,
    email: usize,
    state: usize,
    key: [u8; 32],
    buffer: Vec<u8>,
}

impl NativeMask {
    /// For columns that hold `name`, `email` and `state`.
    ///
    /// # Errors
    /// None: the names may leave.
    pub fn new(columns: &[ColumnSpec], key: [u8; 32]) -> Result<Self, GuardError> {
        let place = |name: &str| columns.iter().position(|column| column.name == name);
        let shaped = columns.iter().enumerate();
        let shaped = shaped.filter(|(_, column)| column.name != DROPPED);
        let shaped = shaped.map(|(input, column)| match column.name.as_str() {
            "name" | "email" => ShapedColumn::Computed(column.clone()),
            name => {
                let renamed = RENAMED.iter().find(|(from, _)| *from == name);
                ShapedColumn::Pass {
                    input,
                    name: renamed.map_or(name, |(_, to)| to).to_owned(),
                }
            }
        });
        Ok(Self {
            guard: OutputGuard::new(columns, shaped.collect())?,
            name: place("name").unwrap_or_default(),
            email: place("email").unwrap_or_default(),
            state: place("state").unwrap_or_default(),
            key,
            buffer: Vec::new(),
        })
    }

    /// Does a batch: the same guard looks at what was computed, and filters, as behind the sandbox.
    ///
    /// # Errors
    /// A computed value may not leave.
    pub fn process(&mut self, batch: &ShapedBatch) -> Result<ShapedBatch, GuardError> {
        let columns = batch.columns();
        let rows = batch.rows();
        let state = columns[self.state].as_string::<i32>();
        let mut keep = BooleanBufferBuilder::new(rows);
        for row in 0..rows {
            keep.append(state.value(row) == KEPT_STATE);
        }
        let keep = BooleanArray::new(keep.finish(), None);
        let masked = computed(&columns[self.name], &keep, |name, text| {
            if let Some(first) = name.chars().next() {
                let mut utf8 = [0; 4];
                text.extend_from_slice(first.encode_utf8(&mut utf8).as_bytes());
                text.extend_from_slice(MASK.as_bytes());
            }
        });
        let (key, buffer) = (&self.key, &mut self.buffer);
        let pseudonyms = computed(&columns[self.email], &keep, |email, text| {
            let (hash, domain) = pseudonym(key, email, buffer);
            text.extend_from_slice(PREFIX.as_bytes());
            append_hex(text, &hash);
            append_lowercase(text, domain);
        });
        let computed = if self.name < self.email {
            vec![masked, pseudonyms]
        } else {
            vec![pseudonyms, masked]
        };
        self.guard.admit(batch, computed, Some(&keep))
    }
}

/// A column of text made of another one, for the rows that stay.
fn computed(from: &ArrayRef, keep: &BooleanArray, mut write: impl FnMut(&str, &mut Vec<u8>)) -> ArrayRef {
    let from = from.as_string::<i32>();
    let rows = from.len();
    let mut bytes = Vec::with_capacity(rows * 32);
    let mut offsets = Vec::with_capacity(rows + 1);
    let mut nulls = NullBufferBuilder::new(rows);
    offsets.push(0);
    for row in 0..rows {
        let there = keep.value(row) && from.is_valid(row);
        if there {
            write(from.value(row), &mut bytes);
        }
        nulls.append(there);
        offsets.push(i32::try_from(bytes.len()).unwrap_or(i32::MAX));
    }
    let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
    // Checked once, as what comes out of a sandbox is.
    match StringArray::try_new(offsets, Buffer::from_vec(bytes), nulls.finish()) {
        Ok(array) => Arc::new(array),
        Err(_) => arrow_array::new_null_array(from.data_type(), rows),
    }
}
