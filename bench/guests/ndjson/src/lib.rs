//! The work of the adapter benches: writes rows as NDJSON, times as microseconds.

use exeat_sdk::{Adapter, AdapterPlan, AnyColumn, Fault, Job, Outcome, Reject, Row, Sink, Value, append};
use schemars::JsonSchema;
use serde::Deserialize;

/// There is nothing to choose.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {}

/// A writer at work.
#[derive(Debug)]
pub struct Ndjson {
    /// What stands before each value, and where the value comes from.
    columns: Vec<(Vec<u8>, AnyColumn)>,
    begun: bool,
}

impl Adapter for Ndjson {
    type Config = Config;

    fn open(_config: Config, _job: &Job, plan: &mut AdapterPlan) -> Result<Self, Fault> {
        let selected = plan.input().iter().filter(|field| field.selected);
        let names: Vec<String> = selected.map(|field| field.name.clone()).collect();
        let mut columns = Vec::new();
        for (index, name) in names.iter().enumerate() {
            let mut key = vec![if index == 0 { b'{' } else { b',' }];
            write_text(name, &mut key);
            key.push(b':');
            columns.push((key, plan.read_any(name)?));
        }
        Ok(Self {
            columns,
            begun: false,
        })
    }

    fn row(&mut self, row: Row<'_>, out: &mut Sink) -> Result<Outcome, Reject> {
        if !self.begun {
            out.begin_file("users.ndjson", "application/x-ndjson");
            self.begun = true;
        }
        let file = out.file();
        for (key, column) in &self.columns {
            append(file, key);
            match row.value(*column) {
                Value::Text(text) => write_text(text, file),
                Value::Json(json) => append(file, json.as_bytes()),
                Value::Int(value) | Value::Timestamp(value) => {
                    append(file, itoa::Buffer::new().format(value).as_bytes());
                }
                Value::Bool(true) => append(file, b"true"),
                Value::Bool(false) => append(file, b"false"),
                Value::List(items) => {
                    file.push(b'[');
                    for (index, item) in items.iter().enumerate() {
                        if index > 0 {
                            file.push(b',');
                        }
                        write_text(item, file);
                    }
                    file.push(b']');
                }
                Value::Null | Value::Float(_) => append(file, b"null"),
            }
        }
        append(file, b"}\n");
        Ok(Outcome::Written)
    }

    fn finish(&mut self, _out: &mut Sink) -> Result<(), Fault> {
        Ok(())
    }
}

fn write_text(text: &str, file: &mut Vec<u8>) {
    file.push(b'"');
    let plain = text.bytes().fold(true, |plain, byte| {
        plain & (byte >= 0x20) & (byte != b'"') & (byte != b'\\')
    });
    if plain {
        append(file, text.as_bytes());
    } else {
        for byte in text.bytes() {
            match byte {
                b'"' | b'\\' => file.extend_from_slice(&[b'\\', byte]),
                0..0x20 => {
                    let hex = b"0123456789abcdef";
                    append(file, b"\\u00");
                    file.extend_from_slice(&[hex[usize::from(byte >> 4)], hex[usize::from(byte & 0xf)]]);
                }
                _ => file.push(byte),
            }
        }
    }
    file.push(b'"');
}

exeat_sdk::export_adapter!(Ndjson, "The work of the adapter benches.");
