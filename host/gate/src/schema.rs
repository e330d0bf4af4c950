//! Column types, and how each looks in Arrow.

use std::sync::Arc;

use arrow_schema::{DataType, Field as ArrowField, TimeUnit};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The type of one column, as the plugin contract knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ColumnType {
    /// True or false.
    Boolean,
    /// A signed 64-bit integer.
    Int64,
    /// An IEEE 754 double.
    Float64,
    /// Microseconds since 1970-01-01T00:00:00Z.
    TimestampUs,
    /// UTF-8 text.
    Utf8,
    /// UTF-8 text that is one JSON value (RFC 8259).
    Json,
    /// A list of UTF-8 texts.
    Utf8List,
}

impl ColumnType {
    /// The name that is used in `fields.toml` and in answers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Boolean => "boolean",
            Self::Int64 => "int64",
            Self::Float64 => "float64",
            Self::TimestampUs => "timestamp_us",
            Self::Utf8 => "utf8",
            Self::Json => "json",
            Self::Utf8List => "utf8_list",
        }
    }

    /// The Arrow type of such a column's values. `Utf8` and `Json` share one.
    pub fn arrow(self) -> DataType {
        match self {
            Self::Boolean => DataType::Boolean,
            Self::Int64 => DataType::Int64,
            Self::Float64 => DataType::Float64,
            Self::TimestampUs => DataType::Timestamp(TimeUnit::Microsecond, None),
            Self::Utf8 | Self::Json => DataType::Utf8,
            Self::Utf8List => DataType::List(Arc::new(ArrowField::new_list_field(DataType::Utf8, false))),
        }
    }
}

/// One column of a schema: what a source reads, a plugin is offered, an encoder writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnSpec {
    /// Name of the column: the key in NDJSON, the title in CSV.
    pub name: String,
    /// Type of its values.
    pub column_type: ColumnType,
    /// Whether a value may be missing.
    pub nullable: bool,
}

/// The columns of a batch, in order.
pub type Schema = Arc<[ColumnSpec]>;

/// The Arrow schema of columns of these specifications.
pub(crate) fn arrow_schema(columns: &[ColumnSpec]) -> arrow_schema::SchemaRef {
    let fields: Vec<ArrowField> = columns
        .iter()
        .map(|column| ArrowField::new(&column.name, column.column_type.arrow(), column.nullable))
        .collect();
    Arc::new(arrow_schema::Schema::new(fields))
}
