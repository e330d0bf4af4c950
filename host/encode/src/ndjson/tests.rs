use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::{Array, Float64Array};
use exeat_gate::ColumnType;
use proptest::prelude::*;
use serde_json::Value as Json;
use serde_json::value::RawValue;

use super::*;
use crate::testing::{any_rows, any_text, arrays, lists, promised_rows, schema, spec, texts, times};

/// What is written for one column.
fn lines(column_type: ColumnType, array: ArrayRef) -> String {
    let mut out = Vec::new();
    let rows = array.len();
    NdjsonEncoder::new(&[spec("v", column_type)])
        .encode_arrays(&[array], rows, &mut out)
        .expect("rows");
    String::from_utf8(out).expect("UTF-8")
}

#[test]
fn the_promised_rows_look_as_promised() {
    let batch = promised_rows();
    let mut encoder = NdjsonEncoder::new(batch.schema());
    let mut out = Vec::new();
    encoder.begin(&mut out);
    encoder.encode(&batch, &mut out).expect("rows");
    assert_eq!(
        String::from_utf8(out).expect("UTF-8"),
        concat!(
            r#"{"user_id":"usr_01HZ","email":"anita@example.com","name":"Anita Singh","given_name":"Anita","#,
            r#""family_name":"Singh","state":"active","email_verified":true,"created_at":"2026-01-15T10:00:00Z","#,
            r#""last_signed_in_at":"2026-05-17T08:00:00Z","groups":["Engineering","Beta Testers"]}"#,
            "\n",
            r#"{"user_id":"usr_01J0","email":null,"name":"","given_name":null,"#,
            r#""family_name":null,"state":"invited","email_verified":false,"created_at":"2026-01-15T10:00:00.25Z","#,
            r#""last_signed_in_at":null,"groups":[]}"#,
            "\n",
        )
    );
}

#[test]
fn only_what_must_be_escaped_is() {
    let text = "\"\\/\u{8}\u{c}\n\r\t\0\u{1f}\u{7f}é\u{2028}😀";
    assert_eq!(
        lines(ColumnType::Utf8, texts(&[Some(text)])),
        "{\"v\":\"\\\"\\\\/\\b\\f\\n\\r\\t\\u0000\\u001f\u{7f}é\u{2028}😀\"}\n"
    );
}

#[test]
fn json_of_many_lines_stays_on_one() {
    let json = "{\r\n  \"a\": \"one\\ntwo\",\n  \"b\": []\n}";
    assert_eq!(
        lines(
            ColumnType::Json,
            texts(&[Some(json), None, Some("null"), Some("-0.10")])
        ),
        "{\"v\":{    \"a\": \"one\\ntwo\",   \"b\": [] }}\n{\"v\":null}\n{\"v\":null}\n{\"v\":-0.10}\n"
    );
}

#[test]
fn a_number_that_json_lacks_is_null() {
    let floats = Float64Array::from(vec![0.1, -0.0, 1e300, f64::NAN, f64::INFINITY, f64::NEG_INFINITY]);
    let written = lines(ColumnType::Float64, Arc::new(floats));
    let values: Vec<&str> = written.lines().map(|line| &line[5..line.len() - 1]).collect();
    assert_eq!(values, ["0.1", "-0.0", "1e+300", "null", "null", "null"]);
}

#[test]
fn a_key_is_escaped_like_any_text() {
    let mut out = Vec::new();
    let schema = [spec("a\"b", ColumnType::Utf8)];
    NdjsonEncoder::new(&schema)
        .encode_arrays(&[texts(&[Some("x")])], 1, &mut out)
        .expect("a row");
    assert_eq!(out, b"{\"a\\\"b\":\"x\"}\n");
}

#[test]
fn lists_are_written_from_any_part_of_a_batch() {
    let array = lists(&[Some(vec!["a"]), None, Some(vec!["b", "c\"d"]), Some(vec![])]);
    assert_eq!(
        lines(ColumnType::Utf8List, array.slice(1, 3)),
        "{\"v\":null}\n{\"v\":[\"b\",\"c\\\"d\"]}\n{\"v\":[]}\n"
    );
}

#[test]
fn a_batch_that_cannot_be_written_leaves_nothing() {
    let mut out = b"before".to_vec();
    let mut encoder = NdjsonEncoder::new(&[spec("at", ColumnType::TimestampUs)]);
    assert_eq!(
        encoder.encode_arrays(&[times(vec![Some(0), Some(i64::MAX)])], 2, &mut out),
        Err(EncodeError::Timestamp {
            column: "at".to_owned()
        })
    );
    assert_eq!(
        encoder.encode_arrays(&[texts(&[Some("x")])], 1, &mut out),
        Err(EncodeError::Columns)
    );
    assert_eq!(
        encoder.encode(&promised_rows(), &mut out),
        Err(EncodeError::Columns)
    );
    assert_eq!(out, b"before");
}

proptest! {
    #[test]
    fn any_text_reads_back(value in any_text()) {
        let written = lines(ColumnType::Utf8, texts(&[Some(&value)]));
        prop_assert!(written.find('\n') == Some(written.len() - 1), "one row is one line");
        let read: Json = serde_json::from_str(&written).expect("JSON");
        prop_assert_eq!(read, serde_json::json!({ "v": value }));
    }

    #[test]
    fn any_rows_read_back(rows in any_rows()) {
        let mut out = Vec::new();
        NdjsonEncoder::new(&schema()).encode_arrays(&arrays(&rows), rows.len(), &mut out).expect("rows");
        let written = String::from_utf8(out).expect("UTF-8");
        let read: Vec<&str> = written.split_terminator('\n').collect();
        prop_assert_eq!(read.len(), rows.len());
        for (line, row) in read.iter().zip(rows) {
            let raw: BTreeMap<String, Box<RawValue>> = serde_json::from_str(line).expect("JSON");
            let object: Json = serde_json::from_str(line).expect("JSON");
            let keys: Vec<&String> = object.as_object().expect("an object").keys().collect();
            prop_assert_eq!(keys, ["boolean", "int", "float", "time", "text", "json", "list"]);
            prop_assert_eq!(&object["boolean"], &Json::from(row.boolean));
            prop_assert_eq!(&object["int"], &Json::from(row.int));
            // Not by way of `Json`: its floats are read fast, not exactly.
            let float = raw["float"].get().parse::<f64>().ok().map(f64::to_bits);
            prop_assert_eq!(float, row.float.filter(|float| float.is_finite()).map(f64::to_bits));
            let time = object["time"].as_str().map(|time| time.parse::<jiff::Timestamp>().expect("RFC 3339"));
            prop_assert_eq!(time.map(jiff::Timestamp::as_microsecond), row.time);
            prop_assert_eq!(&object["text"], &Json::from(row.text));
            prop_assert_eq!(&object["json"], &row.json.unwrap_or_default());
            prop_assert_eq!(&object["list"], &Json::from(row.list));
        }
    }
}
