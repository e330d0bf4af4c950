//! The TOML file of a source definition, as it is written.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{DefinitionError, SourceDefinition};
use crate::source::fragment::NeverColumn;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    name: String,
    summary: String,
    #[serde(default)]
    ordered_by_index: bool,
    never: Vec<String>,
    users: Users,
    #[serde(default)]
    fields: BTreeMap<String, FieldSql>,
    groups: Option<GroupsTable>,
    mfa_factor_count: Option<Side>,
    identities: Option<IdentitiesTable>,
}

/// Where users are.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Users {
    /// A table with an alias, and joins that neither add nor lose users.
    pub(crate) from: String,
    /// Unique text.
    pub(crate) key: String,
    /// What an index has, and what sorts as the bytes of the key do; else the key itself.
    pub(crate) order: Option<String>,
    /// A condition with `{tenant}`.
    pub(crate) tenant: Option<String>,
    /// A condition with `{tenant}` that is true if there is such a tenant: without it, a tenant that
    /// is misspelled is one without users.
    pub(crate) tenant_exists: Option<String>,
    /// The tenant whose users are all that there are.
    pub(crate) single_tenant: Option<String>,
    /// Which rows are users.
    #[serde(rename = "where")]
    pub(crate) condition: Option<String>,
}

/// Where the values of a field come from.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FieldSql {
    /// An expression over the users' tables.
    pub(crate) sql: String,
    /// Whether filters may ask about it.
    #[serde(default)]
    pub(crate) filterable: bool,
    /// The same in a form that an index has. For the e-mail address: lower-cased.
    pub(crate) filter_by: Option<String>,
    /// How a time is written down; microseconds unless it says so.
    pub(crate) unit: Option<TimeUnit>,
}

impl FieldSql {
    /// What filters compare, if they may ask.
    pub(crate) fn filter(&self) -> Option<&str> {
        match &self.filter_by {
            Some(sql) => Some(sql),
            None => self.filterable.then_some(self.sql.as_str()),
        }
    }
}

/// How a time is written down, since 1970-01-01T00:00:00Z where it is a number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum TimeUnit {
    #[default]
    Microseconds,
    Milliseconds,
    Seconds,
    /// PostgreSQL's `timestamptz`.
    Timestamptz,
}

impl TimeUnit {
    /// Microseconds of one of these.
    pub(crate) fn micros(self) -> i64 {
        match self {
            Self::Microseconds | Self::Timestamptz => 1,
            Self::Milliseconds => 1_000,
            Self::Seconds => 1_000_000,
        }
    }
}

/// Rows that hang on users.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Side {
    pub(crate) from: String,
    /// The key of the user whose row it is.
    pub(crate) key: String,
    /// As in [`Users`].
    pub(crate) order: Option<String>,
    #[serde(rename = "where")]
    pub(crate) condition: Option<String>,
}

/// The groups of users.
#[derive(Clone, Debug)]
pub(crate) struct Groups {
    pub(crate) side: Side,
    pub(crate) name: String,
    pub(crate) filterable: bool,
}

/// The linked identities of users.
#[derive(Clone, Debug)]
pub(crate) struct Identities {
    pub(crate) side: Side,
    pub(crate) connection: String,
    pub(crate) provider: String,
    pub(crate) subject: String,
    /// A number by which a user's identities are ordered; else by what they hold.
    pub(crate) position: Option<String>,
}

// serde's `flatten` and `deny_unknown_fields` do not go together, so members of `Side` stand here again.

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GroupsTable {
    from: String,
    key: String,
    order: Option<String>,
    #[serde(rename = "where")]
    condition: Option<String>,
    name: String,
    #[serde(default)]
    filterable: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct IdentitiesTable {
    from: String,
    key: String,
    order: Option<String>,
    #[serde(rename = "where")]
    condition: Option<String>,
    connection: String,
    provider: String,
    subject: String,
    position: Option<String>,
}

pub(super) fn parse(text: &str) -> Result<SourceDefinition, DefinitionError> {
    let file: File = toml::from_str(text).map_err(|error| {
        let line = error
            .span()
            .map(|span| 1 + text[..span.start].matches('\n').count());
        DefinitionError::new(
            line.map_or_else(|| "the file".to_owned(), |line| format!("line {line}")),
            error.message(),
        )
    })?;
    let never: Result<_, _> = file.never.iter().map(|name| never_column(name)).collect();
    Ok(SourceDefinition {
        name: file.name,
        summary: file.summary,
        ordered_by_index: file.ordered_by_index,
        never: never?,
        users: file.users,
        fields: file.fields,
        groups: file.groups.map(|groups| Groups {
            side: Side {
                from: groups.from,
                key: groups.key,
                order: groups.order,
                condition: groups.condition,
            },
            name: groups.name,
            filterable: groups.filterable,
        }),
        mfa_factor_count: file.mfa_factor_count,
        identities: file.identities.map(|identities| Identities {
            side: Side {
                from: identities.from,
                key: identities.key,
                order: identities.order,
                condition: identities.condition,
            },
            connection: identities.connection,
            provider: identities.provider,
            subject: identities.subject,
            position: identities.position,
        }),
    })
}

/// `table.column`, or `schema.table.column`: the schema is for people.
fn never_column(name: &str) -> Result<NeverColumn, DefinitionError> {
    let parts: Vec<&str> = name.split('.').collect();
    match parts.as_slice() {
        [table, column] | [_, table, column] if !table.is_empty() && !column.is_empty() => Ok(NeverColumn {
            table: table.to_string(),
            column: column.to_string(),
        }),
        _ => Err(DefinitionError::new(
            "never",
            format!("\"{name}\" is not table.column or schema.table.column"),
        )),
    }
}
