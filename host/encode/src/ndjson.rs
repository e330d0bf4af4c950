//! One JSON object (RFC 8259) a line.

use arrow_array::ArrayRef;
use exeat_gate::{ColumnSpec, ShapedBatch};

use crate::format::Encoder;
use crate::time::write_timestamp;
use crate::value::{Items, Value, columns, write_bool, write_float, write_int};
use crate::{EncodeError, value};

/// Writes NDJSON: one object a line, its keys in the order of the columns, every key in every
/// row. A missing value is `null`, and so is a number that JSON cannot write (NaN, infinity).
#[derive(Debug)]
pub struct NdjsonEncoder {
    schema: Box<[ColumnSpec]>,
    /// What stands before each value: brace or comma, and the key.
    prefixes: Box<[Box<[u8]>]>,
}

impl NdjsonEncoder {
    /// An encoder for rows of these columns.
    pub fn new(schema: &[ColumnSpec]) -> Self {
        let prefix = |(index, spec): (usize, &ColumnSpec)| {
            let mut prefix = vec![if index == 0 { b'{' } else { b',' }];
            write_text(&spec.name, &mut prefix);
            prefix.push(b':');
            prefix.into_boxed_slice()
        };
        Self {
            schema: schema.into(),
            prefixes: schema.iter().enumerate().map(prefix).collect(),
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
        &self,
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
                    write_timestamp(micros, out).map_err(|_| EncodeError::Timestamp {
                        column: self.schema[index].name.clone(),
                    })?;
                    out.push(b'"');
                }
                Some(Value::Text(text)) => write_text(text, out),
                Some(Value::Json(json)) => write_json(json, out),
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

/// What follows the backslash where a byte must be escaped; zero where it need not be. Bytes
/// from 0x80 are parts of characters that stand for themselves.
const ESCAPES: [u8; 256] = {
    let mut escapes = [0; 256];
    let mut control = 0;
    while control < 0x20 {
        escapes[control] = b'u';
        control += 1;
    }
    escapes[0x08] = b'b';
    escapes[b'\t' as usize] = b't';
    escapes[b'\n' as usize] = b'n';
    escapes[0x0C] = b'f';
    escapes[b'\r' as usize] = b'r';
    escapes[b'"' as usize] = b'"';
    escapes[b'\\' as usize] = b'\\';
    escapes
};

/// Appends a JSON string.
fn write_text(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    let mut rest = text.as_bytes();
    // Most texts need no escape and are copied in one run.
    while let Some(at) = rest.iter().position(|byte| ESCAPES[usize::from(*byte)] != 0) {
        let byte = rest[at];
        out.extend_from_slice(&rest[..at]);
        match ESCAPES[usize::from(byte)] {
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
fn write_json(json: &str, out: &mut Vec<u8>) {
    let mut rest = json.as_bytes();
    while let Some(at) = memchr::memchr2(b'\n', b'\r', rest) {
        out.extend_from_slice(&rest[..at]);
        out.push(b' ');
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
}

fn write_list(items: Items<'_>, out: &mut Vec<u8>) {
    out.push(b'[');
    for (index, item) in items.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        match item {
            Some(text) => write_text(text, out),
            None => out.extend_from_slice(b"null"),
        }
    }
    out.push(b']');
}

#[cfg(test)]
mod tests;
