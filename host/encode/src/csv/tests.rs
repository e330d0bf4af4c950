use std::sync::Arc;

use ::csv::{ByteRecord, ReaderBuilder};
use arrow_array::{Array, BooleanArray, Float64Array, Int64Array};
use exeat_gate::ColumnType;
use proptest::prelude::*;
use serde_json::Value as Json;

use super::*;
use crate::testing::{Row, any_rows, any_text, arrays, lists, promised_rows, schema, spec, texts, times};

/// The lines that are written for one column.
fn cells(formulas: FormulaPolicy, column_type: ColumnType, array: ArrayRef) -> Vec<String> {
    let mut out = Vec::new();
    let rows = array.len();
    // A second column, so that a missing value is an empty cell.
    let schema = [spec("v", column_type), spec("end", ColumnType::Boolean)];
    let end = Arc::new(BooleanArray::from(vec![true; rows]));
    CsvEncoder::new(&schema, formulas)
        .encode_arrays(&[array, end], rows, &mut out)
        .expect("rows");
    let written = String::from_utf8(out).expect("UTF-8");
    written.split_terminator(",true\r\n").map(str::to_owned).collect()
}

fn text_cells(formulas: FormulaPolicy, values: &[&str]) -> Vec<String> {
    let values: Vec<Option<&str>> = values.iter().copied().map(Some).collect();
    cells(formulas, ColumnType::Utf8, texts(&values))
}

fn header(formulas: FormulaPolicy, titles: &[&str]) -> String {
    let schema: Vec<ColumnSpec> = titles.iter().map(|title| spec(title, ColumnType::Utf8)).collect();
    let mut out = Vec::new();
    CsvEncoder::new(&schema, formulas).begin(&mut out);
    String::from_utf8(out).expect("UTF-8")
}

fn promised(formulas: FormulaPolicy) -> String {
    let batch = promised_rows();
    let mut encoder = CsvEncoder::new(batch.schema(), formulas);
    let mut out = Vec::new();
    encoder.begin(&mut out);
    encoder.encode(&batch, &mut out).expect("rows");
    String::from_utf8(out).expect("UTF-8")
}

#[test]
fn the_promised_rows_look_as_promised() {
    let expected = concat!(
        "user_id,email,name,given_name,family_name,state,email_verified,created_at,last_signed_in_at,groups\r\n",
        "usr_01HZ,anita@example.com,Anita Singh,Anita,Singh,active,true,",
        "2026-01-15T10:00:00Z,2026-05-17T08:00:00Z,\"Engineering,Beta Testers\"\r\n",
        "usr_01J0,,\"\",,,invited,false,2026-01-15T10:00:00.25Z,,\"\"\r\n",
    );
    assert_eq!(promised(FormulaPolicy::Off), expected);
    assert_eq!(promised(FormulaPolicy::Escape), expected);
}

#[test]
fn the_promised_rows_look_like_auth0s() {
    assert_eq!(
        promised(FormulaPolicy::Auth0),
        concat!(
            "\"user_id\",\"email\",\"name\",\"given_name\",\"family_name\",\"state\",",
            "\"email_verified\",\"created_at\",\"last_signed_in_at\",\"groups\"\r\n",
            "\"'usr_01HZ\",\"'anita@example.com\",\"'Anita Singh\",\"'Anita\",\"'Singh\",\"'active\",true,",
            "2026-01-15T10:00:00Z,2026-05-17T08:00:00Z,\"'Engineering,Beta Testers\"\r\n",
            "\"'usr_01J0\",,\"'\",,,\"'invited\",false,2026-01-15T10:00:00.25Z,,\"'\"\r\n",
        )
    );
}

#[test]
fn the_format_is_an_encoder_too() {
    let batch = promised_rows();
    let mut encoder = crate::Format::Csv.encoder(batch.schema(), FormulaPolicy::default());
    let mut out = Vec::new();
    encoder.begin(&mut out);
    encoder.encode(&batch, &mut out).expect("rows");
    assert_eq!(out, promised(FormulaPolicy::Escape).into_bytes());
}

