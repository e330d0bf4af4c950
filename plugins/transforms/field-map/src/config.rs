//! What the owner of a job may set.

use exeat_sdk::{Constant, Fault};
use schemars::JsonSchema;
use serde::Deserialize;

/// The columns of the output, in order.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The columns of the output, in order.
    pub columns: Vec<ColumnConfig>,
}

/// One column of the output: `from`, `constant` or `concat`. `equals` stands beside `from`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ColumnConfig {
    /// A column, or a path into one: `email`, `user_metadata.country`, `identities[0].connection`.
    pub from: Option<String>,
    /// Whether the text in `from` is this one: the column is true or false.
    pub equals: Option<String>,
    /// The same value in every row: a text, a number, true, false, null, or any JSON.
    #[serde(default, deserialize_with = "present")]
    pub constant: Option<serde_json::Value>,
    /// Pieces that are put together to one text. A missing value is an empty piece.
    pub concat: Option<Vec<Piece>>,
    /// Name in the output. Left out, the column is called as in `from`.
    #[serde(rename = "as")]
    pub title: Option<String>,
}

/// A piece of a concatenation: `from` or `text`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Piece {
    /// A column, or a path into one.
    pub from: Option<String>,
    /// A text.
    pub text: Option<String>,
}

/// Where a column's values come from.
pub(crate) enum Source<'a> {
    From(&'a str),
    Equals(&'a str, &'a str),
    Constant(&'a serde_json::Value),
    Concat(&'a [Piece]),
}

/// A constant may be `null`: what is there counts, not what it says.
fn present<'de, D: serde::Deserializer<'de>>(json: D) -> Result<Option<serde_json::Value>, D::Error> {
    serde_json::Value::deserialize(json).map(Some)
}

impl ColumnConfig {
    pub(crate) fn source(&self, pointer: &str) -> Result<Source<'_>, Fault> {
        match (&self.from, &self.equals, &self.constant, &self.concat) {
            (Some(from), None, None, None) => Ok(Source::From(from)),
            (Some(from), Some(text), None, None) => Ok(Source::Equals(from, text)),
            (None, None, Some(value), None) => Ok(Source::Constant(value)),
            (None, None, None, Some(pieces)) => Ok(Source::Concat(pieces)),
            (None, Some(_), _, _) => Err(Fault::config(
                pointer,
                "\"equals\" says what the text in \"from\" is compared with: name that, too",
            )),
            _ => Err(Fault::config(
                pointer,
                "a column has exactly one of \"from\", \"constant\" and \"concat\"",
            )),
        }
    }

    /// The name of a column that has no other to fall back on.
    pub(crate) fn name(&self, pointer: &str) -> Result<&str, Fault> {
        self.title
            .as_deref()
            .ok_or_else(|| Fault::config(pointer, "this column needs a name: \"as\""))
    }
}

pub(crate) fn constant(value: &serde_json::Value) -> Constant {
    use serde_json::Value;
    match value {
        Value::Null => Constant::Null,
        Value::Bool(value) => Constant::Bool(*value),
        Value::String(text) => Constant::Text(text.clone()),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(value), _) => Constant::Int(value),
            (None, Some(value)) => Constant::Float(value),
            (None, None) => Constant::Json(number.to_string()),
        },
        Value::Array(_) | Value::Object(_) => Constant::Json(value.to_string()),
    }
}
