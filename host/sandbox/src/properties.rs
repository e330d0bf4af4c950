//! What crosses the wall, on columns that nobody thought of.
//!
//! `EXEAT_FUZZ_CASES=1000000 cargo test --workspace --lib properties` takes its time.

use std::cell::Cell;
use std::sync::Arc;

use arrow_array::builder::{ListBuilder, StringBuilder};
use arrow_array::{
    Array as _, ArrayRef, BooleanArray, Float64Array, Int64Array, StringArray, TimestampMicrosecondArray,
};
use arrow_schema::DataType;
use exeat_gate::{ColumnSpec, ColumnType};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::TestRunner;

use crate::abi::{Column, Texts, Values};
use crate::checked;
use crate::lower::{Lowered, LoweredTexts, LoweredValues};

const TYPES: [ColumnType; 7] = [
    ColumnType::Boolean,
    ColumnType::Int64,
    ColumnType::Float64,
    ColumnType::TimestampUs,
    ColumnType::Utf8,
    ColumnType::Json,
    ColumnType::Utf8List,
];

fn cases() -> ProptestConfig {
    let cases = std::env::var("EXEAT_FUZZ_CASES").ok();
    let cases = cases.and_then(|cases| cases.parse().ok()).unwrap_or(10_000);
    ProptestConfig::with_cases(cases)
}

fn spec(column_type: ColumnType, nullable: bool) -> ColumnSpec {
    ColumnSpec {
        name: "x".to_owned(),
        column_type,
        nullable,
    }
}

fn assert_valid(array: &ArrayRef) -> Result<(), TestCaseError> {
    array
        .to_data()
        .validate_full()
        .map_err(|error| TestCaseError::fail(error.to_string()))
}

#[test]
fn whatever_a_guest_hands_back_is_a_sound_array_or_refused() {
    let (sound, refused) = (Cell::new(0_u32), Cell::new(0_u32));
    let config = cases();
    let enough = config.cases / 20;
    let handed =
        (select(&TYPES[..]), any::<bool>(), 0..40_usize).prop_flat_map(|(planned, nullable, rows)| {
            let column = prop_oneof![9 => Just(planned), 1 => select(&TYPES[..])]
                .prop_flat_map(move |column_type| guest_column(column_type, rows));
            (Just(spec(planned, nullable)), column, Just(rows))
        });
    TestRunner::new(config)
        .run(&handed, |(spec, column, rows)| {
            match checked::column(&spec, column, rows) {
                Err(message) => {
                    refused.set(refused.get() + 1);
                    prop_assert!(message.starts_with("column \"x\" "), "{message}");
                    prop_assert!(message.len() < 100, "{message}");
                }
                Ok(array) => {
                    sound.set(sound.get() + 1);
                    assert_valid(&array)?;
                    prop_assert_eq!(array.len(), rows);
                    prop_assert_eq!(array.data_type(), &spec.column_type.arrow());
                    prop_assert!(spec.nullable || array.null_count() == 0);
                }
            }
            Ok(())
        })
        .unwrap();
    // Columns that are all good, or all bad, would show nothing.
    let (sound, refused) = (sound.get(), refused.get());
    assert!(
        sound > enough && refused > enough,
        "{sound} sound, {refused} refused"
    );
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn a_bitmap_has_one_bit_a_row_or_is_refused(bits in vec(any::<u8>(), 0..20), rows in 0..160_usize) {
        let fits = bits.len() == rows.div_ceil(8);
        let bitmap = checked::bitmap(bits.clone(), rows);
        prop_assert_eq!(bitmap.is_some(), fits);
        for (row, bit) in bitmap.iter().flatten().enumerate() {
            prop_assert_eq!(bit, bits[row / 8] >> (row % 8) & 1 == 1);
        }
    }

    /// Of every type, and of slices that begin anywhere.
    #[test]
    fn a_column_that_is_copied_comes_back_as_it_was(
        (column_type, array) in select(&TYPES[..]).prop_flat_map(|of| (Just(of), array(of))),
        cuts in vec((any::<Index>(), any::<Index>()), 0..3),
    ) {
        let sliced = cuts.iter().fold(array, |array, (start, length)| {
            let start = start.index(array.len() + 1);
            array.slice(start, length.index(array.len() - start + 1))
        });
        let lowered = Lowered::of(column_type, &sliced).unwrap();
        let lent = lowered.bytes();
        let copy = copied(&lowered);
        prop_assert_eq!(copy.bytes(), lent, "what goes in and what comes out is counted alike");
        let back = checked::column(&spec(column_type, true), copy, sliced.len());
        let back = back.map_err(TestCaseError::fail)?;
        assert_valid(&back)?;
        prop_assert_eq!(&back, &sliced);
    }
}

/// A column as a guest may hand it back: mostly right, for else no damage would go deep.
fn guest_column(column_type: ColumnType, rows: usize) -> impl Strategy<Value = Column> {
    let bits = rows.div_ceil(8);
    let validity = prop_oneof![
        3 => Just(None),
        1 => Just(Some(vec![0xff; bits])),
        2 => about(bits).prop_flat_map(|bytes| vec(any::<u8>(), bytes)).prop_map(Some),
    ];
    (validity, guest_values(column_type, rows)).prop_map(|(validity, values)| Column { validity, values })
}

