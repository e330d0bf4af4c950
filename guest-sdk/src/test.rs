//! Runs a plugin natively on rows given as JSON, for its author's tests.
//!
//! Rows are JSON objects; the type of a column is read off its values (text, whole number,
//! number, truth value, list of texts; anything else is JSON), or set with
//! [`TransformTest::column`]. The same cases run in the real sandbox when Exeat tests its shipped
//! plugins.

use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::path::Path;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::bindings::adapter::exports::exeat::plugin::adapter as wit_adapter;
use crate::bindings::transform::exports::exeat::plugin::transform as wit;
use crate::bindings::types;
use crate::export::{AdapterRun, TransformRun};
use crate::output::{bit, set_bit};
use crate::plan::ColumnType;
use crate::plugin::{Adapter, Transform};

/// The job of every test: fixed, so that results are.
fn test_job() -> types::JobContext {
    types::JobContext {
        job_id: "exp_test".to_owned(),
        snapshot_at_us: 1_767_225_600_000_000,
        seed: 7,
        pseudonym_key: (0..32).collect(),
    }
}

/// Rows for a plugin under test, as columns.
#[derive(Debug, Default)]
struct Input {
    types: BTreeMap<String, ColumnType>,
    rows: Vec<Map<String, Value>>,
}

impl Input {
    /// Columns in the order in which the rows name them.
    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for name in self.rows.iter().flat_map(Map::keys).chain(self.types.keys()) {
            if !names.contains(name) {
                names.push(name.clone());
            }
        }
        names
    }

    fn column_type(&self, name: &str) -> ColumnType {
        let set = self.types.get(name).copied();
        set.or_else(|| self.rows.iter().filter_map(|row| row.get(name)).find_map(type_of))
            .unwrap_or(ColumnType::Utf8)
    }

    fn offered(&self) -> Vec<types::OfferedField> {
        let names = self.names().into_iter();
        names
            .map(|name| {
                let column_type = self.column_type(&name);
                types::OfferedField {
                    field: types::Field {
                        name,
                        column_type,
                        nullable: true,
                    },
                    selected: true,
                }
            })
            .collect()
    }

    fn batch(&self, reads: &[u32]) -> types::Batch {
        let offered = self.offered();
        let column = |index: &u32| {
            let field = &offered[*index as usize].field;
            to_column(
                field.column_type,
                self.rows
                    .iter()
                    .map(|row| row.get(&field.name).unwrap_or(&Value::Null)),
            )
        };
        types::Batch {
            sequence: 0,
            rows: self.rows.len() as u32,
            columns: reads.iter().map(column).collect(),
        }
    }
}

fn type_of(value: &Value) -> Option<ColumnType> {
    match value {
        Value::Null => None,
        Value::Bool(_) => Some(ColumnType::Boolean),
        Value::Number(number) if number.is_i64() => Some(ColumnType::Int64),
        Value::Number(_) => Some(ColumnType::Float64),
        Value::String(_) => Some(ColumnType::Utf8),
        Value::Array(items) if items.iter().all(Value::is_string) => Some(ColumnType::Utf8List),
        Value::Array(_) | Value::Object(_) => Some(ColumnType::Json),
    }
}

fn to_column<'a>(column_type: ColumnType, values: impl Iterator<Item = &'a Value>) -> types::Column {
    let values: Vec<&Value> = values.collect();
    let mut validity = vec![0; values.len().div_ceil(8)];
    let mut bits = validity.clone();
    let mut texts = types::Utf8Values {
        offsets: vec![0],
        bytes: Vec::new(),
    };
    let mut lists = vec![0];
    for (row, value) in values.iter().enumerate() {
        set_bit(&mut validity, row, !value.is_null());
        set_bit(&mut bits, row, value.as_bool().unwrap_or_default());
        let items: Vec<String> = match (column_type, value) {
            (ColumnType::Json, value) => vec![value.to_string()],
            (ColumnType::Utf8List, Value::Array(items)) => items
                .iter()
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect(),
            (ColumnType::Utf8List, _) => Vec::new(),
            (_, value) => vec![value.as_str().unwrap_or_default().to_owned()],
        };
        for item in items {
            texts.bytes.extend_from_slice(item.as_bytes());
            texts.offsets.push(texts.bytes.len() as i32);
        }
        lists.push(texts.offsets.len() as i32 - 1);
    }
    let ints = || {
        values
            .iter()
            .map(|value| value.as_i64().unwrap_or_default())
            .collect()
    };
    let values = match column_type {
        ColumnType::Boolean => types::Values::Boolean(bits),
        ColumnType::Int64 => types::Values::Int64(ints()),
        ColumnType::TimestampUs => types::Values::TimestampUs(ints()),
        ColumnType::Float64 => types::Values::Float64(
            values
                .iter()
                .map(|value| value.as_f64().unwrap_or_default())
                .collect(),
        ),
        ColumnType::Utf8 => types::Values::Utf8(texts),
        ColumnType::Json => types::Values::Json(texts),
        ColumnType::Utf8List => types::Values::Utf8List(types::Utf8ListValues {
            offsets: lists,
            values: texts,
        }),
    };
    types::Column {
        validity: Some(validity),
        values,
    }
}

