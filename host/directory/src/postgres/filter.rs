//! A filter as SQL over a definition's fragments, with the meaning that it has on SQLite.
//!
//! Letters are compared without case as SQLite does it: ASCII only, hence `COLLATE "C"`.
//! `É` and `é` are two letters on both. COPY takes no bound parameters: values are settings of the
//! transaction, and SQL reads them with `current_setting`.

use exeat_gate::{ColumnType, catalog};

use crate::SourceError;
use crate::filter::{
    Comparison, Filter, JsonPath, JsonTest, Parameter, Part, SEARCHED, Test, TextField, TextMatch,
};
use crate::source::definition::{SourceDefinition, TimeUnit};

/// Fields whose fragments filters cannot ask about: groups have a fragment of their own, and the
/// others are not what is stored.
const UNFILTERABLE: [&str; 5] = [
    "user_id",
    "groups",
    "phone_last_four",
    "mfa_factor_count",
    "identities",
];

/// Whether a filter can ask about a field by its fragment.
pub(crate) fn is_filter_field(name: &str) -> bool {
    !UNFILTERABLE.contains(&name)
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
        let mut asking = Asking {
            definition,
            parameters: Vec::new(),
        };
        let mut sql = String::new();
        for (expression, (key, _)) in self.expressions().iter().zip(self.plain()) {
            let mut unasked = None;
            let text = expression.sql(&mut |test| {
                let text = asking.ask(test);
                if text.is_none() {
                    unasked = test.fields().first().copied();
                }
                text
            });
            let text = text.ok_or_else(|| SourceError::Unfilterable {
                // A plain key is what was written; an expression may name many fields.
                key: match (key.as_str(), unasked) {
                    (Self::EXPRESSION, Some(field)) => field.to_owned(),
                    _ => key.clone(),
                },
                source_name: definition.name.clone(),
            })?;
            sql.push_str(" AND ");
            sql.push_str(&text);
        }
        Ok((sql, asking.parameters))
    }
}

struct Asking<'d> {
    definition: &'d SourceDefinition,
    parameters: Vec<Parameter>,
}

