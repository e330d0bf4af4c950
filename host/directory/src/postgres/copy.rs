//! PostgreSQL's binary COPY format, decoded in place. What the server sends is checked, not trusted.
//!
//! ```text
//! header: "PGCOPY\n\xff\r\n\0", flags (u32), length of an extension (u32), the extension
//! row:    number of fields (i16), then for each its length (i32, -1 for NULL) and its bytes
//! end:    -1 in place of a number of fields
//! ```

use std::ops::Range;

use bytes::{Bytes, BytesMut};

use crate::SourceError;

const SIGNATURE: &[u8; 11] = b"PGCOPY\n\xff\r\n\0";
/// Flags that say how rows look, and of which we know none (bit 16 would be OIDs in each row).
const CRITICAL_FLAGS: u32 = 0xffff_0000;
/// A header's extension that nobody sends today, and that may be skipped.
const MAX_EXTENSION_BYTES: usize = 1 << 16;
/// Longest row. A user of more is no user, and would be held in memory whole.
const MAX_ROW_BYTES: usize = 256 << 20;

/// What came is no such copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CopyError {
    Header,
    FieldCount,
    Length,
    TooLong,
    AfterEnd,
    Truncated,
}

impl From<CopyError> for SourceError {
    fn from(error: CopyError) -> Self {
        Self::Copy(match error {
            CopyError::Header => "its header is wrong",
            CopyError::FieldCount => "a row has another number of fields than was asked for",
            CopyError::Length => "the length of a field is negative",
            CopyError::TooLong => "a row has more than 256 MiB",
            CopyError::AfterEnd => "there is something after its end",
            CopyError::Truncated => "it ends in the middle",
        })
    }
}

/// What the decoder found in the bytes that it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// A row: its fields can be asked for until the next step.
    Row,
    /// The bytes end before the next row does.
    NeedsMore,
    /// The end of the copy.
    End,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Header,
    Rows,
    Ended,
}

/// Decodes rows out of pieces that may be cut anywhere.
pub(crate) struct Decoder {
    state: State,
    piece: Bytes,
    at: usize,
    fields: Vec<Option<Range<usize>>>,
}

impl Decoder {
    /// For rows of so many fields.
    pub(crate) fn new(fields: usize) -> Self {
        Self {
            state: State::Header,
            piece: Bytes::new(),
            at: 0,
            fields: vec![None; fields],
        }
    }

    /// Takes the next piece. The server sends a row a piece, so this copies nothing as a rule.
    pub(crate) fn feed(&mut self, piece: Bytes) {
        if self.at == self.piece.len() {
            self.piece = piece;
        } else {
            let rest = &self.piece[self.at..];
            let mut joined = BytesMut::with_capacity(rest.len() + piece.len());
            joined.extend_from_slice(rest);
            joined.extend_from_slice(&piece);
            self.piece = joined.freeze();
        }
        self.at = 0;
    }

    /// Goes to the next row.
    pub(crate) fn step(&mut self) -> Result<Step, CopyError> {
        if self.state == State::Header {
            match self.header()? {
                Some(rows) => {
                    self.at = rows;
                    self.state = State::Rows;
                }
                None => return Ok(Step::NeedsMore),
            }
        }
        if self.state == State::Ended {
            return if self.at == self.piece.len() {
                Ok(Step::End)
            } else {
                Err(CopyError::AfterEnd)
            };
        }
        let step = self.row()?;
        if step == Step::NeedsMore && self.piece.len() - self.at > MAX_ROW_BYTES {
            return Err(CopyError::TooLong);
        }
        Ok(step)
    }

    /// Says whether the copy came to its end, where no more pieces come.
    pub(crate) fn finish(&self) -> Result<(), CopyError> {
        match self.state {
            State::Ended => Ok(()),
            State::Header | State::Rows => Err(CopyError::Truncated),
        }
    }

    /// The bytes of a field of the row at hand; nothing for NULL.
    pub(crate) fn field(&self, field: usize) -> Option<&[u8]> {
        let range = self.fields.get(field)?.clone()?;
        self.piece.get(range)
    }

    /// Where the rows begin, once the header is there.
    fn header(&self) -> Result<Option<usize>, CopyError> {
        let known = self.piece.len().min(SIGNATURE.len());
        if self.piece[..known] != SIGNATURE[..known] {
            return Err(CopyError::Header);
        }
        let Some(flags) = self.u32_at(SIGNATURE.len()) else {
            return Ok(None);
        };
        let Some(extension) = self.u32_at(SIGNATURE.len() + 4) else {
            return Ok(None);
        };
        let extension = usize::try_from(extension).map_err(|_| CopyError::Header)?;
        if flags & CRITICAL_FLAGS != 0 || extension > MAX_EXTENSION_BYTES {
            return Err(CopyError::Header);
        }
        let rows = SIGNATURE.len() + 8 + extension;
        Ok((rows <= self.piece.len()).then_some(rows))
    }