fn value_of(column: &types::Column, row: usize) -> Value {
    if column
        .validity
        .as_ref()
        .is_some_and(|validity| !bit(validity, row))
    {
        return Value::Null;
    }
    let text = |values: &types::Utf8Values| {
        let range = values.offsets[row] as usize..values.offsets[row + 1] as usize;
        std::str::from_utf8(&values.bytes[range])
            .expect("output is UTF-8")
            .to_owned()
    };
    match &column.values {
        types::Values::Boolean(bits) => json!(bit(bits, row)),
        types::Values::Int64(values) | types::Values::TimestampUs(values) => json!(values[row]),
        types::Values::Float64(values) => json!(values[row]),
        types::Values::Utf8(values) => json!(text(values)),
        types::Values::Json(values) => serde_json::from_str(&text(values)).expect("output is JSON"),
        types::Values::Utf8List(_) => unreachable!("no plan computes a list"),
    }
}

/// A reject, as tests see it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct TestReject {
    /// Place of the row, from 0.
    pub row: u32,
    /// The field that is blamed.
    pub field: Option<String>,
    /// The short code.
    pub code: String,
}

fn test_rejects(rejects: Vec<types::Reject>) -> Vec<TestReject> {
    rejects
        .into_iter()
        .map(|reject| TestReject {
            row: reject.row,
            field: reject.field,
            code: reject.code,
        })
        .collect()
}

/// A transform and the rows to test it with.
#[derive(Debug)]
pub struct TransformTest<T> {
    config: Value,
    input: Input,
    transform: PhantomData<T>,
}

/// What a transform made of its rows.
#[derive(Debug)]
pub struct TransformOutcome {
    /// The rows that stayed, in order.
    pub rows: Vec<Value>,
    /// How many were dropped.
    pub dropped: usize,
    /// The rows that were rejected.
    pub rejects: Vec<TestReject>,
}

impl<T: Transform> TransformTest<T> {
    /// A test with this configuration.
    pub fn new(config: Value) -> Self {
        Self {
            config,
            input: Input::default(),
            transform: PhantomData,
        }
    }

    /// Sets the type of a column that its values do not tell.
    #[must_use]
    pub fn column(mut self, name: &str, column_type: ColumnType) -> Self {
        self.input.types.insert(name.to_owned(), column_type);
        self
    }

    /// Adds rows: JSON objects.
    #[must_use]
    pub fn rows(mut self, rows: &[Value]) -> Self {
        self.input
            .rows
            .extend(rows.iter().filter_map(Value::as_object).cloned());
        self
    }

    /// Opens a job and runs one batch of all rows.
    ///
    /// # Errors
    /// The plugin's fault, as the host would see it.
    pub fn run(self) -> Result<TransformOutcome, types::Fault> {
        let offered = self.input.offered();
        let (mut run, plan) = TransformRun::<T>::open(test_job(), offered.clone(), &self.config.to_string())?;
        let output = run.process(&self.input.batch(&plan.reads));
        let rejected = |row: usize| output.rejects.iter().any(|reject| reject.row as usize == row);
        let kept = |row: usize| output.keep.as_ref().is_none_or(|keep| bit(keep, row));
        let rows = (0..self.input.rows.len())
            .filter(|row| kept(*row) && !rejected(*row))
            .map(|row| output_row(&plan, &output, &offered, &self.input.rows[row], row))
            .collect();
        let dropped = (0..self.input.rows.len())
            .filter(|row| !kept(*row) && !rejected(*row))
            .count();
        Ok(TransformOutcome {
            rows,
            dropped,
            rejects: test_rejects(output.rejects),
        })
    }
}

