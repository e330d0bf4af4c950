//! Comma-separated values (RFC 4180).

use std::fmt;

use arrow_array::ArrayRef;
use exeat_gate::{ColumnSpec, ShapedBatch};

use crate::format::Encoder;
use crate::time::write_timestamp;
use crate::value::{Column, Items, Value, columns, write_bool, write_float, write_int};
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
}

impl CsvEncoder {
    /// An encoder for rows of these columns.
    pub fn new(schema: &[ColumnSpec], formulas: FormulaPolicy) -> Self {
        Self {
            schema: schema.into(),
            formulas,
            joined: Vec::new(),
        }
    }

    /// Appends rows of columns that are known to fit the schema.
    pub(crate) fn encode_arrays(
        &mut self,
        arrays: &[ArrayRef],
        rows: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        let columns = columns(&self.schema, arrays)?;
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
                    write_timestamp(micros, out).map_err(|_| EncodeError::Timestamp {
                        column: self.schema[index].name.clone(),
                    })?
                }
                Some(Value::Text(text)) => self.write_text(text.as_bytes(), out),
                Some(Value::Json(json)) => self.write_json(json, out),
                Some(Value::List(items)) => {
                    let mut joined = std::mem::take(&mut self.joined);
                    join(items, &mut joined);
                    self.write_text(&joined, out);
                    self.joined = joined;
                }
            }
        }
        if out.len() == start {
            out.extend_from_slice(b"\"\"");
        }
        out.extend_from_slice(b"\r\n");
        Ok(())
    }

    fn write_text(&self, text: &[u8], out: &mut Vec<u8>) {
        write_cell(text, self.formulas.marks(text), self.formulas.quotes_all(), out);
    }

    fn write_json(&self, json: &str, out: &mut Vec<u8>) {
        let json = json.trim_ascii();
        let Some(inside) = json.strip_prefix('"').and_then(|json| json.strip_suffix('"')) else {
            if json != "null" {
                self.write_text(json.as_bytes(), out);
            }
            return;
        };
        if memchr::memchr(b'\\', inside.as_bytes()).is_none() {
            return self.write_text(inside.as_bytes(), out);
        }
        // JSON may escape half of a surrogate pair. No export should fail for what one user put
        // into an attribute, so that such a string stays JSON.
        match serde_json::from_str::<String>(json) {
            Ok(text) => self.write_text(text.as_bytes(), out),
            Err(_) => self.write_text(json.as_bytes(), out),
        }
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

/// Bytes that must not stand in a cell without quotes around it.
const SPECIAL: [bool; 256] = {
    let mut special = [false; 256];
    special[b',' as usize] = true;
    special[b'"' as usize] = true;
    special[b'\r' as usize] = true;
    special[b'\n' as usize] = true;
    special
};

fn needs_quotes(text: &[u8]) -> bool {
    match text {
        [] | [b' ', ..] | [.., b' '] => true,
        _ => text.iter().any(|byte| SPECIAL[usize::from(*byte)]),
    }
}

/// Appends a text that is there, which is never an empty cell.
fn write_cell(text: &[u8], marked: bool, quoted: bool, out: &mut Vec<u8>) {
    let quoted = quoted || needs_quotes(text);
    if quoted {
        out.push(b'"');
    }
    if marked {
        out.push(b'\'');
    }
    if quoted {
        preceded(b'"', memchr::memchr_iter(b'"', text), text, out);
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
        let text = item.unwrap_or_default().as_bytes();
        preceded(b'\\', memchr::memchr2_iter(b',', b'\\', text), text, joined);
    }
}

/// Appends a text, with `before` in front of each byte at the given places.
fn preceded(before: u8, places: impl Iterator<Item = usize>, text: &[u8], out: &mut Vec<u8>) {
    let mut done = 0;
    for place in places {
        out.extend_from_slice(&text[done..place]);
        out.push(before);
        done = place;
    }
    out.extend_from_slice(&text[done..]);
}

#[cfg(test)]
mod tests;