    fn row(&mut self) -> Result<Step, CopyError> {
        let Some(count) = self.piece.get(self.at..self.at + 2) else {
            return Ok(Step::NeedsMore);
        };
        let count = i16::from_be_bytes([count[0], count[1]]);
        if count == -1 {
            self.at += 2;
            self.state = State::Ended;
            return self.step();
        }
        if usize::try_from(count) != Ok(self.fields.len()) {
            return Err(CopyError::FieldCount);
        }
        let mut at = self.at + 2;
        for index in 0..self.fields.len() {
            let Some(length) = self.u32_at(at) else {
                return Ok(Step::NeedsMore);
            };
            at += 4;
            if length == u32::MAX {
                self.fields[index] = None;
                continue;
            }
            let length = i32::try_from(length).map_err(|_| CopyError::Length)?;
            let length = usize::try_from(length).map_err(|_| CopyError::Length)?;
            if length > MAX_ROW_BYTES - (at - self.at).min(MAX_ROW_BYTES) {
                return Err(CopyError::TooLong);
            }
            let end = at + length;
            if end > self.piece.len() {
                return Ok(Step::NeedsMore);
            }
            self.fields[index] = Some(at..end);
            at = end;
        }
        self.at = at;
        Ok(Step::Row)
    }

    fn u32_at(&self, at: usize) -> Option<u32> {
        let bytes = self.piece.get(at..at.checked_add(4)?)?;
        Some(u32::from_be_bytes(bytes.try_into().ok()?))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Row = Vec<Option<Vec<u8>>>;

    fn encoded(rows: &[Row], extension: &[u8]) -> Vec<u8> {
        let mut copy = SIGNATURE.to_vec();
        copy.extend([0, 0, 0, 1]);
        copy.extend(u32::try_from(extension.len()).unwrap().to_be_bytes());
        copy.extend(extension);
        for row in rows {
            copy.extend(i16::try_from(row.len()).unwrap().to_be_bytes());
            for field in row {
                match field {
                    Some(bytes) => {
                        copy.extend(i32::try_from(bytes.len()).unwrap().to_be_bytes());
                        copy.extend(bytes);
                    }
                    None => copy.extend((-1_i32).to_be_bytes()),
                }
            }
        }
        copy.extend((-1_i16).to_be_bytes());
        copy
    }

    /// Decodes a copy that comes in pieces cut at these places.
    fn decoded(copy: &[u8], fields: usize, cuts: &[usize]) -> Result<Vec<Row>, CopyError> {
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (copy.len() + 1)).collect();
        cuts.extend([0, copy.len()]);
        cuts.sort_unstable();
        let mut decoder = Decoder::new(fields);
        let mut rows = Vec::new();
        for piece in cuts.windows(2) {
            decoder.feed(Bytes::copy_from_slice(&copy[piece[0]..piece[1]]));
            while decoder.step()? == Step::Row {
                rows.push(
                    (0..fields)
                        .map(|field| decoder.field(field).map(<[u8]>::to_vec))
                        .collect(),
                );
            }
        }
        decoder.finish()?;
        Ok(rows)
    }

    fn rows_of(fields: usize) -> impl Strategy<Value = Vec<Row>> {
        let field = proptest::option::of(proptest::collection::vec(any::<u8>(), 0..40));
        proptest::collection::vec(proptest::collection::vec(field, fields), 0..8)
    }

    proptest! {
        #[test]
        fn a_copy_comes_out_as_it_went_in_however_it_is_cut(
            (fields, rows) in (1_usize..6).prop_flat_map(|fields| (Just(fields), rows_of(fields))),
            extension in proptest::collection::vec(any::<u8>(), 0..20),
            cuts in proptest::collection::vec(any::<usize>(), 0..30),
        ) {
            let copy = encoded(&rows, &extension);
            prop_assert_eq!(decoded(&copy, fields, &cuts), Ok(rows));
        }

        #[test]
        fn whatever_is_damaged_is_an_error_or_rows_and_never_a_panic(
            rows in rows_of(3),
            damage in proptest::collection::vec((any::<usize>(), any::<u8>()), 1..8),
            length in any::<usize>(),
            cuts in proptest::collection::vec(any::<usize>(), 0..8),
        ) {
            let mut copy = encoded(&rows, &[]);
            for (at, byte) in damage {
                let at = at % copy.len();
                copy[at] = byte;
            }
            copy.truncate(length % (copy.len() + 1));
            let _ = decoded(&copy, 3, &cuts);
        }

        #[test]
        fn bytes_of_any_kind_are_no_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = decoded(&bytes, 2, &[]);
            let _ = decoded(&[SIGNATURE.as_slice(), &[0; 8], &bytes].concat(), 2, &[7, 31]);
        }
    }

    #[test]
    fn what_is_no_copy_is_refused_with_its_reason() {
        let header = [SIGNATURE.as_slice(), &[0; 8]].concat();
        let with = |tail: &[u8]| [header.as_slice(), tail].concat();
        let oids = [SIGNATURE.as_slice(), &[0, 1, 0, 0, 0, 0, 0, 0]].concat();
        let cases: [(&[u8], CopyError); 8] = [
            (b"PGCOPX", CopyError::Header),
            (&oids, CopyError::Header),
            (&with(&[0, 2]), CopyError::FieldCount),
            (&with(&[0xff, 0xfe]), CopyError::FieldCount),
            (&with(&[0, 1, 0xff, 0xff, 0xff, 0xfe]), CopyError::Length),
            (&with(&[0, 1, 0x7f, 0xff, 0xff, 0xff]), CopyError::TooLong),
            (&with(&[0xff, 0xff, 0]), CopyError::AfterEnd),
            (&with(&[0, 1, 0, 0, 0, 9, 1]), CopyError::Truncated),
        ];
        for (copy, error) in cases {
            assert_eq!(decoded(copy, 1, &[]), Err(error), "{copy:?}");
        }
    }
}