fn output_row(
    plan: &wit::Plan,
    output: &wit::Output,
    offered: &[types::OfferedField],
    input: &Map<String, Value>,
    row: usize,
) -> Value {
    let mut computed = output.columns.iter();
    let mut members = Map::new();
    for column in &plan.output {
        let (name, value) = match column {
            wit::OutputColumn::Pass(pass) => {
                let from = &offered[pass.input as usize].field.name;
                (&pass.name, input.get(from).cloned().unwrap_or(Value::Null))
            }
            wit::OutputColumn::Constant(constant) => (&constant.name, constant_value(&constant.value)),
            wit::OutputColumn::Computed(field) => (
                &field.name,
                value_of(computed.next().expect("a column for each computed field"), row),
            ),
        };
        members.insert(name.clone(), value);
    }
    Value::Object(members)
}

fn constant_value(value: &wit::Scalar) -> Value {
    match value {
        wit::Scalar::Null(_) => Value::Null,
        wit::Scalar::Boolean(value) => json!(value),
        wit::Scalar::Int64(value) | wit::Scalar::TimestampUs(value) => json!(value),
        wit::Scalar::Float64(value) => json!(value),
        wit::Scalar::Utf8(value) => json!(value),
        wit::Scalar::Json(value) => serde_json::from_str(value).expect("a constant is JSON"),
    }
}

/// An adapter and the rows to test it with.
#[derive(Debug)]
pub struct AdapterTest<A> {
    config: Value,
    input: Input,
    adapter: PhantomData<A>,
}

/// What an adapter made of its rows.
#[derive(Debug)]
pub struct AdapterOutcome {
    /// Name and text of each file, in order.
    pub files: Vec<(String, String)>,
    /// How many rows were written.
    pub written: u32,
    /// How many were dropped.
    pub dropped: u32,
    /// The rows that were rejected.
    pub rejects: Vec<TestReject>,
    /// Field, reason and count of what the destination cannot hold.
    pub losses: Vec<(String, String, u64)>,
}

impl<A: Adapter> AdapterTest<A> {
    /// A test with this configuration.
    pub fn new(config: Value) -> Self {
        Self {
            config,
            input: Input::default(),
            adapter: PhantomData,
        }
    }

    /// Sets the type of a column that its values do not tell.
    #[must_use]
    pub fn column(mut self, name: &str, column_type: ColumnType) -> Self {
        self.input.types.insert(name.to_owned(), column_type);
        self
    }

    /// Adds rows: JSON objects.
    #[must_use]
    pub fn rows(mut self, rows: &[Value]) -> Self {
        self.input
            .rows
            .extend(rows.iter().filter_map(Value::as_object).cloned());
        self
    }

    /// Opens a job, runs one batch of all rows and finishes.
    ///
    /// # Errors
    /// The plugin's fault, as the host would see it.
    pub fn run(self) -> Result<AdapterOutcome, types::Fault> {
        let (mut run, plan) =
            AdapterRun::<A>::open(test_job(), self.input.offered(), &self.config.to_string())?;
        let batch = run.process(&self.input.batch(&plan.reads));
        let end = run.finish()?;
        let mut files: Vec<(String, Vec<u8>)> = Vec::new();
        for chunk in batch.chunks.into_iter().chain(end.chunks) {
            match chunk {
                wit_adapter::Chunk::BeginFile(file) => files.push((file.name, Vec::new())),
                wit_adapter::Chunk::Bytes(bytes) => {
                    files
                        .last_mut()
                        .expect("a file begins before its bytes")
                        .1
                        .extend(bytes);
                }
            }
        }
        let text = |(name, bytes)| (name, String::from_utf8(bytes).expect("files are UTF-8"));
        let losses = batch.losses.into_iter().chain(end.losses);
        Ok(AdapterOutcome {
            files: files.into_iter().map(text).collect(),
            written: batch.written,
            dropped: batch.dropped,
            rejects: test_rejects(batch.rejects),
            losses: losses.map(|loss| (loss.field, loss.reason, loss.rows)).collect(),
        })
    }
}