#[test]
fn a_cell_is_quoted_where_it_must_be() {
    assert_eq!(
        text_cells(
            FormulaPolicy::Off,
            &["plain text", "a,b", "a\"b", "a\rb", "a\nb", " a", "a ", "a'b;c\t"]
        ),
        [
            "plain text",
            "\"a,b\"",
            "\"a\"\"b\"",
            "\"a\rb\"",
            "\"a\nb\"",
            "\" a\"",
            "\"a \"",
            "a'b;c\t"
        ]
    );
}

#[test]
fn missing_and_empty_differ() {
    let both = texts(&[None, Some("")]);
    assert_eq!(
        cells(FormulaPolicy::Off, ColumnType::Utf8, Arc::clone(&both)),
        ["", "\"\""]
    );
    assert_eq!(cells(FormulaPolicy::Auth0, ColumnType::Utf8, both), ["", "\"'\""]);
    assert_eq!(
        cells(
            FormulaPolicy::Off,
            ColumnType::Utf8List,
            lists(&[None, Some(Vec::<&str>::new())])
        ),
        ["", "\"\""]
    );
}

#[test]
fn a_row_of_one_empty_cell_is_not_an_empty_line() {
    for (column_type, array) in [
        (ColumnType::Utf8, texts::<&str>(&[None])),
        (ColumnType::Int64, Arc::new(Int64Array::new_null(1)) as _),
    ] {
        let mut out = Vec::new();
        let mut encoder = CsvEncoder::new(&[spec("v", column_type)], FormulaPolicy::Escape);
        encoder.encode_arrays(&[array], 1, &mut out).expect("a row");
        assert_eq!(out, b"\"\"\r\n");
    }
}

#[test]
fn a_formula_is_defused() {
    let formulas = [
        "=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "=\"a\",b", "a=b", "'=1", " =1",
    ];
    assert_eq!(
        text_cells(FormulaPolicy::Escape, &formulas),
        [
            "'=1+1",
            "'+1",
            "'-1",
            "'@SUM(A1)",
            "'\t=1",
            "\"'\r=1\"",
            "\"'=\"\"a\"\",b\"",
            "a=b",
            "'=1",
            "\" =1\""
        ]
    );
    assert_eq!(
        text_cells(FormulaPolicy::Off, &formulas[..3]),
        ["=1+1", "+1", "-1"]
    );
    assert_eq!(
        text_cells(FormulaPolicy::Auth0, &["=1+1", "Anita", "a\"b"]),
        ["\"'=1+1\"", "\"'Anita\"", "\"'a\"\"b\""]
    );
}

#[test]
fn a_formula_hides_neither_in_json_nor_in_a_list() {
    let json = || {
        texts(&[
            Some(" \"=1+1\" "),
            Some("\"\\u003d1\""),
            Some("-5"),
            Some("[\"=1\"]"),
        ])
    };
    assert_eq!(
        cells(FormulaPolicy::Escape, ColumnType::Json, json()),
        ["'=1+1", "'=1", "'-5", "\"[\"\"=1\"\"]\""]
    );
    let list = lists(&[Some(vec!["=1", "x"]), Some(vec!["x", "=1"])]);
    assert_eq!(
        cells(FormulaPolicy::Escape, ColumnType::Utf8List, list),
        ["\"'=1,x\"", "\"x,=1\""]
    );
}

#[test]
fn a_title_is_defused_but_found_by_name() {
    assert_eq!(
        header(FormulaPolicy::Off, &["=a", "b,c", ""]),
        "=a,\"b,c\",\"\"\r\n"
    );
    assert_eq!(
        header(FormulaPolicy::Escape, &["=a", "-b,c", "user_id"]),
        "'=a,\"'-b,c\",user_id\r\n"
    );
    assert_eq!(
        header(FormulaPolicy::Auth0, &["email", "Given \"name\""]),
        "\"email\",\"Given \"\"name\"\"\"\r\n"
    );
}