impl Asking<'_> {
    fn bind(&mut self, parameter: Parameter) -> String {
        self.parameters.push(parameter);
        setting(self.parameters.len() - 1)
    }

    fn text(&mut self, text: &str) -> String {
        self.bind(Parameter::Text(text.to_owned()))
    }

    /// What filters compare of a field, if they may ask.
    fn fragment(&self, field: &str) -> Option<&str> {
        match field {
            "user_id" => Some(&self.definition.users.key),
            _ => self.definition.fields.get(field)?.filter(),
        }
    }

    fn ask(&mut self, test: &Test) -> Option<String> {
        Some(match test {
            Test::State(states) => {
                let sql = self.fragment("state")?.to_owned();
                let states: Vec<String> = states.iter().map(|state| self.text(state.name())).collect();
                format!("({sql})::text IN ({})", states.join(", "))
            }
            Test::Instant(column, comparison, at) => self.instant(column, *comparison, *at)?,
            Test::Int(column, comparison, value) => {
                let sql = self.fragment(column)?.to_owned();
                let value = self.bind(Parameter::Int(*value));
                format!("({sql}) {} {value}::bigint", comparison.operator())
            }
            Test::Flag(column, yes) => format!("({}) = {yes}", self.fragment(column)?),
            Test::Text(field, how, value) => {
                let sql = self.compared(*field)?;
                let value = if field.exact_case {
                    value.clone()
                } else {
                    value.to_ascii_lowercase()
                };
                self.matches(&sql, *how, &value)
            }
            Test::Group(name) => self.group(name.as_ref())?,
            Test::Present(column) => {
                let field = catalog().field(column);
                let sql = self.fragment(column)?;
                match field.map(|field| field.column_type) {
                    Some(ColumnType::Utf8) => format!("({sql})::text <> ''"),
                    _ => format!("({sql}) IS NOT NULL"),
                }
            }
            Test::Json(path, test) => self.json(path, test)?,
            Test::Search(text) => {
                let searched: Vec<String> = SEARCHED
                    .into_iter()
                    .filter_map(|field| Some(self.fragment(field)?.to_owned()))
                    .collect();
                if searched.is_empty() {
                    return None;
                }
                if is_impossible(text) {
                    return Some("FALSE".to_owned());
                }
                let text = self.text(&text.to_lowercase());
                let places: Vec<String> = searched
                    .iter()
                    .map(|sql| format!("strpos(lower(({sql})::text COLLATE \"C\"), {text}) > 0"))
                    .collect();
                format!("({})", places.join(" OR "))
            }
        })
    }

    /// What is compared of a field of text: lower-cased where case keeps nobody apart.
    fn compared(&self, field: TextField) -> Option<String> {
        let sql = self.fragment(field.name)?;
        let lowered = self
            .definition
            .fields
            .get(field.name)
            .is_some_and(|field| field.filter_by.is_some());
        Some(if field.exact_case || lowered {
            format!("({sql})::text")
        } else {
            format!("lower(({sql})::text COLLATE \"C\")")
        })
    }

    fn matches(&mut self, sql: &str, how: TextMatch, value: &str) -> String {
        if is_impossible(value) {
            return "FALSE".to_owned();
        }
        let value = self.text(value);
        match how {
            TextMatch::EQUAL => format!("{sql} = {value}"),
            TextMatch::Compared(comparison) => {
                format!("{sql} COLLATE \"C\" {} {value}", comparison.operator())
            }
            TextMatch::Part(Part::Anywhere) => format!("strpos({sql}, {value}) > 0"),
            TextMatch::Part(Part::AtTheBeginning) => format!("left({sql}, length({value})) = {value}"),
            TextMatch::Part(Part::AtTheEnd) => format!("right({sql}, length({value})) = {value}"),
        }
    }

    fn group(&mut self, name: Option<&(TextMatch, String)>) -> Option<String> {
        let definition = self.definition;
        let groups = definition.groups.as_ref().filter(|groups| groups.filterable)?;
        let named = name.map(|(how, name)| self.matches(&format!("({})::text", groups.name), *how, name));
        Some(format!(
            "({})::text IN (SELECT ({})::text FROM {} WHERE ({}) AND {})",
            definition.users.key,
            groups.side.key,
            groups.side.from,
            groups.side.condition.as_deref().unwrap_or("TRUE"),
            named.as_deref().unwrap_or("TRUE")
        ))
    }

    fn json(&mut self, path: &JsonPath, test: &JsonTest) -> Option<String> {
        let sql = self.fragment(path.field)?.to_owned();
        let keys: Vec<String> = path.keys.iter().map(|key| self.text(key)).collect();
        let value = format!("(({sql})::jsonb #> ARRAY[{}])", keys.join(", "));
        Some(match test {
            // JSON's null is there and is nothing.
            JsonTest::Present => format!("{value} <> 'null'::jsonb"),
            JsonTest::Equal(json) if json.contains("\\u0000") => "FALSE".to_owned(),
            JsonTest::Equal(json) => format!("{value} = {}::jsonb", self.text(json)),
            JsonTest::Number(comparison, number) => format!(
                "CASE WHEN jsonb_typeof({value}) = 'number' THEN {value}::numeric {} {}::numeric END",
                comparison.operator(),
                self.text(number)
            ),
        })
    }

    /// Compares a time in the unit that the source keeps it in, so that its index serves.
    fn instant(&mut self, column: &str, comparison: Comparison, at: i64) -> Option<String> {
        let definition = self.definition;
        let field = definition.fields.get(column)?;
        let sql = field.filter()?;
        let unit = field.unit.unwrap_or_default();
        let operator = comparison.operator();
        if unit == TimeUnit::Timestamptz {
            let at = self.bind(Parameter::Int(at));
            // Exact up to the year 2255: the product is a double.
            return Some(format!(
                "({sql}) {operator} 'epoch'::timestamptz + {at}::bigint * interval '1 microsecond'"
            ));
        }
        let (whole, rest) = (at.div_euclid(unit.micros()), at.rem_euclid(unit.micros()));
        let value = match comparison {
            // No time of this unit is the same.
            Comparison::Equal if rest != 0 => return Some("FALSE".to_owned()),
            // For whole x, x * unit < at is x < at / unit, rounded up; the same for >=.
            Comparison::Less | Comparison::GreaterOrEqual => whole + i64::from(rest != 0),
            Comparison::Equal | Comparison::LessOrEqual | Comparison::Greater => whole,
        };
        let value = self.bind(Parameter::Int(value));
        Some(format!("({sql}) {operator} {value}::bigint"))
    }
}

/// No text of PostgreSQL has this character, so none is equal and none holds it.
fn is_impossible(text: &str) -> bool {
    text.contains('\0')
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
