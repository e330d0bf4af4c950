//! Appending short pieces to bytes, without a call into the host's runtime for each.
//!
//! A copy whose length is known only at run time is such a call (`memory.copy`), and costs more than
//! the copy if that is short. Copies of constant length are instructions.

/// Longest piece that is copied without a call, in bytes.
const SHORT: usize = 64;

/// Appends bytes: fast for short ones.
#[inline]
pub fn append(to: &mut Vec<u8>, bytes: &[u8]) {
    match bytes.len() {
        0 => {}
        1 => to.push(bytes[0]),
        2..4 => append_ends::<2>(to, bytes),
        4..8 => append_ends::<4>(to, bytes),
        8..16 => append_ends::<8>(to, bytes),
        16..=SHORT => {
            let mut rest = bytes;
            while let Some((head, tail)) = rest.split_first_chunk::<16>()
                && tail.len() >= 16
            {
                to.extend_from_slice(head);
                rest = tail;
            }
            append_ends::<16>(to, rest);
        }
        _ => to.extend_from_slice(bytes),
    }
}

/// Appends `N` to `2 * N` bytes: the first `N` and the last `N`, which may overlap.
#[inline]
fn append_ends<const N: usize>(to: &mut Vec<u8>, bytes: &[u8]) {
    if let (Some(first), Some(last)) = (bytes.first_chunk::<N>(), bytes.last_chunk::<N>()) {
        let last_from = to.len() + bytes.len() - N;
        to.extend_from_slice(first);
        to.truncate(last_from);
        to.extend_from_slice(last);
    }
}

/// Appends a text in lower case. Nearly all texts are ASCII, which takes no loop of characters.
#[inline]
pub fn append_lowercase(to: &mut Vec<u8>, text: &str) {
    if text.bytes().fold(true, |ascii, byte| ascii & byte.is_ascii()) {
        let from = to.len();
        append(to, text.as_bytes());
        to[from..].make_ascii_lowercase();
    } else {
        to.extend_from_slice(text.to_lowercase().as_bytes());
    }
}

/// Appends two hexadecimal digits in lower case for each byte.
#[inline]
pub fn append_hex(to: &mut Vec<u8>, bytes: &[u8]) {
    let (fours, rest) = bytes.as_chunks::<4>();
    for four in fours {
        to.extend_from_slice(&hex_digits(*four));
    }
    for byte in rest {
        let [high, low, ..] = hex_digits([*byte, 0, 0, 0]);
        to.extend_from_slice(&[high, low]);
    }
}

/// The digits of four bytes, made together in one word: the first byte's are in the lowest places.
#[inline]
fn hex_digits(bytes: [u8; 4]) -> [u8; 8] {
    let word = u64::from(u32::from_le_bytes(bytes));
    let word = (word | word << 16) & 0x0000_ffff_0000_ffff;
    let word = (word | word << 8) & 0x00ff_00ff_00ff_00ff;
    let nibbles = (word >> 4 | word << 8) & 0x0f0f_0f0f_0f0f_0f0f;
    // Six more carries into the next bit exactly where the digit is a letter.
    let letters = (nibbles + 0x0606_0606_0606_0606) >> 4 & 0x0101_0101_0101_0101;
    let to_letter = u64::from(b'a' - b'0' - 10);
    (nibbles + 0x3030_3030_3030_3030 + letters * to_letter).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Longer than all that is done in a way of its own.
    const LONG: u8 = 200;

    fn before() -> Vec<u8> {
        b"before ".to_vec()
    }

    #[test]
    fn bytes_of_any_length_are_appended() {
        let all: Vec<u8> = (0..LONG).collect();
        for length in 0..all.len() {
            let mut appended = before();
            append(&mut appended, &all[..length]);
            assert_eq!(appended, [&before(), &all[..length]].concat(), "{length}");
        }
    }

    #[test]
    fn texts_are_appended_in_lower_case() {
        for text in [
            "",
            "Ada.LOVELACE@Example.ORG",
            "ÄRGER@Straße.de",
            "İ",
            &"Q".repeat(200),
        ] {
            let mut appended = before();
            append_lowercase(&mut appended, text);
            let expected = [before(), text.to_lowercase().into_bytes()].concat();
            assert_eq!(appended, expected, "{text}");
        }
    }

    #[test]
    fn every_byte_is_two_digits() {
        let all: Vec<u8> = (0..=u8::MAX).collect();
        for bytes in [&all[..], &all[..7], &all[250..251], &[]] {
            let mut digits = before();
            append_hex(&mut digits, bytes);
            let expected: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(digits, [before(), expected.into_bytes()].concat());
        }
    }
}
