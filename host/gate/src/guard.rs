//! The output guard: layer four of what never leaves, after every plugin.

use std::collections::HashSet;
use std::sync::Arc;

use arrow_array::{
    Array, ArrayRef, BooleanArray, Float64Array, Int64Array, ListArray, StringArray,
    TimestampMicrosecondArray, new_null_array,
};
use arrow_select::filter::FilterBuilder;
use serde::de::IgnoredAny;
use thiserror::Error;

use crate::batch::{ShapedBatch, record_batch};
use crate::catalog::catalog;
use crate::credentials::{CredentialShape, find_credential, may_hold_credential};
use crate::schema::{ColumnSpec, ColumnType, Schema};
use crate::scrub::scrub;

/// Longest name of an output column, in bytes.
const MAX_NAME_BYTES: usize = 128;

/// Columns that a plan may put out: each costs every row of every batch.
const MAX_COLUMNS: usize = 1_000;

/// Bytes of all constants of a plan together: each stands in every row of every batch.
const MAX_CONSTANT_BYTES: usize = 16 << 10;

/// What an array of one value takes besides the value, at most.
const ARRAY_OVERHEAD_BYTES: usize = 512;

/// How many bytes of a file are looked at again together with the next ones, so that nothing
/// hides across the border of two chunks.
const OVERLAP_BYTES: usize = 1024;

/// One column of what a plugin puts out.
#[derive(Clone, Debug, PartialEq)]
pub enum ShapedColumn {
    /// A column of the input, untouched.
    Pass {
        /// Index of the input column.
        input: usize,
        /// Name in the output.
        name: String,
    },
    /// The same value in every row.
    Constant {
        /// Name and type in the output.
        spec: ColumnSpec,
        /// An array of one value.
        value: ArrayRef,
    },
    /// A column that the plugin computes.
    Computed(ColumnSpec),
}

/// A plugin put out something that may not leave, or that does not fit.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum GuardError {
    /// A column or JSON key has the name of something that never leaves.
    #[error("the output names \"{name}\", which is never exported: {why}")]
    NeverName {
        /// The name.
        name: String,
        /// Why it never leaves.
        why: String,
    },
    /// A column's name cannot stand in a file.
    #[error("output column {index} has a name that is empty, too long, not unique or not printable")]
    BadName {
        /// Place in the plan, from 0.
        index: usize,
    },
    /// A plan puts out more than one may.
    #[error("the output has more than {most} {what}")]
    TooLarge {
        /// Of what there is too much.
        what: &'static str,
        /// How much there may be.
        most: usize,
    },
    /// A value has the shape of a credential.
    #[error("the output holds what looks like a credential ({shape:?}) in {place}")]
    Credential {
        /// The shape that was found.
        shape: CredentialShape,
        /// Where: a column and row, or a file. Never the value.
        place: String,
    },
    /// JSON in the output holds a key that names a credential.
    #[error("the output holds a key that names a credential in {place}")]
    CredentialKey {
        /// Where.
        place: String,
    },
    /// A JSON column holds something else.
    #[error("the output holds a value that is not JSON in {place}")]
    NotJson {
        /// Where.
        place: String,
    },
    /// The columns do not fit the plan.
    #[error("the output columns do not fit the plan")]
    Columns,
}

impl GuardError {
    /// Whether the output holds, or names, what never leaves.
    pub fn is_never(&self) -> bool {
        matches!(
            self,
            Self::NeverName { .. } | Self::Credential { .. } | Self::CredentialKey { .. }
        )
    }
}

/// Checks a plugin's plan once, and everything that it computes.
#[derive(Clone, Debug)]
pub struct OutputGuard {
    columns: Vec<ShapedColumn>,
    schema: Schema,
}

