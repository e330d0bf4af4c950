//! Finds the rows that need care, many bytes at a time, so that no other byte is looked at twice.

use arrow_array::{Array as _, StringArray};

/// Bytes that are looked at together: a few vector registers.
const BLOCK: usize = 64;

/// The texts of a column end to end, and those among them that an encoder cannot copy as they are.
#[derive(Clone)]
pub(crate) struct ScannedTexts<'a> {
    offsets: &'a [i32],
    bytes: &'a [u8],
    /// A flag a row; none at all where no row needs care.
    careful: Vec<bool>,
}

impl<'a> ScannedTexts<'a> {
    /// Texts that need care where they hold a `special` byte. It is asked without branches, so it
    /// should be a few comparisons.
    #[inline]
    pub(crate) fn new(texts: &'a StringArray, special: impl Fn(u8) -> bool) -> Self {
        let (offsets, bytes) = (texts.value_offsets(), texts.values().as_slice());
        let mut careful = Vec::new();
        let mut row = 0;
        let begin = offsets[0] as usize;
        let (blocks, rest) = bytes[begin..offsets[texts.len()] as usize].as_chunks::<BLOCK>();
        let mut look_closer = |at: usize, block: &[u8]| {
            for (place, _) in (at..).zip(block).filter(|(_, byte)| special(**byte)) {
                while offsets[row + 1] as usize <= place {
                    row += 1;
                }
                if careful.is_empty() {
                    careful = vec![false; texts.len()];
                }
                careful[row] = true;
            }
        };
        for (index, block) in blocks.iter().enumerate() {
            // Without a branch for each byte, so that they are looked at together.
            if block.iter().fold(false, |any, byte| any | special(*byte)) {
                look_closer(begin + index * BLOCK, block);
            }
        }
        look_closer(begin + blocks.len() * BLOCK, rest);
        Self {
            offsets,
            bytes,
            careful,
        }
    }

    #[inline]
    pub(crate) fn get(&self, row: usize) -> ScannedText<'a> {
        ScannedText {
            column: self.bytes,
            begin: self.offsets[row] as usize,
            end: self.offsets[row + 1] as usize,
            careful: self.careful.get(row).is_some_and(|careful| *careful),
        }
    }
}

/// A text of a column.
#[derive(Clone, Copy)]
pub(crate) struct ScannedText<'a> {
    column: &'a [u8],
    begin: usize,
    end: usize,
    /// Whether a special byte is among its own.
    pub(crate) careful: bool,
}

/// Longest text that is copied without a call, in bytes.
const SHORT: usize = 32;

impl<'a> ScannedText<'a> {
    #[inline]
    pub(crate) fn bytes(self) -> &'a [u8] {
        &self.column[self.begin..self.end]
    }

    /// Appends the text as it is. A short one is copied together with what follows it in the
    /// column, which is then forgotten: a copy of constant length needs no call.
    #[inline]
    pub(crate) fn append_to(self, out: &mut Vec<u8>) {
        let length = self.end - self.begin;
        let window = self.column[self.begin..].first_chunk::<SHORT>();
        match window {
            Some(window) if length <= SHORT => {
                let end = out.len() + length;
                out.extend_from_slice(window);
                out.truncate(end);
            }
            _ => out.extend_from_slice(self.bytes()),
        }
    }
}

/// Appends a text with each `byte` in it preceded by another one. For texts in which there are
/// many: eight bytes are looked at together, and what stands between two places is copied without
/// a call.
#[inline]
pub(crate) fn append_preceded(byte: u8, before: u8, text: &[u8], out: &mut Vec<u8>) {
    let mut rest = text;
    while let Some(window) = rest.first_chunk::<8>() {
        let place = first_place(byte, u64::from_le_bytes(*window));
        let end = out.len() + place;
        out.extend_from_slice(window);
        if place == 8 {
            rest = &rest[8..];
        } else {
            out.truncate(end);
            out.extend_from_slice(&[before, byte]);
            rest = &rest[place + 1..];
        }
    }
    for next in rest {
        if *next == byte {
            out.push(before);
        }
        out.push(*next);
    }
}

/// Where `byte` first stands in eight bytes, the lowest first; 8 where it does not.
#[inline]
fn first_place(byte: u8, eight: u64) -> usize {
    const ONES: u64 = u64::MAX / 0xff;
    // A byte is zero where the two are equal; the lowest zero byte is the lowest one whose high
    // bit is set below, whatever a borrow does to those above it.
    let difference = eight ^ (ONES * u64::from(byte));
    let equal = difference.wrapping_sub(ONES) & !difference & (ONES << 7);
    (equal.trailing_zeros() / 8) as usize
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn is_special(byte: u8) -> bool {
        byte == b',' || byte < 0x20
    }

    proptest! {
        #[test]
        fn exactly_the_rows_with_a_special_byte_need_care(
            rows in proptest::collection::vec(".{0,40}|[a,]{0,9}|a{60,70}", 0..50),
            skipped in 0_usize..3,
        ) {
            let column = StringArray::from_iter_values(&rows);
            let skipped = skipped.min(rows.len());
            // Also of an array that does not begin where its buffer does.
            let scanned_column = column.slice(skipped, rows.len() - skipped);
            let scanned = ScannedTexts::new(&scanned_column, is_special);
            let rows = &rows[skipped..];
            for (row, text) in rows.iter().enumerate() {
                let found = scanned.get(row);
                prop_assert_eq!(found.bytes(), text.as_bytes());
                prop_assert_eq!(found.careful, text.bytes().any(is_special));
                let mut out = b"before".to_vec();
                found.append_to(&mut out);
                prop_assert_eq!(&out, &[b"before", text.as_bytes()].concat());
            }
        }

        #[test]
        fn every_such_byte_is_preceded(text in "[a\"\u{80}!#]{0,40}") {
            let mut out = Vec::new();
            append_preceded(b'"', b'\\', text.as_bytes(), &mut out);
            prop_assert_eq!(String::from_utf8(out).unwrap(), text.replace('"', "\\\""));
        }
    }
}
