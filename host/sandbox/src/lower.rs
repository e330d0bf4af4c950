//! Arrow arrays as a guest is lent them: the buffers themselves, copied only where an array
//! does not begin at the start of its buffer.

use arrow_array::{
    Array, ArrayRef, BooleanArray, Float64Array, Int64Array, ListArray, StringArray,
    TimestampMicrosecondArray,
};
use arrow_buffer::{BooleanBuffer, Buffer, ScalarBuffer};
use exeat_gate::ColumnType;

/// One column, ready to be lowered.
pub(crate) struct Lowered {
    pub(crate) validity: Option<Buffer>,
    pub(crate) values: LoweredValues,
}

pub(crate) enum LoweredValues {
    Boolean(Buffer),
    Int64(ScalarBuffer<i64>),
    Float64(ScalarBuffer<f64>),
    TimestampUs(ScalarBuffer<i64>),
    Utf8(LoweredTexts),
    Json(LoweredTexts),
    Utf8List {
        offsets: ScalarBuffer<i32>,
        values: LoweredTexts,
    },
}

pub(crate) struct LoweredTexts {
    pub(crate) offsets: ScalarBuffer<i32>,
    pub(crate) bytes: Buffer,
}

impl Lowered {
    /// Size of the values.
    pub(crate) fn bytes(&self) -> u64 {
        let texts = |texts: &LoweredTexts| texts.bytes.len() + size_of_val(texts.offsets.as_ref());
        let values = match &self.values {
            LoweredValues::Boolean(bits) => bits.len(),
            LoweredValues::Int64(values) | LoweredValues::TimestampUs(values) => size_of_val(values.as_ref()),
            LoweredValues::Float64(values) => size_of_val(values.as_ref()),
            LoweredValues::Utf8(values) | LoweredValues::Json(values) => texts(values),
            LoweredValues::Utf8List { offsets, values } => size_of_val(offsets.as_ref()) + texts(values),
        };
        (values + self.validity.as_ref().map_or(0, Buffer::len)) as u64
    }

    /// The column of an array; nothing where the array is not of this type, which the guard
    /// and the gate rule out.
    pub(crate) fn of(column_type: ColumnType, array: &ArrayRef) -> Option<Self> {
        let any = array.as_any();
        let values = match column_type {
            ColumnType::Boolean => LoweredValues::Boolean(bits(any.downcast_ref::<BooleanArray>()?.values())),
            ColumnType::Int64 => LoweredValues::Int64(any.downcast_ref::<Int64Array>()?.values().clone()),
            ColumnType::Float64 => {
                LoweredValues::Float64(any.downcast_ref::<Float64Array>()?.values().clone())
            }
            ColumnType::TimestampUs => {
                LoweredValues::TimestampUs(any.downcast_ref::<TimestampMicrosecondArray>()?.values().clone())
            }
            ColumnType::Utf8 => LoweredValues::Utf8(texts(any.downcast_ref::<StringArray>()?)),
            ColumnType::Json => LoweredValues::Json(texts(any.downcast_ref::<StringArray>()?)),
            ColumnType::Utf8List => {
                let lists = any.downcast_ref::<ListArray>()?;
                let first = usize::try_from(lists.value_offsets()[0]).ok()?;
                let last = usize::try_from(*lists.value_offsets().last()?).ok()?;
                let items = lists.values().slice(first, last - first);
                LoweredValues::Utf8List {
                    offsets: from_zero(lists.offsets().inner()),
                    values: texts(items.as_any().downcast_ref::<StringArray>()?),
                }
            }
        };
        let validity = array
            .nulls()
            .filter(|nulls| nulls.null_count() > 0)
            .map(|nulls| bits(nulls.inner()));
        Some(Self { validity, values })
    }
}

/// A bitmap that begins at bit 0 and has no byte too many.
fn bits(bitmap: &BooleanBuffer) -> Buffer {
    let bytes = bitmap.len().div_ceil(8);
    let aligned = if bitmap.offset() == 0 {
        bitmap.inner().clone()
    } else {
        bitmap.sliced()
    };
    aligned.slice_with_length(0, bytes)
}

fn texts(array: &StringArray) -> LoweredTexts {
    let offsets = array.value_offsets();
    let (first, last) = (offsets[0] as usize, offsets[offsets.len() - 1] as usize);
    LoweredTexts {
        offsets: from_zero(array.offsets().inner()),
        bytes: array.values().slice_with_length(first, last - first),
    }
}

/// Offsets that begin at 0.
fn from_zero(offsets: &ScalarBuffer<i32>) -> ScalarBuffer<i32> {
    match offsets[0] {
        0 => offsets.clone(),
        first => offsets.iter().map(|offset| offset - first).collect(),
    }
}
