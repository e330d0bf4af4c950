//! The statements of a snapshot, made of a definition's fragments.

use std::sync::Arc;

use exeat_gate::{ColumnType, Field};

use super::filter::setting_name;
use crate::filter::{Filter, Parameter};
use crate::source::definition::{Side, SourceDefinition, TimeUnit};
use crate::source::fragment::{TENANT, TENANT_ID};
use crate::{SourceError, Tenant};

/// Digits that a phone number must have before its last four may leave. A `+` counts as one more.
const MIN_PHONE_DIGITS: usize = 8;
/// The setting that holds the tenant's name.
const TENANT_SETTING: &str = "exeat.tenant";

/// What hangs on users, as the numbers that tell side rows apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SideKind {
    Group = 1,
    Factors = 2,
    Identity = 3,
}

/// Fields of a side row: key, kind, three texts, a number.
pub(super) const SIDE_FIELDS: usize = 6;

/// Where a field's values come from, and how they are to be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// A field of the users' rows; the first one is the key.
    Text(usize),
    Flag(usize),
    Int(usize, TimeUnit),
    Groups,
    FactorCount,
    Identities,
}

/// What is read of one tenant's users, and which of them.
pub(super) struct Statements {
    definition: Arc<SourceDefinition>,
    tenant_id: i64,
    tenant: String,
    conditions: String,
    parameters: Vec<Parameter>,
}

/// The statements that read a list of fields.
pub(super) struct Plan {
    /// Selects users, the key first.
    pub(super) users: String,
    /// Number of fields of a user's row.
    pub(super) user_fields: usize,
    /// Selects what hangs on them, if that is asked for.
    pub(super) sides: Option<String>,
    /// One for each field.
    pub(super) origins: Vec<Origin>,
}

impl Statements {
    pub(super) fn new(
        definition: &Arc<SourceDefinition>,
        tenant: &Tenant,
        filter: &Filter,
    ) -> Result<Self, SourceError> {
        if definition
            .single_tenant()
            .is_some_and(|single| single != tenant.name())
        {
            return Err(SourceError::OtherTenant {
                tenant: tenant.name().to_owned(),
                source_name: definition.name.clone(),
            });
        }
        Self::of(definition, tenant.id, tenant.name(), filter)
    }

    pub(super) fn of(
        definition: &Arc<SourceDefinition>,
        tenant_id: i64,
        tenant: &str,
        filter: &Filter,
    ) -> Result<Self, SourceError> {
        let (conditions, parameters) = filter.postgres(definition)?;
        Ok(Self {
            definition: Arc::clone(definition),
            tenant_id,
            tenant: tenant.to_owned(),
            conditions,
            parameters,
        })
    }

    pub(super) fn definition(&self) -> &SourceDefinition {
        &self.definition
    }

    /// Settings that statements read their values from.
    pub(super) fn settings(&self) -> Vec<(String, String)> {
        let parameters = self.parameters.iter().enumerate().map(|(number, parameter)| {
            let value = match parameter {
                Parameter::Text(text) => text.clone(),
                Parameter::Int(value) => value.to_string(),
            };
            (setting_name(number), value)
        });
        std::iter::once((TENANT_SETTING.to_owned(), self.tenant.clone()))
            .chain(parameters)
            .collect()
    }

    /// Tells by 0 or 1 whether there is such a tenant, if the definition can tell.
    pub(super) fn tenant_exists(&self) -> Option<String> {
        let exists = self.definition.users.tenant_exists.as_ref()?;
        Some(self.rendered(&format!("SELECT count(*) WHERE {exists}")))
    }

    /// That there is no such tenant.
    pub(super) fn no_tenant(&self) -> SourceError {
        SourceError::NoTenant {
            tenant: self.tenant.clone(),
            source_name: self.definition.name.clone(),
        }
    }

    /// Counts the users.
    pub(super) fn count(&self) -> String {
        self.rendered(&format!(
            "SELECT count(*) FROM {} WHERE {}",
            self.definition.users.from,
            self.users_where()
        ))
    }

