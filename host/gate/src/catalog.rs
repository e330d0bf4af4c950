//! The export policy: `fields.toml`, parsed once.

use std::collections::{BTreeMap, HashMap};
use std::sync::LazyLock;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::schema::{ColumnSpec, ColumnType};

/// What may leave, in which form, and what never does.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FieldCatalog {
    version: String,
    #[serde(rename = "field")]
    fields: Vec<Field>,
    columns: BTreeMap<String, BTreeMap<String, Column>>,
    own_tables: OwnTables,
    /// Squashed name to reason, derived from `columns`.
    #[serde(skip)]
    never_by_name: HashMap<String, String>,
}

/// How freely a field leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FieldClass {
    /// In the default set.
    Everyday,
    /// Must be asked for.
    Optional,
    /// Must be asked for by somebody who may have it: where a user is, and what nobody of us chose.
    OptionalSensitive,
    /// Must be asked for, and only this derived form leaves.
    Derived,
}

/// What the anonymize toggle does to a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Anonymized {
    /// It leaves as it is.
    Keep,
    /// Each value becomes `[redacted]`.
    Redact,
    /// Each text inside a list or a JSON value becomes `[redacted]` where it may tell who it is.
    RedactText,
}

/// One thing that an export can hold.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Field {
    /// Name, in requests and in the output.
    pub name: String,
    /// How freely it leaves.
    pub class: FieldClass,
    /// Type of its values.
    #[serde(rename = "type")]
    pub column_type: ColumnType,
    /// Whether a user may lack it.
    #[serde(default = "nullable")]
    pub nullable: bool,
    /// What the anonymize toggle does to it.
    pub anonymized: Anonymized,
    /// What it is, for people.
    pub summary: String,
}

fn nullable() -> bool {
    true
}

impl Field {
    /// The field as a column.
    pub fn spec(&self) -> ColumnSpec {
        ColumnSpec {
            name: self.name.clone(),
            column_type: self.column_type,
            nullable: self.nullable,
        }
    }
}

/// How a column of the directory's tables is classified.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Classification {
    /// Leaves by default.
    Everyday,
    /// Leaves when asked for.
    Optional,
    /// Leaves when asked for by somebody who may have it.
    OptionalSensitive,
    /// Only a derived form leaves.
    Derived,
    /// Never leaves.
    Never,
}

/// One column of the directory's tables.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Column {
    /// How it is classified.
    pub class: Classification,
    /// The fields that are made of it.
    #[serde(default)]
    pub fields: Vec<String>,
    /// The names under which what may not leave might be asked for.
    #[serde(default)]
    pub names: Vec<String>,
    /// Why it may not leave as it is.
    #[serde(default)]
    pub why: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct OwnTables {
    names: Vec<String>,
}

/// The policy that is compiled in.
pub fn catalog() -> &'static FieldCatalog {
    static CATALOG: LazyLock<FieldCatalog> = LazyLock::new(|| {
        let mut catalog: FieldCatalog =
            toml::from_str(include_str!("fields.toml")).expect("fields.toml is tested");
        catalog.never_by_name = catalog
            .never_names()
            .map(|(name, why)| (squash(name), why.to_owned()))
            .collect();
        catalog
    });
    &CATALOG
}

impl FieldCatalog {
    /// Version of the policy; an export's manifest quotes it.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Everything that an export can hold, in the order of the default output.
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// The field of this name.
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name == name)
    }

    /// The fields that leave unless others are asked for.
    pub fn everyday(&self) -> impl Iterator<Item = &Field> {
        self.fields
            .iter()
            .filter(|field| field.class == FieldClass::Everyday)
    }

    /// Why nothing of this name ever leaves; absent where the name is unknown or may leave.
    /// Case and separators do not matter: `passwordHash` is `password_hash`.
    pub fn never(&self, name: &str) -> Option<&str> {
        self.never_by_name.get(&squash(name)).map(String::as_str)
    }

    /// Every name of something that never leaves, with the reason.
    pub fn never_names(&self) -> impl Iterator<Item = (&str, &str)> {
        self.columns
            .values()
            .flat_map(BTreeMap::values)
            .flat_map(|column| {
                let why = column.why.as_deref().unwrap_or_default();
                column.names.iter().map(move |name| (name.as_str(), why))
            })
    }

    /// Tables whose columns are classified, with their columns.
    pub fn tables(&self) -> impl Iterator<Item = (&str, &BTreeMap<String, Column>)> {
        self.columns
            .iter()
            .map(|(table, columns)| (table.as_str(), columns))
    }

    /// Tables that no export source reads.
    pub fn own_tables(&self) -> &[String] {
        &self.own_tables.names
    }
}

/// A name without case and separators.
fn squash(name: &str) -> String {
    name.chars()
        .filter(|c| c.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_classification_is_consistent() {
        for (table, columns) in catalog().tables() {
            for (name, column) in columns {
                let place = format!("{table}.{name}");
                for field in &column.fields {
                    assert!(
                        catalog().field(field).is_some(),
                        "{place} feeds {field}, which is no field"
                    );
                }
                if column.class == Classification::Never {
                    assert!(column.fields.is_empty(), "{place} never leaves but feeds a field");
                    assert!(column.why.is_some(), "{place} never leaves, and nobody says why");
                } else {
                    assert!(!column.fields.is_empty(), "{place} may leave, but as no field");
                }
                for never in &column.names {
                    assert!(
                        column.why.is_some(),
                        "{place} is refused as {never} without a reason"
                    );
                    assert!(
                        catalog().field(never).is_none(),
                        "{never} is both a field and refused"
                    );
                }
            }
        }
    }

    #[test]
    fn the_default_set_is_what_users_were_promised() {
        let names: Vec<&str> = catalog().everyday().map(|field| field.name.as_str()).collect();
        assert_eq!(
            names.join(","),
            "user_id,email,name,given_name,family_name,state,email_verified,created_at,last_signed_in_at,groups"
        );
    }

    #[test]
    fn a_never_name_is_refused_in_any_spelling() {
        for name in [
            "password_hash",
            "passwordHash",
            "PASSWORD-HASH",
            "phone_number",
            "refreshToken",
        ] {
            assert!(catalog().never(name).is_some(), "{name}");
        }
        assert!(catalog().never("email").is_none());
    }
}
