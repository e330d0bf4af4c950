//! Where a transform writes: builders of computed columns in Arrow layout.

use std::fmt;

use crate::bindings::types;
use crate::plan::ColumnType;

macro_rules! handles {
    ($($handle:ident: $what:literal;)+) => {$(
        #[doc = concat!("A computed column of ", $what, ".")]
        #[derive(Clone, Copy, Debug)]
        pub struct $handle(pub(crate) usize);
    )+};
}
handles! {
    TextOut: "text";
    JsonOut: "JSON";
    IntOut: "whole numbers";
    FloatOut: "numbers";
    BoolOut: "truth values";
    TimestampOut: "timestamps";
}

/// What a builder of texts makes room for, for each row.
const TYPICAL_TEXT_BYTES: usize = 16;

/// The computed columns of the batch at hand. Writing a column twice in a row keeps the last value.
pub struct Output {
    builders: Vec<Builder>,
    row: usize,
}

/// Shows its size, not the values.
impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Output")
            .field("columns", &self.builders.len())
            .field("row", &self.row)
            .finish()
    }
}

impl Output {
    pub(crate) fn new(computed: &[types::Field], rows: usize) -> Self {
        Self {
            builders: computed
                .iter()
                .map(|field| Builder::new(field.column_type, rows))
                .collect(),
            row: 0,
        }
    }

    /// Writes a text.
    pub fn text(&mut self, column: TextOut, value: &str) {
        self.text_with(column, |text| text.push_str(value));
    }

    /// Writes a text piece by piece, without a string of its own.
    pub fn text_with(&mut self, column: TextOut, write: impl FnOnce(&mut TextWriter<'_>)) {
        self.write_text(column.0, write);
    }

    /// Writes a JSON text. The host refuses what is not JSON.
    pub fn json(&mut self, column: JsonOut, value: &str) {
        self.write_text(column.0, |text| text.push_str(value));
    }

    /// Writes a whole number.
    pub fn int(&mut self, column: IntOut, value: i64) {
        self.write(column.0, |values, _| {
            if let Values::Int64(values) = values {
                values.push(value)
            }
        });
    }

    /// Writes a number.
    pub fn float(&mut self, column: FloatOut, value: f64) {
        self.write(column.0, |values, _| {
            if let Values::Float64(values) = values {
                values.push(value)
            }
        });
    }

    /// Writes a truth value.
    pub fn bool(&mut self, column: BoolOut, value: bool) {
        self.write(column.0, |values, row| {
            if let Values::Boolean(bits) = values {
                set_bit(bits, row, value)
            }
        });
    }

    /// Writes a timestamp: microseconds since 1970-01-01T00:00:00Z.
    pub fn timestamp(&mut self, column: TimestampOut, value: i64) {
        self.write(column.0, |values, _| {
            if let Values::Timestamp(values) = values {
                values.push(value)
            }
        });
    }

    fn write_text(&mut self, slot: usize, write: impl FnOnce(&mut TextWriter<'_>)) {
        self.write(slot, |values, _| {
            if let Values::Text { offsets, text, .. } = values {
                write(&mut TextWriter(text));
                offsets.push(i32::try_from(text.len()).expect("a batch is smaller than 2 GiB"));
            }
        });
    }

    fn write(&mut self, slot: usize, write: impl FnOnce(&mut Values, usize)) {
        let builder = &mut self.builders[slot];
        builder.values.truncate(self.row);
        write(&mut builder.values, self.row);
        set_bit(&mut builder.validity, self.row, true);
    }

    /// Ends the row: a column that was not written is empty.
    pub(crate) fn end_row(&mut self) {
        for builder in &mut self.builders {
            if !bit(&builder.validity, self.row) {
                builder.values.push_default(self.row);
                builder.nulls = true;
            }
        }
        self.row += 1;
    }

    /// Takes back what the row at hand has written.
    pub(crate) fn abandon_row(&mut self) {
        for builder in &mut self.builders {
            builder.values.truncate(self.row);
            set_bit(&mut builder.validity, self.row, false);
        }
    }

    pub(crate) fn into_columns(self) -> Vec<types::Column> {
        self.builders.into_iter().map(Builder::finish).collect()
    }
}

/// Appends to one text.
pub struct TextWriter<'a>(&'a mut String);

impl fmt::Debug for TextWriter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TextWriter")
    }
}

