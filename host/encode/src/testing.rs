//! Rows to write in tests.

use std::sync::Arc;

use arrow_array::builder::{ListBuilder, StringBuilder};
use arrow_array::{ArrayRef, BooleanArray, Float64Array, Int64Array, StringArray, TimestampMicrosecondArray};
use arrow_schema::DataType;
use exeat_gate::{ColumnSpec, ColumnType, Gate, RawBatch, ShapedBatch, catalog};
use proptest::prelude::*;
use serde_json::Value;

pub(crate) fn spec(name: &str, column_type: ColumnType) -> ColumnSpec {
    ColumnSpec {
        name: name.to_owned(),
        column_type,
        nullable: true,
    }
}

pub(crate) fn texts<S: AsRef<str>>(values: &[Option<S>]) -> ArrayRef {
    Arc::new(
        values
            .iter()
            .map(|value| value.as_ref().map(AsRef::as_ref))
            .collect::<StringArray>(),
    )
}

pub(crate) fn lists<S: AsRef<str>>(values: &[Option<Vec<S>>]) -> ArrayRef {
    let DataType::List(item) = ColumnType::Utf8List.arrow() else {
        unreachable!("a list type")
    };
    let mut builder = ListBuilder::new(StringBuilder::new()).with_field(item);
    for value in values {
        for text in value.iter().flatten() {
            builder.values().append_value(text);
        }
        builder.append(value.is_some());
    }
    Arc::new(builder.finish())
}

/// Times of this many microseconds.
pub(crate) fn times(values: Vec<Option<i64>>) -> ArrayRef {
    Arc::new(TimestampMicrosecondArray::from(values))
}

/// The everyday fields of two users, released by a gate: the one of the platform's
/// documentation, and one of whom little is known.
pub(crate) fn promised_rows() -> ShapedBatch {
    let fields: Vec<_> = catalog().everyday().collect();
    let schema: Vec<ColumnSpec> = fields.iter().map(|field| field.spec()).collect();
    let columns: Vec<ArrayRef> = vec![
        texts(&[Some("usr_01HZ"), Some("usr_01J0")]),
        texts(&[Some("anita@example.com"), None]),
        texts(&[Some("Anita Singh"), Some("")]),
        texts(&[Some("Anita"), None]),
        texts(&[Some("Singh"), None]),
        texts(&[Some("active"), Some("invited")]),
        Arc::new(BooleanArray::from(vec![true, false])),
        times(vec![Some(1_768_471_200_000_000), Some(1_768_471_200_250_000)]),
        times(vec![Some(1_779_004_800_000_000), None]),
        lists(&[Some(vec!["Engineering", "Beta Testers"]), Some(vec![])]),
    ];
    let raw = RawBatch::new(schema.into(), columns, 2).expect("columns that fit");
    ShapedBatch::untouched(Gate::new(fields, false).release(raw).expect("everyday fields"))
}

/// One row, with a column of each type.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) boolean: Option<bool>,
    pub(crate) int: Option<i64>,
    pub(crate) float: Option<f64>,
    pub(crate) time: Option<i64>,
    pub(crate) text: Option<String>,
    pub(crate) json: Option<Value>,
    pub(crate) list: Option<Vec<String>>,
}

pub(crate) fn schema() -> Vec<ColumnSpec> {
    vec![
        spec("boolean", ColumnType::Boolean),
        spec("int", ColumnType::Int64),
        spec("float", ColumnType::Float64),
        spec("time", ColumnType::TimestampUs),
        spec("text", ColumnType::Utf8),
        spec("json", ColumnType::Json),
        spec("list", ColumnType::Utf8List),
    ]
}

/// The rows as columns; JSON is spread over lines.
pub(crate) fn arrays(rows: &[Row]) -> Vec<ArrayRef> {
    fn each<T>(rows: &[Row], value: impl Fn(&Row) -> T) -> Vec<T> {
        rows.iter().map(value).collect()
    }
    let pretty = |json: &Value| serde_json::to_string_pretty(json).expect("JSON");
    vec![
        Arc::new(BooleanArray::from(each(rows, |row| row.boolean))),
        Arc::new(Int64Array::from(each(rows, |row| row.int))),
        Arc::new(Float64Array::from(each(rows, |row| row.float))),
        times(each(rows, |row| row.time)),
        texts(&each(rows, |row| row.text.clone())),
        texts(&each(rows, |row| row.json.as_ref().map(pretty))),
        lists(&each(rows, |row| row.list.clone())),
    ]
}

/// Any text, with more of what is special somewhere than chance would give.
pub(crate) fn any_text() -> impl Strategy<Value = String> {
    let special = prop::sample::select(
        "\"\\,'=+-@ \t\r\n\0\u{1b}\u{7f}\u{85}\u{2028}\u{feff}é😀"
            .chars()
            .collect::<Vec<_>>(),
    );
    let any_char = prop_oneof![special, any::<char>(), prop::char::range('a', 'z')];
    prop::collection::vec(any_char, 0..12).prop_map(String::from_iter)
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any_text().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(any_text(), inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// Rows of any values that an encoder can be given.
pub(crate) fn any_rows() -> impl Strategy<Value = Vec<Row>> {
    use prop::option::of;
    let time = -62_167_219_200_000_000..=253_402_207_200_000_000_i64;
    let list = prop::collection::vec(any_text(), 0..4);
    let row = (
        of(any::<bool>()),
        of(any::<i64>()),
        of(any::<f64>()),
        of(time),
        of(any_text()),
        of(any_json()),
        of(list),
    )
        .prop_map(|(boolean, int, float, time, text, json, list)| Row {
            boolean,
            int,
            float,
            time,
            text,
            json,
            list,
        });
    prop::collection::vec(row, 0..6)
}