/// A golden case: what goes in, and what must come out.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// The configuration.
    pub config: Value,
    /// Types of columns that their values do not tell.
    #[serde(default)]
    pub columns: BTreeMap<String, CaseType>,
    /// The rows, as JSON objects.
    #[serde(default)]
    pub rows: Vec<Value>,
    /// The rows that must come out of a transform.
    #[serde(default)]
    pub expected_rows: Vec<Value>,
    /// The files that must come out of an adapter: name, and the value of its JSON.
    #[serde(default)]
    pub expected_files: BTreeMap<String, Value>,
    /// How many rows must be dropped.
    #[serde(default)]
    pub expected_dropped: usize,
    /// The rows that must be rejected.
    #[serde(default)]
    pub expected_rejects: Vec<TestReject>,
    /// The JSON pointer at which the configuration must be refused.
    #[serde(default)]
    pub expected_config_error: Option<String>,
}

/// Name of a column type in a golden case.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names are those of the contract")]
pub enum CaseType {
    Boolean,
    Int64,
    Float64,
    TimestampUs,
    Utf8,
    Json,
    Utf8List,
}

impl From<CaseType> for ColumnType {
    fn from(name: CaseType) -> Self {
        match name {
            CaseType::Boolean => Self::Boolean,
            CaseType::Int64 => Self::Int64,
            CaseType::Float64 => Self::Float64,
            CaseType::TimestampUs => Self::TimestampUs,
            CaseType::Utf8 => Self::Utf8,
            CaseType::Json => Self::Json,
            CaseType::Utf8List => Self::Utf8List,
        }
    }
}

/// The golden cases of a folder: every `*.json` in it, sorted by name.
///
/// # Panics
/// The folder holds no case, or a case that is not one.
pub fn cases(folder: &Path) -> Vec<(String, Case)> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut cases: Vec<(String, Case)> = entries
        .map(|entry| entry.expect("a readable folder").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .map(|path| {
            let text = std::fs::read_to_string(&path).expect("a readable case");
            let case =
                serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            (
                path.file_stem()
                    .unwrap_or_default()
                    .to_string_lossy()
                    .into_owned(),
                case,
            )
        })
        .collect();
    assert!(!cases.is_empty(), "{} holds no case", folder.display());
    cases.sort_by(|a, b| a.0.cmp(&b.0));
    cases
}

/// Runs a transform on every golden case of a folder.
///
/// # Panics
/// A case does not come out as expected.
pub fn check_transform<T: Transform>(folder: &Path) {
    for (name, case) in cases(folder) {
        let mut test = TransformTest::<T>::new(case.config).rows(&case.rows);
        for (column, column_type) in case.columns {
            test = test.column(&column, column_type.into());
        }
        match (test.run(), case.expected_config_error) {
            (Ok(outcome), None) => {
                assert_eq!(outcome.rows, case.expected_rows, "case {name}: rows");
                assert_eq!(outcome.dropped, case.expected_dropped, "case {name}: dropped");
                assert_eq!(outcome.rejects, case.expected_rejects, "case {name}: rejects");
            }
            (Err(types::Fault::InvalidConfig(error)), Some(pointer)) => {
                assert_eq!(error.pointer, pointer, "case {name}: {}", error.message);
            }
            (Ok(_), Some(pointer)) => panic!("case {name}: the configuration is taken in spite of {pointer}"),
            (Err(fault), _) => panic!("case {name}: {fault:?}"),
        }
    }
}

/// Runs an adapter on every golden case of a folder.
///
/// # Panics
/// A case does not come out as expected.
pub fn check_adapter<A: Adapter>(folder: &Path) {
    for (name, case) in cases(folder) {
        let mut test = AdapterTest::<A>::new(case.config).rows(&case.rows);
        for (column, column_type) in case.columns {
            test = test.column(&column, column_type.into());
        }
        match (test.run(), case.expected_config_error) {
            (Ok(outcome), None) => {
                let files = outcome.files.into_iter().map(|(file, text)| {
                    let json = serde_json::from_str(&text).unwrap_or(Value::String(text));
                    (file, json)
                });
                assert_eq!(
                    files.collect::<BTreeMap<_, _>>(),
                    case.expected_files,
                    "case {name}: files"
                );
                assert_eq!(
                    outcome.dropped as usize, case.expected_dropped,
                    "case {name}: dropped"
                );
                assert_eq!(outcome.rejects, case.expected_rejects, "case {name}: rejects");
            }
            (Err(types::Fault::InvalidConfig(error)), Some(pointer)) => {
                assert_eq!(error.pointer, pointer, "case {name}: {}", error.message);
            }
            (Ok(_), Some(pointer)) => panic!("case {name}: the configuration is taken in spite of {pointer}"),
            (Err(fault), _) => panic!("case {name}: {fault:?}"),
        }
    }
}
