//! What a PostgreSQL source reads: a platform's own tables, told in the words of Exeat's fields.
//!
//! A definition is a TOML file; those in `sources/` ship. Layer two of what never leaves, "not read":
//! its fragments are all that an export selects, and none of them can name a column that never does.

mod file;

use std::collections::BTreeMap;

use exeat_gate::{ColumnType, Field, catalog};
use thiserror::Error;

use super::SourceError;
use super::fragment::{self, NeverColumn, Rules, TableRef};
use crate::filter::Filter;

pub(crate) use file::{FieldSql, Groups, Identities, Side, TimeUnit, Users};

/// Exeat's own tables.
const EXEAT: &str = include_str!("../../sources/exeat.toml");
/// Definitions of other platforms that ship, by name.
const PRESETS: [(&str, &str); 2] = [
    ("keycloak", include_str!("../../sources/keycloak.toml")),
    ("supabase", include_str!("../../sources/supabase.toml")),
];

/// How users are read from a PostgreSQL database.
#[derive(Clone, Debug)]
pub struct SourceDefinition {
    pub(crate) name: String,
    pub(crate) summary: String,
    pub(crate) ordered_by_index: bool,
    pub(crate) never: Vec<NeverColumn>,
    pub(crate) users: Users,
    pub(crate) fields: BTreeMap<String, FieldSql>,
    pub(crate) groups: Option<Groups>,
    pub(crate) mfa_factor_count: Option<Side>,
    pub(crate) identities: Option<Identities>,
}

/// Name of a side in the file, the side, and its other fragments with their names.
pub(crate) type NamedSide<'d> = (&'static str, &'d Side, Vec<(&'static str, &'d str)>);

/// A definition was refused, before any database was asked.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("{place}: {reason}")]
pub struct DefinitionError {
    /// Where in the file: a line, or the path of a member, such as `fields.email.sql`.
    pub place: String,
    /// What is wrong there.
    pub reason: String,
}

impl DefinitionError {
    fn new(place: impl Into<String>, reason: impl Into<String>) -> Self {
        Self {
            place: place.into(),
            reason: reason.into(),
        }
    }
}

impl SourceDefinition {
    /// Exeat's own tables.
    ///
    /// # Panics
    /// Never: the file is compiled in and tested.
    pub fn exeat() -> Self {
        Self::parsed(EXEAT, true).expect("exeat.toml is tested")
    }

    /// A definition that ships: `exeat`, `keycloak` or `supabase`.
    ///
    /// # Panics
    /// Never: the files are compiled in and tested.
    pub fn preset(name: &str) -> Option<Self> {
        if name == "exeat" {
            return Some(Self::exeat());
        }
        let (_, text) = PRESETS.iter().find(|(preset, _)| *preset == name)?;
        Some(Self::parse(text).expect("presets are tested"))
    }

