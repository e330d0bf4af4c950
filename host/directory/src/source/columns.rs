//! Columns that a source fills row by row, in Arrow layout. No value that does not fit is a panic.

use std::sync::Arc;

use arrow_array::{
    Array as _, ArrayRef, BooleanArray, Int64Array, ListArray, StringArray, TimestampMicrosecondArray,
};
use arrow_buffer::{BooleanBufferBuilder, Buffer, NullBuffer, NullBufferBuilder, OffsetBuffer, ScalarBuffer};
use exeat_gate::{ColumnType, Field};
use serde::Serialize;

use super::{MAX_BATCH_ROWS, SourceError};

/// What is wrong with a value. The field is known to whoever asked for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unfit {
    NotUtf8,
    TooLong,
    /// It has no place in the column's type: a time out of range, a flag that is neither.
    OutOfRange,
    Missing,
}

impl Unfit {
    /// The error, with the field's name and without the value.
    pub(crate) fn of(self, field: &Field) -> SourceError {
        let field = field.name.clone();
        match self {
            Self::NotUtf8 => SourceError::NotUtf8 { field },
            Self::TooLong => SourceError::TooLong { field },
            Self::OutOfRange => SourceError::OutOfRange { field },
            Self::Missing => SourceError::Missing { field },
        }
    }
}

/// An array of a field that every user has must have a value for every user.
pub(crate) fn complete(field: &Field, array: ArrayRef) -> Result<ArrayRef, SourceError> {
    if !field.nullable && array.null_count() > 0 {
        return Err(Unfit::Missing.of(field));
    }
    Ok(array)
}

/// Texts end to end.
pub(crate) struct Texts {
    offsets: Vec<i32>,
    bytes: Vec<u8>,
    nulls: NullBufferBuilder,
    too_long: bool,
}

impl Texts {
    pub(crate) fn new() -> Self {
        Self {
            offsets: vec![0],
            bytes: Vec::new(),
            nulls: NullBufferBuilder::new(MAX_BATCH_ROWS),
            too_long: false,
        }
    }

    /// Appends a text; says how many bytes it has.
    #[inline]
    pub(crate) fn push(&mut self, text: Option<&[u8]>) -> usize {
        let bytes = text.unwrap_or_default();
        self.bytes.extend_from_slice(bytes);
        self.close(text.is_some());
        bytes.len()
    }

    /// Ends a text whose bytes were appended.
    #[inline]
    fn close(&mut self, present: bool) {
        let end = self.bytes.len();
        // A batch ends soon after 1 MiB; only one monstrous row gets here, and fails the batch.
        self.too_long |= end > i32::MAX as usize;
        self.offsets.push(end as i32);
        if present {
            self.nulls.append_non_null();
        } else {
            self.nulls.append_null();
        }
    }

    fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    pub(crate) fn finish(&mut self) -> Result<StringArray, Unfit> {
        let capacity = self.bytes.capacity();
        let bytes = std::mem::replace(&mut self.bytes, Vec::with_capacity(capacity));
        let offsets = std::mem::replace(&mut self.offsets, Vec::with_capacity(MAX_BATCH_ROWS + 1));
        self.offsets.push(0);
        let nulls = self.nulls.finish();
        if std::mem::take(&mut self.too_long) {
            return Err(Unfit::TooLong);
        }
        let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
        StringArray::try_new(offsets, Buffer::from_vec(bytes), nulls).map_err(|_| Unfit::NotUtf8)
    }
}

/// Integers and instants.
pub(crate) struct Ints {
    values: Vec<i64>,
    nulls: NullBufferBuilder,
}

impl Ints {
    pub(crate) fn new() -> Self {
        Self {
            values: Vec::with_capacity(MAX_BATCH_ROWS),
            nulls: NullBufferBuilder::new(MAX_BATCH_ROWS),
        }
    }

    #[inline]
    pub(crate) fn push(&mut self, value: Option<i64>) {
        self.values.push(value.unwrap_or_default());
        self.nulls.append(value.is_some());
    }