#[test]
fn numbers_booleans_and_times_are_bare_under_every_policy() {
    for policy in FormulaPolicy::ALL {
        let ints = Arc::new(Int64Array::from(vec![-5, i64::MAX]));
        assert_eq!(
            cells(policy, ColumnType::Int64, ints),
            ["-5", "9223372036854775807"]
        );
        let floats = Arc::new(Float64Array::from(vec![-0.5, f64::NAN, f64::NEG_INFINITY]));
        assert_eq!(cells(policy, ColumnType::Float64, floats), ["-0.5", "", ""]);
        let booleans = Arc::new(BooleanArray::from(vec![Some(false), None]));
        assert_eq!(cells(policy, ColumnType::Boolean, booleans), ["false", ""]);
        let times = times(vec![Some(-1), Some(0), None]);
        assert_eq!(
            cells(policy, ColumnType::TimestampUs, times),
            ["1969-12-31T23:59:59.999999Z", "1970-01-01T00:00:00Z", ""]
        );
    }
}

#[test]
fn names_in_a_list_can_be_told_apart() {
    let list = lists(&[
        Some(vec!["one"]),
        Some(vec!["a", "b"]),
        Some(vec!["a,b"]),
        Some(vec!["a\\", "b"]),
        Some(vec!["say \"hi\""]),
    ]);
    assert_eq!(
        cells(FormulaPolicy::Off, ColumnType::Utf8List, list),
        ["one", "\"a,b\"", "\"a\\,b\"", "\"a\\\\,b\"", "\"say \"\"hi\"\"\""]
    );
}

#[test]
fn a_json_string_is_its_text_and_null_is_missing() {
    let json = texts(&[
        Some("\"plain\""),
        Some("\"a\\nb\""),
        Some("\"\""),
        Some(" null\n"),
        None,
        Some("{\"a\": 1}"),
        Some("12"),
        Some("true"),
    ]);
    assert_eq!(
        cells(FormulaPolicy::Off, ColumnType::Json, json),
        [
            "plain",
            "\"a\nb\"",
            "\"\"",
            "",
            "",
            "\"{\"\"a\"\": 1}\"",
            "12",
            "true"
        ]
    );
}

#[test]
fn a_json_string_that_is_no_text_does_not_fail_the_export() {
    assert_eq!(
        cells(
            FormulaPolicy::Off,
            ColumnType::Json,
            texts(&[Some("\"\\ud800\"")])
        ),
        ["\"\"\"\\ud800\"\"\""]
    );
}

#[test]
fn an_encoder_shows_no_values() {
    let batch = promised_rows();
    let mut encoder = CsvEncoder::new(batch.schema(), FormulaPolicy::Off);
    encoder.encode(&batch, &mut Vec::new()).expect("rows");
    encoder.joined.extend_from_slice(b"Engineering");
    let shown = format!("{encoder:?}");
    assert!(shown.contains("groups") && !shown.contains("joined"), "{shown}");
}

#[test]
fn a_batch_that_cannot_be_written_leaves_nothing() {
    let mut out = b"before".to_vec();
    let mut encoder = CsvEncoder::new(&[spec("at", ColumnType::TimestampUs)], FormulaPolicy::Off);
    assert_eq!(
        encoder.encode_arrays(&[times(vec![Some(0), Some(i64::MIN)])], 2, &mut out),
        Err(EncodeError::Timestamp {
            column: "at".to_owned()
        })
    );
    assert_eq!(encoder.encode_arrays(&[], 0, &mut out), Err(EncodeError::Columns));
    assert_eq!(
        encoder.encode(&promised_rows(), &mut out),
        Err(EncodeError::Columns)
    );
    assert_eq!(out, b"before");
}

/// What another reader makes of a file.
fn read(file: &[u8]) -> Vec<ByteRecord> {
    let mut reader = ReaderBuilder::new().from_reader(file);
    reader.byte_records().collect::<Result<_, _>>().expect("CSV")
}

