//! Guest output is hostile until it has been here: offsets, UTF-8, bitmaps, row counts.

use std::sync::Arc;

use arrow_array::{
    ArrayRef, BooleanArray, Float64Array, Int64Array, ListArray, StringArray, TimestampMicrosecondArray,
};
use arrow_buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::DataType;
use exeat_gate::{ColumnSpec, ColumnType};

use crate::abi::{Column, Scalar, Texts, Values};

/// What is wrong with a guest's output, for the message of a guest fault.
pub(crate) type Broken = String;

/// A column as an Arrow array of exactly `rows` values of the planned type.
pub(crate) fn column(spec: &ColumnSpec, column: Column, rows: usize) -> Result<ArrayRef, Broken> {
    let broken = |what: &str| format!("column \"{}\" {what}", spec.name);
    let nulls = match column.validity {
        None => None,
        Some(bits) => {
            Some(NullBuffer::new(bitmap(bits, rows).ok_or_else(|| {
                broken("has a validity bitmap of the wrong size")
            })?))
        }
    };
    if !spec.nullable && nulls.as_ref().is_some_and(|nulls| nulls.null_count() > 0) {
        return Err(broken("misses values that it promised"));
    }
    let nulls = nulls.filter(|nulls| nulls.null_count() > 0);
    let wrong_count = || broken("does not have one value for each row");
    let count = |len: usize| if len == rows { Ok(()) } else { Err(wrong_count()) };
    Ok(match (spec.column_type, column.values) {
        (ColumnType::Boolean, Values::Boolean(bits)) => Arc::new(BooleanArray::new(
            bitmap(bits, rows).ok_or_else(wrong_count)?,
            nulls,
        )),
        (ColumnType::Int64, Values::Int64(values)) => {
            count(values.len())?;
            Arc::new(Int64Array::new(values.into(), nulls))
        }
        (ColumnType::Float64, Values::Float64(values)) => {
            count(values.len())?;
            Arc::new(Float64Array::new(values.into(), nulls))
        }
        (ColumnType::TimestampUs, Values::TimestampUs(values)) => {
            count(values.len())?;
            Arc::new(TimestampMicrosecondArray::new(values.into(), nulls))
        }
        (ColumnType::Json, Values::Json(texts)) if has_longer(&texts, MAX_JSON_BYTES) => {
            return Err(broken("holds a JSON value of more than 1 MiB"));
        }
        (ColumnType::Utf8, Values::Utf8(texts)) | (ColumnType::Json, Values::Json(texts)) => {
            Arc::new(strings(texts, rows, nulls).map_err(broken)?)
        }
        (ColumnType::Utf8List, Values::Utf8List { offsets, values }) => {
            let items = values.offsets.len().saturating_sub(1);
            let offsets = checked_offsets(offsets, rows, items).map_err(broken)?;
            let values = strings(values, items, None).map_err(broken)?;
            let DataType::List(item) = spec.column_type.arrow() else {
                return Err(broken("is no list"));
            };
            let lists = ListArray::try_new(item, offsets, Arc::new(values), nulls);
            Arc::new(lists.map_err(|_| broken("has lists that do not fit together"))?)
        }
        _ => return Err(broken("has values of another type than planned")),
    })
}

/// Longest JSON value: looking for credentials in one takes many times its size in memory.
const MAX_JSON_BYTES: i32 = 1 << 20;

fn has_longer(texts: &Texts, bytes: i32) -> bool {
    texts
        .offsets
        .windows(2)
        .any(|pair| pair[1].saturating_sub(pair[0]) > bytes)
}

/// A bitmap of `rows` bits in exactly as many bytes as that takes.
pub(crate) fn bitmap(bits: Vec<u8>, rows: usize) -> Option<BooleanBuffer> {
    (bits.len() == rows.div_ceil(8)).then(|| BooleanBuffer::new(Buffer::from_vec(bits), 0, rows))
}

fn strings(texts: Texts, rows: usize, nulls: Option<NullBuffer>) -> Result<StringArray, &'static str> {
    let offsets = checked_offsets(texts.offsets, rows, texts.bytes.len())?;
    StringArray::try_new(offsets, Buffer::from_vec(texts.bytes), nulls)
        .map_err(|_| "holds text that is not UTF-8")
}

/// Offsets from 0 to `end`, one more than there are rows, none going back.
fn checked_offsets(offsets: Vec<i32>, rows: usize, end: usize) -> Result<OffsetBuffer<i32>, &'static str> {
    if offsets.len() != rows + 1 {
        return Err("does not have one value for each row");
    }
    if offsets[0] != 0 {
        return Err("has offsets that do not begin at 0");
    }
    if offsets.windows(2).any(|pair| pair[0] > pair[1]) {
        return Err("has offsets that go back");
    }
    if usize::try_from(offsets[rows]) != Ok(end) {
        return Err("has offsets that do not end where its values do");
    }
    Ok(OffsetBuffer::new(ScalarBuffer::from(offsets)))
}