impl TextWriter<'_> {
    /// Appends a piece.
    pub fn push_str(&mut self, piece: &str) {
        self.0.push_str(piece);
    }

    /// Appends a character.
    pub fn push(&mut self, c: char) {
        self.0.push(c);
    }
}

impl fmt::Write for TextWriter<'_> {
    fn write_str(&mut self, piece: &str) -> fmt::Result {
        self.push_str(piece);
        Ok(())
    }
}

struct Builder {
    values: Values,
    validity: Vec<u8>,
    nulls: bool,
}

enum Values {
    Boolean(Vec<u8>),
    Int64(Vec<i64>),
    Float64(Vec<f64>),
    Timestamp(Vec<i64>),
    Text {
        offsets: Vec<i32>,
        text: String,
        json: bool,
    },
}

impl Builder {
    fn new(column_type: ColumnType, rows: usize) -> Self {
        let values = match column_type {
            ColumnType::Boolean => Values::Boolean(vec![0; rows.div_ceil(8)]),
            ColumnType::Int64 => Values::Int64(Vec::with_capacity(rows)),
            ColumnType::Float64 => Values::Float64(Vec::with_capacity(rows)),
            ColumnType::TimestampUs => Values::Timestamp(Vec::with_capacity(rows)),
            ColumnType::Utf8 | ColumnType::Json => {
                let mut offsets = Vec::with_capacity(rows + 1);
                offsets.push(0);
                let json = column_type == ColumnType::Json;
                Values::Text {
                    offsets,
                    text: String::with_capacity(rows * TYPICAL_TEXT_BYTES),
                    json,
                }
            }
            ColumnType::Utf8List => unreachable!("no plan computes a list"),
        };
        Self {
            values,
            validity: vec![0; rows.div_ceil(8)],
            nulls: false,
        }
    }

    fn finish(self) -> types::Column {
        let values = match self.values {
            Values::Boolean(bits) => types::Values::Boolean(bits),
            Values::Int64(values) => types::Values::Int64(values),
            Values::Float64(values) => types::Values::Float64(values),
            Values::Timestamp(values) => types::Values::TimestampUs(values),
            Values::Text { offsets, text, json } => {
                let values = types::Utf8Values {
                    offsets,
                    bytes: text.into_bytes(),
                };
                if json {
                    types::Values::Json(values)
                } else {
                    types::Values::Utf8(values)
                }
            }
        };
        types::Column {
            validity: self.nulls.then_some(self.validity),
            values,
        }
    }
}

impl Values {
    /// Forgets the values of this row and those after it.
    fn truncate(&mut self, row: usize) {
        match self {
            Self::Boolean(bits) => set_bit(bits, row, false),
            Self::Int64(values) | Self::Timestamp(values) => values.truncate(row),
            Self::Float64(values) => values.truncate(row),
            Self::Text { offsets, text, .. } => {
                offsets.truncate(row + 1);
                text.truncate(offsets[row] as usize);
            }
        }
    }

    fn push_default(&mut self, row: usize) {
        match self {
            Self::Boolean(bits) => set_bit(bits, row, false),
            Self::Int64(values) | Self::Timestamp(values) => values.push(0),
            Self::Float64(values) => values.push(0.0),
            Self::Text { offsets, text, .. } => offsets.push(text.len() as i32),
        }
    }
}

pub(crate) fn bit(bitmap: &[u8], index: usize) -> bool {
    bitmap[index / 8] >> (index % 8) & 1 == 1
}

pub(crate) fn set_bit(bitmap: &mut [u8], index: usize, value: bool) {
    let mask = 1 << (index % 8);
    if value {
        bitmap[index / 8] |= mask;
    } else {
        bitmap[index / 8] &= !mask;
    }
}