impl OutputGuard {
    /// A guard for a plan over columns of these specifications.
    ///
    /// # Errors
    /// A name that never leaves, that cannot stand in a file or that stands there twice; a
    /// credential in a constant; a passed column that is not there.
    pub fn new(input: &[ColumnSpec], columns: Vec<ShapedColumn>) -> Result<Self, GuardError> {
        if columns.len() > MAX_COLUMNS {
            return Err(GuardError::TooLarge {
                what: "columns",
                most: MAX_COLUMNS,
            });
        }
        let constants = columns.iter().map(|column| match column {
            ShapedColumn::Constant { value, .. } => value.get_array_memory_size(),
            _ => 0,
        });
        if constants.sum::<usize>() > MAX_CONSTANT_BYTES + columns.len() * ARRAY_OVERHEAD_BYTES {
            return Err(GuardError::TooLarge {
                what: "bytes of constants",
                most: MAX_CONSTANT_BYTES,
            });
        }
        let mut names = HashSet::new();
        let mut schema = Vec::with_capacity(columns.len());
        for (index, column) in columns.iter().enumerate() {
            let spec = match column {
                ShapedColumn::Pass { input: from, name } => {
                    let from = input.get(*from).ok_or(GuardError::Columns)?;
                    ColumnSpec {
                        name: name.clone(),
                        ..from.clone()
                    }
                }
                ShapedColumn::Constant { spec, value } => {
                    check_column(spec, value)?;
                    spec.clone()
                }
                ShapedColumn::Computed(spec) => spec.clone(),
            };
            if let Some(why) = catalog().never(&spec.name) {
                return Err(GuardError::NeverName {
                    name: spec.name,
                    why: why.to_owned(),
                });
            }
            let printable = !spec.name.chars().any(char::is_control);
            let fits = !spec.name.is_empty() && spec.name.len() <= MAX_NAME_BYTES && printable;
            if !fits || !names.insert(spec.name.clone()) {
                return Err(GuardError::BadName { index });
            }
            schema.push(spec);
        }
        Ok(Self {
            columns,
            schema: schema.into(),
        })
    }

    /// Names and types of the columns that come out.
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// Puts the output together: passed and constant columns, and the computed ones once they
    /// are found clean; then leaves out the rows whose `keep` is false.
    ///
    /// # Errors
    /// A computed column that holds a credential, or that does not fit the plan.
    pub fn admit(
        &self,
        input: &ShapedBatch,
        computed: Vec<ArrayRef>,
        keep: Option<&BooleanArray>,
    ) -> Result<ShapedBatch, GuardError> {
        let rows = input.rows();
        let mut computed = computed.into_iter();
        let mut columns = Vec::with_capacity(self.columns.len());
        for (column, spec) in self.columns.iter().zip(self.schema.iter()) {
            columns.push(match column {
                ShapedColumn::Pass { input: from, .. } => Arc::clone(input.columns.column(*from)),
                ShapedColumn::Constant { value, .. } => repeated(value, rows)?,
                ShapedColumn::Computed(_) => {
                    let array = computed.next().ok_or(GuardError::Columns)?;
                    check_column(spec, &array)?;
                    array
                }
            });
        }
        let mut columns = record_batch(&self.schema, columns, rows).map_err(|_| GuardError::Columns)?;
        let mut user_ids = input.user_ids.clone();
        if let Some(keep) = keep {
            let rows = FilterBuilder::new(keep).optimize().build();
            columns = rows
                .filter_record_batch(&columns)
                .map_err(|_| GuardError::Columns)?;
            let kept = user_ids.map(|ids| rows.filter(&ids));
            let kept = kept.transpose().map_err(|_| GuardError::Columns)?;
            user_ids = kept.and_then(|ids| ids.as_any().downcast_ref().cloned());
        }
        Ok(ShapedBatch {
            schema: Arc::clone(&self.schema),
            columns,
            user_ids,
        })
    }
}

fn repeated(value: &ArrayRef, rows: usize) -> Result<ArrayRef, GuardError> {
    if value.is_null(0) {
        return Ok(new_null_array(value.data_type(), rows));
    }
    fn one<T: Array + 'static>(value: &ArrayRef) -> Option<&T> {
        value.as_any().downcast_ref()
    }
    let array: Option<ArrayRef> = if let Some(value) = one::<StringArray>(value) {
        Some(Arc::new(StringArray::new_repeated(value.value(0), rows)))
    } else if let Some(value) = one::<Int64Array>(value) {
        Some(Arc::new(Int64Array::from_value(value.value(0), rows)))
    } else if let Some(value) = one::<Float64Array>(value) {
        Some(Arc::new(Float64Array::from_value(value.value(0), rows)))
    } else if let Some(value) = one::<TimestampMicrosecondArray>(value) {
        Some(Arc::new(TimestampMicrosecondArray::from_value(
            value.value(0),
            rows,
        )))
    } else {
        one::<BooleanArray>(value)
            .map(|value| Arc::new(BooleanArray::from(vec![value.value(0); rows])) as ArrayRef)
    };
    array.ok_or(GuardError::Columns)
}

