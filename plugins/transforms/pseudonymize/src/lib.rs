//! Replaces identifying values by keyed pseudonyms that stay the same between exports.
//!
//! ```json
//! {"fields": ["email", "name"], "email_domain": "keep"}
//! ```
//!
//! A pseudonym is `p_` and 32 hex digits: the first 128 bits of BLAKE3, keyed with a key that
//! only this tenant's exports have, over the field's name and the value. Equal values of one field
//! have equal pseudonyms in every export of the tenant; across fields and tenants they do not
//! match. E-mail addresses are compared without case. Pseudonymized data is still personal data:
//! whoever has the key can tell who it is.

use exeat_sdk::{Fault, Job, Output, Reject, Row, Text, TextOut, Transform, TransformPlan, Verdict, append};
use schemars::JsonSchema;
use serde::Deserialize;

/// Which fields, and what becomes of e-mail domains.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The text fields to pseudonymize. Left out: email, username, name, given_name, family_name
    /// and nickname, as far as they are part of the export.
    pub fields: Option<Vec<String>>,
    /// What becomes of the domain of an e-mail address.
    #[serde(default)]
    pub email_domain: EmailDomain,
}

/// What becomes of the domain of an e-mail address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EmailDomain {
    /// It stays, so that users of one organization can still be told apart from others.
    #[default]
    Keep,
    /// `pseudonym.invalid` stands in its place: no mail can ever reach it (RFC 2606).
    Drop,
}

const DEFAULT_FIELDS: [&str; 6] = [
    "email",
    "username",
    "name",
    "given_name",
    "family_name",
    "nickname",
];
const DROPPED_DOMAIN: &str = "pseudonym.invalid";
/// Bytes of the hash that a pseudonym shows, two hex digits each.
const PSEUDONYM_BYTES: usize = 16;

/// Pseudonyms at work: the columns to replace, and the key.
pub struct Pseudonymize {
    key: [u8; 32],
    email_domain: EmailDomain,
    columns: Vec<Column>,
    /// What is hashed, put together here for one value after the other.
    hashed: Vec<u8>,
}

/// Shows no key.
impl std::fmt::Debug for Pseudonymize {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pseudonymize")
            .field("columns", &self.columns)
            .finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct Column {
    /// What is hashed before each value: the field's name and a zero byte.
    prefix: Box<[u8]>,
    from: Text,
    to: TextOut,
}

impl Transform for Pseudonymize {
    type Config = Config;

    fn open(config: Config, job: &Job, plan: &mut TransformPlan) -> Result<Self, Fault> {
        let chosen = match &config.fields {
            Some(fields) => check_fields(fields, plan)?,
            None => DEFAULT_FIELDS.iter().map(|field| (*field).to_owned()).collect(),
        };
        let selected: Vec<String> = plan
            .input()
            .iter()
            .filter(|field| field.selected)
            .map(|field| field.name.clone())
            .collect();
        let mut columns = Vec::new();
        for field in selected {
            if chosen.contains(&field) {
                let from = plan.read_text(&field)?;
                let to = plan.compute_text(&field);
                let prefix = [field.as_bytes(), &[0]].concat().into();
                columns.push(Column { prefix, from, to });
            } else {
                plan.pass(&field)?;
            }
        }
        Ok(Self {
            key: job.pseudonym_key,
            email_domain: config.email_domain,
            columns,
            hashed: Vec::new(),
        })
    }

    fn row(&mut self, row: Row<'_>, out: &mut Output) -> Result<Verdict, Reject> {
        let Self {
            key,
            email_domain,
            columns,
            hashed,
        } = self;
        for column in columns {
            let Some(value) = row.text(column.from).filter(|value| !value.is_empty()) else {
                continue;
            };
            hashed.clear();
            append(hashed, &column.prefix);
            let Some((_, domain)) = value.rsplit_once('@') else {
                append(hashed, value.as_bytes());
                out.text_with(column.to, |text| write_pseudonym(text, key, hashed));
                continue;
            };
            extend_lowercase(hashed, value.trim());
            out.text_with(column.to, |text| {
                write_pseudonym(text, key, hashed);
                text.push('@');
                match email_domain {
                    EmailDomain::Keep => {
                        hashed.clear();
                        extend_lowercase(hashed, domain.trim());
                        text.push_str(std::str::from_utf8(hashed).unwrap_or_default());
                    }
                    EmailDomain::Drop => text.push_str(DROPPED_DOMAIN),
                }
            });
        }
        Ok(Verdict::Keep)
    }
}

/// Appends a text in lower case. Nearly all addresses are ASCII.
fn extend_lowercase(bytes: &mut Vec<u8>, text: &str) {
    if text.is_ascii() {
        bytes.extend(text.bytes().map(|byte| byte.to_ascii_lowercase()));
    } else {
        bytes.extend_from_slice(text.to_lowercase().as_bytes());
    }
}

fn write_pseudonym(text: &mut exeat_sdk::TextWriter<'_>, key: &[u8; 32], hashed: &[u8]) {
    let hash = blake3::keyed_hash(key, hashed);
    let mut pseudonym = *b"p_00000000000000000000000000000000";
    let digits = pseudonym[2..].as_chunks_mut::<2>().0;
    for (byte, digits) in hash.as_bytes()[..PSEUDONYM_BYTES].iter().zip(digits) {
        *digits = [hex_digit(byte >> 4), hex_digit(byte & 0xf)];
    }
    text.push_str(std::str::from_utf8(&pseudonym).unwrap_or_default());
}

/// Without a table and without a branch, so that all digits are made together.
fn hex_digit(nibble: u8) -> u8 {
    nibble + b'0' + u8::from(nibble > 9) * (b'a' - b'0' - 10)
}

fn check_fields(fields: &[String], plan: &mut TransformPlan) -> Result<Vec<String>, Fault> {
    for (index, field) in fields.iter().enumerate() {
        let pointer = format!("/fields/{index}");
        match plan.find(field) {
            Some(found) if found.selected => plan.read_text(field).map_err(|fault| fault.at(&pointer))?,
            _ => {
                let message =
                    format!("the field \"{field}\" is not part of this export; ask for it with the fields");
                return Err(Fault::config(pointer, message));
            }
        };
    }
    Ok(fields.to_vec())
}

exeat_sdk::export_transform!(
    Pseudonymize,
    "Replaces identifying values by keyed pseudonyms that stay the same."
);
