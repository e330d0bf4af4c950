//! The work that every contender does, as a typed transformation of NDJSON.
//!
//! - Only rows whose `state` is `active` stay.
//! - `locale` is dropped; `created_at` becomes `created`, and `last_login_at` becomes `last_login`.
//! - `name` keeps its first character: `Ada Lovelace` becomes `A***`.
//! - `email` becomes a pseudonym that is the same in every export of a tenant: `p_`, 32 hex digits of
//!   keyed BLAKE3 over the lower-cased address, and the lower-cased domain.
//!
//! `serde-typed` runs this natively and the Extism guest in its sandbox: what differs between the two
//! is the sandbox and the way in and out of it.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::Deserializer;

/// The state of the rows that stay.
pub const KEPT_STATE: &str = "active";

const KEY: [u8; 32] = [7; 32];
const PSEUDONYM_HEX_DIGITS: usize = 32;

/// A text that points into the input unless it holds an escape. serde borrows inside an `Option` only
/// what says itself that it borrows.
#[derive(Debug, Deserialize, Serialize)]
#[serde(transparent)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// What the work reads of a row: everything but the locale.
#[derive(Debug, Deserialize)]
struct Row<'a> {
    #[serde(borrow)]
    user_id: Text<'a>,
    email: Option<Text<'a>>,
    email_verified: Option<bool>,
    username: Option<Text<'a>>,
    name: Option<Text<'a>>,
    given_name: Option<Text<'a>>,
    family_name: Option<Text<'a>>,
    state: Text<'a>,
    created_at: Option<Text<'a>>,
    logins_count: Option<i64>,
    last_login_at: Option<Text<'a>>,
}

/// What the work writes of a row, in this order.
#[derive(Debug, Serialize)]
struct Exported<'a> {
    user_id: Text<'a>,
    email: Option<String>,
    email_verified: Option<bool>,
    username: Option<Text<'a>>,
    name: Option<String>,
    given_name: Option<Text<'a>>,
    family_name: Option<Text<'a>>,
    state: Text<'a>,
    created: Option<Text<'a>>,
    logins_count: Option<i64>,
    last_login: Option<Text<'a>>,
}

/// Appends to `out` what becomes of rows of NDJSON.
///
/// # Errors
///
/// When a row is not what the work expects.
pub fn transform(rows: &[u8], out: &mut Vec<u8>) -> serde_json::Result<()> {
    for row in Deserializer::from_slice(rows).into_iter::<Row<'_>>() {
        let row = row?;
        if row.state.0 == KEPT_STATE {
            serde_json::to_writer(&mut *out, &Exported::from(row))?;
            out.push(b'\n');
        }
    }
    Ok(())
}

impl<'a> From<Row<'a>> for Exported<'a> {
    fn from(row: Row<'a>) -> Self {
        Self {
            user_id: row.user_id,
            email: row.email.map(|email| pseudonym(&email.0)),
            email_verified: row.email_verified,
            username: row.username,
            name: row.name.map(|name| mask(&name.0)),
            given_name: row.given_name,
            family_name: row.family_name,
            state: row.state,
            created: row.created_at,
            logins_count: row.logins_count,
            last_login: row.last_login_at,
        }
    }
}

/// The first character of a text, and `***` for the rest, however long it is.
#[must_use]
pub fn mask(text: &str) -> String {
    let mut masked = String::with_capacity(char::MAX_LEN_UTF8 + 3);
    masked.extend(text.chars().next());
    masked.push_str("***");
    masked
}

/// What stands for an e-mail address.
#[must_use]
pub fn pseudonym(email: &str) -> String {
    let email = email.to_lowercase();
    let digest = blake3::keyed_hash(&KEY, email.as_bytes()).to_hex();
    let domain = email.rsplit_once('@').map_or("", |(_, domain)| domain);
    let mut pseudonym = String::with_capacity(3 + PSEUDONYM_HEX_DIGITS + domain.len());
    pseudonym.push_str("p_");
    pseudonym.push_str(&digest[..PSEUDONYM_HEX_DIGITS]);
    pseudonym.push('@');
    pseudonym.push_str(domain);
    pseudonym
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_keeps_its_first_character() {
        assert_eq!(mask("Ada Lovelace"), "A***");
        assert_eq!(mask("Żaneta"), "Ż***");
        assert_eq!(mask(""), "***");
    }

    #[test]
    fn a_pseudonym_ignores_case_and_keeps_the_domain() {
        let of_ada = pseudonym("Ada@Example.ORG");
        assert_eq!(of_ada, pseudonym("ada@example.org"));
        assert_ne!(of_ada, pseudonym("eve@example.org"));
        assert!(of_ada.starts_with("p_") && of_ada.ends_with("@example.org"));
        assert_eq!(of_ada.len(), "p_@example.org".len() + PSEUDONYM_HEX_DIGITS);
    }

    #[test]
    fn rows_that_are_not_active_go_and_columns_are_renamed() {
        let rows = concat!(
            r#"{"user_id":"u1","email":null,"email_verified":true,"username":"ada","name":null,"#,
            r#""given_name":"A\"da","family_name":null,"state":"active","locale":"en","#,
            r#""created_at":"2024-01-02T03:04:05Z","logins_count":3,"last_login_at":null}"#,
            "\n",
            r#"{"user_id":"u2","email":null,"email_verified":true,"username":null,"name":null,"#,
            r#""given_name":null,"family_name":null,"state":"blocked","locale":"en","#,
            r#""created_at":"2024-01-02T03:04:05Z","logins_count":3,"last_login_at":null}"#,
            "\n",
        );
        let mut out = Vec::new();
        transform(rows.as_bytes(), &mut out).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            concat!(
                r#"{"user_id":"u1","email":null,"email_verified":true,"username":"ada","name":null,"#,
                r#""given_name":"A\"da","family_name":null,"state":"active","#,
                r#""created":"2024-01-02T03:04:05Z","logins_count":3,"last_login":null}"#,
                "\n",
            )
        );
    }
}
