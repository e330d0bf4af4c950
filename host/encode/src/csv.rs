//! Comma-separated values (RFC 4180).

use std::fmt;

use arrow_array::ArrayRef;
use exeat_gate::{ColumnSpec, ShapedBatch};

use crate::format::Encoder;
use crate::scan::{ScannedText, append_preceded};
use crate::time::Calendar;
use crate::value::{Column, Items, Special, Value, columns, write_bool, write_float, write_int};
use crate::{EncodeError, FormulaPolicy};

/// Writes CSV: a header, lines that end in CR LF, UTF-8 without a byte order mark.
///
/// - A cell is quoted where it holds a comma, a quote or a line break, or has a space at either
///   end, which some readers would strip. A quote inside is doubled.
/// - A missing value is an empty cell; a text that is there, but empty, is `""`. So is a missing
///   value that is alone in its row: readers skip an empty line, and a row would be lost.
/// - A list is one cell, its texts joined by commas. A comma or a backslash inside a text is
///   preceded by a backslash.
/// - A JSON string is its plain text and `null` is missing; other JSON stands as it is. So does
///   a JSON string that is no Unicode text (it has half of a surrogate pair).
/// - A number that is not finite is missing.
///
/// What else happens to texts, [`FormulaPolicy`] says.
pub struct CsvEncoder {
    schema: Box<[ColumnSpec]>,
    formulas: FormulaPolicy,
    /// Where a list is joined before it is looked at as one text.
    joined: Vec<u8>,
    calendar: Calendar,
}

impl CsvEncoder {
    /// An encoder for rows of these columns.
    pub fn new(schema: &[ColumnSpec], formulas: FormulaPolicy) -> Self {
        Self {
            schema: schema.into(),
            formulas,
            joined: Vec::new(),
            calendar: Calendar::default(),
        }
    }

    /// Appends rows of columns that are known to fit the schema.
    pub(crate) fn encode_arrays(
        &mut self,
        arrays: &[ArrayRef],
        rows: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        let special = Special {
            text: needs_quotes,
            // JSON is looked at as a whole: nearly all of it needs quotes.
            json: |_| false,
            item: |byte| needs_quotes(byte) || byte == b'\\',
        };
        let columns = columns(&self.schema, arrays, &special)?;
        let start = out.len();
        for row in 0..rows {
            if let Err(error) = self.write_row(&columns, row, out) {
                out.truncate(start);
                return Err(error);
            }
        }
        Ok(())
    }

    fn write_row(
        &mut self,
        columns: &[Column<'_>],
        row: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        let start = out.len();
        for (index, column) in columns.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            match column.value(row) {
                None => {}
                Some(Value::Boolean(value)) => write_bool(value, out),
                Some(Value::Int64(value)) => write_int(value, out),
                Some(Value::Float64(value)) => write_float(value, out),
                Some(Value::Timestamp(micros)) => {
                    self.calendar
                        .write_timestamp(micros, out)
                        .map_err(|_| EncodeError::Timestamp {
                            column: self.schema[index].name.clone(),
                        })?
                }
                Some(Value::Text(text)) => self.write_scanned(text, out),
                Some(Value::Json(json)) => self.write_json(json.bytes(), out),
                Some(Value::List(items)) => self.write_list(items, out),
            }
        }
        if out.len() == start {
            out.extend_from_slice(b"\"\"");
        }
        out.extend_from_slice(b"\r\n");
        Ok(())
    }

    /// Appends a text of which it is known whether it holds a byte that needs quotes.
    #[inline]
    fn write_scanned(&self, text: ScannedText<'_>, out: &mut Vec<u8>) {
        let bytes = text.bytes();
        if text.careful || has_bare_ends(bytes) || self.formulas.marks(bytes) {
            return self.write_text(bytes, out);
        }
        text.append_to(out);
    }

    fn write_text(&self, text: &[u8], out: &mut Vec<u8>) {
        write_cell(text, self.formulas.marks(text), self.formulas.quotes_all(), out);
    }

    fn write_json(&self, json: &[u8], out: &mut Vec<u8>) {
        let json = json.trim_ascii();
        let Some(inside) = json.strip_prefix(b"\"").and_then(|json| json.strip_suffix(b"\"")) else {
            if json != b"null" {
                self.write_text(json, out);
            }
            return;
        };
        if memchr::memchr(b'\\', inside).is_none() {
            return self.write_text(inside, out);
        }
        // JSON may escape half of a surrogate pair. No export should fail for what one user put
        // into an attribute, so that such a string stays JSON.
        match serde_json::from_slice::<String>(json) {
            Ok(text) => self.write_text(text.as_bytes(), out),
            Err(_) => self.write_text(json, out),
        }
    }

    fn write_list(&mut self, items: Items<'_>, out: &mut Vec<u8>) {
        let mut joined = std::mem::take(&mut self.joined);
        join(items, &mut joined);
        self.write_text(&joined, out);
        self.joined = joined;
    }
}

/// Without the joined list: it holds values of users.
impl fmt::Debug for CsvEncoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CsvEncoder")
            .field("schema", &self.schema)
            .field("formulas", &self.formulas)
            .finish_non_exhaustive()
    }
}

impl Encoder for CsvEncoder {
    fn begin(&mut self, out: &mut Vec<u8>) {
        for (index, spec) in self.schema.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            let title = spec.name.as_bytes();
            write_cell(
                title,
                self.formulas.marks_title(title),
                self.formulas.quotes_all(),
                out,
            );
        }
        out.extend_from_slice(b"\r\n");
    }

    fn encode(&mut self, batch: &ShapedBatch, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        if batch.schema() != &*self.schema {
            return Err(EncodeError::Columns);
        }
        self.encode_arrays(batch.columns(), batch.rows(), out)
    }
}

/// Whether a byte must not stand in a cell without quotes around it.
#[inline]
fn needs_quotes(byte: u8) -> bool {
    // Not lazily: many are looked at together.
    (byte == b',') | (byte == b'"') | (byte == b'\r') | (byte == b'\n')
}

/// Whether a text needs quotes for how it begins or ends.
#[inline]
fn has_bare_ends(text: &[u8]) -> bool {
    matches!(text, [] | [b' ', ..] | [.., b' '])
}

/// Appends a text that is there, which is never an empty cell.
fn write_cell(text: &[u8], marked: bool, quoted: bool, out: &mut Vec<u8>) {
    let quoted = quoted || has_bare_ends(text) || text.iter().any(|byte| needs_quotes(*byte));
    if quoted {
        out.push(b'"');
    }
    if marked {
        out.push(b'\'');
    }
    if quoted {
        append_preceded(b'"', b'"', text, out);
        out.push(b'"');
    } else {
        out.extend_from_slice(text);
    }
}

/// Joins texts so that they can be told apart again.
fn join(items: Items<'_>, joined: &mut Vec<u8>) {
    joined.clear();
    for (index, item) in items.enumerate() {
        if index > 0 {
            joined.push(b',');
        }
        match item {
            None => {}
            Some(text) if !text.careful => text.append_to(joined),
            Some(text) => text.bytes().iter().for_each(|byte| {
                if matches!(byte, b',' | b'\\') {
                    joined.push(b'\\');
                }
                joined.push(*byte);
            }),
        }
    }
}

#[cfg(test)]
mod tests;
