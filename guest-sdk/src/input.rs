//! The row view: per-row code over columns in Arrow layout.

use crate::bindings::types;
use crate::output::bit;
use crate::plan::ColumnType;

/// One row of the batch. Made for nothing: an index and a borrow.
#[derive(Clone, Copy)]
pub struct Row<'a> {
    columns: &'a [types::Column],
    index: usize,
}

/// Shows the index, not the values.
impl std::fmt::Debug for Row<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Row")
            .field("index", &self.index)
            .finish_non_exhaustive()
    }
}

macro_rules! handles {
    ($($handle:ident: $what:literal;)+) => {$(
        #[doc = concat!("A column of ", $what, " that the plan reads.")]
        #[derive(Clone, Copy, Debug)]
        pub struct $handle(pub(crate) usize);
    )+};
}
handles! {
    Text: "text";
    Json: "JSON";
    Int: "whole numbers";
    Float: "numbers";
    Bool: "truth values";
    Timestamp: "timestamps";
    List: "lists of text";
}

/// A column of any type that the plan reads.
#[derive(Clone, Copy, Debug)]
pub struct AnyColumn {
    pub(crate) slot: usize,
    pub(crate) column_type: ColumnType,
}

impl AnyColumn {
    /// Type of the column's values.
    pub fn column_type(self) -> ColumnType {
        self.column_type
    }
}

/// One value of a column of any type.
#[derive(Clone, Copy, Debug)]
pub enum Value<'a> {
    /// No value.
    Null,
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number.
    Float(f64),
    /// Microseconds since 1970-01-01T00:00:00Z.
    Timestamp(i64),
    /// A text.
    Text(&'a str),
    /// A JSON text.
    Json(&'a str),
    /// A list of texts.
    List(ListItems<'a>),
}

impl<'a> Row<'a> {
    pub(crate) fn new(columns: &'a [types::Column], index: usize) -> Self {
        Self { columns, index }
    }

    /// Place in the batch, from 0.
    pub fn index(&self) -> usize {
        self.index
    }

    /// The value of a text column.
    pub fn text(&self, column: Text) -> Option<&'a str> {
        match self.value_at(column.0) {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The JSON text of a JSON column.
    pub fn json(&self, column: Json) -> Option<&'a str> {
        match self.value_at(column.0) {
            Value::Json(text) => Some(text),
            _ => None,
        }
    }

    /// The value of a whole-number column.
    pub fn int(&self, column: Int) -> Option<i64> {
        match self.value_at(column.0) {
            Value::Int(value) => Some(value),
            _ => None,
        }
    }

    /// The value of a number column.
    pub fn float(&self, column: Float) -> Option<f64> {
        match self.value_at(column.0) {
            Value::Float(value) => Some(value),
            _ => None,
        }
    }

    /// The value of a truth-value column.
    pub fn bool(&self, column: Bool) -> Option<bool> {
        match self.value_at(column.0) {
            Value::Bool(value) => Some(value),
            _ => None,
        }
    }

    /// The value of a timestamp column: microseconds since 1970-01-01T00:00:00Z.
    pub fn timestamp(&self, column: Timestamp) -> Option<i64> {
        match self.value_at(column.0) {
            Value::Timestamp(value) => Some(value),
            _ => None,
        }
    }

    /// The texts of a list column; none where the list is missing.
    pub fn list(&self, column: List) -> ListItems<'a> {
        match self.value_at(column.0) {
            Value::List(items) => items,
            _ => ListItems {
                offsets: &[0],
                bytes: &[],
            },
        }
    }

    /// The value of a column, whatever its type.
    pub fn value(&self, column: AnyColumn) -> Value<'a> {
        self.value_at(column.slot)
    }

    fn value_at(&self, slot: usize) -> Value<'a> {
        let column = &self.columns[slot];
        let row = self.index;
        if column
            .validity
            .as_ref()
            .is_some_and(|validity| !bit(validity, row))
        {
            return Value::Null;
        }
        match &column.values {
            types::Values::Boolean(bits) => Value::Bool(bit(bits, row)),
            types::Values::Int64(values) => Value::Int(values[row]),
            types::Values::Float64(values) => Value::Float(values[row]),
            types::Values::TimestampUs(values) => Value::Timestamp(values[row]),
            types::Values::Utf8(values) => Value::Text(text_at(&values.offsets, &values.bytes, row)),
            types::Values::Json(values) => Value::Json(text_at(&values.offsets, &values.bytes, row)),
            types::Values::Utf8List(lists) => {
                let (from, to) = (lists.offsets[row] as usize, lists.offsets[row + 1] as usize);
                Value::List(ListItems {
                    offsets: &lists.values.offsets[from..=to],
                    bytes: &lists.values.bytes,
                })
            }
        }
    }
}

/// The host sends whole UTF-8 values; anything else is its fault and traps.
fn text_at<'a>(offsets: &[i32], bytes: &'a [u8], index: usize) -> &'a str {
    let range = offsets[index] as usize..offsets[index + 1] as usize;
    std::str::from_utf8(&bytes[range]).expect("the host lends UTF-8")
}

/// The texts of one list.
#[derive(Clone, Copy)]
pub struct ListItems<'a> {
    offsets: &'a [i32],
    bytes: &'a [u8],
}

/// Shows the length, not the texts.
impl std::fmt::Debug for ListItems<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ListItems({})", self.len())
    }
}

impl<'a> ListItems<'a> {
    /// How many texts there are.
    pub fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The text at this place.
    pub fn get(&self, index: usize) -> Option<&'a str> {
        (index < self.len()).then(|| text_at(self.offsets, self.bytes, index))
    }

    /// All texts, in order.
    pub fn iter(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        let items = *self;
        (0..self.len()).map(move |index| text_at(items.offsets, items.bytes, index))
    }
}
