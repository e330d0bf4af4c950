//! Columns whose types are known, and what both formats write alike.

use arrow_array::{
    Array, ArrayRef, BooleanArray, Float64Array, Int64Array, ListArray, StringArray,
    TimestampMicrosecondArray,
};
use arrow_buffer::NullBuffer;
use exeat_gate::{ColumnSpec, ColumnType};

use crate::EncodeError;
use crate::scan::{ScannedText, ScannedTexts};

/// A column of a batch. Made once a batch, so that a cell costs no look at types.
pub(crate) struct Column<'a> {
    nulls: Option<&'a NullBuffer>,
    values: Values<'a>,
}

enum Values<'a> {
    Boolean(&'a BooleanArray),
    Int64(&'a Int64Array),
    Float64(&'a Float64Array),
    Timestamp(&'a TimestampMicrosecondArray),
    Text(ScannedTexts<'a>),
    Json(ScannedTexts<'a>),
    List {
        offsets: &'a [i32],
        nulls: Option<&'a NullBuffer>,
        items: ScannedTexts<'a>,
    },
}

/// Which bytes a format cannot write as they are.
pub(crate) struct Special<T, J, L> {
    /// In a text.
    pub(crate) text: T,
    /// In JSON.
    pub(crate) json: J,
    /// In a text of a list.
    pub(crate) item: L,
}

/// One value that is there.
pub(crate) enum Value<'a> {
    Boolean(bool),
    Int64(i64),
    /// A number that is finite: the others are missing, since neither format can write them.
    Float64(f64),
    Timestamp(i64),
    Text(ScannedText<'a>),
    Json(ScannedText<'a>),
    List(Items<'a>),
}

impl<'a> Column<'a> {
    /// The value in a row; none where it is missing.
    #[inline]
    pub(crate) fn value(&self, row: usize) -> Option<Value<'_>> {
        if self.nulls.is_some_and(|nulls| nulls.is_null(row)) {
            return None;
        }
        Some(match &self.values {
            Values::Boolean(array) => Value::Boolean(array.value(row)),
            Values::Int64(array) => Value::Int64(array.value(row)),
            Values::Float64(array) => {
                return Some(array.value(row))
                    .filter(|v| v.is_finite())
                    .map(Value::Float64);
            }
            Values::Timestamp(array) => Value::Timestamp(array.value(row)),
            Values::Text(texts) => Value::Text(texts.get(row)),
            Values::Json(texts) => Value::Json(texts.get(row)),
            Values::List {
                offsets,
                nulls,
                items,
            } => Value::List(Items {
                items,
                nulls: *nulls,
                next: offsets[row] as usize,
                end: offsets[row + 1] as usize,
            }),
        })
    }
}

/// The texts of one list; none for one that is missing.
pub(crate) struct Items<'a> {
    items: &'a ScannedTexts<'a>,
    nulls: Option<&'a NullBuffer>,
    next: usize,
    end: usize,
}

impl<'a> Iterator for Items<'a> {
    type Item = Option<ScannedText<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        let item = (self.next < self.end).then_some(self.next)?;
        self.next += 1;
        let present = self.nulls.is_none_or(|nulls| nulls.is_valid(item));
        Some(present.then(|| self.items.get(item)))
    }
}

/// The columns of a batch, as their specifications say that they are.
pub(crate) fn columns<'a>(
    schema: &[ColumnSpec],
    arrays: &'a [ArrayRef],
    special: &Special<impl Fn(u8) -> bool, impl Fn(u8) -> bool, impl Fn(u8) -> bool>,
) -> Result<Vec<Column<'a>>, EncodeError> {
    if schema.len() != arrays.len() {
        return Err(EncodeError::Columns);
    }
    schema
        .iter()
        .zip(arrays)
        .map(|(spec, array)| column(spec, array, special).ok_or(EncodeError::Columns))
        .collect()
}

fn column<'a>(
    spec: &ColumnSpec,
    array: &'a ArrayRef,
    special: &Special<impl Fn(u8) -> bool, impl Fn(u8) -> bool, impl Fn(u8) -> bool>,
) -> Option<Column<'a>> {
    fn typed<T: 'static>(array: &ArrayRef) -> Option<&T> {
        array.as_any().downcast_ref()
    }
    let values = match spec.column_type {
        ColumnType::Boolean => Values::Boolean(typed(array)?),
        ColumnType::Int64 => Values::Int64(typed(array)?),
        ColumnType::Float64 => Values::Float64(typed(array)?),
        ColumnType::TimestampUs => Values::Timestamp(typed(array)?),
        ColumnType::Utf8 => Values::Text(ScannedTexts::new(typed(array)?, &special.text)),
        ColumnType::Json => Values::Json(ScannedTexts::new(typed(array)?, &special.json)),
        ColumnType::Utf8List => {
            let lists: &ListArray = typed(array)?;
            let items: &StringArray = typed(lists.values())?;
            Values::List {
                offsets: lists.value_offsets(),
                nulls: items.nulls(),
                items: ScannedTexts::new(items, &special.item),
            }
        }
    };
    Some(Column {
        nulls: array.nulls(),
        values,
    })
}

pub(crate) fn write_bool(value: bool, out: &mut Vec<u8>) {
    out.extend_from_slice(if value { b"true" } else { b"false" });
}

pub(crate) fn write_int(value: i64, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// Appends the shortest text that reads back as the same finite number.
pub(crate) fn write_float(value: f64, out: &mut Vec<u8>) {
    out.extend_from_slice(zmij::Buffer::new().format_finite(value).as_bytes());
}