    /// The text of a platform's definition that ships, as an example to adapt.
    pub fn preset_text(name: &str) -> Option<&'static str> {
        let (_, text) = PRESETS.iter().find(|(preset, _)| *preset == name)?;
        Some(text)
    }

    /// Names of the definitions that ship.
    pub fn presets() -> impl Iterator<Item = &'static str> {
        std::iter::once("exeat").chain(PRESETS.iter().map(|(name, _)| *name))
    }

    /// Takes a definition from the text of a TOML file.
    ///
    /// # Errors
    /// The first thing that is wrong, with its place: an unknown member or field, a field that
    /// never leaves, a fragment that mentions a column that never leaves, or that is more than an
    /// expression over named columns.
    pub fn parse(text: &str) -> Result<Self, DefinitionError> {
        Self::parsed(text, false)
    }

    fn parsed(text: &str, own: bool) -> Result<Self, DefinitionError> {
        let definition = file::parse(text)?;
        definition.check(own)?;
        Ok(definition)
    }

    /// The same for another tenant, where the database holds the users of one alone.
    #[must_use]
    pub fn for_single_tenant(mut self, tenant: &str) -> Self {
        if self.users.single_tenant.is_some() {
            self.users.single_tenant = Some(tenant.to_owned());
        }
        self
    }

    /// Name of the definition: `exeat`, or what the platform is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it reads, for people.
    pub fn summary(&self) -> &str {
        &self.summary
    }

    /// The tenant whose users are all that the database holds, where that is so.
    pub fn single_tenant(&self) -> Option<&str> {
        self.users.single_tenant.as_deref()
    }

    /// The fields that can be exported from here, in the order of the catalog.
    pub fn defined_fields(&self) -> impl Iterator<Item = &'static Field> {
        catalog().fields().iter().filter(|field| self.defines(field))
    }

    /// Whether this field can be exported from here.
    pub fn defines(&self, field: &Field) -> bool {
        match field.name.as_str() {
            "user_id" => true,
            "groups" => self.groups.is_some(),
            "mfa_factor_count" => self.mfa_factor_count.is_some(),
            "identities" => self.identities.is_some(),
            name => self.fields.contains_key(name),
        }
    }

    /// Says which of these fields cannot be exported from here.
    ///
    /// # Errors
    /// The first of them, with the name of this source.
    pub fn check_fields(&self, fields: &[&'static Field]) -> Result<(), SourceError> {
        match fields.iter().find(|field| !self.defines(field)) {
            Some(field) => Err(self.unreadable(field)),
            None => Ok(()),
        }
    }

    /// Says whether users can be filtered so here.
    ///
    /// # Errors
    /// The first condition that cannot be answered, with the name of this source.
    pub fn check_filter(&self, filter: &Filter) -> Result<(), SourceError> {
        filter.postgres(self).map(|_| ())
    }

    pub(crate) fn unreadable(&self, field: &Field) -> SourceError {
        SourceError::Unreadable {
            field: field.name.clone(),
            source_name: self.name.clone(),
        }
    }

    /// Every fragment of users and their fields, with its place in the file.
    pub(crate) fn user_fragments(&self) -> Vec<(String, &str)> {
        let users = &self.users;
        let mut fragments = vec![("users.key".to_owned(), users.key.as_str())];
        let optional = [
            ("users.order", &users.order),
            ("users.tenant", &users.tenant),
            ("users.tenant_exists", &users.tenant_exists),
            ("users.where", &users.condition),
        ];
        fragments.extend(
            optional
                .into_iter()
                .filter_map(|(place, sql)| Some((place.to_owned(), sql.as_deref()?))),
        );
        for (name, field) in &self.fields {
            fragments.push((format!("fields.{name}.sql"), &field.sql));
            if let Some(sql) = &field.filter_by {
                fragments.push((format!("fields.{name}.filter_by"), sql));
            }
        }
        fragments
    }

    /// What hangs on users: name in the file, and its fragments beside those of [`Side`].
    pub(crate) fn sides(&self) -> Vec<NamedSide<'_>> {
        let mut sides = Vec::new();
        if let Some(groups) = &self.groups {
            sides.push(("groups", &groups.side, vec![("name", groups.name.as_str())]));
        }
        if let Some(factors) = &self.mfa_factor_count {
            sides.push(("mfa_factor_count", factors, Vec::new()));
        }
        if let Some(identities) = &self.identities {
            let mut values = vec![
                ("connection", identities.connection.as_str()),
                ("provider", &identities.provider),
                ("subject", &identities.subject),
            ];
            values.extend(
                identities
                    .position
                    .as_deref()
                    .map(|position| ("position", position)),
            );
            sides.push(("identities", &identities.side, values));
        }
        sides
    }

    /// The tables that users are read from, the first one theirs.
    pub(crate) fn user_tables(&self) -> Vec<TableRef> {
        self.tables_of(&self.users.from).unwrap_or_default()
    }

    fn tables_of(&self, from: &str) -> Result<Vec<TableRef>, String> {
        let rules = Rules {
            never: &self.never,
            tables: &[],
            phone: false,
        };
        fragment::check(&format!("FROM {from}"), &rules)
    }

    fn check(&self, own: bool) -> Result<(), DefinitionError> {
        let users = &self.users;
        match (&users.tenant, &users.single_tenant) {
            (None, None) => {
                return Err(DefinitionError::new(
                    "users",
                    "has neither tenant, a condition with {tenant}, nor single_tenant, a tenant's name",
                ));
            }
            (Some(_), Some(_)) => {
                return Err(DefinitionError::new("users", "has both tenant and single_tenant"));
            }
            (Some(condition), None) if !names_tenant(condition) => {
                return Err(DefinitionError::new("users.tenant", "does not mention {tenant}"));
            }
            _ => {}
        }
        for (name, field) in &self.fields {
            check_field(name, field)?;
        }
        let tables = self.check_from("users.from", &users.from, own)?;
        for (place, sql) in self.user_fragments() {
            let phone = place.starts_with("fields.phone_last_four.");
            self.check_fragment(&place, sql, &tables, phone, own)?;
        }
        if fragment::column_of(&users.key).is_none() {
            return Err(DefinitionError::new(
                "users.key",
                "is not alias.column or alias.column::text; a key is one column",
            ));
        }
        for (name, side, values) in self.sides() {
            let tables = self.check_from(&format!("{name}.from"), &side.from, own)?;
            let optional = [
                ("order", side.order.as_deref()),
                ("where", side.condition.as_deref()),
            ];
            let fragments = std::iter::once(("key", side.key.as_str())).chain(values).chain(
                optional
                    .into_iter()
                    .filter_map(|(place, sql)| Some((place, sql?))),
            );
            for (place, sql) in fragments {
                self.check_fragment(&format!("{name}.{place}"), sql, &tables, false, own)?;
            }
            // One key may be two users' in two tenants.
            let of_tenant = |sql: &str| users.tenant.is_none() || names_tenant(sql);
            if !of_tenant(side.condition.as_deref().unwrap_or_default()) && !of_tenant(&side.from) {
                return Err(DefinitionError::new(
                    format!("{name}.where"),
                    "does not mention {tenant}: rows of other tenants would be read",
                ));
            }
        }
        Ok(())
    }

    fn check_from(&self, place: &str, from: &str, own: bool) -> Result<Vec<TableRef>, DefinitionError> {
        let tables = self
            .tables_of(from)
            .map_err(|reason| DefinitionError::new(place, reason))?;
        refuse_tenant_id(place, from, own)?;
        if tables.is_empty() {
            return Err(DefinitionError::new(place, "does not begin with a table"));
        }
        Ok(tables)
    }

    fn check_fragment(
        &self,
        place: &str,
        sql: &str,
        tables: &[TableRef],
        phone: bool,
        own: bool,
    ) -> Result<(), DefinitionError> {
        let rules = Rules {
            never: &self.never,
            tables,
            phone,
        };
        fragment::check(sql, &rules).map_err(|reason| DefinitionError::new(place, reason))?;
        refuse_tenant_id(place, sql, own)
    }
}

