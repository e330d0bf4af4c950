//! Shaped rows as JSON, for people and for comparison: timestamps stay microseconds.

use arrow_array::{
    Array, ArrayRef, BooleanArray, Float64Array, Int64Array, ListArray, StringArray,
    TimestampMicrosecondArray,
};
use exeat_gate::{ColumnType, ShapedBatch};
use serde_json::{Map, Value};

/// The rows of a batch as JSON objects, in the order of the columns.
pub(crate) fn rows_of(batch: &ShapedBatch) -> Vec<Value> {
    let columns = || batch.schema().iter().zip(batch.columns());
    let row = |row| {
        let members = columns().map(|(spec, array)| (spec.name.clone(), value(spec.column_type, array, row)));
        Value::Object(members.collect::<Map<_, _>>())
    };
    (0..batch.rows()).map(row).collect()
}

fn value(column_type: ColumnType, array: &ArrayRef, row: usize) -> Value {
    if array.is_null(row) {
        return Value::Null;
    }
    fn typed<T: 'static>(array: &dyn Array) -> Option<&T> {
        array.as_any().downcast_ref()
    }
    let value = match column_type {
        ColumnType::Boolean => typed::<BooleanArray>(array).map(|array| array.value(row).into()),
        ColumnType::Int64 => typed::<Int64Array>(array).map(|array| array.value(row).into()),
        ColumnType::Float64 => typed::<Float64Array>(array).map(|array| array.value(row).into()),
        ColumnType::TimestampUs => {
            typed::<TimestampMicrosecondArray>(array).map(|array| array.value(row).into())
        }
        ColumnType::Utf8 => typed::<StringArray>(array).map(|array| array.value(row).into()),
        ColumnType::Json => {
            typed::<StringArray>(array).and_then(|array| serde_json::from_str(array.value(row)).ok())
        }
        ColumnType::Utf8List => typed::<ListArray>(array).and_then(|lists| {
            let items = lists.value(row);
            let items = typed::<StringArray>(&items)?;
            Some(items.iter().map(Value::from).collect())
        }),
    };
    value.unwrap_or_default()
}
