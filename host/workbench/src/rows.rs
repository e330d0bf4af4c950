//! Rows given as JSON, as columns of the directory: what samples, golden cases and benches are made of.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow_array::builder::{ListBuilder, StringBuilder};
use arrow_array::{ArrayRef, BooleanArray, Float64Array, Int64Array, StringArray, TimestampMicrosecondArray};
use arrow_schema::DataType;
use exeat_gate::{ColumnType, Field, FieldSelection, RawBatch, Schema, SelectionError};
use serde_json::{Map, Value};
use thiserror::Error;

/// A row: the fields of a user, by name.
pub type JsonRow = Map<String, Value>;

/// Rows are not what they should be.
#[derive(Debug, Error)]
pub enum RowsError {
    /// A row is no JSON object.
    #[error("row {row} is not a JSON object")]
    NotAnObject {
        /// Place, from 0.
        row: usize,
    },
    /// A field cannot leave, or there is none of this name.
    #[error(transparent)]
    Field(#[from] SelectionError),
    /// A value is missing that every user has.
    #[error("row {row}: the field \"{field}\" is missing, and every user has one")]
    Missing {
        /// Place of the row, from 0.
        row: usize,
        /// The field.
        field: String,
    },
    /// A value has another type than its field.
    #[error("row {row}: the field \"{field}\" is not {expected}")]
    Value {
        /// Place of the row, from 0.
        row: usize,
        /// The field.
        field: String,
        /// What it should be.
        expected: &'static str,
    },
    /// The columns do not fit each other. A host fault.
    #[error("the rows cannot be put into columns")]
    Columns(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// The rows of a JSON array or of several values, as objects.
///
/// # Errors
/// One is something else.
pub fn objects(values: Vec<Value>) -> Result<Vec<JsonRow>, RowsError> {
    let objects = values.into_iter().enumerate().map(|(row, value)| match value {
        Value::Object(object) => Ok(object),
        _ => Err(RowsError::NotAnObject { row }),
    });
    objects.collect()
}

/// The fields that rows name, in the order in which they do.
///
/// # Errors
/// A name that is no field, or one of something that never leaves.
pub fn fields_of<'a>(
    rows: &'a [JsonRow],
    more: impl ExactSizeIterator<Item = &'a str>,
) -> Result<FieldSelection, RowsError> {
    // Without a name, there is no less to offer than what everybody gets.
    if rows.iter().all(JsonRow::is_empty) && more.len() == 0 {
        return Ok(FieldSelection::everyday());
    }
    let mut names: Vec<&str> = Vec::new();
    let mut seen = BTreeSet::new();
    for name in rows
        .iter()
        .flat_map(|row| row.keys().map(String::as_str))
        .chain(more)
    {
        if seen.insert(name) {
            names.push(name);
        }
    }
    Ok(FieldSelection::named(&names)?)
}

/// Rows as a source would deliver them: one column for each of these fields.
///
/// # Errors
/// A value that its field cannot hold.
pub fn raw_batch(fields: &[&'static Field], rows: &[JsonRow]) -> Result<RawBatch, RowsError> {
    let schema: Schema = fields.iter().map(|field| field.spec()).collect();
    let columns = fields
        .iter()
        .map(|field| column(field, rows))
        .collect::<Result<_, _>>()?;
    RawBatch::new(schema, columns, rows.len()).map_err(|error| RowsError::Columns(error.into()))
}

fn column(field: &Field, rows: &[JsonRow]) -> Result<ArrayRef, RowsError> {
    let name = field.name.as_str();
    let is_missing = |row: &&JsonRow| row.get(name).is_none_or(Value::is_null);
    if !field.nullable
        && let Some(row) = rows.iter().position(|row| is_missing(&row))
    {
        let field = name.to_owned();
        return Err(RowsError::Missing { row, field });
    }
    // One value a row: nothing where it is missing, an error where it is of another type.
    fn each<'a, T>(
        rows: &'a [JsonRow],
        name: &str,
        expected: &'static str,
        read: impl Fn(&'a Value) -> Option<T>,
    ) -> Result<Vec<Option<T>>, RowsError> {
        let value = |(row, object): (usize, &'a JsonRow)| match object.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => read(value).map(Some).ok_or_else(|| RowsError::Value {
                row,
                field: name.to_owned(),
                expected,
            }),
        };
        rows.iter().enumerate().map(value).collect()
    }
    Ok(match field.column_type {
        ColumnType::Boolean => Arc::new(BooleanArray::from(each(
            rows,
            name,
            "true or false",
            Value::as_bool,
        )?)),
        ColumnType::Int64 => Arc::new(Int64Array::from(each(
            rows,
            name,
            "a whole number",
            Value::as_i64,
        )?)),
        ColumnType::Float64 => Arc::new(Float64Array::from(each(rows, name, "a number", Value::as_f64)?)),
        ColumnType::TimestampUs => {
            let expected = "an instant (RFC 3339, or microseconds since 1970)";
            Arc::new(TimestampMicrosecondArray::from(each(
                rows, name, expected, instant,
            )?))
        }
        ColumnType::Utf8 => Arc::new(StringArray::from(each(rows, name, "a text", Value::as_str)?)),
        ColumnType::Json => {
            let texts = each(rows, name, "JSON", |value| Some(value.to_string()))?;
            Arc::new(StringArray::from(texts))
        }
        ColumnType::Utf8List => {
            let lists = each(rows, name, "a list of texts", |value| {
                value
                    .as_array()?
                    .iter()
                    .map(Value::as_str)
                    .collect::<Option<Vec<_>>>()
            })?;
            list_array(lists)
        }
    })
}

fn list_array(lists: Vec<Option<Vec<&str>>>) -> ArrayRef {
    let mut builder = ListBuilder::new(StringBuilder::new());
    if let DataType::List(item) = ColumnType::Utf8List.arrow() {
        builder = builder.with_field(item);
    }
    for list in lists {
        let present = list.is_some();
        list.into_iter()
            .flatten()
            .for_each(|text| builder.values().append_value(text));
        builder.append(present);
    }
    Arc::new(builder.finish())
}

fn instant(value: &Value) -> Option<i64> {
    match value {
        Value::String(text) => text
            .parse::<jiff::Timestamp>()
            .ok()
            .map(jiff::Timestamp::as_microsecond),
        value => value.as_i64(),
    }
}