fn names_tenant(sql: &str) -> bool {
    sql.contains(fragment::TENANT) || sql.contains(fragment::TENANT_ID)
}

/// Exeat's key of a tenant means nothing in another database.
fn refuse_tenant_id(place: &str, sql: &str, own: bool) -> Result<(), DefinitionError> {
    if !own && sql.contains(fragment::TENANT_ID) {
        return Err(DefinitionError::new(
            place,
            "has {tenant_id}, which only Exeat's own tables know; use {tenant}, the name",
        ));
    }
    Ok(())
}

fn check_field(name: &str, sql: &FieldSql) -> Result<(), DefinitionError> {
    let place = format!("fields.{name}");
    if let Some(why) = catalog().never(name) {
        return Err(DefinitionError::new(place, format!("is never exported: {why}")));
    }
    let table_of_its_own = ["groups", "mfa_factor_count", "identities"];
    let field = match catalog().field(name) {
        _ if name == "user_id" => return Err(DefinitionError::new(place, "is the key: see users.key")),
        Some(_) if table_of_its_own.contains(&name) => {
            return Err(DefinitionError::new(
                place,
                format!("is a table of its own: [{name}]"),
            ));
        }
        Some(field) => field,
        None => return Err(DefinitionError::new(place, "is no field")),
    };
    if sql.unit.is_some() && field.column_type != ColumnType::TimestampUs {
        return Err(DefinitionError::new(place, "has a unit and is no time"));
    }
    if (sql.filterable || sql.filter_by.is_some()) && !crate::postgres::is_filter_field(name) {
        return Err(DefinitionError::new(
            place,
            "is nothing that a filter can ask about",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