/// Looks for credentials in the values of one column.
fn check_column(spec: &ColumnSpec, array: &ArrayRef) -> Result<(), GuardError> {
    if *array.data_type() != spec.column_type.arrow() {
        return Err(GuardError::Columns);
    }
    let texts = match spec.column_type {
        ColumnType::Utf8 | ColumnType::Json => array.as_any().downcast_ref::<StringArray>(),
        ColumnType::Utf8List => array
            .as_any()
            .downcast_ref::<ListArray>()
            .and_then(|lists| lists.values().as_any().downcast_ref::<StringArray>()),
        _ => return Ok(()),
    };
    let texts = texts.ok_or(GuardError::Columns)?;
    if spec.column_type == ColumnType::Json {
        return check_json(spec, texts);
    }
    if find_credential(texts.value_data()).is_none() {
        return Ok(());
    }
    for (row, text) in texts.iter().enumerate() {
        if let Some(shape) = text.and_then(|text| find_credential(text.as_bytes())) {
            return Err(GuardError::Credential {
                shape,
                place: place(spec, row),
            });
        }
    }
    Ok(())
}

fn check_json(spec: &ColumnSpec, texts: &StringArray) -> Result<(), GuardError> {
    let mut known = KnownKeys::default();
    for (row, text) in texts.iter().enumerate() {
        let Some(text) = text else { continue };
        let not_json = |_| GuardError::NotJson {
            place: place(spec, row),
        };
        if !may_hold_credential(text.as_bytes()) {
            serde_json::from_str::<IgnoredAny>(text).map_err(not_json)?;
            continue;
        }
        let mut value = serde_json::from_str(text).map_err(not_json)?;
        let mut suppressed = crate::batch::Suppressed::default();
        scrub(&mut value, &mut suppressed);
        if suppressed.credential_keys > 0 {
            return Err(GuardError::CredentialKey {
                place: place(spec, row),
            });
        }
        // The text itself, too: of a key that stands twice, the value that was parsed is the last.
        let raw = find_credential(text.as_bytes());
        if suppressed.credential_values > 0 || raw.is_some() {
            let shape = raw.unwrap_or(CredentialShape::PasswordHash);
            return Err(GuardError::Credential {
                shape,
                place: place(spec, row),
            });
        }
        check_keys(text.as_bytes(), &mut known)?;
    }
    Ok(())
}

fn place(spec: &ColumnSpec, row: usize) -> String {
    format!("column \"{}\", row {row} of the batch", spec.name)
}

/// Looks through the bytes of an adapter's files, as they come.
#[derive(Debug, Default)]
pub struct BytesGuard {
    tail: Vec<u8>,
    keys: KnownKeys,
}

impl BytesGuard {
    /// Forgets what it saw: a new file begins.
    pub fn begin_file(&mut self) {
        self.tail.clear();
    }

    /// Checks the next bytes of the file.
    ///
    /// # Errors
    /// A credential's shape, or a JSON key that is the name of something that never leaves.
    pub fn check(&mut self, file: &str, bytes: &[u8]) -> Result<(), GuardError> {
        check_bytes(file, bytes, &mut self.keys)?;
        if !self.tail.is_empty() {
            self.tail
                .extend_from_slice(&bytes[..bytes.len().min(OVERLAP_BYTES)]);
            check_bytes(file, &self.tail, &mut self.keys)?;
        }
        let keep = if bytes.len() < OVERLAP_BYTES && !self.tail.is_empty() {
            self.tail.len().min(OVERLAP_BYTES)
        } else {
            self.tail.clear();
            self.tail
                .extend_from_slice(&bytes[bytes.len().saturating_sub(OVERLAP_BYTES)..]);
            return Ok(());
        };
        self.tail.drain(..self.tail.len() - keep);
        Ok(())
    }
}

