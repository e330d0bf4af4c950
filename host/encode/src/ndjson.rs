//! One JSON object (RFC 8259) a line.

use arrow_array::ArrayRef;
use exeat_gate::{ColumnSpec, ShapedBatch};

use crate::format::Encoder;
use crate::scan::ScannedText;
use crate::time::Calendar;
use crate::value::{Items, Special, Value, columns, write_bool, write_float, write_int};
use crate::{EncodeError, value};

/// Writes NDJSON: one object a line, its keys in the order of the columns, every key in every
/// row. A missing value is `null`, and so is a number that JSON cannot write (NaN, infinity).
#[derive(Debug)]
pub struct NdjsonEncoder {
    schema: Box<[ColumnSpec]>,
    /// What stands before each value: brace or comma, and the key.
    prefixes: Box<[Box<[u8]>]>,
    calendar: Calendar,
}

impl NdjsonEncoder {
    /// An encoder for rows of these columns.
    pub fn new(schema: &[ColumnSpec]) -> Self {
        let prefix = |(index, spec): (usize, &ColumnSpec)| {
            let mut prefix = vec![if index == 0 { b'{' } else { b',' }];
            write_text(spec.name.as_bytes(), &mut prefix);
            prefix.push(b':');
            prefix.into_boxed_slice()
        };
        Self {
            schema: schema.into(),
            prefixes: schema.iter().enumerate().map(prefix).collect(),
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
            text: needs_escape,
            json: |byte| (byte == b'\n') | (byte == b'\r'),
            item: needs_escape,
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
        columns: &[value::Column<'_>],
        row: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        if columns.is_empty() {
            out.push(b'{');
        }
        for (index, column) in columns.iter().enumerate() {
            out.extend_from_slice(&self.prefixes[index]);
            match column.value(row) {
                None => out.extend_from_slice(b"null"),
                Some(Value::Boolean(value)) => write_bool(value, out),
                Some(Value::Int64(value)) => write_int(value, out),
                Some(Value::Float64(value)) => write_float(value, out),
                Some(Value::Timestamp(micros)) => {
                    out.push(b'"');
                    self.calendar
                        .write_timestamp(micros, out)
                        .map_err(|_| EncodeError::Timestamp {
                            column: self.schema[index].name.clone(),
                        })?;
                    out.push(b'"');
                }
                Some(Value::Text(text)) => write_scanned(text, out),
                Some(Value::Json(json)) if json.careful => write_json(json.bytes(), out),
                Some(Value::Json(json)) => json.append_to(out),
                Some(Value::List(items)) => write_list(items, out),
            }
        }
        out.extend_from_slice(b"}\n");
        Ok(())
    }
}

impl Encoder for NdjsonEncoder {
    fn begin(&mut self, _out: &mut Vec<u8>) {}

    fn encode(&mut self, batch: &ShapedBatch, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        if batch.schema() != &*self.schema {
            return Err(EncodeError::Columns);
        }
        self.encode_arrays(batch.columns(), batch.rows(), out)
    }
}

/// Whether JSON must escape a byte in a string. Bytes from 0x80 are parts of characters that
/// stand for themselves.
#[inline]
fn needs_escape(byte: u8) -> bool {
    // Not lazily: many are looked at together.
    (byte < 0x20) | (byte == b'"') | (byte == b'\\')
}

/// What follows the backslash where a byte is escaped: `u` where it has no letter of its own.
fn escape_letter(byte: u8) -> u8 {
    match byte {
        0x08 => b'b',
        b'\t' => b't',
        b'\n' => b'n',
        0x0C => b'f',
        b'\r' => b'r',
        b'"' | b'\\' => byte,
        _ => b'u',
    }
}

/// Appends a JSON string of a text of which it is known whether it needs an escape.
#[inline]
fn write_scanned(text: ScannedText<'_>, out: &mut Vec<u8>) {
    if text.careful {
        return write_text(text.bytes(), out);
    }
    out.push(b'"');
    text.append_to(out);
    out.push(b'"');
}

/// Appends a JSON string.
fn write_text(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    let mut rest = text;
    while let Some(at) = rest.iter().position(|byte| needs_escape(*byte)) {
        let byte = rest[at];
        out.extend_from_slice(&rest[..at]);
        match escape_letter(byte) {
            b'u' => {
                let hex = b"0123456789abcdef";
                out.extend_from_slice(b"\\u00");
                out.push(hex[usize::from(byte >> 4)]);
                out.push(hex[usize::from(byte & 0xF)]);
            }
            letter => out.extend_from_slice(&[b'\\', letter]),
        }
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

/// Appends text that is JSON already. A line break can only stand between its tokens, where a
/// space means the same and keeps the row on one line.
fn write_json(json: &[u8], out: &mut Vec<u8>) {
    let begin = out.len();
    out.extend_from_slice(json);
    for byte in &mut out[begin..] {
        if matches!(byte, b'\n' | b'\r') {
            *byte = b' ';
        }
    }
}

fn write_list(items: Items<'_>, out: &mut Vec<u8>) {
    out.push(b'[');
    for (index, item) in items.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        match item {
            Some(text) => write_scanned(text, out),
            None => out.extend_from_slice(b"null"),
        }
    }
    out.push(b']');
}

#[cfg(test)]
mod tests;
