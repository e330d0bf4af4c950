//! The work of the transform benches: masks names, replaces e-mail addresses by keyed pseudonyms,
//! drops a column, renames two, keeps active users.

use exeat_sdk::{
    AnyColumn, BoolOut, ColumnType, Fault, IntOut, Job, Output, Reject, Row, Text, TextOut, TimestampOut,
    Transform, TransformPlan, Value, Verdict, append_lowercase,
};
use schemars::JsonSchema;
use serde::Deserialize;

/// The column that nobody gets.
pub const DROPPED: &str = "locale";
/// The columns that are called otherwise in the output.
pub const RENAMED: [(&str, &str); 2] = [("created_at", "created"), ("last_signed_in_at", "last_login")];
/// The state of users who stay.
pub const KEPT_STATE: &str = "active";
/// What stands for all of a name but its first character.
pub const MASK: &str = "***";

/// How the work is done.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Copies every column through the sandbox, as if there were no plans.
    #[serde(default)]
    pub touch_all: bool,
}

/// The work, on a job.
#[derive(Debug)]
pub struct Mask {
    key: [u8; 32],
    name: Text,
    email: Text,
    state: Text,
    masked: TextOut,
    pseudonym: TextOut,
    copied: Vec<(AnyColumn, CopyOut)>,
    lowercase: Vec<u8>,
}

#[derive(Debug)]
enum CopyOut {
    Text(TextOut),
    Bool(BoolOut),
    Int(IntOut),
    Timestamp(TimestampOut),
}

impl Transform for Mask {
    type Config = Config;

    fn open(config: Config, job: &Job, plan: &mut TransformPlan) -> Result<Self, Fault> {
        let (name, email) = (plan.read_text("name")?, plan.read_text("email")?);
        let state = plan.read_text("state")?;
        let (mut masked, mut pseudonym) = (None, None);
        let mut copied = Vec::new();
        let selected: Vec<_> = plan
            .input()
            .iter()
            .filter(|field| field.selected && field.name != DROPPED)
            .cloned()
            .collect();
        for field in selected {
            let renamed = RENAMED.iter().find(|(from, _)| *from == field.name);
            let new_name = renamed.map_or(field.name.as_str(), |(_, to)| to);
            match field.name.as_str() {
                "name" => masked = Some(plan.compute_text(new_name)),
                "email" => pseudonym = Some(plan.compute_text(new_name)),
                _ if !config.touch_all => plan.pass_as(&field.name, new_name)?,
                _ => {
                    let from = plan.read_any(&field.name)?;
                    let to = match field.column_type {
                        ColumnType::Boolean => CopyOut::Bool(plan.compute_bool(new_name)),
                        ColumnType::Int64 => CopyOut::Int(plan.compute_int(new_name)),
                        ColumnType::TimestampUs => CopyOut::Timestamp(plan.compute_timestamp(new_name)),
                        _ => CopyOut::Text(plan.compute_text(new_name)),
                    };
                    copied.push((from, to));
                }
            }
        }
        let missing = || Fault::schema("name, email", "are not selected");
        Ok(Self {
            key: job.pseudonym_key,
            name,
            email,
            state,
            masked: masked.ok_or_else(missing)?,
            pseudonym: pseudonym.ok_or_else(missing)?,
            copied,
            lowercase: Vec::new(),
        })
    }

    fn row(&mut self, row: Row<'_>, out: &mut Output) -> Result<Verdict, Reject> {
        if row.text(self.state) != Some(KEPT_STATE) {
            return Ok(Verdict::Drop);
        }
        if let Some(first) = row.text(self.name).and_then(|name| name.chars().next()) {
            out.text_with(self.masked, |text| {
                text.push(first);
                text.push_str(MASK);
            });
        }
        if let Some(email) = row.text(self.email) {
            let (hash, domain) = pseudonym(&self.key, email, &mut self.lowercase);
            out.text_with(self.pseudonym, |text| {
                text.push_str(PREFIX);
                text.push_hex(&hash);
                text.push_lowercase(domain);
            });
        }
        for (from, to) in &self.copied {
            match (row.value(*from), to) {
                (Value::Text(value), CopyOut::Text(to)) => out.text(*to, value),
                (Value::Bool(value), CopyOut::Bool(to)) => out.bool(*to, value),
                (Value::Int(value), CopyOut::Int(to)) => out.int(*to, value),
                (Value::Timestamp(value), CopyOut::Timestamp(to)) => out.timestamp(*to, value),
                _ => {}
            }
        }
        Ok(Verdict::Keep)
    }
}

/// What stands before a pseudonym.
pub const PREFIX: &str = "p_";

/// What a pseudonym is made of: the first 16 bytes of the keyed hash of an address in lower case
/// (put together in `lowercase`), and the address's domain with its `@`.
pub fn pseudonym<'e>(key: &[u8; 32], email: &'e str, lowercase: &mut Vec<u8>) -> ([u8; 16], &'e str) {
    lowercase.clear();
    append_lowercase(lowercase, email);
    let hash = blake3::keyed_hash(key, lowercase);
    let hash = hash.as_bytes().first_chunk().copied().unwrap_or_default();
    let at = email.bytes().rposition(|byte| byte == b'@');
    (hash, at.and_then(|at| email.get(at..)).unwrap_or_default())
}

exeat_sdk::export_transform!(Mask, "The work of the transform benches.");
