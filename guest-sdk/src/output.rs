//! Where a transform writes: builders of computed columns in Arrow layout.

use std::fmt;

use crate::bindings::types;
use crate::bytes::{append, append_hex, append_lowercase};
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
const TYPICAL_TEXT_BYTES: usize = 24;

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
    #[inline]
    pub fn text(&mut self, column: TextOut, value: &str) {
        self.text_with(column, |text| text.push_str(value));
    }

    /// Writes a text piece by piece, without a string of its own.
    #[inline]
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

    #[inline]
    fn write_text(&mut self, slot: usize, write: impl FnOnce(&mut TextWriter<'_>)) {
        self.write(slot, |values, _| {
            if let Values::Text { offsets, bytes, .. } = values {
                write(&mut TextWriter(bytes));
                offsets.push(i32::try_from(bytes.len()).expect("a batch is smaller than 2 GiB"));
            }
        });
    }

    #[inline]
    fn write(&mut self, slot: usize, write: impl FnOnce(&mut Values, usize)) {
        let builder = &mut self.builders[slot];
        if builder.rows > self.row {
            builder.values.truncate(self.row);
        }
        write(&mut builder.values, self.row);
        builder.rows = self.row + 1;
    }

    /// Ends the row: a column that was not written is empty.
    #[inline]
    pub(crate) fn end_row(&mut self) {
        for builder in &mut self.builders {
            if builder.rows == self.row {
                builder.append_null();
            }
        }
        self.row += 1;
    }

    /// Takes back what the row at hand has written.
    pub(crate) fn abandon_row(&mut self) {
        for builder in &mut self.builders {
            builder.values.truncate(self.row);
            builder.rows = self.row;
        }
    }

    pub(crate) fn into_columns(self) -> Vec<types::Column> {
        self.builders.into_iter().map(Builder::finish).collect()
    }
}

/// Appends to one text. Whole pieces of text alone: their bytes are UTF-8.
pub struct TextWriter<'a>(&'a mut Vec<u8>);

impl fmt::Debug for TextWriter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TextWriter")
    }
}

impl TextWriter<'_> {
    /// Appends a piece.
    #[inline]
    pub fn push_str(&mut self, piece: &str) {
        append(self.0, piece.as_bytes());
    }

    /// Appends a piece in lower case.
    #[inline]
    pub fn push_lowercase(&mut self, piece: &str) {
        append_lowercase(self.0, piece);
    }

    /// Appends bytes, as two hexadecimal digits in lower case each.
    #[inline]
    pub fn push_hex(&mut self, bytes: &[u8]) {
        append_hex(self.0, bytes);
    }

    /// Appends a character.
    #[inline]
    pub fn push(&mut self, c: char) {
        if c.is_ascii() {
            self.0.push(c as u8);
        } else {
            self.push_str(c.encode_utf8(&mut [0; 4]));
        }
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
    /// Rows that have a value, or none for good.
    rows: usize,
    /// A bit a row, made when the first row has no value.
    validity: Option<Vec<u8>>,
    all_rows: usize,
}

enum Values {
    Boolean(Vec<u8>),
    Int64(Vec<i64>),
    Float64(Vec<f64>),
    Timestamp(Vec<i64>),
    Text {
        offsets: Vec<i32>,
        bytes: Vec<u8>,
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
                Values::Text {
                    offsets,
                    bytes: Vec::with_capacity(rows * TYPICAL_TEXT_BYTES),
                    json: column_type == ColumnType::Json,
                }
            }
            ColumnType::Utf8List => unreachable!("no plan computes a list"),
        };
        Self {
            values,
            rows: 0,
            validity: None,
            all_rows: rows,
        }
    }

    fn append_null(&mut self) {
        let all = || vec![0xff; self.all_rows.div_ceil(8)];
        set_bit(self.validity.get_or_insert_with(all), self.rows, false);
        self.values.push_default(self.rows);
        self.rows += 1;
    }

    fn finish(self) -> types::Column {
        let values = match self.values {
            Values::Boolean(bits) => types::Values::Boolean(bits),
            Values::Int64(values) => types::Values::Int64(values),
            Values::Float64(values) => types::Values::Float64(values),
            Values::Timestamp(values) => types::Values::TimestampUs(values),
            Values::Text { offsets, bytes, json } => {
                let values = types::Utf8Values { offsets, bytes };
                if json {
                    types::Values::Json(values)
                } else {
                    types::Values::Utf8(values)
                }
            }
        };
        types::Column {
            validity: self.validity,
            values,
        }
    }
}

impl Values {
    /// Forgets the values of this row and those after it.
    fn truncate(&mut self, row: usize) {
        match self {
            Self::Boolean(bits) => {
                if row / 8 < bits.len() {
                    set_bit(bits, row, false);
                }
            }
            Self::Int64(values) | Self::Timestamp(values) => values.truncate(row),
            Self::Float64(values) => values.truncate(row),
            Self::Text { offsets, bytes, .. } => {
                offsets.truncate(row + 1);
                bytes.truncate(offsets[row] as usize);
            }
        }
    }

    fn push_default(&mut self, row: usize) {
        match self {
            Self::Boolean(bits) => set_bit(bits, row, false),
            Self::Int64(values) | Self::Timestamp(values) => values.push(0),
            Self::Float64(values) => values.push(0.0),
            Self::Text { offsets, bytes, .. } => offsets.push(bytes.len() as i32),
        }
    }
}

#[inline]
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