/// The texts of a list, told apart again.
fn split(joined: &str) -> Vec<String> {
    let mut texts = vec![String::new()];
    let mut chars = joined.chars();
    while let Some(char) = chars.next() {
        let text = texts.last_mut().expect("at least one");
        match char {
            ',' => texts.push(String::new()),
            '\\' => text.extend(chars.next()),
            other => text.push(other),
        }
    }
    texts
}

fn check_row(record: &ByteRecord, row: Row) -> Result<(), TestCaseError> {
    let cell = |index: usize| std::str::from_utf8(&record[index]).expect("UTF-8");
    prop_assert_eq!(record.len(), 7);
    prop_assert_eq!(cell(0).parse().ok(), row.boolean);
    prop_assert_eq!(cell(1).parse().ok(), row.int);
    let float = cell(2).parse::<f64>().ok().map(f64::to_bits);
    prop_assert_eq!(
        float,
        row.float.filter(|float| float.is_finite()).map(f64::to_bits)
    );
    let time = cell(3)
        .parse::<jiff::Timestamp>()
        .ok()
        .map(jiff::Timestamp::as_microsecond);
    prop_assert_eq!(time, row.time);
    prop_assert_eq!(cell(4), row.text.unwrap_or_default());
    match row.json.unwrap_or_default() {
        Json::Null => prop_assert_eq!(cell(5), ""),
        Json::String(text) => prop_assert_eq!(cell(5), text),
        json => prop_assert_eq!(serde_json::from_str::<Json>(cell(5)).expect("JSON"), json),
    }
    match row.list.as_deref() {
        None | Some([]) => prop_assert_eq!(cell(6), ""),
        Some(texts) => prop_assert_eq!(split(cell(6)), texts),
    }
    Ok(())
}

proptest! {
    #[test]
    fn any_text_reads_back(values in prop::collection::vec(prop::option::of(any_text()), 0..6)) {
        // Alone in its row, where a missing value must not lose the row.
        let mut encoder = CsvEncoder::new(&[spec("v", ColumnType::Utf8)], FormulaPolicy::Off);
        let mut out = Vec::new();
        encoder.begin(&mut out);
        encoder.encode_arrays(&[texts(&values)], values.len(), &mut out).expect("rows");
        let read = read(&out);
        let read: Vec<&[u8]> = read.iter().map(|record| &record[0]).collect();
        let expected: Vec<&[u8]> = values.iter().map(|value| value.as_deref().unwrap_or("").as_bytes()).collect();
        prop_assert_eq!(read, expected);
    }

    #[test]
    fn any_rows_read_back(rows in any_rows()) {
        let mut encoder = CsvEncoder::new(&schema(), FormulaPolicy::Off);
        let mut out = Vec::new();
        encoder.begin(&mut out);
        encoder.encode_arrays(&arrays(&rows), rows.len(), &mut out).expect("rows");
        let read = read(&out);
        prop_assert_eq!(read.len(), rows.len());
        for (record, row) in read.iter().zip(rows) {
            check_row(record, row)?;
        }
    }

    #[test]
    fn no_text_starts_a_formula_unless_asked(value in any_text()) {
        for policy in [FormulaPolicy::Escape, FormulaPolicy::Auth0] {
            let mut out = b"v\r\n".to_vec();
            let mut encoder = CsvEncoder::new(&[spec("v", ColumnType::Utf8)], policy);
            encoder.encode_arrays(&[texts(&[Some(&value)])], 1, &mut out).expect("a row");
            let read = read(&out);
            let cell = std::str::from_utf8(&read[0][0]).expect("UTF-8");
            prop_assert!(!cell.starts_with(['=', '+', '-', '@', '\t', '\r']));
            prop_assert_eq!(cell.strip_prefix('\'').filter(|_| cell != value).unwrap_or(cell), &value);
        }
    }
}