fn guest_values(column_type: ColumnType, rows: usize) -> BoxedStrategy<Values> {
    fn many<T: Arbitrary>(count: usize) -> impl Strategy<Value = Vec<T>> {
        about(count).prop_flat_map(|count| vec(any::<T>(), count))
    }
    match column_type {
        ColumnType::Boolean => many(rows.div_ceil(8)).prop_map(Values::Boolean).boxed(),
        ColumnType::Int64 => many(rows).prop_map(Values::Int64).boxed(),
        ColumnType::Float64 => many(rows).prop_map(Values::Float64).boxed(),
        ColumnType::TimestampUs => many(rows).prop_map(Values::TimestampUs).boxed(),
        ColumnType::Utf8 => guest_texts(rows).prop_map(Values::Utf8).boxed(),
        ColumnType::Json => guest_texts(rows).prop_map(Values::Json).boxed(),
        ColumnType::Utf8List => (0..60_usize)
            .prop_flat_map(move |items| (guest_offsets(rows, items), guest_texts(items)))
            .prop_map(|(offsets, values)| Values::Utf8List { offsets, values })
            .boxed(),
    }
}

fn about(count: usize) -> impl Strategy<Value = usize> {
    prop_oneof![9 => Just(count), 1 => 0..count * 2 + 3]
}

fn guest_texts(count: usize) -> impl Strategy<Value = Texts> {
    let bytes = prop_oneof![
        6 => "[ -~]{0,80}".prop_map(String::into_bytes),
        2 => "\\PC{0,20}".prop_map(String::into_bytes),
        1 => vec(any::<u8>(), 0..80),
    ];
    bytes
        .prop_flat_map(move |bytes| (guest_offsets(count, bytes.len()), Just(bytes)))
        .prop_map(|(offsets, bytes)| Texts { offsets, bytes })
}

/// Offsets of `count` values that end at `end`; about one in four times with something wrong.
fn guest_offsets(count: usize, end: usize) -> impl Strategy<Value = Vec<i32>> {
    let end = end as i32;
    let odd = prop_oneof![
        Just(0),
        Just(-1),
        Just(i32::MIN),
        Just(i32::MAX),
        -3..=end + 3,
        any::<i32>()
    ];
    let wrong = prop_oneof![
        6 => Just(Vec::new()),
        2 => vec((any::<Index>(), odd), 1..4),
    ];
    let length = about(count + 1);
    (vec(0..=end, count.saturating_sub(1)), wrong, length).prop_map(move |(mut inner, wrong, length)| {
        inner.sort_unstable();
        let mut offsets = vec![0];
        offsets.append(&mut inner);
        offsets.resize(length, end);
        for (place, value) in wrong {
            if !offsets.is_empty() {
                let place = place.index(offsets.len());
                offsets[place] = value;
            }
        }
        offsets
    })
}

/// An array of a planned type, with or without missing values.
fn array(column_type: ColumnType) -> BoxedStrategy<ArrayRef> {
    fn rows<S: Strategy + Clone + 'static>(value: S) -> impl Strategy<Value = Vec<Option<S::Value>>> {
        let present = select(&[0.01, 0.5, 0.9, 0.999][..]);
        present.prop_flat_map(move |present| vec(option::weighted(present, value.clone()), 0..70))
    }
    const TEXT: &str = "\\PC{0,6}";
    match column_type {
        ColumnType::Boolean => rows(any::<bool>())
            .prop_map(|rows| Arc::new(BooleanArray::from(rows)) as ArrayRef)
            .boxed(),
        ColumnType::Int64 => rows(any::<i64>())
            .prop_map(|rows| Arc::new(Int64Array::from(rows)) as ArrayRef)
            .boxed(),
        ColumnType::Float64 => rows(any::<f64>())
            .prop_map(|rows| Arc::new(Float64Array::from(rows)) as ArrayRef)
            .boxed(),
        ColumnType::TimestampUs => rows(any::<i64>())
            .prop_map(|rows| Arc::new(TimestampMicrosecondArray::from(rows)) as ArrayRef)
            .boxed(),
        ColumnType::Utf8 | ColumnType::Json => rows(TEXT)
            .prop_map(|rows| Arc::new(StringArray::from(rows)) as ArrayRef)
            .boxed(),
        ColumnType::Utf8List => rows(vec(TEXT, 0..4)).prop_map(lists).boxed(),
    }
}

fn lists(rows: Vec<Option<Vec<String>>>) -> ArrayRef {
    let DataType::List(item) = ColumnType::Utf8List.arrow() else {
        unreachable!("a list type")
    };
    let mut builder = ListBuilder::new(StringBuilder::new()).with_field(item);
    for row in rows {
        let present = row.is_some();
        for text in row.iter().flatten() {
            builder.values().append_value(text);
        }
        builder.append(present);
    }
    Arc::new(builder.finish())
}

/// What a guest hands back that copies what it was lent.
fn copied(lowered: &Lowered) -> Column {
    let texts = |texts: &LoweredTexts| Texts {
        offsets: texts.offsets.to_vec(),
        bytes: texts.bytes.to_vec(),
    };
    let values = match &lowered.values {
        LoweredValues::Boolean(bits) => Values::Boolean(bits.to_vec()),
        LoweredValues::Int64(values) => Values::Int64(values.to_vec()),
        LoweredValues::Float64(values) => Values::Float64(values.to_vec()),
        LoweredValues::TimestampUs(values) => Values::TimestampUs(values.to_vec()),
        LoweredValues::Utf8(values) => Values::Utf8(texts(values)),
        LoweredValues::Json(values) => Values::Json(texts(values)),
        LoweredValues::Utf8List { offsets, values } => Values::Utf8List {
            offsets: offsets.to_vec(),
            values: texts(values),
        },
    };
    Column {
        validity: lowered.validity.as_ref().map(|bits| bits.to_vec()),
        values,
    }
}
