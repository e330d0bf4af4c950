//! A filter as SQL over a definition's fragments, with the meaning that it has on SQLite.
//!
//! Letters are compared without case as SQLite does it: ASCII only, hence `COLLATE "C"`.
//! `É` and `é` are two letters on both. COPY takes no bound parameters: values are settings of the
//! transaction, and SQL reads them with `current_setting`.

use crate::SourceError;
use crate::filter::{Condition, Filter, Parameter};
use crate::source::definition::{SourceDefinition, TimeUnit};

/// Fields whose fragments filters can ask about. Groups have a fragment of their own.
const FIELDS: [&str; 9] = [
    "state",
    "created_at",
    "updated_at",
    "last_signed_in_at",
    "email_verified",
    "email",
    "connection",
    "name",
    "username",
];

/// Fields in which `q` looks, as far as a source has them.
const SEARCHED: [&str; 3] = ["email", "name", "username"];

/// Whether a filter can ask about a field by its fragment.
pub(crate) fn is_filter_field(name: &str) -> bool {
    FIELDS.contains(&name)
}

/// SQL that reads the value of a parameter, counted from 0.
fn setting(number: usize) -> String {
    format!("current_setting('{}')", setting_name(number))
}

/// The setting that a parameter is.
pub(super) fn setting_name(number: usize) -> String {
    format!("exeat.p{number}")
}

impl Filter {
    /// The conditions over a definition's fragments, each with a leading `AND`, and their values.
    ///
    /// # Errors
    /// The source has nothing that a condition asks about.
    pub(crate) fn postgres(
        &self,
        definition: &SourceDefinition,
    ) -> Result<(String, Vec<Parameter>), SourceError> {
        let mut sql = String::new();
        let mut parameters = Vec::new();
        for (condition, (key, _)) in self.conditions().iter().zip(self.plain()) {
            let text =
                one(condition, definition, &mut parameters).ok_or_else(|| SourceError::Unfilterable {
                    key: key.clone(),
                    source_name: definition.name.clone(),
                })?;
            sql.push_str(" AND ");
            sql.push_str(&text);
        }
        Ok((sql, parameters))
    }
}

fn one(
    condition: &Condition,
    definition: &SourceDefinition,
    parameters: &mut Vec<Parameter>,
) -> Option<String> {
    let fragment = |field: &str| definition.fields.get(field)?.filter();
    let mut bind = |parameter: Parameter| {
        parameters.push(parameter);
        setting(parameters.len() - 1)
    };
    let mut bind_text = |text: &str| bind(Parameter::Text(text.to_owned()));
    // No text of PostgreSQL has this character, so none is equal and none holds it.
    let impossible = |text: &str| text.contains('\0').then(|| "FALSE".to_owned());
    Some(match condition {
        Condition::State(states) => {
            let sql = fragment("state")?;
            let states: Vec<String> = states.iter().map(|state| bind_text(state.name())).collect();
            format!("({sql})::text IN ({})", states.join(", "))
        }
        Condition::From(column, at) => compare(definition, column, ">=", *at, bind)?,
        Condition::Before(column, at) => compare(definition, column, "<", *at, bind)?,
        Condition::EmailVerified(yes) => format!("({}) = {yes}", fragment("email_verified")?),
        Condition::Email(email) => {
            let field = definition.fields.get("email")?;
            let sql = field.filter()?;
            let lower = match &field.filter_by {
                Some(lower) => format!("({lower})::text"),
                None => format!("lower(({sql})::text COLLATE \"C\")"),
            };
            impossible(email)
                .unwrap_or_else(|| format!("{lower} = {}", bind_text(&email.to_ascii_lowercase())))
        }
        Condition::Group(name) => {
            let groups = definition.groups.as_ref().filter(|groups| groups.filterable)?;
            impossible(name).unwrap_or_else(|| {
                format!(
                    "({})::text IN (SELECT ({})::text FROM {} WHERE ({}) AND ({})::text = {})",
                    definition.users.key,
                    groups.side.key,
                    groups.side.from,
                    groups.side.condition.as_deref().unwrap_or("TRUE"),
                    groups.name,
                    bind_text(name)
                )
            })
        }
        Condition::Connection(name) => {
            let sql = fragment("connection")?;
            impossible(name).unwrap_or_else(|| format!("({sql})::text = {}", bind_text(name)))
        }
        Condition::Search(text) => {
            let searched: Vec<&str> = SEARCHED.into_iter().filter_map(fragment).collect();
            if searched.is_empty() {
                return None;
            }
            impossible(text).unwrap_or_else(|| {
                let text = bind_text(&text.to_lowercase());
                let places: Vec<String> = searched
                    .iter()
                    .map(|sql| format!("strpos(lower(({sql})::text COLLATE \"C\"), {text}) > 0"))
                    .collect();
                format!("({})", places.join(" OR "))
            })
        }
    })
}

/// Compares a time in the unit that the source keeps it in, so that its index serves.
fn compare(
    definition: &SourceDefinition,
    column: &str,
    operator: &str,
    at: i64,
    mut bind: impl FnMut(Parameter) -> String,
) -> Option<String> {
    let field = definition.fields.get(column)?;
    let sql = field.filter()?;
    let unit = field.unit.unwrap_or_default();
    if unit == TimeUnit::Timestamptz {
        let at = bind(Parameter::Int(at));
        // Exact up to the year 2255: the product is a double.
        return Some(format!(
            "({sql}) {operator} 'epoch'::timestamptz + {at}::bigint * interval '1 microsecond'"
        ));
    }
    // For whole x, x * unit < at is x < at / unit, rounded up; the same for >=.
    let at = bind(Parameter::Int(-(-at).div_euclid(unit.micros())));
    Some(format!("({sql}) {operator} {at}::bigint"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_never_stand_in_the_sql() {
        let conditions = [
            "state=active,invited",
            "created_after=2025-01-01",
            "email=O'Brien@example.com",
            "group=O'Brien",
            "q=O'Brien",
        ];
        let filter = Filter::parse(&conditions).unwrap();
        for name in ["exeat", "keycloak"] {
            let (sql, parameters) = filter.postgres(&SourceDefinition::preset(name).unwrap()).unwrap();
            assert!(!sql.contains("Brien"), "{sql}");
            assert_eq!(parameters.len(), 6);
        }
    }

    #[test]
    fn times_are_compared_in_the_units_of_the_source() {
        let keycloak = SourceDefinition::preset("keycloak").unwrap();
        let first_parameter = |condition: &str| {
            let (_, mut parameters) = Filter::parse(&[condition]).unwrap().postgres(&keycloak).unwrap();
            parameters.remove(0)
        };
        let cases = [
            ("created_after=1970-01-01T00:00:01Z", 1_000),
            ("created_after=1970-01-01T00:00:01.0001Z", 1_001),
            ("created_before=1970-01-01T00:00:01.0001Z", 1_001),
            ("created_before=1969-12-31T23:59:59.9999Z", 0),
        ];
        for (condition, milliseconds) in cases {
            assert_eq!(
                first_parameter(condition),
                Parameter::Int(milliseconds),
                "{condition}"
            );
        }
    }

    #[test]
    fn what_a_source_lacks_cannot_be_asked_about() {
        let supabase = SourceDefinition::preset("supabase").unwrap();
        let error = Filter::parse(&["group=x"])
            .unwrap()
            .postgres(&supabase)
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "the source \"supabase\" cannot be filtered by \"group\""
        );
    }
}
