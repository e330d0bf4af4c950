//! Free text that people will read: what it might quote of a user's is taken out, as far as it can
//! be told by its shape.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::bytes::Regex;

use crate::anonymize::REDACTED;
use crate::credentials::find_credential;

/// Something that looks like an e-mail address.
static EMAIL: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?-u)[^\s<>()\[\]{},;:\x22'`=]+@[^\s<>()\[\]{},;:\x22'`=]+").expect("a sound expression")
});

/// A text without what looks like a credential or an e-mail address. A name cannot be told by its
/// shape, and stays: this is for texts that only the owner of the users will see.
pub fn redact_text(text: &str) -> Cow<'_, str> {
    if find_credential(text.as_bytes()).is_some() {
        return Cow::Borrowed(REDACTED);
    }
    if !text.contains('@') {
        return Cow::Borrowed(text);
    }
    let redacted = EMAIL.replace_all(text.as_bytes(), REDACTED.as_bytes());
    Cow::Owned(String::from_utf8_lossy(&redacted).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_and_addresses_are_taken_out_of_a_text() {
        assert_eq!(redact_text("row 3 is odd"), "row 3 is odd");
        assert_eq!(
            redact_text("bad: <anita@example.com>, 'zoë@bücher.example'"),
            "bad: <[redacted]>, '[redacted]'"
        );
        assert_eq!(
            redact_text("otpauth://totp/Acme?secret=JBSWY3DPEHPK3PXP"),
            "[redacted]"
        );
    }
}