    pub(crate) fn finish(&mut self, column_type: ColumnType) -> ArrayRef {
        let values = std::mem::replace(&mut self.values, Vec::with_capacity(MAX_BATCH_ROWS));
        let nulls: Option<NullBuffer> = self.nulls.finish();
        if column_type == ColumnType::TimestampUs {
            Arc::new(TimestampMicrosecondArray::new(values.into(), nulls))
        } else {
            Arc::new(Int64Array::new(values.into(), nulls))
        }
    }
}

/// Flags.
pub(crate) struct Flags {
    bits: BooleanBufferBuilder,
    nulls: NullBufferBuilder,
}

impl Flags {
    pub(crate) fn new() -> Self {
        Self {
            bits: BooleanBufferBuilder::new(MAX_BATCH_ROWS),
            nulls: NullBufferBuilder::new(MAX_BATCH_ROWS),
        }
    }

    #[inline]
    pub(crate) fn push(&mut self, value: Option<bool>) {
        self.bits.append(value.unwrap_or_default());
        self.nulls.append(value.is_some());
    }

    pub(crate) fn finish(&mut self) -> ArrayRef {
        Arc::new(BooleanArray::new(self.bits.finish(), self.nulls.finish()))
    }
}

/// Lists of texts, one a user.
pub(crate) struct Lists {
    offsets: Vec<i32>,
    texts: Texts,
}

impl Lists {
    pub(crate) fn new() -> Self {
        Self {
            offsets: vec![0],
            texts: Texts::new(),
        }
    }

    /// Appends a list; says how many bytes its texts have.
    pub(crate) fn push<'a>(&mut self, list: impl Iterator<Item = &'a [u8]>) -> usize {
        let bytes = list.map(|text| self.texts.push(Some(text))).sum();
        // As in `Texts::close`.
        let end = i32::try_from(self.texts.len()).unwrap_or_else(|_| {
            self.texts.too_long = true;
            i32::MAX
        });
        self.offsets.push(end);
        bytes
    }

    pub(crate) fn finish(&mut self, column_type: ColumnType) -> Result<ArrayRef, Unfit> {
        let offsets = std::mem::replace(&mut self.offsets, vec![0]);
        let texts = self.texts.finish()?;
        let arrow_schema::DataType::List(item) = column_type.arrow() else {
            return Err(Unfit::OutOfRange);
        };
        let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
        Ok(Arc::new(ListArray::new(item, offsets, Arc::new(texts), None)))
    }
}

/// A JSON array of one user's identities, written where the column's bytes are.
pub(crate) struct IdentityList<'t> {
    texts: &'t mut Texts,
    begin: usize,
    first: bool,
    unfit: Option<Unfit>,
}

#[derive(Serialize)]
struct IdentityJson<'a> {
    connection: &'a str,
    provider: &'a str,
    subject: &'a str,
}

impl<'t> IdentityList<'t> {
    pub(crate) fn begin(texts: &'t mut Texts) -> Self {
        let begin = texts.bytes.len();
        texts.bytes.push(b'[');
        Self {
            texts,
            begin,
            first: true,
            unfit: None,
        }
    }

    /// Appends an identity: connection, provider and subject.
    pub(crate) fn push(&mut self, identity: [Option<&[u8]>; 3]) {
        if !std::mem::take(&mut self.first) {
            self.texts.bytes.push(b',');
        }
        let [Some(connection), Some(provider), Some(subject)] = identity else {
            self.unfit = Some(Unfit::Missing);
            return;
        };
        let texts = [connection, provider, subject].map(std::str::from_utf8);
        let [Ok(connection), Ok(provider), Ok(subject)] = texts else {
            self.unfit = Some(Unfit::NotUtf8);
            return;
        };
        let identity = IdentityJson {
            connection,
            provider,
            subject,
        };
        // Texts in, a vector out: there is nothing that could fail but UTF-8, seen to above.
        if serde_json::to_writer(&mut self.texts.bytes, &identity).is_err() {
            self.unfit = Some(Unfit::NotUtf8);
        }
    }

    /// Ends the list; says how many bytes it has.
    pub(crate) fn end(self) -> Result<usize, Unfit> {
        self.texts.bytes.push(b']');
        self.texts.close(true);
        self.unfit.map_or(Ok(self.texts.bytes.len() - self.begin), Err)
    }
}