/// A constant as an array of one value, with its specification.
pub(crate) fn constant(name: String, value: Scalar) -> (ColumnSpec, ArrayRef) {
    let (column_type, array): (ColumnType, ArrayRef) = match value {
        Scalar::Null(column_type) => (column_type, arrow_array::new_null_array(&column_type.arrow(), 1)),
        Scalar::Boolean(value) => (ColumnType::Boolean, Arc::new(BooleanArray::from(vec![value]))),
        Scalar::Int64(value) => (ColumnType::Int64, Arc::new(Int64Array::from_value(value, 1))),
        Scalar::Float64(value) => (ColumnType::Float64, Arc::new(Float64Array::from_value(value, 1))),
        Scalar::TimestampUs(value) => (
            ColumnType::TimestampUs,
            Arc::new(TimestampMicrosecondArray::from_value(value, 1)),
        ),
        Scalar::Utf8(value) => (ColumnType::Utf8, Arc::new(StringArray::from(vec![value]))),
        Scalar::Json(value) => (ColumnType::Json, Arc::new(StringArray::from(vec![value]))),
    };
    (
        ColumnSpec {
            name,
            column_type,
            nullable: true,
        },
        array,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(column_type: ColumnType) -> ColumnSpec {
        ColumnSpec {
            name: "x".to_owned(),
            column_type,
            nullable: true,
        }
    }

    fn texts(offsets: &[i32], bytes: &[u8]) -> Column {
        let texts = Texts {
            offsets: offsets.to_vec(),
            bytes: bytes.to_vec(),
        };
        Column {
            validity: None,
            values: Values::Utf8(texts),
        }
    }

    #[test]
    fn whole_columns_pass() {
        let array = column(&spec(ColumnType::Utf8), texts(&[0, 1, 3], "aß".as_bytes()), 2).unwrap();
        assert_eq!(array.len(), 2);
        let ints = Column {
            validity: Some(vec![0b01]),
            values: Values::Int64(vec![1, 2]),
        };
        assert_eq!(column(&spec(ColumnType::Int64), ints, 2).unwrap().null_count(), 1);
    }

    #[test]
    fn broken_columns_are_named() {
        let cases: [(Column, &str); 9] = [
            (
                texts(&[0, 1], b"a"),
                "column \"x\" does not have one value for each row",
            ),
            (
                texts(&[1, 1, 1], b"a"),
                "column \"x\" has offsets that do not begin at 0",
            ),
            (texts(&[0, 2, 1], b"a"), "column \"x\" has offsets that go back"),
            (texts(&[0, -1, 1], b"a"), "column \"x\" has offsets that go back"),
            (
                texts(&[0, 1, 9], b"ab"),
                "column \"x\" has offsets that do not end where its values do",
            ),
            (
                texts(&[0, 1, 2], &[0xc3, 0x28]),
                "column \"x\" holds text that is not UTF-8",
            ),
            (
                texts(&[0, 1, 2], "ß".as_bytes()),
                "column \"x\" holds text that is not UTF-8",
            ),
            (
                Column {
                    validity: Some(vec![]),
                    values: Values::Utf8(Texts {
                        offsets: vec![0, 0, 0],
                        bytes: vec![],
                    }),
                },
                "column \"x\" has a validity bitmap of the wrong size",
            ),
            (
                Column {
                    validity: None,
                    values: Values::Int64(vec![1, 2]),
                },
                "column \"x\" has values of another type than planned",
            ),
        ];
        for (broken, message) in cases {
            assert_eq!(column(&spec(ColumnType::Utf8), broken, 2).unwrap_err(), message);
        }
    }

    #[test]
    fn broken_lists_are_named() {
        let lists = |offsets: &[i32], items: &[i32]| Column {
            validity: None,
            values: Values::Utf8List {
                offsets: offsets.to_vec(),
                values: Texts {
                    offsets: items.to_vec(),
                    bytes: b"ab".to_vec(),
                },
            },
        };
        assert!(column(&spec(ColumnType::Utf8List), lists(&[0, 1, 2], &[0, 1, 2]), 2).is_ok());
        assert!(column(&spec(ColumnType::Utf8List), lists(&[0, 1, 3], &[0, 1, 2]), 2).is_err());
        assert!(column(&spec(ColumnType::Utf8List), lists(&[0, 1, 2], &[0, 9, 2]), 2).is_err());
        assert!(column(&spec(ColumnType::Utf8List), lists(&[0, 0, 0], &[]), 2).is_err());
    }
}
