//! Credentials inside JSON: layer three of what never leaves.

use std::borrow::Cow;

use serde::de::IgnoredAny;
use serde_json::Value;

use crate::batch::Suppressed;
use crate::catalog::catalog;
use crate::credentials::{find_credential, is_credential_key};

/// JSON text without what looks like a credential; nothing where it is not JSON at all. `suspect`
/// is what [`may_hold_credential`](crate::credentials::may_hold_credential) says of it.
/// Text that holds nothing suspicious is handed back as it came. Any other is written anew: a
/// member whose key stands twice is looked at once, so only what was looked at may leave.
pub(crate) fn scrub_text<'a>(
    json: &'a str,
    suspect: bool,
    suppressed: &mut Suppressed,
) -> Option<Cow<'a, str>> {
    if !suspect {
        if serde_json::from_str::<IgnoredAny>(json).is_ok() {
            return Some(Cow::Borrowed(json));
        }
        suppressed.invalid_json += 1;
        return None;
    }
    let Ok(mut value) = serde_json::from_str(json) else {
        suppressed.invalid_json += 1;
        return None;
    };
    scrub(&mut value, suppressed).then(|| Cow::Owned(value.to_string()))
}

/// Takes credentials out of a value; false where the value itself is one.
pub(crate) fn scrub(value: &mut Value, suppressed: &mut Suppressed) -> bool {
    match value {
        Value::String(text) => {
            let clean = find_credential(text.as_bytes()).is_none();
            suppressed.credential_values += u64::from(!clean);
            return clean;
        }
        Value::Array(items) => items.retain_mut(|item| scrub(item, suppressed)),
        Value::Object(members) => members.retain(|key, member| {
            if may_not_be_a_key(key) {
                suppressed.credential_keys += 1;
                return false;
            }
            scrub(member, suppressed)
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
    true
}

/// Whether a JSON key names something that never leaves, or is itself a credential.
pub(crate) fn may_not_be_a_key(key: &str) -> bool {
    is_credential_key(key) || catalog().never(key).is_some() || find_credential(key.as_bytes()).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credentials::may_hold_credential;

    fn scrubbed(json: &str) -> (Option<String>, Suppressed) {
        let mut suppressed = Suppressed::default();
        let suspect = may_hold_credential(json.as_bytes());
        let text = scrub_text(json, suspect, &mut suppressed).map(Cow::into_owned);
        (text, suppressed)
    }

    #[test]
    fn credentials_are_taken_out_at_any_depth() {
        let (text, suppressed) = scrubbed(
            r#"{"team":"A","legacy":{"userPassword":"x","ok":[1,"$2b$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy"]},"phone_number":"+15550100"}"#,
        );
        assert_eq!(text.as_deref(), Some(r#"{"team":"A","legacy":{"ok":[1]}}"#));
        assert_eq!((suppressed.credential_keys, suppressed.credential_values), (2, 1));
    }

    #[test]
    fn an_escaped_spelling_hides_nothing() {
        let (text, _) = scrubbed(
            r#"{"p\u0061ssword":"x","u":"otpauth:\/\/totp\/a","k":"\u0065yJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln"}"#,
        );
        assert_eq!(text.as_deref(), Some("{}"));
    }

    #[test]
    fn a_key_that_stands_twice_hides_nothing() {
        let hash = "$2b$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy";
        let (text, _) = scrubbed(&format!(r#"{{"note":"{hash}","note":"my token"}}"#));
        assert_eq!(text.as_deref(), Some(r#"{"note":"my token"}"#));
    }

    #[test]
    fn what_is_clean_keeps_its_bytes_and_what_is_not_json_is_dropped() {
        let clean = r#"{ "a" : 1.0, "country": "P1" }"#;
        assert_eq!(scrubbed(clean), (Some(clean.to_owned()), Suppressed::default()));
        assert_eq!(scrubbed("{\"a\":1}\n{\"b\":2}").0, None);
        assert_eq!(scrubbed("{\"password\":").1.invalid_json, 1);
    }
}
