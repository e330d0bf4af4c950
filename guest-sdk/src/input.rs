//! The row view: per-row code over columns in Arrow layout.

use crate::bindings::types;
use crate::output::bit;
use crate::plan::ColumnType;

/// A column of the batch, looked at once: what is checked here need not be checked for each row.
pub(crate) struct View<'a> {
    validity: Option<&'a [u8]>,
    values: Values<'a>,
}

enum Values<'a> {
    Boolean(&'a [u8]),
    Int64(&'a [i64]),
    Float64(&'a [f64]),
    Timestamp(&'a [i64]),
    Text(Texts<'a>),
    Json(Texts<'a>),
    List { offsets: &'a [i32], items: Texts<'a> },
}

/// Texts end to end. The host sends UTF-8, and offsets that lie between characters; anything else
/// is its fault and traps.
#[derive(Clone, Copy)]
struct Texts<'a> {
    offsets: &'a [i32],
    text: &'a str,
}

impl<'a> Texts<'a> {
    fn of(values: &'a types::Utf8Values) -> Self {
        Self {
            offsets: &values.offsets,
            text: simdutf8::basic::from_utf8(&values.bytes).expect("the host lends UTF-8"),
        }
    }

    #[inline]
    fn at(self, index: usize) -> &'a str {
        &self.text[self.offsets[index] as usize..self.offsets[index + 1] as usize]
    }
}

impl<'a> View<'a> {
    pub(crate) fn of(column: &'a types::Column) -> Self {
        Self {
            validity: column.validity.as_deref(),
            values: match &column.values {
                types::Values::Boolean(bits) => Values::Boolean(bits),
                types::Values::Int64(values) => Values::Int64(values),
                types::Values::Float64(values) => Values::Float64(values),
                types::Values::TimestampUs(values) => Values::Timestamp(values),
                types::Values::Utf8(values) => Values::Text(Texts::of(values)),
                types::Values::Json(values) => Values::Json(Texts::of(values)),
                types::Values::Utf8List(lists) => Values::List {
                    offsets: &lists.offsets,
                    items: Texts::of(&lists.values),
                },
            },
        }
    }
}

/// One row of the batch. Made for nothing: an index and a borrow.
#[derive(Clone, Copy)]
pub struct Row<'a> {
    columns: &'a [View<'a>],
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
    #[inline]
    pub(crate) fn new(columns: &'a [View<'a>], index: usize) -> Self {
        Self { columns, index }
    }

    /// Place in the batch, from 0.
    pub fn index(&self) -> usize {
        self.index
    }

    /// The value of a text column.
    #[inline]
    pub fn text(&self, column: Text) -> Option<&'a str> {
        match self.value_at(column.0) {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The JSON text of a JSON column.
    #[inline]
    pub fn json(&self, column: Json) -> Option<&'a str> {
        match self.value_at(column.0) {
            Value::Json(text) => Some(text),
            _ => None,
        }
    }

    /// The value of a whole-number column.
    #[inline]
    pub fn int(&self, column: Int) -> Option<i64> {
        match self.value_at(column.0) {
            Value::Int(value) => Some(value),
            _ => None,
        }
    }

    /// The value of a number column.
    #[inline]
    pub fn float(&self, column: Float) -> Option<f64> {
        match self.value_at(column.0) {
            Value::Float(value) => Some(value),
            _ => None,
        }
    }

    /// The value of a truth-value column.
    #[inline]
    pub fn bool(&self, column: Bool) -> Option<bool> {
        match self.value_at(column.0) {
            Value::Bool(value) => Some(value),
            _ => None,
        }
    }

    /// The value of a timestamp column: microseconds since 1970-01-01T00:00:00Z.
    #[inline]
    pub fn timestamp(&self, column: Timestamp) -> Option<i64> {
        match self.value_at(column.0) {
            Value::Timestamp(value) => Some(value),
            _ => None,
        }
    }

    /// The texts of a list column; none where the list is missing.
    #[inline]
    pub fn list(&self, column: List) -> ListItems<'a> {
        match self.value_at(column.0) {
            Value::List(items) => items,
            _ => ListItems(Texts {
                offsets: &[0],
                text: "",
            }),
        }
    }

    /// The value of a column, whatever its type.
    #[inline]
    pub fn value(&self, column: AnyColumn) -> Value<'a> {
        self.value_at(column.slot)
    }

    #[inline]
    fn value_at(&self, slot: usize) -> Value<'a> {
        let column = &self.columns[slot];
        let row = self.index;
        if column.validity.is_some_and(|validity| !bit(validity, row)) {
            return Value::Null;
        }
        match &column.values {
            Values::Boolean(bits) => Value::Bool(bit(bits, row)),
            Values::Int64(values) => Value::Int(values[row]),
            Values::Float64(values) => Value::Float(values[row]),
            Values::Timestamp(values) => Value::Timestamp(values[row]),
            Values::Text(texts) => Value::Text(texts.at(row)),
            Values::Json(texts) => Value::Json(texts.at(row)),
            Values::List { offsets, items } => {
                let (from, to) = (offsets[row] as usize, offsets[row + 1] as usize);
                Value::List(ListItems(Texts {
                    offsets: &items.offsets[from..=to],
                    text: items.text,
                }))
            }
        }
    }
}

/// The texts of one list.
#[derive(Clone, Copy)]
pub struct ListItems<'a>(Texts<'a>);

/// Shows the length, not the texts.
impl std::fmt::Debug for ListItems<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ListItems({})", self.len())
    }
}

impl<'a> ListItems<'a> {
    /// How many texts there are.
    pub fn len(&self) -> usize {
        self.0.offsets.len() - 1
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The text at this place.
    pub fn get(&self, index: usize) -> Option<&'a str> {
        (index < self.len()).then(|| self.0.at(index))
    }

    /// All texts, in order.
    pub fn iter(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        let items = *self;
        (0..self.len()).map(move |index| items.0.at(index))
    }
}
