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

use exeat_sdk::{
    Fault, Job, Output, Reject, Row, Text, TextOut, TextWriter, Transform, TransformPlan, Verdict, append,
    append_lowercase,
};
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
    /// What is hashed: the field's name and a zero byte, which stay, and one value after the other.
    hashed: Vec<u8>,
    /// Bytes of `hashed` that stay.
    prefix: usize,
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
                let hashed = [field.as_bytes(), &[0]].concat();
                let prefix = hashed.len();
                columns.push(Column {
                    hashed,
                    prefix,
                    from,
                    to,
                });
            } else {
                plan.pass(&field)?;
            }
        }
        Ok(Self {
            key: job.pseudonym_key,
            email_domain: config.email_domain,
            columns,
        })
    }

    fn row(&mut self, row: Row<'_>, out: &mut Output) -> Result<Verdict, Reject> {
        let key = &self.key;
        for column in &mut self.columns {
            let Some(value) = row.text(column.from).filter(|value| !value.is_empty()) else {
                continue;
            };
            let hashed = &mut column.hashed;
            hashed.truncate(column.prefix);
            match domain(value) {
                None => {
                    append(hashed, value.as_bytes());
                    out.text_with(column.to, |text| write_pseudonym(text, key, hashed));
                }
                Some(domain) => {
                    append_lowercase(hashed, value.trim());
                    out.text_with(column.to, |text| {
                        write_pseudonym(text, key, hashed);
                        text.push('@');
                        match self.email_domain {
                            EmailDomain::Keep => text.push_lowercase(domain.trim()),
                            EmailDomain::Drop => text.push_str(DROPPED_DOMAIN),
                        }
                    });
                }
            }
        }
        Ok(Verdict::Keep)
    }
}

/// What stands behind the last `@`. Most values are names and have none, which is found out without
/// a branch for each byte.
fn domain(value: &str) -> Option<&str> {
    let bytes = value.as_bytes();
    if !bytes.iter().fold(false, |found, byte| found | (*byte == b'@')) {
        return None;
    }
    let at = bytes.iter().rposition(|byte| *byte == b'@')?;
    value.get(at + 1..)
}

fn write_pseudonym(text: &mut TextWriter<'_>, key: &[u8; 32], hashed: &[u8]) {
    let hash = blake3::keyed_hash(key, hashed);
    text.push_str("p_");
    text.push_hex(&hash.as_bytes()[..PSEUDONYM_BYTES]);
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