fn check_bytes(file: &str, bytes: &[u8], keys: &mut KnownKeys) -> Result<(), GuardError> {
    match find_credential(bytes) {
        Some(shape) => Err(GuardError::Credential {
            shape,
            place: format!("the file {file}"),
        }),
        None => check_keys(bytes, keys),
    }
}

/// Longest JSON key that is looked at, in bytes: no name of something that never leaves is longer,
/// in any spelling.
const MAX_KEY_BYTES: usize = 64;

/// Looks for JSON keys that are, in any spelling, the name of something that never leaves: a text in
/// quotes, perhaps white space, a colon.
fn check_keys(bytes: &[u8], known: &mut KnownKeys) -> Result<(), GuardError> {
    for colon in memchr::memchr_iter(b':', bytes) {
        let Some(quoted) = bytes[..colon].trim_ascii_end().strip_suffix(b"\"") else {
            continue;
        };
        let near = &quoted[quoted.len().saturating_sub(MAX_KEY_BYTES + 1)..];
        let Some(quote) = memchr::memrchr(b'"', near) else {
            continue;
        };
        let key = &near[quote + 1..];
        // In JSON, none of these stands in a name that is spelled out: the quote was an escaped one.
        if known.hold(key) || key.iter().any(|byte| *byte == b'\\' || *byte < 0x20) {
            continue;
        }
        let name = String::from_utf8_lossy(key);
        if let Some(why) = catalog().never(&name) {
            return Err(GuardError::NeverName {
                name: name.into_owned(),
                why: why.to_owned(),
            });
        }
        known.add(key);
    }
    Ok(())
}

/// Keys that were looked at before and may leave. Those of one object come again with the next one,
/// in the same order.
#[derive(Default)]
struct KnownKeys {
    keys: Vec<Box<[u8]>>,
    /// Which one is expected.
    next: usize,
}

impl KnownKeys {
    /// Keys that are remembered: more than a row has, fewer than a hostile adapter could fill memory
    /// or time with.
    const MOST: usize = 128;

    fn hold(&mut self, key: &[u8]) -> bool {
        let expected = self.keys.get(self.next).is_some_and(|known| **known == *key);
        let place = if expected {
            Some(self.next)
        } else {
            self.keys.iter().position(|known| **known == *key)
        };
        if let Some(place) = place {
            self.next = (place + 1) % self.keys.len();
        }
        place.is_some()
    }

    fn add(&mut self, key: &[u8]) {
        if self.keys.len() < Self::MOST {
            self.keys.push(key.into());
        }
    }
}