    /// Reads these fields of the users.
    ///
    /// # Errors
    /// The source has no such field.
    pub(super) fn plan(&self, fields: &[&'static Field]) -> Result<Plan, SourceError> {
        let users = &self.definition.users;
        let mut select = vec![format!("({})::text", users.key)];
        let mut origins = Vec::with_capacity(fields.len());
        for field in fields {
            if !self.definition.defines(field) {
                return Err(self.definition.unreadable(field));
            }
            origins.push(match field.name.as_str() {
                "user_id" => Origin::Text(0),
                "groups" => Origin::Groups,
                "mfa_factor_count" => Origin::FactorCount,
                "identities" => Origin::Identities,
                name => {
                    let sql = &self.definition.fields[name];
                    let (sql, origin) = cast(field, &sql.sql, sql.unit.unwrap_or_default(), select.len())
                        .ok_or_else(|| self.definition.unreadable(field))?;
                    select.push(sql);
                    origin
                }
            });
        }
        let users = format!(
            "SELECT {} FROM {} WHERE {} ORDER BY {}",
            select.join(", "),
            users.from,
            self.users_where(),
            order(users.order.as_deref(), &users.key)
        );
        Ok(Plan {
            users: self.rendered(&users),
            user_fields: select.len(),
            sides: self.sides(&origins).map(|sql| self.rendered(&sql)),
            origins,
        })
    }

    fn users_where(&self) -> String {
        let users = &self.definition.users;
        format!(
            "({}) AND ({}){}",
            users.tenant.as_deref().unwrap_or("TRUE"),
            users.condition.as_deref().unwrap_or("TRUE"),
            self.conditions
        )
    }

    /// One statement for all that hangs on users. Each part has its order from an index, so that
    /// the whole is a merge and the first row does not wait for a sort.
    fn sides(&self, origins: &[Origin]) -> Option<String> {
        let definition = &self.definition;
        let null = "NULL::text";
        let mut parts = Vec::new();
        if let Some(groups) = definition
            .groups
            .as_ref()
            .filter(|_| origins.contains(&Origin::Groups))
        {
            let name = format!("({})::text", groups.name);
            parts.push(rows(&groups.side, SideKind::Group, [&name, null, null], "NULL"));
        }
        if let Some(side) = definition
            .mfa_factor_count
            .as_ref()
            .filter(|_| origins.contains(&Origin::FactorCount))
        {
            parts.push(counts(side));
        }
        if let Some(identities) = definition
            .identities
            .as_ref()
            .filter(|_| origins.contains(&Origin::Identities))
        {
            let texts = [&identities.connection, &identities.provider, &identities.subject]
                .map(|sql| format!("({sql})::text"));
            let position = identities.position.as_deref().unwrap_or("NULL");
            parts.push(rows(
                &identities.side,
                SideKind::Identity,
                [&texts[0], &texts[1], &texts[2]],
                position,
            ));
        }
        if parts.is_empty() {
            return None;
        }
        Some(format!(
            "SELECT s.k, s.t, s.a, s.b, s.c, s.n FROM ({}) s ORDER BY s.o",
            parts.join(" UNION ALL ")
        ))
    }

    fn rendered(&self, sql: &str) -> String {
        sql.replace(TENANT_ID, &format!("({}::bigint)", self.tenant_id))
            .replace(TENANT, &format!("current_setting('{TENANT_SETTING}')"))
    }
}

/// What is ordered by: what the definition says, else the bytes of the key.
fn order(order: Option<&str>, key: &str) -> String {
    match order {
        Some(order) => order.to_owned(),
        None => format!("({key})::text COLLATE \"C\""),
    }
}

fn rows(side: &Side, kind: SideKind, texts: [&str; 3], number: &str) -> String {
    format!(
        "(SELECT {} AS o, ({})::text AS k, {}::int AS t, {} AS a, {} AS b, {} AS c, ({number})::bigint AS n
          FROM {} WHERE {} ORDER BY 1)",
        order(side.order.as_deref(), &side.key),
        side.key,
        kind as i32,
        texts[0],
        texts[1],
        texts[2],
        side.from,
        side.condition.as_deref().unwrap_or("TRUE")
    )
}

fn counts(side: &Side) -> String {
    let order = order(side.order.as_deref(), &side.key);
    format!(
        "(SELECT {order} AS o, min(({})::text) AS k, {}::int AS t, NULL::text AS a, NULL::text AS b, NULL::text AS c,
                 count(*) AS n
          FROM {} WHERE {} GROUP BY {order} ORDER BY 1)",
        side.key,
        SideKind::Factors as i32,
        side.from,
        side.condition.as_deref().unwrap_or("TRUE")
    )
}

