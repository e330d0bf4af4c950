//! Names that callers give to what they keep here.

use crate::problem::Problem;

const MAX_CHARS: usize = 64;

/// A name that can stand in a path as it is.
pub(crate) fn check_name(name: &str) -> Result<(), Problem> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if (1..=MAX_CHARS).contains(&name.len()) && name.bytes().all(plain) {
        return Ok(());
    }
    let detail = "a name has 1 to 64 letters, digits, hyphens and underscores";
    Err(Problem::new("invalid-name", detail))
}