/// Says how many, not which.
impl std::fmt::Debug for KnownKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "KnownKeys({})", self.keys.len())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn spec(name: &str, column_type: ColumnType) -> ColumnSpec {
        ColumnSpec {
            name: name.to_owned(),
            column_type,
            nullable: true,
        }
    }

    fn computed(name: &str, column_type: ColumnType) -> Vec<ShapedColumn> {
        vec![ShapedColumn::Computed(spec(name, column_type))]
    }

    fn input(rows: usize) -> ShapedBatch {
        let schema: Schema = [spec("user_id", ColumnType::Utf8)].into();
        let ids: ArrayRef = Arc::new(StringArray::from_iter_values(
            (0..rows).map(|n| format!("usr_{n}")),
        ));
        let columns = record_batch(&schema, vec![ids], rows).unwrap();
        ShapedBatch {
            schema,
            columns,
            user_ids: None,
        }
    }

    #[test]
    fn an_output_column_may_not_take_a_never_name() {
        for name in ["password_hash", "PasswordHash", "phone_number"] {
            let error = OutputGuard::new(&[], computed(name, ColumnType::Utf8)).unwrap_err();
            assert!(matches!(error, GuardError::NeverName { .. }), "{name}");
        }
    }

    #[test]
    fn a_credential_in_a_computed_column_is_caught() {
        let guard = OutputGuard::new(&[], computed("note", ColumnType::Utf8)).unwrap();
        let invented: ArrayRef = Arc::new(StringArray::from(vec!["fine", "otpauth://totp/x"]));
        let error = guard.admit(&input(2), vec![invented], None).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the output holds what looks like a credential (OtpUri) in column \"note\", row 1 of the batch"
        );
    }

    #[test]
    fn a_never_name_or_a_broken_value_in_computed_json_is_caught() {
        let guard = OutputGuard::new(&[], computed("extra", ColumnType::Json)).unwrap();
        let key: ArrayRef = Arc::new(StringArray::from(vec![r#"{"a":{"refresh_token":"x"}}"#]));
        assert!(matches!(
            guard.admit(&input(1), vec![key], None),
            Err(GuardError::CredentialKey { .. })
        ));
        let broken: ArrayRef = Arc::new(StringArray::from(vec!["{\"a\":"]));
        assert!(matches!(
            guard.admit(&input(1), vec![broken], None),
            Err(GuardError::NotJson { .. })
        ));
    }

    #[test]
    fn kept_rows_come_out_with_passed_and_constant_columns() {
        let constant: ArrayRef = Arc::new(StringArray::from(vec!["exeat"]));
        let columns = vec![
            ShapedColumn::Constant {
                spec: spec("source", ColumnType::Utf8),
                value: constant,
            },
            ShapedColumn::Pass {
                input: 0,
                name: "id".to_owned(),
            },
        ];
        let guard = OutputGuard::new(&[spec("user_id", ColumnType::Utf8)], columns).unwrap();
        let keep = BooleanArray::from(vec![false, true]);
        let shaped = guard.admit(&input(2), Vec::new(), Some(&keep)).unwrap();
        assert_eq!(shaped.rows(), 1);
        let names: Vec<&str> = shaped
            .schema()
            .iter()
            .map(|column| column.name.as_str())
            .collect();
        assert_eq!(names, ["source", "id"]);
    }

    #[test]
    fn a_plan_that_would_flood_every_row_is_refused() {
        let value: ArrayRef = Arc::new(StringArray::from(vec!["x".repeat(1 << 20)]));
        let constant = ShapedColumn::Constant {
            spec: spec("x", ColumnType::Utf8),
            value,
        };
        assert!(matches!(
            OutputGuard::new(&[], vec![constant]),
            Err(GuardError::TooLarge { .. })
        ));
        let many = (0..1_001).map(|n| ShapedColumn::Computed(spec(&format!("c{n}"), ColumnType::Int64)));
        assert!(matches!(
            OutputGuard::new(&[], many.collect()),
            Err(GuardError::TooLarge { .. })
        ));
    }

    #[test]
    fn a_key_that_stands_twice_hides_no_credential() {
        let guard = OutputGuard::new(&[], computed("extra", ColumnType::Json)).unwrap();
        let twice: ArrayRef = Arc::new(StringArray::from(vec![r#"{"a":"otpauth://totp/x","a":"y"}"#]));
        assert!(matches!(
            guard.admit(&input(1), vec![twice], None),
            Err(GuardError::Credential { .. })
        ));
    }

    proptest! {
        /// Held against a pattern that says the same.
        #[test]
        fn a_key_is_found_however_it_stands(
            pieces in proptest::collection::vec(prop::sample::select(vec![
                "\"", "password_hash", "refreshToken", ":", " ", "\n", "\\", ",", "a", "{", "\"id\":1,",
            ]), 0..30),
        ) {
            let text = pieces.concat();
            let pattern = regex::Regex::new(r#""([^"\\\x00-\x1f]{1,64})"[ \t\r\n\x0C]*:"#).unwrap();
            // From every place, since a match hides those that begin in it.
            let never = (0..text.len())
                .filter_map(|from| pattern.captures_at(&text, from))
                .any(|found| catalog().never(&found[1]).is_some());
            prop_assert_eq!(check_keys(text.as_bytes(), &mut KnownKeys::default()).is_err(), never);
        }
    }

    #[test]
    fn a_credential_across_two_chunks_is_caught() {
        let mut guard = BytesGuard::default();
        guard
            .check("users.json", b"[{\"note\":\"-----BEGIN PRIV")
            .unwrap();
        guard.check("users.json", b"ATE ").unwrap();
        assert!(guard.check("users.json", b"KEY-----\"}]").is_err());
        guard.begin_file();
        assert!(
            guard
                .check("users.json", br#"[{"password_hash" : "x"}]"#)
                .is_err()
        );
        assert!(
            guard
                .check("users.json", br#"[{"name":"\"password_hash\": x"}]"#)
                .is_ok()
        );
    }
}