/// A fragment as the type that the field's decoder takes.
fn cast(field: &Field, sql: &str, unit: TimeUnit, at: usize) -> Option<(String, Origin)> {
    Some(match field.column_type {
        // The number itself does not come out of PostgreSQL, and a short one not even in part.
        ColumnType::Utf8 if field.name == "phone_last_four" => (
            format!("CASE WHEN length(({sql})::text) > {MIN_PHONE_DIGITS} THEN right(({sql})::text, 4) END"),
            Origin::Text(at),
        ),
        ColumnType::Utf8 | ColumnType::Json => (format!("({sql})::text"), Origin::Text(at)),
        ColumnType::Boolean => (format!("({sql})::boolean"), Origin::Flag(at)),
        ColumnType::TimestampUs if unit == TimeUnit::Timestamptz => {
            (format!("({sql})::timestamptz"), Origin::Int(at, unit))
        }
        ColumnType::Int64 | ColumnType::TimestampUs => (format!("({sql})::bigint"), Origin::Int(at, unit)),
        ColumnType::Float64 | ColumnType::Utf8List => return None,
    })
}

#[cfg(test)]
mod tests {
    use exeat_gate::{Classification, catalog};

    use super::*;
    use crate::source::fragment;

    /// Every statement with which a source is read, filters included.
    fn statements(name: &str) -> Vec<String> {
        let definition = Arc::new(SourceDefinition::preset(name).unwrap());
        let all = [
            ("state", "active"),
            ("created_after", "2025-01-01"),
            ("updated_after", "2025-01-01"),
            ("last_signed_in_after", "2025-01-01"),
            ("email_verified", "true"),
            ("email", "a"),
            ("group", "a"),
            ("connection", "a"),
            ("q", "a"),
        ];
        let filters = all.into_iter().filter(|pair| {
            let filter = Filter::from_pairs(std::iter::once(*pair)).unwrap();
            definition.check_filter(&filter).is_ok()
        });
        let filter = Filter::from_pairs(filters).unwrap();
        let statements = Statements::of(&definition, 7, "acme", &filter).unwrap();
        let fields: Vec<&Field> = definition.defined_fields().collect();
        let plan = statements.plan(&fields).unwrap();
        vec![statements.count(), plan.users, plan.sides.unwrap()]
    }

    fn words(sql: &str) -> Vec<&str> {
        sql.split(|c: char| !(c.is_alphanumeric() || c == '_')).collect()
    }

    #[test]
    fn no_statement_of_an_export_names_a_column_that_never_leaves() {
        for name in SourceDefinition::presets() {
            let definition = SourceDefinition::preset(name).unwrap();
            for sql in statements(name) {
                for never in &definition.never {
                    // Names that another table gives to something that may leave.
                    let elsewhere = match never.column.as_str() {
                        "phone" | "phone_number" => vec!["u"],
                        "value" => vec!["a"],
                        _ => Vec::new(),
                    };
                    let columns = fragment::columns(&sql);
                    assert!(!columns.is_empty(), "{sql}");
                    let named: Vec<_> = columns
                        .iter()
                        .filter(|(alias, column)| {
                            *column == never.column && !elsewhere.contains(&alias.as_str())
                        })
                        .collect();
                    assert!(named.is_empty(), "{name}: {never:?} is named: {named:?}");
                    if elsewhere.is_empty() {
                        assert!(
                            !words(&sql).contains(&never.column.as_str()),
                            "{name}: {never:?}: {sql}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn exeats_own_definition_names_every_secret_of_the_catalog() {
        let definition = SourceDefinition::exeat();
        for (table, columns) in catalog().tables() {
            for (column, class) in columns {
                // Keys are compared and not selected; a name and a time are no secret.
                let plain = column.ends_with("_id") && column != "client_id"
                    || ["name", "created_at", "strategy"].contains(&column.as_str());
                if class.class != Classification::Never || plain {
                    continue;
                }
                assert!(
                    definition
                        .never
                        .iter()
                        .any(|never| never.table == table && never.column == *column),
                    "{table}.{column}"
                );
            }
        }
    }

    #[test]
    fn every_field_can_be_read_of_exeats_own_tables() {
        let fields = SourceDefinition::exeat().defined_fields().count();
        assert_eq!(fields, catalog().fields().len());
    }

    #[test]
    fn a_phone_number_is_read_only_to_be_cut_to_its_last_four_digits() {
        for (name, number) in [("exeat", "u.phone_number"), ("supabase", "u.phone")] {
            let users = &statements(name)[1];
            let cut = format!("CASE WHEN length(({number})::text) > 8 THEN right(({number})::text, 4) END");
            assert!(users.contains(&cut), "{users}");
            let without = fragment::columns(&users.replace(&cut, "NULL"));
            assert!(!without.is_empty(), "{users}");
            let (_, column) = number.split_once('.').unwrap();
            assert!(without.iter().all(|(_, named)| named != column), "{without:?}");
        }
    }
}
