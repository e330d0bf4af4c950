//! What every version of the contract comes down to: one shim a version converts and delegates.

pub(crate) mod v0_1;

use exeat_gate::{ColumnSpec, ColumnType};

/// The versions that this host runs, as people are told.
pub(crate) const SUPPORTED: &str = "0.1";

/// What a plugin says of itself. Unchecked.
#[derive(PartialEq)]
pub(crate) struct Description {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) summary: String,
    pub(crate) config_schema: String,
}

/// Why a guest says no. Unchecked.
pub(crate) enum Fault {
    Config { pointer: String, message: String },
    Schema { field: String, message: String },
    Internal(String),
}

/// A transform's plan. Unchecked.
#[derive(Clone, PartialEq)]
pub(crate) struct TransformPlan {
    pub(crate) reads: Vec<u32>,
    pub(crate) stateless: bool,
    pub(crate) output: Vec<OutputColumn>,
}

/// One column of a transform's plan. Unchecked.
#[derive(Clone, PartialEq)]
pub(crate) enum OutputColumn {
    Pass { input: u32, name: String },
    Constant { name: String, value: Scalar },
    Computed(ColumnSpec),
}

/// A constant. Unchecked.
#[derive(Clone, PartialEq)]
pub(crate) enum Scalar {
    Null(ColumnType),
    Boolean(bool),
    Int64(i64),
    Float64(f64),
    TimestampUs(i64),
    Utf8(String),
    Json(String),
}

/// The values of a column that a guest hands over. Unchecked.
#[cfg_attr(test, derive(Debug))]
pub(crate) struct Column {
    pub(crate) validity: Option<Vec<u8>>,
    pub(crate) values: Values,
}

/// Values in Arrow layout. Unchecked.
#[cfg_attr(test, derive(Debug))]
pub(crate) enum Values {
    Boolean(Vec<u8>),
    Int64(Vec<i64>),
    Float64(Vec<f64>),
    TimestampUs(Vec<i64>),
    Utf8(Texts),
    Json(Texts),
    Utf8List { offsets: Vec<i32>, values: Texts },
}

/// Texts end to end. Unchecked.
#[cfg_attr(test, derive(Debug))]
pub(crate) struct Texts {
    pub(crate) offsets: Vec<i32>,
    pub(crate) bytes: Vec<u8>,
}

/// A transform's answer to a batch. Unchecked.
pub(crate) struct TransformOutput {
    pub(crate) columns: Vec<Column>,
    pub(crate) keep: Option<Vec<u8>>,
    pub(crate) rejects: Vec<Reject>,
}

/// A row that cannot go out. Unchecked.
pub(crate) struct Reject {
    pub(crate) row: u32,
    pub(crate) field: Option<String>,
    pub(crate) code: String,
    pub(crate) message: String,
}

/// An adapter's answer to a batch. Unchecked.
pub(crate) struct Encoded {
    pub(crate) chunks: Vec<Chunk>,
    pub(crate) written: u32,
    pub(crate) dropped: u32,
    pub(crate) rejects: Vec<Reject>,
    pub(crate) losses: Vec<(String, String, u64)>,
    pub(crate) side_lines: Vec<(crate::SideFile, String)>,
}

/// A piece of an adapter's output. Unchecked.
pub(crate) enum Chunk {
    BeginFile { name: String, media_type: String },
    Bytes(Vec<u8>),
}

impl Column {
    /// Size of the values.
    pub(crate) fn bytes(&self) -> u64 {
        let texts = |texts: &Texts| texts.bytes.len() + size_of_val(texts.offsets.as_slice());
        let values = match &self.values {
            Values::Boolean(bits) => bits.len(),
            Values::Int64(values) | Values::TimestampUs(values) => size_of_val(values.as_slice()),
            Values::Float64(values) => size_of_val(values.as_slice()),
            Values::Utf8(values) | Values::Json(values) => texts(values),
            Values::Utf8List { offsets, values } => size_of_val(offsets.as_slice()) + texts(values),
        };
        (values + self.validity.as_ref().map_or(0, Vec::len)) as u64
    }
}

impl Encoded {
    /// Size of what is put out.
    pub(crate) fn bytes(&self) -> u64 {
        let chunks = self.chunks.iter().map(|chunk| match chunk {
            Chunk::BeginFile { name, .. } => name.len(),
            Chunk::Bytes(bytes) => bytes.len(),
        });
        let lines = self.side_lines.iter().map(|(_, line)| line.len());
        chunks.chain(lines).sum::<usize>() as u64
    }
}
